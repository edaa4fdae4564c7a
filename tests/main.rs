//! The program from outside: real processes, real sockets, real files.
//!
//! `tidy` holds the source to the laws of ARCHITECTURE.md. `commands` types commands and reads what they say. `cluster` starts
//! bundled nodes and breaks what is between them; the scenarios use it.

mod commands;
mod tidy;

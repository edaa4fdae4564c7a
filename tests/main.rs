//! The program from outside: real processes, real sockets, real files.
//!
//! `tidy` holds the source to the laws of ARCHITECTURE.md. `commands` types commands and reads what they say. `cluster` starts
//! bundled nodes and breaks what is between them; `scenarios`, `plans`, `positions`, `live`, `kill`, `gentle`, `conformance`,
//! `real_input`, `demo` and `doctor` use it, and `service`, which leaves `evensum serve` running. `served` starts the service beside them;
//! `api` asks it what it may be asked, and what not. `servers` does the like with real servers, where they are installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is tests, also what stands outside of test functions"
)]

mod api;
mod cluster;
mod commands;
mod conformance;
mod demo;
mod doctor;
mod gentle;
mod kill;
mod live;
mod plans;
mod positions;
mod real_input;
mod scenarios;
mod served;
mod servers;
mod service;
mod tidy;
mod workload;

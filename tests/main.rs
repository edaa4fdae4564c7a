//! The program from outside: real processes, real sockets, real files.
//!
//! `tidy` holds the source to the laws of ARCHITECTURE.md. `commands` types commands and reads what they say. `cluster` starts
//! bundled nodes and breaks what is between them, also by a `wire`; `scenarios`, `plans`, `positions`, `live`, `kill`, `clone`, `gentle`, `conformance`,
//! `real_input`, `demo` and `doctor` use it. `soak` leaves a ring alone with writers, kills and cut wires. `service` leaves
//! `evensum serve` running; `served` starts it for those that ask it: `api` asks what
//! it may be asked, and what not, `browser` drives a real browser over its page, and `mixin` holds what Prometheus and Grafana are given to what it
//! says. `package` looks at units, grants and the Debian package. `walkthroughs` types what articles about master-master replication have their readers
//! type. `servers` starts real servers, where they are installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is tests, also what stands outside of test functions"
)]

mod api;
mod browser;
mod clone;
mod cluster;
mod commands;
mod conformance;
mod demo;
mod doctor;
mod gentle;
mod kill;
mod live;
mod mixin;
mod package;
mod plans;
mod ports;
mod positions;
mod python;
mod real_input;
mod scenarios;
mod served;
mod servers;
mod service;
mod soak;
mod tidy;
mod walkthroughs;
mod wire;
mod workload;

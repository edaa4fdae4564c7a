//! The commands: each a function from its arguments to how it ended.
//!
//! A command wires what the other crates do, asks `render` for the words, and decides the exit code. Nothing here
//! compares, plans or mends.

pub mod check;
pub mod doctor;
mod hidden;
mod node;
mod runs;
pub mod status;
mod sync;

use crate::cli::Command;
use crate::error::{Failure, Outcome};

/// Runs a command.
pub fn run(command: Command) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::system(format!("cannot start the runtime: {error}")))?;
    match command {
        Command::Check(args) => runtime.block_on(check::run(args)),
        Command::Sync(args) => runtime.block_on(sync::run(args)),
        Command::Node(args) => runtime.block_on(node::run(args)),
        Command::Status(args) => runtime.block_on(status::run(args)),
        Command::Doctor(args) => runtime.block_on(doctor::run(args)),
        Command::Runs(args) => runs::run(&args),
        Command::Demo(args) => runtime.block_on(crate::demo::run(args)),
    }
}

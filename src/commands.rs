//! The commands: each a function from its arguments to how it ended.
//!
//! A command wires what the other crates do, asks `render` for the words, and decides the exit code. Nothing here
//! compares, plans or mends.

mod account;
mod alert;
pub mod check;
pub mod clone;
pub mod doctor;
mod generate;
mod hidden;
mod node;
mod place;
mod plugin;
mod runs;
mod schedule;
pub mod status;
mod sync;

use crate::cli::{Command, ConfigCommand};
use crate::clock;
use crate::error::{Failure, Outcome};

/// The longest name of a run: the ledger's column holds it, and what makes it unique there.
const RUN_CHARACTERS_MAX: usize = 48;

/// A run's name: as said, if it can be the name of a file, else a new one.
pub fn run_name(said: Option<&str>) -> Result<String, Failure> {
    let Some(name) = said else { return Ok(clock::run_name()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > RUN_CHARACTERS_MAX || name.starts_with('.') || !name.chars().all(plain)
    {
        let advice = format!(
            "letters, digits, '.', '_' and '-', at most {RUN_CHARACTERS_MAX}; evensum runs lists those that there are"
        );
        return Err(Failure::usage(format!("'{name}' is no name of a run"), advice));
    }
    Ok(name.to_owned())
}

/// Runs a command.
pub fn run(command: Command) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::system(format!("cannot start the runtime: {error}")))?;
    match command {
        Command::Check(args) => runtime.block_on(check::run(args)),
        Command::Sync(args) => runtime.block_on(sync::run(args)),
        Command::Clone(args) => runtime.block_on(clone::run(args)),
        Command::Node(args) => runtime.block_on(node::run(args)),
        Command::Status(args) => runtime.block_on(status::run(args)),
        Command::Doctor(args) => runtime.block_on(doctor::run(args)),
        Command::Runs(args) => runs::run(&args),
        Command::Config(ConfigCommand::Check(args)) => runs::check_config(&args),
        Command::Schedule(command) => runtime.block_on(schedule::run(command)),
        Command::Table(command) => runs::forget(command),
        Command::Run(command) => runs::one(command),
        Command::Alert(command) => runtime.block_on(alert::run(command)),
        Command::Account(command) => account::run(command),
        Command::Audit(args) => account::audit(&args),
        Command::Metrics(args) => plugin::metrics(&args),
        Command::MonitorPlugin(args) => plugin::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Serve(args) => runtime.block_on(crate::serve::run(args)),
        Command::Demo(args) => runtime.block_on(crate::demo::run(args)),
    }
}

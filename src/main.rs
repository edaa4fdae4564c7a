//! The program `evensum`: the only part that talks to people, reads the environment and exits.
//!
//! A command is a function from its arguments to an [`error::Outcome`] or an [`error::Failure`]; here one becomes an exit
//! code, and the other a message on stderr and an exit code. What is data goes to stdout, all else to stderr; under --json
//! a failure is data too.

mod alerts;
mod cli;
mod clock;
mod cluster;
mod commands;
mod config;
mod demo;
mod doctor;
mod error;
mod gentle;
mod marks;
mod option_file;
mod output;
mod password;
mod progress;
mod render;
mod serve;
mod signals;
mod state;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        // help and version are answers; all else is a wrong command line
        Err(error) => {
            let code = if error.use_stderr() { error::Outcome::Usage } else { error::Outcome::Identical };
            // nobody is left to be told where this fails
            let _ = error.print();
            if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
                output::document(&error::Failure::command_line(&error));
            }
            return code.into();
        }
    };
    let json = cli.command.json();
    match commands::run(cli.command) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            output::complain(&failure);
            if json {
                output::document(&failure);
            }
            failure.outcome.into()
        }
    }
}

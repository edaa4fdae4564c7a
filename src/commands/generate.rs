//! `evensum completions` and `evensum man`: what other programs read of the command line, made from its definition.

use crate::cli::{Cli, CompletionsArgs, ManArgs, Shell};
use crate::error::{Failure, Outcome};
use crate::output;
use clap::CommandFactory;
use std::path::Path;

/// Runs `evensum completions`.
pub fn completions(args: &CompletionsArgs) -> Result<Outcome, Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "evensum", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Identical)
}

/// Runs `evensum man`.
pub fn man(args: &ManArgs) -> Result<Outcome, Failure> {
    let mut command = Cli::command();
    command.build();
    match &args.folder {
        None => output::print(&String::from_utf8_lossy(&page(&command, "evensum")?))?,
        Some(folder) => {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Failure::system(format!("cannot make {}: {error}", folder.display())))?;
            pages(&command, "evensum", folder)?;
        }
    }
    Ok(Outcome::Identical)
}

/// The pages of a command and of those below it: `evensum-schedule-run.1`.
fn pages(command: &clap::Command, name: &str, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name)?)
        .map_err(|error| Failure::system(format!("cannot write {}: {error}", path.display())))?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    for below in below {
        pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let command = command.clone().name(name.to_owned()).disable_help_subcommand(true);
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|error| Failure::system(format!("the page of {name} cannot be made: {error}")))?;
    Ok(text)
}

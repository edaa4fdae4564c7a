//! The command line of what looks and shows: status, doctor, runs, the demonstration.

use super::ClusterArgs;
use clap::Args;
use std::path::PathBuf;

/// `evensum status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The nodes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// `evensum doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The nodes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The database of evensum's own tables [default: evensum]
    #[arg(long, value_name = "DATABASE")]
    pub ledger: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// `evensum runs`.
#[derive(Args, Debug)]
pub struct RunsArgs {
    /// Print the report of this run; `last` is the latest
    #[arg(long, value_name = "RUN")]
    pub show: Option<String>,
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: u32,
    /// The folder that keeps runs [default: ~/.local/state/evensum]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// `evensum demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// How many masters, in a ring
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=5))]
    pub nodes: u8,
    /// Who is right: prefer=n1, majority, … [default: prefer=n1; majority from three nodes on]
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Leave the nodes up, and say how to connect
    #[arg(long)]
    pub keep: bool,
    /// Print one JSON document at the end; the story goes to stderr
    #[arg(long)]
    pub json: bool,
}

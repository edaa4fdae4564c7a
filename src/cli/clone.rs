//! The command line of `evensum clone`.

use super::{AccessArgs, duration};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `evensum clone`.
#[derive(Args, Debug)]
pub struct CloneArgs {
    /// The node to copy: mysql://user@host:port or h=host,P=port,u=user
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// The new node, which is empty; its server_id and its configuration stay its own
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// This node, which replicates from SOURCE, is to replicate from TARGET [default: SOURCE itself, beside its other links]
    #[arg(long, value_name = "NODE", conflicts_with = "no_join")]
    pub ring_next: Option<String>,
    /// Only copy; say how to join
    #[arg(long)]
    pub no_join: bool,
    /// The account by which the nodes replicate from each other [default: that of each node's URL]
    #[arg(long, value_name = "USER", conflicts_with = "no_join")]
    pub replication_user: Option<String>,
    /// Read the password of that account from the first line of this file [default: EVENSUM_REPLICATION_PASSWORD]
    #[arg(long, value_name = "FILE", requires = "replication_user")]
    pub replication_password_file: Option<PathBuf>,
    /// How long a node may take to catch up before it is given up
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub wait: Duration,
    /// Look at everything, say what would be done, and change nothing
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
    /// In the end, compare all rows of these nodes
    #[arg(long, conflicts_with_all = ["no_join", "json"])]
    pub check: bool,
    /// Read from this file what is not said here, such as where passwords are
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Their passwords.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

//! The command line of what belongs to the service: schedules, runs, alerts, accounts, and what is generated for other programs.

use super::span;
use crate::state::Role;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `evensum serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The nodes, the schedules and who is told [default: $EVENSUM_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep runs, alerts and accounts in this folder [default: as the configuration says, or ~/.local/state/evensum]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Where the service keeps what it knows, and how to print it.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// The configuration of the service [default: $EVENSUM_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder in which it keeps what it knows [default: as the configuration says]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// `evensum config`.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Say whether the file can be used, without asking any node
    Check(PlaceArgs),
}

/// `evensum schedule`.
#[derive(Subcommand, Debug)]
pub enum ScheduleCommand {
    /// The schedules, when they are due next, and what became of the last run
    List(PlaceArgs),
    /// When schedules are due next, in their own time zones and in UTC
    Next {
        /// Only this schedule
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// So many times
        #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Look whether schedules can be meant so: the next five times of each, and what is strange about them
    Validate(PlaceArgs),
    /// Do a schedule's check now, here, as the service would
    Run {
        /// Which schedule
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Leave out the times of a schedule until it is resumed
    Pause {
        /// Which schedule
        #[arg(value_name = "NAME")]
        name: String,
        /// Why, for who looks later
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let a paused schedule go on
    Resume {
        /// Which schedule
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

impl ScheduleCommand {
    /// Where the service keeps what it knows.
    pub fn place(&self) -> &PlaceArgs {
        match self {
            ScheduleCommand::List(place)
            | ScheduleCommand::Next { place, .. }
            | ScheduleCommand::Validate(place)
            | ScheduleCommand::Run { place, .. }
            | ScheduleCommand::Pause { place, .. }
            | ScheduleCommand::Resume { place, .. } => place,
        }
    }
}

/// `evensum table`.
#[derive(Subcommand, Debug)]
pub enum TableCommand {
    /// Forget a table that differed and was dropped: its alert ends
    Forget {
        /// database.table
        #[arg(value_name = "TABLE")]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// `evensum run`.
#[derive(Subcommand, Debug)]
pub enum RunCommand {
    /// What came of a run
    Show {
        /// Which run; `last` is the latest
        #[arg(value_name = "RUN", default_value = "last")]
        run: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Have the service stop a run after the chunk at hand
    Stop {
        /// Which run
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

impl RunCommand {
    /// Where the service keeps what it knows.
    pub fn place(&self) -> &PlaceArgs {
        match self {
            RunCommand::Show { place, .. } | RunCommand::Stop { place, .. } => place,
        }
    }
}

/// `evensum alert`.
#[derive(Subcommand, Debug)]
pub enum AlertCommand {
    /// The alerts that are open, and the latest that have ended
    List {
        /// At most this many
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Tell every receiver a test, and then that it is over
    Test(PlaceArgs),
    /// Say that you know of an alert: its receivers hear of it again only when it has ended
    Acknowledge {
        /// Its number
        #[arg(value_name = "ALERT")]
        id: i64,
        /// What you do about it
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Silence alerts for a while
    Mute {
        /// A pattern of their names, tables, nodes or schedules, such as shop.* or ConsistencyCheckStale
        #[arg(value_name = "PATTERN")]
        pattern: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// For how long, such as 4h or 3d
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        lasts: Duration,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// End a mute before its time
    Unmute {
        /// Its number
        #[arg(value_name = "MUTE")]
        id: i64,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

impl AlertCommand {
    /// Where the service keeps what it knows.
    pub fn place(&self) -> &PlaceArgs {
        match self {
            AlertCommand::List { place, .. }
            | AlertCommand::Test(place)
            | AlertCommand::Acknowledge { place, .. }
            | AlertCommand::Mute { place, .. }
            | AlertCommand::Unmute { place, .. } => place,
        }
    }
}

/// `evensum account`.
#[derive(Subcommand, Debug)]
pub enum AccountCommand {
    /// Who may use the page
    List(PlaceArgs),
    /// Make an account; its password is asked for, or read from --password-file
    Add {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// What it may do
        #[arg(long, value_name = "ROLE", default_value = "viewer")]
        role: Role,
        /// Read the password from the first line of this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Give an account another password; its sessions and tokens end
    Password {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Read the password from the first line of this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Remove an account, with its sessions and tokens
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Make a token for scripts, and print it once
    Token {
        /// For which account
        #[arg(value_name = "NAME")]
        name: String,
        /// For how long, such as 90d
        #[arg(long = "for", value_name = "TIME", default_value = "90d", value_parser = span)]
        lasts: Duration,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

impl AccountCommand {
    /// Where the service keeps what it knows.
    pub fn place(&self) -> &PlaceArgs {
        match self {
            AccountCommand::List(place)
            | AccountCommand::Add { place, .. }
            | AccountCommand::Password { place, .. }
            | AccountCommand::Remove { place, .. }
            | AccountCommand::Token { place, .. } => place,
        }
    }
}

/// `evensum audit`.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// At most this many lines
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub limit: u32,
    /// The folder.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `evensum metrics`.
#[derive(Args, Debug)]
pub struct MetricsArgs {
    /// Write them to this file, for the textfile collector of node_exporter
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
    /// The folder.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `evensum monitor-plugin`.
#[derive(Args, Debug)]
pub struct PluginArgs {
    /// Warn if the last whole check is older
    #[arg(short = 'w', long, value_name = "TIME", default_value = "26h", value_parser = span)]
    pub warning: Duration,
    /// The same as critical
    #[arg(short = 'c', long, value_name = "TIME", default_value = "36h", value_parser = span)]
    pub critical: Duration,
    /// The folder.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `evensum completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// `evensum man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write one page for each command into this folder, instead of the first page to the standard output
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

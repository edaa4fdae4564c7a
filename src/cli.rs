//! The command line. The doc comments here are the help that a person reads.
//!
//! Invariant: no flag takes a password. Not here: what the flags do.

mod clone;
mod looking;
mod service;

pub use clone::*;
pub use looking::*;
pub use service::*;

use crate::gentle::GentleArgs;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The longest wait that a flag takes.
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that the configuration takes.
const YEAR_MILLIS: u64 = 366 * 86_400_000;

const EXAMPLES: &str = "\
Examples:
  evensum demo
      two masters, real divergence, found and mended, in a minute
  evensum check mysql://check@db1 mysql://check@db2
      do both masters hold the same rows?
  evensum sync --policy majority mysql://sync@db1 mysql://sync@db2 mysql://sync@db3
      what would make them the same again? (prints SQL, changes nothing)

Exit codes: 0 identical, 1 different, 2 could not finish, 3 usage or configuration, 4 refused for safety,
5 already running, 130 and 143 stopped by a signal.";

/// Proves that the masters of a replicated database hold the same rows, and mends the rows that differ.
#[derive(Debug, Parser)]
#[command(name = "evensum", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the nodes of a cluster, row by row, while they are being written to
    #[command(after_help = "\
Examples:
  evensum check mysql://root@127.0.0.1:33061 mysql://root@127.0.0.1:33062
  evensum check --tables 'shop.*' --ignore-tables '*.log' h=db1,u=check h=db2,u=check
  evensum check --config evensum.toml --json | jq .verdict
  evensum check --format=pt --exit-code=pt h=db1,u=check h=db2,u=check      (for scripts of pt-table-checksum)
  evensum check --max-load Threads_running=25 --intensity 0.3 --window 22:00-06:00 --config evensum.toml
  evensum check --resume --config evensum.toml")]
    Check(CheckArgs),
    /// Plan the repair of the rows that differ, and carry it out with --execute
    #[command(
        alias = "repair",
        after_help = "\
Examples:
  evensum sync --policy prefer=db1:3306 mysql://sync@db1 mysql://sync@db2
      prints the plan as SQL, and changes nothing
  evensum sync --policy majority --execute --yes --config evensum.toml
      checks, plans and mends
  evensum sync --undo 20261120-232240-4f2a9c --execute --config evensum.toml
      puts back what that run changed"
    )]
    Sync(SyncArgs),
    /// Give a new node a copy of another one that is being written to, and let it join the ring
    #[command(after_help = "\
Examples:
  evensum clone mysql://root@db1:33061 mysql://root@db3:33061
      db3 gets all rows of db1 and its place in replication; then each of both replicates from the other
  evensum clone --ring-next mysql://root@db2:33061 mysql://root@db1:33061 mysql://root@db3:33061
      db2, which replicates from db1, replicates from db3 afterwards: db1, db3, db2 are a ring
  evensum clone --dry-run mysql://root@db1:33061 mysql://root@db3:33061

SOURCE and TARGET are bundled nodes. For MariaDB use mariadb-dump --master-data --gtid, for MySQL its own CLONE INSTANCE.
Exit codes: 0 done, 2 could not finish, 3 usage or configuration, 4 refused for safety, 130 and 143 stopped by a signal.")]
    Clone(CloneArgs),
    /// Run one node of the bundled database
    #[command(after_help = "\
Examples:
  evensum node --config node.toml
  evensum node --defaults-file /etc/mysql/my.cnf
  mariadb --host 127.0.0.1 --port 33061 --user root      (when it runs)")]
    Node(NodeArgs),
    /// Say who the nodes are and how their replication stands
    #[command(after_help = "\
Examples:
  evensum status mysql://root@127.0.0.1:33061 mysql://root@127.0.0.1:33062
  evensum status --config evensum.toml
  evensum status --config evensum.toml --json | jq '.nodes[].links[].lag_seconds'")]
    Status(StatusArgs),
    /// Say what in the set-up of the nodes loses rows, stops replication or keeps evensum from its work
    #[command(after_help = "\
Examples:
  evensum doctor mysql://check@db1 mysql://check@db2
  evensum doctor mysql://sync@db1      (one node, and what its user may not do)
  evensum doctor --config evensum.toml --json | jq '.findings[] | select(.severity == \"critical\")'

Exit codes: 0 nothing worse than a note, 1 warnings or worse, 2 a node could not be asked, 3 usage.")]
    Doctor(DoctorArgs),
    /// List the runs of this machine
    #[command(after_help = "\
Examples:
  evensum runs
  evensum runs --limit 5 --json
  evensum runs --show last")]
    Runs(RunsArgs),
    /// Check on cron, tell people when masters diverge, and show where things stand
    #[command(after_help = "\
Examples:
  evensum serve --config /etc/evensum/evensum.toml
  evensum config check --config /etc/evensum/evensum.toml      (is the file as it should be?)
  curl http://127.0.0.1:9187/healthz")]
    Serve(ServeArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at schedules, pause them, or do one now
    #[command(
        subcommand,
        after_help = "\
Examples:
  evensum schedule list --config /etc/evensum/evensum.toml
  evensum schedule next nightly --count 10
  evensum schedule pause nightly --why 'migration until Monday'"
    )]
    Schedule(ScheduleCommand),
    /// Say of a table what no check can
    #[command(subcommand)]
    Table(TableCommand),
    /// Look at one run, or have it stop
    #[command(
        subcommand,
        after_help = "\
Examples:
  evensum run show last
  evensum run show 20261120-232240-4f2a9c --json | jq .report.divergences"
    )]
    Run(RunCommand),
    /// Look at alerts, acknowledge and mute them, and try who is told
    #[command(
        subcommand,
        after_help = "\
Examples:
  evensum alert test --config /etc/evensum/evensum.toml
  evensum alert acknowledge 7 --why 'ann is on it'
  evensum alert mute 'shop.*' --for 4h --reason 'schema change'"
    )]
    Alert(AlertCommand),
    /// Say who may use the page
    #[command(subcommand)]
    Account(AccountCommand),
    /// Print the log of what people changed, and whether its chain of hashes holds
    Audit(AuditArgs),
    /// Print what Prometheus is told, without a service
    Metrics(MetricsArgs),
    /// Answer Nagios or Icinga in one line: exit 0 ok, 1 warning, 2 critical, 3 unknown
    #[command(after_help = "\
Examples:
  evensum monitor-plugin --state /var/lib/evensum
  evensum monitor-plugin -w 26h -c 50h --config /etc/evensum/evensum.toml")]
    MonitorPlugin(PluginArgs),
    /// Print what a shell needs to complete commands
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them into a folder
    Man(ManArgs),
    /// Start masters on this machine, let them diverge, find it and mend it
    #[command(after_help = "\
Examples:
  evensum demo
  evensum demo --nodes 3 --policy majority
  evensum demo --keep")]
    Demo(DemoArgs),
}

impl Command {
    /// Whether the answer is for a machine.
    pub fn json(&self) -> bool {
        match self {
            Command::Check(args) => args.format() == Format::Json,
            Command::Sync(args) => args.json,
            Command::Clone(args) => args.json,
            Command::Node(args) => args.json,
            Command::Status(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Runs(args) => args.json,
            Command::Demo(args) => args.json,
            Command::Serve(_) | Command::Completions(_) | Command::Man(_) => false,
            // the plug-in speaks another language, also of failures
            Command::MonitorPlugin(_) => false,
            Command::Config(ConfigCommand::Check(place)) => place.json,
            Command::Schedule(command) => command.place().json,
            Command::Run(command) => command.place().json,
            Command::Table(TableCommand::Forget { place, .. }) => place.json,
            Command::Alert(command) => command.place().json,
            Command::Account(command) => command.place().json,
            Command::Audit(args) => args.place.json,
            Command::Metrics(args) => args.place.json,
        }
    }
}

/// Which nodes, and how to reach them.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// The nodes: mysql://user@host:port or h=host,P=port,u=user
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Read the nodes, and what else is not said here, from this file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Their passwords.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Where the passwords of the nodes are, and whether a person may be asked.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessArgs {
    /// Read the password of all nodes from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Read the password from the groups client or evensum of this option file instead of ~/.my.cnf
    #[arg(long, value_name = "FILE")]
    pub defaults_file: Option<PathBuf>,
    /// Never ask anything
    #[arg(long)]
    pub no_input: bool,
}

/// Which rows, and for how long to wait.
#[derive(Args, Clone, Debug, Default)]
pub struct SelectionArgs {
    /// Only tables that match, as in shop.* (can be given more than once)
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Not the tables that match (can be given more than once)
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub ignore_tables: Vec<String>,
    /// Only rows for which this SQL condition is true
    #[arg(long = "where", value_name = "SQL")]
    pub filter: Option<String>,
    /// How long rows that differ may take to settle [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub settle: Option<Duration>,
    /// The database of evensum's own tables [default: evensum]
    #[arg(long, value_name = "DATABASE")]
    pub ledger: Option<String>,
    /// Keep runs and journals in this folder [default: ~/.local/state/evensum]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// When to hold back.
    #[command(flatten)]
    pub gentle: GentleArgs,
}

/// `evensum check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The nodes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The rows.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Write nothing on the nodes: positions of their logs stand in for evensum's own tables
    #[arg(long, conflicts_with = "ledger")]
    pub no_ledger: bool,
    /// Go on with a check that was killed or stopped: of this name, or the latest
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true, default_missing_value = "last")]
    pub resume: Option<String>,
    /// Create this view of evensum's checksums, for what reads the table of pt-table-checksum: percona.checksums
    #[arg(long, value_name = "DATABASE.VIEW", conflicts_with = "no_ledger")]
    pub ledger_view: Option<String>,
    /// How to print what was found; pt is the table of pt-table-checksum
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Which exit codes to use; pt are the bits of pt-table-checksum
    #[arg(long, value_name = "CODES", default_value = "native")]
    pub exit_code: ExitCodes,
    /// Print one JSON document instead of text; short for --format=json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Call this run by this name
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub name: Option<String>,
    /// Stop when the standard input ends, so that a run does not outlive the service that began it
    #[arg(long, hide = true)]
    pub until_input_ends: bool,
}

impl CheckArgs {
    /// How to print what was found.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How a check is printed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// As pt-table-checksum does.
    Pt,
}

/// What the exit code of a check means.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCodes {
    /// One number for how it ended.
    Native,
    /// One bit for each thing that pt-table-checksum knows.
    Pt,
}

/// What becomes of edits that would fire triggers.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// They are refused, with the trigger's name.
    Refuse,
    /// They are made without firing any, where the server can do that; MariaDB and MySQL cannot.
    Skip,
    /// They are made, and the triggers fire: what these change is not in the plan, and is not undone.
    Fire,
}

/// `evensum sync`.
#[derive(Args, Debug)]
pub struct SyncArgs {
    /// The nodes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The rows.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Who is right: prefer=NODE, majority, newest=COLUMN, greatest=COLUMN, least=COLUMN (with ,tie=NODE), insert-only, delete-wins or ask
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Also write the plan to this file, for a later --execute FILE
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Carry out the plan (of this file, if one is named)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub execute: Option<String>,
    /// Do not ask before the first change
    #[arg(long)]
    pub yes: bool,
    /// Refuse to change more rows than this [default: 1000]
    #[arg(long, value_name = "ROWS")]
    pub max_rows: Option<u64>,
    /// What becomes of edits that would fire triggers
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub triggers: Firing,
    /// Plan to put back what this repair changed
    #[arg(long, value_name = "RUN", conflicts_with_all = ["policy", "run", "name"])]
    pub undo: Option<String>,
    /// Compare again only the rows that this run found; `last` is the latest that found any
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Call this run by this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
    /// Stop when the standard input ends, so that a run does not outlive the service that began it
    #[arg(long, hide = true)]
    pub until_input_ends: bool,
}

/// `evensum node`.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// The node's configuration: TOML, or a my.cnf if it ends in .cnf
    #[arg(long, value_name = "FILE", required_unless_present = "defaults_file")]
    pub config: Option<PathBuf>,
    /// The same, by MySQL's name
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub defaults_file: Option<PathBuf>,
    /// Stop when the standard input ends, so that a node does not outlive who started it
    #[arg(long, hide = true)]
    pub until_input_ends: bool,
    /// Print one JSON document when clients can connect, instead of a line
    #[arg(long)]
    pub json: bool,
}

/// A time with its unit: 500ms, 0.5s, 30s, 5m, 1h; seconds if it has none. A day is the longest.
pub fn duration(text: &str) -> Result<Duration, String> {
    match span(text)? {
        time if time <= DAY => Ok(time),
        _ => Err("a day is the longest time".to_owned()),
    }
}

/// The same up to a year, also in days: 3d.
pub fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = |_| "write a number and its unit, such as 30s or 5m".to_owned();
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("'{unit}' is no unit; there are ms, s, m, h and d")),
    };
    // whole numbers only have one meaning, however large
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(wrong)?;
    let thousandths: u64 = format!("{part:0<3.3}").parse().map_err(wrong)?;
    let millis = whole
        .checked_mul(millis_per_unit)
        .and_then(|millis| millis.checked_add(thousandths * millis_per_unit / 1_000));
    match millis {
        Some(millis) if millis <= YEAR_MILLIS => Ok(Duration::from_millis(millis)),
        _ => Err("a year is the longest time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.25m"), Ok(Duration::from_secs(75)));
        assert_eq!(span("36h"), Ok(Duration::from_secs(36 * 3_600)));
        assert_eq!(span("3d"), Ok(Duration::from_secs(3 * 86_400)));
        assert!(span("400d").is_err());
        for wrong in [
            "",
            "s",
            ".",
            ".5s",
            "1.2.3s",
            "5 s",
            "2d",
            "5w",
            "-1s",
            "25h",
            "99999999999999999999h",
            "18446744073709551615m",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn repair_is_another_name_for_sync_and_execute_may_name_a_plan() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args).unwrap().command {
            Command::Sync(args) => args,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["evensum", "repair", "--execute"]).execute, Some(String::new()));
        assert_eq!(parse(&["evensum", "sync", "--execute=p.json"]).execute, Some("p.json".into()));
        assert_eq!(parse(&["evensum", "sync", "--execute", "mysql://a"]).cluster.nodes, ["mysql://a"]);
    }

    #[test]
    fn no_flag_takes_a_password() {
        let error = Cli::try_parse_from(["evensum", "check", "--password=x", "mysql://a"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
    }
}

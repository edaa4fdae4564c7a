//! How gentle a check is: from flags and the configuration to bounds, and the watch that holds a run back by them.
//!
//! What the defaults are, and why: a chunk should take a node 150 ms, so that nobody stands behind a long reading; a replica
//! that is more than 10 s behind has enough to do, and what differs on it could not be settled soon anyway; load, pause
//! file and window are off, because what is too much depends on the machine; one lane, so that a check takes one connection's
//! share of a server and not more.
//!
//! Invariant: what the command line says wins over the file, one by one. Not here: deciding (`checker::throttle`).

mod watch;

pub use watch::Watch;

use crate::cli::duration;
use crate::config::Check;
use crate::error::Failure;
use checker::ChunkSize;
use checker::pace::{CHUNK_ROWS, INTENSITY_LEAST};
use clap::Args;
use schedules::chrono::DateTime;
use schedules::{Tz, Window};
use std::path::PathBuf;
use std::time::Duration;

/// How far a replica may be behind, unless said otherwise.
const MAX_LAG: Duration = Duration::from_secs(10);
/// The most lanes: each holds several connections to every node.
const LANES_MAX: usize = 64;

/// Under what the flags stand in the help.
const HEADING: &str = "Gentleness";

/// When to hold back.
#[derive(Args, Clone, Debug, Default)]
pub struct GentleArgs {
    /// The time that a node should need for a chunk [default: 150ms]
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = duration)]
    pub chunk_time: Option<Duration>,
    /// Chunks of so many rows, whatever time they take
    #[arg(long, help_heading = HEADING, value_name = "ROWS", conflicts_with = "chunk_time")]
    pub chunk_rows: Option<u64>,
    /// Pause while a replica is further behind, or `off` [default: 10s]
    #[arg(long, help_heading = HEADING, value_name = "TIME")]
    pub max_lag: Option<String>,
    /// Pause while a status variable of any node is this or more; without a value: a fifth more than at the start
    #[arg(long, help_heading = HEADING, value_name = "VARIABLE[=VALUE]", value_delimiter = ',')]
    pub max_load: Vec<String>,
    /// Work only this share of the time, such as 0.3
    #[arg(long, help_heading = HEADING, value_name = "SHARE")]
    pub intensity: Option<f64>,
    /// Pause while this file exists
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub pause_file: Option<PathBuf>,
    /// Pause outside these hours, such as 22:00-06:00
    #[arg(long, help_heading = HEADING, value_name = "FROM-TO")]
    pub window: Option<String>,
    /// The time zone of the window, such as Europe/Helsinki [default: this machine's]
    #[arg(long, help_heading = HEADING, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Read so many tables, or chunks of a large table, at the same time from each node [default: 1]
    #[arg(long, help_heading = HEADING, value_name = "COUNT")]
    pub threads: Option<usize>,
    /// Where rows are digested: by each node itself, or here, from rows that travel [default: server where all nodes can]
    #[arg(long, help_heading = HEADING, value_name = "WHERE")]
    pub digest: Option<Digesting>,
}

/// Where rows are digested.
#[derive(clap::ValueEnum, serde::Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Digesting {
    /// By the nodes if all of them can, else here
    #[default]
    Auto,
    /// By the nodes, and refused where one cannot
    Server,
    /// Here: all rows travel
    Stream,
}

/// A bound of a server's load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxLoad {
    /// The status variable.
    pub variable: String,
    /// From which value on a run pauses; none: a fifth more than at its start.
    pub most: Option<u64>,
}

/// The bounds of a run.
#[derive(Clone, Debug)]
pub struct Gentle {
    /// How large chunks are.
    pub size: ChunkSize,
    /// How far a replica may be behind.
    pub max_lag: Option<Duration>,
    /// Whether that was asked for, so that a node that cannot tell is refused.
    pub max_lag_said: bool,
    /// The bounds of the load.
    pub max_load: Vec<MaxLoad>,
    /// The share of the time in which a lane works.
    pub intensity: f64,
    /// The file that says to pause.
    pub pause_file: Option<PathBuf>,
    /// The hours.
    pub window: Option<Window>,
    /// How many lanes.
    pub lanes: usize,
    /// Where rows are digested.
    pub digesting: Digesting,
}

/// A value that cannot be meant.
fn wrong(what: String, example: &str) -> Failure {
    Failure::usage(what, format!("for example {example}"))
}

impl Gentle {
    /// The bounds by the command line, else by the configuration, else by default.
    pub fn resolve(args: &GentleArgs, check: &Check) -> Result<Gentle, Failure> {
        let configured = |text: &Option<String>, key: &str| match text {
            Some(text) => {
                let why =
                    |why| wrong(format!("{key} = \"{text}\" is no time: {why}"), &format!("{key} = \"1s\""));
                duration(text).map(Some).map_err(why)
            }
            None => Ok(None),
        };
        let max_lag = args.max_lag.as_ref().or(check.max_lag.as_ref());
        let max_load = if args.max_load.is_empty() { &check.max_load } else { &args.max_load };
        let intensity = args.intensity.or(check.intensity).unwrap_or(1.0);
        if !(INTENSITY_LEAST..=1.0).contains(&intensity) {
            let what = format!("{intensity} is no intensity: it is a share between {INTENSITY_LEAST} and 1");
            return Err(wrong(what, "--intensity 0.3"));
        }
        let lanes = args.threads.or(check.threads).unwrap_or(1);
        if !(1..=LANES_MAX).contains(&lanes) {
            return Err(wrong(
                format!("--threads is between 1 and {LANES_MAX}, and not {lanes}"),
                "--threads 4",
            ));
        }
        // of two that exclude each other, those of the command line count first
        let time = match args.chunk_rows {
            Some(_) => None,
            None => args.chunk_time.or(configured(&check.chunk_time, "chunk_time")?),
        };
        let rows = args.chunk_rows.or(check.chunk_rows.filter(|_| args.chunk_time.is_none()));
        Ok(Gentle {
            size: size(rows, time)?,
            max_lag: max_lag.map_or(Ok(Some(MAX_LAG)), |text| lag(text))?,
            max_lag_said: max_lag.is_some(),
            max_load: max_load.iter().map(|text| load(text)).collect::<Result<_, _>>()?,
            intensity,
            pause_file: args.pause_file.clone().or_else(|| check.pause_file.clone()),
            window: window(
                args.window.as_ref().or(check.window.as_ref()),
                args.timezone.as_ref().or(check.timezone.as_ref()),
            )?,
            lanes,
            digesting: args.digest.or(check.digest).unwrap_or_default(),
        })
    }
}

fn size(rows: Option<u64>, time: Option<Duration>) -> Result<ChunkSize, Failure> {
    match (rows, time) {
        (Some(rows), _) if (1..=CHUNK_ROWS[2]).contains(&rows) => Ok(ChunkSize::Rows(rows)),
        (Some(rows), _) => {
            let what = format!("a chunk has between 1 and {} rows, and not {rows}", CHUNK_ROWS[2]);
            Err(wrong(what, "--chunk-rows 1000"))
        }
        (None, Some(Duration::ZERO)) => Err(wrong("a chunk takes some time".into(), "--chunk-time 150ms")),
        (None, Some(time)) => Ok(ChunkSize::Time(time)),
        (None, None) => Ok(ChunkSize::default()),
    }
}

/// A bound of the lag; none if it is off.
fn lag(text: &str) -> Result<Option<Duration>, Failure> {
    match text {
        "off" => Ok(None),
        text => duration(text)
            .map(Some)
            .map_err(|why| wrong(format!("'{text}' is no lag: {why}"), "--max-lag 1s, or --max-lag off")),
    }
}

/// `Threads_running=25`, `Threads_running:25` or `Threads_running`.
fn load(text: &str) -> Result<MaxLoad, Failure> {
    let refuse = || wrong(format!("'{text}' is no bound of a load"), "--max-load Threads_running=25");
    let (variable, most) = match text.split_once(['=', ':']) {
        Some((variable, most)) => (variable, Some(most.trim().parse().map_err(|_| refuse())?)),
        None => (text, None),
    };
    let variable = variable.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(plain) {
        return Err(refuse());
    }
    Ok(MaxLoad { variable: variable.to_owned(), most })
}

fn window(text: Option<&String>, zone: Option<&String>) -> Result<Option<Window>, Failure> {
    let zone = match zone {
        Some(name) => name
            .parse()
            .map_err(|_| wrong(format!("there is no time zone '{name}'"), "--timezone Europe/Helsinki"))?,
        None => local_zone(),
    };
    let window = text.map(|text| Window::new(text, zone));
    window.transpose().map_err(|error| wrong(error.to_string(), "--window 22:00-06:00"))
}

/// A moment as this machine's clock on the wall shows it, in a format of chrono.
pub fn on_the_wall(seconds: u64, format: &str) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    moment.map_or(String::new(), |moment| moment.with_timezone(&local_zone()).format(format).to_string())
}

/// This machine's time zone, as the C library finds it: by `TZ`, else by `/etc/localtime`; UTC if neither names one.
fn local_zone() -> Tz {
    let named = |name: &str| name.trim_start_matches(':').parse().ok();
    if let Some(zone) = std::env::var("TZ").ok().filter(|name| !name.is_empty()) {
        return named(&zone).unwrap_or(Tz::UTC);
    }
    let link = std::fs::read_link("/etc/localtime").unwrap_or_default();
    let name = link.to_str().and_then(|path| path.split_once("zoneinfo/")).and_then(|(_, name)| named(name));
    name.or_else(|| named(std::fs::read_to_string("/etc/timezone").ok()?.trim())).unwrap_or(Tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(args: GentleArgs, check: Check) -> Result<Gentle, Failure> {
        Gentle::resolve(&args, &check)
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_the_file_over_the_default() {
        let none = resolve(GentleArgs::default(), Check::default()).unwrap();
        assert_eq!((none.max_lag, none.max_lag_said, none.lanes), (Some(MAX_LAG), false, 1));
        assert_eq!((none.size, none.intensity), (ChunkSize::default(), 1.0));
        let file = Check {
            chunk_rows: Some(500),
            max_lag: Some("off".into()),
            max_load: vec!["Threads_running=25".into(), "Threads_connected".into()],
            intensity: Some(0.5),
            window: Some("22:00-06:00".into()),
            timezone: Some("Europe/Helsinki".into()),
            threads: Some(2),
            digest: Some(Digesting::Stream),
            ..Check::default()
        };
        let by_file = resolve(GentleArgs::default(), file.clone()).unwrap();
        assert_eq!((by_file.size, by_file.max_lag, by_file.lanes), (ChunkSize::Rows(500), None, 2));
        assert_eq!((none.digesting, by_file.digesting), (Digesting::Auto, Digesting::Stream));
        assert_eq!(by_file.window.unwrap().to_string(), "22:00-06:00 (Europe/Helsinki)");
        let loads: Vec<_> = by_file.max_load.iter().map(|load| (load.variable.as_str(), load.most)).collect();
        assert_eq!(loads, [("Threads_running", Some(25)), ("Threads_connected", None)]);
        let args = GentleArgs {
            chunk_time: Some(Duration::from_secs(1)),
            max_lag: Some("1s".into()),
            max_load: vec!["Threads_running:7".into()],
            threads: Some(3),
            digest: Some(Digesting::Server),
            ..GentleArgs::default()
        };
        let both = resolve(args, file).unwrap();
        assert_eq!(both.size, ChunkSize::Time(Duration::from_secs(1)));
        assert_eq!(both.digesting, Digesting::Server);
        assert_eq!((both.max_lag, both.lanes, both.intensity), (Some(Duration::from_secs(1)), 3, 0.5));
        assert_eq!(both.max_load, [MaxLoad { variable: "Threads_running".into(), most: Some(7) }]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let text = |text: &str| Some(text.to_owned());
        for (args, part) in [
            (GentleArgs { intensity: Some(0.0), ..GentleArgs::default() }, "intensity"),
            (GentleArgs { intensity: Some(f64::NAN), ..GentleArgs::default() }, "intensity"),
            (GentleArgs { intensity: Some(1.5), ..GentleArgs::default() }, "intensity"),
            (GentleArgs { threads: Some(0), ..GentleArgs::default() }, "--threads"),
            (GentleArgs { chunk_rows: Some(0), ..GentleArgs::default() }, "rows"),
            (GentleArgs { chunk_time: Some(Duration::ZERO), ..GentleArgs::default() }, "time"),
            (GentleArgs { max_lag: text("soon"), ..GentleArgs::default() }, "lag"),
            (GentleArgs { max_load: vec!["Threads_running=many".into()], ..GentleArgs::default() }, "load"),
            (GentleArgs { max_load: vec!["a'; --=1".into()], ..GentleArgs::default() }, "load"),
            (GentleArgs { window: text("22-6"), ..GentleArgs::default() }, "window"),
            (GentleArgs { timezone: text("Europe/Nowhere"), ..GentleArgs::default() }, "time zone"),
        ] {
            let failure = resolve(args, Check::default()).unwrap_err();
            assert_eq!(failure.outcome.code(), 3, "{failure}");
            assert!(failure.what.contains(part), "{failure}");
        }
    }
}

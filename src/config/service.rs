//! What the service needs to be told: `[[schedule]]` and `[serve]`.
//!
//! ```toml
//! [[schedule]]
//! name = "nightly"
//! cron = "30 1 * * *"
//! timezone = "Europe/Helsinki"          # UTC unless said
//! tables = ["shop.*"]
//! jitter = "15m"
//! window = "01:00-05:00"                # pauses at its end, goes on the next night
//! catch_up = "one"                      # or "none": what was missed while the service was away
//! overlap = "skip"                      # or "queue", "replace": while the run before is still at work
//! policy = "prefer=db1"
//! repair = "report"                     # or "plan", "execute"
//! max_rows = 100                        # what a repair may change without a person
//!
//! [serve]
//! listen = "127.0.0.1:9187"
//! state = "/var/lib/evensum"
//! ```
//!
//! Invariant: a repair that nobody looks at needs a policy that decides, and has a cap. Not here: when a schedule is due
//! (`schedules`), and what [`Scheduled`] becomes as a command (`crate::serve::command`).

use crate::cli::span;
use crate::error::Failure;
use crate::state::RUNS_KEPT;
use schedules::{CatchUp, Expression, Overlap, Schedule, Tz, Window};
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use syncer::Policy;

/// What a repair that nobody looks at may change, unless said otherwise.
const UNATTENDED_ROWS_MAX: u64 = 100;
/// How old the last whole check may be, unless said otherwise.
const STALE_AFTER: Duration = Duration::from_secs(36 * 3_600);
/// How far a replica may be behind before somebody is told, unless said otherwise.
const LAG_TOLD: Duration = Duration::from_secs(300);
/// How often the nodes are looked at, unless said otherwise.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Where the service listens, unless said otherwise.
const LISTEN: &str = "127.0.0.1:9187";

/// `[[schedule]]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduled {
    /// What it is called.
    pub name: String,
    /// Five fields as crontab(5) means them, or `@daily` and the like.
    pub cron: String,
    /// The time zone of `cron` and `window`.
    pub timezone: Option<String>,
    /// Only tables that match; those of `[check]` if empty.
    pub tables: Vec<String>,
    /// Not the tables that match.
    pub ignore_tables: Vec<String>,
    /// A start is put off by up to so long, always by the same.
    pub jitter: Option<String>,
    /// Pause outside these hours.
    pub window: Option<String>,
    /// What becomes of times that were missed.
    pub catch_up: Option<Missed>,
    /// What becomes of a time at which the run before is still at work.
    pub overlap: Option<Meeting>,
    /// Who is right where rows differ.
    pub policy: Option<String>,
    /// What follows on a check that found something.
    pub repair: Follow,
    /// What a repair that follows may change.
    pub max_rows: Option<u64>,
    /// A start that is later than this is left out.
    pub starting_deadline: Option<String>,
    /// A run is stopped after this time.
    pub max_duration: Option<String>,
    /// Somebody is told if the last whole check is older.
    pub stale_after: Option<String>,
    /// The URL of a dead man's switch, as of healthchecks.
    pub heartbeat: Option<String>,
    /// Pause while a replica is further behind.
    pub max_lag: Option<String>,
    /// Pause while a server is as busy as this.
    pub max_load: Vec<String>,
    /// The share of the time in which to work.
    pub intensity: Option<f64>,
}

/// What becomes of times that were missed: `"one"` or true, `"none"` or false.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Word")]
pub enum Missed {
    /// One run makes up for all of them.
    One,
    /// They are left out.
    None,
}

/// What becomes of a time at which the run before is still at work.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Meeting {
    /// It is left out.
    Skip,
    /// It waits; one waits at most.
    Queue,
    /// It takes the place of the run at work.
    Replace,
}

/// What follows on a check that found something: `"report"` or false, `"plan"`, `"execute"` or true.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Word")]
pub enum Follow {
    /// Nothing but the report and the alerts.
    #[default]
    Report,
    /// A plan of the repair, for a person.
    Plan,
    /// The repair, within its cap.
    Execute,
}

/// A choice, as a word or as yes or no.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Flag(bool),
    Text(String),
}

impl TryFrom<Word> for Missed {
    type Error = String;

    fn try_from(word: Word) -> Result<Missed, String> {
        match word {
            Word::Flag(true) => Ok(Missed::One),
            Word::Flag(false) => Ok(Missed::None),
            Word::Text(text) if text == "one" => Ok(Missed::One),
            Word::Text(text) if text == "none" => Ok(Missed::None),
            Word::Text(text) => Err(format!("catch_up is \"one\" or \"none\", and not \"{text}\"")),
        }
    }
}

impl TryFrom<Word> for Follow {
    type Error = String;

    fn try_from(word: Word) -> Result<Follow, String> {
        match word {
            Word::Flag(false) => Ok(Follow::Report),
            Word::Flag(true) => Ok(Follow::Execute),
            Word::Text(text) => match text.as_str() {
                "report" => Ok(Follow::Report),
                "plan" => Ok(Follow::Plan),
                "execute" => Ok(Follow::Execute),
                _ => Err(format!("repair is \"report\", \"plan\" or \"execute\", and not \"{text}\"")),
            },
        }
    }
}

/// `[serve]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// `address:port`.
    pub listen: Option<String>,
    /// The folder of runs, alerts and accounts.
    pub state: Option<PathBuf>,
    /// By what address people reach the page, for links in alerts.
    pub external_url: Option<String>,
    /// Names by which the page may be asked for, besides those of `listen` and `external_url`.
    pub hosts: Vec<String>,
    /// The certificate that is shown, with its chain, in PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// Who connects must show a certificate of these authorities.
    pub tls_client_ca: Option<PathBuf>,
    /// How many runs are kept.
    pub keep_runs: Option<u32>,
    /// How often the nodes are looked at.
    pub look_every: Option<String>,
    /// Somebody is told if a replica is further behind.
    pub alert_lag: Option<String>,
}

/// A schedule that can be meant.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When.
    pub schedule: Schedule,
    /// As it was written.
    pub said: Scheduled,
    /// The cap of a repair that follows.
    pub max_rows: u64,
    /// How old the last whole check may be.
    pub stale_after: Duration,
}

/// A time in the configuration; `what` names its key.
pub fn time(text: Option<&String>, what: &str) -> Result<Option<Duration>, Failure> {
    let Some(text) = text else { return Ok(None) };
    span(text).map(Some).map_err(|why| {
        let example = what.rsplit(' ').next().unwrap_or(what);
        Failure::config(
            format!("{what} = \"{text}\" is no time: {why}"),
            format!("for example {example} = \"15m\""),
        )
    })
}

impl Serve {
    /// Where to listen.
    pub fn address(&self) -> Result<std::net::SocketAddr, Failure> {
        let text = self.listen.as_deref().unwrap_or(LISTEN);
        text.parse().map_err(|_| {
            Failure::config(
                format!("[serve] listen = \"{text}\" is no address"),
                format!("write an address and a port, as in listen = \"{LISTEN}\""),
            )
        })
    }

    /// How many runs are kept.
    pub fn runs_kept(&self) -> u32 {
        self.keep_runs.unwrap_or(RUNS_KEPT).max(1)
    }

    /// How often the nodes are looked at.
    pub fn look_interval(&self) -> Result<Duration, Failure> {
        let said = time(self.look_every.as_ref(), "[serve] look_every")?;
        Ok(said.unwrap_or(LOOK_EVERY).max(Duration::from_secs(1)))
    }

    /// The lag from which on somebody is told.
    pub fn lag_told(&self) -> Result<Duration, Failure> {
        Ok(time(self.alert_lag.as_ref(), "[serve] alert_lag")?.unwrap_or(LAG_TOLD))
    }
}

/// All schedules of a configuration, or why one of them cannot be meant.
pub fn plans(schedules: &[Scheduled]) -> Result<Vec<Plan>, Failure> {
    let plans: Vec<Plan> = schedules.iter().map(plan).collect::<Result<_, _>>()?;
    for (n, plan) in schedules.iter().enumerate() {
        if schedules[..n].iter().any(|before| before.name == plan.name) {
            let what = format!("two schedules are called \"{}\"", plan.name);
            return Err(Failure::config(what, "give each [[schedule]] a name of its own"));
        }
    }
    Ok(plans)
}

fn plan(said: &Scheduled) -> Result<Plan, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if said.name.is_empty() || said.name.len() > 40 || !said.name.chars().all(plain) {
        let what = format!("\"{}\" is no name of a schedule", said.name);
        return Err(Failure::config(
            what,
            "name = \"nightly\": letters, digits, '.', '_' and '-', at most 40",
        ));
    }
    let key = |key: &str| format!("schedule {}: {key}", said.name);
    let wrong = |why: String, example: &str| {
        Failure::config(format!("schedule {}: {why}", said.name), format!("for example {example}"))
    };
    let expression = Expression::from_str(&said.cron)
        .map_err(|error| wrong(error.to_string(), "cron = \"30 1 * * *\""))?;
    let zone: Tz = match &said.timezone {
        None => Tz::UTC,
        Some(name) => name.parse().map_err(|_| {
            wrong(format!("there is no time zone '{name}'"), "timezone = \"Europe/Helsinki\"")
        })?,
    };
    let window = said.window.as_ref().map(|text| Window::new(text, zone)).transpose();
    let window = window.map_err(|error| wrong(error.to_string(), "window = \"01:00-05:00\""))?;
    check_repair(said, &wrong)?;
    let schedule = Schedule {
        name: said.name.as_str().into(),
        expression,
        zone,
        jitter: time(said.jitter.as_ref(), &key("jitter"))?.unwrap_or_default(),
        catch_up: match said.catch_up {
            Some(Missed::None) => CatchUp::None,
            Some(Missed::One) | None => CatchUp::One,
        },
        overlap: match said.overlap {
            Some(Meeting::Queue) => Overlap::Queue,
            Some(Meeting::Replace) => Overlap::Replace,
            Some(Meeting::Skip) | None => Overlap::Skip,
        },
        window,
        starting_deadline: time(said.starting_deadline.as_ref(), &key("starting_deadline"))?,
        max_duration: time(said.max_duration.as_ref(), &key("max_duration"))?,
    };
    Ok(Plan {
        schedule,
        max_rows: said.max_rows.unwrap_or(UNATTENDED_ROWS_MAX),
        stale_after: time(said.stale_after.as_ref(), &key("stale_after"))?.unwrap_or(STALE_AFTER),
        said: said.clone(),
    })
}

/// Refuses a repair of which nobody could say beforehand what it does.
fn check_repair(said: &Scheduled, wrong: &dyn Fn(String, &str) -> Failure) -> Result<(), Failure> {
    let policy = said.policy.as_deref().map(Policy::from_str).transpose();
    let policy = policy.map_err(|why| wrong(why, "policy = \"majority\""))?;
    match (said.repair, policy) {
        (Follow::Plan | Follow::Execute, None) => {
            Err(wrong("a repair needs a policy that says who is right".into(), "policy = \"prefer=db1\""))
        }
        (Follow::Execute, Some(Policy::Ask)) => {
            let why = "policy = \"ask\" asks a person, and repair = \"execute\" has none".into();
            Err(wrong(why, "repair = \"plan\""))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(text: &str) -> Result<Plan, Failure> {
        let said: Scheduled = toml::from_str(text).unwrap();
        plan(&said)
    }

    #[test]
    fn a_whole_schedule_is_understood_and_what_is_not_said_is_careful() {
        let whole = scheduled(
            "name = 'nightly'\ncron = '30 1 * * *'\ntimezone = 'Europe/Helsinki'\ntables = ['shop.*']\njitter = '15m'\n\
             window = '01:00-05:00'\ncatch_up = 'none'\noverlap = 'queue'\npolicy = 'majority'\nrepair = 'execute'\n\
             max_duration = '6h'\nstale_after = '3d'",
        )
        .unwrap();
        assert_eq!(whole.schedule.jitter, Duration::from_secs(900));
        assert_eq!((whole.max_rows, whole.stale_after.as_secs()), (100, 3 * 86_400));
        let least = scheduled("name = 'n'\ncron = '@daily'").unwrap();
        assert_eq!((least.said.repair, least.schedule.zone), (Follow::Report, Tz::UTC));
        let flags =
            scheduled("name = 'n'\ncron = '@daily'\ncatch_up = false\nrepair = true\npolicy = 'majority'")
                .unwrap();
        assert_eq!((flags.said.repair, flags.schedule.catch_up), (Follow::Execute, CatchUp::None));
        let wrong = toml::from_str::<Scheduled>("name = 'n'\ncron = '@daily'\nrepair = 'mend'").unwrap_err();
        assert!(wrong.message().contains("not \"mend\""), "{wrong}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_schedule_s_name() {
        for (more, part) in [
            ("cron = '0 0 3 * * *'", "remove the first field"),
            ("cron = '@daily'\ntimezone = 'Europe/Nowhere'", "time zone"),
            ("cron = '@daily'\nwindow = '1-2'", "window"),
            ("cron = '@daily'\njitter = 'soon'", "jitter"),
            ("cron = '@daily'\nrepair = 'execute'", "policy"),
            ("cron = '@daily'\nrepair = 'execute'\npolicy = 'ask'", "asks a person"),
            ("cron = '@daily'\npolicy = 'whoever'", "whoever"),
        ] {
            let failure = scheduled(&format!("name = 'nightly'\n{more}")).unwrap_err();
            assert!(failure.what.contains(part) && failure.what.contains("nightly"), "{failure}");
            assert_eq!(failure.outcome.code(), 3);
        }
        assert!(scheduled("name = 'a b'\ncron = '@daily'").is_err());
        let twice: Scheduled = toml::from_str("name = 'n'\ncron = '@daily'").unwrap();
        assert!(plans(&[twice.clone(), twice]).unwrap_err().what.contains("two schedules"));
    }
}

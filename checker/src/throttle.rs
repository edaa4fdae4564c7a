//! When a run holds back, and why: the decision, apart from the asking, and the gate at which it waits.
//!
//! Whoever can ask the nodes hands in a [`Sight`] now and then; [`Throttle::decide`] says from it whether the run shall pause.
//! The answer is set on a [`Gate`], which the run passes before each chunk is ordered: what is on its way is read to its
//! end, nothing new begins. The gate sums the time for which the run was held, by cause.
//!
//! A link that is stopped has no lag that could be waited for. One that stopped before the run began is not waited for at
//! all; one that stops later gets [`STOPPED_WAIT`], in which a broken connection is made anew. Then the run goes on
//! without minding it, and the report says so.
//!
//! Invariant: every pause ends: by what it waits for, by a stop, or after [`PAUSE_LONGEST`], which ends the run as if it had
//! been stopped. Not here: asking, and the rest between chunks, which is [`crate::pace`]'s.

use crate::progress::{Progress, Step};
use crate::stop::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a link that stopped in the middle of a run is waited for: a replica tries to connect again every 60 s.
pub const STOPPED_WAIT: Duration = Duration::from_secs(75);
/// The longest pause; then the run ends, and can be resumed.
pub const PAUSE_LONGEST: Duration = Duration::from_secs(48 * 3_600);
/// How often a waiting run looks whether it may go on.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What a run pauses for; the time is summed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A replica is too far behind.
    Lag,
    /// A replica stopped.
    Stopped,
    /// A server is too busy.
    Load,
    /// Somebody made the file that says so.
    PauseFile,
    /// It is not the time for it.
    Window,
    /// The share of the time that was asked for is used up.
    Rest,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Lag => "lag",
            Cause::Stopped => "stopped replication",
            Cause::Load => "load",
            Cause::PauseFile => "pause file",
            Cause::Window => "window",
            Cause::Rest => "intensity",
        })
    }
}

/// Why a run pauses, with the figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// By what.
    pub cause: Cause,
    /// In words, such as `n2 is 14 s behind n1:3306 (--max-lag 10s)`.
    pub words: Box<str>,
}

/// A link, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSight {
    /// The replica.
    pub node: Box<str>,
    /// Its source.
    pub source: Box<str>,
    /// How far it is behind; `None`: it is stopped, or cannot tell.
    pub lag: Option<Duration>,
}

/// A figure of a server's load, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSight {
    /// The server.
    pub node: Box<str>,
    /// The figure's name.
    pub variable: Box<str>,
    /// What it is.
    pub value: u64,
    /// From which value on the run pauses.
    pub most: u64,
}

/// What was seen of everything for which a run may pause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The links of all nodes.
    pub links: Vec<LinkSight>,
    /// The loads of all nodes.
    pub loads: Vec<LoadSight>,
    /// The pause file, if it is there.
    pub pause_file: Option<Box<str>>,
    /// When the window opens, if it is closed.
    pub opens_at: Option<Box<str>>,
}

/// Decides from one sight to the next.
#[derive(Debug)]
pub struct Throttle {
    max_lag: Option<Duration>,
    begun: bool,
    /// Links that are stopped, and since when.
    stopped: BTreeMap<Link, Instant>,
    /// Those of them that are not minded any more.
    given_up: BTreeSet<Link>,
    notes: Vec<String>,
}

/// A replica and its source.
type Link = (Box<str>, Box<str>);

impl Throttle {
    /// A throttle with this bound of the lag.
    #[must_use]
    pub fn new(max_lag: Option<Duration>) -> Throttle {
        Throttle {
            max_lag,
            begun: false,
            stopped: BTreeMap::new(),
            given_up: BTreeSet::new(),
            notes: Vec::new(),
        }
    }

    /// Whether to pause, and why.
    pub fn decide(&mut self, sight: &Sight, now: Instant) -> Option<Reason> {
        let lag = self.lag(&sight.links, now);
        self.begun = true;
        let reason = |cause, words: String| Some(Reason { cause, words: words.into() });
        if let Some(opens_at) = &sight.opens_at {
            return reason(Cause::Window, format!("outside the window, which opens at {opens_at}"));
        }
        if let Some(path) = &sight.pause_file {
            return reason(Cause::PauseFile, format!("{path} is there"));
        }
        if let Some(load) = sight.loads.iter().find(|load| load.value >= load.most) {
            let LoadSight { node, variable, value, most } = load;
            return reason(Cause::Load, format!("{variable} is {value} on {node} (--max-load {most})"));
        }
        lag
    }

    /// What the report has to say of links that were not minded; each is said once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn lag(&mut self, links: &[LinkSight], now: Instant) -> Option<Reason> {
        let max_lag = self.max_lag?;
        let mut reason = None;
        for LinkSight { node, source, lag } in links {
            let link = (node.clone(), source.clone());
            let Some(lag) = lag else {
                reason = reason.or_else(|| self.stopped(link, now));
                continue;
            };
            self.stopped.remove(&link);
            self.given_up.remove(&link);
            if *lag > max_lag {
                let words = format!(
                    "{node} is {} s behind {source} (--max-lag {} s)",
                    lag.as_secs_f64(),
                    max_lag.as_secs_f64()
                );
                return Some(Reason { cause: Cause::Lag, words: words.into() });
            }
        }
        reason
    }

    /// A link without a lag: whether to wait for it.
    fn stopped(&mut self, link: Link, now: Instant) -> Option<Reason> {
        let since = *self.stopped.entry(link.clone()).or_insert(now);
        let waited = now.saturating_duration_since(since);
        let (node, source) = (&link.0, &link.1);
        if self.begun && waited < STOPPED_WAIT && !self.given_up.contains(&link) {
            let words = format!("replication from {source} to {node} has stopped");
            return Some(Reason { cause: Cause::Stopped, words: words.into() });
        }
        if !self.given_up.contains(&link) {
            let when = if self.begun {
                format!("had stopped and was not back within {} s", STOPPED_WAIT.as_secs())
            } else {
                "was stopped when the run began".to_owned()
            };
            self.notes.push(format!(
                "replication from {source} to {node} {when}: its lag was not minded, and what differs there cannot be settled"
            ));
            self.given_up.insert(link);
        }
        None
    }
}

/// For how long a run was held by one cause, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How long in all.
    pub time: Duration,
    /// In how many pauses.
    pub pauses: u64,
}

/// What a run passes before each chunk. Open unless [`Gate::set`] says otherwise.
#[derive(Debug, Default)]
pub struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reason: Option<Reason>,
    waiting: usize,
    /// Since when somebody waits, for the reason at hand.
    since: Option<Instant>,
    held: BTreeMap<Cause, Held>,
    notes: Vec<String>,
}

impl State {
    /// Books the time since the last booking.
    fn book(&mut self, now: Instant) {
        if let (Some(since), Some(reason)) = (self.since, &self.reason) {
            self.held.entry(reason.cause).or_default().time += now.saturating_duration_since(since);
        }
        self.since = None;
    }

    /// Begins a pause, if there is a reason and somebody waits.
    fn hold(&mut self, now: Instant) {
        if let Some(reason) = self.reason.as_ref().filter(|_| self.waiting > 0) {
            self.held.entry(reason.cause).or_default().pauses += 1;
            self.since = Some(now);
        }
    }
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the gate with this reason, or opens it.
    pub fn set(&self, reason: Option<Reason>) {
        let (mut state, now) = (self.state(), Instant::now());
        let same = |a: &Reason, b: &Reason| a.cause == b.cause;
        let unchanged = match (&state.reason, &reason) {
            (Some(before), Some(after)) => same(before, after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if unchanged {
            // the figures may be others, the pause is the same
            state.reason = reason;
            return;
        }
        state.book(now);
        state.reason = reason;
        state.hold(now);
    }

    /// Adds something that the report has to say.
    pub fn note(&self, note: String) {
        self.state().notes.push(note);
    }

    /// Books a rest.
    pub fn rested(&self, time: Duration) {
        let mut state = self.state();
        let held = state.held.entry(Cause::Rest).or_default();
        held.time += time;
        held.pauses += 1;
    }

    /// Waits until the gate is open, or until `stop` is raised; for how long it waited.
    pub async fn pass(&self, progress: &dyn Progress, stop: &Stop) -> Duration {
        let start = Instant::now();
        {
            let mut state = self.state();
            if state.reason.is_none() || stop.raised() {
                return Duration::ZERO;
            }
            state.waiting += 1;
            if state.waiting == 1 {
                state.hold(start);
            }
        }
        loop {
            let reason = self.state().reason.clone();
            let Some(reason) = reason.filter(|_| !stop.raised()) else { break };
            progress.step(Step::Paused(&reason));
            if start.elapsed() >= PAUSE_LONGEST {
                let hours = PAUSE_LONGEST.as_secs() / 3_600;
                self.note(format!("the run was paused for {hours} hours ({}), and ended", reason.words));
                stop.raise();
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        let mut state = self.state();
        state.waiting -= 1;
        if state.waiting == 0 {
            state.book(Instant::now());
            progress.step(Step::Resumed);
        }
        start.elapsed()
    }

    /// For how long the run was held, by cause.
    #[must_use]
    pub fn held(&self) -> BTreeMap<Cause, Held> {
        self.state().held.clone()
    }

    /// What the report has to say.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.state().notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);

    fn behind(node: &str, lag: Option<u64>) -> Sight {
        let link = LinkSight { node: node.into(), source: "north".into(), lag: lag.map(Duration::from_secs) };
        Sight { links: vec![link], ..Sight::default() }
    }

    fn cause(reason: Option<Reason>) -> Option<Cause> {
        reason.map(|reason| reason.cause)
    }

    #[test]
    fn only_more_than_the_lag_that_is_allowed_pauses() {
        let (mut throttle, now) = (Throttle::new(Some(10 * SECOND)), Instant::now());
        assert_eq!(throttle.decide(&behind("n2", Some(10)), now), None);
        let reason = throttle.decide(&behind("n2", Some(11)), now).unwrap();
        assert_eq!(&*reason.words, "n2 is 11 s behind north (--max-lag 10 s)");
        assert_eq!(Throttle::new(None).decide(&behind("n2", Some(99_999)), now), None);
    }

    #[test]
    fn a_link_that_stops_is_waited_for_and_then_given_up_with_a_word() {
        let (mut throttle, start) = (Throttle::new(Some(SECOND)), Instant::now());
        assert_eq!(throttle.decide(&behind("n2", Some(0)), start), None);
        assert_eq!(cause(throttle.decide(&behind("n2", None), start)), Some(Cause::Stopped));
        let nearly = start + STOPPED_WAIT - SECOND;
        assert_eq!(cause(throttle.decide(&behind("n2", None), nearly)), Some(Cause::Stopped));
        assert!(throttle.take_notes().is_empty());
        assert_eq!(throttle.decide(&behind("n2", None), start + STOPPED_WAIT), None);
        assert_eq!(throttle.decide(&behind("n2", None), start + 2 * STOPPED_WAIT), None);
        let notes = throttle.take_notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("north to n2 had stopped and was not back within 75 s"), "{notes:?}");
        // one that comes back is minded again
        let back = start + 3 * STOPPED_WAIT;
        assert_eq!(cause(throttle.decide(&behind("n2", Some(5)), back)), Some(Cause::Lag));
        assert_eq!(cause(throttle.decide(&behind("n2", None), back)), Some(Cause::Stopped));
    }

    #[test]
    fn a_link_that_was_stopped_before_is_not_waited_for() {
        let (mut throttle, now) = (Throttle::new(Some(SECOND)), Instant::now());
        assert_eq!(throttle.decide(&behind("n2", None), now), None);
        assert!(throttle.take_notes()[0].contains("was stopped when the run began"));
        assert_eq!(throttle.decide(&behind("n2", None), now), None);
        assert!(throttle.take_notes().is_empty());
    }

    #[test]
    fn the_first_reason_that_a_person_can_do_something_about_is_said() {
        let mut sight = behind("n2", Some(60));
        let decide = |sight: &Sight| cause(Throttle::new(Some(SECOND)).decide(sight, Instant::now()));
        assert_eq!(decide(&sight), Some(Cause::Lag));
        let load = LoadSight { node: "n1".into(), variable: "Threads_running".into(), value: 25, most: 25 };
        sight.loads = vec![LoadSight { value: 24, ..load.clone() }];
        assert_eq!(decide(&sight), Some(Cause::Lag));
        sight.loads = vec![load];
        assert_eq!(decide(&sight), Some(Cause::Load));
        sight.pause_file = Some("/tmp/pause".into());
        assert_eq!(decide(&sight), Some(Cause::PauseFile));
        sight.opens_at = Some("22:00".into());
        assert_eq!(decide(&sight), Some(Cause::Window));
    }

    #[tokio::test]
    async fn a_gate_holds_and_counts_by_cause_and_lets_go() {
        let (gate, stop) = (Arc::new(Gate::new()), Stop::new());
        assert_eq!(gate.pass(&Silent, &stop).await, Duration::ZERO);
        let why = |cause| Some(Reason { cause, words: "why".into() });
        gate.set(why(Cause::Lag));
        let other = gate.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            other.set(why(Cause::Load));
            tokio::time::sleep(Duration::from_millis(150)).await;
            other.set(None);
        });
        let (one, two) = tokio::join!(gate.pass(&Silent, &stop), gate.pass(&Silent, &stop));
        assert!(one >= Duration::from_millis(290) && two >= Duration::from_millis(290), "{one:?} {two:?}");
        let held = gate.held();
        for cause in [Cause::Lag, Cause::Load] {
            // two that wait at the same time wait once
            let Held { time, pauses } = held[&cause];
            assert_eq!(pauses, 1, "{held:?}");
            assert!(time >= Duration::from_millis(140) && time <= one, "{held:?}");
        }
    }

    #[tokio::test]
    async fn a_stop_ends_a_pause() {
        let (gate, stop) = (Gate::new(), Stop::new());
        gate.set(Some(Reason { cause: Cause::PauseFile, words: "why".into() }));
        let raised = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            raised.raise();
        });
        let waited = gate.pass(&Silent, &stop).await;
        assert!(waited >= Duration::from_millis(40) && waited < 5 * SECOND, "{waited:?}");
        assert_eq!(gate.held()[&Cause::PauseFile].pauses, 1);
    }
}

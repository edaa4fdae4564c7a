//! Where a run stands, for a person: one live line on a terminal, else one line in half a minute.
//!
//! A timer speaks, and not the steps: a run that waits for replication takes no step, and that is when one wants to know.
//! The time left is guessed only after one percent of the rows, and never shown as more exact than it is: the servers' own
//! guess of the number of rows is what it rests on. A pause is said with its reason and how long it lasts; where there is no
//! terminal also when it begins, but not more often than a line is written there. Everything here goes to stderr.

use crate::output;
use crate::state::Beacon;
use checker::{Cause, Progress, Reason, Step};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a line is written where there is no terminal.
const QUIET_INTERVAL: Duration = Duration::from_secs(30);
/// How often it is written where a run stands for who looks from outside.
const BEACON_INTERVAL: Duration = Duration::from_secs(1);
/// How often a terminal's line may change.
const REDRAWS_PER_SECOND: u8 = 5;
/// How often a terminal's line is brought up to date where no step does it.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);

/// Calls `speak` at this interval until it is dropped.
struct Timer(JoinHandle<()>);

impl Timer {
    fn every(interval: Duration, speak: impl Fn() + Send + 'static) -> Timer {
        Timer(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                speak();
            }
        }))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A bar on the terminal, if there is one.
fn bar(total: Option<u64>, template: &str) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    })
}

/// Shows what `line` says: live on the bar, or now and then on stderr.
fn show(bar: Option<ProgressBar>, line: impl Fn() -> String + Send + 'static) -> Timer {
    match bar {
        Some(bar) => Timer::every(LIVE_INTERVAL, move || {
            bar.set_message(line());
            bar.tick();
        }),
        None => Timer::every(QUIET_INTERVAL, move || output::note(&format!("evensum: {}", line()))),
    }
}

/// Tells a person what somebody else knows: the latest sentence that was said.
pub struct Told {
    bar: Option<ProgressBar>,
    text: Arc<Mutex<String>>,
    timer: Timer,
}

impl Told {
    /// A line on stderr.
    pub fn new(text: &str) -> Told {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let (bar, shared) = (bar(None, "{spinner} {wide_msg}"), text.clone());
        let line = move || shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Told { timer: show(bar.clone(), line), bar, text }
    }

    /// From now on it says this.
    pub fn say(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Takes the line off the terminal.
    pub fn finish(self) {
        drop(self.timer);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Listens to a run and tells a person.
pub struct Line {
    bar: Option<ProgressBar>,
    state: Arc<Mutex<State>>,
    timer: Mutex<Option<Timer>>,
    beacon: Mutex<Option<Timer>>,
}

struct State {
    start: Instant,
    table: String,
    rows: u64,
    rows_estimate: u64,
    chunks: u64,
    mismatched: u64,
    settling: Option<(usize, u32)>,
    paused: Option<Pause>,
    /// When a pause was last said apart from the line.
    said: Option<Instant>,
}

/// A pause, and since when.
struct Pause {
    since: Instant,
    cause: Cause,
    words: Box<str>,
}

impl Line {
    /// A line on stderr.
    pub fn new() -> Line {
        let state = Arc::new(Mutex::new(State {
            start: Instant::now(),
            table: String::new(),
            rows: 0,
            rows_estimate: 0,
            chunks: 0,
            mismatched: 0,
            settling: None,
            paused: None,
            said: None,
        }));
        let (bar, shared) = (bar(None, "{spinner} {wide_msg}"), state.clone());
        let line = move || shared.lock().unwrap_or_else(PoisonError::into_inner).line();
        let timer = Mutex::new(Some(show(bar.clone(), line)));
        Line { bar, state, timer, beacon: Mutex::default() }
    }

    /// Also shows where the run stands to who looks at it from outside, until the line is finished.
    pub fn show_by(&self, beacon: Beacon) {
        let shared = self.state.clone();
        let timer = Timer::every(BEACON_INTERVAL, move || {
            beacon.show(&shared.lock().unwrap_or_else(PoisonError::into_inner).document());
        });
        *self.beacon.lock().unwrap_or_else(PoisonError::into_inner) = Some(timer);
    }

    /// Takes the line off the terminal.
    pub fn finish(&self) {
        drop(self.beacon.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.timer.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Line {
    fn step(&self, step: Step<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Started { rows_estimate, .. } => state.rows_estimate = rows_estimate,
            Step::Table(table) => state.table = table.to_string(),
            Step::Chunk { rows, equal } => {
                state.rows += rows;
                state.chunks += 1;
                state.mismatched += u64::from(!equal);
                state.settling = None;
            }
            Step::Settling { keys, attempt } => state.settling = Some((keys, attempt)),
            Step::TableDone(_) => state.settling = None,
            Step::Paused(reason) => {
                if state.pause(reason) && self.bar.is_none() {
                    output::note(&format!("evensum: pausing: {}", reason.words));
                }
            }
            Step::Resumed => state.paused = None,
        }
        if let Some(bar) = &self.bar {
            bar.set_message(state.line());
            bar.tick();
        }
    }
}

/// Counts up to a known number.
pub struct Count {
    bar: Option<ProgressBar>,
    tally: Arc<Tally>,
    timer: Timer,
    beacon: Option<Timer>,
}

struct Tally {
    what: &'static str,
    start: Instant,
    done: AtomicU64,
    total: u64,
    /// Why it pauses, if it does.
    paused: Mutex<Option<String>>,
}

impl Progress for Count {
    fn step(&self, step: Step<'_>) {
        let mut paused = self.tally.paused.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Paused(reason) => {
                if paused.is_none() && self.bar.is_none() {
                    output::note(&format!("evensum: paused: {}", reason.words));
                }
                *paused = Some(reason.words.to_string());
            }
            _ => *paused = None,
        }
    }
}

impl Count {
    /// Counts `what`, from nothing to `total`.
    pub fn new(what: &'static str, total: usize) -> Count {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let tally = Arc::new(Tally {
            what,
            start: Instant::now(),
            done: AtomicU64::new(0),
            total,
            paused: Mutex::default(),
        });
        let (bar, shared) = (bar(Some(total), "{wide_bar} {msg}"), tally.clone());
        if let Some(bar) = &bar {
            bar.set_message(tally.line());
        }
        let timer = show(bar.clone(), move || shared.line());
        Count { bar, tally, timer, beacon: None }
    }

    /// Also shows where it stands to who looks at it from outside, until it is finished.
    pub fn show_by(&mut self, beacon: Beacon) {
        let tally = self.tally.clone();
        self.beacon = Some(Timer::every(BEACON_INTERVAL, move || beacon.show(&tally.document())));
    }

    /// So many are done.
    pub fn set(&self, done: usize) {
        let done = u64::try_from(done).unwrap_or(u64::MAX);
        self.tally.done.store(done, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Takes the line off the terminal.
    pub fn finish(self) {
        drop((self.timer, self.beacon));
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Tally {
    /// The same as [`Tally::line`], for a machine.
    fn document(&self) -> Value {
        let (done, elapsed) = (self.done.load(Ordering::Relaxed), self.start.elapsed());
        json!({
            "what": self.what,
            "rows": done,
            "rows_estimate": self.total,
            "elapsed_seconds": elapsed.as_secs(),
            "seconds_left": time_left(done, self.total, elapsed).map(|left| left.as_secs()),
            "paused": &*self.paused.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    fn line(&self) -> String {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total);
        let line = format!("{} of {} {}", HumanCount(done), HumanCount(total), self.what);
        if let Some(words) = &*self.paused.lock().unwrap_or_else(PoisonError::into_inner) {
            return format!("{line}, paused: {words}");
        }
        match time_left(done, total, self.start.elapsed()) {
            Some(left) => format!("{line}, {} left", HumanDuration(left)),
            None if done >= total => format!("{line}, the rows are read again on all nodes"),
            None => line,
        }
    }
}

impl State {
    /// Takes in that the run pauses; whether a person should be told at once.
    fn pause(&mut self, reason: &Reason) -> bool {
        let (cause, words) = (reason.cause, reason.words.clone());
        let lasting = self.paused.as_ref().filter(|pause| pause.cause == cause).map(|pause| pause.since);
        self.paused = Some(Pause { since: lasting.unwrap_or_else(Instant::now), cause, words });
        let tells = lasting.is_none() && self.said.is_none_or(|said| said.elapsed() >= QUIET_INTERVAL);
        if tells {
            self.said = Some(Instant::now());
        }
        tells
    }

    /// The same as [`State::line`], for a machine.
    fn document(&self) -> Value {
        let elapsed = self.start.elapsed();
        json!({
            "table": self.table,
            "rows": self.rows,
            "rows_estimate": self.rows_estimate.max(self.rows),
            "chunks": self.chunks,
            "chunks_mismatched": self.mismatched,
            "elapsed_seconds": elapsed.as_secs(),
            "seconds_left": time_left(self.rows, self.rows_estimate, elapsed).map(|left| left.as_secs()),
            "settling_rows": self.settling.map(|(keys, _)| keys),
            "paused": self.paused.as_ref().map(|pause| &*pause.words),
        })
    }

    fn line(&self) -> String {
        let elapsed = self.start.elapsed();
        let per_second =
            self.rows.saturating_mul(1_000) / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut line = format!(
            "{}  {} of about {} rows, {} chunks ({} differ), {} rows/s",
            self.table,
            HumanCount(self.rows),
            HumanCount(self.rows_estimate.max(self.rows)),
            self.chunks,
            self.mismatched,
            HumanCount(per_second)
        );
        if let Some(Pause { since, words, .. }) = &self.paused {
            line.push_str(&format!(", paused for {} s: {words}", since.elapsed().as_secs()));
        } else if let Some((keys, attempt)) = self.settling {
            line.push_str(&format!(", settling {keys} rows (attempt {attempt})"));
        } else if let Some(left) = time_left(self.rows, self.rows_estimate, elapsed) {
            line.push_str(&format!(", {} left", HumanDuration(left)));
        }
        line
    }
}

/// How long the rest takes, if it takes as long as the rows so far; nothing before one percent, nor past the estimate.
pub fn time_left(rows: u64, estimate: u64, elapsed: Duration) -> Option<Duration> {
    if rows == 0 || rows.saturating_mul(100) < estimate || rows >= estimate {
        return None;
    }
    let millis = elapsed.as_millis() * u128::from(estimate - rows) / u128::from(rows);
    u64::try_from(millis).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_not_guessed_too_early() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(9, 1_000, second), None);
        assert_eq!(time_left(10, 1_000, second), Some(Duration::from_secs(99)));
        assert_eq!(time_left(500, 1_000, second), Some(second));
        assert_eq!(time_left(1_000, 1_000, second), None);
        assert_eq!(time_left(0, 0, second), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_timer_speaks_while_nothing_happens_and_falls_silent_in_the_end() {
        let spoken = Arc::new(AtomicU64::new(0));
        let counted = spoken.clone();
        let timer = Timer::every(Duration::from_millis(5), move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let start = Instant::now();
        while spoken.load(Ordering::Relaxed) < 3 {
            assert!(start.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(timer);
        // a call that was on its way may still come
        tokio::time::sleep(Duration::from_millis(50)).await;
        let last = spoken.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(spoken.load(Ordering::Relaxed), last);
    }

    #[test]
    fn mending_says_how_much_is_left_and_when_it_verifies() {
        let Some(start) = Instant::now().checked_sub(Duration::from_secs(10)) else { return };
        let tally = |done| Tally {
            what: "rows mended",
            start,
            done: AtomicU64::new(done),
            total: 200,
            paused: Mutex::default(),
        };
        assert_eq!(tally(0).line(), "0 of 200 rows mended");
        assert_eq!(tally(100).line(), "100 of 200 rows mended, 10 seconds left");
        assert!(tally(200).line().ends_with("read again on all nodes"));
    }

    #[tokio::test]
    async fn a_pause_is_said_with_its_reason_until_it_ends() {
        let line = Line::new();
        let said = || line.state.lock().unwrap().line();
        let reason = |words: &str| Reason { cause: Cause::Lag, words: words.into() };
        line.step(Step::Paused(&reason("n2 is 14 s behind")));
        line.state.lock().unwrap().paused.as_mut().unwrap().since -= Duration::from_secs(3);
        // the figures change, the pause is the same
        line.step(Step::Paused(&reason("n2 is 12 s behind")));
        assert!(said().ends_with(", paused for 3 s: n2 is 12 s behind"), "{}", said());
        line.step(Step::Paused(&Reason { cause: Cause::Load, words: "busy".into() }));
        assert!(said().ends_with(", paused for 0 s: busy"), "{}", said());
        line.step(Step::Resumed);
        assert!(!said().contains("paused"), "{}", said());
        assert!(!line.state.lock().unwrap().pause(&reason("again")), "said a moment ago");
        line.finish();
    }

    #[tokio::test]
    async fn settling_is_said() {
        let line = Line::new();
        line.step(Step::Settling { keys: 7, attempt: 2 });
        let said = line.state.lock().unwrap().line();
        assert!(said.contains("settling 7 rows (attempt 2)"), "{said}");
        line.finish();
        assert!(line.timer.lock().unwrap().is_none());
    }
}

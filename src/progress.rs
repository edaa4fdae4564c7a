//! Where a run stands, for a person: one live line on a terminal, else one line in half a minute.
//!
//! The time left is guessed only after one percent of the rows, and never shown as more exact than it is: the servers' own
//! guess of the number of rows is what it rests on. Everything here goes to stderr.

use crate::output;
use checker::{Progress, Step};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const QUIET_INTERVAL: Duration = Duration::from_secs(30);
/// How often a terminal's line may change.
const REDRAWS_PER_SECOND: u8 = 5;

/// Listens to a run and tells a person.
pub struct Line {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    start: Instant,
    spoken: Instant,
    table: String,
    rows: u64,
    rows_estimate: u64,
    chunks: u64,
    mismatched: u64,
    settling: Option<(usize, u32)>,
}

impl Line {
    /// A line on stderr.
    pub fn new() -> Line {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        let state = State {
            start: now,
            spoken: now,
            table: String::new(),
            rows: 0,
            rows_estimate: 0,
            chunks: 0,
            mismatched: 0,
            settling: None,
        };
        Line { bar, state: Mutex::new(state) }
    }

    /// Takes the line off the terminal.
    pub fn finish(&self) {
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
        }
        if let Some(bar) = &self.bar {
            bar.set_message(state.line());
            bar.tick();
        } else if state.spoken.elapsed() >= QUIET_INTERVAL {
            state.spoken = Instant::now();
            output::note(&format!("evensum: {}", state.line()));
        }
    }
}

/// Counts up to a known number, on a terminal only.
pub struct Count(Option<ProgressBar>);

impl Count {
    /// Counts `what`, from nothing to `total`.
    pub fn new(what: &'static str, total: usize) -> Count {
        Count(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                u64::try_from(total).ok(),
                ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND),
            );
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}") {
                bar.set_style(style);
            }
            bar.with_message(what)
        }))
    }

    /// So many are done.
    pub fn set(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        }
    }

    /// Takes the line off the terminal.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl State {
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
        if let Some((keys, attempt)) = self.settling {
            line.push_str(&format!(", settling {keys} rows (attempt {attempt})"));
        } else if let Some(left) = time_left(self.rows, self.rows_estimate, elapsed) {
            line.push_str(&format!(", {} left", HumanDuration(left)));
        }
        line
    }
}

/// How long the rest takes, if it takes as long as the rows so far; nothing before one percent, nor past the estimate.
fn time_left(rows: u64, estimate: u64, elapsed: Duration) -> Option<Duration> {
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
}

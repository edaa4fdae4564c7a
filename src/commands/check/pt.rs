//! For scripts that were written for pt-table-checksum: how long each table took, and its exit bits.
//!
//! The bits are those of pt-table-checksum. What it does not know falls to the bit that such scripts look at: a row that stayed
//! unsettled is a chunk that was skipped (32), and whatever else keeps a check from being whole a table that was skipped (64).
//! Where it would exit with an errno there is 255.
//!
//! Not here: how the table looks ([`crate::render::pt`]).

use crate::clock::now_seconds;
use crate::cluster::Connected;
use crate::error::{Failure, Outcome};
use crate::progress::Line;
use crate::state::Beacon;
use checker::{Progress, Report, Step, Verdict};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const ALREADY_RUNNING: u8 = 2;
const CAUGHT_SIGNAL: u8 = 4;
const NO_REPLICAS_FOUND: u8 = 8;
const TABLE_DIFF: u8 = 16;
const SKIP_CHUNK: u8 = 32;
const SKIP_TABLE: u8 = 64;
const REPLICATION_STOPPED: u8 = 128;
const FATAL: u8 = 255;

/// When the reading of each table ended, in seconds since 1970, and how long it took.
pub type Times = BTreeMap<String, (u64, Duration)>;

/// A progress line that also looks at the clock.
pub struct Timed {
    line: Line,
    begun: Mutex<BTreeMap<String, Instant>>,
    ended: Mutex<Times>,
}

impl Timed {
    /// Begins with no table.
    pub fn new() -> Timed {
        Timed { line: Line::new(), begun: Mutex::default(), ended: Mutex::default() }
    }

    /// Also shows where the run stands to who looks at it from outside.
    pub fn show_by(&self, beacon: Beacon) {
        self.line.show_by(beacon);
    }

    /// Ends the line.
    pub fn finish(&self) {
        self.line.finish();
    }

    /// What the tables took.
    pub fn times(&self) -> Times {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Timed {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Table(table) => {
                let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.insert(table.to_string(), Instant::now());
            }
            Step::TableDone(table) => {
                let begun =
                    self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&table.to_string());
                let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
                let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.insert(table.to_string(), (now_seconds(), took));
            }
            _ => {}
        }
        self.line.step(step);
    }
}

/// The same failure with pt-table-checksum's exit code.
pub fn failed(failure: Failure) -> Failure {
    let bits = match failure.outcome {
        Outcome::Running => ALREADY_RUNNING,
        Outcome::Signal(_) => CAUGHT_SIGNAL,
        _ => FATAL,
    };
    Failure { outcome: Outcome::Bits(bits), ..failure }
}

/// The bits of a check that came to a report. Nodes that may not be asked for their links say nothing about them.
pub async fn outcome(report: &Report, whole: bool, connected: &mut [Connected]) -> Outcome {
    let (mut links, mut silent, mut stopped) = (0, false, false);
    for node in connected {
        match node.connection.replication().await {
            Ok(all) => {
                links += all.len();
                stopped |= all.iter().any(|link| !link.io_running || !link.sql_running);
            }
            Err(_) => silent = true,
        }
        silent |= node.connection.clustered().await;
    }
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    Outcome::Bits(
        bits(report, whole)
            | bit(stopped, REPLICATION_STOPPED)
            | bit(links == 0 && !silent, NO_REPLICAS_FOUND),
    )
}

/// What the report alone says.
fn bits(report: &Report, whole: bool) -> u8 {
    let any = |is: &dyn Fn(&checker::TableReport) -> bool| report.tables.iter().any(is);
    let skipped = any(&|table| table.verdict == Verdict::Skipped);
    let unsettled = any(&|table| table.chunks_unsettled > 0);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    bit(report.interrupted, CAUGHT_SIGNAL)
        | bit(any(&|table| table.rows_different > 0), TABLE_DIFF)
        | bit(unsettled, SKIP_CHUNK)
        | bit(skipped || !(whole || unsettled || report.interrupted), SKIP_TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::pt::tests::sample;

    #[test]
    fn each_thing_has_its_bit() {
        let mut report = sample();
        assert_eq!(bits(&report, false), TABLE_DIFF | SKIP_CHUNK | SKIP_TABLE);
        report.tables.truncate(2);
        assert_eq!(bits(&report, true), TABLE_DIFF);
        report.tables.truncate(1);
        assert_eq!(bits(&report, true), 0);
        // a pattern that matched nothing: what was asked for was not looked at
        assert_eq!(bits(&report, false), SKIP_TABLE);
        report.interrupted = true;
        assert_eq!(bits(&report, false), CAUGHT_SIGNAL);
    }

    #[test]
    fn what_fails_is_fatal_but_for_two_kinds() {
        assert_eq!(failed(Failure::running("x")).outcome, Outcome::Bits(2));
        assert_eq!(failed(Failure::usage("x", "")).outcome.code(), 255);
    }
}

//! The pace of a walk: how large its chunks are, how many are on their way, and when the next one may be ordered.
//!
//! The rows of a chunk follow a time: that of the slowest node for the last chunk, as it was read. The bytes bound them
//! too. A fixed number of rows can be asked for instead; then two runs over the same rows cut the same chunks.
//!
//! With an intensity below one a walk works that share of the time: it orders as many chunks as it has lanes, waits
//! until they are compared, and rests so long that work is to work and rest as it was asked for. Nothing is on its way while it
//! rests. Each walk rests by itself, so with several walks side by side the share is that of each. Nodes that digest rows do so in
//! short bursts and rest between them, for whom an application waits is not how much a server works in a minute, but how long at once.
//!
//! Invariant: a chunk never has more than [`CHUNK_ROWS`]' last rows, nor fewer than one. Not here: why a run pauses
//! ([`crate::throttle`]).

use crate::progress::Progress;
use crate::sections::{SECTIONS, SECTIONS_FINE};
use crate::stop::Stop;
use crate::throttle::Gate;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many chunks may be on their way between the scout, the readers and the walk, beside one for each lane.
pub const CHUNKS_AHEAD: usize = 3;
/// The rows of the first chunk, the fewest and the most.
pub const CHUNK_ROWS: [u64; 3] = [1_000, 10, 50_000];
/// A chunk of so few rows that takes too long does so for another reason than its rows: fewer of them would not help, and there would be
/// many more chunks.
const ROWS_FOR_TIME_LEAST: u64 = 250;
/// What is less than this part of a chunk is few rows.
const FEW: u64 = 4;
/// The time that a node should need for a chunk, unless said otherwise.
pub const CHUNK_TIME: Duration = Duration::from_millis(150);
/// The bytes that a chunk should not exceed on a node.
const CHUNK_BYTES: u64 = 4 << 20;
/// How many times the planned rows a reader takes before the chunk is cut in two.
const OVERFLOW_FACTOR: u64 = 4;
/// How often a chunk is read again, with fewer rows, whose reading took too long.
pub const RETRIES_MAX: u32 = 3;
/// By what the rows of such a chunk are divided each time: the first division makes a quarter of what was planned.
pub const RETRY_DIVISOR: u64 = OVERFLOW_FACTOR * 4;
/// The pause before a chunk is read again, times the attempt's number.
pub const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The smallest share of the time in which a walk works.
pub const INTENSITY_LEAST: f64 = 0.01;
/// The longest rest after one chunk.
const REST_LONGEST: Duration = Duration::from_secs(60);
/// How many rows a node digests with one statement, at full speed and where it rests: few enough that the statement is over in a
/// millisecond or two, after which others have their turn on a busy processor; enough that statements cost little.
const ROWS_AT_ONCE: [u64; 2] = [3_200, 800];
/// How often a resting walk looks whether it is asked to end.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// By what the size of a chunk is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkSize {
    /// A node should need this long for it.
    Time(Duration),
    /// So many rows.
    Rows(u64),
}

impl Default for ChunkSize {
    fn default() -> ChunkSize {
        ChunkSize::Time(CHUNK_TIME)
    }
}

/// What all walks of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Tempo<'a> {
    /// How large chunks are.
    pub size: ChunkSize,
    /// The share of the time in which a walk works: more than 0, at most 1.
    pub intensity: f64,
    /// Whether nodes that can are to digest rows themselves.
    pub digests: bool,
    /// What holds the run back.
    pub gate: &'a Gate,
    /// What ends it.
    pub stop: &'a Stop,
}

/// How a node digests the sections of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    /// About so many rows with one statement.
    pub rows: u64,
    /// And a rest behind it, so many times as long as it took.
    pub rest: f64,
}

impl Bursts {
    /// How many sections are digested with one statement, if so many have so many rows together.
    #[must_use]
    pub fn at_once(self, sections: usize, rows: u64) -> usize {
        let each = (rows / sections.max(1) as u64).max(1);
        usize::try_from(self.rows / each).unwrap_or(usize::MAX).clamp(1, SECTIONS)
    }

    /// The rest after so much work. What is more than a short one is left to who orders chunks, and can end it.
    #[must_use]
    pub fn rest_after(self, worked: Duration) -> Duration {
        worked.mul_f64(self.rest).min(LOOK_PAUSE)
    }
}

/// What was done since the last rest.
#[derive(Debug)]
struct Work {
    since: Instant,
    /// How many chunks may still be ordered before the next rest.
    left: usize,
    /// For how much of the time nodes rested between bursts.
    rested: Duration,
}

/// The pace of the walks over one table.
#[derive(Debug)]
pub struct Pace<'a> {
    tempo: Tempo<'a>,
    rows: Arc<AtomicU64>,
    lanes: usize,
    ordered: AtomicU64,
    retried: AtomicU64,
    work: Mutex<Work>,
}

impl<'a> Pace<'a> {
    /// The pace of a table that is read in so many lanes.
    #[must_use]
    pub fn new(tempo: Tempo<'a>, lanes: usize) -> Pace<'a> {
        let first = match tempo.size {
            ChunkSize::Time(_) => CHUNK_ROWS[0],
            ChunkSize::Rows(rows) => rows.clamp(1, CHUNK_ROWS[2]),
        };
        Pace {
            tempo,
            rows: Arc::new(AtomicU64::new(first)),
            lanes: lanes.max(1),
            ordered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            work: Mutex::new(Work { since: Instant::now(), left: 0, rested: Duration::ZERO }),
        }
    }

    /// The rows of the next chunk, shared with who cuts it.
    #[must_use]
    pub fn rows(&self) -> Arc<AtomicU64> {
        self.rows.clone()
    }

    /// Whether nodes that can are to digest rows themselves.
    #[must_use]
    pub fn digests(&self) -> bool {
        self.tempo.digests
    }

    /// Whether the nodes are to look at a chunk one after the other: a walk that is to be gentle does not take two of them at
    /// once, which may stand on one machine.
    #[must_use]
    pub fn one_by_one(&self) -> bool {
        self.rests()
    }

    /// Whether a walk works a share of the time only.
    fn rests(&self) -> bool {
        self.tempo.intensity < 1.0
    }

    /// How many times as long as it works a walk rests.
    fn rest_per_work(&self) -> f64 {
        1.0 / self.tempo.intensity.max(INTENSITY_LEAST) - 1.0
    }

    /// Whether chunks are to have a number of rows that was asked for.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.tempo.size, ChunkSize::Rows(_))
    }

    /// How many lanes read the table.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// The rows after which a reader ends its reading of a chunk.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.rows.load(Ordering::Relaxed).max(CHUNK_ROWS[1]) * OVERFLOW_FACTOR
    }

    /// How many chunks were ordered.
    #[must_use]
    pub fn ordered(&self) -> u64 {
        self.ordered.load(Ordering::Relaxed)
    }

    /// How many chunks were read again because their reading took too long.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Begins a walk: what went before it was neither work nor rest.
    pub fn begin(&self) {
        *self.work() = Work { since: Instant::now(), left: self.lanes, rested: Duration::ZERO };
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How nodes digest sections.
    #[must_use]
    pub fn bursts(&self) -> Bursts {
        Bursts { rows: ROWS_AT_ONCE[usize::from(self.rests())], rest: self.rest_per_work() }
    }

    /// Into how many sections a chunk is cut at most, behind one that differed or not.
    #[must_use]
    pub fn sections(&self, differed: bool) -> usize {
        if differed || self.rests() { SECTIONS_FINE } else { SECTIONS }
    }

    /// Takes in how long a node rested between bursts.
    pub fn rested(&self, time: Duration) {
        self.work().rested += time;
    }

    /// Ends a walk, with the rest for its last chunks.
    pub async fn end(&self) {
        if self.rests() {
            self.rest().await;
        }
    }

    /// Whether another chunk must wait until one that was ordered is compared.
    #[must_use]
    pub fn full(&self, waiting: usize) -> bool {
        if !self.rests() {
            return waiting >= CHUNKS_AHEAD + self.lanes - 1;
        }
        waiting > 0 && self.work().left == 0
    }

    /// Waits until the next chunk may be ordered.
    pub async fn ready(&self, waiting: usize, progress: &dyn Progress) {
        self.ordered.fetch_add(1, Ordering::Relaxed);
        let rests = self.rests() && waiting == 0 && self.work().left == 0;
        if rests {
            self.rest().await;
        }
        let paused = self.tempo.gate.pass(progress, self.tempo.stop).await;
        if rests {
            self.begin();
        }
        let mut work = self.work();
        work.left = work.left.saturating_sub(1);
        if !rests {
            work.since += paused;
        }
    }

    /// Rests from the work since the last rest, as far as nodes did not between bursts, and not longer than until the run is asked
    /// to end.
    async fn rest(&self) {
        let start = Instant::now();
        let (elapsed, rested) = {
            let work = self.work();
            (work.since.elapsed(), work.rested)
        };
        let owed = elapsed.saturating_sub(rested).mul_f64(self.rest_per_work());
        let rest = owed.saturating_sub(rested).min(REST_LONGEST);
        while !self.tempo.stop.raised() && start.elapsed() < rest {
            tokio::time::sleep(LOOK_PAUSE.min(rest - start.elapsed().min(rest))).await;
        }
        self.tempo.gate.rested(rested + start.elapsed());
    }

    /// Takes in how long the slowest node took for a chunk, and what it had to give.
    pub fn learn(&self, rows: u64, bytes: u64, took: Duration) {
        let ChunkSize::Time(target) = self.tempo.size else { return };
        let now = self.rows.load(Ordering::Relaxed);
        // what it costs to ask for few rows says nothing of what many cost
        if rows < CHUNK_ROWS[1].min(now) || rows < now / FEW && took < target {
            return;
        }
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let by_time = rows.saturating_mul(micros(target)) / micros(took).max(1);
        let by_bytes = CHUNK_BYTES / (bytes / rows).max(1);
        // a chunk may grow to twice or shrink to half, so that one odd measurement is not believed at once
        let next = by_time
            .max(ROWS_FOR_TIME_LEAST)
            .min(by_bytes)
            .clamp(now / 2, now * 2)
            .clamp(CHUNK_ROWS[1], CHUNK_ROWS[2]);
        self.rows.store(next, Ordering::Relaxed);
    }

    /// Takes in that a chunk took longer than a statement may. A fixed size gives way too, for every chunk would.
    pub fn too_slow(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
        let now = self.rows.load(Ordering::Relaxed);
        self.rows.store((now / RETRY_DIVISOR).max(CHUNK_ROWS[1].min(now)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::throttle::Cause;

    fn tempo<'a>(size: ChunkSize, intensity: f64, gate: &'a Gate, stop: &'a Stop) -> Tempo<'a> {
        Tempo { size, intensity, digests: true, gate, stop }
    }

    #[test]
    fn chunks_grow_and_shrink_towards_the_time_and_stay_within_the_bytes() {
        let (gate, stop) = (Gate::new(), Stop::new());
        let tempo = tempo(ChunkSize::Time(Duration::from_millis(100)), 1.0, &gate, &stop);
        let pace = Pace::new(tempo, 1);
        let rows = || pace.rows.load(Ordering::Relaxed);
        // a server that reads 100 rows a millisecond
        for _ in 0..20 {
            pace.learn(rows(), rows() * 10, Duration::from_micros(rows() * 10));
        }
        assert_eq!(rows(), 10_000);
        // it becomes ten times as slow: one reading is not believed at once
        pace.learn(rows(), rows() * 10, Duration::from_millis(1_000));
        assert_eq!(rows(), 5_000);
        for _ in 0..20 {
            pace.learn(rows(), rows() * 10, Duration::from_micros(rows() * 100));
        }
        assert_eq!(rows(), 1_000);
        pace.learn(rows(), rows() * 1_000_000, Duration::from_millis(1));
        pace.learn(500, 500_000_000, Duration::from_millis(1));
        assert_eq!(rows(), 250);
        pace.too_slow();
        assert_eq!((rows(), pace.retried()), (15, 1));
        pace.too_slow();
        assert_eq!((rows(), pace.retried()), (CHUNK_ROWS[1], 2));
        // and it grows again
        pace.learn(CHUNK_ROWS[1], 100, Duration::from_micros(100));
        assert_eq!(rows(), 20);
    }

    #[test]
    fn a_fixed_size_stays_as_long_as_it_can() {
        let (gate, stop) = (Gate::new(), Stop::new());
        let pace = Pace::new(tempo(ChunkSize::Rows(700), 1.0, &gate, &stop), 1);
        pace.learn(700, 7_000, Duration::from_secs(9));
        assert_eq!(pace.rows.load(Ordering::Relaxed), 700);
        pace.too_slow();
        assert_eq!(pace.rows.load(Ordering::Relaxed), 43);
    }

    #[tokio::test]
    async fn work_is_the_share_of_the_time_that_was_asked_for() {
        for (lanes, intensity) in [(1, 0.25), (2, 0.5)] {
            let (gate, stop) = (Gate::new(), Stop::new());
            let pace = Pace::new(tempo(ChunkSize::Rows(10), intensity, &gate, &stop), lanes);
            pace.begin();
            let (start, mut worked, mut waiting) = (Instant::now(), Duration::ZERO, 0);
            for _ in 0..6 {
                while !pace.full(waiting) {
                    pace.ready(waiting, &Silent).await;
                    waiting += 1;
                    assert!(waiting <= lanes);
                }
                let work = Instant::now();
                tokio::time::sleep(Duration::from_millis(20)).await;
                worked += work.elapsed();
                waiting -= 1;
            }
            pace.end().await;
            let rested = gate.held()[&Cause::Rest];
            assert_eq!(rested.pauses, 6 / lanes as u64);
            let share = worked.as_secs_f64() / start.elapsed().as_secs_f64();
            assert!((share - intensity).abs() < 0.1, "{share} of {intensity}, {rested:?}");
        }
    }
}

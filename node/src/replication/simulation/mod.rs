//! Histories of replicating nodes: thousands, each thrown by a seed, with everything going wrong that can.
//!
//! The nodes are real: their files, logs, sessions, relay logs, senders, receivers and appliers are the product's own, run step by
//! step in one thread, without sockets and with a clock that only moves when a step says so. `world` has the steps, `history` throws
//! them, `model` says what must come of them. A history that ends wrong is printed with its seed and its steps;
//! `EVENSUM_TEST_SEED=n` runs that one alone, and `EVENSUM_TEST_FULL=1` all ten thousand.
//!
//! Not here: two threads at one thing at the same time, and statements that wait for locks. The tests of the parts have those, and
//! the soak of whole processes.

mod applying;
mod dice;
mod ending;
mod history;
mod machine;
mod model;
mod plan;
mod resets;
mod world;

use self::history::{Outcome, run};
use self::machine::Lab;
use self::world::Mutant;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Histories of a plain run.
const SOME: u64 = 250;
/// Histories of a full run.
const ALL: u64 = 10_000;
/// A mutant that lives longer than this is not found.
const MUTANT_LIVES: u64 = 600;

/// What has to have happened, over all histories.
const HAPPENS: &[&str] = &[
    "1236",
    "a committed tail was lost",
    "a common commit failed",
    "changed",
    "connected by GTID",
    "connected by place",
    "connection dropped",
    "delayed",
    "ended equal",
    "ended in a run",
    "ended with a log that is gone",
    "ended with crossed writes",
    "killed",
    "log switched off",
    "partition",
    "passed over as known",
    "passed over for its error",
    "power cut",
    "purged",
    "relay log lost",
    "reset",
    "reset master",
    "rolled back",
    "rotated",
    "run",
    "skipped",
    "stopped",
    "stopped by a conflict",
];

fn seed_of_environment() -> Option<u64> {
    std::env::var("EVENSUM_TEST_SEED").ok().and_then(|text| text.parse().ok())
}

fn must_be_right(seed: u64, outcome: &Outcome) {
    if let Some(wrong) = &outcome.wrong {
        panic!("EVENSUM_TEST_SEED={seed}: {wrong}\n{}", outcome.steps.join("\n"));
    }
}

/// Runs the seeds below `histories` on all cores; what happened in them, until one ends wrong.
fn run_all(lab: &Lab, histories: u64) -> BTreeMap<&'static str, u64> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return counts;
            }
            let outcome = run(lab, seed, Mutant::None);
            if outcome.wrong.is_some() {
                next.store(histories, Ordering::Relaxed);
            }
            must_be_right(seed, &outcome);
            outcome.counts.iter().for_each(|(what, times)| *counts.entry(what).or_default() += times);
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for worker in workers {
            let part = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            part.iter().for_each(|(what, times)| *counts.entry(what).or_default() += times);
        }
        counts
    })
}

#[test]
fn histories_end_as_they_have_to() {
    let lab = Lab::new();
    if let Some(seed) = seed_of_environment() {
        must_be_right(seed, &run(&lab, seed, Mutant::None));
        return;
    }
    let histories = if std::env::var_os("EVENSUM_TEST_FULL").is_some() { ALL } else { SOME };
    let started = Instant::now();
    let counts = run_all(&lab, histories);
    println!("{histories} histories in {:?}: {counts:?}", started.elapsed());
    for what in HAPPENS {
        assert!(counts.get(what).is_some_and(|&times| times > 0), "it never happened: {what}");
    }
}

#[test]
fn a_seed_replays() {
    let lab = Lab::new();
    for seed in 0..12 {
        let (first, second) = (run(&lab, seed, Mutant::None), run(&lab, seed, Mutant::None));
        assert_eq!(first.steps, second.steps);
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

fn is_found(mutant: Mutant) {
    let lab = Lab::new();
    let wrong = |seed: u64| run(&lab, seed, mutant).wrong.map(|wrong| (seed, wrong));
    let found = (0..MUTANT_LIVES).find_map(wrong);
    let (seed, wrong) =
        found.unwrap_or_else(|| panic!("{mutant:?} was not found in {MUTANT_LIVES} histories"));
    println!("{mutant:?} is found by seed {seed}: {wrong}");
    assert_eq!(run(&lab, seed, Mutant::None).wrong, None, "the seed finds something else than {mutant:?}");
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    for mutant in [
        Mutant::PlaceFirst,
        Mutant::AppliesAll,
        Mutant::LosesMessage,
        Mutant::TurnsRound,
        Mutant::DiskLies,
        Mutant::SkipsErrors,
        Mutant::ForgetsPlace,
        Mutant::CountsAnew,
        Mutant::TakesFirst,
    ] {
        is_found(mutant);
    }
}

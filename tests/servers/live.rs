//! Checks of real masters that are being written to: no false difference, no miss, and how long an application waits for us.
//!
//! Each writer owns its rows, so writers and appliers never wait for one another: whatever the servers count as waits for
//! row locks is our doing. Plain `tests/run` makes a few checks; `tests/run --full` the two hundred that are promised.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::live::{live_check, plant};
use crate::workload::{Random, Workload, create_tables, full, seeds};

/// Rows that nobody writes.
const COLD_ROWS: u64 = 4_000;
/// Divergences planted.
const PLANTED: u64 = 100;
/// Transactions a second that are asked of the writers, an update of a hot row and an entry of the journal each; and that must
/// have been made where the promised counts are run. A machine that only runs the tests need not be that fast.
const RATE: [u64; 2] = [1_200, 1_000];

/// The longest that anybody may have waited for a row, on a machine that does much else: the pins of a check give way at once,
/// and last longer than that where nobody waits.
const WAIT_MS_MAX: u64 = 1_000;

/// Waits for row locks, as one server has counted them: how many, and milliseconds, all together and the longest.
#[derive(Clone, Copy, Debug)]
struct Waits {
    count: u64,
    total_ms: u64,
    longest_ms: u64,
}

fn waits(masters: &Masters) -> Vec<Waits> {
    let of = |n: usize| {
        let answer = masters.ask(n, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_%'");
        let value = |name: &str| {
            let row = answer.iter().find(|row| row[0].as_deref() == Some(name)).expect("a status");
            row[1].as_deref().expect("a value").parse().expect("a number")
        };
        Waits {
            count: value("Innodb_row_lock_waits"),
            total_ms: value("Innodb_row_lock_time"),
            longest_ms: value("Innodb_row_lock_time_max"),
        }
    };
    (1..=masters.len()).map(of).collect()
}

/// Checks beside writers on all masters, with so many seconds of delay on the link that feeds the second.
pub fn live_checks(masters: &Masters, delay_s: u32, checks: u64, seed: u64) {
    let context = format!("delay {delay_s} s, EVENSUM_SEED={seed}");
    if delay_s > 0 {
        masters.delay(2, delay_s);
    }
    let ports: Vec<u16> = (1..=masters.len()).map(|n| masters.port(n)).collect();
    let mut workload = Workload::start(&ports, RATE[0], seed);
    let planted = plant(masters, &mut Random::new(seed), PLANTED, &(0..COLD_ROWS), 1);
    let before = waits(masters);
    let (mut lagging, mut unsettled) = (0, 0);
    for _ in 0..checks {
        workload.until_more(200);
        let (l, u) = live_check(masters, &planted, &context);
        (lagging, unsettled) = (lagging + l, unsettled + u);
    }
    let after = waits(masters);
    let (committed, rate) = workload.stop();
    println!(
        "{} masters, {context}: {checks} checks beside {committed} transactions ({rate}/s); all of {PLANTED} planted were \
         found each time; {lagging} rows were on their way, {unsettled} unsettled, 0 false",
        masters.len()
    );
    for (n, (before, after)) in (1..).zip(before.iter().zip(&after)) {
        println!(
            "n{n} waited for row locks {} times, {} ms together, {} ms the longest",
            after.count - before.count,
            after.total_ms - before.total_ms,
            after.longest_ms
        );
        assert!(after.longest_ms <= WAIT_MS_MAX, "{context}: somebody waited for a row: {after:?}");
    }
    assert!(rate >= RATE[1] || !full(), "only {rate} transactions a second");
    if delay_s > 0 {
        assert!(lagging > 0, "no row was on its way: no delay, no test");
        masters.delay(2, 0);
    }
    masters.settle();
    workload.assert_nothing_lost(&context);
}

fn live_pair(program: Option<Program>, plain: [(u32, u64); 2]) {
    let Some(program) = program else { return };
    // the journal grows all the time, so each round begins anew
    let rounds = if full() { 10 } else { 1 };
    for round in 0..rounds {
        for (delay_s, checks) in plain {
            let masters = Masters::start(&program, Shape::Pair);
            create_tables(&mut masters.session(1), COLD_ROWS);
            masters.settle();
            live_checks(&masters, delay_s, if full() { 10 } else { checks }, seeds(1)[0] + round);
        }
    }
}

#[test]
fn a_mysql_pair_under_writes_gives_no_false_difference_and_hides_none() {
    live_pair(Program::mysql(), [(0, 4), (1, 2)]);
}

#[test]
fn a_mariadb_pair_under_writes_gives_no_false_difference_and_hides_none() {
    live_pair(Program::mariadb(), [(0, 4), (1, 2)]);
}

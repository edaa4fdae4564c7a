//! Repairs of real masters that are killed: evensum itself, the server that is mended, or the one that is right, at a random moment.
//!
//! Whatever was killed, every row is as it was or as it was to be; the journal names each row that was touched; the same command again
//! finishes; and what the journals hold can be undone. Now and then the journal's tail is torn off, as a power cut does.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::workload::{Random, full, seeds};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

const ROWS: u64 = 2_000;
/// Rows that differ before each kill.
const WRONGED: u64 = 400;

/// What was killed, and when.
#[derive(Debug, Default)]
struct Killed {
    evensum: u32,
    mended: u32,
    winner: u32,
    /// The repair was through before.
    late: u32,
    /// Tails of journals that were torn off.
    torn: u32,
    /// Kills after which some rows were mended and some were not.
    halfway: u32,
}

type Rows = BTreeMap<String, Option<String>>;

fn rows(masters: &Masters, n: usize) -> Rows {
    let rows = masters.ask(n, "SELECT id, CONCAT_WS('/', v, note) FROM crash.t");
    rows.into_iter().map(|mut row| (row[0].take().unwrap_or_default(), row[1].take())).collect()
}

fn wrong(masters: &Masters, random: &mut Random) {
    let mut session = masters.session(2);
    session.run("SET sql_log_bin = 0").unwrap();
    for _ in 0..WRONGED {
        let id = random.below(ROWS);
        let sql = match random.below(3) {
            0 => format!("UPDATE crash.t SET v = v + 1000000 WHERE id = {id}"),
            1 => format!("DELETE FROM crash.t WHERE id = {id}"),
            _ => format!("INSERT IGNORE INTO crash.t VALUES ({}, 1, 'extra')", id + ROWS),
        };
        session.run(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn command(masters: &Masters, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evensum"));
    command
        .args(["sync", "--execute", "--yes", "--max-rows", "100000", "--config"])
        .arg(masters.path("evensum.toml"))
        .args(more)
        .env("EVENSUM_STATE", masters.path("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The ids that a journal says are about to be written, or were.
fn journalled(masters: &Masters, run: &str) -> usize {
    let path = masters.path("state").join("journals").join(format!("{run}.journal"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| line.contains("\"intent\":{")).count()
}

/// One repair and a kill. Every second four are held, by a replica that stands still, before anything is mended: they cannot end before
/// they are killed. The others are killed at some moment after the beginning of what they write.
fn round(masters: &mut Masters, random: &mut Random, n: u32, killed: &mut Killed) {
    let (run, held) = (&*format!("kill-{n}"), (n / 4).is_multiple_of(2));
    wrong(masters, random);
    let (right, before) = (rows(masters, 1), rows(masters, 2));
    let differ = |now: &Rows, other: &Rows| {
        let keys = now.keys().chain(other.keys().filter(|key| !now.contains_key(*key)));
        keys.filter(|key| now.get(*key) != other.get(*key)).count()
    };
    if held {
        masters.stop_link(2, "SQL_THREAD");
    }
    let mut child =
        command(masters, &["--tables", "crash.*", "--policy", "prefer=n1", "--name", run]).spawn().unwrap();
    let intents = usize::try_from(random.below(40)).unwrap();
    while !held && journalled(masters, run) < intents && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(random.below(if held { 400 } else { 40 })));
    match n % 4 {
        0 => {
            killed.mended += 1;
            masters.crash(2);
            child.wait().unwrap();
            masters.restart(2);
        }
        1 => {
            killed.winner += 1;
            masters.crash(1);
            child.wait().unwrap();
            masters.restart(1);
        }
        _ if child.try_wait().unwrap().is_some() => killed.late += 1,
        _ => {
            killed.evensum += 1;
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
    if held {
        masters.start_link(2, "SQL_THREAD");
    }
    masters.settle();
    let after = rows(masters, 2);
    assert_eq!(rows(masters, 1), right, "{run}: the winner");
    for key in after.keys().chain(before.keys()).chain(right.keys()) {
        let now = after.get(key);
        assert!(
            now == before.get(key) || now == right.get(key),
            "{run}: row {key} is neither old nor mended: {now:?}"
        );
    }
    let mended = differ(&after, &before);
    assert!(
        mended <= journalled(masters, run),
        "{run}: {mended} rows were mended, which the journal does not hold"
    );
    killed.halfway += u32::from(mended > 0 && differ(&after, &right) > 0);
    if n.is_multiple_of(3) {
        tear(masters, run, killed);
    }
    // the journal is whole enough to undo what was done, and the same command finishes
    if random.below(2) == 0 && mended > 0 {
        masters.repair(&["--undo", run]);
        assert_eq!(rows(masters, 2), before, "{run}: undone");
    }
    masters.repair(&["--tables", "crash.*", "--policy", "prefer=n1"]);
    assert_eq!(rows(masters, 2), right, "{run}: finished");
}

/// Adds half a line to the end of the journal, as a write that a power cut ended leaves it.
fn tear(masters: &Masters, run: &str, killed: &mut Killed) {
    let path = masters.path("state").join("journals").join(format!("{run}.journal"));
    let Ok(text) = std::fs::read(&path) else { return };
    if text.is_empty() {
        return;
    }
    let line = text.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let half = &line[..line.len() / 2];
    std::fs::write(&path, [&text[..], half].concat()).unwrap();
    killed.torn += 1;
}

fn crashes(program: &Program, count: u32, seed: u64) {
    let mut masters = Masters::start(program, Shape::Pair);
    masters.run(1, "CREATE DATABASE crash");
    masters.run(1, "CREATE TABLE crash.t (id INT PRIMARY KEY, v INT NOT NULL, note VARCHAR(20), UNIQUE (v))");
    for start in (0..ROWS).step_by(500) {
        let rows: Vec<String> = (start..start + 500).map(|id| format!("({id}, {id}, 'n{id}')")).collect();
        masters.run(1, &format!("INSERT INTO crash.t VALUES {}", rows.join(",")));
    }
    masters.settle();
    let (mut random, mut killed) = (Random::new(seed), Killed::default());
    for n in 0..count {
        round(&mut masters, &mut random, n, &mut killed);
    }
    for n in 1..=2 {
        assert_eq!(masters.link(n, "Slave_SQL_Running"), "Yes", "{}", masters.link(n, "Last_SQL_Error"));
    }
    println!(
        "EVENSUM_SEED={seed}: {count} repairs, {killed:?}; every row was old or mended, all were finished"
    );
    let happened = [killed.evensum, killed.mended, killed.winner, killed.torn];
    assert!(!happened.contains(&0), "{killed:?}: not everything that can happen did");
    assert!(killed.halfway > 0 || count < 100, "{killed:?}: no kill left a repair half done");
}

#[test]
fn a_repair_of_mariadb_may_be_killed_at_any_moment() {
    let Some(program) = Program::mariadb() else { return };
    crashes(&program, if full() { 200 } else { 24 }, seeds(1)[0]);
}

//! Repairs of real masters whose applications write the very rows that are mended.
//!
//! Every node's writer counts and appends, in columns of its own, in all rows of a table: whatever becomes of a row, each count and
//! each list must hold exactly what was acknowledged. One more column (`x`) has one owner per row, which sets it now and then; it is wrong on
//! other nodes, and that is what is mended: it must end as its owner wrote it last. Rows are logged with what changes in them alone, so
//! that writers of one row do not undo each other, which would be the servers' doing.
//!
//! Beside them stand rows that nobody writes, of which some are missing on a node, and some are extra.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::cluster::Session;
use crate::commands::said;
use crate::workload::{Random, full, seeds};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Rows that are written all the time; as many more stand still.
const ROWS: u64 = 10_000;
/// Where the numbers of extra rows begin.
const EXTRA: u64 = 1_000_000;
/// Rows that are wronged before each repair.
const WRONGED: u64 = 500;
/// One of so many writes sets the row's `x`.
const SETS: u64 = 10;

/// What a row must hold: of each node the number of its writes and their list, and the value of its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Must {
    count: Vec<u64>,
    list: Vec<String>,
    x: u64,
}

type Ledger = Arc<Mutex<BTreeMap<u64, Must>>>;

/// One writer per node.
struct Writers {
    ledger: Ledger,
    over: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    started: Instant,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts writers that make `rate` writes a second together.
    fn start(masters: &Masters, rate: u64, seed: u64) -> Writers {
        let nodes = masters.writers() as u64;
        let blank =
            Must { count: vec![0; masters.writers()], list: vec![String::new(); masters.writers()], x: 0 };
        let ledger: Ledger = Arc::new(Mutex::new((0..ROWS).map(|id| (id, blank.clone())).collect()));
        let (over, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..nodes).map(|node| {
            let mut session = masters.session(usize::try_from(node + 1).unwrap());
            let (ledger, over, committed) = (ledger.clone(), over.clone(), committed.clone());
            let (mut random, pause) =
                (Random::new(seed * 17 + node), Duration::from_micros(1_000_000 * nodes / rate));
            std::thread::spawn(move || {
                let mut next = Instant::now();
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    next += pause;
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                    number += 1;
                    write(&mut session, node, nodes, number, &mut random, &ledger);
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Writers { ledger, over, committed, started: Instant::now(), threads }
    }

    /// Ends them; how many writes were acknowledged, and how many that is a second.
    fn stop(&mut self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("a writer ends well"));
        let committed = self.committed.load(Ordering::Relaxed);
        (committed, committed * 1_000 / u64::try_from(self.started.elapsed().as_millis()).unwrap().max(1))
    }

    /// Every node holds what was acknowledged; how many rows of which it does not.
    fn lost(&self, masters: &Masters) -> usize {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lost = 0;
        for n in 1..=masters.len() {
            let held = contents(&mut masters.session(n), masters.writers());
            lost += ledger.iter().filter(|(id, must)| held.get(id) != Some(must)).count();
            if let Some((id, must)) = ledger.iter().find(|(id, must)| held.get(id) != Some(must)) {
                println!("n{n} row {id}: {:?} and not {must:?}", held.get(id));
            }
        }
        lost
    }
}

fn write(session: &mut Session, node: u64, nodes: u64, number: u64, random: &mut Random, ledger: &Ledger) {
    let id = random.below(ROWS);
    let sets = id % nodes == node && random.below(SETS) == 0;
    let x = if sets { format!(", x = {number}") } else { String::new() };
    let n = node + 1;
    let sql =
        format!("UPDATE mend.hot SET c{n} = c{n} + 1, l{n} = CONCAT(l{n}, '{number},'){x} WHERE id = {id}");
    let changed = session.run(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(changed, 1, "{sql}");
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let must = ledger.get_mut(&id).expect("a row");
    let node = usize::try_from(node).unwrap();
    must.count[node] += 1;
    must.list[node] += &format!("{number},");
    if sets {
        must.x = number;
    }
}

fn contents(session: &mut Session, nodes: usize) -> BTreeMap<u64, Must> {
    let columns: String = (1..=nodes).map(|n| format!(", c{n}, l{n}")).collect();
    let rows = session.ask(&format!("SELECT id, x{columns} FROM mend.hot")).expect("the rows");
    let number =
        |value: &Option<String>| value.as_deref().expect("no NULL").parse::<u64>().expect("a number");
    let must = |row: &Vec<Option<String>>| Must {
        count: (0..nodes).map(|n| number(&row[2 + 2 * n])).collect(),
        list: (0..nodes).map(|n| row[3 + 2 * n].clone().expect("no NULL")).collect(),
        x: number(&row[1]),
    };
    rows.iter().map(|row| (number(&row[0]), must(row))).collect()
}

/// Makes the tables and fills them.
fn create(masters: &Masters) {
    for n in 1..=masters.len() {
        masters.run(n, "SET GLOBAL binlog_row_image = 'MINIMAL'");
        // what a link applies is logged by its own session's image
        masters.stop_link(n, "");
        masters.start_link(n, "");
    }
    let own: String = (1..=masters.writers())
        .map(|n| format!(", c{n} BIGINT NOT NULL DEFAULT 0, l{n} TEXT NOT NULL"))
        .collect();
    let lists: String = (1..=masters.writers()).map(|_| ", ''".to_owned()).collect();
    let names: String = (1..=masters.writers()).map(|n| format!(", l{n}")).collect();
    masters.run(1, "CREATE DATABASE mend");
    masters.run(1, &format!("CREATE TABLE mend.hot (id INT PRIMARY KEY, x BIGINT NOT NULL{own})"));
    masters.run(1, "CREATE TABLE mend.cold (id INT PRIMARY KEY, v VARCHAR(40), at DATETIME(3))");
    for start in (0..ROWS).step_by(1_000) {
        let hot: Vec<String> = (start..start + 1_000).map(|id| format!("({id}, 0{lists})")).collect();
        let cold: Vec<String> = (start..start + 1_000).map(|id| format!("({id}, 'v{id}', NOW(3))")).collect();
        masters.run(1, &format!("INSERT INTO mend.hot (id, x{names}) VALUES {}", hot.join(",")));
        masters.run(1, &format!("INSERT INTO mend.cold VALUES {}", cold.join(",")));
    }
    masters.settle();
}

/// Wrongs rows on nodes that do not own them, and never on the first, which is right.
fn wrong(masters: &Masters, random: &mut Random, count: u64) {
    let nodes = masters.writers() as u64;
    let mut sql: Vec<Vec<String>> = vec![vec!["SET sql_log_bin = 0".into()]; masters.writers()];
    for _ in 0..count {
        let node = 1 + random.below(nodes - 1);
        let id = random.below(ROWS);
        let at = &mut sql[usize::try_from(node).unwrap()];
        match random.below(4) {
            0 => at.push(format!("DELETE FROM mend.cold WHERE id = {id}")),
            1 => at.push(format!("INSERT IGNORE INTO mend.cold VALUES ({}, 'extra', NULL)", EXTRA + id)),
            _ if id % nodes != node => {
                at.push(format!("UPDATE mend.hot SET x = x + 1000000007 WHERE id = {id}"))
            }
            _ => {}
        }
    }
    for (n, sql) in (1..).zip(sql) {
        let mut session = masters.session(n);
        sql.iter().for_each(|sql| _ = session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
    }
}

fn repair(masters: &Masters) -> Value {
    masters.repair(&["--tables", "mend.*", "--policy", "prefer=n1", "--settle", "10s"])
}

fn mended(repair: &Value) -> u64 {
    repair["execution"]["mended"].as_u64().unwrap_or_else(|| panic!("{repair}"))
}

fn assert_links_run(masters: &Masters, context: &str) {
    for n in 1..=masters.len() {
        for (column, must) in
            [("Slave_IO_Running", "Yes"), ("Slave_SQL_Running", "Yes"), ("Last_SQL_Error", "")]
        {
            assert_eq!(masters.link(n, column), must, "n{n} {column} {context}");
        }
    }
}

/// Tables that the logs of all nodes name since these ends of them.
fn logged_since(masters: &Masters, ends: &[(String, String)]) -> Vec<String> {
    let mut tables = Vec::new();
    for (n, (file, position)) in (1..).zip(ends) {
        let events = masters.ask(n, &format!("SHOW BINLOG EVENTS IN '{file}' FROM {position}"));
        let maps = events.iter().filter(|event| event[2].as_deref() == Some("Table_map"));
        tables.extend(maps.map(|event| format!("n{n} {}", event[5].as_deref().unwrap_or_default())));
    }
    tables
}

fn ends(masters: &Masters) -> Vec<(String, String)> {
    let part = |row: &[Option<String>], n: usize| row[n].clone().expect("a part of a position");
    let of = |n: usize| masters.ask(n, masters.log_status()).swap_remove(0);
    (1..=masters.len()).map(of).map(|row| (part(&row, 0), part(&row, 1))).collect()
}

/// Mends until `target` rows are mended beside writers; then nothing may be lost, and without writers a repair is in no log.
fn mends_beside_writers(program: &Program, shape: Shape, delay_s: u32, rate: u64, target: u64, seed: u64) {
    let context = format!("{shape:?}, delay {delay_s} s, EVENSUM_SEED={seed}");
    let masters = Masters::start(program, shape);
    create(&masters);
    if delay_s > 0 {
        masters.delay(2, delay_s);
    }
    let mut random = Random::new(seed);
    let mut writers = Writers::start(&masters, rate, seed);
    let (mut done, mut repairs, mut moved) = (0, 0, 0);
    while done < target {
        wrong(&masters, &mut random, WRONGED.min(target));
        let repair = repair(&masters);
        done += mended(&repair);
        moved += repair["execution"]["moved"].as_u64().unwrap_or(0);
        repairs += 1;
        assert!(repairs < 400, "{context}: {repair:#}");
    }
    let (committed, rate) = writers.stop();
    masters.delay(2, 0);
    masters.settle();
    assert_links_run(&masters, &context);
    wrong(&masters, &mut random, 200);
    let before = ends(&masters);
    let last = repair(&masters);
    masters.settle();
    assert!(mended(&last) > 0, "{last}");
    let logged = logged_since(&masters, &before);
    assert!(logged.iter().all(|table| !table.contains("(mend.")), "{context}: {logged:?}");
    assert!(!logged.is_empty(), "the log shows nothing, not even marks");
    assert_eq!(writers.lost(&masters), 0, "{context}");
    let (code, out, err) = said(&masters.evensum(&["check", "--tables", "mend.*"]));
    assert_eq!(code, 0, "{context} {out} {err}");
    println!(
        "{context}: {done} rows mended in {repairs} repairs beside {committed} writes ({rate}/s) to the same rows; {moved} \
         left because they moved; nothing lost"
    );
}

#[test]
fn a_mariadb_pair_is_mended_while_the_same_rows_are_written() {
    let Some(program) = Program::mariadb() else { return };
    let seed = seeds(1)[0];
    let targets = if full() { [6_000, 4_000] } else { [600, 300] };
    mends_beside_writers(&program, Shape::Pair, 0, 1_000, targets[0], seed);
    mends_beside_writers(&program, Shape::Pair, 1, 200, targets[1], seed + 1);
}

#[test]
fn a_mariadb_ring_is_mended_while_the_same_rows_are_written() {
    let Some(program) = Program::mariadb() else { return };
    let targets = if full() { [1_200, 800] } else { [150, 80] };
    mends_beside_writers(&program, Shape::Ring, 0, 600, targets[0], seeds(1)[0]);
    mends_beside_writers(&program, Shape::Ring, 1, 150, targets[1], seeds(1)[0] + 1);
}

#[test]
fn a_mysql_pair_is_mended_while_the_same_rows_are_written() {
    let Some(program) = Program::mysql() else { return };
    mends_beside_writers(&program, Shape::Pair, 0, 600, if full() { 2_000 } else { 200 }, seeds(1)[0]);
}

#[test]
fn a_replica_below_a_mended_node_is_named_or_is_a_node() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::ThirdTier);
    masters.run(1, "CREATE DATABASE mend");
    masters.run(1, "CREATE TABLE mend.t (id INT PRIMARY KEY, v INT)");
    masters.run(1, "INSERT INTO mend.t VALUES (1, 1), (2, 2)");
    masters.settle();
    (2..=3).for_each(|n| masters.corrupt(n, &["UPDATE mend.t SET v = 9 WHERE id = 2"]));
    let of = |n: usize| masters.ask(n, "SELECT v FROM mend.t WHERE id = 2")[0][0].clone();
    let urls: Vec<String> = (1..=2).map(|n| masters.url(n)).collect();
    let sync = [
        "sync",
        "--tables",
        "mend.*",
        "--policy",
        "prefer=127.0.0.1:PORT",
        "--execute",
        "--yes",
        &urls[0],
        &urls[1],
    ];
    let prefer = sync[4].replace("PORT", &masters.port(1).to_string());
    let sync: Vec<&str> =
        sync.iter().map(|word| if word.contains("PORT") { &*prefer } else { word }).collect();
    let (code, out, err) = said(&masters.evensum_plain(&sync));
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("(server 3), which is not listed"), "{err}");
    assert_eq!((of(2).as_deref(), of(3).as_deref()), (Some("2"), Some("9")));
    let listed = ["sync", "--tables", "mend.*", "--policy", "prefer=n1", "--execute", "--yes"];
    let (code, out, err) = said(&masters.evensum(&listed));
    assert!(code == 0 && !err.contains("not listed"), "{out}{err}");
    assert_eq!(of(3).as_deref(), Some("2"));
}

/// What the other tool does to the same rows beside the same writers. Nothing is asserted of it.
#[test]
fn what_pt_table_sync_loses_is_printed() {
    let tool = "/usr/bin/pt-table-sync";
    let (Some(program), true) = (Program::mariadb(), std::path::Path::new(tool).exists()) else {
        eprintln!("SKIPPED: {tool} is not installed; nothing was compared");
        return;
    };
    let masters = Masters::start(&program, Shape::Pair);
    create(&masters);
    let mut random = Random::new(seeds(1)[0]);
    let mut writers = Writers::start(&masters, 1_000, 1);
    for _ in 0..if full() { 5 } else { 1 } {
        wrong(&masters, &mut random, WRONGED);
        let dsn = |n: usize| format!("h=127.0.0.1,P={},u=root,D=mend,t=hot", masters.port(n));
        let status = Command::new(tool)
            .args([
                "--execute",
                "--no-check-slave",
                "--no-check-triggers",
                "--set-vars",
                "innodb_lock_wait_timeout=5",
            ])
            .args([dsn(1), dsn(2)])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        println!(
            "pt-table-sync: {} {}",
            status.status,
            String::from_utf8_lossy(&status.stderr).lines().count()
        );
    }
    let (committed, rate) = writers.stop();
    let running = (1..=2).all(|n| masters.link(n, "Slave_SQL_Running") == "Yes");
    if running {
        masters.settle();
    }
    let lost = writers.lost(&masters);
    println!(
        "pt-table-sync beside {committed} writes ({rate}/s): {lost} rows are not as they were acknowledged; replication {}",
        if running { "runs" } else { "has stopped" }
    );
}

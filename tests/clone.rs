//! `evensum clone`: a new node joins while everybody writes, and a copy that is cut short leaves nothing behind.
//!
//! Whatever is to cut a copy short finds it going on, because the copy comes over a wire that becomes narrow in the midst of it: what
//! is left then takes a minute and more.

use crate::cluster::{Cluster, POLL, WAIT};
use crate::commands::said;
use crate::wire::{State, Wire};
use crate::workload::{Random, Workload, create_tables, full, seeds};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RATE: u64 = 200;

fn executed(cluster: &Cluster, n: usize) -> String {
    cluster.ask(n, "SELECT @@gtid_executed")[0][0].clone().unwrap()
}

fn clone(cluster: &Cluster, args: &[&str]) -> (i32, String, String) {
    said(&cluster.evensum_plain(&[&["clone"], args].concat()))
}

/// A table of so many megabytes and a row of six more, and many small ones.
fn much(cluster: &Cluster, megabytes: u32) {
    const ROWS: u32 = 64; // a megabyte
    cluster.run(1, "CREATE DATABASE big");
    cluster.run(1, "CREATE TABLE big.rows (id INT PRIMARY KEY, body LONGTEXT)");
    for n in 0..megabytes {
        let rows: Vec<String> =
            (n * ROWS..(n + 1) * ROWS).map(|id| format!("({id}, REPEAT('{id:08}', 2048))")).collect();
        cluster.run(1, &format!("INSERT INTO big.rows VALUES {}", rows.join(", ")));
    }
    cluster.run(1, &format!("INSERT INTO big.rows VALUES ({}, REPEAT('x', 6000000))", megabytes * ROWS));
    for n in 0..120 {
        cluster.run(1, &format!("CREATE TABLE big.t{n} (id INT PRIMARY KEY, v INT, KEY v (v))"));
        cluster.run(1, &format!("INSERT INTO big.t{n} VALUES (1, {n}), (2, NULL)"));
    }
}

fn assert_empty(cluster: &Cluster, n: usize, context: &str) {
    assert_eq!(executed(cluster, n), "", "{context}");
    let databases = cluster.ask(n, "SHOW DATABASES").len();
    let fresh = ["information_schema", "mysql", "performance_schema", "sys"].len();
    assert!(databases <= fresh, "{context}: {:?}", cluster.ask(n, "SHOW DATABASES"));
}

#[test]
fn a_node_joins_a_ring_that_is_written_to_and_the_ring_stays_one() {
    for seed in seeds(if full() { 4 } else { 1 }) {
        let mut cluster = Cluster::start(2);
        create_tables(&mut cluster.session(1), 3_000);
        much(&cluster, 10);
        cluster.settle();
        let mut workload = Workload::start(&[cluster.port(1), cluster.port(2)], RATE, seed);
        let new = cluster.add();
        workload.until_more(100);
        let (n1, n2, n3) = (cluster.url(1), cluster.url(2), cluster.url(new));
        let (code, out, err) = clone(&cluster, &["--json", "--ring-next", &n2, &n1, &n3]);
        assert_eq!(code, 0, "seed {seed}: {out}{err}");
        // three nodes with the increments of two
        assert!(err.contains("too few numbers"), "{err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["joined"], true);
        assert!(document["copied"]["tables"].as_u64().unwrap() >= 125, "{document}");
        assert_eq!(cluster.link(1, "Master_Port"), cluster.port(2).to_string());
        assert_eq!(cluster.link(2, "Master_Port"), cluster.port(new).to_string());
        assert_eq!(cluster.link(new, "Master_Port"), cluster.port(1).to_string());
        workload.until_more(100);
        workload.stop();
        cluster.settle();
        workload.assert_nothing_lost(&format!("seed {seed}"));
        let (code, out, err) = said(&cluster.evensum(&["check", "--no-ledger"]));
        assert_eq!(code, 0, "seed {seed}: {out}{err}");
        assert_eq!(executed(&cluster, 1), executed(&cluster, 2), "seed {seed}");
        assert_eq!(executed(&cluster, 1), executed(&cluster, new), "seed {seed}");
    }
}

#[test]
fn without_a_ring_the_source_takes_one_link_more() {
    let mut cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)");
    cluster.settle();
    let new = cluster.add();
    let (n1, n3) = (cluster.url(1), cluster.url(new));
    let (code, out, err) = clone(&cluster, &["--dry-run", &n1, &n3]);
    assert_eq!(code, 0, "{err}");
    let link = format!("CHANGE MASTER '127.0.0.1:{}' TO MASTER_HOST='127.0.0.1'", cluster.port(new));
    assert!(out.contains("nothing was changed") && out.contains(&link), "{out}");
    assert_empty(&cluster, new, "a dry run");
    let (code, out, err) = clone(&cluster, &["--check", &n1, &n3]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("it has joined") && out.contains("identical: "), "{out}");
    // each write reaches all, also from the new node to the one that it has no link with
    cluster.settle();
    assert_eq!(executed(&cluster, 2), executed(&cluster, new));
    // and a second time it is refused, before anything is changed
    let before = executed(&cluster, new);
    let (code, _, err) = clone(&cluster, &[&n1, &n3]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("is not empty") && err.contains("Nothing was changed"), "{err}");
    assert_eq!(executed(&cluster, new), before);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_changed() {
    let mut cluster = Cluster::start(2);
    let new = cluster.add();
    let (n1, n2, n3) = (cluster.url(1), cluster.url(2), cluster.url(new));
    for (args, expected, part) in [
        (&[n1.as_str(), &n1][..], 3, "listed twice"),
        (&[&n1], 3, "<TARGET>"),
        (&["--ring-next", &n3, &n1, &n2], 4, "not empty"),
        (&["--ring-next", &n1, &n1, &n3], 3, "listed twice"),
        (&["--replication-user", "repl", &n1, &n3], 3, "EVENSUM_REPLICATION_PASSWORD"),
        (&["--no-join", "--check", &n1, &n3], 3, "cannot be used with"),
        (&["mysql://root@db1.invalid", &n3], 2, "db1.invalid"),
        (&[&n1, &n2], 4, "not empty"),
    ] {
        let (code, _, err) = clone(&cluster, args);
        assert_eq!(code, expected, "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
        assert_empty(&cluster, new, part);
    }
    // n1 replicates from n2, so it is behind n2 and not behind itself
    cluster.run(1, "STOP SLAVE IO_THREAD");
    let (code, _, err) = clone(&cluster, &["--ring-next", &n1, &n2, &n3]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("does not run"), "{err}");
    assert_empty(&cluster, new, "a link that stands still");
    cluster.run(1, "START SLAVE IO_THREAD");
    // what fails behind the copy is told with the way on and the way back
    cluster.until_link(1, "Slave_IO_Running", "Yes");
    cluster.delay(new, "3000:3000");
    let writer = cluster.port(1);
    let mut workload = {
        create_tables(&mut cluster.session(1), 10);
        Workload::start(&[writer], RATE, 1)
    };
    let (code, _, err) = clone(&cluster, &["--wait", "500ms", &n1, &n3]);
    workload.stop();
    assert_eq!(code, 2, "{err}");
    for part in
        ["E0503", "has not caught up", "The copy is complete; done on", "START SLAVE", "RESET SLAVE ALL"]
    {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    assert!(!executed(&cluster, new).is_empty());
}

/// Restarts a node with one more line in its configuration.
fn configured(cluster: &mut Cluster, n: usize, line: &str) {
    let path = cluster.path(&format!("n{n}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    cluster.kill(n);
    std::fs::write(&path, format!("{line}\n{text}")).unwrap();
    cluster.restart(n);
}

#[test]
fn a_node_that_would_not_pass_on_what_it_gets_is_refused_before_the_ring_is_broken() {
    let mut cluster = Cluster::start(2);
    for (line, setting) in
        [("log_slave_updates = false", "log_slave_updates"), ("skip_log_bin = true", "log_bin")]
    {
        let new = cluster.add();
        configured(&mut cluster, new, line);
        let (n1, n2, n3) = (cluster.url(1), cluster.url(2), cluster.url(new));
        for ring in [&["--ring-next", n2.as_str()][..], &[]] {
            let (code, _, err) = clone(&cluster, &[ring, &[n1.as_str(), &n3]].concat());
            assert_eq!(code, 4, "{err}");
            assert!(err.contains(setting) && err.contains("does not pass on"), "{err}");
            assert_empty(&cluster, new, setting);
        }
        assert_eq!(cluster.link(2, "Master_Port"), cluster.port(1).to_string());
        let (code, _, err) = clone(&cluster, &["--no-join", &n1, &n3]);
        assert_eq!(code, 0, "{err}");
    }
}

#[test]
fn a_copy_goes_encrypted_where_the_source_was_reached_so() {
    let mut cluster = Cluster::start(2);
    let new = cluster.add();
    configured(&mut cluster, 1, "require_secure_transport = true");
    let (n1, n3) = (cluster.url(1), cluster.url(new));
    let plain = format!("{n1}{}ssl-mode=DISABLED", if n1.contains('?') { "&" } else { "?" });
    let (code, _, err) = clone(&cluster, &["--dry-run", &plain, &n3]);
    assert!(code != 0 && err.contains("insecure transport"), "{err}");
    let (code, out, err) = clone(&cluster, &[&n1, &n3]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(cluster.link(new, "Master_SSL_Allowed"), "Yes");
}

/// So much a wire carries at least before it is narrow: what is asked and answered beside a copy is less.
const BESIDE: usize = 1 << 20;

/// Begins a clone to the node, of what is at the other end of the wire.
fn begin(cluster: &Cluster, wire: &Wire, new: usize, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(["clone", "--no-input"])
        .args(more)
        .args([format!("mysql://root@127.0.0.1:{}", wire.port), cluster.url(new)])
        .env("HOME", cluster.folder())
        .env("EVENSUM_STATE", cluster.path("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The same, once so many bytes of the copy have come and the rest comes slowly.
fn begin_and_hold(cluster: &Cluster, wire: &Wire, new: usize, bytes: usize, more: &[&str]) -> Child {
    let before = wire.narrowed();
    wire.put(State::Narrow(bytes));
    let mut child = begin(cluster, wire, new, more);
    let start = Instant::now();
    while wire.narrowed() == before {
        assert!(start.elapsed() < WAIT && child.try_wait().unwrap().is_none(), "there was no copy");
        std::thread::sleep(POLL);
    }
    assert_eq!(state(cluster, new), "In Progress");
    child
}

fn state(cluster: &Cluster, n: usize) -> String {
    cluster.session(n).column("SHOW CLONE STATUS", "State").unwrap()
}

/// Waits until a copy is over, in whatever way.
fn until_over(cluster: &Cluster, n: usize, context: &str) {
    let start = Instant::now();
    while state(cluster, n) == "In Progress" {
        assert!(start.elapsed() < WAIT, "{context}: the copy goes on");
        std::thread::sleep(POLL);
    }
}

#[test]
fn a_copy_that_is_killed_leaves_the_new_node_empty_and_the_source_whole() {
    const MEGABYTES: u32 = 8;
    let rounds = if full() { 36 } else { 9 };
    let seed = seeds(1)[0];
    let mut random = Random::new(seed);
    let mut cluster = Cluster::start(1);
    much(&cluster, MEGABYTES);
    let all = "SELECT COUNT(*), SUM(LENGTH(body)) FROM big.rows";
    let (rows, own) = (cluster.ask(1, all), executed(&cluster, 1));
    let new = cluster.add();
    let wire = Wire::to(cluster.port(1));
    // what is dropped on the new node stays there
    let apart = &["--no-join"];
    let (mut in_copy, mut late) = ([0, 0, 0], 0);
    for round in 0..rounds {
        let context = format!("seed {seed}, round {round}");
        let (victim, held) = (round % 3, round / 3 % 3 < 2);
        let mut child = if held {
            let deep = random.below(u64::from(MEGABYTES - 1) << 20);
            begin_and_hold(&cluster, &wire, new, BESIDE + usize::try_from(deep).unwrap(), apart)
        } else {
            // at any moment, also before the copy, at its commit and behind it
            wire.put(State::Whole);
            let child = begin(&cluster, &wire, new, apart);
            std::thread::sleep(Duration::from_millis(random.below(1_500)));
            child
        };
        match victim {
            2 => {
                child.kill().unwrap();
                child.wait().unwrap(); // its connections are closed
            }
            _ => {
                let node = if victim == 0 { new } else { 1 };
                cluster.kill(node);
                cluster.restart(node);
            }
        }
        wire.put(State::Whole);
        let status = child.wait().unwrap();
        assert_eq!(cluster.ask(1, all), rows, "{context}");
        until_over(&cluster, new, &context);
        if !held && executed(&cluster, new) == own {
            // the kill came after the commit: then it is all there
            late += 1;
            assert_eq!(cluster.ask(new, all), rows, "{context}");
            for sql in ["DROP DATABASE big", "DROP DATABASE harness", "RESET MASTER"] {
                cluster.run(new, sql);
            }
            continue;
        }
        assert!(!status.success(), "{context}");
        assert_empty(&cluster, new, &context);
        in_copy[victim] += u32::from(held);
    }
    println!("killed in the copy: target, source, command {in_copy:?}, too late {late}");
    assert!(in_copy.iter().all(|&count| count > 0), "{in_copy:?}");
    let (code, out, err) = clone(&cluster, &["--no-join", &cluster.url(1), &cluster.url(new)]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("it has not joined"), "{out}");
    assert_eq!(cluster.ask(new, all), rows);
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn ctrl_c_ends_a_copy_and_says_what_there_is() {
    let mut cluster = Cluster::start(1);
    much(&cluster, 8);
    let new = cluster.add();
    let wire = Wire::to(cluster.port(1));
    let child = begin_and_hold(&cluster, &wire, new, BESIDE, &[]);
    signal(&child, "-INT");
    let (code, _, err) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{err}");
    assert!(err.contains("is as empty as it was"), "{err}");
    assert_empty(&cluster, new, &err);
    // one that comes behind the copy's commit, and before the command has heard of that
    let child = begin_and_hold(&cluster, &wire, new, BESIDE, &[]);
    signal(&child, "-STOP");
    wire.put(State::Whole);
    until_over(&cluster, new, "nobody ended it");
    assert_eq!(state(&cluster, new), "Completed");
    signal(&child, "-INT");
    signal(&child, "-CONT");
    let (code, _, err) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{err}");
    assert!(err.contains("is complete") && err.contains("START SLAVE"), "{err}");
    let own = executed(&cluster, 1);
    cluster.until(new, "SELECT @@gtid_executed", &own);
}

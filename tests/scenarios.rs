//! What goes wrong with masters in life, and what evensum says and does about it.

use crate::cluster::{Cluster, POLL};
use crate::commands::{evensum, said};
use crate::gentle::until_said;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const SHOP: [&str; 3] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.products (id INT NOT NULL PRIMARY KEY, name VARCHAR(60), stock INT, price DECIMAL(10,2))",
    "CREATE TABLE shop.items (o BIGINT NOT NULL, line INT NOT NULL, note TEXT, PRIMARY KEY (o, line))",
];

/// A cluster with a few thousand rows that all nodes have.
fn shop(nodes: usize) -> Cluster {
    let cluster = Cluster::start(nodes);
    for sql in SHOP {
        cluster.run(1, sql);
    }
    let rows = |of: &dyn Fn(u32) -> String| (1..=2_000).map(of).collect::<Vec<_>>().join(",");
    let products = rows(&|id| format!("({id}, 'p{id} é', {}, {}.10)", id % 90, id % 70));
    let items = rows(&|id| format!("({}, {}, {})", id / 3, id % 3, if id % 5 == 0 { "NULL" } else { "'x'" }));
    cluster.run(1, &format!("INSERT INTO shop.products VALUES {products}"));
    cluster.run(1, &format!("INSERT INTO shop.items VALUES {items}"));
    cluster.settle();
    cluster
}

const PLANTED: [&str; 6] = [
    "UPDATE shop.products SET stock = stock + 1000 WHERE id = 100",
    "UPDATE shop.products SET name = NULL WHERE id = 101",
    "DELETE FROM shop.products WHERE id = 102",
    "INSERT INTO shop.products VALUES (9001, '', 0, 0.01)",
    "UPDATE shop.items SET note = '' WHERE o = 5 AND line = 0",
    "DELETE FROM shop.items WHERE o = 6 AND line = 1",
];
const PLANTED_KEYS: [&str; 6] = [
    "products id=100",
    "products id=101",
    "products id=102",
    "products id=9001",
    "items o=5 line=0",
    "items o=6 line=1",
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The rows that a report names, as `table key=value`.
fn named(report: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or("NULL").to_owned();
    let divergences = report["divergences"].as_array().unwrap();
    divergences
        .iter()
        .map(|divergence| {
            let key = divergence["key"].as_object().unwrap();
            let key: Vec<String> =
                key.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
            format!("{} {}", text(&divergence["table"]), key.join(" "))
        })
        .collect()
}

fn check(cluster: &Cluster) -> (i32, Value) {
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "shop.*", "--json"]));
    assert!(!out.is_empty(), "{err}");
    (code, json(&out))
}

fn contents(cluster: &Cluster, n: usize) -> Vec<crate::cluster::TextRows> {
    let tables = ["SELECT * FROM shop.products ORDER BY id", "SELECT * FROM shop.items ORDER BY o, line"];
    tables.iter().map(|sql| cluster.ask(n, sql)).collect()
}

#[test]
fn every_kind_of_divergence_is_found_mended_and_can_be_put_back() {
    let cluster = shop(2);
    assert_eq!(check(&cluster).0, 0);
    cluster.corrupt(2, &PLANTED);
    let (good, bad) = (contents(&cluster, 1), contents(&cluster, 2));
    let (code, report) = check(&cluster);
    assert_eq!(code, 1);
    assert_eq!(named(&report), PLANTED_KEYS.iter().map(|&key| key.to_owned()).collect());
    assert_eq!(report["schema_version"], 1);
    let changed = report["divergences"].as_array().unwrap().iter().find(|d| d["key"]["id"] == "100").unwrap();
    assert_eq!(changed["versions"][0]["row"]["stock"], "10");
    assert_eq!(changed["versions"][1]["row"]["stock"], "1010");
    assert_eq!(changed["versions"][1]["nodes"][0], "n2");
    let products = report["tables"].as_array().unwrap().iter().find(|t| t["table"] == "products").unwrap();
    assert_ne!(products["fingerprint"]["n1"], products["fingerprint"]["n2"]);

    let sync = ["sync", "--tables", "shop.*", "--policy", "prefer=n1"];
    let (code, plan, _) = said(&cluster.evensum(&sync));
    assert_eq!(code, 1);
    assert_eq!(plan.matches(";  -- ").count(), PLANTED.len(), "{plan}");
    assert_eq!(contents(&cluster, 2), bad, "a plan changes nothing");

    let execute: Vec<&str> = sync.iter().copied().chain(["--execute"]).collect();
    let (code, _, err) = said(&cluster.evensum(&execute));
    assert_eq!((code, contents(&cluster, 2)), (4, bad.clone()), "{err}");
    let few: Vec<&str> = execute.iter().copied().chain(["--yes", "--max-rows", "5"]).collect();
    let (code, _, err) = said(&cluster.evensum(&few));
    assert_eq!((code, contents(&cluster, 2)), (4, bad.clone()), "{err}");
    let yes: Vec<&str> = execute.iter().copied().chain(["--yes", "--name", "first"]).collect();
    let (code, out, err) = said(&cluster.evensum(&yes));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!((contents(&cluster, 1), contents(&cluster, 2)), (good.clone(), good.clone()));
    let (code, report) = check(&cluster);
    assert_eq!((code, report["verdict"].as_str()), (0, Some("identical")));
    assert_eq!(report["tables"][0]["fingerprint"]["n1"], report["tables"][0]["fingerprint"]["n2"]);

    let (code, out, err) = said(&cluster.evensum(&["sync", "--undo", "first", "--execute", "--yes"]));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!((contents(&cluster, 1), contents(&cluster, 2)), (good, bad), "{out}{err}");
}

#[test]
fn on_a_ring_of_three_the_majority_wins() {
    let cluster = shop(3);
    cluster.corrupt(3, &PLANTED);
    let (code, report) = check(&cluster);
    assert_eq!((code, named(&report).len()), (1, PLANTED.len()));
    let (code, out, err) =
        said(&cluster.evensum(&["sync", "--tables", "shop.*", "--policy", "majority", "--execute", "--yes"]));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(contents(&cluster, 3), contents(&cluster, 1));
    assert_eq!(check(&cluster).0, 0);
}

#[test]
fn tables_that_cannot_be_compared_are_skipped_with_the_reason() {
    let cluster = shop(2);
    cluster.run(1, "CREATE TABLE shop.heap (a INT)");
    cluster.settle();
    for (n, sql) in [
        (1, "CREATE TABLE shop.here (id INT NOT NULL PRIMARY KEY)"),
        (1, "CREATE TABLE shop.wide (id INT NOT NULL PRIMARY KEY, n INT)"),
        (2, "CREATE TABLE shop.wide (id INT NOT NULL PRIMARY KEY, n BIGINT)"),
    ] {
        let mut session = cluster.session(n);
        session.run("SET sql_log_bin = 0").unwrap();
        session.run(sql).unwrap();
    }
    let (code, report) = check(&cluster);
    assert_eq!((code, report["verdict"].as_str()), (2, Some("skipped")));
    for (table, part) in
        [("heap", "no primary key"), ("here", "no such table on n2"), ("wide", "definitions differ")]
    {
        let found = report["tables"].as_array().unwrap().iter().find(|t| t["table"] == table).unwrap();
        let reason = found["reason"].as_str().unwrap_or_default();
        assert!(found["verdict"] == "skipped" && reason.contains(part), "{found}");
    }
    let (code, _, err) = said(&cluster.evensum(&["check", "--tables", "shop.producs"]));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no table matches 'shop.producs'"), "{err}");
}

#[test]
fn a_stopped_replication_is_never_identical_and_never_different() {
    let cluster = shop(2);
    cluster.partition(2);
    cluster.run(1, "UPDATE shop.products SET stock = 7 WHERE id = 1");
    let (code, out, err) =
        said(&cluster.evensum(&["check", "--tables", "shop.*", "--settle", "2s", "--json"]));
    assert_eq!(code, 2, "{err}");
    assert_eq!(json(&out)["verdict"], "unsettled");
    let (code, status, _) = said(&cluster.evensum(&["status"]));
    assert_eq!(code, 2);
    assert!(status.contains("IO No"), "{status}");
    cluster.heal(2);
    cluster.settle();
    assert_eq!(check(&cluster).0, 0);
    cluster.run(2, "SET GLOBAL read_only = 1");
    let (code, out, _) = said(&cluster.evensum(&["status", "--json"]));
    let nodes = &json(&out)["nodes"];
    assert_eq!(
        (code, nodes[0]["read_only"].as_bool(), nodes[1]["read_only"].as_bool()),
        (0, Some(false), Some(true))
    );
    assert_eq!(nodes[1]["links"][0]["source"], format!("127.0.0.1:{}", cluster.port(1)));
}

#[test]
fn a_duplicate_key_that_is_skipped_leaves_two_rows_and_is_found() {
    let cluster = shop(2);
    (1..=2).for_each(|n| cluster.delay(n, "300:300"));
    std::thread::scope(|scope| {
        for n in 1..=2 {
            let sql = format!("INSERT INTO shop.products VALUES (5000, 'from n{n}', {n}, 1.00)");
            let cluster = &cluster;
            scope.spawn(move || cluster.run(n, &sql));
        }
    });
    for n in 1..=2 {
        cluster.until_link(n, "Last_SQL_Errno", "1062");
        cluster.skip(n);
    }
    cluster.settle();
    let (code, report) = check(&cluster);
    assert_eq!((code, named(&report)), (1, BTreeSet::from(["products id=5000".to_owned()])));
}

#[test]
fn a_wrong_password_and_the_same_server_by_two_names_are_refused() {
    let cluster = Cluster::with(2, "right");
    let nodes = (cluster.url(1), cluster.url(2));
    let run = |password: &str, nodes: [&str; 2]| {
        let output = Command::new(env!("CARGO_BIN_EXE_evensum"))
            .args(["check", nodes[0], nodes[1]])
            .env("EVENSUM_STATE", cluster.path("state"))
            .env("EVENSUM_PASSWORD", password)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        said(&output)
    };
    let (code, out, err) = run("wrong!", [&nodes.0, &nodes.1]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("E0202") && err.contains("Access denied") && !err.contains("wrong!"), "{err}");
    let other_name = format!("mysql://root@localhost:{}", cluster.port(1));
    let (code, _, err) = run("right", [&nodes.0, &other_name]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("same server"), "{err}");
    assert_eq!(run("right", [&nodes.0, &nodes.1]).0, 0);
    let (code, _, err) = said(&cluster.evensum_plain(&["check", "--digest", "server", &nodes.0, &nodes.1]));
    assert_eq!(code, 3, "{err}");
}

#[test]
fn a_second_run_is_told_who_is_at_work_and_a_signal_ends_the_first() {
    let cluster = shop(2);
    cluster.corrupt(2, &PLANTED[..1]);
    cluster.partition(2);
    let config = cluster.path("evensum.toml");
    let mut first = Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(["check", "--settle", "60s", "--config"])
        .arg(&config)
        .env("EVENSUM_STATE", cluster.path("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // it looks at rows, so it has the right to
    cluster.until(1, "SELECT COUNT(*) > 0 FROM evensum.checksums", "1");
    let (code, _, err) = said(&cluster.evensum(&["check"]));
    assert_eq!(code, 5, "{err}");
    assert!(err.contains(&first.id().to_string()), "{err}");
    let id = first.id().to_string();
    let term = || Command::new("kill").args(["-TERM", &id]).status().unwrap();
    // the first asks, the second insists
    assert!(term().success());
    until_said(&mut first, "once more ends it at once");
    term();
    assert_eq!(first.wait().unwrap().code(), Some(143));
    cluster.heal(2);
    cluster.settle();
    assert_eq!(check(&cluster).0, 1);
}

/// Writes owned rows on every node until told to stop.
fn write_everywhere<T>(cluster: &Cluster, during: impl FnOnce(&AtomicU64) -> T) -> T {
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for n in 1..=cluster.len() {
            let (over, written, nodes) = (&over, &written, cluster.len());
            scope.spawn(move || {
                let mut session = cluster.session(n);
                let mut round = 0_usize;
                while !over.load(Ordering::Relaxed) {
                    round += 1;
                    // ids of this node's own, in a hot set of 1,000
                    let id = 201 + (round * 7 % (1_000 / nodes)) * nodes + (n - 1);
                    let sql = match round % 5 {
                        0 => format!("DELETE FROM shop.products WHERE id = {id}"),
                        1 => format!("REPLACE INTO shop.products VALUES ({id}, 'r{round}', {round}, 1.00)"),
                        // there and back again: a row that looks still while it moves
                        k => format!("UPDATE shop.products SET stock = {} WHERE id = {id}", k % 2),
                    };
                    session.run(&sql).unwrap_or_else(|error| panic!("n{n}: {sql}: {error}"));
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let result = during(&written);
        over.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn rows_on_their_way_are_no_differences_while_all_nodes_are_written() {
    const CHECKS: usize = 4;
    let cluster = shop(2);
    cluster.delay(1, "0:200");
    cluster.delay(2, "0:200");
    cluster.corrupt(2, &PLANTED);
    let planted: BTreeSet<String> = PLANTED_KEYS.iter().map(|&key| key.to_owned()).collect();
    write_everywhere(&cluster, |written| {
        for _ in 0..CHECKS {
            let before = written.load(Ordering::Relaxed);
            while written.load(Ordering::Relaxed) < before + 60 {
                std::thread::sleep(POLL);
            }
            let (code, report) = check(&cluster);
            assert_eq!((code, named(&report)), (1, planted.clone()), "{:#}", report["unsettled"]);
        }
        let (_, out, err) = said(&cluster.evensum(&[
            "sync",
            "--tables",
            "shop.*",
            "--policy",
            "prefer=n1",
            "--execute",
            "--yes",
        ]));
        assert!(out.contains(&format!("mended: {} of", PLANTED.len())), "{out}{err}");
        let (_, report) = check(&cluster);
        assert!(named(&report).is_empty(), "{report:#}");
    });
    cluster.settle();
    assert_eq!(contents(&cluster, 1), contents(&cluster, 2));
}

#[test]
fn a_node_that_is_killed_comes_back_with_every_acknowledged_write() {
    let mut cluster = shop(2);
    cluster.run(1, "CREATE TABLE shop.acks (id INT NOT NULL PRIMARY KEY)");
    cluster.settle();
    for round in 0..5 {
        let victim = if round % 2 == 0 { 1 } else { 2 };
        let mut session = cluster.session(victim);
        let acknowledged = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&acknowledged);
        let writer = std::thread::spawn(move || {
            for id in 0.. {
                let key = round * 1_000_000 + id;
                if session.run(&format!("INSERT INTO shop.acks VALUES ({key})")).is_err() {
                    break;
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 20 + round * 7 {
            assert!(!writer.is_finished(), "round {round}: the writer has ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        cluster.kill(victim);
        writer.join().unwrap();
        let written = acknowledged.load(Ordering::SeqCst);
        cluster.restart(victim);
        cluster.settle();
        for n in 1..=2 {
            let sql = format!(
                "SELECT COUNT(*) FROM shop.acks WHERE id BETWEEN {} AND {}",
                round * 1_000_000,
                round * 1_000_000 + written - 1
            );
            assert_eq!(cluster.ask(n, &sql)[0][0], Some(written.to_string()), "n{n}, round {round}");
        }
    }
    assert_eq!(check(&cluster).0, 0);
}

#[test]
fn a_broken_state_folder_touches_no_node() {
    let cluster = shop(2);
    std::fs::create_dir_all(cluster.path("state")).unwrap();
    std::fs::write(cluster.path("state/runs.sqlite"), "not a database, though long enough to look at")
        .unwrap();
    let before = contents(&cluster, 1);
    let output = evensum(cluster.folder(), &["check", &cluster.url(1), &cluster.url(2)]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(contents(&cluster, 1), before);
    // not even its own database was made
    let sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'evensum'";
    assert_eq!(cluster.ask(1, sql)[0][0].as_deref(), Some("0"));
}

/// Nodes that log statements diverge as they do in life, and are checked and mended as others are: a repair's own
/// statements do the same everywhere.
#[test]
fn nodes_that_log_statements_diverge_by_uuid_and_are_mended() {
    let cluster = shop(2);
    for n in 1..=2 {
        cluster.run(n, "SET GLOBAL binlog_format = STATEMENT");
    }
    cluster.run(1, "UPDATE shop.products SET stock = stock + 1, name = CONCAT(NOW(6), name) WHERE id < 50");
    cluster.settle();
    assert_eq!(check(&cluster).0, 0);
    cluster.run(1, "UPDATE shop.products SET name = UUID() WHERE id = 7");
    cluster.run(2, "INSERT INTO shop.items VALUES (9001, 1, UUID())");
    cluster.settle();
    cluster.corrupt(2, &PLANTED);
    let (code, report) = check(&cluster);
    let uuids = ["products id=7", "items o=9001 line=1"];
    let all: BTreeSet<String> = PLANTED_KEYS.iter().chain(&uuids).map(|&key| key.to_owned()).collect();
    assert_eq!((code, named(&report)), (1, all));
    cluster.repair(&["--tables", "shop.*", "--policy", "prefer=n1"]);
    cluster.settle();
    assert_eq!(check(&cluster).0, 0);
    assert_eq!(contents(&cluster, 1), contents(&cluster, 2));
    for n in 1..=2 {
        assert_eq!(cluster.link(n, "Last_SQL_Errno"), "0");
    }
    cluster.run(1, "SET GLOBAL binlog_format = ROW");
    cluster.run(1, "UPDATE shop.products SET name = UUID() WHERE id = 8");
    cluster.settle();
    assert_eq!(check(&cluster).0, 0);
}

#[test]
fn a_pair_whose_logs_hold_only_their_own_writes_is_never_called_identical_nor_mended_wrongly() {
    let more = "innodb_flush_log_at_trx_commit = 2\nlog_slave_updates = false";
    let cluster = Cluster::apart(2, "", more);
    for (n, source) in [(1, 2), (2, 1)] {
        cluster.link_to(n, cluster.port(source));
    }
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)");
    cluster.run(1, "INSERT INTO shop.t VALUES (1, 0), (2, 0), (3, 0)");
    cluster.settle();
    let (code, out, err) = said(&cluster.evensum(&["check", "--no-ledger"]));
    assert_eq!(code, 0, "equal rows need no log: {out}{err}");
    cluster.corrupt(2, &["UPDATE shop.t SET v = 7 WHERE id = 2"]);
    let (code, out, err) = said(&cluster.evensum(&["check", "--no-ledger"]));
    assert_ne!(code, 0, "{out}{err}");
    // somebody goes on writing what the other's log does not hold
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut session, mut n) = (cluster.session(1), 0);
            while !over.load(Ordering::Relaxed) {
                n += 1;
                session.run(&format!("UPDATE shop.t SET v = {n} WHERE id = 3")).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            n
        });
        let (code, out, err) = said(&cluster.evensum(&["check", "--no-ledger", "--json"]));
        over.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        // where the writer's changes are seen on one node only, they may be unsettled, and are no difference
        assert!(code != 0 && !named(&json(&out)).contains("t id=3"), "{out}{err}");
        cluster.settle();
        for n in [1, 2] {
            let row = cluster.ask(n, "SELECT v FROM shop.t WHERE id = 3");
            assert_eq!(row[0][0], Some(written.to_string()), "n{n}");
        }
    });
}

//! The doctor on bundled nodes: what they do not know is not held against them, and a node that does not answer is not the end.

use crate::cluster::Cluster;
use crate::commands::{evensum, said};
use serde_json::Value;

#[test]
fn a_bundled_pair_is_judged_by_what_it_knows() {
    let mut cluster = Cluster::start(2);
    let (code, out, err) = said(&cluster.evensum(&["doctor"]));
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    // the nodes of tests do not wait for disks, and that is all
    let first = out.lines().next().unwrap();
    assert!(first.starts_with("not fit: 1 warning on n1, n2; "), "{out}");
    assert!(out.contains("\nwarning: innodb_flush_log_at_trx_commit on n1, n2\n  seen  2\n"), "{out}");
    cluster.partition(2);
    cluster.run(2, "SET GLOBAL auto_increment_offset = 1");
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.heap (v INT)");
    let (code, out, _) = said(&cluster.evensum(&["doctor"]));
    assert_eq!(code, 1, "{out}");
    for part in [
        "critical: links run on n2",
        "critical: auto_increment on n1, n2",
        "warning: tables have keys on n1\n  seen  shop.heap",
        "warning: tables are everywhere on n2",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    cluster.kill(2);
    let (code, out, err) = said(&cluster.evensum(&["doctor"]));
    assert_eq!((code, err.as_str()), (2, ""), "{out}");
    assert!(out.contains("critical: n2 could not be asked\n  why   n2 is unreachable"), "{out}");
    assert!(out.contains("warning: tables have keys on n1\n"), "the other is judged all the same: {out}");
    let (code, out, _) = said(&cluster.evensum(&["doctor", "--json"]));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["verdict"]), (2, &"incomplete".into()));
    let reachable = |n: usize| document["nodes"][n]["reachable"].as_bool().unwrap();
    assert_eq!((reachable(0), reachable(1)), (true, false), "{out}");
    assert_eq!(document["nodes"][0]["variables"]["server_id"], "1", "{out}");
}

#[test]
fn who_is_meant_must_be_said() {
    let folder = tempfile::tempdir().unwrap();
    for (args, code) in [
        (&["doctor"][..], 3),
        (&["doctor", "db1"], 3),
        (&["doctor", "--policy", "majority", "mysql://a"], 3),
        (&["doctor", "mysql://root@127.0.0.1:1"], 2),
    ] {
        let (found, out, err) = said(&evensum(folder.path(), args));
        assert_eq!(found, code, "{args:?}: {out}{err}");
    }
}

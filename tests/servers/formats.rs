//! The formats of the log: the same words to a pair of MariaDB servers and to a pair of bundled nodes. What diverges, what is noted as
//! unsafe and what a link says where it stops has to be the same.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::cluster::{Cluster, Session};

const TABLES: [&str; 6] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (k VARCHAR(40) NOT NULL PRIMARY KEY, v VARCHAR(100))",
    "CREATE TABLE shop.a (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(60))",
    "CREATE TABLE shop.src (n INT NOT NULL PRIMARY KEY, s VARCHAR(60))",
    "CREATE TABLE shop.two (a INT NOT NULL PRIMARY KEY, b INT, v VARCHAR(60), UNIQUE KEY b (b))",
    "INSERT INTO shop.src VALUES (1, 'x'), (2, 'y'), (3, 'z'), (4, 'w')",
];

/// What is known and sent along, what is not, and what depends on the order of the rows.
const WORDS: [&str; 36] = [
    "SET time_zone = '+03:00'",
    "SET @u = 'hé', @n = 7",
    "INSERT INTO t VALUES ('now', NOW(6))",
    "INSERT INTO t VALUES ('utc', UTC_TIMESTAMP(6))",
    "INSERT INTO t VALUES ('unix', UNIX_TIMESTAMP())",
    "INSERT INTO t VALUES ('sysdate', SYSDATE(6))",
    "INSERT INTO t VALUES ('rand', RAND())",
    "INSERT INTO t VALUES ('rand 3', RAND(3))",
    "INSERT INTO t VALUES ('uuid', UUID())",
    "INSERT INTO t VALUES ('connection', CONNECTION_ID())",
    "INSERT INTO t VALUES ('user', USER())",
    "INSERT INTO t VALUES ('current user', CURRENT_USER())",
    "INSERT INTO t VALUES ('database', DATABASE())",
    "INSERT INTO t VALUES ('version', VERSION())",
    "INSERT INTO t VALUES ('server_id', @@server_id), ('port', @@port)",
    "INSERT INTO t VALUES ('zone', @@time_zone), ('step', @@auto_increment_increment)",
    "INSERT INTO t VALUES ('variable', @u), ('number', @n), ('nothing', @nothing)",
    "INSERT INTO a (v) VALUES ('one'), ('two')",
    "INSERT INTO t VALUES ('last', LAST_INSERT_ID())",
    "INSERT INTO a (v) SELECT s FROM src ORDER BY n",
    "UPDATE a SET v = (SELECT s FROM src WHERE n = 1) WHERE id = 1",
    "INSERT INTO t SELECT CONCAT('row ', n), s FROM src",
    "INSERT INTO t SELECT CONCAT('rand ', n + 3), RAND() FROM src",
    "REPLACE INTO t SELECT CONCAT('row ', n), s FROM src",
    "INSERT IGNORE INTO t SELECT CONCAT('row ', n), s FROM src",
    "INSERT INTO t SELECT CONCAT('row ', n), s FROM src ON DUPLICATE KEY UPDATE v = 'again'",
    "INSERT INTO t VALUES ('row 1', 'x') ON DUPLICATE KEY UPDATE v = 'once more'",
    "INSERT INTO two VALUES (1, 1, 'x') ON DUPLICATE KEY UPDATE v = 'y'",
    "REPLACE INTO t VALUES ('replaced', RAND())",
    "UPDATE src SET s = 'q' WHERE n = 4 LIMIT 1",
    "UPDATE src SET s = RAND() WHERE n = 2",
    "DELETE FROM src WHERE n = 99 LIMIT 1",
    "UPDATE t SET v = CONCAT(v, UUID()) WHERE k = 'row 2' LIMIT 1",
    "UPDATE t SET v = @@autocommit WHERE k = 'nobody'",
    "DELETE FROM t WHERE k = 'row 3'",
    "UPDATE src SET s = (SELECT v FROM t WHERE k = 'row 1') WHERE n = 3",
];

/// What came of the words on a pair.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Each statement that was noted as unsafe, with the notes.
    notes: Vec<(String, String)>,
    /// The keys of `t` whose rows are not the same on both.
    diverged: Vec<String>,
    /// Whether the other tables are the same on both.
    others_same: bool,
    /// What a statement found where the rows were other.
    found: Vec<String>,
    /// What the link said of a duplicate key.
    stopped: String,
}

fn texts(cluster: &Cluster, n: usize, sql: &str) -> Vec<String> {
    let row = |row: Vec<Option<String>>| {
        row.into_iter().map(|value| value.unwrap_or("NULL".into())).collect::<Vec<_>>().join("|")
    };
    cluster.ask(n, sql).into_iter().map(row).collect()
}

fn notes(session: &mut Session) -> Vec<String> {
    let rows = session.ask("SHOW WARNINGS").unwrap();
    let row = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
    rows.into_iter().map(row).filter(|row| row.contains(" 1592 ")).collect()
}

fn told(cluster: &Cluster, format: &str) -> Told {
    for sql in TABLES {
        cluster.run(1, sql);
    }
    cluster.settle();
    let mut told = Told::default();
    let mut session = cluster.session(1);
    for sql in ["USE shop", &format!("SET SESSION binlog_format = {format}")] {
        session.run(sql).unwrap();
    }
    for sql in WORDS {
        session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        told.notes.extend(notes(&mut session).into_iter().map(|note| (sql.to_owned(), note)));
    }
    cluster.settle();
    let both = |sql: &str| (texts(cluster, 1, sql), texts(cluster, 2, sql));
    let (one, two) = both("SELECT k, v FROM shop.t ORDER BY k");
    assert_eq!(one.len(), two.len());
    told.diverged = one.iter().zip(&two).filter(|(a, b)| a != b).map(|(a, _)| key(a)).collect();
    told.others_same = ["a", "src", "two"].iter().all(|table| {
        let (one, two) = both(&format!("SELECT * FROM shop.{table} ORDER BY 1"));
        one == two
    });
    // rows that are other here: a statement changes what it finds, and what it does not find is no error
    if format == "STATEMENT" {
        cluster
            .corrupt(2, &["UPDATE shop.src SET s = 'mine' WHERE n = 1", "DELETE FROM shop.src WHERE n = 4"]);
        session.run("UPDATE src SET s = 'theirs' WHERE s <> 'mine'").unwrap();
        session.run("DELETE FROM src WHERE n = 4").unwrap();
        cluster.settle();
        told.found = texts(cluster, 2, "SELECT * FROM shop.src ORDER BY n");
        cluster.corrupt(2, &["INSERT INTO shop.two VALUES (9, 9, 'here')"]);
        session.run("INSERT INTO two VALUES (9, 8, 'there''s')").unwrap();
        cluster.until_link(2, "Slave_SQL_Running", "No");
        told.stopped = format!("{} {}", cluster.link(2, "Last_SQL_Errno"), cluster.link(2, "Last_SQL_Error"));
    }
    told
}

fn key(row: &str) -> String {
    row.split('|').next().unwrap_or_default().to_owned()
}

#[test]
fn a_bundled_pair_diverges_as_a_mariadb_pair_does() {
    let Some(program) = Program::mariadb() else { return };
    for format in ["STATEMENT", "MIXED", "ROW"] {
        let theirs = told(&Masters::start(&program, Shape::Pair), format);
        let ours = told(&Cluster::start(2), format);
        assert_eq!(ours, theirs, "{format}");
        // and what was compared says something
        assert_eq!(theirs.diverged.is_empty(), format != "STATEMENT", "{theirs:?}");
        assert_eq!(theirs.notes.is_empty(), format != "STATEMENT", "{theirs:?}");
        assert!(theirs.others_same, "{theirs:?}");
        if format == "STATEMENT" {
            let diverged = ["current user", "port", "row 2", "sysdate", "user", "uuid"];
            assert_eq!(theirs.diverged, diverged);
            assert_eq!(theirs.found, ["1|mine", "2|theirs", "3|theirs"]);
            assert!(theirs.stopped.starts_with("1062 Error '"), "{}", theirs.stopped);
        }
    }
}

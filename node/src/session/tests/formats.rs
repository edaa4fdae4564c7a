//! The formats of the log: what is written under each, and what a statement does on another node.

use super::{Inside, error, rows, run};
use crate::change::{BinlogFormat, Body, Part, Query, Transaction};
use crate::results::Param;
use crate::session::Session;
use crate::session::tests::Kept;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const TABLES: &str = "CREATE TABLE t (k VARCHAR(40) PRIMARY KEY, v VARCHAR(100))";
const COUNTED: &str = "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(60))";
const SOURCE: &str = "CREATE TABLE src (n INT PRIMARY KEY, s VARCHAR(60))";

fn node(format: &str) -> (Inside, Session) {
    let inside = Inside::new();
    let mut session = inside.session();
    for sql in [TABLES, COUNTED, SOURCE, "INSERT INTO src VALUES (1, 'x'), (2, 'y'), (3, 'z')"] {
        run(&mut session, sql);
    }
    run(&mut session, &format!("SET SESSION binlog_format = {format}"));
    inside.logged();
    (inside, session)
}

/// What was logged, a line per part: the text, or how many rows.
fn logged(inside: &Inside) -> Vec<String> {
    inside.logged().iter().flat_map(|transaction| lines(&transaction.body)).collect()
}

fn lines(body: &Body) -> Vec<String> {
    match body {
        Body::Rows(changes) => vec![format!("{} rows", changes.len())],
        Body::Statement { sql, .. } => vec![format!("define: {sql}")],
        Body::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Rows(changes) => format!("{} rows", changes.len()),
                Part::Query(query) => query.sql.to_string(),
            })
            .collect(),
    }
}

fn apply(session: &mut Session, transactions: &[Transaction]) {
    for transaction in transactions {
        session.apply(transaction, &|_| Ok(())).unwrap();
    }
}

fn query(transaction: &Transaction) -> &Query {
    match &transaction.body {
        Body::Parts(parts) => match parts.as_slice() {
            [Part::Query(query)] => query,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_format_logs_a_statement_in_its_own_way() {
    let safe = "INSERT INTO t VALUES ('a', NOW())";
    let not = "INSERT INTO t VALUES ('b', UUID())";
    for (format, expected) in
        [("ROW", ["1 rows", "1 rows"]), ("STATEMENT", [safe, not]), ("MIXED", [safe, "1 rows"])]
    {
        let (inside, mut s) = node(format);
        run(&mut s, safe);
        run(&mut s, not);
        assert_eq!(logged(&inside), expected, "{format}");
    }
}

#[test]
fn a_transaction_holds_what_was_done_and_not_undone() {
    let (inside, mut s) = node("MIXED");
    for sql in [
        "BEGIN",
        "INSERT INTO t VALUES ('a', 'kept')",
        "SAVEPOINT one",
        "INSERT INTO t VALUES ('b', 'undone')",
        "INSERT INTO t VALUES ('c', UUID())",
        "ROLLBACK TO one",
        "INSERT INTO t VALUES ('d', UUID())",
        "DELETE FROM t WHERE k = 'nobody'",
    ] {
        run(&mut s, sql);
    }
    assert_eq!(error(&mut s, "INSERT INTO t VALUES ('e', '1'), ('a', '2')").code, 1062);
    run(&mut s, "COMMIT");
    run(&mut s, "BEGIN");
    run(&mut s, "INSERT INTO t VALUES ('z', 'undone')");
    run(&mut s, "ROLLBACK");
    assert_eq!(
        logged(&inside),
        ["INSERT INTO t VALUES ('a', 'kept')", "1 rows", "DELETE FROM t WHERE k = 'nobody'"]
    );
    run(&mut s, "SET sql_log_bin = 0");
    run(&mut s, "INSERT INTO t VALUES ('q', UUID())");
    assert_eq!(rows(&mut s, "SHOW WARNINGS"), [""; 0]);
    assert_eq!(logged(&inside), [""; 0]);
}

/// What MariaDB 10.11 logs by its rows under MIXED, and notes under STATEMENT.
#[test]
fn unsafe_statements_are_those_of_mariadb() {
    let limit = "uses a LIMIT clause";
    let keys = "auto-increment column after selecting";
    let function = "system function";
    let cases: [(&str, &[&str]); 19] = [
        ("INSERT INTO t VALUES ('1', NOW(6))", &[]),
        ("INSERT INTO t VALUES ('2', RAND())", &[]),
        ("REPLACE INTO t VALUES ('2', RAND())", &[function]),
        ("UPDATE t SET v = RAND() WHERE k = '1'", &[function]),
        ("INSERT INTO t SELECT RAND(), 1", &[]),
        ("INSERT INTO t VALUES ('3', @@server_id)", &["system variable"]),
        ("INSERT INTO a (v) VALUES ('one'), ('two')", &[]),
        ("INSERT INTO a (v) SELECT s FROM src ORDER BY n", &[keys]),
        ("UPDATE a SET v = (SELECT s FROM src WHERE n = 1) WHERE id = 1", &[keys]),
        ("INSERT INTO t SELECT CONCAT('s', n), s FROM src", &[]),
        ("REPLACE INTO t SELECT CONCAT('s', n), s FROM src", &["REPLACE... SELECT"]),
        ("INSERT IGNORE INTO t SELECT CONCAT('s', n), s FROM src", &["INSERT IGNORE... SELECT"]),
        (
            "INSERT INTO t SELECT CONCAT('s', n), s FROM src ON DUPLICATE KEY UPDATE v = 'd'",
            &["INSERT... SELECT... ON"],
        ),
        ("INSERT INTO t VALUES ('1', 'd') ON DUPLICATE KEY UPDATE v = 'd'", &[]),
        ("INSERT IGNORE INTO t VALUES ('1', 'd')", &[]),
        ("UPDATE src SET s = 'q' ORDER BY n LIMIT 1", &[limit]),
        ("DELETE FROM src WHERE n = 99 LIMIT 1", &[limit]),
        ("UPDATE t SET v = UUID() WHERE k = '1' LIMIT 1", &[limit, function]),
        ("UPDATE src SET s = (SELECT v FROM t WHERE k = '1') WHERE n = 1", &[]),
    ];
    let (spoken, mut s) = node("STATEMENT");
    let (mixed, mut m) = node("MIXED");
    for (sql, reasons) in cases {
        let done = run(&mut s, sql).done.unwrap();
        let notes: Vec<String> = rows(&mut s, "SHOW WARNINGS")
            .into_iter()
            .filter(|row| row.starts_with("Note|1592|Unsafe"))
            .collect();
        assert_eq!(notes.len(), reasons.len(), "{sql}: {notes:?}");
        assert!(notes.iter().zip(reasons).all(|(note, reason)| note.contains(reason)), "{sql}: {notes:?}");
        assert!(usize::from(done.warnings) >= notes.len(), "{sql}");
        assert_eq!(logged(&spoken), [sql]);
        run(&mut m, sql);
        assert!(rows(&mut m, "SHOW WARNINGS").iter().all(|row| !row.starts_with("Note")), "{sql}");
        let text = logged(&mixed).contains(&sql.to_owned());
        assert_eq!(text, reasons.is_empty(), "{sql}");
    }
    let info = run(&mut s, "UPDATE src SET s = 'k' LIMIT 1").done.unwrap().info;
    assert_eq!(info, "Rows matched: 1  Changed: 1  Warnings: 1");
}

#[test]
fn what_is_sent_along_does_the_same_elsewhere() {
    let (inside, mut s) = node("STATEMENT");
    let (other, mut r) = node("ROW");
    other.log.touched.lock().unwrap().clear();
    // keys that were given there alone: the source's own are sent along
    run(&mut r, "INSERT INTO a (id, v) VALUES (2, 'own')");
    run(&mut r, "DELETE FROM a");
    other.logged();
    for sql in [
        "SET time_zone = '+03:00', sql_mode = 'PIPES_AS_CONCAT', auto_increment_increment = 5, auto_increment_offset = 3",
        "SET @u = 'hé', @n = 1.50",
        "INSERT INTO t VALUES ('now', NOW(6)), ('zone', @@time_zone), ('id', CONNECTION_ID()), ('db', DATABASE())",
        "INSERT INTO t VALUES ('user', @u || 'x'), ('number', @n), ('nothing', @nothing)",
        "INSERT INTO t VALUES ('r1', RAND()), ('r2', RAND()), ('r3', RAND(3))",
        "INSERT INTO t SELECT CONCAT('rand', n), RAND() FROM src",
        "INSERT INTO a (v) VALUES ('one'), ('two')",
        "INSERT INTO t VALUES ('last', LAST_INSERT_ID())",
        "INSERT INTO a (v) VALUES ('three')",
        "UPDATE t SET v = UTC_TIMESTAMP(3) WHERE k = 'nothing'",
    ] {
        run(&mut s, sql);
    }
    let transactions = inside.logged();
    assert_eq!(transactions.len(), 8);
    assert_eq!(query(&transactions[4]).context.insert_id, Some(3));
    assert_eq!(query(&transactions[5]).context.last_insert_id, Some(3));
    apply(&mut r, &transactions);
    for table in ["t", "a"] {
        let all = format!("SELECT * FROM {table} ORDER BY 1");
        assert_eq!(rows(&mut s, &all), rows(&mut r, &all));
    }
    assert_eq!(rows(&mut r, "SELECT id FROM a"), ["3", "8", "13"]);
    assert_eq!(rows(&mut r, "SELECT COUNT(DISTINCT v) FROM t WHERE k LIKE 'r%'"), ["6"]);
    // It is logged on as it came, with the rows that it changed here beside it.
    assert_eq!(other.logged(), transactions);
    assert_eq!(other.log.touched.lock().unwrap().len(), 4 + 3 + 3 + 3 + 2 + 1 + 1 + 1);
    // Nothing of it stays in the session.
    assert_eq!(
        rows(&mut r, "SELECT @@time_zone, @u, CONNECTION_ID(), @@binlog_format"),
        ["SYSTEM|NULL|7|ROW"]
    );
}

#[test]
fn what_is_not_sent_along_differs_elsewhere_and_rows_do_not() {
    for (format, same) in [("STATEMENT", false), ("MIXED", true), ("ROW", true)] {
        let (inside, mut s) = node(format);
        let (_other, mut r) = node("ROW");
        for sql in [
            "INSERT INTO t VALUES ('uuid', UUID())",
            "INSERT INTO t VALUES ('sysdate', SYSDATE(6))",
            "UPDATE t SET v = CONCAT(v, UUID())",
        ] {
            run(&mut s, sql);
        }
        apply(&mut r, &inside.logged());
        for key in ["uuid", "sysdate"] {
            let one = format!("SELECT v FROM t WHERE k = '{key}'");
            assert_eq!(rows(&mut s, &one) == rows(&mut r, &one), same, "{format} {key}");
        }
    }
}

#[test]
fn a_statement_finds_the_rows_that_are_here() {
    let (inside, mut s) = node("STATEMENT");
    let (other, mut r) = node("ROW");
    run(&mut r, "UPDATE src SET s = 'mine' WHERE n = 2");
    run(&mut r, "DELETE FROM src WHERE n = 3");
    other.logged();
    run(&mut s, "UPDATE src SET s = 'theirs' WHERE s <> 'mine'");
    run(&mut s, "DELETE FROM src WHERE n = 3");
    // a missing row is no error here, and rows that differ stay so
    apply(&mut r, &inside.logged());
    assert_eq!(rows(&mut r, "SELECT * FROM src"), ["1|theirs", "2|mine"]);
    assert_eq!(rows(&mut s, "SELECT * FROM src"), ["1|theirs", "2|theirs"]);
    let touched = other.log.touched.lock().unwrap().len();
    assert_eq!(touched, 1);
}

#[test]
fn a_statement_that_fails_here_is_named_with_its_text() {
    let (inside, mut s) = node("STATEMENT");
    let (other, mut r) = node("ROW");
    run(&mut r, "INSERT INTO t VALUES ('a', 'here')");
    other.logged();
    run(&mut s, "BEGIN");
    run(&mut s, "INSERT INTO t VALUES ('b', 'there')");
    run(&mut s, "INSERT INTO t VALUES ('a', 'there')");
    run(&mut s, "COMMIT");
    let error = r.apply(&inside.logged()[0], &|_| Ok(())).unwrap_err();
    assert_eq!(error.code, 1062);
    assert_eq!(
        error.message,
        "Error 'Duplicate entry 'a' for key 'PRIMARY'' on query. Default database: 'shop'. Query: \
         'INSERT INTO t VALUES ('a', 'there')'"
    );
    // all of the transaction or nothing
    assert_eq!(rows(&mut r, "SELECT * FROM t"), ["a|here"]);
    assert_eq!(other.logged(), []);
}

#[test]
fn a_prepared_statement_is_logged_with_its_values() {
    let (inside, mut s) = node("STATEMENT");
    let insert = s.prepare(b"INSERT INTO t VALUES (?, ?)").unwrap();
    let params = [Param::Text("it's".into()), Param::Double(0.25)];
    s.execute_prepared(insert.id, &params, &mut Kept::default()).unwrap();
    let transactions = inside.logged();
    assert_eq!(&*query(&transactions[0]).sql, "INSERT INTO t VALUES ('it''s', 2.5e-1)");
    let (_other, mut r) = node("ROW");
    apply(&mut r, &transactions);
    assert_eq!(rows(&mut r, "SELECT * FROM t"), rows(&mut s, "SELECT * FROM t"));
    assert_eq!(rows(&mut r, "SELECT * FROM t"), ["it's|0.25"]);
}

#[test]
fn a_strange_variable_stops_and_changes_nothing() {
    let (inside, mut s) = node("STATEMENT");
    let (_other, mut r) = node("ROW");
    run(&mut s, "INSERT INTO t VALUES ('a', 'b')");
    let mut transaction = inside.logged().remove(0);
    if let Body::Parts(parts) = &mut transaction.body
        && let Part::Query(query) = &mut parts[0]
    {
        query.context.variables.push(("read_only".into(), "OFF".into()));
    }
    let error = r.apply(&transaction, &|_| Ok(())).unwrap_err();
    assert!(error.message.contains("'read_only'"), "{error}");
    assert_eq!(rows(&mut r, "SELECT COUNT(*) FROM t"), ["0"]);
}

#[test]
fn the_words_of_the_formats_are_mysqls() {
    for format in [BinlogFormat::Row, BinlogFormat::Statement, BinlogFormat::Mixed] {
        assert_eq!(BinlogFormat::of(&format.name().to_lowercase()), Some(format));
    }
    assert_eq!(BinlogFormat::of("1"), Some(BinlogFormat::Statement));
    assert_eq!(BinlogFormat::of("rows"), None);
}

#[test]
fn an_interrupt_ends_one_transaction_of_an_applier_and_leaves_nothing_out() {
    let (inside, mut s) = node("STATEMENT");
    let (other, r) = node("ROW");
    run(&mut s, "BEGIN");
    run(&mut s, "INSERT INTO t VALUES ('a', 'b')");
    run(&mut s, "INSERT INTO t SELECT 'c', COUNT(*) FROM src AS a");
    run(&mut s, "COMMIT");
    let whole = inside.logged().remove(0);
    let mut slow = whole.clone();
    if let Body::Parts(parts) = &mut slow.body
        && let Part::Query(query) = &mut parts[1]
    {
        let joined: Vec<String> = (0..18).map(|n| format!("src AS s{n}")).collect();
        query.sql = query.sql.replace("src AS a", &joined.join(", ")).into();
    }
    let mut r = r.passing_over((1..2000).collect());
    let (stopper, over) = (r.stopper(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                stopper.stop();
            }
        });
        let result = r.apply(&slow, &|_| Ok(()));
        over.store(true, Ordering::Relaxed);
        assert_eq!(result.unwrap_err().code, 1317);
    });
    assert_eq!((rows(&mut r, "SELECT COUNT(*) FROM t"), other.logged()), (vec!["0".to_owned()], vec![]));
    r.stopper().stop();
    r.apply(&whole, &|_| Ok(())).unwrap();
    assert_eq!(rows(&mut r, "SELECT k FROM t"), ["a", "c"]);
    assert_eq!(other.logged()[0].body, whole.body);
}

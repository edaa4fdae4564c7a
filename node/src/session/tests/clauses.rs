//! Clauses that the parser knows: what would change the meaning of a statement and is not done is refused.

use super::{Inside, error, refuses, rows, run};

/// Statements, and the error that each has to get.
const REFUSED: [(&str, u16); 89] = [
    // transactions
    ("COMMIT AND GARBAGE", 1064),
    ("COMMIT AND CHAIN foo", 1064),
    ("COMMIT AND CHAIN RELEASE", 1064),
    ("COMMIT RELEASE", 1235),
    ("ROLLBACK AND NO CHAIN RELEASE", 1235),
    ("START TRANSACTION, GARBAGE", 1064),
    ("START TRANSACTION,", 1064),
    ("START TRANSACTION READ ONLY READ ONLY", 1064),
    ("START TRANSACTION READ ONLY, READ WRITE", 1064),
    ("START TRANSACTION READ WRITE, READ ONLY", 1064),
    ("ROLLBACK TO SAVEPOINT s GARBAGE", 1064),
    ("USE shop garbage", 1064),
    // locks
    ("SELECT * FROM t FOR UPDATE SKIP LOCKED", 1235),
    ("SELECT * FROM t FOR UPDATE NOWAIT", 1235),
    ("SELECT * FROM t FOR SHARE SKIP LOCKED", 1235),
    ("SELECT * FROM (SELECT * FROM t FOR UPDATE) AS x", 1235),
    ("SELECT (SELECT v FROM t WHERE id = 1 FOR UPDATE)", 1235),
    ("(SELECT v FROM t FOR UPDATE) UNION SELECT 1", 1235),
    ("WITH x AS (SELECT v FROM t FOR UPDATE) SELECT * FROM x", 1235),
    // tables of FROM
    ("SELECT * FROM t USE INDEX (nope)", 1176),
    ("SELECT * FROM t FORCE KEY FOR JOIN (PRIMARY, nope)", 1176),
    ("SELECT * FROM t AS a JOIN t AS b IGNORE INDEX (nope)", 1176),
    ("UPDATE t USE INDEX (nope) SET v = 1", 1176),
    ("SELECT * FROM t PARTITION (p0)", 1747),
    ("UPDATE t PARTITION (p0) SET v = 1", 1747),
    ("DELETE FROM t PARTITION (p0)", 1747),
    ("INSERT INTO t PARTITION (p0) VALUES (9, 9)", 1235),
    ("SELECT * FROM t TABLESAMPLE BERNOULLI (1)", 1064),
    ("SELECT * FROM t AS x (a, b)", 1064),
    ("SELECT * FROM t WITH ORDINALITY", 1064),
    ("SELECT * FROM t, LATERAL (SELECT t.v) AS x", 1235),
    ("SELECT * FROM t LEFT JOIN t AS u", 1064),
    ("SELECT * FROM t FULL JOIN t AS u ON t.id = u.id", 0),
    ("SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$')) AS j", 1235),
    // clauses of a query
    ("SELECT v FROM t GROUP BY v WITH ROLLUP", 1235),
    ("SELECT v FROM t ORDER BY v NULLS LAST", 1064),
    ("SELECT v FROM t UNION SELECT 1 ORDER BY v NULLS FIRST", 1064),
    ("SELECT v FROM t ORDER BY ALL", 1054),
    ("SELECT v FROM t LIMIT 1 BY v", 1064),
    ("SELECT v FROM t LIMIT 1 + 1", 1064),
    ("SELECT v FROM t FETCH FIRST 1 ROWS ONLY", 1235),
    ("SELECT v FROM t INTO @a", 0),
    ("SELECT v FROM t INTO OUTFILE '/tmp/x'", 0),
    ("SELECT v INTO x FROM t", 0),
    ("SELECT TOP 1 v FROM t", 0),
    ("SELECT v FROM t QUALIFY v = 1", 1064),
    ("SELECT DISTINCT ON (v) v FROM t", 0),
    ("SELECT v FROM t SORT BY v", 1064),
    ("SELECT v FROM t CLUSTER BY v", 1064),
    ("SELECT v FROM t DISTRIBUTE BY v", 1064),
    ("SELECT * EXCEPT (v) FROM t", 1064),
    ("SELECT v FROM t WHERE v IN (SELECT SQL_CALC_FOUND_ROWS v FROM t)", 1234),
    ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", 1235),
    // windows and calls
    ("SELECT SUM(v) OVER (ORDER BY id) FROM t", 1235),
    ("SELECT SUM(v) OVER w FROM t WINDOW w AS (ORDER BY id)", 1235),
    ("SELECT COUNT(v) FILTER (WHERE v > 1) FROM t", 0),
    ("SELECT FIRST_VALUE(v) IGNORE NULLS FROM t", 0),
    ("SELECT ABS(DISTINCT v) FROM t", 1064),
    ("SELECT SUM(v ORDER BY id) FROM t", 1064),
    ("SELECT COUNT(v LIMIT 1) FROM t", 1064),
    // changes
    ("INSERT OR IGNORE INTO t VALUES (1, 1)", 1064),
    ("INSERT OVERWRITE TABLE t VALUES (9, 9)", 1064),
    ("INSERT INTO t VALUES (8, 8), (9, 9) LIMIT 1", 1064),
    ("INSERT INTO t VALUES (9, 9) ORDER BY 1", 1064),
    ("INSERT INTO t (other.id) VALUES (9)", 1054),
    ("INSERT INTO t VALUES (1, 2) AS n (a, b) ON DUPLICATE KEY UPDATE v = n.v", 1235),
    ("INSERT INTO t VALUES (9, 9) ON CONFLICT DO NOTHING", 0),
    ("UPDATE t SET other.v = 1", 1054),
    ("UPDATE t AS a SET t.v = 1", 1054),
    ("UPDATE t SET v = 1 RETURNING v", 1235),
    ("DELETE FROM t USING t JOIN t AS u ON t.id = u.id", 1235),
    ("DELETE FROM t RETURNING id", 1235),
    ("TRUNCATE TABLE t CASCADE", 1064),
    ("TRUNCATE TABLE IF EXISTS t", 1064),
    // definitions
    ("CREATE TABLE x (id INT) STORED AS ORC", 0),
    ("CREATE TABLE x (id INT) WITHOUT ROWID", 0),
    ("CREATE TABLE x (id INT) STRICT", 0),
    ("CREATE TEMPORARY TABLE x LIKE t", 1235),
    ("CREATE OR REPLACE TABLE x LIKE t", 1235),
    ("CREATE TABLE x (id INT, FULLTEXT KEY (id))", 1235),
    ("CREATE TABLE x (id INT, SPATIAL KEY (id))", 1235),
    ("CREATE TABLE x (id INT INVISIBLE)", 1235),
    ("CREATE TABLE x (f FLOAT(7,2))", 1235),
    ("CREATE TABLE x (f DOUBLE(7,2))", 1235),
    ("CREATE TABLE x (d TIMESTAMP WITH TIME ZONE)", 1235),
    ("CREATE TABLE x (id INT) ENCRYPTION = 'Y'", 0),
    ("CREATE INDEX IF NOT EXISTS i ON t (v)", 1235),
    ("CREATE INDEX i ON t (v) WHERE v > 1", 1235),
    ("DROP TABLE t PURGE", 1235),
];

#[test]
fn no_clause_is_accepted_and_ignored() {
    let inside = Inside::new();
    refuses(&inside, REFUSED);
}

#[test]
fn what_changes_no_result_is_passed_over() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(
        &mut s,
        "CREATE TABLE t (id INT PRIMARY KEY, v INT, KEY by_v (v) USING HASH COMMENT 'c') ROW_FORMAT=DYNAMIC",
    );
    run(&mut s, "INSERT LOW_PRIORITY INTO t (t.id, shop.t.v) VALUES (1, 10)");
    run(&mut s, "INSERT HIGH_PRIORITY INTO t VALUES (2, 20)");
    run(&mut s, "CREATE INDEX second USING BTREE ON t (v DESC) ALGORITHM = INPLACE LOCK = NONE");
    run(&mut s, "UPDATE t AS a USE INDEX (by_v) SET a.v = 11 WHERE a.v = 10");
    assert_eq!(
        rows(
            &mut s,
            "SELECT /*+ NO_MERGE(t) */ HIGH_PRIORITY SQL_NO_CACHE * FROM t FORCE INDEX (PRI, BY_V) ORDER BY id"
        ),
        ["1|11", "2|20"]
    );
    assert_eq!(rows(&mut s, "SELECT id FROM t FOR UPDATE OF t"), ["1", "2"]);
}

#[test]
fn what_is_left_out_is_counted() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    run(&mut s, "INSERT INTO t VALUES (1, 10), (2, 20), (3, 20)");
    assert_eq!(rows(&mut s, "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1"), ["1"]);
    assert_eq!(rows(&mut s, "SELECT FOUND_ROWS()"), ["3"]);
    assert_eq!(
        rows(
            &mut s,
            "SELECT SQL_CALC_FOUND_ROWS v, COUNT(*) FROM t WHERE id > 1 GROUP BY v ORDER BY v LIMIT 0"
        ),
        [""; 0]
    );
    assert_eq!(rows(&mut s, "SELECT FOUND_ROWS()"), ["1"]);
    assert_eq!(
        rows(&mut s, "SELECT SQL_CALC_FOUND_ROWS id FROM t UNION ALL SELECT id FROM t ORDER BY id LIMIT 2"),
        ["1", "1"]
    );
    assert_eq!(rows(&mut s, "SELECT FOUND_ROWS()"), ["6"]);
    assert_eq!(rows(&mut s, "SELECT id FROM t LIMIT 1"), ["1"]);
    assert_eq!(rows(&mut s, "SELECT FOUND_ROWS()"), ["1"]);
}

#[test]
fn another_engine_is_warned_of() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM");
    let message = "Using storage engine InnoDB for table 't'";
    assert_eq!(rows(&mut s, "SHOW WARNINGS"), [format!("Warning|1266|{message}")]);
    assert!(rows(&mut s, "SHOW CREATE TABLE t").concat().contains("ENGINE=InnoDB"));
    run(&mut s, "CREATE TABLE u (id INT PRIMARY KEY) ENGINE = garbage");
    let unknown = "Warning|1286|Unknown storage engine 'garbage'".to_owned();
    assert_eq!(
        rows(&mut s, "SHOW WARNINGS"),
        [unknown, "Warning|1266|Using storage engine InnoDB for table 'u'".into()]
    );
    run(&mut s, "CREATE TABLE w (id INT PRIMARY KEY) ENGINE=InnoDB");
    assert_eq!(rows(&mut s, "SHOW WARNINGS"), [""; 0]);
}

#[test]
fn a_chained_transaction_may_do_what_the_one_before_could() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY)");
    run(&mut s, "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT");
    run(&mut s, "COMMIT AND CHAIN NO RELEASE");
    assert_eq!(error(&mut s, "INSERT INTO t VALUES (1)").code, 1792);
    run(&mut s, "ROLLBACK WORK AND NO CHAIN");
    run(&mut s, "INSERT INTO t VALUES (1)");
}

#[test]
fn tables_are_not_flushed_under_the_lock_of_the_same_session() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY)");
    run(&mut s, "LOCK TABLES t WRITE");
    assert_eq!(error(&mut s, "FLUSH TABLES WITH READ LOCK").code, 1192);
    run(&mut s, "INSERT INTO t VALUES (1)");
    run(&mut s, "UNLOCK TABLES");
    run(&mut s, "FLUSH TABLES WITH READ LOCK");
}

//! ANALYZE, CHECK, OPTIMIZE and REPAIR TABLE.

use super::{Inside, error, rows, run};

#[test]
fn a_table_is_checked_with_its_indexes_and_its_values() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE a (id INT PRIMARY KEY, n DECIMAL(5,2), v VARCHAR(5) NOT NULL, KEY k (v))");
    run(&mut s, "INSERT INTO a VALUES (1, 1.5, 'x'), (2, NULL, 'y')");
    assert_eq!(rows(&mut s, "CHECK TABLE a"), ["shop.a|check|status|OK"]);
    let raw = inside.engine.store.connect().unwrap();
    raw.execute("UPDATE \"shop.a\" SET n = '1.5', v = 'too long' WHERE id = 1", []).unwrap();
    assert_eq!(rows(&mut s, "CHECK TABLE a QUICK"), ["shop.a|check|status|OK"]);
    assert_eq!(
        rows(&mut s, "CHECK TABLE a, nosuch EXTENDED"),
        [
            "shop.a|check|Warning|Column 'n' holds no value of its type in row 1",
            "shop.a|check|Warning|Column 'v' holds no value of its type in row 1",
            "shop.a|check|error|Corrupt",
            "shop.nosuch|check|Error|Table 'shop.nosuch' doesn't exist",
            "shop.nosuch|check|status|Operation failed",
        ]
    );
    run(&mut s, "UPDATE a SET n = 1.5, v = 'x' WHERE id = 1");
    // an index that knows nothing of a row
    let index: i64 = raw
        .query_row("SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND name LIKE '%k%'", [], |r| {
            r.get(0)
        })
        .unwrap();
    raw.execute_batch(&format!(
        "PRAGMA writable_schema = ON; CREATE TABLE other (x); CREATE INDEX spare ON other (x);
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'spare')
         WHERE rootpage = {index}; PRAGMA writable_schema = RESET;"
    ))
    .unwrap();
    let mut s = inside.session();
    let told = rows(&mut s, "CHECK TABLE a");
    assert!(told.len() >= 2 && told.last().unwrap() == "shop.a|check|error|Corrupt", "{told:?}");
    assert!(told[0].starts_with("shop.a|check|Warning|"), "{told:?}");
}

#[test]
fn every_value_that_a_column_takes_fits_it() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(
        &mut s,
        "CREATE TABLE a (id BIGINT UNSIGNED PRIMARY KEY, i TINYINT, y YEAR, d DECIMAL(20,4), f FLOAT, g DOUBLE, c CHAR(5), v VARCHAR(20), \
         t TEXT, e ENUM('a','B'), s SET('x','y'), j JSON, b BINARY(3), vb VARBINARY(5), bl BLOB, da DATE, dt DATETIME(3), \
         ts TIMESTAMP NULL, ti TIME(2))",
    );
    run(
        &mut s,
        "INSERT INTO a VALUES (18446744073709551615, -1, 2024, '-12.5', 0.1, 1e300, 'a  ', 'a  ', 'é', 'b', 'y,x', '{\"a\": 1}', 'a', x'00ff', \
         x'', '2024-02-29', '2024-01-01 10:00:00.1234', '2024-01-01 10:00:00', '-10:00:00.129')",
    );
    run(&mut s, "INSERT INTO a (id, y, f, e, s) VALUES (0, 0, -0.0, 1, '')");
    run(&mut s, "SET time_zone = '+05:00'");
    run(&mut s, "INSERT INTO a (id, ts) VALUES (5, '2024-01-01 10:00:00')");
    assert_eq!(rows(&mut s, "CHECK TABLE a"), ["shop.a|check|status|OK"]);
}

#[test]
fn they_commit_and_are_not_logged_and_heed_locks() {
    let inside = Inside::new();
    let (mut s, mut other) = (inside.session(), inside.session());
    run(&mut s, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut s, "BEGIN");
    run(&mut s, "INSERT INTO a VALUES (1)");
    inside.logged();
    assert_eq!(rows(&mut s, "ANALYZE NO_WRITE_TO_BINLOG TABLE a"), ["shop.a|analyze|status|OK"]);
    assert_eq!(s.status(), 2);
    assert_eq!(inside.logged().len(), 1);
    let optimized = [
        "shop.a|optimize|note|Table does not support optimize, doing recreate + analyze instead",
        "shop.a|optimize|status|OK",
    ];
    assert_eq!(rows(&mut s, "OPTIMIZE LOCAL TABLE a"), optimized);
    run(&mut s, "LOCK TABLES a READ");
    assert_eq!(
        rows(&mut s, "OPTIMIZE TABLE a")[0],
        "shop.a|optimize|Error|Table 'a' was locked with a READ lock and can't be updated"
    );
    run(&mut s, "LOCK TABLES a WRITE");
    assert_eq!(rows(&mut s, "OPTIMIZE TABLE a"), optimized);
    assert_eq!(rows(&mut s, "CHECK TABLE a"), ["shop.a|check|status|OK"]);
    run(&mut other, "SET lock_wait_timeout = 1");
    assert_eq!(error(&mut other, "CHECK TABLE a").code, 1205);
    assert_eq!(error(&mut other, "OPTIMIZE TABLE a").code, 1205);
    run(&mut s, "UNLOCK TABLES");
    assert_eq!(rows(&mut other, "CHECK TABLE a"), ["shop.a|check|status|OK"]);
    assert!(inside.logged().is_empty());
    assert_eq!(error(&mut s, "ANALYZE TABLE a UPDATE HISTOGRAM ON id").code, 1235);
}

//! What this node does not have gets 1064 or 1235 and changes nothing; never OK.

use super::{Inside, error, refuses, rows, run};

const REFUSED: [&str; 44] = [
    "CREATE VIEW v AS SELECT 1",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
    "CREATE TEMPORARY TABLE x (id INT)",
    "CREATE TABLE x SELECT * FROM t",
    "CREATE TABLE x (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10))",
    "CREATE TABLE x (id INT REFERENCES t (id), FOREIGN KEY (id) REFERENCES t (id))",
    "CREATE TABLE x (id INT CHECK (id > 0))",
    "CREATE TABLE x (id INT, twice INT AS (id * 2))",
    "CREATE SEQUENCE s",
    "CREATE TABLESPACE s ADD DATAFILE 's.ibd'",
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')",
    "ALTER TABLE t DROP PARTITION p0",
    "ALTER VIEW v AS SELECT 2",
    "DROP VIEW v",
    "DROP PROCEDURE p",
    "DROP TRIGGER g",
    "DROP EVENT e",
    "CALL p()",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
    "LOAD XML INFILE 'x' INTO TABLE t",
    "SELECT * FROM t INTO OUTFILE '/tmp/t'",
    "XA START 'x'",
    "HANDLER t OPEN",
    "HANDLER t READ FIRST",
    "LOCK INSTANCE FOR BACKUP",
    "UPDATE t, t AS u SET t.v = 1 WHERE t.id = u.id",
    "UPDATE IGNORE t SET v = 1",
    "INSERT INTO t VALUES (9, 9) RETURNING id",
    "IMPORT TABLE FROM 'x'",
    "INSTALL PLUGIN p SONAME 'p.so'",
    "UNINSTALL PLUGIN p",
    "EXPLAIN FORMAT=JSON SELECT * FROM t",
    "EXPLAIN ANALYZE DELETE FROM t",
    "EXPLAIN EXTENDED SELECT * FROM t",
    "EXPLAIN CREATE TABLE u (id INT)",
    "ANALYZE FORMAT=JSON SELECT * FROM t",
    "CACHE INDEX t IN hot",
    "SHOW PROFILES",
    "SHOW ENGINE InnoDB STATUS",
    "SIGNAL SQLSTATE '45000'",
    "GET DIAGNOSTICS @n = NUMBER",
];

#[test]
fn what_is_not_there_is_refused_and_changes_nothing() {
    let inside = Inside::new();
    refuses(&inside, REFUSED.map(|sql| (sql, 0)));
}

#[test]
fn typographic_quotes_are_named() {
    let inside = Inside::new();
    let mut s = inside.session();
    for sql in [
        "CREATE USER ‘repl’@’%’ IDENTIFIED BY ‘secret’",
        "GRANT REPLICATION SLAVE ON *.* TO ‘repl’@‘%’",
        "SELECT ‘a’",
        "SELECT * FROM t WHERE a = “x”",
        "CHANGE MASTER TO MASTER_HOST=‘10.0.0.1’",
    ] {
        let error = error(&mut s, sql);
        assert!(error.message.contains("typographic quote"), "{sql}: {error}");
    }
    run(&mut s, "SELECT '‘', \"’\" AS `”`");
    assert!(!error(&mut s, "SELEKT '‘'").message.contains("typographic"));
}

#[test]
fn what_sqlite_cannot_take_is_an_error_of_mysql_or_works() {
    let inside = Inside::new();
    let mut s = inside.session();
    let many = vec!["'é'"; 5_000].join(", ");
    assert_eq!(rows(&mut s, &format!("SELECT 'é' IN ({many}), 1 NOT IN ({many})")), ["1|1"]);
    assert_eq!(rows(&mut s, "SELECT 'a\\0', 2 AS 'b\\0c' FROM (SELECT 1) AS `x`").len(), 1);
    assert_eq!(error(&mut s, "SELECT @\0autocommit").code, 1064);
    assert_eq!(error(&mut s, "CREATE TABLE `a\0` (id INT)").code, 1064);
    assert_eq!(
        rows(
            &mut s,
            "SELECT TRUNCATE(-1.999e0, 1e308), ROUND(15, -9223372036854775807), ROUND(1.5, NULL), LOCATE('a', 'a', NULL)"
        ),
        ["-1.999|0|NULL|NULL"]
    );
}

//! What graphical clients ask when they connect and when a table is opened: MySQL Workbench, DBeaver (with Connector/J), HeidiSQL, phpMyAdmin.
//!
//! Each statement has to be answered; what it answers is looked at elsewhere. Left out is what needs a real server (`SHOW MASTER LOGS`, `SHOW
//! GRANTS`: other tests), and what is refused by name (`performance_schema`, `SHOW PROFILES`).

use super::{Inside, Kept, error, rows, run};
use crate::session::ExecError;

const ASKED: &[&str] = &[
    // MySQL Workbench
    "SET NAMES utf8",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET CHARACTER SET utf8",
    "SET SQL_SAFE_UPDATES=1",
    "SELECT current_user()",
    "SELECT CONNECTION_ID()",
    "SHOW SESSION STATUS LIKE 'Ssl_cipher'",
    "SHOW SESSION VARIABLES LIKE 'lower_case_table_names'",
    "SHOW SESSION VARIABLES LIKE 'sql_mode'",
    "SHOW SESSION VARIABLES LIKE 'version_comment'",
    "SHOW SESSION VARIABLES LIKE 'version_compile_os'",
    "SHOW SESSION VARIABLES LIKE 'offline_mode'",
    "SHOW SESSION VARIABLES LIKE 'wait_timeout'",
    "SHOW SESSION VARIABLES LIKE 'interactive_timeout'",
    "SHOW DATABASES",
    "SHOW DATABASES LIKE 'sys'",
    "SHOW GLOBAL STATUS",
    "SHOW GLOBAL VARIABLES",
    "SHOW PRIVILEGES",
    "SHOW PLUGINS",
    "SHOW ENGINES",
    "SHOW CHARSET",
    "SHOW COLLATION",
    "SELECT @@version, @@version_comment, @@hostname, @@port, @@datadir",
    "SELECT name, type FROM (SELECT TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES) t",
    "SHOW FULL TABLES FROM `shop`",
    "SHOW FULL TABLES IN shop WHERE Table_type != 'VIEW'",
    "SHOW PROCEDURE STATUS WHERE Db='shop'",
    "SHOW FUNCTION STATUS WHERE Db='shop'",
    "SHOW FULL COLUMNS FROM `shop`.`t`",
    "SHOW INDEXES FROM `shop`.`t`",
    "SHOW TRIGGERS FROM `shop` LIKE 't'",
    "SHOW TABLE STATUS FROM `shop` LIKE 't'",
    "SHOW CREATE TABLE `shop`.`t`",
    "SHOW CREATE DATABASE `shop`",
    "EXPLAIN SELECT * FROM shop.t",
    "SELECT * FROM shop.t LIMIT 0, 1000",
    "SHOW FULL PROCESSLIST",
    "SHOW WARNINGS",
    // Connector/J and DBeaver
    "/* mysql-connector-j-8.2.0 */ SELECT @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, \
     @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, @@character_set_server AS \
     character_set_server, @@collation_server AS collation_server, @@collation_connection AS collation_connection, @@init_connect AS \
     init_connect, @@interactive_timeout AS interactive_timeout, @@license AS license, @@lower_case_table_names AS lower_case_table_names, \
     @@max_allowed_packet AS max_allowed_packet, @@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, \
     @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, @@transaction_isolation AS \
     transaction_isolation, @@wait_timeout AS wait_timeout",
    "SET character_set_results = NULL",
    "SET SQL_SELECT_LIMIT=200",
    "SET SQL_SELECT_LIMIT=DEFAULT",
    "SET autocommit=1",
    "SET sql_mode='STRICT_TRANS_TABLES'",
    "SELECT DATABASE()",
    "SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server",
    "SELECT @@lower_case_table_names",
    "SHOW VARIABLES LIKE 'lower_case_%'",
    "SHOW GLOBAL VARIABLES LIKE 'version'",
    "SELECT * FROM information_schema.SCHEMATA",
    "SELECT * FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = 'information_schema' AND t.TABLE_NAME = 'CHECK_CONSTRAINTS'",
    "SHOW FULL TABLES FROM `shop` LIKE '%'",
    "SELECT * FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='shop' AND TABLE_NAME='t' ORDER BY ORDINAL_POSITION",
    "SELECT kc.CONSTRAINT_NAME, kc.TABLE_NAME, kc.COLUMN_NAME, kc.ORDINAL_POSITION FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE kc WHERE \
     kc.TABLE_SCHEMA='shop' AND kc.REFERENCED_TABLE_NAME IS NULL AND kc.TABLE_NAME='t' ORDER BY kc.CONSTRAINT_NAME, kc.ORDINAL_POSITION",
    "SELECT cc.CONSTRAINT_NAME, cc.CHECK_CLAUSE, tc.TABLE_NAME FROM (SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM \
     INFORMATION_SCHEMA.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'shop') cc, (SELECT TABLE_NAME, CONSTRAINT_NAME FROM \
     INFORMATION_SCHEMA.TABLE_CONSTRAINTS WHERE CONSTRAINT_TYPE='CHECK') tc WHERE cc.CONSTRAINT_NAME = tc.CONSTRAINT_NAME",
    "SELECT DISTINCT A.REFERENCED_TABLE_SCHEMA AS PKTABLE_CAT, NULL AS PKTABLE_SCHEM, A.REFERENCED_TABLE_NAME AS PKTABLE_NAME, A.TABLE_NAME AS \
     FKTABLE_NAME FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE A JOIN INFORMATION_SCHEMA.TABLE_CONSTRAINTS B USING (TABLE_SCHEMA, TABLE_NAME, \
     CONSTRAINT_NAME) JOIN INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS R ON (R.CONSTRAINT_NAME = B.CONSTRAINT_NAME AND R.TABLE_NAME = \
     B.TABLE_NAME AND R.CONSTRAINT_SCHEMA = B.TABLE_SCHEMA) WHERE B.CONSTRAINT_TYPE = 'FOREIGN KEY' AND A.TABLE_SCHEMA='shop'",
    "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='shop' AND TABLE_NAME='t' ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    "SELECT * FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='shop'",
    "SELECT * FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='shop'",
    "SELECT * FROM information_schema.EVENTS WHERE EVENT_SCHEMA='shop'",
    "SELECT * FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA='shop' AND TABLE_NAME='t'",
    "SELECT * FROM information_schema.VIEWS WHERE TABLE_SCHEMA='shop'",
    "SELECT table_schema, table_name, table_rows, data_length FROM information_schema.tables WHERE table_schema='shop'",
    "SELECT * FROM mysql.user ORDER BY user",
    // HeidiSQL
    "SET NAMES utf8mb4",
    "SHOW VARIABLES",
    "SELECT VERSION()",
    "SHOW /*!50002 GLOBAL */ STATUS",
    "SELECT NOW()",
    "SELECT UNIX_TIMESTAMP()",
    "SELECT `DEFAULT_COLLATION_NAME` FROM `information_schema`.`SCHEMATA` WHERE `SCHEMA_NAME`='shop'",
    "SHOW TABLE STATUS FROM `shop`",
    "SHOW FUNCTION STATUS WHERE `Db`='shop'",
    "SHOW PROCEDURE STATUS WHERE `Db`='shop'",
    "SHOW TRIGGERS FROM `shop`",
    "SHOW EVENTS FROM `shop`",
    "SELECT *, EVENT_SCHEMA AS `Db`, EVENT_NAME AS `Name` FROM information_schema.`EVENTS` WHERE `EVENT_SCHEMA`='shop'",
    "SELECT * FROM `information_schema`.`COLUMNS` WHERE TABLE_SCHEMA='shop' AND TABLE_NAME='t' ORDER BY ORDINAL_POSITION",
    "SHOW INDEXES FROM `t` FROM `shop`",
    "SELECT * FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA='shop' AND TABLE_NAME='t' AND REFERENCED_TABLE_NAME IS NOT NULL",
    "SELECT * FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA='shop' AND TABLE_NAME='t' AND REFERENCED_TABLE_NAME IS NOT NULL",
    "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM `information_schema`.`CHECK_CONSTRAINTS` WHERE CONSTRAINT_SCHEMA='shop'",
    "SHOW CREATE TABLE `shop`.`t`",
    "SELECT * FROM `shop`.`t` LIMIT 1000",
    "SELECT `id`, LEFT(`v`, 256) FROM `shop`.`t` LIMIT 1000",
    "SHOW COLLATION",
    "SHOW ENGINES",
    "SHOW CHARSET",
    // phpMyAdmin
    "SELECT @@version, @@version_comment",
    "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'",
    "SET collation_connection = 'utf8mb4_unicode_ci'",
    "SELECT CURRENT_USER()",
    "SET lc_messages = 'en_US'",
    "SELECT @@lc_messages",
    "SELECT @@lower_case_table_names",
    "SHOW SESSION VARIABLES LIKE 'FOREIGN_KEY_CHECKS'",
    "SELECT `SCHEMA_NAME` FROM `INFORMATION_SCHEMA`.`SCHEMATA`",
    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA, (SELECT DB_first_level FROM ( SELECT DISTINCT SUBSTRING_INDEX(SCHEMA_NAME, '_', 1) \
     DB_first_level FROM INFORMATION_SCHEMA.SCHEMATA WHERE TRUE ) t ORDER BY DB_first_level ASC LIMIT 0, 100) t2 WHERE TRUE AND 1 = \
     LOCATE(CONCAT(DB_first_level, '_'), CONCAT(SCHEMA_NAME, '_')) ORDER BY SCHEMA_NAME ASC",
    "SELECT COUNT(*) FROM ( SELECT DISTINCT SUBSTRING_INDEX(SCHEMA_NAME, '_', 1) DB_first_level FROM INFORMATION_SCHEMA.SCHEMATA WHERE TRUE ) t",
    "SELECT *, `TABLE_SCHEMA` AS `Db`, `TABLE_NAME` AS `Name`, `TABLE_TYPE` AS `TABLE_TYPE`, `ENGINE` AS `Engine`, `ENGINE` AS `Type`, \
     `VERSION` AS `Version`, `ROW_FORMAT` AS `Row_format`, `TABLE_ROWS` AS `Rows`, `AVG_ROW_LENGTH` AS `Avg_row_length`, `DATA_LENGTH` AS \
     `Data_length`, `CREATE_OPTIONS` AS `Create_options`, `TABLE_COMMENT` AS `Comment` FROM `information_schema`.`TABLES` t WHERE \
     `TABLE_SCHEMA` COLLATE utf8_bin IN ('shop') ORDER BY Name ASC LIMIT 250 OFFSET 0",
    "SELECT `PRIVILEGE_TYPE` FROM `INFORMATION_SCHEMA`.`USER_PRIVILEGES` WHERE GRANTEE='''root''@''localhost'''",
    "SELECT `PRIVILEGE_TYPE` FROM `INFORMATION_SCHEMA`.`SCHEMA_PRIVILEGES` WHERE GRANTEE='''root''@''localhost'''",
    "SELECT `PLUGIN_NAME`, `PLUGIN_DESCRIPTION` FROM `information_schema`.`PLUGINS` WHERE `PLUGIN_TYPE` = 'AUTHENTICATION'",
    "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 't' AND IS_UPDATABLE = 'YES'",
    "SELECT 1 FROM mysql.user LIMIT 1",
    "SHOW COLUMNS FROM `shop`.`t`",
    "SHOW INDEXES FROM `shop`.`t`",
    "SELECT `CHARACTER_SET_NAME` AS `Charset`, `DESCRIPTION` AS `Description` FROM `information_schema`.`CHARACTER_SETS`",
    "SELECT `CHARACTER_SET_NAME` AS `Charset`, `COLLATION_NAME` AS `Collation`, `ID` AS `Id`, `IS_DEFAULT` AS `Default` FROM \
     `information_schema`.`COLLATIONS`",
    "SHOW TABLES FROM `shop`",
    "SELECT * FROM `t` LIMIT 0, 25",
];

#[test]
fn what_graphical_clients_ask_is_answered() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), KEY (v))");
    let mut wrong = Vec::new();
    for sql in ASKED {
        if let Err(ExecError::Sql(error)) = s.execute(sql.as_bytes(), &mut Kept::default()) {
            wrong.push(format!("{sql}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_select_without_a_limit_gives_as_many_rows_as_the_session_wants() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY)");
    run(&mut s, "INSERT INTO t VALUES (1), (2), (3)");
    run(&mut s, "SET SQL_SELECT_LIMIT = 2");
    assert_eq!(rows(&mut s, "SELECT id FROM t ORDER BY id DESC"), ["3", "2"]);
    assert_eq!(rows(&mut s, "(SELECT id FROM t) UNION ALL (SELECT 4) ORDER BY 1 DESC"), ["4", "3"]);
    assert_eq!(rows(&mut s, "SELECT id FROM t LIMIT 3").len(), 3);
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM (SELECT id FROM t) x"), ["3"]);
    run(&mut s, "CREATE TABLE u (id INT PRIMARY KEY)");
    assert_eq!(run(&mut s, "INSERT INTO u SELECT id FROM t").done.unwrap().affected_rows, 3);
    run(&mut s, "SET SQL_SELECT_LIMIT = DEFAULT");
    assert_eq!(rows(&mut s, "SELECT id FROM t").len(), 3);
}

#[test]
fn safe_updates_need_a_key_or_a_limit() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY k (a, b))");
    run(&mut s, "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)");
    run(&mut s, "SET SQL_SAFE_UPDATES = 1");
    for sql in
        ["UPDATE t SET b = 3", "UPDATE t SET a = 3 WHERE b = 1", "DELETE FROM t", "DELETE FROM t WHERE b > 0"]
    {
        assert_eq!(error(&mut s, sql).code, 1175, "{sql}");
    }
    for sql in [
        "UPDATE t SET b = 3 WHERE t.id = 1",
        "UPDATE t SET b = 4 LIMIT 1",
        "DELETE FROM t WHERE `a` = 2 AND b = 2",
    ] {
        assert_eq!(run(&mut s, sql).done.unwrap().affected_rows, 1, "{sql}");
    }
    run(&mut s, "SET SQL_SAFE_UPDATES = 0");
    assert_eq!(run(&mut s, "DELETE FROM t").done.unwrap().affected_rows, 1);
}

SET sql_mode=(SELECT CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION')),time_zone='+00:00',NAMES utf8mb4 COLLATE utf8mb4_unicode_ci;
---
ok 0

SELECT 'a' || 'b', @@collation_connection, @@autocommit, @@session.time_zone, @@max_allowed_packet > 1000
---
ab|utf8mb4_unicode_ci|1|+00:00|1

select @@version_comment limit 1
---
evensum's bundled node (SQLite underneath, no MySQL server)

SELECT DATABASE(), USER() LIMIT 1
---
shop|root@localhost

SET @x = 5, @y := @x + 1
---
ok 0

SELECT @x, @y, @nosuch
---
5|NULL|NULL

SET @y = @x + 1, @x = 7, @x = @x + 10
---
ok 0

SELECT @x, @y
---
15|6

SET @x = 1, @y = (nosuch)
---
error 1054 Unknown column 'nosuch' in 'field list'

SELECT @x
---
15

/*!40101 SET NAMES utf8 */
---
ok 0

SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
---
ok 0

SET nosuch = 1
---
error 1193 Unknown system variable 'nosuch'

SET GLOBAL version = 'x'
---
error 1238 Variable 'version' is a read only variable

SHOW DATABASES
---
information_schema
shop

CREATE DATABASE IF NOT EXISTS other DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
---
ok 1

USE other
---
ok 0

CREATE TABLE t (a VARCHAR(5) PRIMARY KEY, b INT, INDEX bx (b)) # a comment
---
ok 0

INSERT INTO t VALUES ('a', 1), ('A', 2) -- two rows
---
ok 2

SHOW FULL TABLES
---
t|BASE TABLE

SHOW COLUMNS FROM t
---
a|varchar(5)|NO|PRI|NULL|
b|int|YES|MUL|NULL|

SHOW INDEX FROM t
---
t|0|PRIMARY|1|a|A|NULL|NULL|NULL||BTREE|||YES|NULL
t|1|bx|1|b|A|NULL|NULL|NULL|YES|BTREE|||YES|NULL

SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
---
other|t|InnoDB

SELECT c.COLUMN_NAME, c.DATA_TYPE, s.INDEX_NAME FROM information_schema.COLUMNS c JOIN information_schema.STATISTICS s ON s.TABLE_NAME = c.TABLE_NAME AND s.COLUMN_NAME = c.COLUMN_NAME WHERE c.TABLE_SCHEMA = 'other' ORDER BY c.ORDINAL_POSITION
---
a|varchar|PRIMARY
b|int|bx

SHOW VARIABLES LIKE 'sql_log_b%'
---
sql_log_bin|ON

SHOW VARIABLES WHERE Variable_name = 'server_id'
---
server_id|1

ALTER TABLE t ADD COLUMN c DECIMAL(5,2) NOT NULL DEFAULT 1.5 AFTER a, ADD UNIQUE KEY ub (b)
---
ok 0

SELECT * FROM t ORDER BY a
---
A|1.50|2
a|1.50|1

ALTER TABLE t MODIFY COLUMN b VARCHAR(10) NOT NULL, DROP INDEX bx, DROP COLUMN c
---
ok 0

ALTER TABLE t RENAME TO u
---
ok 0

SHOW CREATE TABLE u
---
u|CREATE TABLE `u` (
  `a` varchar(5) NOT NULL,
  `b` varchar(10) NOT NULL,
  PRIMARY KEY (`a`),
  UNIQUE KEY `ub` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

CREATE TABLE v LIKE u
---
ok 0

INSERT INTO v SELECT * FROM u
---
ok 2

INSERT INTO v VALUES ('x', '1')
---
error 1062 Duplicate entry '1' for key 'ub'

CREATE INDEX later ON v (b, a)
---
ok 0

DROP INDEX later ON v
---
ok 0

DROP TABLE IF EXISTS v, nosuch
---
ok 0

DROP TABLE nosuch
---
error 1051 Unknown table 'other.nosuch'

CREATE TABLE f (a INT, FOREIGN KEY (a) REFERENCES u (a))
---
error 1235 This version of evensum's node doesn't yet support 'FOREIGN KEY'

LOCK TABLES u WRITE
---
ok 0

DROP DATABASE other
---
error 1192 Can't execute the given command because you have active locked tables or an active transaction

UNLOCK TABLES
---
ok 0

DROP DATABASE other
---
ok 1

SELECT * FROM u
---
error 1046 No database selected

SELEKT 1
---
error 1064 You have an error in your SQL syntax: sql parser error: Expected: an SQL statement, found: SELEKT at Line: 1, Column: 1

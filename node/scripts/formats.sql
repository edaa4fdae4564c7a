SELECT @@binlog_format, @@global.binlog_format
---
ROW|ROW

SET SESSION binlog_format = STATEMENT
---
ok 0

SELECT @@binlog_format, @@global.binlog_format
---
STATEMENT|ROW

SET binlog_format = 2
---
ok 0

SHOW VARIABLES LIKE 'binlog_format'
---
binlog_format|ROW

SET binlog_format = 'rows'
---
error 1231 Variable 'binlog_format' can't be set to the value of 'rows'

SET GLOBAL binlog_format = 'mixed'
---
ok 0

SELECT @@binlog_format, @@global.binlog_format
---
ROW|MIXED

SET binlog_format = DEFAULT
---
ok 0

SELECT @@session.binlog_format
---
MIXED

BEGIN
---
ok 0

SET SESSION binlog_format = ROW
---
error 1679 Cannot modify @@session.binlog_format inside a transaction

SET @@global.binlog_format = ROW
---
ok 0

COMMIT
---
ok 0

SELECT @@binlog_format, @@global.binlog_format
---
MIXED|ROW

CREATE TABLE f (id INT PRIMARY KEY, v VARCHAR(60))
---
ok 0

SET binlog_format = STATEMENT
---
ok 0

INSERT INTO f VALUES (1, NOW()), (2, 'x')
---
ok 2

SHOW WARNINGS
---


UPDATE f SET v = @@server_id LIMIT 1
---
ok 1

SHOW WARNINGS
---
Note|1592|Unsafe statement written to the binary log using statement format since BINLOG_FORMAT = STATEMENT. The statement is unsafe because it uses a LIMIT clause. This is unsafe because the set of rows included cannot be predicted
Note|1592|Unsafe statement written to the binary log using statement format since BINLOG_FORMAT = STATEMENT. Statement is unsafe because it uses a system variable that may have a different value on the slave

SET binlog_format = MIXED
---
ok 0

UPDATE f SET v = UUID() LIMIT 1
---
ok 1

SHOW WARNINGS
---


SELECT RAND(3), RAND(3) = RAND(3)
---
0.9057697559760601|1

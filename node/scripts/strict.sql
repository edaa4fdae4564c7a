# What a statement that writes does about values that are not what they should be.

CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), d DECIMAL(8,2), n BIGINT)
---
ok 0

INSERT INTO t VALUES (1, '12abc', 1.5, 1), (2, 'abc', 2, 0), (3, '', 3, 0), (4, '7 ', 0, 0), (5, '5', 0, 0)
---
ok 5

UPDATE t SET n = 1 WHERE v = 5
---
error 1292 Truncated incorrect DECIMAL value: '12abc'

SHOW WARNINGS
---
Error|1292|Truncated incorrect DECIMAL value: '12abc'

SELECT @@error_count, @@warning_count
---
1|1

UPDATE t SET n = 1 WHERE id = 5 AND v = 5
---
ok 1

SHOW WARNINGS
---

UPDATE t SET n = 2 WHERE id = 4 AND v = 7
---
ok 1

SHOW WARNINGS
---
Note|1292|Truncated incorrect DECIMAL value: '7 '

UPDATE t SET n = v + 1 WHERE id = 1
---
error 1292 Truncated incorrect DOUBLE value: '12abc'

UPDATE t SET n = v + 1 WHERE id = 5
---
ok 1

UPDATE t SET n = '5x' + 1 WHERE id = 5
---
error 1292 Truncated incorrect DOUBLE value: '5x'

UPDATE t SET n = '5x' + 1 WHERE id = 99
---
ok 0

SHOW WARNINGS
---

UPDATE t SET n = v + 1 WHERE id = 99
---
ok 0

UPDATE t SET n = 1/0 WHERE id = 4
---
error 1365 Division by 0

UPDATE t SET n = 1 WHERE n/0 IS NULL AND id = 1
---
error 1365 Division by 0

UPDATE t SET n = '7' WHERE id = 1
---
ok 1

UPDATE t SET n = '7x' WHERE id = 1
---
error 1265 Data truncated for column 'n' at row 1

UPDATE t SET n = 1 WHERE id IN ('1', 'x')
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: 'x'

UPDATE t SET n = 0 WHERE v = 5 ORDER BY id LIMIT 3
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: '12abc'
Warning|1292|Truncated incorrect DECIMAL value: 'abc'
Warning|1292|Truncated incorrect DECIMAL value: ''
Note|1292|Truncated incorrect DECIMAL value: '7 '

UPDATE t SET n = v + 1 WHERE id < 3 ORDER BY id
---
error 1292 Truncated incorrect DOUBLE value: '12abc'

UPDATE t SET n = (n <> 0 AND 5/n > 2) WHERE id = 3
---
ok 0

UPDATE t SET n = (n = 0 OR 5/n > 2) WHERE id = 3
---
ok 1

UPDATE t SET n = 0 WHERE id = 3
---
ok 1

INSERT INTO t (id, n) VALUES (60, IF('' = '', NULL, '' + 0))
---
ok 1

INSERT INTO t (id, n) VALUES (61, CASE WHEN 1 THEN NULL ELSE CAST('' AS SIGNED) END)
---
ok 1

INSERT INTO t (id, n) VALUES (62, COALESCE(5, '' + 0))
---
ok 1

INSERT INTO t (id, n) VALUES (63, IF(1 = 1, '' + 0, NULL))
---
error 1292 Truncated incorrect DOUBLE value: ''

INSERT INTO t (id, n) VALUES (3, 1) ON DUPLICATE KEY UPDATE n = IF(v = '', 0, v + 1)
---
ok 0

DELETE FROM t WHERE id >= 60
---
ok 3

INSERT INTO t (id, n) SELECT 14, '5x' + 1
---
error 1292 Truncated incorrect DOUBLE value: '5x'

INSERT INTO t (id, n) SELECT 16, 1 FROM t WHERE n = 'x' LIMIT 1
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: 'x'

DELETE FROM t WHERE id = 16
---
ok 1

INSERT INTO t (id, n) SELECT 17, 'abc' + 0 FROM (SELECT 1 AS x) d
---
error 1292 Truncated incorrect DOUBLE value: 'abc'

INSERT INTO t (id, n) SELECT 17, 'abc' + 0 UNION ALL SELECT 18, v + 1 FROM t WHERE id = 1
---
ok 2

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: 'abc'
Warning|1292|Truncated incorrect DOUBLE value: '12abc'

DELETE FROM t WHERE id IN (17, 18)
---
ok 2

INSERT INTO t (id, n) SELECT 17, SUM(id) > 0 AND COUNT(*) > 1 FROM t
---
ok 1

INSERT INTO t (id, n) VALUES (18, (SELECT MAX(id) FROM t WHERE n = 1 AND id = 17 HAVING SUM(id) > 0 AND COUNT(*) > 0))
---
ok 1

SELECT id, n FROM t WHERE id IN (17, 18) ORDER BY id
---
17|1
18|17

DELETE FROM t WHERE id IN (17, 18)
---
ok 2

DELETE FROM t WHERE v = 0
---
ok 2

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: '12abc'
Warning|1292|Truncated incorrect DECIMAL value: 'abc'
Warning|1292|Truncated incorrect DECIMAL value: ''
Note|1292|Truncated incorrect DECIMAL value: '7 '

DELETE FROM t WHERE n = 1/0
---
ok 0

INSERT INTO t (id, n) VALUES (10, 1/0)
---
error 1365 Division by 0

INSERT INTO t (id, n) VALUES (11, '5x' + 1)
---
error 1292 Truncated incorrect DOUBLE value: '5x'

INSERT INTO t (id, n) VALUES (12, CAST('5x' AS SIGNED))
---
error 1292 Truncated incorrect INTEGER value: '5x'

INSERT INTO t SET id = 12, n = '5x' * 2
---
error 1292 Truncated incorrect DOUBLE value: '5x'

INSERT INTO t (id, n) SELECT 13, 1/0
---
error 1365 Division by 0

INSERT INTO t (id, n) SELECT id + 20, v + 1 FROM t
---
error 1292 Truncated incorrect DOUBLE value: '12abc'

INSERT INTO t (id, n) VALUES (1, 1) ON DUPLICATE KEY UPDATE n = 1/0
---
error 1365 Division by 0

INSERT INTO t (id, n) VALUES (1, 1) ON DUPLICATE KEY UPDATE n = v + 1
---
error 1292 Truncated incorrect DOUBLE value: '12abc'

INSERT INTO t (id, n) VALUES (1, 1) ON DUPLICATE KEY UPDATE n = '3x' + 1
---
error 1292 Truncated incorrect DOUBLE value: '3x'

INSERT INTO t (id, n) VALUES (14, MOD(5, 0))
---
error 1365 Division by 0

INSERT INTO t (id, n) VALUES (15, LN(0))
---
error 1365 Division by 0

INSERT INTO t (id, n) VALUES (16, YEAR('foo'))
---
error 1292 Incorrect datetime value: 'foo'

INSERT INTO t (id, n) VALUES (17, HOUR('foo'))
---
error 1292 Incorrect time value: 'foo'

INSERT INTO t (id, v) VALUES (18, DATE('foo'))
---
error 1292 Incorrect datetime value: 'foo'

REPLACE INTO t (id, n) VALUES (21, 1/0)
---
error 1365 Division by 0

BEGIN
---
ok 0

INSERT INTO t (id, n) VALUES (40, 1)
---
ok 1

INSERT INTO t (id, n) VALUES (41, 1/0)
---
error 1365 Division by 0

COMMIT
---
ok 0

INSERT IGNORE INTO t (id, n) VALUES (19, 1/0)
---
ok 1

SHOW WARNINGS
---
Warning|1365|Division by 0

INSERT IGNORE INTO t (id, n) VALUES (20, '5x' + 1)
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '5x'

SELECT id, n FROM t ORDER BY id
---
1|1
4|2
5|0
19|NULL
20|6
40|1

SET sql_mode = 'STRICT_TRANS_TABLES'
---
ok 0

INSERT INTO t (id, n) VALUES (30, 1/0)
---
ok 1

SHOW WARNINGS
---

INSERT INTO t (id, n) VALUES (31, '5x' + 1)
---
error 1292 Truncated incorrect DOUBLE value: '5x'

SET sql_mode = 'ERROR_FOR_DIVISION_BY_ZERO'
---
ok 0

INSERT INTO t (id, n) VALUES (32, 1/0)
---
ok 1

SHOW WARNINGS
---
Warning|1365|Division by 0

INSERT INTO t (id, n) VALUES (33, '5x' + 1)
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '5x'

UPDATE t SET n = 1 WHERE v = 5
---
ok 1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: '12abc'
Note|1292|Truncated incorrect DECIMAL value: '7 '

SET sql_mode = ''
---
ok 0

INSERT INTO t (id, n) VALUES (34, 1/0)
---
ok 1

SHOW WARNINGS
---

SELECT id, n FROM t WHERE id >= 30 ORDER BY id
---
30|NULL
32|NULL
33|6
34|NULL
40|1

SET sql_mode = DEFAULT
---
ok 0

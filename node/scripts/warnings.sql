# What a SELECT notes about values: texts that are no numbers, divisions by zero, texts that are no dates.

CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), d DECIMAL(8,2), n BIGINT)
---
ok 0

INSERT INTO t VALUES (1, '12abc', 1.5, 1), (2, 'abc', 2, 0), (3, '', 3, 0), (4, '7 ', 0, 0), (5, '5', 0, 0)
---
ok 5

SELECT '12abc' + 1
---
13

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '12abc'

SELECT @@warning_count, @@session.warning_count, @@error_count
---
1|1|0

SELECT 'abc' = 0, 'x' = 0.5, -'3x'
---
1|0|-3

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: 'abc'
Warning|1292|Truncated incorrect DOUBLE value: 'x'
Warning|1292|Truncated incorrect DOUBLE value: '3x'

SELECT v + 1 FROM t ORDER BY id
---
13
1
1
8
6

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '12abc'
Warning|1292|Truncated incorrect DOUBLE value: 'abc'
Warning|1292|Truncated incorrect DOUBLE value: ''
Note|1292|Truncated incorrect DOUBLE value: '7 '

SHOW WARNINGS LIMIT 1, 2
---
Warning|1292|Truncated incorrect DOUBLE value: 'abc'
Warning|1292|Truncated incorrect DOUBLE value: ''

SHOW COUNT(*) WARNINGS
---
4

SHOW COUNT(*) ERRORS
---
0

SELECT id FROM t WHERE v = 12
---
1

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DECIMAL value: '12abc'
Warning|1292|Truncated incorrect DECIMAL value: 'abc'
Warning|1292|Truncated incorrect DECIMAL value: ''
Note|1292|Truncated incorrect DECIMAL value: '7 '

SELECT id FROM t WHERE n = '1x' AND d = '1.5y'
---
1

SHOW COUNT(*) WARNINGS
---
2

SELECT CAST('12abc' AS SIGNED), CAST('1.5x' AS DECIMAL(5,2)), CAST('xx' AS DATE), CAST('yy' AS TIME), YEAR('zz')
---
12|1.50|NULL|NULL|NULL

SHOW WARNINGS
---
Warning|1292|Truncated incorrect INTEGER value: '12abc'
Warning|1292|Truncated incorrect DECIMAL value: '1.5x'
Warning|1292|Incorrect datetime value: 'xx'
Warning|1292|Incorrect time value: 'yy'
Warning|1292|Incorrect datetime value: 'zz'

SELECT 1 / 0, 1 DIV 0, 1 % 0, 1.5 / 0, 1e0 / 0
---
NULL|NULL|NULL|NULL|NULL

SHOW COUNT(*) WARNINGS
---
5

SELECT LN(0), 0 / 1
---
NULL|0.0000

SHOW WARNINGS
---
Warning|1365|Division by 0

SELECT id FROM t WHERE id = 1
---
1

SELECT @@warning_count
---
0

SET sql_mode = ''
---
ok 0

SELECT 1 / 0
---
NULL

SELECT @@warning_count
---
0

SET @x = '1x' + 0
---
ok 0

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '1x'

SET max_error_count = 2
---
ok 0

SELECT COUNT(v + 1) FROM t
---
5

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '12abc'
Warning|1292|Truncated incorrect DOUBLE value: 'abc'

SELECT @@warning_count
---
4

SELECT nosuch FROM t
---
error 1054 Unknown column 'nosuch' in 'field list'

SELECT @@warning_count, @@error_count
---
1|1

SHOW COUNT(*) ERRORS
---
1

SET warning_count = 1
---
error 1238 Variable 'warning_count' is a read only variable

SET max_error_count = 64
---
ok 0

SELECT SQL_CALC_FOUND_ROWS v + 0 FROM t ORDER BY id LIMIT 1
---
12

SHOW WARNINGS
---
Warning|1292|Truncated incorrect DOUBLE value: '12abc'

INSERT INTO t VALUES (6, 'x', 1, 1)
---
ok 1

SHOW WARNINGS
---

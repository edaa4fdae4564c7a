# Subqueries that stand for one value, and numbers that are written 0x.

CREATE TABLE u (k INT PRIMARY KEY, v INT)
---
ok 0

CREATE TABLE t (id INT PRIMARY KEY, v INT, s VARCHAR(20))
---
ok 0

INSERT INTO u VALUES (1, 10), (3, 30)
---
ok 2

INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')
---
ok 3

DELETE FROM t WHERE id = (SELECT k FROM u UNION ALL SELECT 2)
---
error 1242 Subquery returns more than 1 row

UPDATE t SET v = (SELECT v FROM u)
---
error 1242 Subquery returns more than 1 row

UPDATE t SET v = (SELECT v FROM u WHERE u.k = t.id)
---
ok 1

SELECT * FROM t ORDER BY id
---
1|10|a
2|NULL|b
3|30|c

INSERT INTO t VALUES (4, (SELECT v FROM u), 'x')
---
error 1242 Subquery returns more than 1 row

INSERT INTO t VALUES (4, (SELECT v FROM u WHERE k = 3), 'x')
---
ok 1

INSERT INTO t VALUES (5, (SELECT MAX(v) FROM u), 'y')
---
ok 1

SELECT (SELECT k FROM u)
---
error 1242 Subquery returns more than 1 row

SELECT (SELECT k FROM u LIMIT 1)
---
1

SELECT (SELECT k FROM u ORDER BY k DESC LIMIT 1)
---
3

SELECT (SELECT k FROM u WHERE k > 9)
---
NULL

SELECT (SELECT 1), (SELECT COUNT(*) FROM u), (SELECT COALESCE(MAX(v), 0) FROM u)
---
1|2|30

SELECT id FROM t WHERE v = (SELECT v FROM u)
---
error 1242 Subquery returns more than 1 row

SELECT id FROM t WHERE id = (SELECT k FROM u WHERE v = 30)
---
3

SELECT id, (SELECT u.v FROM u WHERE u.k = t.id) AS w FROM t ORDER BY w, id
---
2|NULL
4|NULL
5|NULL
1|10
3|30

SELECT id FROM t WHERE v > (SELECT AVG(v) FROM u) ORDER BY id
---
3
4
5

SELECT id FROM t WHERE s = (SELECT 'A') ORDER BY id
---
1

SELECT IF((SELECT k FROM u) > 1, 1, 0)
---
error 1242 Subquery returns more than 1 row

SELECT (SELECT k, v FROM u)
---
error 1241 Operand should contain 1 column(s)

SET @q = (SELECT k FROM u)
---
error 1242 Subquery returns more than 1 row

SET @q = (SELECT k FROM u WHERE v = 10)
---
ok 0

SELECT @q + 1
---
2

SELECT 0x04 + 0, 0x31 | 0, 0xFF = 255, 0x31 = '1', HEX(0x31), CAST(0x35 AS UNSIGNED), -0x10, 0x10 * 2, CONCAT(0x31, '')
---
4|49|1|1|31|53|-16|32|1

SELECT 0xFFFFFFFFFFFFFFFF + 0, 0x31 > 5, SUM(0x10), 0x4142 + 0, 0x41 IN (65), 0x41 BETWEEN 60 AND 70, LEFT(0x4142, 1), LENGTH(0x4142)
---
18446744073709551615|1|16|16706|1|1|A|2

SELECT x'31' + 0, x'4142', 0x4142
---
1|AB|AB

UPDATE t SET v = v | 0x31 WHERE id = 5
---
ok 1

INSERT INTO t VALUES (0x41, 0x10, 0x4142)
---
ok 1

INSERT INTO t SET id = 0x42, v = 0xFF, s = 0x43
---
ok 1

UPDATE t SET v = 0x11, s = 0x44 WHERE id = 0x42
---
ok 1

SELECT * FROM t WHERE id >= 0x05 ORDER BY id
---
5|63|y
65|16|AB
66|17|D

SELECT id FROM t WHERE id IN (0x41, 1) ORDER BY id
---
1
65

SELECT IF((SELECT TRUE FROM t WHERE id = 1), 'y', 'n'), (SELECT FALSE FROM t WHERE id = 1), (SELECT id = 1 FROM t WHERE id = 1)
---
y|0|1

SELECT (SELECT TRUE FROM t)
---
error 1242 Subquery returns more than 1 row

SELECT (SELECT x.id FROM (SELECT id FROM t WHERE id < 3) x WHERE x.id = t.id) FROM t WHERE id < 4 ORDER BY id
---
1
2
NULL

SELECT (WITH w AS (SELECT k FROM u) SELECT k FROM w WHERE k = t.id) FROM t WHERE id < 4 ORDER BY id
---
1
NULL
3

CREATE TABLE c (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)
---
ok 0

CREATE TABLE o (id INT, line INT, c_id INT, amount DECIMAL(8,2), at DATETIME, PRIMARY KEY (id, line), KEY (c_id))
---
ok 0

INSERT INTO c VALUES (1, 'Ann'), (2, 'bob'), (3, 'Çelik')
---
ok 3

INSERT INTO o VALUES (1,1,1,10.00,'2024-01-01'),(1,2,1,2.50,'2024-01-02 10:00:00'),(2,1,2,99.99,NULL),(3,1,NULL,1,'2024-03-01')
---
ok 4

SELECT c.name, SUM(o.amount) AS total, COUNT(o.id) FROM c LEFT JOIN o ON o.c_id = c.id GROUP BY c.id, c.name HAVING total IS NULL OR total > 5 ORDER BY total DESC, name
---
bob|99.99|1
Ann|12.50|2
Çelik|NULL|0

SELECT name FROM c ORDER BY name
---
Ann
bob
Çelik

SELECT * FROM o WHERE (id, line) > (1, 1) ORDER BY id, line LIMIT 1, 2
---
2|1|2|99.99|NULL
3|1|NULL|1.00|2024-03-01 00:00:00

SELECT id, line FROM o WHERE (id, line) IN ((1, 2), (3, 1), (9, 9)) ORDER BY id
---
1|2
3|1

SELECT c.*, o.line FROM c JOIN o USING (id) WHERE o.amount >= 2.5 ORDER BY 1, o.line
---
1|Ann|1
1|Ann|2
2|bob|1

SELECT name FROM c WHERE EXISTS (SELECT 1 FROM o WHERE o.c_id = c.id AND amount > (SELECT AVG(amount) FROM o))
---
bob

SELECT id FROM c UNION SELECT line FROM o UNION ALL SELECT 7 ORDER BY id
---
1
2
3
7

SELECT x.n, x.s FROM (SELECT COUNT(*) AS n, SUM(amount) AS s FROM o) AS x WHERE x.s > 100
---
4|113.49

SELECT CASE WHEN amount > 50 THEN 'much' WHEN amount > 5 THEN 'some' ELSE 'little' END AS k, COUNT(*) FROM o GROUP BY k ORDER BY k
---
little|2
much|1
some|1

SELECT GROUP_CONCAT(name ORDER BY id DESC SEPARATOR '; ') FROM c
---
Çelik; bob; Ann

SELECT DISTINCT c_id IS NULL FROM o ORDER BY 1
---
0
1

SELECT CONCAT('a', 1, 2.5), CONCAT_WS(',', 'a', NULL, 'b'), UPPER('straße'), LENGTH('ä'), CHAR_LENGTH('ä'), SUBSTRING('hello', 2, 3), LEFT('hello', 2), TRIM('  x '), REPLACE('aXb', 'X', '-'), HEX('ab'), UNHEX('6162'), LPAD('7', 3, '0')
---
a12.5|a,b|STRAßE|2|1|ell|he|x|a-b|6162|ab|007

SELECT IFNULL(NULL, 2), COALESCE(NULL, NULL, 'x'), NULLIF(1, 1), IF(1 > 2, 'a', 'b'), ABS(-1.50), ROUND(2.345, 2), FLOOR(-1.5), CEIL(1.2), MOD(7, 3), GREATEST(1, 2.5), LEAST('b', 'a')
---
2|x|NULL|b|1.50|2.35|-2|2|1|2.5|a

SELECT DATE_ADD('2024-01-31', INTERVAL 1 MONTH), DATE_SUB(at, INTERVAL 90 MINUTE), YEAR(at), MONTH(at), DAY(at), DATEDIFF(at, '2023-12-31'), DATE(at), UNIX_TIMESTAMP(at) FROM o WHERE line = 2
---
2024-02-29|2024-01-02 08:30:00|2024|1|2|2|2024-01-02|1704189600

SELECT at + INTERVAL 1 DAY FROM o WHERE id = 3
---
2024-03-02 00:00:00

SELECT COUNT(*) FROM o WHERE at IS NOT NULL AND at >= '2024-01-02' AND at < NOW()
---
2

SELECT nosuch FROM o
---
error 1054 Unknown column 'nosuch' in 'field list'

SELECT id FROM c, o
---
error 1052 Column 'id' in field list is ambiguous

SELECT FROM c
---
error 1064 You have an error in your SQL syntax: sql parser error: Expected an expression, found: FROM at Line: 1, Column: 13

WITH big AS (SELECT * FROM o WHERE amount > 5) SELECT COUNT(*), MAX(amount) FROM big
---
2|99.99

SELECT SHA1('abc'), CRC32('123456789'), BIT_XOR(id) FROM c
---
a9993e364706816aba3e25717850c26c9cd0d89d|3421780262|0

SELECT id FROM c WHERE name = 'BOB' OR name LIKE '%N'
---
1
2

SELECT a.id FROM c a, c b WHERE a.id = b.id AND b.name = 'ann' FOR UPDATE
---
1

SELECT id, amount * 2 AS twice FROM o WHERE id < 3 HAVING twice > 10 ORDER BY twice
---
1|20.00
2|199.98

UPDATE IGNORE c SET id = 1
---
error 1235 This version of evensum's node doesn't yet support 'UPDATE IGNORE'

SHOW FULL COLUMNS FROM c LIKE 'name'
---
name|varchar(20)|utf8mb4_general_ci|NO||NULL||select,insert,update,references|

SELECT DATE_ADD('2024-01-31', INTERVAL 9223372036854775807 MONTH), LOCATE('a', 'aaa', -9223372036854775807), ROUND(15, -9223372036854775807)
---
NULL|0|0

CREATE TABLE fine (id INT PRIMARY KEY, x DECIMAL(10,2), y DECIMAL(10,4))
---
ok 0

INSERT INTO fine VALUES (1, 1.00, 1.0012), (2, 2.00, 2.0000)
---
ok 2

SELECT id FROM fine WHERE x IN (SELECT y FROM fine)
---
2

SELECT id FROM fine RIGHT JOIN c USING (id)
---
error 1235 This version of evensum's node doesn't yet support 'RIGHT JOIN with USING or NATURAL; name the columns with ON'

ALTER TABLE fine ADD COLUMN at DATETIME DEFAULT CURRENT_TIMESTAMP
---
error 1235 This version of evensum's node doesn't yet support 'ADD COLUMN with a default that depends on the time or its zone; add it with NULL and fill it by UPDATE'

SELECT SUBSTRING_INDEX('a.b.c', '.', 2), SUBSTRING_INDEX('a.b.c', '.', -1), SUBSTRING_INDEX('abc', '', 1), SUBSTRING_INDEX('abc', 'b', '1')
---
a.b|c||a

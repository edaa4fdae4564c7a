CREATE TABLE k (id INT UNSIGNED NOT NULL AUTO_INCREMENT, sku VARCHAR(10) NOT NULL, n INT DEFAULT 5, t DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (id), UNIQUE KEY sku (sku), KEY n (n)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='kept'
---
ok 0

INSERT INTO k (sku) VALUES ('a'), ('b'), ('c')
---
ok 3

SELECT LAST_INSERT_ID(), ROW_COUNT()
---
1|3

INSERT IGNORE INTO k (sku) VALUES ('a'), ('d')
---
ok 1

SHOW WARNINGS
---
Warning|1062|Duplicate entry 'a' for key 'sku'

INSERT INTO k (sku) VALUES ('A')
---
error 1062 Duplicate entry 'A' for key 'sku'

INSERT INTO k (id, sku) VALUES (2, 'z')
---
error 1062 Duplicate entry '2' for key 'PRIMARY'

INSERT INTO k (sku, n) VALUES ('a', 7) ON DUPLICATE KEY UPDATE n = n + VALUES(n)
---
ok 2

INSERT INTO k (sku, n) VALUES ('a', 1) ON DUPLICATE KEY UPDATE n = VALUES(n) * 10, sku = CONCAT(VALUES(sku), '!')
---
ok 2

SELECT id, sku, n FROM k ORDER BY id
---
1|a!|10
2|b|5
3|c|5
4|d|5

REPLACE INTO k (id, sku, n) VALUES (9, 'b', 1)
---
ok 2

INSERT INTO k SET sku = 's', n = DEFAULT
---
ok 1

INSERT INTO k (sku, n) SELECT CONCAT(sku, '2'), n + 1 FROM k WHERE id < 4
---
ok 2

SELECT id, sku, n FROM k ORDER BY id DESC LIMIT 4
---
12|c2|6
11|a!2|11
10|s|5
9|b|1

UPDATE k SET n = n + 1, sku = CONCAT(sku, n) WHERE id >= 11 ORDER BY id LIMIT 1
---
ok 1

SELECT sku, n FROM k WHERE id = 11
---
a!212|12

UPDATE k SET n = 5 WHERE n = 5
---
ok 0

UPDATE k SET id = id + 100 WHERE id = 1
---
ok 1

SET auto_increment_increment = 10, auto_increment_offset = 3
---
ok 0

INSERT INTO k (sku) VALUES ('x'), ('y')
---
ok 2

SELECT id FROM k WHERE sku IN ('x', 'y')
---
103
113

DELETE FROM k WHERE n > 5 ORDER BY id LIMIT 1
---
ok 1

DELETE FROM k WHERE sku NOT LIKE 'a%' AND id NOT IN (SELECT id FROM (SELECT 3 AS id) AS x)
---
ok 6

SELECT id, sku, n FROM k ORDER BY id
---
3|c|5
101|a!|10

CREATE TABLE nokey (a INT, b VARCHAR(5))
---
ok 0

INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (NULL, NULL)
---
ok 3

UPDATE nokey SET b = 'y' WHERE a = 1 LIMIT 1
---
ok 1

SELECT * FROM nokey ORDER BY a, b
---
NULL|NULL
1|x
1|y

TRUNCATE TABLE nokey
---
ok 0

SELECT COUNT(*) FROM nokey
---
0

INSERT INTO nokey VALUES (1)
---
error 1136 Column count doesn't match value count at row 1

INSERT INTO nokey (c) VALUES (1)
---
error 1054 Unknown column 'c' in 'field list'

INSERT INTO missing VALUES (1)
---
error 1146 Table 'shop.missing' doesn't exist

INSERT INTO k (sku, n) VALUES ('c', 1) AS new ON DUPLICATE KEY UPDATE n = new.n * 10, sku = CONCAT(new.sku, '!')
---
ok 2

SELECT sku, n FROM k WHERE id = 3
---
c!|10

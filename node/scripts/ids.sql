# What LAST_INSERT_ID() says: automatic keys of rows that came into the table, and no others.

CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, v INT)
---
ok 0

INSERT INTO u (k, v) VALUES (1, 1)
---
ok 1

INSERT INTO u (k, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 2
---
ok 2

SELECT LAST_INSERT_ID()
---
1

INSERT INTO u (k, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 2
---
ok 0

INSERT IGNORE INTO u (k, v) VALUES (1, 9)
---
ok 0

SELECT LAST_INSERT_ID()
---
1

INSERT INTO u (id, k) VALUES (50, 50)
---
ok 1

SELECT LAST_INSERT_ID()
---
1

INSERT INTO u (k, v) VALUES (60, 1), (61, 1)
---
ok 2

SELECT LAST_INSERT_ID()
---
51

# A key whose row does not come in goes to the next row of the statement.

INSERT INTO u (k, v) VALUES (1, 1), (62, 1) ON DUPLICATE KEY UPDATE v = 7
---
ok 3

SELECT LAST_INSERT_ID()
---
53

INSERT INTO u (k, v) VALUES (63, 1), (1, 1) ON DUPLICATE KEY UPDATE v = 8
---
ok 3

INSERT INTO u (k, v) VALUES (50, 1), (1, 1) ON DUPLICATE KEY UPDATE v = 9
---
ok 4

SELECT LAST_INSERT_ID()
---
55

INSERT IGNORE INTO u (k, v) VALUES (1, 1), (70, 1), (71, 1)
---
ok 2

SELECT MIN(id) = LAST_INSERT_ID(), MAX(id) = LAST_INSERT_ID() + 1 FROM u WHERE k IN (70, 71)
---
1|1

INSERT IGNORE INTO u (k, v) VALUES (72, 1), (1, 1), (73, 1)
---
ok 2

SELECT MIN(id) = LAST_INSERT_ID(), MAX(id) = LAST_INSERT_ID() + 1 FROM u WHERE k IN (72, 73)
---
1|1

INSERT INTO u (id, k) VALUES (200, 200), (201, 201)
---
ok 2

INSERT INTO u (id, k) VALUES (210, 210), (NULL, 211)
---
ok 2

SELECT LAST_INSERT_ID()
---
211

INSERT INTO u (id, k) VALUES (NULL, 212), (220, 220)
---
ok 2

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
212

REPLACE INTO u (id, k) VALUES (50, 50)
---
ok 2

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
212

REPLACE INTO u (k, v) VALUES (1, 1), (300, 1)
---
ok 3

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
1

INSERT INTO u (k, v) SELECT 401, 1 UNION SELECT 402, 1
---
ok 2

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
401

INSERT INTO u (id, k) VALUES (NULL, 704), (500, 705) ON DUPLICATE KEY UPDATE v = 77
---
ok 2

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
704

INSERT INTO u (id, k) VALUES (500, 706), (NULL, 707) ON DUPLICATE KEY UPDATE v = 80
---
ok 3

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
707

UPDATE u SET v = 3 WHERE k = 1
---
ok 1

INSERT INTO u (k) VALUES (1)
---
error 1062 Duplicate entry '1' for key 'k'

SELECT k FROM u WHERE id = LAST_INSERT_ID()
---
707

CREATE TABLE moved (id INT AUTO_INCREMENT PRIMARY KEY, u VARCHAR(9) UNIQUE)
---
ok 0

INSERT INTO moved (u) VALUES ('a')
---
ok 1

INSERT INTO moved (u) VALUES ('a'), ('new') ON DUPLICATE KEY UPDATE id = VALUES(id)
---
ok 3

SELECT * FROM moved ORDER BY id
---
2|a
3|new

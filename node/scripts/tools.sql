# What graphical clients set, and what it does.

CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY k (a, b))
---
ok 0

INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)
---
ok 3

SET SQL_SELECT_LIMIT = 2
---
ok 0

SELECT id FROM t ORDER BY id DESC
---
3
2

SELECT id FROM t ORDER BY id LIMIT 3
---
1
2
3

SELECT COUNT(*) FROM (SELECT id FROM t) x
---
3

SET SQL_SELECT_LIMIT = DEFAULT
---
ok 0

SELECT id FROM t ORDER BY id
---
1
2
3

SET SQL_SAFE_UPDATES = 1
---
ok 0

UPDATE t SET b = 5
---
error 1175 You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column

DELETE FROM t WHERE b = 1
---
error 1175 You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column

UPDATE t SET b = 5 WHERE id = 1
---
ok 1

DELETE FROM t WHERE a = 3
---
ok 1

DELETE FROM t LIMIT 1
---
error 1175 You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column

UPDATE t SET b = 7 LIMIT 1
---
ok 1

DELETE FROM t WHERE b > 0 LIMIT 1
---
ok 1

SET SQL_SAFE_UPDATES = 0
---
ok 0

SET lc_messages = 'en_US'
---
ok 0

SET lc_messages = 'nowhere'
---
error 1649 Unknown locale: 'nowhere'

SHOW PRIVILEGES LIKE 'Sh%'
---
Show databases|Server Admin|To see all databases with SHOW DATABASES
Show view|Tables|To see views with SHOW CREATE VIEW
Shutdown|Server Admin|To shut down the server

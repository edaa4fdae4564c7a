CREATE DATABASE d
---
ok 1

CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME DEFAULT CURRENT_TIMESTAMP, v INT)
---
ok 0

SET TIMESTAMP=1700000000
---
ok 0

SELECT NOW(), UNIX_TIMESTAMP(), @@timestamp
---
2023-11-14 22:13:20|1700000000|1700000000.000000

SET @@session.timestamp = 1700000000.123456
---
ok 0

SELECT NOW(6), @@timestamp
---
2023-11-14 22:13:20.123456|1700000000.123456

SET INSERT_ID=7
---
ok 0

SELECT @@insert_id
---
7

INSERT INTO d.t (v) VALUES (1), (2)
---
ok 2

SELECT LAST_INSERT_ID(), @@insert_id
---
7|0

INSERT INTO d.t (v) VALUES (3)
---
ok 1

SELECT id, v, at FROM d.t
---
7|1|2023-11-14 22:13:20
8|2|2023-11-14 22:13:20
9|3|2023-11-14 22:13:20

SET TIMESTAMP=DEFAULT, INSERT_ID=DEFAULT
---
ok 0

SELECT NOW() > '2024-01-01'
---
1

SET GLOBAL timestamp = 1
---
error 1228 Variable 'timestamp' is a SESSION variable and can't be used with SET GLOBAL

SET timestamp = -1
---
error 1231 Variable 'timestamp' can't be set to the value of '-1'

SET timestamp = 2147483648
---
error 1231 Variable 'timestamp' can't be set to the value of '2147483648'

SET PERSIST max_binlog_size = 4096
---
error 1235 This version of evensum's node doesn't yet support 'SET PERSIST: only what the configuration says outlives the node'

SET @@PERSIST.max_binlog_size = 4096
---
error 1235 This version of evensum's node doesn't yet support 'SET PERSIST: only what the configuration says outlives the node'

SET PERSIST_ONLY max_binlog_size = 4096
---
error 1235 This version of evensum's node doesn't yet support 'SET PERSIST: only what the configuration says outlives the node'

SELECT @@max_binlog_size
---
1073741824

SET @aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1
---
error 3061 User variable name 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is illegal

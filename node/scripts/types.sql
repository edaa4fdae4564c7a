CREATE TABLE t (
  i TINYINT, u BIGINT UNSIGNED, d DECIMAL(10,3), f FLOAT, g DOUBLE, c CHAR(4), v VARCHAR(5),
  b BINARY(3), vb VARBINARY(5), dt DATE, ts DATETIME(3), tm TIME, y YEAR, e ENUM('small','large'), j JSON,
  bo BOOLEAN NOT NULL DEFAULT TRUE, id INT PRIMARY KEY AUTO_INCREMENT)
---
ok 0

INSERT INTO t (i,u,d,f,g,c,v,b,vb,dt,ts,tm,y,e,j) VALUES
 (-128, 18446744073709551615, -1.5, 0.1, 0.1, 'ab  ', 'öäüß1', 'a', x'6162', '2024-02-29', '2024-02-29 23:59:59.1239', '-01:02:03', 2024, 'LARGE', '{"a": [1, 2]}')
---
ok 1

SELECT i,u,d,f,g,c,v,HEX(b),vb,dt,ts,tm,y,e,j,bo,id FROM t
---
-128|18446744073709551615|-1.500|0.1|0.1|ab|öäüß1|610000|ab|2024-02-29|2024-02-29 23:59:59.124|-01:02:03|2024|large|{"a": [1, 2]}|1|1

INSERT INTO t (i) VALUES (128)
---
error 1264 Out of range value for column 'i' at row 1

INSERT INTO t (v) VALUES ('123456')
---
error 1406 Data too long for column 'v' at row 1

INSERT INTO t (i) VALUES ('x')
---
error 1366 Incorrect integer value: 'x' for column 'i' at row 1

INSERT INTO t (dt) VALUES ('2023-02-29')
---
error 1292 Incorrect date value: '2023-02-29' for column 'dt' at row 1

INSERT INTO t (e) VALUES ('medium')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO t (bo) VALUES (NULL)
---
error 1048 Column 'bo' cannot be null

UPDATE t SET d = 12345678
---
error 1264 Out of range value for column 'd' at row 1

SELECT id FROM t WHERE u = 18446744073709551615 AND d = -1.5 AND d < 0 AND c = 'AB' AND dt = '2024-02-29' AND ts > '2024-02-29' AND tm < '00:00:00' AND y = 2024
---
1

SELECT id FROM t WHERE u > 9223372036854775807 AND d IN (1, -1.50) AND ts BETWEEN '2024-02-01' AND '2024-03-01 00:00:00'
---
1

SELECT SUM(d), AVG(d), MIN(d), MAX(u), COUNT(*), SUM(i), AVG(i) FROM t
---
-1.500|-1.5000000|-1.500|18446744073709551615|1|-128|-128.0000

SELECT u + 1 FROM t
---
error 1690 BIGINT UNSIGNED value is out of range

SELECT 7 / 2, 7 DIV 2, 7 MOD 4, 7 % 4, -7 DIV 2, 1 / 0, 0.1 + 0.2, 1e0 / 3, 2 * 1.50, '3' + 4
---
3.5000|3|3|3|-3|NULL|0.3|0.3333333333333333|3.00|7

SELECT 'a' = 'A ', 'a' = 'á', BINARY 'a' = 'A', 'abc' LIKE 'A%', 10 > '9', NULL <=> NULL, 1 <=> NULL, NOT 1, 1 XOR 1
---
1|1|0|1|1|1|0|0|0

SELECT CAST('12.7' AS SIGNED), CAST(-1 AS UNSIGNED), CAST(1.555 AS DECIMAL(5,2)), CAST('2024-01-02 03:04:05' AS DATE), CAST(5 AS CHAR)
---
12|18446744073709551615|1.56|2024-01-02|5

SHOW CREATE TABLE t
---
t|CREATE TABLE `t` (
  `i` tinyint DEFAULT NULL,
  `u` bigint unsigned DEFAULT NULL,
  `d` decimal(10,3) DEFAULT NULL,
  `f` float DEFAULT NULL,
  `g` double DEFAULT NULL,
  `c` char(4) DEFAULT NULL,
  `v` varchar(5) DEFAULT NULL,
  `b` binary(3) DEFAULT NULL,
  `vb` varbinary(5) DEFAULT NULL,
  `dt` date DEFAULT NULL,
  `ts` datetime(3) DEFAULT NULL,
  `tm` time DEFAULT NULL,
  `y` year DEFAULT NULL,
  `e` enum('small','large') DEFAULT NULL,
  `j` json DEFAULT NULL,
  `bo` tinyint(1) NOT NULL DEFAULT '1',
  `id` int NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci

SELECT u - u - 1 FROM t
---
error 1690 BIGINT UNSIGNED value is out of range

SELECT 9223372036854775807 + 1
---
error 1690 BIGINT value is out of range

SELECT ROUND(2.5e0), ROUND(2.5), ROUND(1234.5, -2), TRUNCATE(-1.999, 1)
---
2|3|1200|-1.9

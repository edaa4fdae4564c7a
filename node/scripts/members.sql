# ENUM and SET count: an ENUM is the place of its member, a SET a bit for each of its members.

CREATE TABLE t (id INT PRIMARY KEY, e ENUM('small','medium','large'), s SET('x','a','m'), f ENUM('2','1','0'))
---
ok 0

INSERT INTO t VALUES (1, 'large', 'm,x', '1'), (2, 'small', 'a', '2'), (3, 'medium', '', NULL), (4, NULL, NULL, '0')
---
ok 4

SELECT e FROM t ORDER BY e
---
NULL
small
medium
large

SELECT e FROM t ORDER BY e DESC
---
large
medium
small
NULL

SELECT DISTINCT e FROM t ORDER BY e
---
NULL
small
medium
large

SELECT DISTINCT e FROM t ORDER BY 1 DESC
---
large
medium
small
NULL

SELECT e, COUNT(*) FROM t GROUP BY e ORDER BY e
---
NULL|1
small|1
medium|1
large|1

SELECT e AS size FROM t ORDER BY size
---
NULL
small
medium
large

SELECT id, s FROM t ORDER BY s
---
4|NULL
3|
2|a
1|x,m

SELECT GROUP_CONCAT(e ORDER BY e), GROUP_CONCAT(e ORDER BY e DESC) FROM t
---
small,medium,large|large,medium,small

SELECT GROUP_CONCAT(DISTINCT e ORDER BY e) FROM t
---
small,medium,large

SELECT e + 0, s + 0, -e, e * 2, e / 2, e % 2, e DIV 2, e + 0.5, e - 5 FROM t ORDER BY id
---
3|5|-3|6|1.5000|1|1|3.5|-2
1|2|-1|2|0.5000|1|0|1.5|-4
2|0|-2|4|1.0000|0|1|2.5|-3
NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL

SELECT CAST(e AS UNSIGNED), CAST(e AS SIGNED), CAST(e AS DECIMAL(5,2)), CAST(e AS CHAR) FROM t ORDER BY id
---
3|3|3.00|large
1|1|1.00|small
2|2|2.00|medium
NULL|NULL|NULL|NULL

SELECT CAST(s AS UNSIGNED), s | 4, s & 1, s << 1 FROM t ORDER BY id
---
5|5|1|10
2|6|0|4
0|4|0|0
NULL|NULL|NULL|NULL

SELECT SUM(e), AVG(e), MIN(e), MAX(e), SUM(s), AVG(s), BIT_OR(s) FROM t
---
6|2.0000|large|small|7|2.3333|7

SELECT id FROM t WHERE e >= 2 ORDER BY id
---
1
3

SELECT id FROM t WHERE e = 2
---
3

SELECT id FROM t WHERE e = '2'
---

SELECT id FROM t WHERE e < 2.5 ORDER BY id
---
2
3

SELECT id FROM t WHERE e IN (1, 3) ORDER BY id
---
1
2

SELECT id FROM t WHERE e IN (1, 'large') ORDER BY id
---
1
2

SELECT id FROM t WHERE e IN (SELECT id FROM t WHERE id > 1) ORDER BY id
---
1
3

SELECT id FROM t WHERE e BETWEEN 1 AND 2 ORDER BY id
---
2
3

SELECT id FROM t WHERE e BETWEEN 'large' AND 'medium' ORDER BY id
---
1
3

SELECT id FROM t WHERE e > 'medium' ORDER BY id
---
2

SELECT id FROM t WHERE s & 1 ORDER BY id
---
1

SELECT id FROM t WHERE s = 5
---
1

SELECT id FROM t WHERE s = 'x,m'
---
1

SELECT id FROM t WHERE s = 'm,x'
---

SELECT CASE e WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'else' END FROM t ORDER BY id
---
else
one
two
else

SELECT CONCAT(e, '!'), LENGTH(e), UPPER(e), e LIKE 'l%' FROM t ORDER BY id
---
large!|5|LARGE|1
small!|5|SMALL|0
medium!|6|MEDIUM|0
NULL|NULL|NULL|NULL

SELECT ABS(e), ROUND(e), FLOOR(e), MOD(e, 2), SIGN(e) FROM t ORDER BY id
---
3|3|3|1|1
1|1|1|1|1
2|2|2|0|1
NULL|NULL|NULL|NULL|NULL

SELECT a.id FROM t a JOIN t b ON a.e = b.e ORDER BY a.e, a.id
---
2
3
1

SELECT a.id, b.id FROM t a JOIN t b ON a.e = b.id ORDER BY 1, 2
---
1|3
2|1
3|2

SELECT e FROM t UNION SELECT e FROM t ORDER BY e
---
NULL
large
medium
small

SELECT f, f + 0 FROM t ORDER BY f
---
NULL|NULL
2|1
1|2
0|3

SELECT id FROM t WHERE f = 1
---
2

SELECT id FROM t WHERE f = '1'
---
1

SELECT e <=> 1 FROM t ORDER BY id
---
0
1
0
0

SELECT e + 0 AS n, COUNT(*) FROM t GROUP BY n ORDER BY n
---
NULL|1
1|1
2|1
3|1

SELECT id FROM t GROUP BY id, e HAVING e > 1 ORDER BY e
---
3
1

UPDATE t SET e = e + 1 WHERE e < 3
---
ok 2

SELECT id, e FROM t ORDER BY id
---
1|large
2|medium
3|large
4|NULL

UPDATE t SET s = s | 2
---
ok 2

SELECT id, s FROM t ORDER BY id
---
1|x,a,m
2|a
3|a
4|NULL

UPDATE t SET id = id + 10 ORDER BY e DESC LIMIT 1
---
ok 1

SELECT id, e FROM t ORDER BY id
---
2|medium
3|large
4|NULL
11|large

# Numbers name members where no member has that name.

CREATE TABLE n (id INT AUTO_INCREMENT PRIMARY KEY, e ENUM('small','medium','large'), s SET('x','a','m'), f ENUM('2','1','0'))
---
ok 0

INSERT INTO n (e) VALUES ('2'), (2), (2.6), (2.6e0), (' 2'), ('2 '), ('+2'), ('00002'), ('large '), (TRUE), (0x32)
---
ok 11

INSERT INTO n (e) VALUES ('2.0')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES ('-1')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES (0)
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES ('0')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES ('')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES (4)
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES ('4')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES (-1)
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (e) VALUES ('000002')
---
error 1265 Data truncated for column 'e' at row 1

INSERT INTO n (f) VALUES (1), ('1'), ('3'), ('0')
---
ok 4

INSERT INTO n (f) VALUES (0)
---
error 1265 Data truncated for column 'f' at row 1

INSERT INTO n (s) VALUES (3), ('3'), (0), ('0'), (2.6), ('x,x,m'), (' 3'), (''), ('m,X')
---
ok 9

INSERT INTO n (s) VALUES ('8')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES (8)
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES (-1)
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES ('1,x')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES ('x,nope')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES ('x,,m')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES (',')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (s) VALUES ('x ,m')
---
error 1265 Data truncated for column 's' at row 1

INSERT INTO n (e) SELECT 3
---
ok 1

SELECT e, s, f FROM n ORDER BY id
---
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
medium|NULL|NULL
large|NULL|NULL
small|NULL|NULL
medium|NULL|NULL
NULL|NULL|2
NULL|NULL|1
NULL|NULL|0
NULL|NULL|0
NULL|x,a|NULL
NULL|x,a|NULL
NULL||NULL
NULL||NULL
NULL|a|NULL
NULL|x,m|NULL
NULL|x,a|NULL
NULL||NULL
NULL|x,m|NULL
large|NULL|NULL

# What is left out.

CREATE TABLE d (id INT PRIMARY KEY, e ENUM('small','medium','large') NOT NULL, s SET('x','y') NOT NULL)
---
ok 0

INSERT INTO d (id, s) VALUES (1, 'y')
---
ok 1

INSERT INTO d (id, s, e) VALUES (2, 'y', DEFAULT)
---
ok 1

INSERT INTO d (id) VALUES (3)
---
error 1364 Field 's' doesn't have a default value

INSERT INTO d VALUES (3, NULL, '')
---
error 1048 Column 'e' cannot be null

UPDATE d SET e = DEFAULT WHERE id = 1
---
error 1364 Field 'e' doesn't have a default value

ALTER TABLE d ADD p ENUM('p','q') NOT NULL, ADD q SET('p','q') NOT NULL
---
ok 0

SELECT * FROM d ORDER BY id
---
1|small|y|p|
2|small|y|p|

# Members that cannot be.

CREATE TABLE bad (e ENUM('a','a'))
---
error 1291 Column 'e' has duplicated value 'a' in ENUM

CREATE TABLE bad (e ENUM('a','A'))
---
error 1291 Column 'e' has duplicated value 'a' in ENUM

CREATE TABLE bad (e SET('a','a'))
---
error 1291 Column 'e' has duplicated value 'a' in SET

CREATE TABLE bad (e ENUM('a','a '))
---
error 1291 Column 'e' has duplicated value 'a' in ENUM

CREATE TABLE bad (e SET('a,b'))
---
error 1367 Illegal set 'a,b' value found during parsing

CREATE TABLE bad (e ENUM('a','b') DEFAULT '2')
---
error 1067 Invalid default value for 'e'

CREATE TABLE bad (e ENUM('a','b') DEFAULT 2)
---
error 1067 Invalid default value for 'e'

CREATE TABLE bad (e SET('a','b') DEFAULT 3)
---
error 1067 Invalid default value for 'e'

ALTER TABLE d ADD z ENUM('a','a')
---
error 1291 Column 'z' has duplicated value 'a' in ENUM

ALTER TABLE d MODIFY p ENUM('q','p','q')
---
error 1291 Column 'p' has duplicated value 'q' in ENUM

CREATE TABLE good (e ENUM('a','A') COLLATE utf8mb4_bin)
---
ok 0

CREATE TABLE many (s SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64'), id INT PRIMARY KEY)
---
ok 0

INSERT INTO many VALUES ('64', 1), ('1', 2), ('65', 3), (18446744073709551615, 4)
---
ok 4

SELECT id, s + 0, CAST(s AS UNSIGNED) FROM many ORDER BY s
---
2|1|1
3|65|65
1|-9223372036854775808|9223372036854775808
4|-1|18446744073709551615

CREATE TABLE more (s SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64','65'))
---
error 1097 Too many strings for column s and SET

# ANALYZE, CHECK, OPTIMIZE and REPAIR TABLE answer with rows, also where a table is not there.

CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), KEY (v))
---
ok 0

INSERT INTO t VALUES (1, 'a'), (2, 'b')
---
ok 2

ANALYZE TABLE t
---
shop.t|analyze|status|OK

CHECK TABLE t
---
shop.t|check|status|OK

CHECK TABLE shop.t QUICK FAST
---
shop.t|check|status|OK

CHECK TABLE t FOR UPGRADE
---
shop.t|check|status|OK

OPTIMIZE TABLE t
---
shop.t|optimize|note|Table does not support optimize, doing recreate + analyze instead
shop.t|optimize|status|OK

REPAIR TABLE t
---
shop.t|repair|note|The storage engine for the table doesn't support repair

ANALYZE LOCAL TABLE nosuch, t
---
shop.nosuch|analyze|Error|Table 'shop.nosuch' doesn't exist
shop.nosuch|analyze|status|Operation failed
shop.t|analyze|status|OK

CHECK TABLE nowhere.t
---
nowhere.t|check|Error|Table 'nowhere.t' doesn't exist
nowhere.t|check|status|Operation failed

CHECK TABLE t, t
---
error 1066 Not unique table/alias: 't'

CHECK TABLE information_schema.TABLES
---
information_schema.TABLES|check|note|The storage engine for the table doesn't support check

LOCK TABLES t READ
---
ok 0

CHECK TABLE t
---
shop.t|check|status|OK

OPTIMIZE TABLE t
---
shop.t|optimize|Error|Table 't' was locked with a READ lock and can't be updated
shop.t|optimize|status|Operation failed

UNLOCK TABLES
---
ok 0

SELECT * FROM t
---
1|a
2|b

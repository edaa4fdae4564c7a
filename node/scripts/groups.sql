# Columns beside aggregates, where sql_mode has ONLY_FULL_GROUP_BY.

SET sql_mode = 'ONLY_FULL_GROUP_BY'
---
ok 0

CREATE TABLE g (id INT PRIMARY KEY, a INT, b INT, c INT)
---
ok 0

INSERT INTO g VALUES (1, 1, 10, 5), (2, 1, 20, 6), (3, 2, 30, 7)
---
ok 3

SELECT a, b, SUM(c) FROM g GROUP BY a
---
error 1055 Expression #2 of SELECT list is not in GROUP BY clause and contains nonaggregated column 'shop.g.b' which is not functionally dependent on columns in GROUP BY clause; this is incompatible with sql_mode=only_full_group_by

SELECT a, SUM(c) FROM g GROUP BY a ORDER BY a
---
1|11
2|7

SELECT a AS x, SUM(c) FROM g GROUP BY x ORDER BY x
---
1|11
2|7

SELECT a, COUNT(*) FROM g GROUP BY 1 ORDER BY 1
---
1|2
2|1

SELECT g.a, MAX(b) FROM g GROUP BY a ORDER BY a
---
1|20
2|30

SELECT a, b, SUM(c) FROM g GROUP BY a, b ORDER BY a, b
---
1|10|5
1|20|6
2|30|7

SELECT COUNT(*), a FROM g
---
error 1140 In aggregated query without GROUP BY, expression #2 of SELECT list contains nonaggregated column 'shop.g.a'; this is incompatible with sql_mode=only_full_group_by

SELECT COUNT(*), MAX(a), MIN(a) + 1 FROM g
---
3|2|2

SELECT a FROM g GROUP BY a ORDER BY a
---
1
2

SELECT b FROM g GROUP BY a
---
error 1055 Expression #1 of SELECT list is not in GROUP BY clause and contains nonaggregated column 'shop.g.b' which is not functionally dependent on columns in GROUP BY clause; this is incompatible with sql_mode=only_full_group_by

SELECT (SELECT COUNT(*) FROM g) AS n, a FROM g ORDER BY id
---
3|1
3|1
3|2

SELECT DISTINCT a FROM g ORDER BY a
---
1
2

SELECT a, b FROM g ORDER BY id
---
1|10
1|20
2|30

SELECT h.b, COUNT(*) FROM g AS h GROUP BY h.a
---
error 1055 Expression #1 of SELECT list is not in GROUP BY clause and contains nonaggregated column 'shop.h.b' which is not functionally dependent on columns in GROUP BY clause; this is incompatible with sql_mode=only_full_group_by

SELECT a, n FROM (SELECT a, COUNT(*) AS n FROM g GROUP BY a) d ORDER BY a
---
1|2
2|1

SET sql_mode = ''
---
ok 0

SELECT a, COUNT(b), SUM(c) FROM g GROUP BY a ORDER BY a
---
1|2|11
2|1|7

SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci
---
ok 0

SHOW WARNINGS
---
Warning|1273|Collation 'utf8mb4_0900_ai_ci' is not supported here; literals compare as utf8mb4_general_ci

SELECT 'a' = 'Á', @@collation_connection
---
1|utf8mb4_general_ci

SET NAMES latin1
---
ok 0

SELECT @@collation_connection
---
utf8mb4_general_ci

SET NAMES utf8mb4
---
ok 0

CREATE DATABASE shop COLLATE utf8mb4_0900_ai_ci
---
error 1273 Unknown collation: 'utf8mb4_0900_ai_ci' (text is ordered here as utf8mb4_general_ci, utf8mb4_unicode_ci or utf8mb4_bin)

CREATE DATABASE words
---
ok 1

CREATE TABLE words.l (v VARCHAR(5) CHARACTER SET latin1)
---
error 1115 Unknown character set: 'latin1' (columns hold utf8mb4, utf8mb3 or ascii text here)

CREATE TABLE words.n (v VARCHAR(5)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_nopad_ci
---
error 1273 Unknown collation: 'utf8mb4_general_nopad_ci' (text is ordered here as utf8mb4_general_ci, utf8mb4_unicode_ci or utf8mb4_bin)

CREATE TABLE words.t (v VARCHAR(5), UNIQUE (v))
---
ok 0

INSERT INTO words.t VALUES ('a'), ('Á ')
---
error 1062 Duplicate entry 'Á ' for key 'v'

SET GLOBAL collation_server = 'utf8mb4_0900_ai_ci'
---
error 1273 Unknown collation: 'utf8mb4_0900_ai_ci' (text is ordered here as utf8mb4_general_ci, utf8mb4_unicode_ci or utf8mb4_bin)

SELECT x'41' COLLATE utf8mb4_bin
---
error 1253 COLLATION 'utf8mb4_bin' is not valid for CHARACTER SET 'binary'

SHOW COLLATION LIKE 'utf8mb4%'
---
utf8mb4_general_ci|utf8mb4|45|Yes|Yes|1|PAD SPACE
utf8mb4_bin|utf8mb4|46||Yes|1|PAD SPACE
utf8mb4_unicode_ci|utf8mb4|224||Yes|8|PAD SPACE

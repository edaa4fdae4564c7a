-- The two users of evensum on MariaDB 10.5.9 and later, for a database `shop`: GRANTs are replicated, so run this on one master.
-- Put another name in the place of shop, of the hosts ('%') and of the passwords, and repeat the lines of shop for each database.
-- What is missing afterwards is named by `evensum doctor`, with the line that grants it.

-- checks: reads, keeps the ledger, minds the lag, and is sure by the log of what cannot be locked
CREATE USER 'evensum_check'@'%' IDENTIFIED BY 'change me' REQUIRE SSL WITH MAX_USER_CONNECTIONS 50;
GRANT SELECT ON shop.* TO 'evensum_check'@'%';
GRANT SELECT, INSERT, CREATE ON evensum.* TO 'evensum_check'@'%';
GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO 'evensum_check'@'%';

-- mends, and does all that a check does: BINLOG ADMIN keeps its writes outside the log, TRIGGER and REFERENCES let it see what a
-- write would set off, DELETE on the ledger lets it forget old runs
CREATE USER 'evensum_repair'@'%' IDENTIFIED BY 'change me too' REQUIRE SSL WITH MAX_USER_CONNECTIONS 50;
GRANT SELECT ON shop.* TO 'evensum_repair'@'%';
GRANT SELECT, INSERT, CREATE ON evensum.* TO 'evensum_repair'@'%';
GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO 'evensum_repair'@'%';
GRANT INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO 'evensum_repair'@'%';
GRANT BINLOG ADMIN, REFERENCES ON *.* TO 'evensum_repair'@'%';
GRANT DELETE ON evensum.* TO 'evensum_repair'@'%';

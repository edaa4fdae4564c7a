//! The insert id of the answer, which clients ask for as the key of the row that they have just written.

use super::{Inside, run};

/// The insert id and the summary, as MariaDB 10.11 gives them.
#[test]
fn an_answer_names_the_row_that_was_written() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, v INT)");
    run(&mut s, "CREATE TABLE plain (k INT PRIMARY KEY, v INT)");
    for (sql, id, duplicates) in [
        ("INSERT INTO u (k, v) VALUES (1, 1)", 1, None),
        ("INSERT INTO u (k, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 2", 1, None),
        ("INSERT INTO u (k, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 2", 0, None),
        ("INSERT IGNORE INTO u (k, v) VALUES (1, 9)", 0, None),
        ("INSERT INTO u (id, k) VALUES (50, 50)", 50, None),
        ("INSERT INTO u (k, v) VALUES (60, 1), (61, 1)", 51, Some(0)),
        ("INSERT INTO u (k, v) VALUES (1, 1), (62, 1) ON DUPLICATE KEY UPDATE v = 7", 53, Some(1)),
        ("INSERT INTO u (k, v) VALUES (50, 1), (1, 1) ON DUPLICATE KEY UPDATE v = 9", 1, Some(2)),
        ("INSERT INTO u (k, v) VALUES (50, 1), (1, 1) ON DUPLICATE KEY UPDATE v = 9", 0, Some(0)),
        ("INSERT INTO u (k, v) VALUES (50, 1), (1, 1) ON DUPLICATE KEY UPDATE v = v + (k = 50)", 1, Some(1)),
        ("INSERT INTO u (id, k) VALUES (200, 200), (201, 201)", 201, Some(0)),
        ("INSERT INTO u (id, k) VALUES (210, 210), (NULL, 211)", 211, Some(0)),
        ("INSERT INTO u (id, k) VALUES (50, 222) ON DUPLICATE KEY UPDATE v = 101", 50, None),
        ("INSERT INTO u (id, k) VALUES (50, 222) ON DUPLICATE KEY UPDATE v = 101", 0, None),
        ("INSERT INTO u (id, k) VALUES (220, 220)", 220, None),
        ("REPLACE INTO u (id, k) VALUES (50, 50)", 50, None),
        ("REPLACE INTO u (k, v) VALUES (1, 1), (300, 1)", 221, Some(1)),
        ("REPLACE INTO u (id, k) VALUES (211, 300), (400, 400)", 400, Some(2)),
        ("INSERT INTO u (id, k) SELECT 500, 500", 500, Some(0)),
        (
            "INSERT INTO u (id, k) SELECT 500, 501 FROM u WHERE k = 1 ON DUPLICATE KEY UPDATE v = 4",
            0,
            Some(1),
        ),
        ("INSERT INTO u (k) SELECT 500 FROM u WHERE k = 1 ON DUPLICATE KEY UPDATE v = 5", 0, Some(1)),
        ("INSERT IGNORE INTO u (id, k) VALUES (50, 50)", 0, None),
        ("INSERT IGNORE INTO u (id, k) VALUES (50, 50), (600, 600)", 600, Some(1)),
        ("INSERT IGNORE INTO u (id, k) VALUES (600, 600), (50, 50)", 0, Some(2)),
        ("INSERT IGNORE INTO u (id, k) VALUES (601, 601), (50, 50)", 50, Some(1)),
        ("INSERT IGNORE INTO u (id, k) SELECT 602, 602 UNION ALL SELECT 50, 50", 50, Some(1)),
        ("UPDATE u SET v = 3 WHERE id = 50", 0, None),
        ("DELETE FROM u WHERE id = 50", 0, None),
        ("INSERT INTO u (id, k) VALUES (-5, 700)", u64::MAX - 4, None),
        ("INSERT INTO u (id, k) VALUES ('650', 701)", 650, None),
        ("INSERT INTO u (id, k) VALUES (0, 702)", 651, None),
        ("INSERT INTO plain VALUES (5, 5)", 0, None),
        ("INSERT INTO plain VALUES (5, 5) ON DUPLICATE KEY UPDATE v = 6", 0, None),
    ] {
        let done = run(&mut s, sql).done.unwrap();
        assert_eq!(done.last_insert_id, id, "{sql}");
        if let Some(duplicates) = duplicates {
            assert!(done.info.contains(&format!("Duplicates: {duplicates} ")), "{sql}: {}", done.info);
        }
    }
}

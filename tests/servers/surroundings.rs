//! Repairs of tables that stand in each other's way: foreign keys that cascade, triggers, generated columns, unique values that go
//! round among rows. What a repair does is compared with what it said, in **all** tables and in every row, and so is what undoing it does.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::cluster::TextRows;
use crate::workload::{Random, full, seeds};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The tables, in the order in which their rows can be inserted.
const TABLES: [(&str, &str); 6] = [
    (
        "customer",
        "id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, name VARCHAR(30), size INT AS (CHAR_LENGTH(name)) STORED",
    ),
    (
        "purchase",
        "id INT PRIMARY KEY, customer INT NOT NULL, total DECIMAL(8,2), tax DECIMAL(10,4) AS (total * 0.2) VIRTUAL, \
         FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE ON UPDATE CASCADE",
    ),
    (
        "line",
        "id INT PRIMARY KEY, purchase INT, place INT NOT NULL, item VARCHAR(20), UNIQUE (purchase, place), \
         FOREIGN KEY (purchase) REFERENCES purchase (id) ON DELETE SET NULL",
    ),
    ("staff", "id INT PRIMARY KEY, boss INT, FOREIGN KEY (boss) REFERENCES staff (id)"),
    (
        "seat",
        "id INT PRIMARY KEY, number INT NOT NULL UNIQUE, at TIMESTAMP(3) NOT NULL DEFAULT NOW(3) ON UPDATE NOW(3)",
    ),
    ("audited", "id INT PRIMARY KEY, v INT"),
];
/// Where the trigger of `audited` writes.
const TRAIL: &str = "trail";
const ROWS: u64 = 40;

/// All rows of one node: by table and id.
type Contents = BTreeMap<(String, String), Vec<Option<String>>>;

fn contents(masters: &Masters, n: usize) -> Contents {
    let mut all = Contents::new();
    for table in TABLES.iter().map(|(table, _)| *table).chain([TRAIL]) {
        let rows: TextRows = masters.ask(n, &format!("SELECT * FROM around.{table} ORDER BY id"));
        all.extend(rows.into_iter().map(|row| ((table.to_owned(), row[0].clone().unwrap_or_default()), row)));
    }
    all
}

/// The rows that are not the same in both.
fn differing(a: &Contents, b: &Contents) -> BTreeSet<(String, String)> {
    let keys = a.keys().chain(b.keys());
    keys.filter(|key| a.get(*key) != b.get(*key)).cloned().collect()
}

fn create_triggers(masters: &Masters) {
    for trigger in ["UPDATE", "DELETE"] {
        masters.run(
            1,
            &format!(
                "CREATE TRIGGER around.t_{trigger} AFTER {trigger} ON around.audited FOR EACH ROW \
                 INSERT INTO around.{TRAIL} (what) VALUES (OLD.id)"
            ),
        );
    }
}

fn create(masters: &Masters) {
    masters.run(1, "CREATE DATABASE around");
    for (table, columns) in TABLES {
        masters.run(1, &format!("CREATE TABLE around.{table} ({columns})"));
    }
    masters.run(1, &format!("CREATE TABLE around.{TRAIL} (id INT AUTO_INCREMENT PRIMARY KEY, what INT)"));
    create_triggers(masters);
    for id in 1..=ROWS {
        let (boss, customer) = (if id == 1 { "NULL".into() } else { (id / 2).to_string() }, id % 10 + 1);
        if id <= 20 {
            masters.run(
                1,
                &format!("INSERT INTO around.customer (id, code, name) VALUES ({id}, 'c{id}', 'name {id}')"),
            );
        }
        for sql in [
            format!("staff VALUES ({id}, {boss})"),
            format!("seat (id, number) VALUES ({id}, {id})"),
            format!("audited VALUES ({id}, {id})"),
        ] {
            masters.run(1, &format!("INSERT INTO around.{sql}"));
        }
        if id > 20 {
            masters.run(
                1,
                &format!(
                    "INSERT INTO around.purchase (id, customer, total) VALUES ({id}, {customer}, {id}.5)"
                ),
            );
            masters.run(
                1,
                &format!(
                    "INSERT INTO around.line VALUES ({id}, {id}, 1, 'pen'), ({}, {id}, 2, 'cup')",
                    id + 100
                ),
            );
        }
    }
    masters.settle();
}

/// Changes the second master behind replication's back in one of many ways; cascades and triggers do there what they do.
fn disturb(masters: &Masters, random: &mut Random) {
    let (customer, purchase, any) = (1 + random.below(20), 21 + random.below(20), 1 + random.below(ROWS));
    let (place, count) = (1 + random.below(ROWS - 6), 2 + random.below(5));
    let sql: Vec<String> = match random.below(9) {
        0 => vec![format!("DELETE FROM around.customer WHERE id = {customer}")],
        1 => vec![format!("UPDATE around.customer SET id = id + 1000 WHERE id = {customer}")],
        2 => vec![
            format!(
                "INSERT IGNORE INTO around.customer (id, code) VALUES ({}, 'x{customer}')",
                500 + customer
            ),
            format!(
                "INSERT IGNORE INTO around.purchase (id, customer, total) VALUES ({}, {}, 1)",
                500 + purchase,
                500 + customer
            ),
            format!("INSERT IGNORE INTO around.line VALUES ({}, {}, 1, 'hat')", 500 + any, 500 + purchase),
        ],
        3 => vec![format!(
            "UPDATE around.customer SET name = 'other', code = CONCAT('y', id) WHERE id = {customer}"
        )],
        4 => vec![format!("DELETE FROM around.purchase WHERE id = {purchase}")],
        // unique numbers go round among some rows
        5 | 6 => (0..count)
            .map(|n| format!("UPDATE around.seat SET number = {} WHERE id = {}", 1_000 + n, place + n))
            .chain((0..count).map(|n| {
                format!(
                    "UPDATE around.seat SET number = {} WHERE id = {}",
                    place + (n + 1) % count,
                    place + n
                )
            }))
            .collect(),
        7 => vec![
            format!("UPDATE around.line SET place = 3 WHERE id = {purchase}"),
            format!("UPDATE around.line SET place = 1 WHERE id = {}", purchase + 100),
            format!("UPDATE around.line SET place = 2 WHERE id = {purchase}"),
            format!("UPDATE around.purchase SET total = total + 1 WHERE id = {purchase}"),
        ],
        _ => vec![format!(
            "INSERT IGNORE INTO around.staff VALUES ({}, {any}), ({}, {})",
            800 + any,
            900 + any,
            800 + any
        )],
    };
    let mut session = masters.session(2);
    session.run("SET sql_log_bin = 0").unwrap();
    // some of them only work for rows that are still there
    sql.iter().for_each(|sql| _ = session.run(sql));
    if random.below(12) == 0 {
        session.run(&format!("UPDATE around.audited SET v = v + 1 WHERE id = {any}")).unwrap();
    }
}

/// The rows of a repair's steps with this outcome, or all.
fn rows(repair: &Value, outcome: Option<&str>) -> BTreeSet<(String, String)> {
    let Some(steps) = repair["execution"]["steps"].as_array() else { return BTreeSet::new() };
    let of = |step: &&Value| outcome.is_none_or(|outcome| step["outcome"] == outcome);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    steps.iter().filter(of).map(|step| (text(&step["table"]), text(&step["key"]["id"]))).collect()
}

/// `base`, but with these rows as in `other`.
fn with_rows_of(base: &Contents, other: &Contents, rows: &BTreeSet<(String, String)>) -> Contents {
    let mut contents = base.clone();
    for key in rows {
        match other.get(key) {
            Some(row) => contents.insert(key.clone(), row.clone()),
            None => contents.remove(key),
        };
    }
    contents
}

/// Makes `audited` the same again, which no repair may, as its triggers would fire.
fn calm(masters: &Masters) {
    for trigger in ["UPDATE", "DELETE"] {
        masters.run(1, &format!("DROP TRIGGER around.t_{trigger}"));
    }
    masters.settle();
    masters.repair(&["--tables", "around.*", "--policy", "prefer=n1"]);
    create_triggers(masters);
    masters.settle();
}

fn repairs(program: &Program, count: u32, seed: u64) {
    let masters = Masters::start(program, Shape::Pair);
    create(&masters);
    let mut random = Random::new(seed);
    let (mut mended, mut refused, mut repaired) = (0, 0, 0);
    while repaired < count {
        (0..=random.below(3)).for_each(|_| disturb(&masters, &mut random));
        let (right, wrong) = (contents(&masters, 1), contents(&masters, 2));
        let differ = differing(&right, &wrong);
        if differ.is_empty() {
            continue;
        }
        let context = format!("EVENSUM_SEED={seed}, repair {repaired}");
        let repair = masters.repair(&["--tables", "around.*", "--policy", "prefer=n1"]);
        assert_eq!(rows(&repair, None), differ, "{context}: the plan is what differs");
        let done = rows(&repair, Some("mended"));
        let after = contents(&masters, 2);
        assert_eq!(contents(&masters, 1), right, "{context}: the winner");
        let must = with_rows_of(&wrong, &right, &done);
        assert_eq!(differing(&after, &must), BTreeSet::new(), "{context}: {repair:#}");
        let left = rows(&repair, Some("refused"));
        assert_eq!(done.len() + left.len(), differ.len(), "{context}: {repair:#}");
        assert!(left.iter().all(|(table, _)| table == "audited"), "{context}: {repair:#}");
        let run = repair["run"].as_str().expect("a run");
        if !done.is_empty() {
            let undone = masters.repair(&["--undo", run]);
            assert_eq!(rows(&undone, Some("mended")), done, "{context}: {undone:#}");
            assert_eq!(contents(&masters, 2), wrong, "{context}: undone to the byte");
            masters.repair(&["--tables", "around.*", "--policy", "prefer=n1"]);
        }
        if !left.is_empty() {
            calm(&masters);
        }
        assert_eq!(contents(&masters, 2), right, "{context}: in the end");
        (mended, refused, repaired) = (mended + done.len(), refused + left.len(), repaired + 1);
    }
    for n in 1..=2 {
        assert_eq!(masters.link(n, "Slave_SQL_Running"), "Yes", "{}", masters.link(n, "Last_SQL_Error"));
    }
    println!(
        "EVENSUM_SEED={seed}: {repaired} repairs of {mended} rows did what they said, and were undone to the byte; {refused} rows \
         were refused because of triggers"
    );
    assert!(refused > 0 || count < 50, "no trigger stood in the way: no test");
}

/// Rows of a table without a key: each content, as bytes, with its copies.
fn bag(masters: &Masters, n: usize) -> TextRows {
    masters.ask(n, "SELECT HEX(word), n, COUNT(*) FROM around.bag GROUP BY HEX(word), n ORDER BY 1, 2")
}

fn copies_are_mended(program: &Program) {
    let masters = Masters::start(program, Shape::Pair);
    masters.run(1, "CREATE DATABASE around");
    masters.run(
        1,
        "CREATE TABLE around.bag (word VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, n INT)",
    );
    let words = "('a', 1), ('a', 1), ('a', 1), ('A', 1), ('á', 1), ('a ', 1), (NULL, NULL), (NULL, NULL), ('', 0), ('left', 9)";
    masters.run(1, &format!("INSERT INTO around.bag VALUES {words}"));
    masters.settle();
    let right = bag(&masters, 1);
    masters.corrupt(2, &[
        "DELETE FROM around.bag WHERE word = _utf8mb4'á' COLLATE utf8mb4_bin",
        "DELETE FROM around.bag WHERE word = _utf8mb4'a' COLLATE utf8mb4_bin AND LENGTH(word) = 1 LIMIT 1",
        "DELETE FROM around.bag WHERE word IS NULL LIMIT 1",
        "INSERT INTO around.bag VALUES ('A', 1)",
        "INSERT INTO around.bag VALUES ('A', 1)",
        "INSERT INTO around.bag VALUES ('extra', NULL)",
        "UPDATE around.bag SET n = 10 WHERE n = 9",
    ]);
    let wrong = bag(&masters, 2);
    let repair = masters.repair(&["--tables", "around.*", "--policy", "prefer=n1"]);
    assert_eq!(repair["execution"]["mended"], 7, "{repair:#}");
    assert_eq!((bag(&masters, 1), bag(&masters, 2)), (right.clone(), right.clone()));
    let undone = masters.repair(&["--undo", repair["run"].as_str().unwrap()]);
    assert_eq!(bag(&masters, 2), wrong, "{undone:#}");
    masters.repair(&["--tables", "around.*", "--policy", "prefer=n1"]);
    assert_eq!(bag(&masters, 2), right);
    masters.settle();
    (1..=2).for_each(|n| assert_eq!(masters.link(n, "Slave_SQL_Running"), "Yes"));
}

#[test]
fn copies_of_rows_without_a_key_are_mended_on_mariadb() {
    Program::mariadb().iter().for_each(copies_are_mended);
}

#[test]
fn copies_of_rows_without_a_key_are_mended_on_mysql() {
    Program::mysql().iter().for_each(copies_are_mended);
}

#[test]
fn a_repair_touches_what_it_said_and_nothing_else_on_mariadb() {
    let Some(program) = Program::mariadb() else { return };
    repairs(&program, if full() { 500 } else { 25 }, seeds(1)[0]);
}

#[test]
fn a_repair_touches_what_it_said_and_nothing_else_on_mysql() {
    let Some(program) = Program::mysql() else { return };
    repairs(&program, if full() { 50 } else { 8 }, seeds(1)[0]);
}

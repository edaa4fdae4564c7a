//! Differences by the thousand: random rows of random tables, changed by one bit or one unit in a random column, deleted, or
//! added, on a random node. Exactly these rows must be found. A run prints its seed and is replayed with `EVENSUM_SEED`.

use crate::pair::Pair;
use crate::{found_rows, full};
use std::collections::BTreeMap;

/// How many rows a table has, before copies.
const ROWS: u64 = 1_200;
/// How many differences one check has to find.
const BATCH: usize = 250;
/// Added rows have numbers from here on.
const ADDED: u64 = 1_000_000;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Column, type, a value made of `{h}` (the MD5 of seed, column and row, in hex), and a change that is always one: `{c}` is the
/// column, `{bit}` a random bit.
const COLUMNS: [(&str, &str, &str, &str); 20] = [
    (
        "i",
        "BIGINT",
        "CAST(CONV(LEFT({h},15),16,10) AS SIGNED) - 500000000000000000",
        "CAST({c} ^ (1 << {bit}) AS SIGNED)",
    ),
    ("u", "BIGINT UNSIGNED", "CAST(CONV(LEFT({h},16),16,10) AS UNSIGNED)", "{c} ^ (1 << {bit})"),
    ("m", "MEDIUMINT UNSIGNED", "CONV(LEFT({h},6),16,10)", "{c} ^ (1 << ({bit} % 24))"),
    (
        "d",
        "DECIMAL(40,20)",
        "CONCAT(CONV(LEFT({h},12),16,10), '.', CONV(RIGHT({h},13),16,10))",
        "{c} + 0.00000000000000000001",
    ),
    ("f", "FLOAT", "1 + CONV(LEFT({h},5),16,10) / 1048576", "{c} + 0.00000024"),
    ("g", "DOUBLE", "1 + CONV(LEFT({h},12),16,10) / 281474976710656", "{c} + 4.440892098500626e-16"),
    ("bits", "BIT(63)", "CAST(CONV(LEFT({h},15),16,10) AS UNSIGNED)", "{c} ^ (1 << {bit})"),
    ("y", "YEAR", "1901 + CONV(LEFT({h},2),16,10) % 255", "1901 + ({c} - 1900) % 255"),
    ("da", "DATE", "DATE('1990-01-01') + INTERVAL CONV(LEFT({h},3),16,10) DAY", "{c} + INTERVAL 1 DAY"),
    (
        "dt",
        "DATETIME(6)",
        "TIMESTAMP('2000-01-01') + INTERVAL CONV(LEFT({h},12),16,10) MICROSECOND",
        "{c} + INTERVAL 1 MICROSECOND",
    ),
    (
        "ts",
        "TIMESTAMP(3) NULL",
        "TIMESTAMP('2020-01-01') + INTERVAL CONV(LEFT({h},9),16,10) * 1000 MICROSECOND",
        "{c} + INTERVAL 1000 MICROSECOND",
    ),
    ("ti", "TIME(3)", "SEC_TO_TIME(CONV(LEFT({h},5),16,10) - 500000)", "ADDTIME({c}, '00:00:00.001')"),
    (
        "ci",
        "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "CONCAT('x', {h}, 'é')",
        "IF({bit} % 2, CONCAT({c}, ' '), CONCAT('X', SUBSTR({c}, 2)))",
    ),
    (
        "cp",
        "VARCHAR(60) CHARACTER SET cp1251",
        "CONCAT('я', {h})",
        "IF({bit} % 2, CONCAT('Я', SUBSTR({c}, 2)), CONCAT({c}, _cp1251 x'98'))",
    ),
    ("a", "CHAR(40) CHARACTER SET ascii", "{h}", "CONCAT({c}, _ascii x'80')"),
    ("e", "ENUM('a','b','','d')", "1 + CONV(LEFT({h},1),16,10) % 4", "({c} + 1) % 5"),
    (
        "s",
        "SET('a','b','c','d','e','f','g','h')",
        "CONV(LEFT({h},2),16,10)",
        "CAST({c} AS UNSIGNED) ^ (1 << ({bit} % 8))",
    ),
    (
        "vb",
        "VARBINARY(20)",
        "UNHEX({h})",
        "INSERT({c}, 1 + {bit} % 16, 1, CHAR(ORD(SUBSTR({c}, 1 + {bit} % 16, 1)) ^ (1 << ({bit} % 8))))",
    ),
    (
        "bl",
        "BLOB",
        "REPEAT(UNHEX({h}), 60)",
        "INSERT({c}, 1 + {bit} * 15, 1, CHAR(ORD(SUBSTR({c}, 1 + {bit} * 15, 1)) ^ (1 << ({bit} % 8))))",
    ),
    ("lt", "LONGTEXT", "REPEAT({h}, 40)", "CONCAT({c}, ' ')"),
];

/// Name, type of the key made from the number `{n}`, its value, the clause, and how many copies of a row there are at most.
const TABLES: [(&str, &str, &str, &str, u64); 7] = [
    ("by_number", "BIGINT UNSIGNED", "18446744073709551615 - {n} * 7919", "PRIMARY KEY (k)", 1),
    (
        "by_text",
        "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "CONCAT('Ключ ', MD5({n}))",
        "PRIMARY KEY (k)",
        1,
    ),
    ("by_bytes", "BINARY(8)", "UNHEX(LEFT(MD5({n}), 16))", "PRIMARY KEY (k DESC)", 1),
    (
        "by_uuid",
        "UUID",
        "CONCAT('123e4567-e89b-12d3-a456-', LPAD(HEX({n} * 104729), 12, '0'))",
        "UNIQUE (k)",
        1,
    ),
    ("by_two", "ENUM('z','a','m')", "1 + {n} % 3", "PRIMARY KEY (k, n)", 1),
    ("by_nothing", "INT", "{n} % 5", "KEY (k)", 3),
    ("in_aria", "INT", "{n}", "PRIMARY KEY (k)", 1),
];

fn names() -> String {
    COLUMNS.iter().map(|(name, ..)| format!(", {name}")).collect()
}

/// Makes a table and fills it, and a copy of it that is not checked, to put rows back from.
async fn load(pair: &mut Pair, seed: u64) {
    for database in ["seeded", "pristine"] {
        pair.run(0, &format!("CREATE DATABASE {database}")).await;
    }
    for (name, ty, key, clause, copies) in TABLES {
        let columns: String = COLUMNS.iter().map(|(name, ty, ..)| format!(", {name} {ty}")).collect();
        let engine = if name == "in_aria" { "Aria" } else { "InnoDB" };
        let create =
            format!("(k {ty} NOT NULL, n INT NOT NULL{columns}, KEY by_n (n), {clause}) ENGINE={engine}");
        let values: String = COLUMNS
            .iter()
            .map(|(column, _, value, _)| {
                // every thirteenth value is NULL
                let hash = format!("MD5(CONCAT_WS('/', {seed}, '{name}', '{column}', n))");
                format!(", IF(CRC32({hash}) % 13 = 0, NULL, {})", value.replace("{h}", &hash))
            })
            .collect();
        pair.run(0, &format!("CREATE TABLE pristine.{name} {create}")).await;
        let key = key.replace("{n}", "n");
        let numbers = format!("SELECT seq AS n FROM pristine.seq_1_to_{ROWS}");
        let fill = format!(
            "INSERT INTO pristine.{name} (k, n{}) SELECT {key}, n{values} FROM ({numbers}) AS r",
            names()
        );
        for copy in 0..copies {
            pair.run(0, &format!("{fill} WHERE n % {copies} >= {copy}")).await;
        }
        pair.run(0, &format!("CREATE TABLE seeded.{name} {create}")).await;
        pair.run(0, &format!("INSERT INTO seeded.{name} SELECT * FROM pristine.{name}")).await;
    }
    pair.catch_up().await;
}

/// Makes one difference on a node; the table, the number of the row, and the column if only one differs.
async fn plant(
    pair: &mut Pair,
    random: &mut Random,
    table: usize,
    row: u64,
) -> Option<(u64, Option<&'static str>)> {
    let (name, _, key, _, _) = TABLES[table];
    let node = usize::try_from(random.below(2)).unwrap();
    match random.below(10) {
        0 => {
            assert_eq!(
                pair.hide(node, &format!("DELETE FROM seeded.{name} WHERE n = {row} LIMIT 1")).await,
                1
            );
            Some((row, None))
        }
        1 => {
            let number = ADDED + row;
            let key = key.replace("{n}", &number.to_string());
            let sql = format!(
                "INSERT INTO seeded.{name} (k, n{0}) SELECT {key}, {number}{0} FROM pristine.{name} WHERE n = {row} LIMIT 1",
                names()
            );
            assert_eq!(pair.hide(node, &sql).await, 1, "{sql}");
            Some((number, None))
        }
        _ => {
            let (column, _, _, change) =
                COLUMNS[usize::try_from(random.below(COLUMNS.len() as u64)).unwrap()];
            let bit = random.below(60);
            let change = change.replace("{c}", column).replace("{bit}", &bit.to_string());
            // what is NULL gets a value, and now and then a value becomes NULL
            let nulls = if random.below(8) == 0 { "NULL" } else { change.as_str() };
            let some = if ["e", "s"].contains(&column) { "1".to_owned() } else { "'1'".to_owned() };
            let some = match column {
                "da" | "dt" | "ts" => "'2001-02-03'".to_owned(),
                "y" => "2000".to_owned(),
                "bits" => "1".to_owned(),
                _ => some,
            };
            let sql = format!(
                "UPDATE seeded.{name} SET {column} = IF({column} IS NULL, {some}, {nulls}) WHERE n = {row} LIMIT 1"
            );
            assert_eq!(pair.hide(node, &sql).await, 1, "{sql}");
            Some((row, Some(column)))
        }
    }
}

/// Puts everything back that a batch has changed, on both nodes.
async fn restore(pair: &mut Pair, planted: &BTreeMap<(usize, u64), Option<&str>>) {
    for (table, (name, ..)) in TABLES.iter().enumerate() {
        let rows: Vec<String> =
            planted.keys().filter(|(of, _)| *of == table).map(|(_, row)| row.to_string()).collect();
        if rows.is_empty() {
            continue;
        }
        let chosen = format!("n IN ({})", rows.join(", "));
        for node in 0..2 {
            pair.hide(node, &format!("DELETE FROM seeded.{name} WHERE {chosen}")).await;
            pair.hide(
                node,
                &format!("INSERT INTO seeded.{name} SELECT * FROM pristine.{name} WHERE {chosen}"),
            )
            .await;
        }
    }
}

/// All batches; how many differences were planted, all of which were found.
pub async fn run(pair: &mut Pair, wanted: usize) -> usize {
    let seed: u64 = match std::env::var("EVENSUM_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => std::process::id().into(),
    };
    println!("EVENSUM_SEED={seed}, full: {}", full());
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    load(pair, seed).await;
    let mut all = 0;
    while all < wanted {
        let mut planted: BTreeMap<(usize, u64), Option<&str>> = BTreeMap::new();
        while planted.len() < BATCH.min(wanted - all) {
            let table = usize::try_from(random.below(TABLES.len() as u64)).unwrap();
            let row = 1 + random.below(ROWS);
            if planted.keys().all(|(of, n)| *of != table || (*n != row && *n != ADDED + row))
                && let Some((number, column)) = plant(pair, &mut random, table, row).await
            {
                planted.insert((table, number), column);
            }
        }
        // half of the batches by digests of the servers, half by reading every row
        let report = pair.check(&["seeded.*"], (all / BATCH).is_multiple_of(2)).await;
        assert!(report.unsettled.is_empty(), "EVENSUM_SEED={seed}: {:?}", report.unsettled.first());
        let found = found_rows(&report);
        let name = |table: usize| format!("seeded.{}", TABLES[table].0);
        for ((table, row), column) in &planted {
            let found = found.get(&(name(*table), i64::try_from(*row).unwrap()));
            let context = format!("EVENSUM_SEED={seed}: {} n={row} {column:?}: {found:?}", name(*table));
            let columns = found.unwrap_or_else(|| panic!("not found, {context}"));
            if let (Some(column), [only]) = (column, columns.as_slice())
                && TABLES[*table].4 == 1
            {
                assert_eq!(only, &[(*column).to_owned()], "{context}");
            }
        }
        assert_eq!(found.len(), planted.len(), "EVENSUM_SEED={seed}: more was found than planted");
        all += planted.len();
        restore(pair, &planted).await;
    }
    let report = pair.check(&["seeded.*"], false).await;
    assert_eq!(report.verdict(), checker::Verdict::Identical, "EVENSUM_SEED={seed}");
    all
}

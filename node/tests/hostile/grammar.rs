//! Statements that are almost right: those of the transcripts, cut, spliced, nested and swollen.

use crate::random::Random;

/// What would end the node, wait on purpose, or reach for other machines.
const LEFT_OUT: [&str; 9] =
    ["SHUTDOWN", "SLEEP", "WAIT", "CHANGE", "CLONE", "FLUSH", "LOCK", "KILL", "MASTER_POS"];
const LITERALS: [&str; 16] = [
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999999999999999999999999999999999999999999999.9",
    "1e308",
    "-1e-400",
    "NULL",
    "''",
    "'\\0'",
    "x'ff'",
    "0x80",
    "'2024-02-30 25:61:61'",
    "'é😀ß '",
    "TRUE",
];
const WORDS: [&str; 24] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "UNION",
    "(",
    ")",
    ",",
    "=",
    "<=>",
    "NOT",
    "IN",
    "LIKE",
    "BETWEEN",
    "CASE",
    "END",
    "JOIN",
    "USING",
    "COLLATE utf8mb4_bin",
    "*",
    "@@",
];
const NOISE: [&[u8]; 12] =
    [b"'", b"\"", b"`", b"/*", b"*/", b"/*!", b"--", b"#", b";", b"\\", b"\0", b"\xff\xfe\x80"];
/// Statements about accounts other than the test's own.
const ACCOUNTS: [&str; 8] = [
    "CREATE USER IF NOT EXISTS 'x'@'10.0.0.%' IDENTIFIED BY 'p' REQUIRE SSL",
    "CREATE USER y IDENTIFIED WITH caching_sha2_password BY 'q' ACCOUNT LOCK",
    "ALTER USER 'x'@'10.0.0.%' IDENTIFIED WITH mysql_native_password BY 'r'",
    "GRANT SELECT, INSERT ON shop.* TO 'x'@'10.0.0.%' WITH GRANT OPTION",
    "REVOKE INSERT ON shop.* FROM 'x'@'10.0.0.%'",
    "SHOW GRANTS FOR 'x'@'10.0.0.%'",
    "SET PASSWORD FOR 'x'@'10.0.0.%' = 's'",
    "DROP USER IF EXISTS 'x'@'10.0.0.%', y",
];
/// How deep or long a statement is made, at most.
const DEEP: usize = 4_000;
const LONG: usize = 3_000;
const HUGE_BYTES: usize = 200_000;

/// The statements of the transcripts in `node/scripts`.
pub fn transcripts() -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty() && !block.starts_with("# "));
        all.extend(blocks.map(|block| block.split("\n---").next().unwrap().trim().to_owned()));
    }
    assert!(all.len() > 100, "{} statements", all.len());
    all.extend(ACCOUNTS.iter().flat_map(|sql| vec![(*sql).to_owned(); 3]));
    all.retain(|sql| harmless(sql.as_bytes()));
    all
}

fn harmless(sql: &[u8]) -> bool {
    let upper = String::from_utf8_lossy(sql).to_ascii_uppercase();
    !LEFT_OUT.iter().any(|word| upper.contains(word))
}

fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    for c in sql.chars() {
        let last = words.last_mut().unwrap();
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        if last.chars().last().is_none_or(|before| joins(before) && joins(c)) {
            last.push(c);
        } else {
            words.push(c.to_string());
        }
    }
    words
}

/// A statement for input: bytes, for they need not be UTF-8.
pub fn statement(random: &mut Random, corpus: &[String]) -> Vec<u8> {
    for _ in 0..8 {
        let made = attempt(random, corpus);
        if harmless(&made) {
            return made;
        }
    }
    b"SELECT 1".to_vec()
}

fn attempt(random: &mut Random, corpus: &[String]) -> Vec<u8> {
    let mut parts = words(&random.pick(corpus).clone());
    for _ in 0..random.below(4) {
        let at = random.below(parts.len() + 1);
        match random.below(8) {
            0 if at < parts.len() => drop(parts.remove(at)),
            1 if at < parts.len() => parts[at] = (*random.pick(&LITERALS)).to_owned(),
            2 => parts.insert(at, format!(" {} ", random.pick(&WORDS))),
            3 => parts.insert(at, format!(" {} ", random.pick(&LITERALS))),
            4 => {
                let other = words(&random.pick(corpus).clone());
                let from = random.below(other.len());
                let end = from + random.below(other.len() - from + 1);
                parts.splice(at..at, other[from..end].iter().cloned());
            }
            5 => parts.truncate(at.max(1)),
            6 => {
                let other = random.pick(corpus).clone();
                parts.insert(at, format!("({other})"));
            }
            7 if !parts.is_empty() => {
                let other = at.min(parts.len() - 1);
                let with = random.below(parts.len());
                parts.swap(other, with);
            }
            _ => {}
        }
    }
    let mut sql = parts.concat().into_bytes();
    if random.once_in(60) {
        sql = swollen(random, &sql);
    }
    if random.once_in(5) {
        let at = random.below(sql.len() + 1);
        sql.splice(at..at, random.pick(&NOISE).iter().copied());
    }
    if random.once_in(12) {
        random.damage(&mut sql);
    }
    sql
}

/// Deep nesting, long lists, huge literals.
fn swollen(random: &mut Random, sql: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(sql).into_owned();
    let depth = random.below(DEEP);
    let literal = *random.pick(&LITERALS);
    let swollen = match random.below(9) {
        0 => format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)),
        1 => format!("SELECT {}1{}", "ABS(".repeat(depth), ")".repeat(depth)),
        2 => format!("SELECT {} 1", "NOT ".repeat(depth)),
        3 => format!("SELECT 1{}", " + 1".repeat(depth)),
        4 => format!("SELECT {literal} IN ({})", vec![literal; random.below(LONG) + 1].join(", ")),
        5 => format!("SELECT '{}'", "x'' ".repeat(random.below(HUGE_BYTES / 4))),
        6 => format!("SELECT {}", "9".repeat(random.below(HUGE_BYTES))),
        7 => vec![text.as_str(); random.below(20) + 1].join(" UNION "),
        _ => vec![text.as_str(); random.below(20) + 1].join(";"),
    };
    swollen.into_bytes()
}

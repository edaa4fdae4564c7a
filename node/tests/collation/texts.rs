//! Texts in tables of both: every character by itself, and random texts of awkward characters.

use crate::Both;

const COLLATIONS: [&str; 3] = ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"];
/// What differs by case, marks, width, expansion, padding, or lies at an edge.
const ALPHABET: &str = "aAäÄáÁåbBzZsSßẞſıiİIīσςΣΑαάａＡｂ０0 \t\u{1}~\u{7f}\u{80}\u{a0}\u{301}\u{308}\u{ad}\u{d7ff}\u{e000}\
    \u{feff}\u{fffd}\u{ffff}😀😁\u{10000}\u{10ffff}ﬁﬀŒœæÆøØłŁđĐñÑ中文한글ёЁйЙеЕ%_-";
const TEXTS: usize = 160;
const PATTERNS: usize = 60;

/// A text as a literal.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''").replace('\0', "\\0");
    format!("'{escaped}'")
}

/// A small generator; the seed is printed by the check.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn text(&mut self, longest: usize) -> String {
        let alphabet: Vec<char> = ALPHABET.chars().collect();
        (0..self.below(longest + 1)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

pub fn check(mut both: Both) {
    let seed = std::env::var("EVENSUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_u64);
    println!("EVENSUM_SEED={seed}");
    let mut random = Random(seed | 1);
    let mut texts: Vec<String> =
        ["", " ", "  ", "a", "a ", "a\t", "ss", "ß", "SS ", "e\u{301}"].map(String::from).to_vec();
    texts.extend((0..TEXTS).map(|_| random.text(3)));
    both.run("CREATE DATABASE t");
    both.run("USE t");
    for (nth, collation) in COLLATIONS.into_iter().enumerate() {
        let table = format!("t{nth}");
        both.run(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, x VARCHAR(20) COLLATE {collation}, KEY (x))"
        ));
        both.run(&format!(
            "CREATE TABLE u{nth} (id INT PRIMARY KEY, x VARCHAR(20) COLLATE {collation} NOT NULL, UNIQUE (x))"
        ));
        both.run(&format!("CREATE TABLE p{nth} (x VARCHAR(20) COLLATE {collation} PRIMARY KEY, id INT)"));
        for (id, text) in texts.iter().enumerate() {
            let text = literal(text);
            both.run(&format!("INSERT INTO {table} VALUES ({id}, {text})"));
            both.same(&format!("INSERT INTO u{nth} VALUES ({id}, {text})"));
            both.same(&format!("INSERT INTO p{nth} VALUES ({text}, {id})"));
        }
        for sql in [
            "SELECT id FROM t ORDER BY x, id",
            "SELECT id FROM t ORDER BY x DESC, id",
            "SELECT a.id, b.id FROM t a JOIN t b ON a.x = b.x ORDER BY 1, 2",
            "SELECT a.id, COUNT(*) FROM t a JOIN t b ON a.x < b.x GROUP BY a.id ORDER BY 1",
            "SELECT a.id, COUNT(*) FROM t a JOIN t b ON CONCAT(a.x, 'x') <= CONCAT(b.x, 'x') GROUP BY a.id ORDER BY 1",
            "SELECT COUNT(*), MIN(id), MAX(id) FROM t GROUP BY x ORDER BY 2",
            "SELECT COUNT(*), MIN(id) FROM t GROUP BY UPPER(x) ORDER BY 2",
            "SELECT COUNT(*) FROM (SELECT DISTINCT x FROM t) d",
            "SELECT COUNT(*) FROM (SELECT DISTINCT CONCAT(x, 'y') AS y FROM t) d",
            "SELECT COUNT(DISTINCT x), COUNT(DISTINCT CONCAT('-', x)) FROM t",
            "SELECT COUNT(*) FROM (SELECT x FROM t UNION SELECT UPPER(x) FROM t) d",
            "SELECT id FROM t WHERE x = (SELECT MIN(x) FROM t) ORDER BY id",
            "SELECT id FROM t WHERE x = (SELECT MAX(x) FROM t) ORDER BY id",
            "SELECT id FROM t WHERE x IN (SELECT x FROM t WHERE id < 40) ORDER BY id",
            "SELECT id FROM u ORDER BY id",
            "SELECT id FROM p ORDER BY x",
            "SELECT t.id, p.id FROM t LEFT JOIN p ON p.x = t.x ORDER BY 1",
        ] {
            let word = |name: &str| format!(" {name}{nth} ");
            let named = ["t", "u", "p"].iter().fold(format!("{sql} "), |sql, name| {
                sql.replace(&format!("FROM {name} "), &format!("FROM{}", word(name)))
                    .replace(&format!("FROM {name})"), &format!("FROM{})", word(name)))
                    .replace(&format!("JOIN {name} "), &format!("JOIN{}", word(name)))
            });
            let named = named.replace(&format!("p{nth}  ON p.x"), &format!("p{nth} p ON p.x"));
            let named = named.replace(&format!("p{nth} ON p.x"), &format!("p{nth} p ON p.x"));
            let named = named.replace(&format!("t{nth} LEFT"), &format!("t{nth} t LEFT"));
            both.same(&named);
        }
        for _ in 0..PATTERNS {
            let (a, b) = (texts[random.below(texts.len())].clone(), random.text(2));
            let (x, y) = (literal(&a), literal(&b));
            both.same(&format!("SELECT id FROM {table} WHERE x = {x} ORDER BY id"));
            both.same(&format!("SELECT id FROM {table} WHERE x IN ({x}, {y}, 'a') ORDER BY id"));
            both.same(&format!("SELECT id FROM {table} WHERE x BETWEEN {x} AND {y} ORDER BY id"));
            both.same(&format!("SELECT id FROM {table} WHERE x LIKE {x} ORDER BY id"));
            both.same(&format!("SELECT id FROM {table} WHERE x LIKE CONCAT('%', {y}, '%') ORDER BY id"));
            both.same(&format!("SELECT COUNT(*) FROM {table} WHERE x > {x}"));
            both.same(&format!(
                "SELECT id, LOCATE({y}, x), INSTR(x, {y}), STRCMP(x, {x}) FROM {table} ORDER BY id"
            ));
        }
    }
    both.end();
}

/// Every character of the basic plane, by itself, in a table.
pub fn check_characters(mut both: Both) {
    both.run("CREATE DATABASE c");
    both.run("USE c");
    let all: Vec<(u32, char)> =
        (0..0x1_0000).filter_map(|point| Some((point, char::from_u32(point)?))).collect();
    for (nth, collation) in COLLATIONS.into_iter().enumerate() {
        let table = format!("c{nth}");
        both.run(&format!("CREATE TABLE {table} (c INT PRIMARY KEY, x VARCHAR(2) COLLATE {collation})"));
        for part in all.chunks(4_000) {
            let rows: Vec<String> =
                part.iter().map(|(point, c)| format!("({point}, {})", literal(&c.to_string()))).collect();
            both.run(&format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
        }
        both.same(&format!("SELECT c FROM {table} ORDER BY x, c"));
        both.same(&format!("SELECT MIN(c), COUNT(*) FROM {table} GROUP BY x ORDER BY 1"));
    }
    both.end();
}

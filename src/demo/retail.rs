//! A retail database: customers, products, orders and their items, always the same for the same seed.
//!
//! It has what real ones have and what checksums stumble over: composite keys, exact decimals, dates, NULLs, empty texts,
//! texts in many scripts, bytes, and floating point. Statements are made here; who runs them decides where.
//!
//! Rows with small numbers ([`RESERVED`]) are never touched by the writers: there the demonstration plants its divergences.

use std::fmt::Write;

/// Customers that are loaded.
pub const CUSTOMERS: u64 = 2_000;
/// Products that are loaded.
pub const PRODUCTS: u64 = 500;
/// Orders that are loaded.
pub const ORDERS: u64 = 3_000;
/// Rows of customers, products and orders up to this number belong to the demonstration itself.
pub const RESERVED: u64 = 200;
/// Rows in one INSERT.
const BATCH_ROWS: u64 = 250;

/// The tables that are made, by name.
pub const TABLES: [&str; 4] = ["customers", "products", "orders", "order_items"];

const NAMES: [&str; 16] = [
    "Aino Virtanen",
    "Søren Ørsted",
    "José Núñez",
    "Zoë Müller",
    "Иван Петров",
    "Ελένη Παππά",
    "王小明",
    "佐藤 花子",
    "김민준",
    "שרה לוי",
    "أحمد علي",
    "Nguyễn Văn An",
    "Łukasz Żak",
    "O'Brien, Pat",
    "Ada \"Countess\" L.",
    "नीला शर्मा",
];
const GOODS: [&str; 12] = [
    "Tea, green 茶",
    "Crème brûlée",
    "Coffee 1 kg",
    "Notebook A5",
    "Lamp \\ desk",
    "Chair, oak",
    "Mug 🫖",
    "Pen (blue)",
    "Smörgås",
    "Rope 10 m",
    "Batteries 100%",
    "It's a kettle",
];
const STATUSES: [&str; 4] = ["new", "paid", "sent", "returned"];

/// xorshift64*: small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers from this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }

    /// One of these.
    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let n = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        of.get(n).copied().unwrap_or_default()
    }
}

/// The statements that make the database and its tables.
pub fn schema() -> Vec<&'static str> {
    vec![
        "CREATE DATABASE shop",
        "CREATE TABLE shop.customers (
            id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(120),
            born DATE, points INT UNSIGNED NOT NULL DEFAULT 0, rating DOUBLE, note TEXT,
            UNIQUE KEY email (email))",
        "CREATE TABLE shop.products (
            id INT NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, price DECIMAL(10,2) NOT NULL,
            stock INT NOT NULL, weight FLOAT, picture VARBINARY(16))",
        "CREATE TABLE shop.orders (
            id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id BIGINT NOT NULL,
            status VARCHAR(10) NOT NULL, ordered_at DATETIME(3) NOT NULL, total DECIMAL(12,2) NOT NULL, note TEXT,
            KEY customer (customer_id))",
        "CREATE TABLE shop.order_items (
            order_id BIGINT NOT NULL, line SMALLINT NOT NULL, product_id INT NOT NULL, quantity INT NOT NULL,
            price DECIMAL(10,2) NOT NULL, gift BOOLEAN, PRIMARY KEY (order_id, line))",
    ]
}

/// The statements that fill the tables.
pub fn rows(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let mut statements =
        batches("customers", "id, name, email, born, points, rating, note", CUSTOMERS, |id| {
            customer(id, &mut random)
        });
    statements.extend(batches("products", "id, name, price, stock, weight, picture", PRODUCTS, |id| {
        product(id, &mut random)
    }));
    let columns = "id, customer_id, status, ordered_at, total, note";
    statements.extend(batches("orders", columns, ORDERS, |id| order(id, &mut random)));
    let columns = "order_id, line, product_id, quantity, price, gift";
    statements.extend(batches("order_items", columns, ORDERS, |id| items(id, &mut random)));
    statements
}

fn batches(table: &str, columns: &str, count: u64, mut row: impl FnMut(u64) -> String) -> Vec<String> {
    let mut statements = Vec::new();
    let mut next = 1;
    while next <= count {
        let last = (next + BATCH_ROWS - 1).min(count);
        let values: Vec<String> = (next..=last).map(&mut row).collect();
        statements.push(format!("INSERT INTO shop.{table} ({columns}) VALUES {}", values.join(", ")));
        next = last + 1;
    }
    statements
}

fn customer(id: u64, random: &mut Random) -> String {
    let name = quoted(random.pick(&NAMES));
    let email = if random.below(10) == 0 { "NULL".to_owned() } else { format!("'c{id}@example.org'") };
    let born = match random.below(8) {
        0 => "NULL".to_owned(),
        _ => format!("'{}-{:02}-{:02}'", 1930 + random.below(75), 1 + random.below(12), 1 + random.below(28)),
    };
    // eighths, which floating point holds exactly and prints the same everywhere
    let rating = match random.below(5) {
        0 => "NULL".to_owned(),
        eighths => format!("{}.{}", random.below(5), eighths * 125),
    };
    let note = match random.below(3) {
        0 => "NULL".to_owned(),
        1 => "''".to_owned(),
        _ => quoted(random.pick(&GOODS)),
    };
    format!("({id}, {name}, {email}, {born}, {}, {rating}, {note})", random.below(10_000))
}

fn product(id: u64, random: &mut Random) -> String {
    let name = quoted(&format!("{} no. {id}", random.pick(&GOODS)));
    let picture = match random.below(3) {
        0 => "NULL".to_owned(),
        _ => format!("x'{:08x}00ff'", random.below(1 << 32)),
    };
    let weight = if random.below(6) == 0 { "NULL".to_owned() } else { format!("{}.25", random.below(40)) };
    format!(
        "({id}, {name}, {}.{:02}, {}, {weight}, {picture})",
        random.below(500),
        random.below(100),
        random.below(1_000)
    )
}

fn order(id: u64, random: &mut Random) -> String {
    let (customer, status) = (1 + random.below(CUSTOMERS), random.pick(&STATUSES));
    let at = moment(random);
    let note = if random.below(4) == 0 { quoted(random.pick(&GOODS)) } else { "NULL".to_owned() };
    format!(
        "({id}, {customer}, '{status}', '{at}', {}.{:02}, {note})",
        random.below(2_000),
        random.below(100)
    )
}

fn items(order: u64, random: &mut Random) -> String {
    let mut lines = String::new();
    for line in 1..=1 + random.below(3) {
        let gift = random.pick(&["NULL", "0", "1"]);
        let comma = if line > 1 { ", " } else { "" };
        let (product, quantity) = (1 + random.below(PRODUCTS), 1 + random.below(9));
        let price = format!("{}.{:02}", random.below(500), random.below(100));
        // writing to a text cannot fail
        let _ = write!(lines, "{comma}({order}, {line}, {product}, {quantity}, {price}, {gift})");
    }
    lines
}

/// A moment of 2026.
pub fn moment(random: &mut Random) -> String {
    format!(
        "2026-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1_000)
    )
}

/// A text as SQL has it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_database() {
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
        let inserted: usize = rows(7).iter().filter(|sql| sql.contains("shop.customers")).count();
        assert_eq!(inserted as u64, CUSTOMERS.div_ceil(BATCH_ROWS));
    }

    #[test]
    fn texts_survive_quoting() {
        assert_eq!(quoted(r"a'b\c"), r"'a''b\\c'");
    }
}

//! Awkward tables: every type, character set, kind of key, engine and name that MariaDB takes, with values that are easily
//! taken for each other.
//!
//! Each column has pairs: a row holds the first value, and the second one is put in its place on one node. The column `n`
//! says which row it is, and is never changed.

use crate::keys::keys;
use crate::texts::{character_sets, collations, mixtures};
use crate::values::{numbers, others, times};

/// A column, with values and what each of them is changed to, as SQL.
pub struct Column {
    pub name: String,
    pub ty: String,
    pub pairs: Vec<(String, String)>,
}

/// A table, and how it is filled.
pub struct Table {
    pub database: String,
    pub name: String,
    pub columns: Vec<Column>,
    /// Keys and what else stands behind the columns.
    pub keys: String,
    /// What stands behind the list.
    pub options: String,
    /// How often each row is there.
    pub copies: usize,
}

/// A name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl Table {
    pub fn new(name: &str, keys: &str, columns: Vec<Column>) -> Table {
        Table {
            database: "awkward".into(),
            name: name.into(),
            columns,
            keys: keys.into(),
            options: String::new(),
            copies: 1,
        }
    }

    pub fn with(self, options: &str) -> Table {
        Table { options: options.into(), ..self }
    }

    pub fn times(self, copies: usize) -> Table {
        Table { copies, ..self }
    }

    /// The table as statements name it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.name))
    }

    /// How many rows it is filled with, apart from copies.
    pub fn rows(&self) -> usize {
        self.columns.iter().map(|column| column.pairs.len()).max().unwrap_or(0)
    }

    /// Whether rows that are taken for one another by the server's order would be one row.
    pub fn create(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!(", {} {}", quoted(&column.name), column.ty)).collect();
        let keys = if self.keys.is_empty() { String::new() } else { format!(", {}", self.keys) };
        format!(
            "CREATE TABLE {} (n INT NOT NULL{}{keys}) {}",
            self.full_name(),
            columns.concat(),
            self.options
        )
    }

    /// Fills it.
    pub fn insert(&self, row: usize) -> String {
        let written: Vec<&Column> = self.columns.iter().filter(|column| !column.pairs.is_empty()).collect();
        let names: Vec<String> = written.iter().map(|column| format!(", {}", quoted(&column.name))).collect();
        let values: Vec<String> =
            written.iter().map(|column| format!(", {}", column.pairs[row % column.pairs.len()].0)).collect();
        let one = format!("({}{})", row + 1, values.concat());
        let all = vec![one; self.copies];
        format!("INSERT INTO {} (n{}) VALUES {}", self.full_name(), names.concat(), all.join(", "))
    }

    /// Writes one column of one row, and lets the others stand even where the server would stamp them.
    pub fn update(&self, column: &Column, row: usize, value: &str) -> String {
        let stamped: Vec<String> = (self.columns.iter())
            .filter(|other| other.ty.contains("ON UPDATE") && other.name != column.name)
            .map(|other| format!(", {0} = {0}", quoted(&other.name)))
            .collect();
        let limit = if self.copies > 1 { " LIMIT 1" } else { "" };
        let set = format!("{} = {value}{}", quoted(&column.name), stamped.concat());
        format!("UPDATE {} SET {set} WHERE n = {}{limit}", self.full_name(), row + 1)
    }
}

pub fn column(name: &str, ty: &str, pairs: &[(&str, &str)]) -> Column {
    let own = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
    Column { name: name.into(), ty: ty.into(), pairs: pairs.iter().map(own).collect() }
}

/// All of them.
pub fn all() -> Vec<Table> {
    let mut tables = numbers();
    tables.extend(times());
    tables.extend(character_sets());
    tables.extend(mixtures());
    tables.extend(collations());
    tables.extend(others());
    tables.extend(keys());
    tables.extend(engines());
    tables.extend(keyless());
    tables.extend(names());
    tables
}

/// A table whose key is one column of this type; each key is changed to one that nobody has.
pub fn keyed(name: &str, ty: &str, key: &str, pairs: &[(&str, &str)]) -> Table {
    Table::new(
        name,
        key,
        vec![column("k", &format!("{ty} NOT NULL"), pairs), column("v", "INT", &[("1", "2"), ("NULL", "0")])],
    )
}

fn engines() -> Vec<Table> {
    let c = column;
    let columns = || {
        vec![
            c("v", "VARCHAR(20)", &[("'a'", "'A'"), ("''", "NULL"), ("'b'", "'b '")]),
            c("d", "DOUBLE", &[("0.1", "0.10000000000000002e0")]),
        ]
    };
    let key = "PRIMARY KEY (n)";
    vec![
        Table::new("partitions_hash", key, columns()).with("PARTITION BY HASH (n) PARTITIONS 4"),
        Table::new("partitions_range", key, columns()).with("PARTITION BY RANGE (n) (PARTITION a VALUES LESS THAN (2), PARTITION b VALUES LESS THAN MAXVALUE)"),
        Table::new("versioned", key, columns()).with("WITH SYSTEM VERSIONING"),
        Table::new("row_format_compressed", key, columns()).with("ENGINE=InnoDB ROW_FORMAT=COMPRESSED"),
        Table::new("row_format_redundant", key, columns()).with("ENGINE=InnoDB ROW_FORMAT=REDUNDANT"),
        Table::new("myisam", key, columns()).with("ENGINE=MyISAM"),
        Table::new("aria", key, columns()).with("ENGINE=Aria"),
        Table::new("aria_plain", key, columns()).with("ENGINE=Aria TRANSACTIONAL=0"),
        Table::new("in_memory", key, columns()).with("ENGINE=MEMORY"),
        Table::new("myisam_counted", "", columns()).with("ENGINE=MyISAM").times(3),
        Table::new("comma_separated", "", vec![c("v", "VARCHAR(20) NOT NULL", &[("'a'", "'A'"), ("'b'", "'b '")])])
            .with("ENGINE=CSV"),
    ]
}

/// Tables whose rows have no name.
fn keyless() -> Vec<Table> {
    let mut tables = vec![
        keyed("nullable_unique", "INT", "UNIQUE (v)", &[("1", "2"), ("3", "4"), ("5", "6")]),
        keyed(
            "prefix_only",
            "VARCHAR(90)",
            "PRIMARY KEY (k(3))",
            &[("'abc'", "'abC'"), ("'xyz'", "'xyz1'"), ("'123'", "'124'")],
        ),
        Table::new("no_columns_but_n", "", vec![]).times(2),
    ];
    tables[0].columns[1].pairs =
        [("1", "11"), ("2", "NULL"), ("NULL", "3")].map(|(from, to)| (from.into(), to.into())).into();
    // every kind of value, without a key, once and three times
    for kind in numbers().into_iter().chain(times()).chain(others()) {
        let copies = if kind.name.len() % 2 == 0 || kind.name == "large" { 1 } else { 3 };
        if !kind.columns.iter().any(|column| column.ty.contains("COMPRESSED")) {
            let name = format!("{}_counted", kind.name);
            tables.push(Table { name, keys: String::new(), copies, ..kind });
        }
    }
    for kind in character_sets().into_iter().chain(collations()) {
        if ["in_cp1251", "in_ascii", "in_sjis", "in_utf8mb4", "in_ucs2", "collated"]
            .contains(&kind.name.as_str())
        {
            let name = format!("{}_counted", kind.name);
            tables.push(Table { name, keys: String::new(), copies: 2, ..kind });
        }
    }
    tables
}

fn names() -> Vec<Table> {
    let c = column;
    let named = |database: &str, name: &str, first: &str, second: &str| {
        let columns = vec![
            c(first, "VARCHAR(20) NOT NULL", &[("'a'", "'A'"), ("'b'", "'c'")]),
            c(second, "INT", &[("1", "2")]),
        ];
        let key = format!("PRIMARY KEY ({}, n)", quoted(first));
        Table { database: database.into(), ..Table::new(name, &key, columns) }
    };
    vec![
        named("awk`ward", "ta`ble", "co`lumn", "`"),
        named("select", "from", "where", "order"),
        named("with space", "a table", "a column", "another column"),
        named("it's", "\"quoted\"", "'", "\""),
        named("базы", "таблица☃", "столбец", "列"),
        named("dotted.name", "a.b", "c.d", "e.f"),
        named("back\\slash", "%s%d_", "\\", "%"),
        named("awkward", &"x".repeat(64), &"y".repeat(64), &"z".repeat(64)),
        named("awkward", "/*! comment */", "-- x", "#;"),
    ]
}

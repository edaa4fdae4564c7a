//! What MySQL knows of a table: its columns with their types, its keys, its comment.
//!
//! SQLite only holds untyped columns with a collation; the types live here and are enforced by the write path
//! (`sql::coerce`). A definition is kept as JSON in the catalog, in the same file as the data.

use serde::{Deserialize, Serialize};

use crate::results::{ColumnMeta, WireType};
use crate::sql::collation::Collation;
use crate::sql::types::{ColumnType, Kind};

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDef {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnDef>,
    /// Its keys, the primary key first if there is one.
    pub keys: Vec<KeyDef>,
    /// The collation of text columns that name none.
    pub collation: String,
    /// The comment, empty if none.
    pub comment: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What a row gets that gives no value.
    pub default: DefaultValue,
    /// Whether an update of the row sets it to now.
    pub on_update_now: bool,
    /// Whether it counts up.
    pub auto_increment: bool,
    /// The collation's name, for text.
    pub collation: String,
    /// The comment, empty if none.
    pub comment: String,
}

/// What a row gets that gives no value for a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DefaultValue {
    /// NULL where that is allowed, else an error.
    None,
    /// This text, coerced to the column's type.
    Text(String),
    /// The time of the statement.
    Now,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDef {
    /// `PRIMARY`, or its name.
    pub name: String,
    /// Whether two rows may not agree on it.
    pub unique: bool,
    /// Positions of its columns, with the length of a prefix key.
    pub parts: Vec<(usize, Option<u32>)>,
}

impl KeyDef {
    /// Whether it is the primary key.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.name == "PRIMARY"
    }

    /// Positions of its columns.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().map(|&(column, _)| column)
    }
}

impl ColumnDef {
    /// How its text is ordered.
    #[must_use]
    pub fn ordering(&self) -> Collation {
        Collation::of_name(&self.collation).unwrap_or(Collation::GeneralCi)
    }

    /// The kind of its values.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.ty.kind(self.ordering())
    }
}

/// A name in SQLite's quotes.
#[must_use]
pub fn quote(name: &str) -> String {
    // SQLite's text ends at a zero byte, which an alias may hold
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', "\u{FFFD}"))
}

/// A name in MySQL's quotes.
#[must_use]
pub fn backtick(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl TableDef {
    /// SQLite's name of the table, quoted.
    #[must_use]
    pub fn physical(&self) -> String {
        quote(&format!("{}.{}", self.database, self.name))
    }

    /// SQLite's name of an index, quoted.
    #[must_use]
    pub fn physical_index(&self, key: &KeyDef) -> String {
        quote(&format!("{}.{}.{}", self.database, self.name, key.name))
    }

    /// The primary key.
    #[must_use]
    pub fn primary(&self) -> Option<&KeyDef> {
        self.keys.iter().find(|key| key.is_primary())
    }

    /// Whether a column belongs to the primary key.
    #[must_use]
    pub fn is_of_primary(&self, column: usize) -> bool {
        self.primary().is_some_and(|key| key.columns().any(|of| of == column))
    }

    /// The position of a column, found as MySQL does: without regard to case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column that is SQLite's own integer row key, if one is.
    #[must_use]
    pub fn rowid_column(&self) -> Option<usize> {
        let [(at, None)] = self.primary()?.parts.as_slice() else { return None };
        let column = self.columns.get(*at)?;
        matches!(&column.ty, ColumnType::Int { bytes, unsigned, .. } if *bytes < 8 || !unsigned)
            .then_some(*at)
    }

    /// Expressions that name one row to SQLite: the primary key's columns, or the hidden row number.
    #[must_use]
    pub fn row_key(&self) -> Vec<String> {
        match self.primary() {
            Some(key) => {
                key.columns().filter_map(|at| self.columns.get(at)).map(|c| quote(&c.name)).collect()
            }
            None => {
                let free = ["rowid", "_rowid_", "oid"].into_iter().find(|name| self.position(name).is_none());
                vec![free.unwrap_or("rowid").to_owned()]
            }
        }
    }

    /// The CREATE TABLE that SQLite is given.
    #[must_use]
    pub fn create_sql(&self) -> String {
        let rowid = self.rowid_column();
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| match (rowid == Some(at), column.kind().collation()) {
                (true, _) => format!("{} INTEGER PRIMARY KEY", quote(&column.name)),
                (false, Some(collation)) => format!("{} COLLATE {collation}", quote(&column.name)),
                (false, None) => quote(&column.name),
            })
            .collect();
        let mut tail = "";
        if let (None, Some(primary)) = (rowid, self.primary()) {
            parts.push(format!("PRIMARY KEY ({})", self.key_columns(primary)));
            tail = " WITHOUT ROWID";
        }
        format!("CREATE TABLE {} ({}){tail}", self.physical(), parts.join(", "))
    }

    fn key_columns(&self, key: &KeyDef) -> String {
        let names: Vec<String> =
            key.columns().filter_map(|at| self.columns.get(at)).map(|c| quote(&c.name)).collect();
        names.join(", ")
    }

    /// The CREATE INDEX that SQLite is given for a key that is not primary.
    #[must_use]
    pub fn index_sql(&self, key: &KeyDef) -> String {
        let unique = if key.unique { "UNIQUE " } else { "" };
        format!(
            "CREATE {unique}INDEX {} ON {} ({})",
            self.physical_index(key),
            self.physical(),
            self.key_columns(key)
        )
    }

    /// What a client is told of a column that is read as it is.
    #[must_use]
    pub fn column_meta(&self, at: usize) -> Option<ColumnMeta> {
        let column = self.columns.get(at)?;
        let (wire, length, decimals) = wire_of(&column.ty);
        let in_key = |wanted: &dyn Fn(&KeyDef) -> bool| {
            self.keys.iter().any(|key| wanted(key) && key.columns().any(|part| part == at))
        };
        let unsigned = matches!(
            column.ty,
            ColumnType::Int { unsigned: true, .. }
                | ColumnType::Decimal { unsigned: true, .. }
                | ColumnType::Float { unsigned: true }
                | ColumnType::Double { unsigned: true }
                | ColumnType::Year
        );
        let text = column.ty.is_text() || column.ty == ColumnType::Json;
        let flags = [
            (!column.nullable, 1),
            (in_key(&KeyDef::is_primary), 2),
            (in_key(&|key| key.unique && !key.is_primary() && key.parts.len() == 1), 4),
            (matches!(column.ty, ColumnType::Text(_) | ColumnType::Blob(_) | ColumnType::Json), 16),
            (unsigned, 32),
            (!text, 128),
            (matches!(column.ty, ColumnType::Enum(_)), 256),
            (column.auto_increment, 512),
            (matches!(column.ty, ColumnType::Set(_)), 2048),
        ];
        Some(ColumnMeta {
            database: self.database.clone(),
            table: self.name.clone(),
            original_table: self.name.clone(),
            name: column.name.clone(),
            original_name: column.name.clone(),
            wire,
            collation: if text { column.ordering().number() } else { 63 },
            length,
            flags: flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum(),
            decimals,
        })
    }
}

/// Wire type, display length and decimals of a column's type.
fn wire_of(ty: &ColumnType) -> (WireType, u32, u8) {
    let fraction = |f: u8| if f == 0 { 0 } else { u32::from(f) + 1 };
    match ty {
        ColumnType::Int { bytes: 1, .. } => (WireType::Tiny, 4, 0),
        ColumnType::Int { bytes: 2, .. } => (WireType::Short, 6, 0),
        ColumnType::Int { bytes: 3, .. } => (WireType::Int24, 9, 0),
        ColumnType::Int { bytes: 4, .. } => (WireType::Long, 11, 0),
        ColumnType::Int { .. } => (WireType::LongLong, 20, 0),
        ColumnType::Decimal { precision, scale, .. } => {
            (WireType::NewDecimal, u32::from(*precision) + 2, *scale)
        }
        ColumnType::Float { .. } => (WireType::Float, 12, 31),
        ColumnType::Double { .. } => (WireType::Double, 22, 31),
        ColumnType::Char(n) => (WireType::String, n.saturating_mul(4), 0),
        ColumnType::VarChar(n) => (WireType::VarString, n.saturating_mul(4), 0),
        ColumnType::Enum(labels) | ColumnType::Set(labels) => {
            let length: usize = labels.iter().map(|label| label.chars().count() + 1).sum();
            (WireType::String, u32::try_from(length).unwrap_or(u32::MAX).saturating_mul(4), 0)
        }
        ColumnType::Text(size) | ColumnType::Blob(size) => (WireType::Blob, size.limit(), 0),
        ColumnType::Json => (WireType::Json, u32::MAX, 0),
        ColumnType::Binary(n) => (WireType::String, *n, 0),
        ColumnType::VarBinary(n) => (WireType::VarString, *n, 0),
        ColumnType::Date => (WireType::Date, 10, 0),
        ColumnType::DateTime(f) => (WireType::DateTime, 19 + fraction(*f), *f),
        ColumnType::Timestamp(f) => (WireType::Timestamp, 19 + fraction(*f), *f),
        ColumnType::Time(f) => (WireType::Time, 10 + fraction(*f), *f),
        ColumnType::Year => (WireType::Year, 4, 0),
    }
}

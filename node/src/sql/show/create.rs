//! SHOW CREATE: a definition as the statement that makes it again, as MySQL 8.0 prints it.

use crate::sql::information_schema::catalog::default_text;
use crate::sql::types::ColumnType;
use crate::storage::definition::{ColumnDef, DefaultValue, TableDef, backtick};

fn column_text(table: &TableDef, column: &ColumnDef) -> String {
    let mut text = format!("  {} {}", backtick(&column.name), column.ty.sql());
    if column.ty.is_text() && column.collation != table.collation {
        let charset = column.collation.split('_').next().unwrap_or("utf8mb4");
        text += &format!(" CHARACTER SET {charset} COLLATE {}", column.collation);
    }
    let is_timestamp = matches!(column.ty, ColumnType::Timestamp(_));
    match (column.nullable, is_timestamp) {
        (false, _) => text += " NOT NULL",
        (true, true) => text += " NULL",
        _ => {}
    }
    let bare = matches!(column.ty, ColumnType::Text(_) | ColumnType::Blob(_));
    match &column.default {
        DefaultValue::Text(value) => {
            text += &format!(" DEFAULT '{}'", value.replace('\\', "\\\\").replace('\'', "''"))
        }
        DefaultValue::Now => text += &format!(" DEFAULT {}", default_text(column).unwrap_or_default()),
        DefaultValue::None if column.nullable && !bare => text += " DEFAULT NULL",
        DefaultValue::None => {}
    }
    if column.auto_increment {
        text += " AUTO_INCREMENT";
    }
    if column.on_update_now {
        let digits = match column.ty {
            ColumnType::DateTime(f) | ColumnType::Timestamp(f) if f > 0 => format!("({f})"),
            _ => String::new(),
        };
        text += &format!(" ON UPDATE CURRENT_TIMESTAMP{digits}");
    }
    if !column.comment.is_empty() {
        text += &format!(" COMMENT '{}'", column.comment.replace('\'', "''"));
    }
    text
}

/// The CREATE TABLE that makes this table again; `next_key` is the smallest automatic key that it never
/// gave.
#[must_use]
pub fn create_table_text(table: &TableDef, next_key: Option<u64>) -> String {
    let mut parts: Vec<String> = table.columns.iter().map(|column| column_text(table, column)).collect();
    for key in &table.keys {
        let columns: Vec<String> = key
            .parts
            .iter()
            .map(|(at, prefix)| {
                let prefix = prefix.map_or(String::new(), |length| format!("({length})"));
                format!("{}{prefix}", backtick(&table.columns[*at].name))
            })
            .collect();
        let columns = columns.join(",");
        parts.push(match (key.is_primary(), key.unique) {
            (true, _) => format!("  PRIMARY KEY ({columns})"),
            (false, true) => format!("  UNIQUE KEY {} ({columns})", backtick(&key.name)),
            (false, false) => format!("  KEY {} ({columns})", backtick(&key.name)),
        });
    }
    let charset = table.collation.split('_').next().unwrap_or("utf8mb4");
    // As in MySQL, a table that would begin with 1 does not say so.
    let counter =
        next_key.filter(|&next| next > 1).map_or(String::new(), |next| format!(" AUTO_INCREMENT={next}"));
    let comment = match table.comment.is_empty() {
        true => String::new(),
        false => format!(" COMMENT='{}'", table.comment.replace('\'', "''")),
    };
    format!(
        "CREATE TABLE {} (\n{}\n) ENGINE=InnoDB{counter} DEFAULT CHARSET={charset} COLLATE={}{comment}",
        backtick(&table.name),
        parts.join(",\n"),
        table.collation
    )
}

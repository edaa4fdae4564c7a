//! `information_schema`: the catalog as tables that can be queried.
//!
//! A view is made when a statement names it: its rows travel to SQLite as one JSON value, which `json_each`
//! turns into rows. So filters, joins and order work as on any table.

use serde_json::{Value as Json, json};

use super::expression::Environment;
use super::types::{ColumnType, Kind};
use crate::SqlError;
use crate::storage::catalog::Catalog;
use crate::storage::definition::{ColumnDef, DefaultValue, TableDef, quote};

/// A table made on use.
pub struct View {
    /// The rows, as an array of arrays.
    pub json: String,
    /// The columns.
    pub columns: Vec<(String, Kind)>,
}

impl View {
    /// A view of these columns and rows.
    #[must_use]
    pub fn new(columns: &[(&str, Kind)], rows: Vec<Json>) -> View {
        View {
            json: Json::Array(rows).to_string(),
            columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        }
    }

    /// SQLite's derived table over the rows, which are bound as that parameter.
    #[must_use]
    pub fn derived(&self, parameter: usize, alias: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (name, _))| format!("value ->> {at} AS {}", quote(name)))
            .collect();
        format!("(SELECT {} FROM json_each(?{parameter})) AS {}", columns.join(", "), quote(alias))
    }
}

const T: Kind = Kind::TEXT;
const I: Kind = Kind::Int { unsigned: true };

/// The view of that name, if the database is `information_schema`.
pub fn view(env: &Environment<'_>, database: &str, table: &str) -> Result<Option<View>, SqlError> {
    if !database.eq_ignore_ascii_case("information_schema") {
        return Ok(None);
    }
    let catalog = env.catalog;
    Ok(Some(match table.to_ascii_uppercase().as_str() {
        "SCHEMATA" => schemata(catalog),
        "TABLES" => tables(catalog),
        "COLUMNS" => columns(catalog),
        "STATISTICS" => statistics(catalog),
        "KEY_COLUMN_USAGE" => key_column_usage(catalog),
        "TABLE_CONSTRAINTS" => table_constraints(catalog),
        "ENGINES" => engines(),
        "COLLATIONS" => collations(),
        "TRIGGERS" => {
            View::new(&[("TRIGGER_SCHEMA", T), ("TRIGGER_NAME", T), ("EVENT_OBJECT_TABLE", T)], vec![])
        }
        "REFERENTIAL_CONSTRAINTS" => {
            View::new(&[("CONSTRAINT_SCHEMA", T), ("CONSTRAINT_NAME", T), ("TABLE_NAME", T)], vec![])
        }
        "VIEWS" => View::new(&[("TABLE_SCHEMA", T), ("TABLE_NAME", T)], vec![]),
        "ROUTINES" => View::new(&[("ROUTINE_SCHEMA", T), ("ROUTINE_NAME", T)], vec![]),
        _ => {
            return Err(SqlError::new(
                1109,
                "42S02",
                format!("Unknown table '{table}' in information_schema"),
            ));
        }
    }))
}

fn schemata(catalog: &Catalog) -> View {
    let rows = catalog
        .databases
        .iter()
        .map(|(name, collation)| json!(["def", name, "utf8mb4", collation]))
        .chain(std::iter::once(json!(["def", "information_schema", "utf8mb3", "utf8mb3_general_ci"])))
        .collect();
    let columns = [
        ("CATALOG_NAME", T),
        ("SCHEMA_NAME", T),
        ("DEFAULT_CHARACTER_SET_NAME", T),
        ("DEFAULT_COLLATION_NAME", T),
    ];
    View::new(&columns, rows)
}

fn tables(catalog: &Catalog) -> View {
    let rows = catalog
        .tables()
        .map(|t| {
            json!([
                "def",
                t.database,
                t.name,
                "BASE TABLE",
                "InnoDB",
                10,
                "Dynamic",
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                t.collation,
                null,
                "",
                t.comment
            ])
        })
        .collect();
    let columns = [
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("TABLE_TYPE", T),
        ("ENGINE", T),
        ("VERSION", I),
        ("ROW_FORMAT", T),
        ("TABLE_ROWS", I),
        ("AVG_ROW_LENGTH", I),
        ("DATA_LENGTH", I),
        ("MAX_DATA_LENGTH", I),
        ("INDEX_LENGTH", I),
        ("DATA_FREE", I),
        ("AUTO_INCREMENT", I),
        ("CREATE_TIME", T),
        ("UPDATE_TIME", T),
        ("CHECK_TIME", T),
        ("TABLE_COLLATION", T),
        ("CHECKSUM", I),
        ("CREATE_OPTIONS", T),
        ("TABLE_COMMENT", T),
    ];
    View::new(&columns, rows)
}

/// A column's default as SHOW prints it.
#[must_use]
pub fn default_text(column: &ColumnDef) -> Option<String> {
    let digits = match column.ty {
        ColumnType::DateTime(f) | ColumnType::Timestamp(f) if f > 0 => format!("({f})"),
        _ => String::new(),
    };
    match &column.default {
        DefaultValue::None => None,
        DefaultValue::Text(text) => Some(text.clone()),
        DefaultValue::Now => Some(format!("CURRENT_TIMESTAMP{digits}")),
    }
}

/// A column's EXTRA as SHOW prints it.
#[must_use]
pub fn extra(column: &ColumnDef) -> String {
    let mut parts = Vec::new();
    if column.auto_increment {
        parts.push("auto_increment".to_owned());
    }
    if column.default == DefaultValue::Now {
        parts.push("DEFAULT_GENERATED".to_owned());
    }
    if column.on_update_now {
        let digits = match column.ty {
            ColumnType::DateTime(f) | ColumnType::Timestamp(f) if f > 0 => format!("({f})"),
            _ => String::new(),
        };
        parts.push(format!("on update CURRENT_TIMESTAMP{digits}"));
    }
    parts.join(" ")
}

/// A column's KEY as SHOW prints it.
#[must_use]
pub fn key_mark(table: &TableDef, at: usize) -> &'static str {
    let first = |key: &&crate::storage::definition::KeyDef| key.columns().next() == Some(at);
    if table.primary().is_some_and(|key| key.columns().any(|column| column == at)) {
        return "PRI";
    }
    let mut keys = table.keys.iter().filter(first);
    match (keys.clone().any(|key| key.unique && key.parts.len() == 1), keys.next()) {
        (true, _) => "UNI",
        (false, Some(_)) => "MUL",
        (false, None) => "",
    }
}

fn columns(catalog: &Catalog) -> View {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        for (at, column) in table.columns.iter().enumerate() {
            rows.push(column_row(table, at, column));
        }
    }
    let columns = [
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("COLUMN_NAME", T),
        ("ORDINAL_POSITION", I),
        ("COLUMN_DEFAULT", T),
        ("IS_NULLABLE", T),
        ("DATA_TYPE", T),
        ("CHARACTER_MAXIMUM_LENGTH", I),
        ("CHARACTER_OCTET_LENGTH", I),
        ("NUMERIC_PRECISION", I),
        ("NUMERIC_SCALE", I),
        ("DATETIME_PRECISION", I),
        ("CHARACTER_SET_NAME", T),
        ("COLLATION_NAME", T),
        ("COLUMN_TYPE", T),
        ("COLUMN_KEY", T),
        ("EXTRA", T),
        ("PRIVILEGES", T),
        ("COLUMN_COMMENT", T),
        ("GENERATION_EXPRESSION", T),
        ("SRS_ID", I),
    ];
    View::new(&columns, rows)
}

fn column_row(table: &TableDef, at: usize, column: &ColumnDef) -> Json {
    let (length, octets) = match column.ty {
        ColumnType::Char(n) | ColumnType::VarChar(n) => (Some(n), Some(n.saturating_mul(4))),
        ColumnType::Binary(n) | ColumnType::VarBinary(n) => (Some(n), Some(n)),
        ColumnType::Text(size) | ColumnType::Blob(size) => (Some(size.limit()), Some(size.limit())),
        _ => (None, None),
    };
    let (precision, scale) = match column.ty {
        ColumnType::Int { bytes, unsigned, .. } => {
            let digits = match (bytes, unsigned) {
                (1, _) => 3,
                (2, _) => 5,
                (3, true) => 8,
                (3, false) => 7,
                (4, _) => 10,
                (_, true) => 20,
                _ => 19,
            };
            (Some(digits), Some(0))
        }
        ColumnType::Decimal { precision, scale, .. } => (Some(precision), Some(scale)),
        ColumnType::Float { .. } => (Some(12), None),
        ColumnType::Double { .. } => (Some(22), None),
        _ => (None, None),
    };
    let fraction = match column.ty {
        ColumnType::DateTime(f) | ColumnType::Timestamp(f) | ColumnType::Time(f) => Some(f),
        _ => None,
    };
    let text = column.ty.is_text();
    let charset = text.then(|| column.collation.split('_').next().unwrap_or_default().to_owned());
    json!([
        "def",
        table.database,
        table.name,
        column.name,
        at + 1,
        default_text(column),
        if column.nullable { "YES" } else { "NO" },
        column.ty.name(),
        length,
        octets,
        precision,
        scale,
        fraction,
        charset,
        text.then_some(&column.collation),
        column.ty.sql(),
        key_mark(table, at),
        extra(column),
        "select,insert,update,references",
        column.comment,
        "",
        null
    ])
}

fn statistics(catalog: &Catalog) -> View {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        for key in &table.keys {
            for (n, (at, prefix)) in key.parts.iter().enumerate() {
                let column = &table.columns[*at];
                rows.push(json!([
                    "def",
                    table.database,
                    table.name,
                    i32::from(!key.unique),
                    table.database,
                    key.name,
                    n + 1,
                    column.name,
                    "A",
                    null,
                    prefix,
                    null,
                    if column.nullable { "YES" } else { "" },
                    "BTREE",
                    "",
                    "",
                    "YES",
                    null
                ]));
            }
        }
    }
    let columns = [
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("NON_UNIQUE", Kind::INT),
        ("INDEX_SCHEMA", T),
        ("INDEX_NAME", T),
        ("SEQ_IN_INDEX", I),
        ("COLUMN_NAME", T),
        ("COLLATION", T),
        ("CARDINALITY", Kind::INT),
        ("SUB_PART", Kind::INT),
        ("PACKED", T),
        ("NULLABLE", T),
        ("INDEX_TYPE", T),
        ("COMMENT", T),
        ("INDEX_COMMENT", T),
        ("IS_VISIBLE", T),
        ("EXPRESSION", T),
    ];
    View::new(&columns, rows)
}

fn key_column_usage(catalog: &Catalog) -> View {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        for key in table.keys.iter().filter(|key| key.unique) {
            for (n, at) in key.columns().enumerate() {
                rows.push(json!([
                    "def",
                    table.database,
                    key.name,
                    "def",
                    table.database,
                    table.name,
                    table.columns[at].name,
                    n + 1,
                    null,
                    null,
                    null,
                    null
                ]));
            }
        }
    }
    let columns = [
        ("CONSTRAINT_CATALOG", T),
        ("CONSTRAINT_SCHEMA", T),
        ("CONSTRAINT_NAME", T),
        ("TABLE_CATALOG", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("COLUMN_NAME", T),
        ("ORDINAL_POSITION", I),
        ("POSITION_IN_UNIQUE_CONSTRAINT", I),
        ("REFERENCED_TABLE_SCHEMA", T),
        ("REFERENCED_TABLE_NAME", T),
        ("REFERENCED_COLUMN_NAME", T),
    ];
    View::new(&columns, rows)
}

fn table_constraints(catalog: &Catalog) -> View {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        for key in table.keys.iter().filter(|key| key.unique) {
            let kind = if key.is_primary() { "PRIMARY KEY" } else { "UNIQUE" };
            rows.push(json!(["def", table.database, key.name, table.database, table.name, kind]));
        }
    }
    let columns = [
        ("CONSTRAINT_CATALOG", T),
        ("CONSTRAINT_SCHEMA", T),
        ("CONSTRAINT_NAME", T),
        ("TABLE_SCHEMA", T),
        ("TABLE_NAME", T),
        ("CONSTRAINT_TYPE", T),
    ];
    View::new(&columns, rows)
}

/// ENGINES. Every table is kept by SQLite; the name InnoDB is accepted for it, as its transactions behave alike.
#[must_use]
pub fn engines() -> View {
    let comment = "SQLite under evensum's bundled node: transactions and savepoints, no foreign keys";
    let rows = vec![json!(["InnoDB", "DEFAULT", comment, "YES", "NO", "YES"])];
    let columns =
        [("ENGINE", T), ("SUPPORT", T), ("COMMENT", T), ("TRANSACTIONS", T), ("XA", T), ("SAVEPOINTS", T)];
    View::new(&columns, rows)
}

/// COLLATIONS.
#[must_use]
pub fn collations() -> View {
    let rows = vec![
        json!(["utf8mb4_general_ci", "utf8mb4", 45, "Yes", "Yes", 1]),
        json!(["utf8mb4_bin", "utf8mb4", 46, "", "Yes", 1]),
        json!(["binary", "binary", 63, "Yes", "Yes", 1]),
    ];
    let columns = [
        ("COLLATION_NAME", T),
        ("CHARACTER_SET_NAME", T),
        ("ID", I),
        ("IS_DEFAULT", T),
        ("IS_COMPILED", T),
        ("SORTLEN", I),
    ];
    View::new(&columns, rows)
}

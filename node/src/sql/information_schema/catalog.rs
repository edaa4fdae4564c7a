//! Tables of `information_schema` that tell of databases, tables, columns and keys.
//!
//! Numbers that this node does not keep (lengths in bytes, times of creation) are NULL: unknown. `TABLE_ROWS` is counted
//! as far as [`Surroundings::rows`](crate::sql::surroundings::Surroundings::rows) counts, as MySQL estimates it.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Table;
use crate::sql::expression::Environment;
use crate::sql::types::{ColumnType, Kind};
use crate::storage::definition::{ColumnDef, DefaultValue, KeyDef, TableDef};

/// The tables.
pub const TABLES: &[Table] = &[
    Table {
        name: "SCHEMATA",
        columns: "CATALOG_NAME SCHEMA_NAME DEFAULT_CHARACTER_SET_NAME DEFAULT_COLLATION_NAME SQL_PATH DEFAULT_ENCRYPTION",
        rows: schemata,
    },
    Table {
        name: "TABLES",
        columns: "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE ENGINE +VERSION ROW_FORMAT +TABLE_ROWS +AVG_ROW_LENGTH \
         +DATA_LENGTH +MAX_DATA_LENGTH +INDEX_LENGTH +DATA_FREE +AUTO_INCREMENT CREATE_TIME UPDATE_TIME CHECK_TIME \
         TABLE_COLLATION +CHECKSUM CREATE_OPTIONS TABLE_COMMENT",
        rows: tables,
    },
    Table {
        name: "COLUMNS",
        columns: "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME +ORDINAL_POSITION COLUMN_DEFAULT IS_NULLABLE \
         DATA_TYPE +CHARACTER_MAXIMUM_LENGTH +CHARACTER_OCTET_LENGTH +NUMERIC_PRECISION +NUMERIC_SCALE \
         +DATETIME_PRECISION CHARACTER_SET_NAME COLLATION_NAME COLUMN_TYPE COLUMN_KEY EXTRA PRIVILEGES COLUMN_COMMENT \
         GENERATION_EXPRESSION +SRS_ID",
        rows: columns,
    },
    Table {
        name: "STATISTICS",
        columns: "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME +NON_UNIQUE INDEX_SCHEMA INDEX_NAME +SEQ_IN_INDEX COLUMN_NAME \
         COLLATION +CARDINALITY +SUB_PART PACKED NULLABLE INDEX_TYPE COMMENT INDEX_COMMENT IS_VISIBLE EXPRESSION",
        rows: statistics,
    },
    Table {
        name: "KEY_COLUMN_USAGE",
        columns: "CONSTRAINT_CATALOG CONSTRAINT_SCHEMA CONSTRAINT_NAME TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME \
         +ORDINAL_POSITION +POSITION_IN_UNIQUE_CONSTRAINT REFERENCED_TABLE_SCHEMA REFERENCED_TABLE_NAME \
         REFERENCED_COLUMN_NAME",
        rows: key_column_usage,
    },
    Table {
        name: "TABLE_CONSTRAINTS",
        columns: "CONSTRAINT_CATALOG CONSTRAINT_SCHEMA CONSTRAINT_NAME TABLE_SCHEMA TABLE_NAME CONSTRAINT_TYPE ENFORCED",
        rows: table_constraints,
    },
    Table {
        name: "PARTITIONS",
        columns: "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PARTITION_NAME SUBPARTITION_NAME +PARTITION_ORDINAL_POSITION \
         +SUBPARTITION_ORDINAL_POSITION PARTITION_METHOD SUBPARTITION_METHOD PARTITION_EXPRESSION \
         SUBPARTITION_EXPRESSION PARTITION_DESCRIPTION +TABLE_ROWS +AVG_ROW_LENGTH +DATA_LENGTH +MAX_DATA_LENGTH \
         +INDEX_LENGTH +DATA_FREE CREATE_TIME UPDATE_TIME CHECK_TIME +CHECKSUM PARTITION_COMMENT NODEGROUP \
         TABLESPACE_NAME",
        rows: partitions,
    },
];

/// `information_schema`'s own name.
const OWN: &str = "information_schema";

fn charset(collation: &str) -> &str {
    collation.split('_').next().unwrap_or("utf8mb4")
}

fn schemata(env: &Environment<'_>) -> Vec<Json> {
    let row =
        |(name, collation): (&str, &str)| json!(["def", name, charset(collation), collation, null, "NO"]);
    let known = env.catalog.databases.iter().map(|(name, collation)| (name.as_str(), collation.as_str()));
    std::iter::once((OWN, "utf8mb3_general_ci")).chain(known).map(row).collect()
}

fn tables(env: &Environment<'_>) -> Vec<Json> {
    let own = super::all().into_iter().map(|table| {
        json!([
            "def",
            OWN,
            table.name,
            "SYSTEM VIEW",
            null,
            10,
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
            null,
            null,
            null,
            "",
            ""
        ])
    });
    let row = |t: &Arc<TableDef>| status_row(env, t, &["def", &t.database, &t.name, "BASE TABLE"]);
    own.chain(env.catalog.tables().map(row)).collect()
}

/// A table's row in `TABLES` and in SHOW TABLE STATUS: what names it there, and the part that both tell alike.
#[must_use]
pub fn status_row(env: &Environment<'_>, table: &Arc<TableDef>, names: &[&str]) -> Json {
    let status: [Json; 17] = [
        "InnoDB".into(),
        10.into(),
        "Dynamic".into(),
        json!(env.server.rows(table)),
        Json::Null,
        Json::Null,
        Json::Null,
        Json::Null,
        Json::Null,
        json!(env.server.next_key(table)),
        Json::Null,
        Json::Null,
        Json::Null,
        json!(table.collation),
        Json::Null,
        "".into(),
        json!(table.comment),
    ];
    names.iter().map(|&name| name.into()).chain(status).collect()
}

fn partitions(env: &Environment<'_>) -> Vec<Json> {
    let row = |t: &Arc<TableDef>| {
        let rows = env.server.rows(t);
        json!([
            "def", t.database, t.name, null, null, null, null, null, null, null, null, null, rows, null,
            null, null, null, null, null, null, null, null, "", "", null
        ])
    };
    env.catalog.tables().map(row).collect()
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
    let first = |key: &&KeyDef| key.columns().next() == Some(at);
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

fn columns(env: &Environment<'_>) -> Vec<Json> {
    let mut rows = own_columns();
    for table in env.catalog.tables() {
        rows.extend(table.columns.iter().enumerate().map(|(at, column)| column_row(table, at, column)));
    }
    rows
}

/// The columns of `information_schema` itself.
fn own_columns() -> Vec<Json> {
    let mut rows = Vec::new();
    for table in super::all() {
        for (at, (name, kind)) in super::columns_of(table.columns).into_iter().enumerate() {
            let number = matches!(kind, Kind::Int { .. });
            let (name_of_type, ty) =
                if number { ("bigint", "bigint unsigned") } else { ("longtext", "longtext") };
            let text = |value: &'static str| (!number).then_some(value);
            rows.push(json!([
                "def",
                OWN,
                table.name,
                name,
                at + 1,
                null,
                "YES",
                name_of_type,
                null,
                null,
                number.then_some(20),
                number.then_some(0),
                null,
                text("utf8mb3"),
                text("utf8mb3_general_ci"),
                ty,
                "",
                "",
                "select",
                "",
                "",
                null
            ]));
        }
    }
    rows
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
    let charset = text.then(|| charset(&column.collation));
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

/// A column of a key: the table, the key, the place in it from 1, the column, the length of a prefix.
pub type KeyPart<'a> = (&'a TableDef, &'a KeyDef, usize, &'a ColumnDef, Option<u32>);

/// Every column of every key of a table.
pub fn parts_of(table: &TableDef) -> impl Iterator<Item = KeyPart<'_>> {
    table.keys.iter().flat_map(move |key| {
        let parts = key.parts.iter().enumerate();
        parts.map(move |(n, &(at, prefix))| (table, key, n + 1, &table.columns[at], prefix))
    })
}

fn key_parts<'a>(env: &'a Environment<'_>) -> impl Iterator<Item = KeyPart<'a>> {
    env.catalog.tables().flat_map(|table| parts_of(table))
}

fn statistics(env: &Environment<'_>) -> Vec<Json> {
    let row = |part: KeyPart<'_>| {
        let (TableDef { database, name, .. }, key, ..) = part;
        let unique = i32::from(!key.unique);
        key_part_row(
            [json!("def"), json!(database), json!(name), json!(unique), json!(database), json!(key.name)],
            part,
        )
    };
    key_parts(env).map(row).collect()
}

/// A key part's row in `STATISTICS` and in SHOW INDEX: what names the key there, and what both tell alike.
pub fn key_part_row(names: impl IntoIterator<Item = Json>, (_, _, n, column, prefix): KeyPart<'_>) -> Json {
    let told: [Json; 12] = [
        n.into(),
        json!(column.name),
        "A".into(),
        Json::Null,
        json!(prefix),
        Json::Null,
        if column.nullable { "YES" } else { "" }.into(),
        "BTREE".into(),
        "".into(),
        "".into(),
        "YES".into(),
        Json::Null,
    ];
    names.into_iter().chain(told).collect()
}

fn key_column_usage(env: &Environment<'_>) -> Vec<Json> {
    key_parts(env)
        .filter(|(_, key, ..)| key.unique)
        .map(|(table, key, n, column, _)| {
            json!([
                "def",
                table.database,
                key.name,
                "def",
                table.database,
                table.name,
                column.name,
                n,
                null,
                null,
                null,
                null
            ])
        })
        .collect()
}

fn table_constraints(env: &Environment<'_>) -> Vec<Json> {
    let unique = |table: &'_ Arc<TableDef>| -> Vec<Json> {
        table
            .keys
            .iter()
            .filter(|key| key.unique)
            .map(|key| {
                let kind = if key.is_primary() { "PRIMARY KEY" } else { "UNIQUE" };
                json!(["def", table.database, key.name, table.database, table.name, kind, "YES"])
            })
            .collect()
    };
    env.catalog.tables().flat_map(unique).collect()
}

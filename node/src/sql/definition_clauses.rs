//! What the parser reads of a definition and this node does not do; see `clauses` for why it is asked.
//!
//! Keys and columns are judged where they are made (`ddl`). Harmless and passed over: how an index is built (BTREE,
//! HASH), ALGORITHM and LOCK of an ALTER, CASCADE and RESTRICT of a DROP, which MySQL has for porting only. Another
//! engine than InnoDB is not refused: as in MySQL, a warning tells what the table got instead.

use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreateIndex, CreateTable, CreateTableOptions, Expr, IndexType,
    SqlOption, Statement, TableConstraint,
};

use super::clauses;
use crate::SqlError;

/// Engines that MySQL and MariaDB have beside InnoDB.
const OTHER_ENGINES: [&str; 12] = [
    "MYISAM",
    "MEMORY",
    "HEAP",
    "CSV",
    "ARCHIVE",
    "BLACKHOLE",
    "MERGE",
    "MRG_MYISAM",
    "FEDERATED",
    "ARIA",
    "SEQUENCE",
    "NDB",
];

fn refuse(is_there: bool, what: &str) -> Result<(), SqlError> {
    if is_there { Err(SqlError::unsupported(what)) } else { Ok(()) }
}

/// Judges a statement that defines data.
pub(super) fn check(statement: &Statement) -> Result<(), SqlError> {
    match statement {
        Statement::CreateTable(create) => create_table(create),
        Statement::CreateIndex(create) => create_index(create),
        Statement::AlterTable(alter) => alter_table(alter),
        Statement::Truncate(truncate) => clauses::truncate(truncate),
        Statement::Drop { purge, .. } => refuse(*purge, "PURGE"),
        Statement::CreateSchema { or_replace, with, options, default_collate_spec, clone, .. } => {
            let more =
                with.is_some() || options.is_some() || default_collate_spec.is_some() || clone.is_some();
            refuse(*or_replace || more, "CREATE SCHEMA with options; say CREATE DATABASE")
        }
        Statement::CreateDatabase { .. } => create_database(statement),
        _ => Ok(()),
    }
}

fn create_database(statement: &Statement) -> Result<(), SqlError> {
    let Statement::CreateDatabase {
        or_replace, location, managed_location, transient, clone, comment, ..
    } = statement
    else {
        return Ok(());
    };
    let places = location.is_some() || managed_location.is_some();
    refuse(
        *or_replace || places || *transient || clone.is_some() || comment.is_some(),
        "these options of a database",
    )
}

/// Of all that a table may have elsewhere, only what the builder is given here is known.
fn create_table(create: &CreateTable) -> Result<(), SqlError> {
    let known = CreateTableBuilder::new(create.name.clone())
        .or_replace(create.or_replace)
        .temporary(create.temporary)
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .constraints(create.constraints.clone())
        .table_options(create.table_options.clone())
        .query(create.query.clone())
        .like(create.like.clone())
        .partition_by(create.partition_by.clone())
        .build();
    refuse(known != *create, "these options of a table")?;
    let more = create.temporary || create.or_replace || !create.columns.is_empty() || create.query.is_some();
    let options = !matches!(create.table_options, CreateTableOptions::None);
    refuse(create.like.is_some() && (more || options), "CREATE TABLE .. LIKE with anything else")
}

fn create_index(create: &CreateIndex) -> Result<(), SqlError> {
    let CreateIndex {
        name: _,
        table_name: _,
        using,
        columns: _,
        unique: _,
        concurrently,
        r#async: is_async,
        if_not_exists,
        include,
        nulls_distinct,
        with,
        predicate,
        index_options: _,
        alter_options,
    } = create;
    index_type(using.as_ref())?;
    refuse(*concurrently || *is_async, "CONCURRENTLY")?;
    refuse(*if_not_exists, "CREATE INDEX IF NOT EXISTS")?;
    refuse(!include.is_empty(), "INCLUDE")?;
    refuse(nulls_distinct.is_some(), "NULLS DISTINCT")?;
    refuse(!with.is_empty(), "WITH")?;
    refuse(predicate.is_some(), "an index of some rows")?;
    let harmless = |operation: &AlterTableOperation| {
        matches!(operation, AlterTableOperation::Algorithm { .. } | AlterTableOperation::Lock { .. })
    };
    refuse(!alter_options.iter().all(harmless), "CREATE INDEX with changes of the table")
}

fn index_type(given: Option<&IndexType>) -> Result<(), SqlError> {
    let known = matches!(given, None | Some(IndexType::BTree | IndexType::Hash));
    refuse(!known, "this type of index")
}

/// Judges a key that is written on its own.
pub(super) fn constraint(constraint: &TableConstraint) -> Result<(), SqlError> {
    match constraint {
        TableConstraint::PrimaryKey(key) => {
            index_type(key.index_type.as_ref())?;
            refuse(!key.include.is_empty() || key.characteristics.is_some(), "these options of a key")
        }
        TableConstraint::Unique(key) => {
            index_type(key.index_type.as_ref())?;
            let distinct = !key.nulls_distinct.to_string().is_empty();
            let more = !key.include.is_empty() || key.characteristics.is_some() || distinct;
            refuse(more, "these options of a key")
        }
        TableConstraint::Index(key) => index_type(key.index_type.as_ref()),
        _ => Ok(()),
    }
}

fn alter_table(alter: &AlterTable) -> Result<(), SqlError> {
    let AlterTable { name: _, if_exists, only, operations, location, on_cluster, table_type, end_token: _ } =
        alter;
    refuse(*if_exists, "ALTER TABLE IF EXISTS")?;
    refuse(
        *only || location.is_some() || on_cluster.is_some() || table_type.is_some(),
        "this form of ALTER",
    )?;
    operations.iter().try_for_each(|operation| match operation {
        AlterTableOperation::AddConstraint { not_valid, .. } => refuse(*not_valid, "NOT VALID"),
        AlterTableOperation::DropConstraint { if_exists, .. } => {
            refuse(*if_exists, "DROP CONSTRAINT IF EXISTS")
        }
        _ => Ok(()),
    })
}

/// What a CREATE TABLE is warned of: it asks for an engine that is not there.
pub(super) fn substitutions(create: &CreateTable, table: &str) -> Vec<SqlError> {
    let CreateTableOptions::Plain(options) = &create.table_options else { return Vec::new() };
    let engine = options.iter().find_map(|option| match option {
        SqlOption::KeyValue { key, value: Expr::Value(value) }
            if key.value.eq_ignore_ascii_case("ENGINE") =>
        {
            value.value.clone().into_string()
        }
        SqlOption::KeyValue { key, value } if key.value.eq_ignore_ascii_case("ENGINE") => {
            Some(value.to_string())
        }
        SqlOption::NamedParenthesizedList(list) if list.key.value.eq_ignore_ascii_case("ENGINE") => {
            list.name.as_ref().map(|name| name.value.clone())
        }
        _ => None,
    });
    let Some(engine) = engine.map(|engine| engine.trim_matches('`').to_owned()) else { return Vec::new() };
    let upper = engine.to_ascii_uppercase();
    if upper == "INNODB" {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    if !OTHER_ENGINES.contains(&upper.as_str()) {
        warnings.push(SqlError::new(1286, "42000", format!("Unknown storage engine '{engine}'")));
    }
    let message = format!("Using storage engine InnoDB for table '{table}'");
    warnings.push(SqlError::new(1266, "HY000", message));
    warnings
}

//! Which tables a statement writes, known before it runs: what another session has locked has to be waited for.
//!
//! A name that cannot be read as a table's is left out: the statement itself refuses it.

use sqlparser::ast::{
    AlterTableOperation, FromTable, ObjectName, ObjectType, RenameTableNameKind, Statement, TableFactor,
    TableObject, TableWithJoins,
};

use super::from::table_name;
use crate::storage::table_locks::Target;

/// The tables, and the databases where a statement writes all tables of one.
#[must_use]
pub fn targets(statement: &Statement, database: &str) -> Vec<Target> {
    let mut found = Vec::new();
    let mut add = |name: &ObjectName| {
        if let Ok((database, table)) = table_name(name, database) {
            found.push((database.to_owned(), Some(table.to_owned())));
        }
    };
    match statement {
        Statement::Insert(insert) => {
            if let TableObject::TableName(name) = &insert.table {
                add(name);
            }
        }
        Statement::Update(update) => named(&update.table).into_iter().for_each(add),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            from.iter().filter_map(named).for_each(add);
        }
        Statement::CreateTable(create) => add(&create.name),
        Statement::CreateIndex(create) => add(&create.table_name),
        Statement::AlterTable(alter) => {
            add(&alter.name);
            for operation in &alter.operations {
                if let AlterTableOperation::RenameTable {
                    table_name: RenameTableNameKind::To(name) | RenameTableNameKind::As(name),
                } = operation
                {
                    add(name);
                }
            }
        }
        Statement::Truncate(truncate) => truncate.table_names.iter().for_each(|table| add(&table.name)),
        Statement::RenameTable(list) => {
            for rename in list {
                add(&rename.old_name);
                add(&rename.new_name);
            }
        }
        Statement::Drop { object_type: ObjectType::Table, names, .. } => names.iter().for_each(add),
        Statement::Drop { object_type: ObjectType::Index, table: Some(table), .. } => add(table),
        Statement::Drop { object_type: ObjectType::Database | ObjectType::Schema, names, .. } => {
            found.extend(names.iter().map(|name| (name.to_string().trim_matches('`').to_owned(), None)));
        }
        _ => {}
    }
    found
}

fn named(table: &TableWithJoins) -> Option<&ObjectName> {
    match &table.relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

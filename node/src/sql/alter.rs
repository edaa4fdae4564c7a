//! What each part of an ALTER TABLE does to a definition.

use sqlparser::ast::{
    AlterTableOperation, ColumnDef as ColumnSyntax, ColumnOption, ColumnOptionDef, DataType, Ident,
    MySQLColumnPosition,
};

use super::ddl;
use super::expression::unknown_column;
use super::types::ColumnType;
use crate::SqlError;
use crate::storage::definition::{DefaultValue, KeyDef, TableDef};

/// Takes a key out of a definition.
pub fn remove_key(table: &mut TableDef, name: &str) -> Result<(), SqlError> {
    let at = table.keys.iter().position(|key| key.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        SqlError::new(1091, "42000", format!("Can't DROP '{name}'; check that column/key exists"))
    })?;
    table.keys.remove(at);
    Ok(())
}

fn place(table: &TableDef, position: &Option<MySQLColumnPosition>) -> Result<usize, SqlError> {
    match position {
        None => Ok(table.columns.len()),
        Some(MySQLColumnPosition::First) => Ok(0),
        Some(MySQLColumnPosition::After(name)) => {
            table.position(&name.value).map(|at| at + 1).ok_or_else(|| unknown_column(&name.value))
        }
    }
}

/// Changes a definition as one operation says; `sources` says where each column comes from.
pub fn alter_columns(
    table: &mut TableDef,
    sources: &mut Vec<Option<usize>>,
    operation: &AlterTableOperation,
) -> Result<(), SqlError> {
    use AlterTableOperation as Op;
    match operation {
        Op::AddColumn { column_def, column_position, if_not_exists, .. } => {
            if *if_not_exists && table.position(&column_def.name.value).is_some() {
                return Ok(());
            }
            let at = place(table, column_position)?;
            ddl::add_column(table, column_def, Some(at))?;
            let added = &table.columns[at];
            let zoned = matches!(added.ty, ColumnType::Timestamp(_)) && added.default != DefaultValue::None;
            if added.default == DefaultValue::Now || zoned {
                // every node fills its rows when it runs the statement, by a clock and a time zone of its own
                return Err(SqlError::unsupported(
                    "ADD COLUMN with a default that depends on the time or its zone; add it with NULL and fill it by UPDATE",
                ));
            }
            sources.insert(at, None);
            Ok(())
        }
        Op::DropColumn { column_names, if_exists, .. } => {
            for name in column_names {
                match table.position(&name.value) {
                    Some(at) => {
                        drop_column(table, at);
                        sources.remove(at);
                    }
                    None if *if_exists => {}
                    None => {
                        let message = format!("Can't DROP '{}'; check that column/key exists", name.value);
                        return Err(SqlError::new(1091, "42000", message));
                    }
                }
            }
            Ok(())
        }
        Op::ModifyColumn { col_name, data_type, options, column_position } => {
            change_column(table, sources, col_name, col_name, data_type, options, column_position)
        }
        Op::ChangeColumn { old_name, new_name, data_type, options, column_position } => {
            change_column(table, sources, old_name, new_name, data_type, options, column_position)
        }
        Op::RenameColumn { old_column_name, new_column_name } => {
            let at = table
                .position(&old_column_name.value)
                .ok_or_else(|| unknown_column(&old_column_name.value))?;
            ddl::check_name(&new_column_name.value)?;
            table.columns[at].name.clone_from(&new_column_name.value);
            Ok(())
        }
        Op::AddConstraint { constraint, .. } => ddl::add_constraint(table, constraint),
        Op::DropIndex { name } | Op::DropConstraint { name, .. } => remove_key(table, &name.value),
        Op::DropPrimaryKey { .. } => remove_key(table, "PRIMARY"),
        other => Err(SqlError::unsupported(other)),
    }
}

fn drop_column(table: &mut TableDef, at: usize) {
    table.columns.remove(at);
    for key in &mut table.keys {
        key.parts.retain(|part| part.0 != at);
        for part in &mut key.parts {
            part.0 -= usize::from(part.0 > at);
        }
    }
    table.keys.retain(|key| !key.parts.is_empty());
}

fn change_column(
    table: &mut TableDef,
    sources: &mut Vec<Option<usize>>,
    old: &Ident,
    new: &Ident,
    data_type: &DataType,
    options: &[ColumnOption],
    position: &Option<MySQLColumnPosition>,
) -> Result<(), SqlError> {
    let at = table.position(&old.value).ok_or_else(|| unknown_column(&old.value))?;
    let options =
        options.iter().map(|option| ColumnOptionDef { name: None, option: option.clone() }).collect();
    let syntax = ColumnSyntax { name: new.clone(), data_type: data_type.clone(), options };
    // The definition is made on a copy without keys, so that it brings only itself.
    let mut scratch = TableDef { columns: Vec::new(), keys: Vec::new(), ..table.clone() };
    ddl::add_column(&mut scratch, &syntax, None)?;
    let Some(column) = scratch.columns.pop() else { return Ok(()) };
    table.columns[at] = column;
    for key in scratch.keys {
        table.keys.push(KeyDef { parts: vec![(at, None)], ..key });
    }
    let Some(position) = position else { return Ok(()) };
    let target = place(table, &Some(position.clone()))?;
    let target = if target > at { target - 1 } else { target };
    let column = table.columns.remove(at);
    table.columns.insert(target, column);
    let source = sources.remove(at);
    sources.insert(target, source);
    for part in table.keys.iter_mut().flat_map(|key| &mut key.parts) {
        part.0 = match part.0 {
            moved if moved == at => target,
            p if at < p && p <= target => p - 1,
            p if target <= p && p < at => p + 1,
            p => p,
        };
    }
    Ok(())
}

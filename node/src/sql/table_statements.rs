//! CREATE, ALTER, DROP, RENAME and TRUNCATE, inside an open write transaction.
//!
//! The catalog and SQLite's schema change together. An ALTER of columns builds the table anew and copies its
//! rows through coercion, so that every row fits the new definition or the statement fails and nothing changed.

use std::sync::Arc;

use rusqlite::types::Value as Stored;
use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreateIndex, CreateTable, CreateTableLikeKind, ObjectName, ObjectType,
    RenameTableNameKind, SchemaName, Statement,
};

use super::alter::{alter_columns, remove_key};
use super::coerce::coerce;
use super::collation::{Collation, known_collation, of_charset};
use super::ddl;
use super::definition_clauses;
use super::dml::{Outcome, Work};
use super::from::table_name;
use crate::SqlError;
use crate::storage::definition::{TableDef, quote};
use crate::storage::rows::RowWriter;
use crate::storage::{automatic, catalog};

/// SQLite's name of a table while it is built anew.
const OLD: &str = "\"_evensum_old\"";
const SYSTEM_DATABASES: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// Whether the statement defines data.
#[must_use]
pub fn defines_data(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateTable(_)
            | Statement::CreateDatabase { .. }
            | Statement::CreateSchema { .. }
            | Statement::CreateIndex(_)
            | Statement::AlterTable(_)
            | Statement::Drop { .. }
            | Statement::Truncate(_)
            | Statement::RenameTable(_)
    )
}

/// Whether it changes databases or names, which no lock of tables covers.
fn beyond_tables(statement: &Statement) -> bool {
    match statement {
        Statement::CreateDatabase { .. } | Statement::CreateSchema { .. } | Statement::RenameTable(_) => true,
        Statement::Drop { object_type, .. } => {
            matches!(object_type, ObjectType::Database | ObjectType::Schema)
        }
        _ => false,
    }
}

impl Work<'_> {
    /// Runs a statement that defines data.
    pub fn define(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        if self.env.locked.is_some() && beyond_tables(statement) {
            let message = "Can't execute the given command because you have active locked tables or an active transaction";
            return Err(SqlError::new(1192, "HY000", message));
        }
        definition_clauses::check(statement)?;
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateDatabase {
                db_name, if_not_exists, default_charset, default_collation, ..
            } => {
                let charset = default_charset.as_deref().map(of_charset).transpose()?;
                let named = default_collation.as_deref().map(known_collation).transpose()?;
                let collation = named.or(charset);
                self.create_database(db_name, *if_not_exists, collation)
            }
            Statement::CreateSchema { schema_name: SchemaName::Simple(name), if_not_exists, .. } => {
                self.create_database(name, *if_not_exists, None)
            }
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::AlterTable(alter) => self.alter(alter),
            Statement::Truncate(truncate) => {
                for target in &truncate.table_names {
                    let table = self.writable(&target.name)?;
                    self.conn.execute(&format!("DELETE FROM {}", table.physical()), [])?;
                    automatic::keep(self.conn, &table, 0)?;
                }
                Ok(Outcome::default())
            }
            Statement::RenameTable(list) => {
                for rename in list {
                    self.rename(&rename.old_name, &rename.new_name)?;
                }
                Ok(Outcome::default())
            }
            Statement::Drop { object_type, if_exists, names, table, temporary: false, .. } => {
                match object_type {
                    ObjectType::Table => self.drop_tables(names, *if_exists),
                    ObjectType::Database | ObjectType::Schema => self.drop_database(names, *if_exists),
                    ObjectType::Index => match (names.as_slice(), table) {
                        ([name], Some(table)) => {
                            let table = self.writable(table)?;
                            let name = name.to_string();
                            self.drop_index(&table, name.trim_matches('`'))
                        }
                        _ => Err(SqlError::syntax("DROP INDEX takes one name ON one table")),
                    },
                    other => Err(SqlError::unsupported(format_args!("DROP {other}"))),
                }
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn create_database(
        &mut self,
        name: &ObjectName,
        if_not_exists: bool,
        collation: Option<String>,
    ) -> Result<Outcome, SqlError> {
        let name = name.to_string();
        let name = name.trim_matches('`');
        ddl::check_name(name)?;
        let taken =
            self.env.catalog.has_database(name) || SYSTEM_DATABASES.contains(&name.to_lowercase().as_str());
        if taken {
            let message = format!("Can't create database '{name}'; database exists");
            let error = SqlError::new(1007, "HY000", message);
            return if if_not_exists { Ok(warned(error)) } else { Err(error) };
        }
        let collation = collation.unwrap_or_else(|| Collation::GeneralCi.name().to_owned());
        self.conn.execute(
            "INSERT INTO _evensum_databases (name, collation) VALUES (?1, ?2)",
            [name, &collation],
        )?;
        catalog::touch(self.conn)?;
        Ok(Outcome { affected: 1, ..Outcome::default() })
    }

    fn drop_database(&mut self, names: &[ObjectName], if_exists: bool) -> Result<Outcome, SqlError> {
        let mut affected = 0;
        for name in names {
            let name = name.to_string();
            let name = name.trim_matches('`');
            if !self.env.catalog.has_database(name) {
                let message = format!("Can't drop database '{name}'; database doesn't exist");
                let error = SqlError::new(1008, "HY000", message);
                return if if_exists { Ok(warned(error)) } else { Err(error) };
            }
            for table in self.env.catalog.tables_of(name) {
                self.drop_table(table)?;
                affected += 1;
            }
            self.conn.execute("DELETE FROM _evensum_databases WHERE name = ?1", [name])?;
            catalog::touch(self.conn)?;
        }
        Ok(Outcome { affected, ..Outcome::default() })
    }

    fn create_table(&mut self, create: &CreateTable) -> Result<Outcome, SqlError> {
        let (database, name) = table_name(&create.name, self.env.database)?;
        let Some(collation) = self.env.catalog.databases.get(database) else {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{database}'")));
        };
        if self.env.catalog.table(database, name).is_some() {
            let error = SqlError::new(1050, "42S01", format!("Table '{name}' already exists"));
            return if create.if_not_exists { Ok(warned(error)) } else { Err(error) };
        }
        self.check_locked(database, name)?;
        let (table, counter) = match &create.like {
            Some(CreateTableLikeKind::Plain(like) | CreateTableLikeKind::Parenthesized(like)) => {
                let model = self.writable(&like.name)?;
                ddl::check_name(name)?;
                (
                    TableDef {
                        database: database.to_owned(),
                        name: name.to_owned(),
                        ..TableDef::clone(&model)
                    },
                    None,
                )
            }
            None => ddl::definition(create, database, name, collation)?,
        };
        self.build(&table)?;
        if let Some(counter) = counter {
            automatic::keep(self.conn, &table, counter)?;
        }
        Ok(Outcome { warnings: definition_clauses::substitutions(create, name), ..Outcome::default() })
    }

    /// Creates SQLite's table and indexes, and the catalog's entry.
    fn build(&self, table: &TableDef) -> Result<(), SqlError> {
        self.conn.execute_batch(&table.create_sql())?;
        self.build_indexes(table)?;
        catalog::put(self.conn, table)
    }

    fn build_indexes(&self, table: &TableDef) -> Result<(), SqlError> {
        for key in table.keys.iter().filter(|key| !key.is_primary()) {
            self.conn.execute_batch(&table.index_sql(key)).map_err(|error| {
                match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::ConstraintViolation) => {
                        let message = format!("Duplicate entry for key '{}'", key.name);
                        SqlError::new(1062, "23000", message)
                    }
                    _ => error.into(),
                }
            })?;
        }
        Ok(())
    }

    fn drop_table(&self, table: &TableDef) -> Result<(), SqlError> {
        self.conn.execute_batch(&format!("DROP TABLE {}", table.physical()))?;
        catalog::remove(self.conn, table)
    }

    fn drop_tables(&mut self, names: &[ObjectName], if_exists: bool) -> Result<Outcome, SqlError> {
        let mut outcome = Outcome::default();
        for name in names {
            let (database, table) = table_name(name, self.env.database)?;
            match self.env.catalog.table(database, table) {
                Some(definition) => {
                    self.check_locked(database, table)?;
                    self.drop_table(definition)?;
                }
                None => {
                    let error = SqlError::new(1051, "42S02", format!("Unknown table '{database}.{table}'"));
                    if !if_exists {
                        return Err(error);
                    }
                    outcome.warnings.push(error);
                }
            }
        }
        Ok(outcome)
    }

    fn create_index(&mut self, create: &CreateIndex) -> Result<Outcome, SqlError> {
        let table = self.writable(&create.table_name)?;
        let mut changed = TableDef::clone(&table);
        let name = create.name.as_ref().map(|name| name.to_string().trim_matches('`').to_owned());
        let key = ddl::key_of(&table, name, create.unique, &create.columns)?;
        changed.keys.push(key);
        self.replace(&table, changed, None)?;
        Ok(Outcome::default())
    }

    fn drop_index(&mut self, table: &Arc<TableDef>, name: &str) -> Result<Outcome, SqlError> {
        let mut changed = TableDef::clone(table);
        remove_key(&mut changed, name)?;
        self.replace(table, changed, None)?;
        Ok(Outcome::default())
    }

    fn rename(&mut self, old: &ObjectName, new: &ObjectName) -> Result<(), SqlError> {
        // Definitions are read again: an earlier rename of the same statement may have made this name.
        let catalog = catalog::Catalog::read(self.conn)?;
        let (database, name) = table_name(old, self.env.database)?;
        let table = catalog.require(database, name)?;
        let (database, name) = table_name(new, self.env.database)?;
        ddl::check_name(name)?;
        if !catalog.has_database(database) {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{database}'")));
        }
        if catalog.table(database, name).is_some() {
            return Err(SqlError::new(1050, "42S01", format!("Table '{name}' already exists")));
        }
        let renamed =
            TableDef { database: database.to_owned(), name: name.to_owned(), ..TableDef::clone(table) };
        for key in table.keys.iter().filter(|key| !key.is_primary()) {
            self.conn.execute_batch(&format!("DROP INDEX {}", table.physical_index(key)))?;
        }
        self.conn.execute_batch(&format!(
            "ALTER TABLE {} RENAME TO {}",
            table.physical(),
            renamed.physical()
        ))?;
        self.build_indexes(&renamed)?;
        self.conn.execute(
            "UPDATE _evensum_counters SET database = ?3, name = ?4 WHERE database = ?1 AND name = ?2",
            [&table.database, &table.name, &renamed.database, &renamed.name],
        )?;
        self.conn.execute(
            "DELETE FROM _evensum_tables WHERE database = ?1 AND name = ?2",
            [&table.database, &table.name],
        )?;
        catalog::put(self.conn, &renamed)
    }

    fn alter(&mut self, alter: &AlterTable) -> Result<Outcome, SqlError> {
        let table = self.writable(&alter.name)?;
        let mut changed = TableDef::clone(&table);
        // Where each column of the new table comes from.
        let mut sources: Vec<Option<usize>> = (0..table.columns.len()).map(Some).collect();
        let mut rename = None;
        for operation in &alter.operations {
            use AlterTableOperation as Op;
            match operation {
                Op::AutoIncrement { value, .. } => {
                    let next: i128 = value.to_string().parse().unwrap_or(1);
                    automatic::keep(self.conn, &table, next - 1)?;
                }
                Op::RenameTable {
                    table_name: RenameTableNameKind::To(name) | RenameTableNameKind::As(name),
                } => {
                    rename = Some(name);
                }
                Op::Algorithm { .. } | Op::Lock { .. } => {}
                other => alter_columns(&mut changed, &mut sources, other)?,
            }
        }
        ddl::check(&mut changed)?;
        if changed.columns == table.columns && changed.primary() == table.primary() {
            self.replace(&table, changed, None)?;
        } else {
            self.replace(&table, changed, Some(&sources))?;
        }
        if let Some(name) = rename {
            self.rename(&alter.name, name)?;
        }
        Ok(Outcome::default())
    }

    /// Puts a new definition in the place of an old one; with `sources`, the rows are copied into a new table.
    fn replace(
        &self,
        old: &TableDef,
        mut new: TableDef,
        sources: Option<&[Option<usize>]>,
    ) -> Result<(), SqlError> {
        ddl::check(&mut new)?;
        for key in old.keys.iter().filter(|key| !key.is_primary()) {
            if sources.is_some() || !new.keys.contains(key) {
                self.conn.execute_batch(&format!("DROP INDEX {}", old.physical_index(key)))?;
            }
        }
        let Some(sources) = sources else {
            let fresh: Vec<_> = new.keys.iter().filter(|key| !old.keys.contains(key)).cloned().collect();
            self.build_indexes(&TableDef { keys: fresh, ..new.clone() })?;
            return catalog::put(self.conn, &new);
        };
        self.conn.execute_batch(&format!("ALTER TABLE {} RENAME TO {OLD}", old.physical()))?;
        self.conn.execute_batch(&new.create_sql())?;
        self.copy(old, &new, sources)?;
        self.conn.execute_batch(&format!("DROP TABLE {OLD}"))?;
        self.build_indexes(&new)?;
        catalog::put(self.conn, &new)
    }

    fn copy(&self, old: &TableDef, new: &TableDef, sources: &[Option<usize>]) -> Result<(), SqlError> {
        let writer = RowWriter::new(Arc::new(new.clone()));
        let columns: Vec<String> = old.columns.iter().map(|column| quote(&column.name)).collect();
        let mut statement = self.conn.prepare(&format!("SELECT {} FROM {OLD}", columns.join(", ")))?;
        let mut rows = statement.query([])?;
        let mut number = 0;
        while let Some(row) = rows.next()? {
            self.go_on()?;
            number += 1;
            let mut values: Vec<Stored> = Vec::with_capacity(new.columns.len());
            for (column, source) in new.columns.iter().zip(sources) {
                let value = match source {
                    Some(from) => {
                        let before = &old.columns[*from];
                        let value: Stored = row.get(*from)?;
                        // TIMESTAMP is in UTC in the file: no time zone takes part in the copy.
                        let context = super::coerce::Context {
                            zone_offset: 0,
                            zero_dates: true,
                            ..self.context(number)
                        };
                        if before.ty == column.ty {
                            value
                        } else {
                            coerce(column, value, before.kind(), &context)?
                        }
                    }
                    None if column.auto_increment => {
                        Stored::Integer(i64::try_from(number).unwrap_or(i64::MAX))
                    }
                    None => match self.default_of(column, number)? {
                        Some(value) => value,
                        None => {
                            let context = self.context(number);
                            let zero_dates = context.zero_dates || self.env.facts.ran_elsewhere;
                            implicit_default(column, &super::coerce::Context { zero_dates, ..context })?
                        }
                    },
                };
                if value == Stored::Null && !column.nullable {
                    return Err(SqlError::new(1138, "22004", "Invalid use of NULL value"));
                }
                values.push(value);
            }
            writer.insert(self.conn, &values)?;
        }
        Ok(())
    }
}

/// The value that a NOT NULL column without a default gets in rows that are there already: 0, '' or the like, and for
/// a date the zero date, if `sql_mode` knows it.
fn implicit_default(
    column: &crate::storage::definition::ColumnDef,
    context: &super::coerce::Context,
) -> Result<Stored, SqlError> {
    use super::types::{ColumnType as C, Kind};
    let text = match &column.ty {
        // the text 0 is the year 2000
        C::Year => return Ok(Stored::Integer(0)),
        C::Enum(labels) => labels.first().cloned().unwrap_or_default(),
        C::Char(_) | C::VarChar(_) | C::Text(_) | C::Set(_) | C::Binary(_) | C::VarBinary(_) | C::Blob(_) => {
            String::new()
        }
        C::Json => "null".to_owned(),
        C::Time(_) => "00:00:00".to_owned(),
        C::Date => "0000-00-00".to_owned(),
        C::DateTime(_) => "0000-00-00 00:00:00".to_owned(),
        C::Timestamp(_) => "1970-01-01 00:00:01".to_owned(),
        _ => "0".to_owned(),
    };
    let context = super::coerce::Context { zone_offset: 0, ..*context };
    coerce(column, Stored::Text(text), Kind::TEXT, &context)
}

fn warned(error: SqlError) -> Outcome {
    Outcome { warnings: vec![error], ..Outcome::default() }
}

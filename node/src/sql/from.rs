//! FROM: tables, derived tables, joins.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableIndexHints, TableWithJoins,
};

use super::clauses;
use super::conditions::as_condition;
use super::expression::Translator;
use super::information_schema;
use super::scope::{Digits, Source, SourceColumn};
use super::select::aliased;
use crate::SqlError;
use crate::storage::definition::{TableDef, quote};

/// Database and table of a name; the default database if it names none.
pub fn table_name<'n>(name: &'n ObjectName, default: &'n str) -> Result<(&'n str, &'n str), SqlError> {
    let parts: Option<Vec<&str>> =
        name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect();
    match parts.unwrap_or_default().as_slice() {
        [table] if default.is_empty() => {
            let _ = table;
            Err(SqlError::new(1046, "3D000", "No database selected"))
        }
        [table] => Ok((default, table)),
        [database, table] => Ok((database, table)),
        _ => Err(SqlError::new(1103, "42000", format!("Incorrect table name '{name}'"))),
    }
}

/// Refuses a hint of a key that the table has not (1176). As in MySQL, the beginning of a key's name is enough. The hint
/// itself changes no result and is not followed.
pub(super) fn check_hints(hints: &[TableIndexHints], table: &TableDef) -> Result<(), SqlError> {
    for name in hints.iter().flat_map(|hint| &hint.index_names) {
        let begins = |key: &str| {
            key.get(..name.value.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name.value))
        };
        if !table.keys.iter().any(|key| begins(&key.name)) {
            let message = format!("Key '{}' doesn't exist in table '{}'", name.value, table.name);
            return Err(SqlError::new(1176, "42000", message));
        }
    }
    Ok(())
}

impl Translator<'_> {
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<String, SqlError> {
        let is_dual = |t: &TableWithJoins| matches!(&t.relation, TableFactor::Table { name, .. } if name.to_string().eq_ignore_ascii_case("dual"));
        let mut parts = Vec::with_capacity(from.len());
        for table in from.iter().filter(|t| !is_dual(t)) {
            parts.push(self.joined(table)?);
        }
        Ok(if parts.is_empty() { String::new() } else { format!(" FROM {}", parts.join(", ")) })
    }

    fn joined(&mut self, table: &TableWithJoins) -> Result<String, SqlError> {
        let mut sql = self.factor(&table.relation)?;
        for join in &table.joins {
            sql += &self.join(join)?;
        }
        Ok(sql)
    }

    fn join(&mut self, join: &Join) -> Result<String, SqlError> {
        let (word, constraint) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => ("JOIN", c),
            JoinOperator::StraightJoin(c) => ("CROSS JOIN", c),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => ("LEFT JOIN", c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT JOIN", c),
            _ => return Err(SqlError::unsupported("this kind of JOIN")),
        };
        clauses::join(join, constraint, ["LEFT JOIN", "RIGHT JOIN"].contains(&word))?;
        let before = self.scope().map_or(0, |scope| scope.sources.len());
        let right = self.factor(&join.relation)?;
        let shared: Vec<String> = match constraint {
            JoinConstraint::On(test) => {
                let test = as_condition(|| self.truth(test))?;
                return Ok(format!(" {word} {right} ON {test}"));
            }
            JoinConstraint::None => return Ok(format!(" {word} {right}")),
            JoinConstraint::Using(names) => {
                names.iter().map(|n| n.to_string().trim_matches('`').to_owned()).collect()
            }
            JoinConstraint::Natural => {
                let scope = self.scope().cloned().unwrap_or_default();
                let (left, right) = scope.sources.split_at(before);
                let names = right.iter().flat_map(|s| &s.columns).map(|c| c.name.clone());
                names.filter(|name| left.iter().any(|s| s.column(name).is_some())).collect()
            }
        };
        if shared.is_empty() {
            return Ok(format!(" {word} {right}"));
        }
        if word == "RIGHT JOIN" {
            // the shared column is the right table's there, and SQLite takes the left one's
            return Err(SqlError::unsupported("RIGHT JOIN with USING or NATURAL; name the columns with ON"));
        }
        if let Some(scope) = self.scopes.last_mut() {
            for column in scope.sources.iter_mut().skip(before).flat_map(|source| &mut source.columns) {
                column.merged |= shared.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
            }
        }
        let names: Vec<String> = shared.iter().map(|name| quote(name)).collect();
        Ok(format!(" {word} {right} USING ({})", names.join(", ")))
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<String, SqlError> {
        clauses::factor(factor)?;
        match factor {
            TableFactor::Table { name, alias, args: None, index_hints, .. } => {
                self.table(name, alias.as_ref(), index_hints)
            }
            TableFactor::Derived { lateral: false, subquery, alias: Some(alias), .. } => {
                // Tables of the same FROM are not visible inside a derived table.
                let scope = self.scopes.pop();
                self.in_full = Digits::OfMerged;
                let compiled = self.query(subquery, None);
                self.scopes.extend(scope);
                let compiled = compiled?;
                let columns = aliased(&compiled.columns, Some(alias));
                let name = &alias.name.value;
                self.add_source(name, "", columns);
                Ok(format!("({}) AS {}", compiled.sql, quote(name)))
            }
            TableFactor::Derived { alias: None, .. } => {
                Err(SqlError::new(1248, "42000", "Every derived table must have its own alias"))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins)?))
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn add_source(&mut self, alias: &str, database: &str, columns: Vec<SourceColumn>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.push(Source { alias: alias.to_owned(), database: database.to_owned(), columns });
        }
    }

    fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        hints: &[TableIndexHints],
    ) -> Result<String, SqlError> {
        if let [part] = name.0.as_slice() {
            let bare = part.as_ident().map_or("", |ident| ident.value.as_str());
            if let Some((_, columns)) = self.named.iter().rev().find(|(named, _)| named == bare).cloned() {
                let alias = alias.map_or(bare, |alias| alias.name.value.as_str());
                self.add_source(alias, "", columns);
                return Ok(format!("{} AS {}", quote(bare), quote(alias)));
            }
        }
        let (database, table) = table_name(name, self.env.database)?;
        self.env.facts.reads_tables.set(true);
        let alias = alias.map_or(table, |alias| alias.name.value.as_str());
        if self.scope().is_some_and(|scope| scope.source(Some(database), alias).is_some()) {
            return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{alias}'")));
        }
        self.env.facts.rights.read(database, table)?;
        if let Some(view) = information_schema::view(self.env, database, table)? {
            let sql = view.derived(self.binds.len() + 1, alias);
            self.binds.push(view.json.into());
            let columns = view.columns.into_iter();
            let columns = columns.map(|(name, kind)| SourceColumn::new(name, kind, false)).collect();
            self.add_source(alias, database, columns);
            return Ok(sql);
        }
        let definition = self.env.catalog.require(database, table)?;
        if let Some(locked) = self.env.locked {
            locked.check_read(database, table)?;
        }
        self.env.server.readable(database, table)?;
        check_hints(hints, definition)?;
        let source = Source::of_table(definition, alias);
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.push(source);
        }
        Ok(format!("{} AS {}", definition.physical(), quote(alias)))
    }
}

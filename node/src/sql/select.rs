//! Queries: SELECT with its FROM, joins, derived tables, unions, grouping and order.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, OrderBySort, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias,
    UnaryOperator, Value,
};

use super::clauses;
use super::compare::unify;
use super::conditions::{self, as_condition};
use super::expression::{Piece, Translator};
use super::from::table_name;
use super::scope::{Digits, Origin, Scope, Source, SourceColumn};
use super::titles;
use super::types::Kind;
use crate::SqlError;
use crate::storage::definition::quote;

/// A column of a result.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name that the client sees.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// The table's column, if it is one as it is.
    pub origin: Option<Origin>,
    /// Whether the query gives more digits of it than its kind has.
    pub beyond: bool,
}

/// A translated query.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// SQLite's text.
    pub sql: String,
    /// What it gives.
    pub columns: Vec<Output>,
}

impl Translator<'_> {
    /// The columns of a query, without keeping anything of its translation.
    pub fn query_columns(&mut self, query: &Query) -> Result<Vec<Output>, SqlError> {
        let binds = self.binds.len();
        let compiled = self.query(query, None);
        self.binds.truncate(binds);
        Ok(compiled?.columns)
    }

    /// Translates a query; with `kinds`, its columns are brought to these.
    pub fn query(&mut self, query: &Query, kinds: Option<&[Kind]>) -> Result<Compiled, SqlError> {
        // Rows that go through a UNION have the digits of their kind.
        let in_full = match (std::mem::take(&mut self.in_full), &*query.body) {
            (Digits::OfMerged, _) if query.limit_clause.is_some() => Digits::OfKind,
            (asked, SetExpr::Select(_)) => asked,
            _ => Digits::OfKind,
        };
        let written = std::mem::take(&mut self.written);
        clauses::query(query)?;
        if !self.scopes.is_empty() {
            clauses::inner_query(query)?;
        }
        let named = self.named.len();
        let with = match &query.with {
            Some(with) => self.with(with)?,
            None => String::new(),
        };
        let saved = std::mem::take(&mut self.aliases);
        let order = match query.order_by.as_ref().map(|order| &order.kind) {
            None => &[][..],
            Some(OrderByKind::Expressions(keys)) => keys.as_slice(),
            Some(OrderByKind::All(_)) => return Err(SqlError::unsupported("ORDER BY ALL")),
        };
        (self.in_full, self.written) = (in_full, written);
        let mut compiled = self.body(&query.body, kinds, order)?;
        if let Some(limit) = &query.limit_clause {
            compiled.sql += &self.limit(limit)?;
        }
        self.aliases = saved;
        self.named.truncate(named);
        compiled.sql.insert_str(0, &with);
        Ok(compiled)
    }

    fn with(&mut self, with: &sqlparser::ast::With) -> Result<String, SqlError> {
        if with.recursive {
            return Err(SqlError::unsupported("WITH RECURSIVE"));
        }
        let mut parts = Vec::with_capacity(with.cte_tables.len());
        for cte in &with.cte_tables {
            clauses::cte(cte)?;
            self.in_full = Digits::OfMerged;
            let compiled = self.query(&cte.query, None)?;
            let columns = aliased(&compiled.columns, Some(&cte.alias));
            let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
            let name = &cte.alias.name.value;
            parts.push(format!("{} ({}) AS ({})", quote(name), names.join(", "), compiled.sql));
            self.named.push((name.clone(), columns));
        }
        Ok(format!("WITH {} ", parts.join(", ")))
    }

    fn body(
        &mut self,
        body: &SetExpr,
        kinds: Option<&[Kind]>,
        order: &[OrderByExpr],
    ) -> Result<Compiled, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, kinds, order),
            SetExpr::Query(query) if order.is_empty() => {
                let inner = self.query(query, kinds)?;
                Ok(Compiled { sql: format!("SELECT * FROM ({})", inner.sql), columns: inner.columns })
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right, kinds, order)
            }
            SetExpr::Values(values) => {
                let mut columns: Vec<Kind> = Vec::new();
                for row in &values.rows {
                    for (at, value) in row.content.iter().enumerate() {
                        let kind = self.expr(value)?.kind;
                        match columns.get_mut(at) {
                            Some(common) => *common = unify(*common, kind),
                            None => columns.push(kind),
                        }
                    }
                }
                let mut rows = Vec::with_capacity(values.rows.len());
                for row in &values.rows {
                    let mut texts = Vec::with_capacity(row.content.len());
                    for (value, kind) in row.content.iter().zip(&columns) {
                        let piece = self.expr(value)?;
                        let piece = self.convert(piece, *kind)?;
                        texts.push(self.emit(&piece));
                    }
                    rows.push(format!("({})", texts.join(", ")));
                }
                let columns = columns
                    .into_iter()
                    .enumerate()
                    .map(|(at, kind)| Output {
                        name: format!("column_{at}"),
                        kind,
                        origin: None,
                        beyond: false,
                    })
                    .collect();
                Ok(Compiled { sql: format!("VALUES {}", rows.join(", ")), columns })
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        kinds: Option<&[Kind]>,
        order: &[OrderByExpr],
    ) -> Result<Compiled, SqlError> {
        clauses::part(left)?;
        clauses::part(right)?;
        let word = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
            (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
            (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
            _ => return Err(SqlError::unsupported(op)),
        };
        let binds = self.binds.len();
        let (a, b) = (self.body(left, kinds, &[])?, self.body(right, kinds, &[])?);
        if a.columns.len() != b.columns.len() {
            let message = "The used SELECT statements have a different number of columns";
            return Err(SqlError::new(1222, "21000", message));
        }
        let common: Vec<Kind> =
            a.columns.iter().zip(&b.columns).map(|(a, b)| unify(a.kind, b.kind)).collect();
        // Once the kinds are given the first translation has them; each level would double the work otherwise.
        let (a, b) = if kinds == Some(common.as_slice()) {
            (a, b)
        } else {
            self.binds.truncate(binds);
            (self.body(left, Some(&common), &[])?, self.body(right, Some(&common), &[])?)
        };
        let columns: Vec<Output> =
            a.columns.into_iter().map(|column| Output { origin: None, ..column }).collect();
        let part = |part: &SetExpr, sql: String| match part {
            SetExpr::SetOperation { .. } => format!("SELECT * FROM ({sql})"),
            _ => sql,
        };
        let left_sql = match left {
            // A chain of one operator needs no nesting on its left.
            SetExpr::SetOperation { op: inner, set_quantifier, .. }
                if *inner == op && *set_quantifier == quantifier =>
            {
                a.sql
            }
            _ => part(left, a.sql),
        };
        let mut sql = format!("{left_sql} {word} {}", part(right, b.sql));
        let mut keys = Vec::with_capacity(order.len());
        for key in order {
            clauses::order_key(key)?;
            let at = self
                .ordinal(&key.expr, &columns)?
                .ok_or_else(|| SqlError::unsupported("ORDER BY an expression after UNION"))?;
            keys.push(direction(format!("{at}"), columns.get(at - 1).map(|c| c.kind), key));
        }
        if !keys.is_empty() {
            sql += &format!(" ORDER BY {}", keys.join(", "));
        }
        Ok(Compiled { sql, columns })
    }

    fn limit(&mut self, limit: &LimitClause) -> Result<String, SqlError> {
        let (count, skip) = match limit {
            LimitClause::LimitOffset { limit, offset, .. } => (
                limit.as_ref().map(|e| self.count(e)).transpose()?,
                offset.as_ref().map(|o| self.count(&o.value)).transpose()?,
            ),
            LimitClause::OffsetCommaLimit { offset, limit } => {
                (Some(self.count(limit)?), Some(self.count(offset)?))
            }
        };
        let count = count.map_or("-1".to_owned(), |n| n.to_string());
        Ok(match skip {
            Some(skip) => format!(" LIMIT {count} OFFSET {skip}"),
            None => format!(" LIMIT {count}"),
        })
    }

    /// A count of rows, which is a literal or a parameter.
    pub fn count(&mut self, expr: &Expr) -> Result<i64, SqlError> {
        let piece = self.expr(expr)?;
        let piece = self.convert(piece, Kind::INT)?;
        match piece.literal {
            Some(rusqlite::types::Value::Integer(n)) if n >= 0 => Ok(n),
            Some(rusqlite::types::Value::Blob(_)) => Ok(i64::MAX),
            // A parameter whose value is not known yet, while the statement is being prepared.
            Some(rusqlite::types::Value::Null) => Ok(0),
            _ => Err(SqlError::syntax("LIMIT takes a whole number")),
        }
    }

    fn select(
        &mut self,
        select: &Select,
        kinds: Option<&[Kind]>,
        order: &[OrderByExpr],
    ) -> Result<Compiled, SqlError> {
        let asked = std::mem::take(&mut self.in_full);
        let written = std::mem::take(&mut self.written);
        clauses::select(select)?;
        self.scopes.push(Scope::default());
        let outer_aggregates = std::mem::take(&mut self.aggregates);
        let from = self.from(&select.from)?;
        let mut items = match written {
            true => conditions::strictly(|| self.items(&select.projection))?,
            false => self.items(&select.projection)?,
        };
        self.check_groups(select)?;
        let rows_of_its_own = select.distinct.is_some() || kinds.is_some();
        let in_full = !rows_of_its_own && asked.in_full(self.aggregates || is_grouped(select));
        if let Some(kinds) = kinds {
            if kinds.len() != items.len() {
                return Err(SqlError::new(
                    1241,
                    "21000",
                    format!("Operand should contain {} column(s)", kinds.len()),
                ));
            }
            let converted = std::mem::take(&mut items);
            for ((name, piece), kind) in converted.into_iter().zip(kinds) {
                items.push((name, self.convert(piece, *kind)?));
            }
        }
        let mut texts = Vec::with_capacity(items.len());
        for (name, piece) in &items {
            // what is compared with other rows as a whole is compared as its kind is, also where it is no column
            let collate = if rows_of_its_own { self.collate_of(piece, piece.kind) } else { String::new() };
            let text = if in_full { self.emit_in_full(piece) } else { self.emit(piece) };
            texts.push(format!("{text}{collate} AS {}", quote(name)));
        }
        let distinct = match &select.distinct {
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(SqlError::unsupported("DISTINCT ON")),
            _ => "",
        };
        let mut sql = format!("SELECT {distinct}{}{from}", texts.join(", "));
        if let Some(test) = &select.selection {
            sql += &format!(" WHERE {}", as_condition(|| self.truth(test))?);
        }
        let columns: Vec<Output> = items
            .iter()
            .map(|(name, piece)| Output {
                name: name.clone(),
                kind: piece.kind,
                origin: piece.origin.clone(),
                beyond: piece.beyond && in_full,
            })
            .collect();
        self.aliases = items;
        sql += &self.grouping(select, &columns)?;
        let mut keys = Vec::with_capacity(order.len());
        for key in order {
            keys.push(self.order_key(key, &columns)?);
        }
        if !keys.is_empty() {
            sql += &format!(" ORDER BY {}", keys.join(", "));
        }
        self.aliases.clear();
        self.aggregates = outer_aggregates;
        self.scopes.pop();
        Ok(Compiled { sql, columns })
    }

    fn grouping(&mut self, select: &Select, columns: &[Output]) -> Result<String, SqlError> {
        let mut sql = String::new();
        let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("GROUP BY .. WITH"));
        }
        let mut texts = Vec::with_capacity(groups.len());
        for group in groups {
            let number = matches!(group, Expr::Value(v) if matches!(v.value, Value::Number(..)));
            match (number, self.ordinal(group, columns)?) {
                (true, Some(at)) => {
                    let kind = columns.get(at - 1).map_or(Kind::Null, |column| column.kind);
                    texts.push(format!("{at}{}", self.collate(kind, kind)));
                }
                _ => {
                    let piece = self.expr(group)?;
                    let collate = self.collate(piece.kind, piece.kind);
                    texts.push(format!("{}{collate}", self.emit(&piece)));
                }
            }
        }
        if !texts.is_empty() {
            sql += &format!(" GROUP BY {}", texts.join(", "));
        }
        if let Some(having) = &select.having {
            let test = as_condition(|| self.truth(having))?;
            // Without groups, MySQL's HAVING is a WHERE that knows aliases.
            let word = match (texts.is_empty() && !self.aggregates, &select.selection) {
                (false, _) => "HAVING",
                (true, None) => "WHERE",
                (true, Some(_)) => "AND",
            };
            sql += &format!(" {word} {test}");
        }
        Ok(sql)
    }

    /// The place in the select list that ORDER BY 2, or ORDER BY alias, means.
    fn ordinal(&mut self, expr: &Expr, columns: &[Output]) -> Result<Option<usize>, SqlError> {
        match expr {
            Expr::Value(value) => {
                let Value::Number(text, _) = &value.value else { return Ok(None) };
                let at: usize = text.parse().unwrap_or(0);
                if at == 0 || at > columns.len() {
                    return Err(SqlError::new(
                        1054,
                        "42S22",
                        format!("Unknown column '{text}' in 'order clause'"),
                    ));
                }
                Ok(Some(at))
            }
            Expr::Identifier(name) => {
                Ok(columns.iter().position(|c| c.name.eq_ignore_ascii_case(&name.value)).map(|at| at + 1))
            }
            _ => Ok(None),
        }
    }

    fn order_key(&mut self, key: &OrderByExpr, columns: &[Output]) -> Result<String, SqlError> {
        clauses::order_key(key)?;
        if let Some(at) = self.ordinal(&key.expr, columns)? {
            // A plain column is named again, which lets SQLite read an index in order.
            if let Some((_, piece)) = self.aliases.get(at - 1).filter(|(_, piece)| piece.origin.is_some()) {
                let (sql, kind) = self.sorted(&piece.clone());
                return Ok(direction(sql, Some(kind), key));
            }
            return Ok(direction(at.to_string(), columns.get(at - 1).map(|c| c.kind), key));
        }
        let piece = self.expr(&key.expr)?;
        let (sql, kind) = self.sorted(&piece);
        Ok(direction(sql, Some(kind), key))
    }

    /// ORDER BY keys outside a select list (UPDATE, DELETE, GROUP_CONCAT).
    pub fn order_keys(&mut self, keys: &[OrderByExpr]) -> Result<String, SqlError> {
        let keys = keys.iter().map(|key| self.order_key(key, &[])).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.join(", "))
    }

    fn items(&mut self, projection: &[SelectItem]) -> Result<Vec<(String, Piece)>, SqlError> {
        let mut items = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let piece = self.expr(expr)?;
                    let name = match titles::bare(expr) {
                        Expr::Identifier(name) => name.value.clone(),
                        Expr::CompoundIdentifier(parts) if !parts[0].value.starts_with("@@") => {
                            parts.last().map_or(String::new(), |part| part.value.clone())
                        }
                        _ => literal(expr).unwrap_or_else(|| expr.to_string()),
                    };
                    items.push((name, piece));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    items.push((alias.value.clone(), self.expr(expr)?))
                }
                SelectItem::Wildcard(options) => {
                    clauses::wildcard(options)?;
                    let sources = self.scope().map_or(Vec::new(), |scope| scope.sources.clone());
                    if sources.is_empty() {
                        return Err(SqlError::new(1096, "HY000", "No tables used"));
                    }
                    for source in &sources {
                        self.all_columns(source, &mut items)?;
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    clauses::wildcard(options)?;
                    let (database, table) = table_name(name, " ")?;
                    let database = (database != " ").then_some(database);
                    let source = self.scope().and_then(|scope| scope.source(database, table)).cloned();
                    let source = source
                        .ok_or_else(|| SqlError::new(1051, "42S02", format!("Unknown table '{name}'")))?;
                    self.all_columns(&source, &mut items)?;
                }
                other => return Err(SqlError::unsupported(other)),
            }
        }
        Ok(items)
    }

    fn all_columns(&mut self, source: &Source, items: &mut Vec<(String, Piece)>) -> Result<(), SqlError> {
        for column in source.columns.iter().filter(|column| !column.merged) {
            use sqlparser::ast::Ident;
            let path = Expr::CompoundIdentifier(vec![Ident::new(&source.alias), Ident::new(&column.name)]);
            items.push((column.name.clone(), self.expr(&path)?));
        }
        Ok(())
    }
}

pub(super) fn aliased(columns: &[Output], alias: Option<&TableAlias>) -> Vec<SourceColumn> {
    let names = alias.map_or(&[][..], |alias| alias.columns.as_slice());
    columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let name = names.get(at).map_or(column.name.clone(), |n| n.name.value.clone());
            SourceColumn::new(name, column.kind, column.beyond)
        })
        .collect()
}

/// Whether MariaDB makes its rows before it goes on, apart from what aggregates do.
fn is_grouped(select: &Select) -> bool {
    let groups = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    groups || select.having.is_some() || select.from.is_empty()
}

fn direction(sql: String, kind: Option<Kind>, key: &OrderByExpr) -> String {
    let collate = kind.and_then(Kind::collation).map_or(String::new(), |name| format!(" COLLATE {name}"));
    match key.options.sort {
        Some(OrderBySort::Desc) => format!("{sql}{collate} DESC"),
        _ => format!("{sql}{collate}"),
    }
}

/// What stands above a literal; none if the expression is not one.
pub fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Plus, expr: inner } => literal(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::NationalStringLiteral(text) => Some(text.trim_start().to_owned()),
            Value::Placeholder(_) => Some("?".to_owned()),
            Value::Boolean(_) => Some(value.to_string().to_uppercase()),
            Value::Number(..) | Value::Null => Some(value.to_string()),
            _ => None,
        },
        _ => None,
    }
}

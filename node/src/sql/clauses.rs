//! What the parser reads of a query or a change and this node does not do.
//!
//! The parser knows many makes of SQL and fills fields for all of them. A field that nobody looks at is a clause
//! that is accepted and ignored, which is a wrong answer given with OK. So each tree is taken apart here field by
//! field: what is done elsewhere or changes no result (hints, priorities) is named and passed over, all else is
//! refused with 1235, or 1064 where MySQL has no such words. Definitions are in `definition_clauses`.
//! Invariant: a new field of the parser does not compile before it is named here.

use sqlparser::ast::{
    Cte, Delete, Insert, Join, JoinConstraint, LimitClause, ObjectName, OrderBy, OrderByExpr, Query, Select,
    SelectFlavor, SetExpr, TableAlias, TableFactor, Truncate, Update, WildcardAdditionalOptions,
};

use crate::SqlError;

fn refuse(is_there: bool, what: &str) -> Result<(), SqlError> {
    if is_there { Err(SqlError::unsupported(what)) } else { Ok(()) }
}

fn syntax(is_there: bool, near: &str) -> Result<(), SqlError> {
    if is_there {
        return Err(SqlError::syntax(format!("You have an error in your SQL syntax near '{near}'")));
    }
    Ok(())
}

/// Judges a query but for its body.
pub(super) fn query(query: &Query) -> Result<(), SqlError> {
    let Query {
        with: _,
        body: _,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    refuse(fetch.is_some(), "FETCH")?;
    syntax(for_clause.is_some(), "FOR")?;
    syntax(settings.is_some(), "SETTINGS")?;
    syntax(format_clause.is_some(), "FORMAT")?;
    syntax(!pipe_operators.is_empty(), "|>")?;
    if let Some(OrderBy { kind: _, interpolate }) = order_by {
        syntax(interpolate.is_some(), "INTERPOLATE")?;
    }
    if let Some(LimitClause::LimitOffset { limit_by, .. }) = limit_clause {
        syntax(!limit_by.is_empty(), "BY")?;
    }
    // There is one writer: no row is locked, so there is none to skip and none to refuse to wait for.
    refuse(locks.iter().any(|lock| lock.nonblock.is_some()), "NOWAIT and SKIP LOCKED")
}

/// Judges a query inside another one: the right to write is taken by what stands at the top.
pub(super) fn inner_query(query: &Query) -> Result<(), SqlError> {
    refuse(!query.locks.is_empty(), "FOR UPDATE and FOR SHARE inside a query")
}

/// Judges one side of a UNION.
pub(super) fn part(part: &SetExpr) -> Result<(), SqlError> {
    match part {
        SetExpr::Query(query) => inner_query(query),
        _ => Ok(()),
    }
}

/// Judges a table of WITH.
pub(super) fn cte(cte: &Cte) -> Result<(), SqlError> {
    let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
    syntax(from.is_some(), "FROM")?;
    syntax(materialized.is_some(), "MATERIALIZED")?;
    inner_query(query)?;
    self::alias(alias)
}

/// Judges a SELECT.
pub(super) fn select(select: &Select) -> Result<(), SqlError> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if select_modifiers.as_ref().is_some_and(|modifiers| modifiers.sql_calc_found_rows) {
        // the session takes the word away where it may stand
        let message = "Incorrect usage/placement of 'SQL_CALC_FOUND_ROWS'";
        return Err(SqlError::new(1234, "42000", message));
    }
    refuse(into.is_some(), "SELECT .. INTO")?;
    refuse(!named_window.is_empty(), "WINDOW")?;
    syntax(top.is_some(), "TOP")?;
    syntax(exclude.is_some(), "EXCLUDE")?;
    syntax(!lateral_views.is_empty(), "LATERAL VIEW")?;
    syntax(prewhere.is_some(), "PREWHERE")?;
    syntax(!connect_by.is_empty(), "CONNECT BY")?;
    syntax(!cluster_by.is_empty(), "CLUSTER BY")?;
    syntax(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
    syntax(!sort_by.is_empty(), "SORT BY")?;
    syntax(qualify.is_some(), "QUALIFY")?;
    syntax(value_table_mode.is_some(), "AS")?;
    syntax(*flavor != SelectFlavor::Standard, "FROM")
}

/// Judges what follows a `*`.
pub(super) fn wildcard(options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    syntax(opt_ilike.is_some(), "ILIKE")?;
    syntax(opt_exclude.is_some(), "EXCLUDE")?;
    syntax(opt_except.is_some(), "EXCEPT")?;
    syntax(opt_replace.is_some(), "REPLACE")?;
    syntax(opt_rename.is_some(), "RENAME")?;
    syntax(opt_alias.is_some(), "AS")
}

/// Judges a key of ORDER BY.
pub(super) fn order_key(key: &OrderByExpr) -> Result<(), SqlError> {
    syntax(key.options.nulls_first.is_some(), "NULLS")?;
    syntax(key.with_fill.is_some(), "WITH FILL")
}

/// Judges a table or a derived table of FROM.
pub(super) fn factor(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table {
            name: _,
            alias,
            args: _,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints: _,
        } => {
            if !partitions.is_empty() {
                let message = "PARTITION () clause on non partitioned table";
                return Err(SqlError::new(1747, "HY000", message));
            }
            syntax(!with_hints.is_empty(), "WITH")?;
            refuse(version.is_some(), "FOR SYSTEM_TIME")?;
            syntax(*with_ordinality, "WITH ORDINALITY")?;
            syntax(json_path.is_some(), "[")?;
            syntax(sample.is_some(), "TABLESAMPLE")?;
            syntax(alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()), "(")?;
            alias.as_ref().map_or(Ok(()), self::alias)
        }
        TableFactor::Derived { lateral: _, subquery, alias, sample } => {
            syntax(sample.is_some(), "TABLESAMPLE")?;
            inner_query(subquery)?;
            alias.as_ref().map_or(Ok(()), self::alias)
        }
        _ => Ok(()),
    }
}

fn alias(alias: &TableAlias) -> Result<(), SqlError> {
    let TableAlias { explicit: _, name: _, columns, at } = alias;
    syntax(at.is_some(), "AT")?;
    syntax(columns.iter().any(|column| column.data_type.is_some()), "(")
}

/// Judges a join.
pub(super) fn join(join: &Join, constraint: &JoinConstraint, outer: bool) -> Result<(), SqlError> {
    syntax(join.global, "GLOBAL")?;
    // Without a condition an outer join would be an inner one by accident.
    syntax(outer && matches!(constraint, JoinConstraint::None), "JOIN")
}

/// Judges an INSERT or a REPLACE.
pub(super) fn insert(insert: &Insert) -> Result<(), SqlError> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        or,
        ignore: _,
        into: _,
        table: _,
        table_alias,
        columns,
        overwrite,
        source,
        assignments: _,
        partitioned,
        after_columns,
        has_table_keyword,
        on: _,
        returning,
        output,
        replace_into: _,
        priority: _,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses: _,
        multi_table_when_clauses: _,
        multi_table_else_clause: _,
    } = insert;
    refuse(returning.is_some(), "INSERT .. RETURNING")?;
    refuse(partitioned.is_some() || !after_columns.is_empty(), "PARTITION")?;
    syntax(or.is_some(), "OR")?;
    syntax(table_alias.is_some(), "AS")?;
    syntax(*overwrite, "OVERWRITE")?;
    syntax(*has_table_keyword, "TABLE")?;
    syntax(output.is_some(), "OUTPUT")?;
    syntax(settings.is_some() || format_clause.is_some(), "FORMAT")?;
    syntax(multi_table_insert_type.is_some(), "ALL")?;
    let renamed = insert_alias
        .as_ref()
        .is_some_and(|alias| alias.col_aliases.as_ref().is_some_and(|names| !names.is_empty()));
    refuse(renamed, "INSERT .. AS new (columns)")?;
    let table = insert.table.to_string();
    columns.iter().try_for_each(|column| qualified(column, &table))?;
    let Some(source) = source else { return Ok(()) };
    let bare_values = matches!(source.body.as_ref(), SetExpr::Values(_)) && source.with.is_none();
    syntax(bare_values && source.limit_clause.is_some(), "LIMIT")?;
    syntax(bare_values && source.order_by.is_some(), "ORDER BY")
}

/// A column that is named with its table has to be of that table.
fn qualified(column: &ObjectName, table: &str) -> Result<(), SqlError> {
    let word = |text: &str| text.trim_matches('`').to_owned();
    let parts: Vec<String> = column.0.iter().map(|part| word(&part.to_string())).collect();
    let [.., given, _] = parts.as_slice() else { return Ok(()) };
    let own = table.rsplit('.').next().map(word).unwrap_or_default();
    if *given == own {
        return Ok(());
    }
    let message = format!("Unknown column '{}' in 'field list'", parts.join("."));
    Err(SqlError::new(1054, "42S22", message))
}

/// Judges an UPDATE.
pub(super) fn update(update: &Update) -> Result<(), SqlError> {
    let Update {
        update_token: _,
        optimizer_hints: _,
        table,
        assignments,
        from,
        selection: _,
        returning,
        output,
        or,
        order_by: _,
        limit: _,
    } = update;
    refuse(from.is_some(), "UPDATE .. FROM")?;
    refuse(returning.is_some(), "UPDATE .. RETURNING")?;
    syntax(output.is_some(), "OUTPUT")?;
    syntax(or.is_some(), "OR")?;
    factor(&table.relation)?;
    let TableFactor::Table { name, alias, .. } = &table.relation else { return Ok(()) };
    let known = alias.as_ref().map_or_else(|| name.to_string(), |alias| alias.name.value.clone());
    for assignment in assignments {
        if let sqlparser::ast::AssignmentTarget::ColumnName(column) = &assignment.target {
            qualified(column, &known)?;
        }
    }
    Ok(())
}

/// Judges a DELETE.
pub(super) fn delete(delete: &Delete) -> Result<(), SqlError> {
    let Delete {
        delete_token: _,
        optimizer_hints: _,
        tables,
        from: _,
        using,
        selection: _,
        returning,
        output,
        order_by: _,
        limit: _,
    } = delete;
    refuse(using.is_some() || tables.len() > 1, "DELETE from several tables")?;
    refuse(returning.is_some(), "DELETE .. RETURNING")?;
    syntax(output.is_some(), "OUTPUT")
}

/// Judges a TRUNCATE.
pub(super) fn truncate(truncate: &Truncate) -> Result<(), SqlError> {
    let Truncate { table_names, partitions, table: _, if_exists, identity, cascade, on_cluster } = truncate;
    refuse(partitions.is_some(), "TRUNCATE .. PARTITION")?;
    syntax(*if_exists, "IF EXISTS")?;
    syntax(identity.is_some(), "IDENTITY")?;
    syntax(cascade.is_some(), "CASCADE")?;
    syntax(on_cluster.is_some(), "ON CLUSTER")?;
    syntax(table_names.len() > 1, ",")?;
    syntax(table_names.iter().any(|target| target.only || target.has_asterisk), "*")
}

//! Asks before a statement begins whether its client may run it.
//!
//! Statements of administration are judged by their first words, those that define or change data by their syntax tree.
//! What is read is judged where a table's name is resolved (`sql::from`), so that no way of writing a query passes it by.
//! Invariant: a kind of statement that is not named here is for those alone who may do everything.

use super::privileges::Privilege::{self, *};
use super::privileges::Privileges;
use super::rights::Rights;
use crate::SqlError;
use crate::sql::from::table_name;
use crate::sql::locks;
use crate::sql::parse::Text;
use sqlparser::ast::{
    AlterTableOperation, CreateTable, CreateTableLikeKind, Expr, FromTable, ObjectName, ObjectType, OnInsert,
    Query, RenameTableNameKind, Statement, TableFactor, TableObject, TableWithJoins,
};
use sqlparser::tokenizer::Token;

/// Judges a statement by its first words, in capital letters. What it says nothing of is judged later.
pub fn administration(words: &[&str], text: &Text, database: &str, rights: &Rights) -> Result<(), SqlError> {
    let replicates: &[Privilege] = &[Super, ReplicationSlaveAdmin];
    let watches: &[Privilege] = &[Super, ReplicationClient];
    match words {
        ["START", "TRANSACTION", ..] => Ok(()),
        ["CHANGE" | "START" | "STOP", ..] => rights.any(replicates),
        ["RESET", "SLAVE" | "REPLICA", ..] | ["FLUSH" | "RESET", ..] => rights.any(&[Reload]),
        ["CLONE", ..] => rights.any(&[Super, CloneAdmin]),
        ["PURGE", ..] => rights.any(&[Super, BinlogAdmin]),
        ["SHUTDOWN", ..] => rights.any(&[Shutdown]),
        ["SHOW", "BINLOG" | "RELAYLOG", "EVENTS", ..]
        | ["SHOW", "BINARY", "LOG", "EVENTS", ..]
        | ["SHOW", "SLAVE", "HOSTS", ..]
        | ["SHOW", "REPLICAS", ..] => rights.any(&[ReplicationSlave]),
        ["SHOW", "CLONE" | "BINLOG" | "BINARY" | "MASTER" | "SLAVE" | "REPLICA" | "RELAYLOG", ..]
        | ["SHOW", "ALL", ..] => rights.any(watches),
        ["SHOW", "ENGINE", ..] => rights.any(&[Process]),
        ["LOCK", "TABLE" | "TABLES", ..] => each_table(text, 2, database, rights, &[LockTables, Select]),
        ["ANALYZE" | "OPTIMIZE" | "REPAIR", "TABLE" | "TABLES", ..] => {
            each_table(text, 2, database, rights, &[Select, Insert])
        }
        ["ANALYZE" | "OPTIMIZE" | "REPAIR", "LOCAL" | "NO_WRITE_TO_BINLOG", ..] => {
            each_table(text, 3, database, rights, &[Select, Insert])
        }
        ["CHECK" | "CHECKSUM", "TABLE" | "TABLES", ..] => each_table(text, 2, database, rights, &[Select]),
        _ => Ok(()),
    }
}

/// The tables that are listed behind so many words: each has to be open to all of these privileges.
fn each_table(
    text: &Text,
    words: usize,
    database: &str,
    rights: &Rights,
    needed: &[Privilege],
) -> Result<(), SqlError> {
    let mut tokens = text.solid().skip(words).peekable();
    while let Some(token) = tokens.next() {
        let Token::Word(first) = token else {
            return Err(SqlError::syntax("a list of tables begins with a name"));
        };
        let (mut of, mut table) = (database, first.value.as_str());
        if tokens.next_if_eq(&&Token::Period).is_some() {
            let Some(Token::Word(second)) = tokens.next() else {
                return Err(SqlError::syntax("a name of a table follows the point"));
            };
            (of, table) = (&first.value, &second.value);
        }
        for &privilege in needed {
            rights.table(privilege, of, table)?;
        }
        // Aliases and kinds of locks go on to the comma.
        for rest in tokens.by_ref() {
            if *rest == Token::Comma {
                break;
            }
        }
    }
    Ok(())
}

/// What a session needs to set this variable for itself alone.
pub fn set_for_session(name: &str, rights: &Rights) -> Result<(), SqlError> {
    const RESTRICTED: [&str; 5] =
        ["sql_log_bin", "binlog_format", "gtid_next", "gtid_domain_id", "pseudo_thread_id"];
    if !RESTRICTED.contains(&name) {
        return Ok(());
    }
    rights.any(&[Super, SystemVariablesAdmin, SessionVariablesAdmin, BinlogAdmin])
}

/// What a session needs to set a variable of the server.
pub fn set_for_all(rights: &Rights) -> Result<(), SqlError> {
    rights.any(&[Super, SystemVariablesAdmin])
}

/// What a session needs to write while `read_only` is on; nothing is enough while `super_read_only` is.
pub fn write_in_spite_of_read_only(rights: &Rights) -> Result<(), SqlError> {
    rights.any(&[Super, ConnectionAdmin])
}

/// Who locks rows for an UPDATE holds all others up, so it needs more than to read them (which is asked elsewhere).
fn may_lock(query: &Query, database: &str, rights: &Rights) -> Result<(), SqlError> {
    if !locks::is_for_update(query) {
        return Ok(());
    }
    locks::locked(query).iter().try_for_each(|name| {
        let (database, table) = table_name(name, database)?;
        // Who may not even read it is told so.
        rights.read(database, table)?;
        let may: Privileges = [Update, Delete, LockTables].into_iter().collect();
        match rights.on_table(database, table).has_any(may) {
            true => Ok(()),
            false => Err(rights.no_table("SELECT with locking clause", table)),
        }
    })
}

/// Judges a statement that changes or defines data.
pub fn statement(statement: &Statement, database: &str, rights: &Rights) -> Result<(), SqlError> {
    if rights.global().has_all(Privileges::everything()) {
        return Ok(());
    }
    let on = |name: &ObjectName, needed: &[Privilege]| {
        let (database, table) = table_name(name, database)?;
        needed.iter().try_for_each(|&privilege| rights.table(privilege, database, table))
    };
    let in_database = |name: &ObjectName, privilege| rights.database(privilege, &bare(name));
    match statement {
        Statement::Query(query) => may_lock(query, database, rights),
        Statement::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else { return everything(rights) };
            on(name, &[Insert])?;
            match &insert.on {
                _ if insert.replace_into => on(name, &[Delete]),
                Some(OnInsert::DuplicateKeyUpdate(_)) => on(name, &[Update]),
                _ => Ok(()),
            }
        }
        Statement::Update(update) => {
            let plain = |value: &Expr| matches!(value, Expr::Value(_));
            let reads = update.selection.is_some()
                || !update.order_by.is_empty()
                || !update.assignments.iter().all(|set| plain(&set.value));
            written(&update.table, if reads { &[Update, Select] } else { &[Update] }, &on, rights)
        }
        Statement::Delete(delete) => {
            let reads = delete.selection.is_some() || !delete.order_by.is_empty();
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let using = delete.using.iter().flatten();
            let needed: &[Privilege] = if reads { &[Delete, Select] } else { &[Delete] };
            from.iter().chain(using).try_for_each(|table| written(table, needed, &on, rights))
        }
        Statement::CreateTable(create) => create_table(create, &on),
        Statement::CreateDatabase { db_name, .. } => in_database(db_name, Create),
        Statement::CreateSchema { schema_name, .. } => {
            rights.database(Create, schema_name.to_string().trim_matches('`'))
        }
        Statement::CreateIndex(create) => on(&create.table_name, &[Index]),
        Statement::AlterTable(alter) => {
            on(&alter.name, &[Alter])?;
            alter.operations.iter().try_for_each(|operation| match operation {
                AlterTableOperation::RenameTable {
                    table_name: RenameTableNameKind::To(name) | RenameTableNameKind::As(name),
                } => on(&alter.name, &[Drop]).and_then(|()| on(name, &[Create, Insert])),
                _ => Ok(()),
            })
        }
        Statement::Truncate(truncate) => {
            truncate.table_names.iter().try_for_each(|target| on(&target.name, &[Drop]))
        }
        Statement::RenameTable(list) => list.iter().try_for_each(|rename| {
            on(&rename.old_name, &[Alter, Drop])?;
            on(&rename.new_name, &[Create, Insert])
        }),
        Statement::Drop { object_type: ObjectType::Table, names, .. } => {
            names.iter().try_for_each(|name| on(name, &[Drop]))
        }
        Statement::Drop { object_type: ObjectType::Database | ObjectType::Schema, names, .. } => {
            names.iter().try_for_each(|name| in_database(name, Drop))
        }
        Statement::Drop { object_type: ObjectType::Index, table: Some(table), .. } => on(table, &[Index]),
        _ => everything(rights),
    }
}

/// The name of a database as it stands in a statement.
fn bare(name: &ObjectName) -> String {
    name.to_string().trim_matches('`').to_owned()
}

fn everything(rights: &Rights) -> Result<(), SqlError> {
    rights.any(&[Super])
}

type On<'a> = dyn Fn(&ObjectName, &[Privilege]) -> Result<(), SqlError> + 'a;

/// The tables that an UPDATE or a DELETE names, whichever of them it changes.
fn written(
    tables: &TableWithJoins,
    needed: &[Privilege],
    on: &On<'_>,
    rights: &Rights,
) -> Result<(), SqlError> {
    let joined = tables.joins.iter().map(|join| &join.relation);
    for factor in std::iter::once(&tables.relation).chain(joined) {
        match factor {
            TableFactor::Table { name, .. } => on(name, needed)?,
            // A derived table is only read, and judged where its own tables are.
            TableFactor::Derived { .. } => {}
            _ => everything(rights)?,
        }
    }
    Ok(())
}

fn create_table(create: &CreateTable, on: &On<'_>) -> Result<(), SqlError> {
    on(&create.name, &[Create])?;
    if create.query.is_some() {
        on(&create.name, &[Insert])?;
    }
    match &create.like {
        Some(CreateTableLikeKind::Plain(like) | CreateTableLikeKind::Parenthesized(like)) => {
            on(&like.name, &[Select])
        }
        None => Ok(()),
    }
}

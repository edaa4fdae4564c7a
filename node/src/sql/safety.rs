//! Whether a statement's text does the same on every node that runs it (MySQL's *safe* and *unsafe* statements).
//!
//! The rules are MariaDB's, measured on 10.11, but for variables that MariaDB sends along and this node does not: unsafe are functions and variables whose value is not sent along, any
//! LIMIT, and texts in which the order of the rows that are read decides what is written. They are about the text; an unsafe statement may
//! well do the same everywhere. What a text refers to is found in its tokens: a name in backticks is no call, and a false
//! yes costs a note or a row in the log. Not here: what is done about it (`session::logging`).

use std::collections::BTreeSet;

use sqlparser::ast::{FromTable, Insert, ObjectName, OnInsert, SetExpr, Statement, TableFactor, TableObject};
use sqlparser::tokenizer::Token;

use super::parse::Text;
use crate::SqlError;
use crate::storage::definition::TableDef;

/// The number of the note.
pub const UNSAFE: u16 = 1592;

/// Why a text may do something else elsewhere, in the order in which MySQL names the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsafe {
    /// It has a LIMIT.
    Limit,
    /// It names a system variable that is not sent along.
    SystemVariable,
    /// It calls a function whose value is not sent along.
    SystemFunction,
    /// INSERT IGNORE .. SELECT.
    IgnoreSelect,
    /// INSERT .. SELECT .. ON DUPLICATE KEY UPDATE.
    SelectUpdate,
    /// It writes a table with an automatic key after reading another.
    AutomaticKeys,
    /// REPLACE .. SELECT.
    ReplaceSelect,
    /// INSERT .. ON DUPLICATE KEY UPDATE on a table with several unique keys.
    SeveralKeys,
}

impl Unsafe {
    /// The note, in MySQL's words.
    #[must_use]
    pub fn note(self) -> SqlError {
        let order = |what: &str, which: &str| {
            format!(
                "{what} because the order in which rows are retrieved {which}. This order cannot be predicted and may differ on \
                 master and the slave"
            )
        };
        let why = match self {
            Unsafe::Limit => "The statement is unsafe because it uses a LIMIT clause. This is unsafe because the set of rows \
                              included cannot be predicted"
                .to_owned(),
            Unsafe::SystemVariable => {
                "Statement is unsafe because it uses a system variable that may have a different value on the slave".to_owned()
            }
            Unsafe::SystemFunction => {
                "Statement is unsafe because it uses a system function that may return a different value on the slave".to_owned()
            }
            Unsafe::IgnoreSelect => order(
                "INSERT IGNORE... SELECT is unsafe",
                "by the SELECT determines which (if any) rows are ignored",
            ),
            Unsafe::SelectUpdate => order(
                "INSERT... SELECT... ON DUPLICATE KEY UPDATE is unsafe",
                "by the SELECT determines which (if any) rows are updated",
            ),
            Unsafe::AutomaticKeys => order(
                "Statements writing to a table with an auto-increment column after selecting from another table are unsafe",
                "determines what (if any) rows will be written",
            ),
            Unsafe::ReplaceSelect => {
                order("REPLACE... SELECT is unsafe", "by the SELECT determines which (if any) rows are replaced")
            }
            Unsafe::SeveralKeys => {
                "INSERT... ON DUPLICATE KEY UPDATE  on a table with more than one UNIQUE KEY is unsafe".to_owned()
            }
        };
        let message = format!(
            "Unsafe statement written to the binary log using statement format since BINLOG_FORMAT = STATEMENT. {why}"
        );
        SqlError::new(UNSAFE, "HY000", message)
    }
}

/// Functions whose value is neither sent along nor the same everywhere.
const FUNCTIONS: [&str; 18] = [
    "UUID",
    "UUID_SHORT",
    "SYS_GUID",
    "SYSDATE",
    "USER",
    "SESSION_USER",
    "SYSTEM_USER",
    "CURRENT_USER",
    "CURRENT_ROLE",
    "VERSION",
    "FOUND_ROWS",
    "ROW_COUNT",
    "SLEEP",
    "GET_LOCK",
    "RELEASE_LOCK",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "LOAD_FILE",
];

/// The variables of a session that are sent along with a statement.
pub const SENT: [&str; 7] = [
    "sql_mode",
    "time_zone",
    "collation_connection",
    "auto_increment_increment",
    "auto_increment_offset",
    "foreign_key_checks",
    "unique_checks",
];
/// Sent along, and all the same unsafe in MariaDB where a text names it.
const UNSAFE_ALTHOUGH_SENT: &str = "sql_mode";

/// Words behind which a name is a table's, and what follows in parentheses its columns.
const BEFORE_TABLES: [&str; 9] =
    ["INTO", "INSERT", "REPLACE", "UPDATE", "FROM", "JOIN", "TABLE", "WITH", "IGNORE"];

/// What a text refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The user variables that it names, in small letters, each once.
    pub users: BTreeSet<String>,
    /// Whether it asks for LAST_INSERT_ID().
    pub last_insert_id: bool,
    /// Whether it calls RAND().
    pub rand: bool,
    reasons: BTreeSet<Unsafe>,
}

impl References {
    /// Those of a statement's text.
    #[must_use]
    pub fn of(text: &Text) -> References {
        let tokens: Vec<&Token> = text.solid().collect();
        let mut found = References::default();
        for (at, token) in tokens.iter().enumerate() {
            let Token::Word(word) = token else { continue };
            let before = at.checked_sub(1).map(|before| tokens[before]);
            if word.quote_style.is_some() || before == Some(&Token::Period) {
                continue;
            }
            if word.value.starts_with('@') {
                found.variable(&word.value, &tokens[at + 1..]);
                continue;
            }
            let name = word.value.to_ascii_uppercase();
            let is_table = matches!(before, Some(Token::Word(word))
                if BEFORE_TABLES.contains(&word.value.to_ascii_uppercase().as_str()));
            let called = tokens.get(at + 1) == Some(&&Token::LParen) && !is_table;
            match name.as_str() {
                "LIMIT" => drop(found.reasons.insert(Unsafe::Limit)),
                "CURRENT_USER" => drop(found.reasons.insert(Unsafe::SystemFunction)),
                "RAND" if called => found.rand = true,
                "LAST_INSERT_ID" if called => found.last_insert_id = true,
                name if called && FUNCTIONS.contains(&name) => {
                    found.reasons.insert(Unsafe::SystemFunction);
                }
                _ => {}
            }
        }
        found
    }

    fn variable(&mut self, name: &str, rest: &[&Token]) {
        let Some(system) = name.strip_prefix("@@") else {
            let name = name.trim_start_matches('@').trim_matches(['`', '\'', '"']);
            self.users.insert(name.to_lowercase());
            return;
        };
        let (global, name) = match (system.to_ascii_lowercase().as_str(), rest) {
            (scope @ ("global" | "session" | "local"), [Token::Period, Token::Word(word), ..]) => {
                (scope == "global", word.value.to_ascii_lowercase())
            }
            (name, _) => (false, name.to_owned()),
        };
        // what is sent is the session's value
        if global || name == UNSAFE_ALTHOUGH_SENT || !SENT.contains(&name.as_str()) {
            self.reasons.insert(Unsafe::SystemVariable);
        }
    }

    /// Why the statement is unsafe, if it is. `reads` says whether it reads any table but to find the rows that it changes.
    #[must_use]
    pub fn reasons(&self, statement: &Statement, table: &TableDef, reads: bool) -> BTreeSet<Unsafe> {
        let mut reasons = self.reasons.clone();
        let mut add = |unless: bool, reason: Unsafe| {
            if unless {
                reasons.insert(reason);
            }
        };
        // the seeds are sent along, but which row gets which number depends on the order of the rows
        let plain = matches!(statement, Statement::Insert(insert) if !insert.replace_into);
        add(self.rand && !plain, Unsafe::SystemFunction);
        add(reads && table.columns.iter().any(|column| column.auto_increment), Unsafe::AutomaticKeys);
        if let Statement::Insert(insert) = statement {
            let selects = selects(insert);
            let updates = matches!(insert.on, Some(OnInsert::DuplicateKeyUpdate(_)));
            let unique = table.keys.iter().filter(|key| key.unique).count();
            add(selects && insert.ignore, Unsafe::IgnoreSelect);
            add(selects && updates, Unsafe::SelectUpdate);
            add(selects && insert.replace_into, Unsafe::ReplaceSelect);
            add(!selects && updates && unique > 1, Unsafe::SeveralKeys);
        }
        reasons
    }
}

fn selects(insert: &Insert) -> bool {
    insert.assignments.is_empty()
        && insert.source.as_ref().is_some_and(|source| !matches!(*source.body, SetExpr::Values(_)))
}

/// The name of the one table that a statement writes.
#[must_use]
pub fn written(statement: &Statement) -> Option<&ObjectName> {
    let relation = match statement {
        Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => return Some(name),
        Statement::Update(update) => &update.table.relation,
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            &from.first()?.relation
        }
        _ => return None,
    };
    match relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(sql: &str) -> References {
        References::of(&Text::new(sql.as_bytes()).unwrap())
    }

    fn reasons(sql: &str) -> Vec<Unsafe> {
        references(sql).reasons.into_iter().collect()
    }

    #[test]
    fn what_is_sent_along_is_safe() {
        for sql in [
            "insert into t values (now(6), utc_timestamp(), curdate(), unix_timestamp())",
            "insert into t values (connection_id(), database(), last_insert_id(), rand(), rand(3))",
            "insert into t values (@@auto_increment_increment, @@session.time_zone, @@collation_connection, @@foreign_key_checks)",
            "insert into user (version, `uuid`) values ('uuid()', 1)",
            "update t set `limit` = 1 where t.version = 2",
        ] {
            assert_eq!(reasons(sql), [], "{sql}");
        }
    }

    #[test]
    fn what_is_not_sent_along_is_unsafe() {
        for call in [
            "uuid()",
            "UUID_SHORT()",
            "sysdate(6)",
            "user()",
            "current_user",
            "current_user()",
            "version()",
            "found_rows()",
            "row_count()",
            "sleep(0)",
            "get_lock('a', 0)",
            "is_free_lock('x')",
        ] {
            assert_eq!(
                reasons(&format!("insert into t values ({call})")),
                [Unsafe::SystemFunction],
                "{call}"
            );
        }
        for name in [
            "@@server_id",
            "@@global.max_connections",
            "@@sql_mode",
            "@@hostname",
            "@@autocommit",
            "@@character_set_client",
            "@@character_set_connection",
            "@@collation_database",
            "@@last_insert_id",
            "@@identity",
            "@@pseudo_thread_id",
            "@@sql_auto_is_null",
            "@@timestamp",
            "@@global.time_zone",
        ] {
            assert_eq!(reasons(&format!("update t set a = {name}")), [Unsafe::SystemVariable], "{name}");
        }
        assert_eq!(
            reasons("delete from t where uuid() < 'x' limit 1"),
            [Unsafe::Limit, Unsafe::SystemFunction]
        );
    }

    #[test]
    fn a_session_variable_is_safe_exactly_if_it_is_sent_along() {
        let names =
            ["character_set_client", "lc_time_names", "rand_seed1", "insert_id", "max_allowed_packet"];
        for name in SENT.into_iter().chain(names) {
            let safe = reasons(&format!("insert into t values (@@session.{name})")).is_empty();
            assert_eq!(safe, SENT.contains(&name) && name != UNSAFE_ALTHOUGH_SENT, "{name}");
        }
    }

    #[test]
    fn user_variables_and_what_else_is_sent_are_found() {
        let found = references("insert into t values (@A, @b, @a, last_insert_id(), rand())");
        assert_eq!(found.users, ["a".to_owned(), "b".to_owned()].into());
        assert!(found.last_insert_id && found.rand);
        assert_eq!(references("insert into t values ('@a')"), References::default());
    }
}

//! What a statement is translated in: the definitions, the default database, the variables, and the facts of its session.
//!
//! It also takes notes of what the translation met ([`Facts::seeds`], [`Facts::reads_tables`]), for the log.

use std::cell::Cell;
use std::sync::Arc;

use super::rand::Seeds;
use super::surroundings::Surroundings;
use super::temporal::DateTime;
use crate::accounts::Accounts;
use crate::accounts::rights::Rights;
use crate::results::Param;
use crate::session::variables::Variables;
use crate::storage::catalog::Catalog;
use crate::storage::table_locks::Locked;

/// What a statement can refer to besides tables.
pub struct Facts {
    /// When the statement began, in UTC.
    pub now: DateTime,
    /// Seconds east of UTC of the session.
    pub zone_offset: i64,
    /// The session's number.
    pub connection_id: u32,
    /// `user@host`, as the client came.
    pub user: String,
    /// What the session may do.
    pub rights: Rights,
    /// What the client's connection agreed on, if it is encrypted.
    pub tls: Option<crate::tls::Agreed>,
    /// The accounts of the node.
    pub accounts: Arc<Accounts>,
    /// What LAST_INSERT_ID() says.
    pub last_insert_id: u64,
    /// What ROW_COUNT() says.
    pub row_count: i64,
    /// How many warnings the statement before left, and errors: `@@warning_count` counts both.
    pub left: (u64, u64),
    /// What FOUND_ROWS() says.
    pub found_rows: u64,
    /// The first automatic key, if another node has given it already.
    pub insert_id: Option<u64>,
    /// What RAND() begins with.
    pub seeds: Seeds,
    /// Whether another node has run the statement: then no mode of this session refuses it.
    pub ran_elsewhere: bool,
    /// Set when a table is read, other than to find the rows that a statement changes.
    pub reads_tables: Cell<bool>,
}

/// What a statement is translated in.
pub struct Environment<'a> {
    /// The definitions.
    pub catalog: &'a Catalog,
    /// The default database, or empty.
    pub database: &'a str,
    /// The variables.
    pub variables: &'a Variables,
    /// The values of placeholders.
    pub params: &'a [Param],
    /// The rest.
    pub facts: &'a Facts,
    /// What the session has locked with LOCK TABLES; then it sees nothing else.
    pub locked: Option<&'a Locked>,
    /// What SHOW tells.
    pub server: &'a dyn Surroundings,
}

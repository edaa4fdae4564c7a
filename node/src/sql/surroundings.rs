//! What SHOW and `information_schema` tell that is neither in the catalog nor in the variables.

use crate::SqlError;
use crate::storage::definition::TableDef;

/// A client, or a thread of replication, as SHOW PROCESSLIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its account.
    pub user: String,
    /// Where it comes from.
    pub host: String,
    /// Its default database.
    pub database: Option<String>,
    /// `Query`, `Sleep`, …
    pub command: String,
    /// For how long it has been doing this, in seconds.
    pub seconds: u64,
    /// More of it, in MySQL's words.
    pub state: Option<String>,
    /// The beginning of its statement.
    pub statement: Option<String>,
}

/// Who can tell.
pub trait Surroundings {
    /// Refuses to read a table that another session has locked for writing.
    fn readable(&self, database: &str, table: &str) -> Result<(), SqlError>;
    /// Who is connected.
    fn processes(&self) -> Vec<Process>;
    /// The counters of SHOW STATUS, in the order of their names: the server's, or the session's own where it has some.
    fn status(&self, global: bool) -> Vec<(String, String)>;
    /// The smallest automatic key that no row of the table ever had, if it gives any.
    fn next_key(&self, table: &TableDef) -> Option<u64>;
    /// How many rows the table has: exact for a small one, an estimate for a large one, none where even that would take
    /// long.
    fn rows(&self, table: &TableDef) -> Option<u64>;
}

//! The driver for everything that speaks MySQL's protocol: MySQL, MariaDB, and the bundled node.
//!
//! # How rows are watched
//!
//! Between a pin and the question whether its rows are still the same, one of two things watches them:
//!
//! * [`Watch::Log`], the bundled node: it can list the keys that its log holds since a position. Nothing is locked;
//!   the rows and the position are read in one snapshot, and later the log is asked.
//! * [`Watch::Locks`], MySQL and MariaDB: a transaction on a connection of its own holds shared locks on the rows, and on
//!   the gaps where there is no row; or, as a guard, has made edits that nobody sees yet. Only InnoDB does that, and only by key. Rows of other engines, and of tables without a
//!   key, are only read, and are still if the server's log holds no change of their table since (`binlog`).
//!
//! Which one a server has is found by asking it, once, at connect.
//!
//! # Invariants
//!
//! * Every wait has a bound ([`Options`]); after a time-out the connection is closed, and the next call makes another.
//! * Values are read from the binary protocol in UTC and UTF-8, straight into the canonical encoding.
//! * User tables are written by `mend` alone, in a session with `sql_log_bin=0`.
//!
//! Not here: pools, retries, comparing, deciding.

mod binlog;
pub mod clone;
mod counted;
mod digest;
mod fault;
mod filter;
mod grants;
mod ledger;
mod link;
mod locks;
mod positions;
mod read;
mod rights;
mod schema;
mod secure;
mod status;
mod survey;
mod view;
mod wire;
mod write;

pub use ledger::LedgerConnection;
pub use positions::{Board, PositionConnection};
pub use rights::{Missing, Purpose, Rights};
pub use status::{Identity, LinkState, Replica};
pub use survey::{Survey, SurveyedLink, SurveyedTable, Unknown};
pub use write::OUTSIDE_LOG;

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::table::Table;
use crate::target::Target;
use fault::{Fault, SYNTAX};
use link::Link;
use std::time::{Duration, Instant};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT_S: u64 = 10;
/// How long a statement may take.
const STATEMENT_TIMEOUT_S: u64 = 60;
/// How long a statement waits for a lock, outside a pin.
const LOCK_WAIT_S: u64 = 5;
/// How long a pin waits for a row lock, where the server can do without waiting: somebody is writing the row, so it
/// is not still anyway, and others may be waiting for what is already locked. MySQL waits for a second at least.
const PIN_LOCK_WAIT_S: u64 = 0;
/// How long a guard waits for what stands in the way of an edit. Not zero: MariaDB 10.11 then fails to leave out rows that are locked
/// (error 1180).
const GUARD_LOCK_WAIT_S: u64 = 1;
/// The database of evensum's own tables, unless another one is chosen.
const LEDGER: &str = "evensum";

/// Bounds and names that a caller may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// The database that holds evensum's own tables; these are not listed among the user's.
    pub ledger: Box<str>,
    /// What becomes of an edit that would fire triggers.
    pub triggers: Triggers,
}

/// What becomes of an edit that would fire triggers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Triggers {
    /// It is refused.
    #[default]
    Refuse,
    /// It is made without firing them, where a server can do that for one session. MariaDB and MySQL cannot, so there it is refused.
    Skip,
    /// It is made, and they fire: what they change is outside the log too, and nobody compares it.
    Fire,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(CONNECT_TIMEOUT_S),
            statement_timeout: Duration::from_secs(STATEMENT_TIMEOUT_S),
            ledger: LEDGER.into(),
            triggers: Triggers::default(),
        }
    }
}

/// By what a server's rows can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// The server lists the keys that its log holds since a position.
    Log,
    /// The server locks rows.
    Locks,
}

/// A transaction that holds locks, on the connection for locks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    /// The connection on which it was begun.
    generation: u64,
    /// For each row that was asked for, whether it is locked.
    rows: Vec<bool>,
}

/// A node behind MySQL's protocol.
#[derive(Debug)]
pub struct Connection {
    name: String,
    main: Link,
    /// Holds the locks of a pin while `main` reads on.
    locks: Link,
    /// Holds the edits of a guard.
    guards: Link,
    watch: Watch,
    held: Option<Held>,
    /// Edits that are made on the connection for guards, and not committed.
    guarded: Option<write::Guarded>,
    /// The server's number of the connection that holds locks, as of the last hold.
    holder: u64,
    /// How often something was held.
    holds: u64,
    /// When it was last asked who waits for what is held, and during which hold.
    looked: Option<(Instant, u64)>,
    /// Whether the server can digest rows itself.
    digests: bool,
    ledger: Box<str>,
    triggers: Triggers,
}

impl Connection {
    /// Connects, and finds out what the server can do.
    pub async fn connect(target: &Target, secret: Option<&Secret>, options: &Options) -> Result<Connection> {
        let mut connection = Connection {
            name: target.name.to_string(),
            main: Link::new(target, secret, options, Duration::from_secs(LOCK_WAIT_S)),
            locks: Link::new(target, secret, options, Duration::from_secs(PIN_LOCK_WAIT_S)),
            guards: Link::new(target, secret, options, Duration::from_secs(GUARD_LOCK_WAIT_S)),
            watch: Watch::Locks,
            held: None,
            guarded: None,
            holder: 0,
            holds: 0,
            looked: None,
            digests: false,
            ledger: options.ledger.clone(),
            triggers: options.triggers,
        };
        let account = connection.main.find_account().await;
        let account = account.map_err(|fault| connection.error(fault, "the connection"))?;
        connection.locks.know_account(&account);
        connection.guards.know_account(&account);
        connection.watch =
            watch(&mut connection.main).await.map_err(|fault| connection.error(fault, "the connection"))?;
        connection.digests = match connection.main.ask(digest::PROBE).await {
            Err(fault) if !fault.is_server() => return Err(connection.error(fault, "the connection")),
            answer => answer.is_ok(),
        };
        Ok(connection)
    }

    /// What the node is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By what this server's rows can be watched.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch
    }

    fn error(&self, fault: Fault, what: &str) -> Error {
        fault.at(&self.name, what, self.main.account(), None)
    }

    /// The same for a statement about this table.
    fn error_of(&self, fault: Fault, what: &str, table: &Table) -> Error {
        fault.at(&self.name, what, self.main.account(), Some(&table.database))
    }
}

/// A server that knows the statement refuses it for what it names; any other one for what it is.
const WATCH_PROBE: &str = "SHOW BINLOG CHANGES FOR `evensum`.`evensum` FROM '' 4";

/// By what a server's rows can be watched.
async fn watch(link: &mut Link) -> std::result::Result<Watch, Fault> {
    match link.ask(WATCH_PROBE).await {
        Err(fault) if knows_changes(&fault) => Ok(Watch::Log),
        Err(fault) if !fault.is_server() => Err(fault),
        Ok(_) | Err(_) => Ok(Watch::Locks),
    }
}

fn knows_changes(fault: &Fault) -> bool {
    // 1049 database, 1105 definition, 1146 table, 1220 and 1373 log file, 1236 position
    matches!(fault.number(), Some(1049 | 1105 | 1146 | 1220 | 1236 | 1373))
}

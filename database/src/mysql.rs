//! The driver for everything that speaks MySQL's protocol: MySQL, MariaDB, and the bundled node.
//!
//! # How rows are watched
//!
//! Between a pin and the question whether its rows are still the same, one of two things watches them:
//!
//! * [`Watch::Log`], the bundled node: it can list the keys that its log holds since a position. Nothing is locked;
//!   the rows and the position are read in one snapshot, and later the log is asked.
//! * [`Watch::Locks`], MySQL and MariaDB: a transaction on a connection of its own holds locks on the rows, and on
//!   the gaps where there is no row. Only InnoDB does that, and only by key. Rows of other engines, and of tables without a
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
mod counted;
mod digest;
mod fault;
mod filter;
mod ledger;
mod link;
mod locks;
mod read;
mod schema;
mod status;
mod wire;
mod write;

pub use ledger::LedgerConnection;
pub use status::{Identity, LinkState};

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::target::Target;
use fault::{Fault, SYNTAX};
use link::Link;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT_S: u64 = 10;
/// How long a statement may take.
const STATEMENT_TIMEOUT_S: u64 = 60;
/// How long a statement waits for a lock, outside a pin.
const LOCK_WAIT_S: u64 = 5;
/// How long a pin or a guard waits for a row lock: somebody is writing the row, so it is not still anyway.
const PIN_LOCK_WAIT_S: u64 = 1;
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
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(CONNECT_TIMEOUT_S),
            statement_timeout: Duration::from_secs(STATEMENT_TIMEOUT_S),
            ledger: LEDGER.into(),
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
    /// Whether the locks are exclusive, for a guarded edit.
    guard: bool,
    /// For each row that was asked for, whether it is locked.
    rows: Vec<bool>,
}

/// A node behind MySQL's protocol.
#[derive(Debug)]
pub struct Connection {
    name: String,
    main: Link,
    /// Holds locks while `main` reads on.
    locks: Link,
    watch: Watch,
    held: Option<Held>,
    /// Whether the server can digest rows itself.
    digests: bool,
    ledger: Box<str>,
}

impl Connection {
    /// Connects, and finds out what the server can do.
    pub async fn connect(target: &Target, secret: Option<&Secret>, options: &Options) -> Result<Connection> {
        let mut connection = Connection {
            name: target.name.to_string(),
            main: Link::new(target, secret, options, Duration::from_secs(LOCK_WAIT_S)),
            locks: Link::new(target, secret, options, Duration::from_secs(PIN_LOCK_WAIT_S)),
            watch: Watch::Locks,
            held: None,
            digests: false,
            ledger: options.ledger.clone(),
        };
        let answer = connection.main.ask("SELECT 1").await;
        answer.map_err(|fault| connection.error(fault, "the connection"))?;
        connection.watch = match connection.main.ask(WATCH_PROBE).await {
            Err(fault) if knows_changes(&fault) => Watch::Log,
            Err(fault) if !fault.is_server() => return Err(connection.error(fault, "the connection")),
            Ok(_) | Err(_) => Watch::Locks,
        };
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
        fault.at(&self.name, what)
    }
}

/// A server that knows the statement refuses it for what it names; any other one for what it is.
const WATCH_PROBE: &str = "SHOW BINLOG CHANGES FOR `evensum`.`evensum` FROM '' 4";

fn knows_changes(fault: &Fault) -> bool {
    // 1049 database, 1105 definition, 1146 table, 1220 and 1373 log file, 1236 position
    matches!(fault.number(), Some(1049 | 1105 | 1146 | 1220 | 1236 | 1373))
}

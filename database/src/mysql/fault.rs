//! What a server or the way to it did wrong, before it is told to the caller as one of the errors of the seam.
//!
//! Inside the driver the server's error number decides what to do next (a lock that was not granted, a statement
//! that does not exist here), so it is kept until the edge; outside, only what the caller can do matters.

use super::rights;
use crate::error::Error;
use sqlx::mysql::MySqlDatabaseError;
use std::time::Duration;

/// Statement does not exist here: a syntax error.
pub(super) const SYNTAX: u16 = 1064;
/// A row lock was not granted in time.
pub(super) const LOCK_WAIT: u16 = 1205;
/// A row lock was not granted at once.
pub(super) const LOCK_AT_ONCE: u16 = 3572;
/// The transaction was chosen to end a deadlock.
pub(super) const DEADLOCK: u16 = 1213;

/// A failure, as the driver sees it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server says no.
    Server { number: u16, message: String },
    /// The connection failed or was never made.
    Lost(String),
    /// No connection as safe as it must be.
    Insecure(String),
    /// No answer within this time.
    Slow(Duration),
    /// An answer that makes no sense.
    Odd(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Fault {
        match &error {
            sqlx::Error::Database(inner) => match inner.try_downcast_ref::<MySqlDatabaseError>() {
                Some(server) => {
                    Fault::Server { number: server.number(), message: server.message().to_owned() }
                }
                None => Fault::Odd(error.to_string()),
            },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
                Fault::Lost(error.to_string())
            }
            _ => Fault::Odd(error.to_string()),
        }
    }
}

impl Fault {
    /// The server's error number, if it was the server that spoke.
    pub(super) fn number(&self) -> Option<u16> {
        match self {
            Fault::Server { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// Whether the server, in good order, refused this one statement, so that the connection can be used further.
    pub(super) fn is_server(&self) -> bool {
        matches!(self, Fault::Server { .. })
    }

    /// Whether somebody else holds a lock that was needed.
    pub(super) fn is_lock(&self) -> bool {
        matches!(self.number(), Some(LOCK_WAIT | LOCK_AT_ONCE | DEADLOCK))
    }

    /// In the server's words.
    pub(super) fn words(&self) -> String {
        match self {
            Fault::Server { number, message } => format!("{message} (error {number})"),
            Fault::Lost(reason) | Fault::Insecure(reason) | Fault::Odd(reason) => reason.clone(),
            Fault::Slow(bound) => format!("no answer within {} s", bound.as_secs()),
        }
    }

    /// What the caller is told. `account` is who was refused, if it was that, and `database` where.
    pub(super) fn at(self, node: &str, what: &str, account: &str, database: Option<&str>) -> Error {
        let (node, reason) = (node.to_owned(), self.words());
        let grant = rights::line_for(&self, account, database);
        match self {
            Fault::Lost(_) => Error::Unreachable { node, reason },
            Fault::Insecure(_) => Error::Insecure { node, reason },
            Fault::Slow(_) => Error::Bound { node, reason: format!("{what}: {reason}") },
            Fault::Odd(_) => Error::Protocol { node, reason: format!("{what}: {reason}") },
            Fault::Server { number, .. } => match number {
                // too many connections, shutdown, gone, lost, killed
                1040 | 1053 | 1203 | 1927 | 2006 | 2013 => Error::Unreachable { node, reason },
                // connections in clear are not taken
                3159 => Error::Insecure { node, reason },
                // unknown database, column, table; wrong definitions
                1049 | 1054 | 1146 | 1412 | 1932 => {
                    Error::Schema { node, reason: format!("{what}: {reason}") }
                }
                // locks, packets, statement time on MariaDB and MySQL
                LOCK_WAIT | LOCK_AT_ONCE | DEADLOCK | 1153 | 1317 | 1969 | 3024 => {
                    Error::Bound { node, reason: format!("{what}: {reason}") }
                }
                _ => Error::Refused { node, what: what.to_owned(), reason, grant },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u16) -> Error {
        Fault::Server { number, message: "words".into() }.at("north", "reading shop.orders", "u@%", None)
    }

    #[test]
    fn the_server_s_number_decides_what_the_caller_can_do() {
        assert!(matches!(error(1045), Error::Refused { .. }));
        assert!(matches!(error(1142), Error::Refused { .. }));
        assert!(matches!(error(1146), Error::Schema { .. }));
        assert!(matches!(error(1205), Error::Bound { .. }));
        assert!(matches!(error(1040), Error::Unreachable { .. }));
        assert_eq!(error(1045).to_string(), "north refused reading shop.orders: words (error 1045)");
        let slow = Fault::Slow(Duration::from_secs(60)).at("north", "reading", "", None);
        assert_eq!(slow.to_string(), "north: reading: no answer within 60 s");
    }
}

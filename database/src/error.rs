//! What can go wrong with a database, by what the caller can do about it.

use std::fmt;

/// A failure at one node.
#[derive(Debug)]
pub enum Error {
    /// The node does not answer, or stopped answering. Trying later may help.
    Unreachable {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// The node refuses: a wrong password, a missing right. A person must act.
    Refused {
        /// The node.
        node: String,
        /// What was asked of it.
        what: String,
        /// Why, in the server's words.
        reason: String,
        /// The line that grants the right that is missing, if it is that.
        grant: Option<String>,
    },
    /// No connection that is as safe as was asked for, or as the server demands. A person must act.
    Insecure {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// The table is not there or not as it was when the work began.
    Schema {
        /// The node.
        node: String,
        /// What is not as expected.
        reason: String,
    },
    /// A bound was reached: too slow, too large, too many.
    Bound {
        /// The node.
        node: String,
        /// Which bound, and what it is for.
        reason: String,
    },
    /// The node said something that this program does not understand.
    Protocol {
        /// The node.
        node: String,
        /// What it said.
        reason: String,
    },
}

/// The result of asking a node.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The node at which it happened.
    #[must_use]
    pub fn node(&self) -> &str {
        match self {
            Error::Unreachable { node, .. }
            | Error::Refused { node, .. }
            | Error::Insecure { node, .. }
            | Error::Schema { node, .. }
            | Error::Bound { node, .. }
            | Error::Protocol { node, .. } => node,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreachable { node, reason } => write!(f, "{node} is unreachable: {reason}"),
            Error::Refused { node, what, reason, .. } => write!(f, "{node} refused {what}: {reason}"),
            Error::Insecure { node, reason } => write!(f, "no secure connection to {node}: {reason}"),
            Error::Schema { node, reason } => write!(f, "{node}: {reason}"),
            Error::Bound { node, reason } => write!(f, "{node}: {reason}"),
            Error::Protocol { node, reason } => {
                write!(f, "{node} gave an answer that is not understood: {reason}")
            }
        }
    }
}

impl std::error::Error for Error {}

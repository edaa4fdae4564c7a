//! Why a repair did not begin, or ended early.

use crate::journal::JournalError;
use database::Error;
use std::fmt;

/// Why a repair did not begin, or ended early.
#[derive(Debug)]
pub enum ExecuteError {
    /// A node is not the server for which the plan was made. Nothing was changed.
    Identity {
        /// The node.
        node: Box<str>,
        /// The server in the plan.
        planned: Box<str>,
        /// The server that answers.
        found: Box<str>,
    },
    /// A node of the plan is not among the members. Nothing was changed.
    Absent(Box<str>),
    /// A node failed. What was done until then is in the journal.
    Database(Error),
    /// The journal cannot be written. Nothing was changed that is not in it.
    Journal(JournalError),
}

impl fmt::Display for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecuteError::Identity { node, planned, found } => {
                write!(f, "{node} is not the server of the plan: planned for {planned}, found {found}")
            }
            ExecuteError::Absent(node) => write!(f, "the plan is about {node}, which is not among the nodes"),
            ExecuteError::Database(error) => write!(f, "{error}"),
            ExecuteError::Journal(error) => write!(f, "the journal cannot be written: {error}"),
        }
    }
}

impl std::error::Error for ExecuteError {}

impl From<Error> for ExecuteError {
    fn from(error: Error) -> ExecuteError {
        ExecuteError::Database(error)
    }
}

impl From<JournalError> for ExecuteError {
    fn from(error: JournalError) -> ExecuteError {
        ExecuteError::Journal(error)
    }
}

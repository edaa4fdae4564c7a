//! One change to one row of one node, with the row that must be there for it to be made.

use crate::row::{Key, Row};
use crate::table::Table;
use std::sync::Arc;

/// Puts or deletes one row on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The table.
    pub table: Arc<Table>,
    /// The row's key.
    pub key: Key,
    /// What must be there, byte for byte; `None`: nothing.
    pub expected: Option<Row>,
    /// What will be there; `None`: nothing.
    pub wanted: Option<Row>,
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mending {
    /// The row is as wanted.
    Mended,
    /// The row was not as expected any more, or was written meanwhile; nothing was changed.
    Moved,
    /// The server would not have it (a unique key of another row, a trigger, a right); nothing was changed.
    Refused(String),
    /// It was called off before it was made; nothing was changed.
    CalledOff,
}

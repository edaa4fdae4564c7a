//! Errors as MySQL's clients know them: a code, an SQLSTATE and a message.

use std::fmt;

/// What a client gets instead of OK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// MySQL's error number, such as 1062.
    pub code: u16,
    /// Five characters, such as `23000`.
    pub state: &'static str,
    /// One sentence, in MySQL's words where MySQL has words for it.
    pub message: String,
}

impl SqlError {
    /// An error with this number, state and message.
    pub fn new(code: u16, state: &'static str, message: impl Into<String>) -> SqlError {
        SqlError { code, state, message: message.into() }
    }

    /// Whether another try may not meet it: a lock wait, a deadlock, an interrupt, a full disk.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.code, 1021 | 1205 | 1213 | 1317)
    }

    /// 1317: KILL, or the end of the connection or of the node.
    #[must_use]
    pub fn interrupted() -> SqlError {
        SqlError::new(1317, "70100", "Query execution was interrupted")
    }

    /// 1064: the text is no statement that this node knows.
    pub fn syntax(message: impl Into<String>) -> SqlError {
        SqlError::new(1064, "42000", message)
    }

    /// 1235: MySQL has it, this node does not.
    pub fn unsupported(what: impl fmt::Display) -> SqlError {
        SqlError::new(1235, "42000", format!("This version of evensum's node doesn't yet support '{what}'"))
    }

    /// 1105: something that should not happen, such as a damaged file.
    pub fn internal(message: impl fmt::Display) -> SqlError {
        SqlError::new(1105, "HY000", message.to_string())
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR {} ({}): {}", self.code, self.state, self.message)
    }
}

impl std::error::Error for SqlError {}

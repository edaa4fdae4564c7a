//! The user variables (`@x`) of one session.
//!
//! They live as long as the session, and their values are the client's own. Invariant: all of them together take no more than
//! [`MAX_BYTES`], and there are no more than [`MAX_COUNT`]; what would be beyond is refused and changes nothing.

use std::collections::HashMap;

use rusqlite::types::Value as Stored;

use crate::SqlError;
use crate::sql::types::Kind;

/// The most user variables of a session.
const MAX_COUNT: usize = 16_384;
/// What the user variables of a session may take together, names and values (bytes): as much as one packet by default.
const MAX_BYTES: usize = 64 << 20;
/// The longest name, in characters, as in MySQL.
const MAX_NAME: usize = 64;

/// Names and values.
#[derive(Debug, Default)]
pub struct UserVariables {
    all: HashMap<String, (Stored, Kind)>,
    bytes: usize,
}

impl UserVariables {
    /// A variable of this name, in small letters.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Stored, Kind)> {
        self.all.get(name)
    }

    /// Sets a variable. Error 3170 if that would be too much, and 3061 for a name that is too long.
    pub fn set(&mut self, name: &str, value: Stored, kind: Kind) -> Result<(), SqlError> {
        if name.chars().count() > MAX_NAME {
            return Err(SqlError::new(3061, "42000", format!("User variable name '{name}' is illegal")));
        }
        let name = name.to_lowercase();
        let before = self.all.get(&name).map(|(value, _)| bytes_of(&name, value));
        let bytes = self.bytes - before.unwrap_or(0) + bytes_of(&name, &value);
        if bytes > MAX_BYTES {
            return Err(beyond(MAX_BYTES, "bytes"));
        }
        if before.is_none() && self.all.len() >= MAX_COUNT {
            return Err(beyond(MAX_COUNT, "entries"));
        }
        self.all.insert(name, (value, kind));
        self.bytes = bytes;
        Ok(())
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = UserVariables::default();
    }
}

fn bytes_of(name: &str, value: &Stored) -> usize {
    let value = match value {
        Stored::Text(text) => text.len(),
        Stored::Blob(bytes) => bytes.len(),
        Stored::Null | Stored::Integer(_) | Stored::Real(_) => 0,
    };
    name.len() + size_of::<(String, Stored, Kind)>() + value
}

fn beyond(limit: usize, unit: &str) -> SqlError {
    let message = format!("Memory capacity of {limit} {unit} for 'user variables' exceeded.");
    SqlError::new(3170, "HY000", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Stored {
        Stored::Text("x".repeat(bytes))
    }

    #[test]
    fn what_is_too_much_is_refused_and_changes_nothing() {
        let mut users = UserVariables::default();
        users.set("a", text(MAX_BYTES / 2), Kind::TEXT).unwrap();
        let error = users.set("b", text(MAX_BYTES / 2), Kind::TEXT).unwrap_err();
        assert_eq!(error.code, 3170);
        assert_eq!(error.message, "Memory capacity of 67108864 bytes for 'user variables' exceeded.");
        assert!(users.get("b").is_none());
        users.set("A", text(1), Kind::TEXT).unwrap();
        users.set("b", text(MAX_BYTES / 2), Kind::TEXT).unwrap();
        assert_eq!(users.set("a", text(MAX_BYTES / 2), Kind::TEXT).unwrap_err().code, 3170);
        assert_eq!(users.get("a").unwrap().0, text(1));
        users.clear();
        users.set("a", text(MAX_BYTES - 1000), Kind::TEXT).unwrap();
    }

    #[test]
    fn there_are_not_too_many_and_none_has_too_long_a_name() {
        let mut users = UserVariables::default();
        for n in 0..MAX_COUNT {
            users.set(&format!("v{n}"), Stored::Null, Kind::TEXT).unwrap();
        }
        users.set("v7", Stored::Integer(7), Kind::TEXT).unwrap();
        assert_eq!(users.set("more", Stored::Null, Kind::TEXT).unwrap_err().code, 3170);
        assert_eq!(users.set(&"\u{e4}".repeat(65), Stored::Null, Kind::TEXT).unwrap_err().code, 3061);
        users.clear();
        users.set(&"\u{e4}".repeat(64), Stored::Null, Kind::TEXT).unwrap();
    }
}

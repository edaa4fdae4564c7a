//! Accounts of the page and the API, their sessions and tokens.
//!
//! Passwords are kept as argon2id says, tokens and sessions as hashes: who reads the file cannot log in with what stands there.
//! There is no account until somebody with the token of the first start makes one; the token is of use once.
//!
//! Bounds: [`SESSIONS_MAX`] sessions and tokens of an account, the oldest go first. Not here: what a role may do (`crate::serve::access`).

use super::history::{signed, unsigned};
use super::{State, seconds};
use crate::error::Failure;
use database::Secret;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most sessions and tokens of an account.
const SESSIONS_MAX: u32 = 20;

/// The tables of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS accounts(
        name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sessions(
        hash TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, kind TEXT NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS first_token(hash TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;";

/// What somebody may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Begin and stop runs, repair, acknowledge and mute.
    Operator,
    /// Make and remove accounts, and read the audit log.
    Admin,
}

impl Role {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    fn parse(word: &str) -> Role {
        match word {
            "admin" => Role::Admin,
            "operator" => Role::Operator,
            _ => Role::Viewer,
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
}

/// How long something that opens the door does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// A browser's cookie.
    Session,
    /// A script's token.
    Token,
}

impl Pass {
    fn word(self) -> &'static str {
        match self {
            Pass::Session => "session",
            Pass::Token => "token",
        }
    }
}

/// Hashes what is random enough to need no salt.
fn hash(text: &str) -> String {
    blake3::derive_key("evensum 2026 session v1", text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl State {
    /// All accounts, by name.
    pub fn accounts(&self) -> Result<Vec<Account>, Failure> {
        let list = || {
            let mut statement =
                self.runs.prepare("SELECT name, role, created_at FROM accounts ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                let role = Role::parse(&row.get::<_, String>(1)?);
                Ok(Account { name: row.get(0)?, role, created_at: unsigned(row.get(2)?) })
            })?;
            rows.collect::<rusqlite::Result<Vec<Account>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// What is kept of an account's password.
    pub fn password(&self, name: &str) -> Result<Option<String>, Failure> {
        let row =
            self.runs.query_row("SELECT password FROM accounts WHERE name = ?1", [name], |row| row.get(0));
        row.optional().map_err(|error| self.broken(&error))
    }

    /// Makes an account; refused if there is one of this name.
    pub fn add_account(&self, name: &str, role: Role, password_hash: &str) -> Result<(), Failure> {
        let added = self.runs.execute(
            "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![name, role.word(), password_hash, seconds()],
        );
        match added.map_err(|error| self.broken(&error))? {
            0 => Err(Failure::usage(format!("there is already an account '{name}'"), "choose another name")),
            _ => self.change("DELETE FROM first_token", &[]),
        }
    }

    /// Makes the first account, an admin, for who has the token of the first start; whether it was made. One statement decides, so
    /// that of two who come at once only one gets in.
    pub fn add_first_account(&self, token: &str, name: &str, password_hash: &str) -> Result<bool, Failure> {
        let added = self.runs.execute(
            "INSERT INTO accounts SELECT ?1, ?2, ?3, ?4 FROM first_token
             WHERE hash = ?5 AND NOT EXISTS (SELECT 1 FROM accounts)",
            params![name, Role::Admin.word(), password_hash, seconds(), hash(token)],
        );
        let added = added.map_err(|error| self.broken(&error))? > 0;
        if added {
            self.change("DELETE FROM first_token", &[])?;
        }
        Ok(added)
    }

    /// Removes an account with its sessions; whether it was removed. The last admin stays, also if two remove each other at once.
    pub fn remove_account(&self, name: &str) -> Result<bool, Failure> {
        let removed = self.runs.execute(
            "DELETE FROM accounts WHERE name = ?1 AND (role <> ?2
             OR EXISTS (SELECT 1 FROM accounts AS other WHERE other.role = ?2 AND other.name <> ?1))",
            params![name, Role::Admin.word()],
        );
        let removed = removed.map_err(|error| self.broken(&error))? > 0;
        if removed {
            self.change("DELETE FROM sessions WHERE account = ?1", &[&name])?;
        }
        Ok(removed)
    }

    /// Gives an account another password; what opened the door until now does so no longer.
    pub fn set_password(&self, name: &str, password_hash: &str) -> Result<(), Failure> {
        self.change("UPDATE accounts SET password = ?2 WHERE name = ?1", &[&name, &password_hash])?;
        self.change("DELETE FROM sessions WHERE account = ?1", &[&name])
    }

    /// Lets `secret` open the door for an account.
    pub fn admit(&self, secret: &Secret, account: &str, pass: Pass, lasts: Duration) -> Result<(), Failure> {
        let now = seconds();
        self.change("DELETE FROM sessions WHERE expires_at <= ?1", &[&now])?;
        self.change(
            "DELETE FROM sessions WHERE account = ?1 AND kind = ?2 AND hash NOT IN
             (SELECT hash FROM sessions WHERE account = ?1 AND kind = ?2 ORDER BY created_at DESC LIMIT ?3)",
            &[&account, &pass.word(), &(SESSIONS_MAX - 1)],
        )?;
        self.change(
            "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5)",
            &[&hash(secret.reveal()), &account, &pass.word(), &now, &(now + signed(lasts.as_secs()))],
        )
    }

    /// Whose door `secret` opens now.
    pub fn admitted(&self, secret: &str, pass: Pass) -> Result<Option<Account>, Failure> {
        let sql = "SELECT name, role, accounts.created_at FROM sessions JOIN accounts ON name = account
                   WHERE hash = ?1 AND kind = ?2 AND expires_at > ?3";
        let row = self.runs.query_row(sql, params![hash(secret), pass.word(), seconds()], |row| {
            let role = Role::parse(&row.get::<_, String>(1)?);
            Ok(Account { name: row.get(0)?, role, created_at: unsigned(row.get(2)?) })
        });
        row.optional().map_err(|error| self.broken(&error))
    }

    /// Closes the door to `secret`.
    pub fn dismiss(&self, secret: &str) -> Result<(), Failure> {
        self.change("DELETE FROM sessions WHERE hash = ?1", &[&hash(secret)])
    }

    /// From now on only this token makes the first account.
    pub fn set_first_token(&self, token: &Secret) -> Result<(), Failure> {
        self.change("DELETE FROM first_token", &[])?;
        self.change("INSERT INTO first_token VALUES (?1)", &[&hash(token.reveal())])
    }

    /// Whether this is the token that makes the first account.
    pub fn is_first_token(&self, token: &str) -> Result<bool, Failure> {
        let sql = "SELECT COUNT(*) FROM first_token WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM accounts)";
        let count = self.runs.query_row(sql, [hash(token)], |row| row.get::<_, i64>(0));
        Ok(count.map_err(|error| self.broken(&error))? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_first_token_is_of_use_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert!(!state.is_first_token("").unwrap());
        state.set_first_token(&Secret::new("one")).unwrap();
        state.set_first_token(&Secret::new("two")).unwrap();
        assert!(!state.is_first_token("one").unwrap() && state.is_first_token("two").unwrap());
        assert!(!state.add_first_account("one", "eve", "hash").unwrap());
        assert!(state.add_first_account("two", "ann", "hash").unwrap());
        assert!(!state.is_first_token("two").unwrap());
        assert!(
            !state.add_first_account("two", "eve", "hash").unwrap(),
            "who comes at the same time is too late"
        );
        assert!(state.add_account("ann", Role::Viewer, "hash").is_err());
        assert!(!state.remove_account("ann").unwrap(), "the last admin stays");
        state.add_account("bob", Role::Admin, "hash").unwrap();
        assert!(state.remove_account("ann").unwrap() && !state.remove_account("bob").unwrap());
    }

    #[test]
    fn a_session_opens_one_door_until_it_ends_or_its_account_goes() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for (name, role) in [("ann", Role::Admin), ("bob", Role::Viewer)] {
            state.add_account(name, role, "hash").unwrap();
            state.admit(&Secret::new(name), name, Pass::Session, HOUR).unwrap();
        }
        assert_eq!(state.admitted("ann", Pass::Session).unwrap().unwrap().role, Role::Admin);
        assert_eq!(state.admitted("ann", Pass::Token).unwrap(), None, "a cookie is no token");
        state.dismiss("ann").unwrap();
        assert_eq!(state.admitted("ann", Pass::Session).unwrap(), None);
        state.admit(&Secret::new("short"), "bob", Pass::Token, Duration::ZERO).unwrap();
        assert_eq!(state.admitted("short", Pass::Token).unwrap(), None);
        assert!(state.remove_account("bob").unwrap() && !state.remove_account("bob").unwrap());
        assert_eq!(state.admitted("bob", Pass::Session).unwrap(), None);
    }

    #[test]
    fn sessions_of_an_account_have_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        state.add_account("ann", Role::Admin, "hash").unwrap();
        for n in 0..SESSIONS_MAX + 5 {
            state.admit(&Secret::new(n.to_string()), "ann", Pass::Session, HOUR).unwrap();
        }
        let count: u32 = state.runs.query_row("SELECT COUNT(*) FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!(count, SESSIONS_MAX);
    }
}

//! Accounts: who may connect, from where, with which proof, and what they may do.
//!
//! An account is a name and a host. It is kept in the node's file, written in the same transaction as everything
//! else, and logged as the statement that made it, with the password already hashed, so that replicas have it too.
//! `host` finds the account of a client, `password` checks the proof, `statements` reads and `changes` carries out
//! CREATE USER and its kin, `rights` says what a session may do, `gate` asks it before a statement begins. `secrets` keeps
//! passwords out of what is shown.
//!
//! The accounts of the configuration (`[[users]]`) are there from the start, let in from every host that the node listens
//! to (without a password from this machine only), and have every privilege. ALTER USER changes how they log in, and what it says counts from then on in place
//! of the configuration; they cannot be dropped or lose a privilege, so that nobody shuts himself out.
//!
//! Invariant: what [`Accounts`] holds is what the file says, from before the statement that changed it is answered.
//! Not here: roles, privileges of columns, proxies, expiring passwords.

pub mod changes;
pub mod gate;
pub mod host;
pub mod password;
pub mod privileges;
pub mod rights;
pub mod secrets;
pub mod statements;
pub mod store;
pub mod views;

#[cfg(test)]
mod tests;

use self::password::{Plugin, Remembered};
use self::privileges::Privileges;
use crate::SqlError;
use crate::config::User;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// The host of an account that does not name one.
pub const ANY_HOST: &str = "%";
/// The longest name of a user, in characters.
pub const USER_CHARACTERS: usize = 32;

/// Which account: a name and the host that it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// The user's name; compared with case.
    pub user: String,
    /// The host, in small letters.
    pub host: String,
}

impl Name {
    /// The account of that user and host.
    #[must_use]
    pub fn new(user: &str, host: &str) -> Name {
        Name { user: user.to_owned(), host: host.to_lowercase() }
    }

    /// As SHOW GRANTS writes it: in backticks.
    #[must_use]
    pub fn ticked(&self) -> String {
        let quote = crate::storage::definition::backtick;
        format!("{}@{}", quote(&self.user), quote(&self.host))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", literal(&self.user), literal(&self.host))
    }
}

/// A text as a literal of SQL.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// What a client's connection has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requirement {
    /// Anything.
    #[default]
    None,
    /// Encrypted.
    Ssl,
    /// Encrypted, with a certificate of the client that the node's `ssl_ca` has signed.
    X509,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which.
    pub name: Name,
    /// How the password is proved.
    pub plugin: Plugin,
    /// The kept form of the password; empty if there is none.
    pub kept: String,
    /// What the connection has to be.
    pub requires: Requirement,
    /// Whether nobody may log in.
    pub locked: bool,
    /// Privileges on everything.
    pub global: Privileges,
    /// Privileges on databases, whose names are patterns.
    pub databases: BTreeMap<String, Privileges>,
    /// Privileges on tables, by database and table.
    pub tables: BTreeMap<String, BTreeMap<String, Privileges>>,
    /// Whether the configuration names it.
    #[serde(skip)]
    pub configured: bool,
}

/// All accounts at one moment.
pub type Roster = BTreeMap<Name, Arc<Account>>;

/// The accounts of a node.
pub struct Accounts {
    configured: Vec<Account>,
    current: RwLock<Arc<Roster>>,
    /// Which short proofs can be checked.
    pub remembered: Remembered,
}

impl Accounts {
    /// The accounts of the configuration; [`Accounts::reload`] adds those of the file.
    #[must_use]
    pub fn new(users: &[User]) -> Accounts {
        let configured = users.iter().map(|user| Account {
            name: Name::new(&user.name, ANY_HOST),
            kept: match user.password.is_empty() {
                true => String::new(),
                false => password::native(&user.password),
            },
            global: Privileges::everything(),
            configured: true,
            ..Account::default()
        });
        let configured: Vec<Account> = configured.collect();
        let roster = with_configured(&configured, Roster::new());
        Accounts { configured, current: RwLock::new(Arc::new(roster)), remembered: Remembered::default() }
    }

    /// The accounts now.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The accounts as this connection's transaction sees them.
    pub fn read(&self, conn: &Connection) -> Result<Roster, SqlError> {
        Ok(with_configured(&self.configured, store::read(conn)?))
    }

    /// Takes what is committed in the file as what counts.
    pub fn reload(&self, conn: &Connection) -> Result<(), SqlError> {
        // Read under the guard: of two that reload, the later one has read the later state.
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(self.read(conn)?);
        Ok(())
    }

    /// The account that a client of this name and place is: the configuration's of that name, or of those that let it in
    /// the closest one. An account without a name is everybody's.
    #[must_use]
    pub fn of_client(&self, user: &str, peer: IpAddr) -> Option<Arc<Account>> {
        let roster = self.roster();
        let fits = |account: &&Arc<Account>| {
            let name = &account.name;
            // Everybody knows the empty password, so it is good on this machine only.
            let at_home = peer.is_loopback() || !account.configured || !account.kept.is_empty();
            at_home && (name.user == user || name.user.is_empty()) && host::lets_in(&name.host, peer)
        };
        let closest = |account: &&Arc<Account>| {
            let name = &account.name;
            // Nothing that is added to the file shuts out whom the configuration names.
            let ours = account.configured && name.user == user;
            (!ours, host::rank(&name.host), name.user.is_empty())
        };
        roster.values().filter(fits).min_by_key(closest).cloned()
    }
}

/// Puts the configuration's accounts beside those of the file. One that the file has too keeps the file's way to log in.
fn with_configured(configured: &[Account], mut roster: Roster) -> Roster {
    for account in configured {
        let kept = roster.get(&account.name).map(|kept| Account {
            plugin: kept.plugin,
            kept: kept.kept.clone(),
            requires: kept.requires,
            locked: kept.locked,
            ..account.clone()
        });
        roster.insert(account.name.clone(), Arc::new(kept.unwrap_or_else(|| account.clone())));
    }
    roster
}

/// The account that a statement names. An account of the configuration answers to every name of this machine too.
#[must_use]
pub fn named<'r>(roster: &'r Roster, name: &Name) -> Option<&'r Arc<Account>> {
    roster.get(name).or_else(|| {
        let here = matches!(name.host.as_str(), host::LOCALHOST | "127.0.0.1" | "::1");
        let configured = Name::new(&name.user, ANY_HOST);
        roster.get(&configured).filter(|account| here && account.configured)
    })
}

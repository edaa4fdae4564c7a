//! What a session may do, as the accounts say at this moment.
//!
//! [`Rights`] are looked up anew for each statement, so a GRANT or REVOKE counts from the next statement on, also for
//! who is connected already; whose account is dropped has no right any more. The errors are MySQL's. The node's own
//! sessions (appliers) may do everything: what they carry out was allowed where it began.

use super::privileges::{Level, Privilege, Privileges};
use super::{Account, Name, host};
use crate::SqlError;
use crate::storage::catalog::Catalog;
use std::borrow::Cow;
use std::sync::Arc;

/// Who a session's client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The account that it logged in as.
    pub account: Name,
    /// The name that it gave.
    pub user: String,
    /// Where it comes from: `localhost` or an address.
    pub host: String,
}

#[derive(Clone, Debug)]
enum Holder {
    Node,
    Account(Arc<Account>),
    Nobody,
}

/// What a session may do.
#[derive(Clone, Debug)]
pub struct Rights {
    holder: Holder,
    client: Option<Arc<Client>>,
}

impl Rights {
    /// Those of the node itself.
    #[must_use]
    pub fn node() -> Rights {
        Rights { holder: Holder::Node, client: None }
    }

    /// Those of a client whose account is this one, or gone.
    #[must_use]
    pub fn of(client: Arc<Client>, account: Option<Arc<Account>>) -> Rights {
        let holder = account.map_or(Holder::Nobody, Holder::Account);
        Rights { holder, client: Some(client) }
    }

    /// The account, as `CURRENT_USER()` says it.
    #[must_use]
    pub fn current_user(&self) -> Name {
        self.client.as_ref().map_or_else(|| Name::new("system user", ""), |client| client.account.clone())
    }

    /// The account itself.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<Account>> {
        match &self.holder {
            Holder::Account(account) => Some(account),
            Holder::Node | Holder::Nobody => None,
        }
    }

    /// The name that the client gave.
    #[must_use]
    pub fn user(&self) -> &str {
        self.client.as_ref().map_or("system user", |client| client.user.as_str())
    }

    fn client_text(&self) -> String {
        let host = self.client.as_ref().map_or("", |client| client.host.as_str());
        format!("'{}'@'{host}'", self.user())
    }

    /// Privileges on everything.
    #[must_use]
    pub fn global(&self) -> Privileges {
        match &self.holder {
            Holder::Node => Privileges::everything(),
            Holder::Account(account) => account.global,
            Holder::Nobody => Privileges::NONE,
        }
    }

    /// Privileges on a database: those on everything, and its own. Of several patterns that it fits, the narrowest
    /// alone counts, as in MySQL.
    #[must_use]
    pub fn on_database(&self, database: &str) -> Privileges {
        let own = self.account().into_iter().flat_map(|account| &account.databases);
        let fitting = own.filter(|(pattern, _)| host::like(pattern, database, true));
        let narrowest = fitting.min_by_key(|(pattern, _)| host::rank(pattern));
        self.global().union(narrowest.map(|(_, set)| *set).unwrap_or_default())
    }

    /// Privileges on all databases of a pattern: those on everything, and those on this very pattern. One that it fits, or
    /// that fits it, says nothing: it may be narrower.
    #[must_use]
    pub fn on_pattern(&self, pattern: &str) -> Privileges {
        let own = self.account().and_then(|account| account.databases.get(pattern));
        self.global().union(own.copied().unwrap_or_default())
    }

    /// Privileges on a table: its own, those on its database and those on everything.
    #[must_use]
    pub fn on_table(&self, database: &str, table: &str) -> Privileges {
        let own = self.account().and_then(|account| account.tables.get(database)?.get(table));
        self.on_database(database).union(own.copied().unwrap_or_default())
    }

    /// Whether SHOW DATABASES lists it.
    #[must_use]
    pub fn sees_database(&self, database: &str) -> bool {
        let of_tables = |account: &Arc<Account>| account.tables.contains_key(database);
        self.global().has(Privilege::ShowDatabases)
            || self.may_use(database)
            || self.account().is_some_and(of_tables)
    }

    /// Whether there is any privilege on the database or in it.
    fn may_use(&self, database: &str) -> bool {
        self.on_database(database).has_any(Privileges::all(Level::Database))
            || self.account().is_some_and(|account| account.tables.contains_key(database))
    }

    /// Whether SHOW TABLES lists it.
    #[must_use]
    pub fn sees_table(&self, database: &str, table: &str) -> bool {
        self.on_table(database, table).has_any(Privileges::all(Level::Table))
    }

    /// The definitions that the session may know of.
    #[must_use]
    pub fn visible<'c>(&self, catalog: &'c Catalog) -> Cow<'c, Catalog> {
        if self.global().has_any(Privileges::all(Level::Table)) {
            return Cow::Borrowed(catalog);
        }
        Cow::Owned(catalog.filtered(&|database| self.sees_database(database), &|database, table| {
            self.sees_table(database, table)
        }))
    }

    /// Error 1142 unless the session may read the table.
    pub fn read(&self, database: &str, table: &str) -> Result<(), SqlError> {
        if database.eq_ignore_ascii_case("information_schema") {
            return Ok(());
        }
        self.table(Privilege::Select, database, table)
    }

    /// Error 1044 unless the session has any right in the database.
    pub fn use_database(&self, database: &str) -> Result<(), SqlError> {
        let open = database.eq_ignore_ascii_case("information_schema") || self.may_use(database);
        if open { Ok(()) } else { Err(self.no_database(database)) }
    }

    /// Error 1044 unless the session has this privilege on the database.
    pub fn database(&self, privilege: Privilege, database: &str) -> Result<(), SqlError> {
        if self.on_database(database).has(privilege) { Ok(()) } else { Err(self.no_database(database)) }
    }

    /// Error 1044.
    #[must_use]
    pub fn no_database(&self, database: &str) -> SqlError {
        let account = self.current_user();
        SqlError::new(1044, "42000", format!("Access denied for user {account} to database '{database}'"))
    }

    /// Error 1142 unless the session has this privilege on the table.
    pub fn table(&self, privilege: Privilege, database: &str, table: &str) -> Result<(), SqlError> {
        if self.on_table(database, table).has(privilege) {
            return Ok(());
        }
        Err(self.no_table(privilege.name(), table))
    }

    /// Error 1142 for this command.
    #[must_use]
    pub fn no_table(&self, command: &str, table: &str) -> SqlError {
        let message = format!("{command} command denied to user {} for table '{table}'", self.client_text());
        SqlError::new(1142, "42000", message)
    }

    /// Error 1227 unless the session has one of these privileges on everything.
    pub fn any(&self, privileges: &[Privilege]) -> Result<(), SqlError> {
        if privileges.iter().any(|&privilege| self.global().has(privilege)) {
            return Ok(());
        }
        let names: Vec<&str> = privileges.iter().map(|privilege| privilege.name()).collect();
        let message = format!(
            "Access denied; you need (at least one of) the {} privilege(s) for this operation",
            names.join(" or ")
        );
        Err(SqlError::new(1227, "42000", message))
    }

    /// Error 1045, as who may not pass on a privilege gets it.
    #[must_use]
    pub fn denied(&self) -> SqlError {
        SqlError::new(
            1045,
            "28000",
            format!("Access denied for user {} (using password: YES)", self.client_text()),
        )
    }
}

//! Carries the statements about accounts out, inside an open write transaction.
//!
//! The accounts are read from the file, changed, and written back, all under the writer's lock. A statement about
//! several accounts happens for all or for none, as in MySQL 8, and its error names those at which it failed.

use super::privileges::{Privilege, Privileges};
use super::rights::Rights;
use super::statements::{Credential, Given, Object, Options, Statement, Subject};
use super::{Account, Name, Roster, named, store};
use crate::SqlError;
use rusqlite::Connection;
use std::sync::Arc;

/// Whether the session may give this statement.
pub fn check(statement: &Statement, rights: &Rights) -> Result<(), SqlError> {
    let own = |name: &Name| *name == rights.current_user();
    match statement {
        Statement::SetPassword(subject) if own(&subject.name) => Ok(()),
        Statement::Alter { subjects, options, .. }
            if *options == Options::default() && subjects.iter().all(|subject| own(&subject.name)) =>
        {
            Ok(())
        }
        Statement::Create { .. }
        | Statement::Alter { .. }
        | Statement::Drop { .. }
        | Statement::Rename(_)
        | Statement::SetPassword(_)
        | Statement::RevokeAll(_) => rights.any(&[Privilege::CreateUser]),
        Statement::Grant { privileges, on, subjects, options } => {
            may_pass_on(*privileges, on, rights)?;
            let more =
                *options != Options::default() || subjects.iter().any(|subject| subject.credential.is_some());
            if more { rights.any(&[Privilege::CreateUser]) } else { Ok(()) }
        }
        Statement::Revoke { privileges, on, .. } => may_pass_on(*privileges, on, rights),
        Statement::FlushPrivileges => rights.any(&[Privilege::Reload]),
        Statement::ShowGrants(name) | Statement::ShowCreate(name) if own(name) => Ok(()),
        Statement::ShowGrants(_) | Statement::ShowCreate(_) => rights.database(Privilege::Select, "mysql"),
    }
}

/// Refuses an account that has the name of one of the configuration's and comes from elsewhere: the two would be taken for
/// each other. Asked of clients alone; what another node has done is done.
pub fn leave_configured(statement: &Statement, roster: &Roster) -> Result<(), SqlError> {
    let made: Vec<&Name> = match statement {
        Statement::Create { subjects, .. } | Statement::Grant { subjects, .. } => {
            subjects.iter().map(|subject| &subject.name).collect()
        }
        Statement::Rename(pairs) => pairs.iter().map(|(_, to)| to).collect(),
        _ => Vec::new(),
    };
    for name in made.into_iter().filter(|name| named(roster, name).is_none()) {
        let same = |account: &&Arc<Account>| account.configured && account.name.user == name.user;
        if let Some(account) = roster.values().find(same) {
            not_configured(account)?;
        }
    }
    Ok(())
}

/// Who passes a privilege on has to have it, and the GRANT OPTION with it.
fn may_pass_on(privileges: Privileges, on: &Object, rights: &Rights) -> Result<(), SqlError> {
    let needed = privileges.with(Privilege::GrantOption);
    match on {
        Object::Everything if rights.global().has_all(needed) => Ok(()),
        Object::Everything => Err(rights.denied()),
        Object::Database(pattern) if rights.on_pattern(pattern).has_all(needed) => Ok(()),
        Object::Database(database) => Err(rights.no_database(database)),
        Object::Table(database, table) if rights.on_table(database, table).has_all(needed) => Ok(()),
        Object::Table(_, table) => Err(rights.no_table("GRANT", table)),
    }
}

/// Carries a settled statement out. Gives the warnings of IF EXISTS and IF NOT EXISTS.
pub fn run(conn: &Connection, roster: Roster, statement: &Statement) -> Result<Vec<SqlError>, SqlError> {
    let mut work = Work { conn, roster, failed: Vec::new(), warnings: Vec::new() };
    let operation = match statement {
        Statement::Create { if_not_exists, subjects, options } => {
            for subject in subjects {
                work.create(subject, *options, *if_not_exists)?;
            }
            "CREATE USER"
        }
        Statement::Alter { if_exists, subjects, options } => {
            for subject in subjects {
                work.alter(subject, *options, *if_exists)?;
            }
            "ALTER USER"
        }
        Statement::SetPassword(subject) => {
            if named(&work.roster, &subject.name).is_none() {
                return Err(SqlError::new(1133, "42000", "Can't find any matching row in the user table"));
            }
            work.alter(subject, Options::default(), false)?;
            "SET PASSWORD"
        }
        Statement::Drop { if_exists, names } => {
            for name in names {
                work.drop(name, *if_exists)?;
            }
            "DROP USER"
        }
        Statement::Rename(pairs) => {
            for (from, to) in pairs {
                work.rename(from, to)?;
            }
            "RENAME USER"
        }
        Statement::Grant { privileges, on, subjects, options } => {
            for subject in subjects {
                work.grant(*privileges, on, subject, *options)?;
            }
            "GRANT"
        }
        Statement::Revoke { privileges, on, names } => {
            for name in names {
                work.revoke(*privileges, on, name)?;
            }
            "REVOKE"
        }
        Statement::RevokeAll(names) => {
            for name in names {
                work.revoke_all(name)?;
            }
            "REVOKE"
        }
        Statement::FlushPrivileges | Statement::ShowGrants(_) | Statement::ShowCreate(_) => {
            return Ok(Vec::new());
        }
    };
    if work.failed.is_empty() {
        return Ok(work.warnings);
    }
    let message = format!("Operation {operation} failed for {}", work.failed.join(","));
    Err(SqlError::new(1396, "HY000", message))
}

struct Work<'c> {
    conn: &'c Connection,
    roster: Roster,
    failed: Vec<String>,
    warnings: Vec<SqlError>,
}

impl Work<'_> {
    fn fail(&mut self, name: &Name, code: u16, warning: Option<&str>) {
        match warning {
            Some(words) => {
                let message = format!("Authorization ID {name} {words}.");
                self.warnings.push(SqlError::new(code, "HY000", message));
            }
            None => self.failed.push(name.to_string()),
        }
    }

    fn put(&mut self, account: Account) -> Result<(), SqlError> {
        store::put(self.conn, &account)?;
        self.roster.insert(account.name.clone(), Arc::new(account));
        Ok(())
    }

    fn create(&mut self, subject: &Subject, options: Options, if_not_exists: bool) -> Result<(), SqlError> {
        if named(&self.roster, &subject.name).is_some() {
            self.fail(&subject.name, 3163, if_not_exists.then_some("already exists"));
            return Ok(());
        }
        let account = Account { name: subject.name.clone(), ..Account::default() };
        self.put(changed(account, subject.credential.as_ref(), options))
    }

    fn alter(&mut self, subject: &Subject, options: Options, if_exists: bool) -> Result<(), SqlError> {
        match named(&self.roster, &subject.name) {
            Some(account) => self.put(changed(Account::clone(account), subject.credential.as_ref(), options)),
            None => {
                self.fail(&subject.name, 3162, if_exists.then_some("does not exist"));
                Ok(())
            }
        }
    }

    fn drop(&mut self, name: &Name, if_exists: bool) -> Result<(), SqlError> {
        match named(&self.roster, name) {
            Some(account) => {
                not_configured(account)?;
                store::remove(self.conn, name)?;
                self.roster.remove(name);
            }
            None => self.fail(name, 3162, if_exists.then_some("does not exist")),
        }
        Ok(())
    }

    fn rename(&mut self, from: &Name, to: &Name) -> Result<(), SqlError> {
        let Some(account) = named(&self.roster, from).filter(|_| named(&self.roster, to).is_none()).cloned()
        else {
            self.failed.push(from.to_string());
            return Ok(());
        };
        not_configured(&account)?;
        store::remove(self.conn, from)?;
        self.roster.remove(from);
        self.put(Account { name: to.clone(), ..Account::clone(&account) })
    }

    /// GRANT. With a password it makes an account that is not there, as before MySQL 8.
    fn grant(
        &mut self,
        privileges: Privileges,
        on: &Object,
        subject: &Subject,
        options: Options,
    ) -> Result<(), SqlError> {
        let account = named(&self.roster, &subject.name).map(|account| Account::clone(account));
        let mut account = match account {
            Some(account) => account,
            None if subject.credential.is_some() => {
                Account { name: subject.name.clone(), ..Account::default() }
            }
            None => {
                let message = "You are not allowed to create a user with GRANT";
                return Err(SqlError::new(1410, "42000", message));
            }
        };
        account = changed(account, subject.credential.as_ref(), options);
        match on {
            Object::Everything => account.global = account.global.union(privileges),
            Object::Database(database) => {
                let set = account.databases.entry(database.clone()).or_default();
                *set = set.union(privileges);
            }
            Object::Table(database, table) => {
                let tables = account.tables.entry(database.clone()).or_default();
                let set = tables.entry(table.clone()).or_default();
                *set = set.union(privileges);
            }
        }
        account.databases.retain(|_, set| !set.is_empty());
        tidy_tables(&mut account);
        self.put(account)
    }

    fn revoke(&mut self, privileges: Privileges, on: &Object, name: &Name) -> Result<(), SqlError> {
        let no_grant = |what: String| {
            let message = format!(
                "There is no such grant defined for user '{}' on host '{}'{what}",
                name.user, name.host
            );
            let code = if what.is_empty() { 1141 } else { 1147 };
            SqlError::new(code, "42000", message)
        };
        let account = named(&self.roster, name).ok_or_else(|| no_grant(String::new()))?;
        not_configured(account)?;
        let mut account = Account::clone(account);
        match on {
            Object::Everything => account.global = account.global.without(privileges),
            Object::Database(database) => {
                let set = account.databases.get_mut(database).ok_or_else(|| no_grant(String::new()))?;
                *set = set.without(privileges);
            }
            Object::Table(database, table) => {
                let set = account.tables.get_mut(database).and_then(|tables| tables.get_mut(table));
                let set = set.ok_or_else(|| no_grant(format!(" on table '{table}'")))?;
                *set = set.without(privileges);
            }
        }
        account.databases.retain(|_, set| !set.is_empty());
        tidy_tables(&mut account);
        self.put(account)
    }

    fn revoke_all(&mut self, name: &Name) -> Result<(), SqlError> {
        let Some(account) = named(&self.roster, name) else {
            let message = "Can't revoke all privileges for one or more of the requested users";
            return Err(SqlError::new(1269, "HY000", message));
        };
        not_configured(account)?;
        let account = Account::clone(account);
        self.put(Account {
            global: Privileges::NONE,
            databases: Default::default(),
            tables: Default::default(),
            ..account
        })
    }
}

fn tidy_tables(account: &mut Account) {
    for tables in account.tables.values_mut() {
        tables.retain(|_, set| !set.is_empty());
    }
    account.tables.retain(|_, tables| !tables.is_empty());
}

/// The account with what a statement says of it.
fn changed(mut account: Account, credential: Option<&Credential>, options: Options) -> Account {
    if let Some(Credential { plugin, given: Given::Kept(kept) }) = credential {
        account.plugin = plugin.unwrap_or(account.plugin);
        account.kept.clone_from(kept);
    }
    account.requires = options.requires.unwrap_or(account.requires);
    account.locked = options.locked.unwrap_or(account.locked);
    account
}

/// Refuses to take away what the configuration gives.
fn not_configured(account: &Account) -> Result<(), SqlError> {
    if !account.configured {
        return Ok(());
    }
    let message = format!(
        "{} is an account of the node's configuration, which keeps its name and its privileges: take it out of [[users]] first",
        account.name
    );
    Err(SqlError::new(1290, "HY000", message))
}

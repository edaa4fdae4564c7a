//! The statements about accounts: read into values, and written back for the log.
//!
//! A password in clear lives in the value as a [`Secret`] until [`Statement::settle`] puts its kept form in its place;
//! only then is the statement written to the log, and what is written is read again to the same value. Not here: what
//! the statements do (`changes`).

use super::password::{Plugin, SALT_BYTES};
use super::privileges::{Level, Privileges};
use super::{ANY_HOST, Name, Requirement, Roster, USER_CHARACTERS, literal, named};
use crate::SqlError;
use crate::storage::definition::backtick;
use database::Secret;
use std::fmt::{self, Write as _};

mod reading;

pub use self::reading::{Place, is_about_accounts, read};

/// A password as a statement gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// In clear.
    Clear(Secret),
    /// In its kept form.
    Kept(String),
    /// Not at all: only the plugin is named.
    Nothing,
}

/// How an account logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The plugin; none for the account's own, or the usual one.
    pub plugin: Option<Plugin>,
    /// The password.
    pub given: Given,
}

/// An account in a statement, and how it is to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub name: Name,
    /// How it logs in; none for as before.
    pub credential: Option<Credential>,
}

/// What else a statement says of its accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// REQUIRE.
    pub requires: Option<Requirement>,
    /// ACCOUNT LOCK or UNLOCK.
    pub locked: Option<bool>,
}

/// What privileges are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// `*.*`
    Everything,
    /// `database.*`; the name is a pattern.
    Database(String),
    /// `database.table`
    Table(String, String),
}

impl Object {
    /// Which privileges can be on it.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Object::Everything => Level::Global,
            Object::Database(_) => Level::Database,
            Object::Table(..) => Level::Table,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Everything => f.write_str("*.*"),
            Object::Database(database) => write!(f, "{}.*", backtick(database)),
            Object::Table(database, table) => write!(f, "{}.{}", backtick(database), backtick(table)),
        }
    }
}

/// A statement about accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the statements
pub enum Statement {
    Create { if_not_exists: bool, subjects: Vec<Subject>, options: Options },
    Alter { if_exists: bool, subjects: Vec<Subject>, options: Options },
    Drop { if_exists: bool, names: Vec<Name> },
    Rename(Vec<(Name, Name)>),
    SetPassword(Subject),
    Grant { privileges: Privileges, on: Object, subjects: Vec<Subject>, options: Options },
    Revoke { privileges: Privileges, on: Object, names: Vec<Name> },
    RevokeAll(Vec<Name>),
    FlushPrivileges,
    ShowGrants(Name),
    ShowCreate(Name),
}

impl Statement {
    /// Whether it changes accounts, and so belongs into the log.
    #[must_use]
    pub const fn changes(&self) -> bool {
        !matches!(self, Statement::FlushPrivileges | Statement::ShowGrants(_) | Statement::ShowCreate(_))
    }

    fn subjects_mut(&mut self) -> &mut [Subject] {
        match self {
            Statement::Create { subjects, .. }
            | Statement::Alter { subjects, .. }
            | Statement::Grant { subjects, .. } => subjects,
            Statement::SetPassword(subject) => std::slice::from_mut(subject),
            _ => &mut [],
        }
    }

    /// Puts the kept forms of passwords in the place of the passwords.
    pub fn settle(
        &mut self,
        roster: &Roster,
        random: &mut dyn FnMut() -> Result<[u8; SALT_BYTES], SqlError>,
    ) -> Result<(), SqlError> {
        let creates = matches!(self, Statement::Create { .. });
        for subject in self.subjects_mut() {
            let Some(credential) = &mut subject.credential else { continue };
            let own = named(roster, &subject.name);
            let plugin = credential.plugin.or(own.map(|account| account.plugin)).unwrap_or_default();
            match &credential.given {
                Given::Clear(password) => credential.given = Given::Kept(plugin.keep(password, &random()?)?),
                // MySQL leaves such an account without a password until its owner sets one. Here it would stay open.
                Given::Nothing if !creates && own.is_some_and(|account| !account.kept.is_empty()) => {
                    let what = "another way to log in without a new password (BY or AS)";
                    return Err(SqlError::unsupported(what));
                }
                Given::Nothing => credential.given = Given::Kept(String::new()),
                Given::Kept(_) => {}
            }
            credential.plugin = Some(plugin);
        }
        Ok(())
    }
}

fn list<T>(f: &mut fmt::Formatter<'_>, items: &[T], text: impl Fn(&T) -> String) -> fmt::Result {
    let texts: Vec<String> = items.iter().map(text).collect();
    f.write_str(&texts.join(", "))
}

fn subject(subject: &Subject) -> String {
    let mut text = subject.name.to_string();
    if let Some(credential) = &subject.credential {
        let plugin = credential.plugin.unwrap_or_default().name();
        let _ = write!(text, " IDENTIFIED WITH '{plugin}'");
        match &credential.given {
            Given::Kept(kept) => drop(write!(text, " AS {}", literal(kept))),
            Given::Clear(_) => text.push_str(" BY <secret>"),
            Given::Nothing => {}
        }
    }
    text
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.requires {
            None => "",
            Some(Requirement::None) => " REQUIRE NONE",
            Some(Requirement::Ssl) => " REQUIRE SSL",
            Some(Requirement::X509) => " REQUIRE X509",
        })?;
        f.write_str(match self.locked {
            None => "",
            Some(true) => " ACCOUNT LOCK",
            Some(false) => " ACCOUNT UNLOCK",
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Create { if_not_exists, subjects, options } => {
                f.write_str(if *if_not_exists { "CREATE USER IF NOT EXISTS " } else { "CREATE USER " })?;
                list(f, subjects, subject)?;
                options.fmt(f)
            }
            Statement::Alter { if_exists, subjects, options } => {
                f.write_str(if *if_exists { "ALTER USER IF EXISTS " } else { "ALTER USER " })?;
                list(f, subjects, subject)?;
                options.fmt(f)
            }
            // The log knows one way to change a password.
            Statement::SetPassword(one) => write!(f, "ALTER USER {}", subject(one)),
            Statement::Drop { if_exists, names } => {
                f.write_str(if *if_exists { "DROP USER IF EXISTS " } else { "DROP USER " })?;
                list(f, names, Name::to_string)
            }
            Statement::Rename(pairs) => {
                f.write_str("RENAME USER ")?;
                list(f, pairs, |(from, to)| format!("{from} TO {to}"))
            }
            Statement::Grant { privileges, on, subjects, options } => {
                write!(f, "GRANT {} ON {on} TO ", privileges.text(on.level()))?;
                list(f, subjects, subject)?;
                options.fmt(f)?;
                let option = privileges.has(super::privileges::Privilege::GrantOption);
                f.write_str(if option { " WITH GRANT OPTION" } else { "" })
            }
            Statement::Revoke { privileges, on, names } => {
                let option = super::privileges::Privilege::GrantOption;
                let text = match (privileges.has(option), privileges.text(on.level())) {
                    (true, text) if text == "USAGE" => option.name().to_owned(),
                    (true, text) => format!("{text}, {}", option.name()),
                    (false, text) => text,
                };
                write!(f, "REVOKE {text} ON {on} FROM ")?;
                list(f, names, Name::to_string)
            }
            Statement::RevokeAll(names) => {
                f.write_str("REVOKE ALL PRIVILEGES, GRANT OPTION FROM ")?;
                list(f, names, Name::to_string)
            }
            Statement::FlushPrivileges => f.write_str("FLUSH PRIVILEGES"),
            Statement::ShowGrants(name) => write!(f, "SHOW GRANTS FOR {name}"),
            Statement::ShowCreate(name) => write!(f, "SHOW CREATE USER {name}"),
        }
    }
}

/// An account's name out of the parts of a statement.
fn name_of(user: &str, host: Option<&str>) -> Result<Name, SqlError> {
    /// The longest host, in characters.
    const HOST_CHARACTERS: usize = 255;
    let host = host.unwrap_or(ANY_HOST);
    let too_long = |text: &str, what: &str, limit: usize| {
        let message = format!("String '{text}' is too long for {what} (should be no longer than {limit})");
        SqlError::new(1470, "HY000", message)
    };
    if user.chars().count() > USER_CHARACTERS {
        return Err(too_long(user, "user name", USER_CHARACTERS));
    }
    if host.chars().count() > HOST_CHARACTERS {
        return Err(too_long(host, "host name", HOST_CHARACTERS));
    }
    // An account without a host is one of everywhere, as in MySQL.
    Ok(Name::new(user, if host.is_empty() { ANY_HOST } else { host }))
}

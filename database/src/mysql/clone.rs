//! The statements by which a new node takes a copy of another one and joins its replication, and the questions before them.
//!
//! Only the bundled node is cloned like that: it has MySQL's `CLONE INSTANCE FROM`, and tells by `SHOW CLONE STATUS` how far it
//! is. A statement that is to be carried out is made first ([`Statement`]), so that it can be shown before, and after a failure
//! without the password that it holds.
//!
//! Invariant: what is shown of a statement never holds a password. Not here: in which order, and what to do when one fails.

use super::Connection;
use super::fault::Fault;
use super::link::Answer;
use crate::error::Result;
use crate::gtid::GtidSet;
use crate::secret::Secret;
use std::fmt;

/// What stands for a password where a statement is shown, as in MySQL's own logs.
const HIDDEN: &str = "<secret>";
/// Databases that every server has, and nobody copies.
const SYSTEM_DATABASES: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
/// The question that only a bundled node answers.
const WHO: &str = "SELECT @@evensum_link_version, @@server_id, @@server_uuid";

/// How one node reaches another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The other one's host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// An account there.
    pub user: Box<str>,
    /// Its password.
    pub password: Secret,
    /// Whether the way is encrypted.
    pub encrypted: bool,
}

/// A statement with a text that may be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    sql: String,
    shown: String,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({})", self.shown)
    }
}

impl Statement {
    fn plain(sql: String) -> Statement {
        Statement { shown: sql.clone(), sql }
    }

    fn with_secret(text: impl Fn(&str) -> String, secret: &Secret) -> Statement {
        Statement { sql: text(secret.reveal()), shown: text(HIDDEN) }
    }

    /// Takes a copy of the node at the end of that way.
    #[must_use]
    pub fn copy(way: &Way) -> Statement {
        let (user, host, port) = (quoted(&way.user), quoted(&way.host), way.port);
        Statement::with_secret(
            |secret| {
                let encryption = if way.encrypted { " REQUIRE SSL" } else { "" };
                format!(
                    "CLONE INSTANCE FROM {user}@{host}:{port} IDENTIFIED BY {}{encryption}",
                    quoted(secret)
                )
            },
            &way.password,
        )
    }

    /// Replicates from the node at the end of that way, by GTIDs.
    #[must_use]
    pub fn follow(channel: &str, way: &Way) -> Statement {
        let (user, host, port) = (quoted(&way.user), quoted(&way.host), way.port);
        let name = named(channel);
        Statement::with_secret(
            |secret| {
                format!(
                    "CHANGE MASTER{name} TO MASTER_HOST={host}, MASTER_PORT={port}, MASTER_USER={user}, \
                     MASTER_PASSWORD={}, MASTER_AUTO_POSITION=1{}",
                    quoted(secret),
                    if way.encrypted { ", MASTER_SSL=1" } else { "" }
                )
            },
            &way.password,
        )
    }

    /// Starts a link.
    #[must_use]
    pub fn start(channel: &str) -> Statement {
        Statement::plain(format!("START SLAVE{}", named(channel)))
    }

    /// Forgets a link that does not run.
    #[must_use]
    pub fn forget(channel: &str) -> Statement {
        Statement::plain(format!("RESET SLAVE{} ALL", named(channel)))
    }

    /// Stops a link.
    #[must_use]
    pub fn stop(channel: &str) -> Statement {
        Statement::plain(format!("STOP SLAVE{}", named(channel)))
    }
}

/// The name of a link in a statement.
fn named(channel: &str) -> String {
    if channel.is_empty() { String::new() } else { format!(" {}", quoted(channel)) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// How far a node's copy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copying {
    /// `Not Started`, `In Progress`, `Completed`, `Failed`.
    pub state: String,
    /// Tables that were begun.
    pub tables: u64,
    /// How many there are; none before the source has said so.
    pub tables_total: Option<u64>,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows.
    pub bytes: u64,
    /// About how many there are.
    pub bytes_estimate: Option<u64>,
    /// Where the source's log ended at the moment of the copy: file and position.
    pub place: Option<(String, u64)>,
    /// What the source had executed at that moment.
    pub executed: Option<GtidSet>,
}

/// By what a node gives new rows their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// `auto_increment_increment`.
    pub increment: u64,
    /// `auto_increment_offset`.
    pub offset: u64,
}

/// What a node needs to be a member that others replicate from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassingOn {
    /// `log_bin`.
    pub log: bool,
    /// `log_slave_updates`.
    pub updates: bool,
    /// `gtid_mode`.
    pub gtids: bool,
    /// `read_only`, which keeps nothing from being passed on.
    pub read_only: bool,
}

impl Connection {
    /// Whether this is a bundled node that can be cloned.
    pub async fn can_clone(&mut self) -> Result<bool> {
        for question in [WHO, "SHOW CLONE STATUS"] {
            match self.main.ask(question).await {
                Ok(answer) if !answer.rows.is_empty() => {}
                Ok(_) => return Ok(false),
                Err(fault) if fault.is_server() => return Ok(false),
                Err(fault) => return Err(self.error(fault, "what kind of server it is")),
            }
        }
        Ok(true)
    }

    /// Carries a statement out.
    pub async fn carry_out(&mut self, statement: &Statement) -> Result<()> {
        let done = self.main.run(&statement.sql).await;
        done.map(drop).map_err(|fault| self.error(fault, &statement.shown))
    }

    /// How far its copy is.
    pub async fn copying(&mut self) -> Result<Copying> {
        let answer = self.main.ask("SHOW CLONE STATUS").await;
        let answer = answer.map_err(|fault| self.error(fault, "how far its copy is"))?;
        Ok(answer.rows.first().map(|row| copying(&answer, row)).unwrap_or_default())
    }

    /// Its databases, but those that every server has.
    pub async fn own_databases(&mut self) -> Result<Vec<String>> {
        let answer = self.main.ask("SHOW DATABASES").await;
        let answer = answer.map_err(|fault| self.error(fault, "its databases"))?;
        let names = answer.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(names.filter(|name| !SYSTEM_DATABASES.contains(&name.to_lowercase().as_str())).collect())
    }

    /// The transactions that it has executed.
    pub async fn executed(&mut self) -> Result<GtidSet> {
        let what = "what it has executed";
        self.main.refresh().await;
        let answer =
            self.main.ask("SELECT @@gtid_executed").await.map_err(|fault| self.error(fault, what))?;
        let text = answer.rows.into_iter().flatten().flatten().next().unwrap_or_default();
        text.parse().map_err(|_| self.error(Fault::Odd(format!("'{text}' is no set of GTIDs")), what))
    }

    /// Whether this connection is encrypted.
    pub async fn is_encrypted(&mut self) -> Result<bool> {
        let answer = self.main.ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'").await;
        let answer = answer.map_err(|fault| self.error(fault, "whether the connection is encrypted"))?;
        let cipher = answer.rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
        Ok(cipher.is_some_and(|cipher| !cipher.is_empty()))
    }

    /// What it does with what it gets and with what is written to it.
    pub async fn passing_on(&mut self) -> Result<PassingOn> {
        let what = "whether it passes on what it gets";
        let question =
            "SELECT @@global.log_bin, @@global.log_slave_updates, @@global.gtid_mode, @@global.read_only";
        let answer = self.main.ask(question).await.map_err(|fault| self.error(fault, what))?;
        let row = answer.rows.into_iter().next().unwrap_or_default();
        let on = |at: usize| matches!(row.get(at), Some(Some(value)) if value == "1" || value.eq_ignore_ascii_case("on"));
        Ok(PassingOn { log: on(0), updates: on(1), gtids: on(2), read_only: on(3) })
    }

    /// By what it gives new rows their numbers.
    pub async fn numbering(&mut self) -> Result<Numbering> {
        let what = "how it numbers rows";
        let question = "SELECT @@global.auto_increment_increment, @@global.auto_increment_offset";
        let answer = self.main.ask(question).await.map_err(|fault| self.error(fault, what))?;
        let mut numbers = answer.rows.into_iter().flatten().flatten().map_while(|text| text.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(increment), Some(offset)) => Ok(Numbering { increment, offset }),
            _ => Err(self.error(Fault::Odd("no numbers".to_owned()), what)),
        }
    }
}

fn copying(answer: &Answer, row: &[Option<String>]) -> Copying {
    let text = |name: &str| answer.of(row, &[name]).map(str::to_owned);
    let number = |name: &str| text(name).and_then(|text| text.parse().ok());
    let place = text("Binlog_file").zip(number("Binlog_position"));
    Copying {
        state: text("State").unwrap_or_default(),
        tables: number("Tables").unwrap_or(0),
        tables_total: number("Tables_total"),
        rows: number("Rows").unwrap_or(0),
        bytes: number("Bytes").unwrap_or(0),
        bytes_estimate: number("Bytes_estimate"),
        place,
        executed: text("Gtid_executed").and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        let password = Secret::new("it's\\so");
        Way { host: "db1".into(), port: 3307, user: "o'neil".into(), password, encrypted: false }
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        for statement in [Statement::copy(&way()), Statement::follow("west", &way())] {
            assert!(statement.sql.contains(r"'it''s\\so'"), "{}", statement.sql);
            for shown in [statement.to_string(), format!("{statement:?}")] {
                assert!(shown.contains("<secret>") && !shown.contains("so'"), "{shown}");
            }
        }
    }

    #[test]
    fn statements_are_mysqls() {
        let copy = Statement::copy(&way()).shown;
        assert_eq!(copy, "CLONE INSTANCE FROM 'o''neil'@'db1':3307 IDENTIFIED BY '<secret>'");
        let encrypted = Way { encrypted: true, ..way() };
        assert_eq!(Statement::copy(&encrypted).shown, format!("{copy} REQUIRE SSL"));
        assert!(Statement::follow("", &encrypted).shown.ends_with(", MASTER_AUTO_POSITION=1, MASTER_SSL=1"));
        let follow = Statement::follow("", &way()).shown;
        assert!(follow.starts_with("CHANGE MASTER TO MASTER_HOST='db1', MASTER_PORT=3307,"), "{follow}");
        assert!(Statement::follow("a'b", &way()).shown.starts_with("CHANGE MASTER 'a''b' TO "));
        assert_eq!(Statement::start("").shown, "START SLAVE");
        assert_eq!(Statement::stop("west").shown, "STOP SLAVE 'west'");
    }
}

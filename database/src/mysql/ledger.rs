//! [`Ledger`] on a server: evensum's own tables in their own database, over a connection of their own.
//!
//! Every row is a plain INSERT under a key that no other run and no other node uses, through the log, in autocommit:
//! so a row of the ledger stands in the log behind everything that was committed before it.
//!
//! Old runs are forgotten on each node by itself, outside the log, and only if this user may do that: a deletion
//! that replicates could meet a node where the rows are gone, and stop the replication there.

use super::fault::Fault;
use super::link::{Answer, Link};
use super::{LOCK_WAIT_S, Options};
use crate::dialect::identifier;
use crate::error::{Error, Result};
use crate::ledger::{Checksum, Ledger, Watermark};
use crate::row::Key;
use crate::secret::Secret;
use crate::target::Target;
use std::fmt::Write;
use std::time::Duration;

/// How many checksum rows one statement writes.
const ROWS_PER_STATEMENT: usize = 200;
/// After how long a run is forgotten.
const KEEP_DAYS: u32 = 1;
/// How many rows are forgotten at once, so that nobody waits long for them.
const FORGET_ROWS: u64 = 10_000;
/// How often at most, so that a run begins although there is much to forget; the next one goes on.
const FORGET_BATCHES: u32 = 100;
/// How many bytes of a key are shown.
const KEY_BYTES: usize = 1_000;
/// "The server is running with the --read-only option".
const READ_ONLY: u16 = 1290;
/// What helps then.
const FEEDS_NOBODY: &str = " (a read-only replica needs no writing if all nodes show that it feeds none of them; to see that, \
     grant SLAVE MONITOR on MariaDB, or REPLICATION CLIENT on MySQL, on every node)";
/// The tables, with their columns.
pub(super) const TABLES: [(&str, &str); 2] = [
    (
        "checksums",
        "run VARCHAR(96) NOT NULL, node VARCHAR(64) NOT NULL, db_name VARCHAR(64) NOT NULL, \
         table_name VARCHAR(64) NOT NULL, chunk BIGINT UNSIGNED NOT NULL, lower_key TEXT NULL, upper_key TEXT NULL, \
         row_count BIGINT UNSIGNED NOT NULL, hash CHAR(64) NOT NULL, pushed_at DATETIME(6) NOT NULL, \
         PRIMARY KEY (run, node, db_name, table_name, chunk)",
    ),
    (
        "watermarks",
        "run VARCHAR(96) NOT NULL, writer VARCHAR(64) NOT NULL, number BIGINT UNSIGNED NOT NULL, \
         marked_at DATETIME NOT NULL, PRIMARY KEY (run, writer, number)",
    ),
];

/// The ledger of one node.
#[derive(Debug)]
pub struct LedgerConnection {
    name: String,
    link: Link,
    database: Box<str>,
    follower: bool,
}

impl LedgerConnection {
    /// Connects.
    pub async fn connect(
        target: &Target,
        secret: Option<&Secret>,
        options: &Options,
    ) -> Result<LedgerConnection> {
        let mut ledger = LedgerConnection {
            name: target.name.to_string(),
            link: Link::new(target, secret, options, Duration::from_secs(LOCK_WAIT_S)),
            database: options.ledger.clone(),
            follower: false,
        };
        let account = ledger.link.find_account().await;
        account.map_err(|fault| ledger.error(fault, "the connection"))?;
        Ok(ledger)
    }

    /// The same for a follower: from now on nothing is written through this ledger.
    #[must_use]
    pub fn of_follower(mut self) -> LedgerConnection {
        self.follower = true;
        self
    }

    fn error(&self, fault: Fault, what: &str) -> Error {
        let (account, database) = (self.link.account(), Some(&*self.database));
        if fault.number() == Some(READ_ONLY) {
            return fault.at(&self.name, &format!("{what}{FEEDS_NOBODY}"), account, database);
        }
        fault.at(&self.name, what, account, database)
    }

    /// What the node is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a statement that is to do `what`.
    pub(super) async fn run(&mut self, sql: &str, what: &str) -> Result<()> {
        self.link.run(sql).await.map(|_| ()).map_err(|fault| self.error(fault, what))
    }

    /// Asks for what is needed to do `what`.
    pub(super) async fn ask(&mut self, sql: &str, what: &str) -> Result<Answer> {
        self.link.ask(sql).await.map_err(|fault| self.error(fault, what))
    }

    pub(super) fn table(&self, name: &str) -> String {
        format!("{}.{}", identifier(&self.database), identifier(name))
    }

    /// Creates only what is missing, so that a user without that right can use what an administrator made.
    async fn create(&mut self) -> std::result::Result<(), Fault> {
        let there = self
            .link
            .ask(&format!(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
                text(&self.database)
            ))
            .await?;
        let missing = |name: &str| !there.rows.iter().flatten().flatten().any(|there| there == name);
        let missing: Vec<_> = TABLES.iter().filter(|(name, _)| missing(name)).collect();
        if there.rows.is_empty() && !missing.is_empty() {
            let exists = self
                .link
                .ask(&format!(
                    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
                    text(&self.database)
                ))
                .await?;
            if exists.rows.is_empty() {
                let sql = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(&self.database));
                self.link.run(&sql).await?;
            }
        }
        for (name, columns) in missing {
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {} ({columns}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
                self.table(name)
            );
            self.link.run(&sql).await?;
        }
        Ok(())
    }

    /// Deletes rows of runs that are long over, on this node alone; whether it was possible does not matter.
    async fn forget(&mut self) {
        if self.link.run("SET SESSION sql_log_bin=0").await.is_err() {
            return;
        }
        for (name, column) in [("checksums", "pushed_at"), ("watermarks", "marked_at")] {
            let sql = format!(
                "DELETE FROM {} WHERE {column} < UTC_TIMESTAMP() - INTERVAL {KEEP_DAYS} DAY LIMIT {FORGET_ROWS}",
                self.table(name)
            );
            for _ in 0..FORGET_BATCHES {
                match self.link.run(&sql).await {
                    Ok(rows) if rows >= FORGET_ROWS => {}
                    // none is left, or this user may not
                    Ok(_) | Err(_) => break,
                }
            }
        }
        // a ledger row outside the log would never arrive anywhere
        if self.link.run("SET SESSION sql_log_bin=1").await.is_err() {
            self.link.close();
        }
    }

    fn insert(&self, checksums: &[Checksum]) -> String {
        let mut sql = format!(
            "INSERT INTO {} (run, node, db_name, table_name, chunk, lower_key, upper_key, row_count, hash, pushed_at) VALUES ",
            self.table("checksums")
        );
        for (index, checksum) in checksums.iter().enumerate() {
            let chunk = &checksum.chunk;
            let mut hash = String::with_capacity(64);
            for byte in checksum.digest.hash {
                // writing to a String cannot fail
                let _ = write!(hash, "{byte:02x}");
            }
            let _ = write!(
                sql,
                "{}({}, {}, {}, {}, {}, {}, {}, {}, '{hash}', UTC_TIMESTAMP(6))",
                if index > 0 { ", " } else { "" },
                text(&checksum.run),
                text(&checksum.node),
                text(&chunk.table.database),
                text(&chunk.table.name),
                checksum.number,
                key(chunk.lower.as_ref()),
                key(chunk.upper.as_ref()),
                checksum.digest.rows
            );
        }
        sql
    }
}

/// A text literal.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A key as a person reads it, cut to a bounded length.
fn key(key: Option<&Key>) -> String {
    let Some(key) = key else { return "NULL".into() };
    let shown = key.to_string();
    let end = (0..=KEY_BYTES.min(shown.len())).rev().find(|&end| shown.is_char_boundary(end)).unwrap_or(0);
    text(&shown[..end])
}

impl Ledger for LedgerConnection {
    async fn prepare(&mut self) -> Result<()> {
        if self.follower {
            return Ok(());
        }
        let what = format!("to make the tables of {}", self.database);
        self.create().await.map_err(|fault| self.error(fault, &what))?;
        // marks are read when rows differ: who may not read them is told today, and not in the night when they do
        self.marks("", 0).await?;
        self.forget().await;
        Ok(())
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        if self.follower {
            return Ok(());
        }
        self.link.refresh().await;
        for some in checksums.chunks(ROWS_PER_STATEMENT) {
            let sql = self.insert(some);
            self.link.run(&sql).await.map_err(|fault| self.error(fault, "to write checksums"))?;
        }
        Ok(())
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        self.link.refresh().await;
        let sql = format!(
            "INSERT INTO {} (run, writer, number, marked_at) VALUES ({}, {}, {}, UTC_TIMESTAMP())",
            self.table("watermarks"),
            text(run),
            text(&watermark.writer),
            watermark.number
        );
        self.link.run(&sql).await.map_err(|fault| self.error(fault, "to write a watermark"))?;
        Ok(())
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        self.link.refresh().await;
        let sql = format!(
            "SELECT writer FROM {} WHERE run = {} AND number = {number}",
            self.table("watermarks"),
            text(run)
        );
        let answer = match self.link.ask(&sql).await {
            // the tables of a follower come by replication, and may still be on their way
            Err(fault) if self.follower && matches!(fault.number(), Some(1049 | 1146)) => Answer::default(),
            answer => answer.map_err(|fault| self.error(fault, "to read watermarks"))?,
        };
        let writers = answer.rows.into_iter().flatten().flatten();
        Ok(writers.map(|writer| Watermark { writer: writer.into(), number }).collect())
    }

    fn follows(&self) -> bool {
        self.follower
    }
}

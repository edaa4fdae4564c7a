//! The links of a node: created, changed, started and stopped by the administrator, and kept across restarts.
//!
//! Settings are in a file of their own (`replication.sqlite`), because they are about this machine and not about
//! the data. It holds passwords, like MySQL's master.info, so only its owner can read it. What runs is kept
//! too: a node that was killed goes on as it was. Invariant: the file and the links in memory say the same.

use super::link::{Context, Link, Settings, State};
use super::position::LogPosition;
use super::relay_log::{self, RelayLog};
use super::until::Until;
use super::{columns, failed, number, stored};
use crate::SqlError;
use crate::datadir::only_for_owner;
use database::Secret;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FILE: &str = "replication.sqlite";
/// The most links of one node.
const MAX_LINKS: usize = 64;

/// Which of a link's threads a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// The receiver (IO_THREAD).
    pub receiver: bool,
    /// The applier (SQL_THREAD).
    pub applier: bool,
}

/// What a CHANGE MASTER names; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the statement
pub struct Changes {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub log_file: Option<String>,
    pub log_pos: Option<u64>,
    pub auto_position: Option<bool>,
    pub connect_retry_s: Option<u64>,
    pub delay_s: Option<u64>,
    pub retry_count: Option<u64>,
    pub ignore_server_ids: Option<Vec<u32>>,
    pub ssl: Option<bool>,
    pub ssl_ca: Option<String>,
    pub ssl_cert: Option<String>,
    pub ssl_key: Option<String>,
    pub ssl_verify: Option<bool>,
}

/// The links.
pub struct Links {
    dir: PathBuf,
    context: Arc<Context>,
    file: Mutex<Connection>,
    links: Mutex<BTreeMap<String, Arc<Link>>>,
}

impl Links {
    /// Reads the links that are kept in `dir`. Nothing runs yet.
    pub fn open(dir: &Path, context: Arc<Context>) -> Result<Links, SqlError> {
        let path = dir.join(FILE);
        only_for_owner(&path)?;
        let file = Connection::open(&path).map_err(failed)?;
        file.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS links (name TEXT PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL,
                user TEXT NOT NULL, password TEXT NOT NULL, auto_position INTEGER NOT NULL, place INTEGER,
                connect_retry_s INTEGER NOT NULL, delay_s INTEGER NOT NULL, run_receiver INTEGER NOT NULL,
                run_applier INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS link_tls (name TEXT PRIMARY KEY, tls TEXT NOT NULL)",
        )
        .map_err(failed)?;
        add_columns(&file).map_err(failed)?;
        let kept = read(&file).map_err(failed)?;
        let links = Links { dir: dir.to_owned(), context, file: Mutex::new(file), links: Mutex::default() };
        for (name, settings) in kept {
            links.create(&name, settings)?;
        }
        Ok(links)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the links share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// All links, by name.
    pub fn all(&self) -> Vec<Arc<Link>> {
        self.lock().values().cloned().collect()
    }

    /// The link of this name; for the empty name the only link there is.
    pub fn get(&self, name: &str) -> Result<Arc<Link>, SqlError> {
        let links = self.lock();
        let only = if name.is_empty() && links.len() == 1 { links.values().next() } else { None };
        only.or_else(|| links.get(name)).cloned().ok_or_else(|| match name.is_empty() {
            true => SqlError::new(
                1200,
                "HY000",
                "The server is not configured as replica; fix in config file or with CHANGE REPLICATION SOURCE TO",
            ),
            false => SqlError::new(1617, "HY000", format!("There is no master connection '{name}'")),
        })
    }

    fn create(&self, name: &str, settings: Settings) -> Result<Arc<Link>, SqlError> {
        let relay = RelayLog::open(&self.relay_path(name), self.context.relay_limit_bytes, settings.epoch)?;
        let link = Link::new(name, Arc::clone(&self.context), relay, settings)?;
        self.lock().insert(name.to_owned(), Arc::clone(&link));
        Ok(link)
    }

    /// The relay log's file; a name's odd characters are written as their numbers.
    fn relay_path(&self, name: &str) -> PathBuf {
        let safe: String = name
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02x}"),
            })
            .collect();
        self.dir.join(if safe.is_empty() {
            "relay.sqlite".to_owned()
        } else {
            format!("relay-{safe}.sqlite")
        })
    }

    /// CHANGE MASTER: creates the link or changes it. It must not run.
    pub fn change(&self, name: &str, changes: Changes) -> Result<(), SqlError> {
        let known = self.lock().get(name).cloned();
        if known.as_ref().is_some_and(|link| link.is_running()) {
            return Err(must_stop());
        }
        if known.is_none() && self.lock().len() >= MAX_LINKS {
            return Err(SqlError::internal(format!("a node has at most {MAX_LINKS} links")));
        }
        let old = known.as_ref().map(|link| link.settings()).unwrap_or_default();
        let base = changes.log_file.as_deref().and_then(|name| Some(name.rsplit_once('.')?.0.to_owned()));
        let (mut settings, moved) = merge(&old, changes)?;
        if settings.auto_position && !self.context.gtid_mode {
            return Err(SqlError::new(
                1777,
                "HY000",
                "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1 cannot be executed because @@GLOBAL.GTID_MODE = OFF.",
            ));
        }
        if moved {
            settings.epoch = self.new_epoch()?;
        }
        // What is kept comes first: a relay log of another epoch is void, also if this node ends before the next line.
        self.keep(name, &settings)?;
        let link = match known {
            Some(link) => link,
            None => self.create(name, settings.clone())?,
        };
        link.set_settings(settings.clone());
        if moved {
            link.relay.begin(settings.epoch)?;
            // Until the source says it itself, its files have the names that the administrator gives them.
            link.relay.set_source_base(&base.unwrap_or_default())?;
            link.update(|state| {
                *state = State { read: settings.from, skip_counter: state.skip_counter, ..State::default() };
            });
        }
        Ok(())
    }

    /// START SLAVE.
    pub fn start(&self, name: &str, threads: Threads) -> Result<(), SqlError> {
        self.start_until(name, threads, None)
    }

    /// START SLAVE, maybe UNTIL something is reached.
    pub fn start_until(&self, name: &str, threads: Threads, until: Option<Until>) -> Result<(), SqlError> {
        let link = self.to_run(name, threads)?;
        if threads.receiver {
            link.start_receiver()?;
        }
        if threads.applier {
            let ends = link.update(|state| {
                if !state.applying {
                    state.until.clone_from(&until);
                }
                until.is_none() || state.until == until
            });
            if !ends {
                return Err(SqlError::new(
                    1254,
                    "HY000",
                    "Replica is already running: the condition of UNTIL counts from the next start of the SQL thread",
                ));
            }
            link.start_applier()?;
        }
        Ok(())
    }

    /// Keeps that these threads are to run.
    pub(super) fn to_run(&self, name: &str, threads: Threads) -> Result<Arc<Link>, SqlError> {
        let link = self.get(name)?;
        let mut settings = link.settings();
        if settings.host.is_empty() {
            return Err(SqlError::new(
                1200,
                "HY000",
                "The server is not configured as replica; MASTER_HOST is missing",
            ));
        }
        settings.run_receiver |= threads.receiver;
        settings.run_applier |= threads.applier;
        self.keep(&link.name, &settings)?;
        link.set_settings(settings);
        Ok(link)
    }

    /// STOP SLAVE; returns when the threads are gone.
    pub fn stop(&self, name: &str, threads: Threads) -> Result<(), SqlError> {
        let link = self.get(name)?;
        let mut settings = link.settings();
        settings.run_receiver &= !threads.receiver;
        settings.run_applier &= !threads.applier;
        self.keep(&link.name, &settings)?;
        link.set_settings(settings);
        if threads.receiver {
            link.stop_receiver();
        }
        if threads.applier {
            link.stop_applier();
        }
        Ok(())
    }

    /// RESET SLAVE: forgets what was received; with `all` the link itself too.
    pub fn reset(&self, name: &str, all: bool) -> Result<(), SqlError> {
        let link = self.get(name)?;
        if link.is_running() {
            return Err(must_stop());
        }
        let mut settings = link.settings();
        settings.from = None;
        settings.epoch = self.new_epoch()?;
        if all {
            self.lock().remove(&link.name);
            let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.execute("DELETE FROM links WHERE name = ?1", [&link.name]).map_err(failed)?;
            let path = self.relay_path(&link.name);
            drop(link);
            return relay_log::remove(&path);
        }
        self.keep(&link.name, &settings)?;
        link.relay.begin(settings.epoch)?;
        link.update(|state| *state = State::default());
        link.set_settings(settings);
        Ok(())
    }

    /// Starts what ran when the node ended.
    pub fn resume(&self) -> Result<(), SqlError> {
        for link in self.all() {
            let settings = link.settings();
            if settings.run_receiver {
                link.start_receiver()?;
            }
            if settings.run_applier {
                link.start_applier()?;
            }
        }
        Ok(())
    }

    /// Stops every thread, as the node ends; what is kept still says that they run.
    pub fn shutdown(&self) {
        for link in self.all() {
            link.stop_receiver();
            link.stop_applier();
        }
    }

    /// A number that no settings had before.
    fn new_epoch(&self) -> Result<i64, SqlError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.query_row("SELECT random()", [], |row| row.get(0)).map_err(failed)
    }

    fn keep(&self, name: &str, settings: &Settings) -> Result<(), SqlError> {
        let tls = serde_json::to_string(&settings.tls).map_err(SqlError::internal)?;
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let both = file.unchecked_transaction().map_err(failed)?;
        both.execute("INSERT OR REPLACE INTO link_tls (name, tls) VALUES (?1, ?2)", [name, &tls])
            .map_err(failed)?;
        both.execute(
                "INSERT OR REPLACE INTO links (name, host, port, user, password, auto_position, place, connect_retry_s,
                    delay_s, run_receiver, run_applier, retry_count, ignore_server_ids, epoch)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                params![
                    name,
                    settings.host,
                    settings.port,
                    settings.user,
                    settings.password.reveal(),
                    settings.auto_position,
                    settings.from.map(LogPosition::key),
                    stored(settings.connect_retry_s)?,
                    stored(settings.delay_s)?,
                    settings.run_receiver,
                    settings.run_applier,
                    stored(settings.retry_count)?,
                    settings.ignore_server_ids.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
                    settings.epoch
                ],
            )
            .map_err(failed)?;
        both.commit().map_err(failed)
    }
}

pub(super) fn must_stop() -> SqlError {
    SqlError::new(
        1198,
        "HY000",
        "This operation cannot be performed with a running replica; run STOP REPLICA first",
    )
}

/// The new settings, and whether the source or the place in it changed, so that what was received is void.
fn merge(old: &Settings, changes: Changes) -> Result<(Settings, bool), SqlError> {
    let mut new = old.clone();
    let elsewhere = changes.host.as_ref().is_some_and(|host| *host != old.host)
        || changes.port.is_some_and(|port| port != old.port);
    if elsewhere {
        new.from = None;
    }
    let placed = changes.log_file.is_some() || changes.log_pos.is_some();
    if placed && changes.auto_position == Some(true) {
        return Err(SqlError::new(
            1776,
            "HY000",
            "Parameters SOURCE_LOG_FILE, SOURCE_LOG_POS, RELAY_LOG_FILE and RELAY_LOG_POS cannot be set when \
             SOURCE_AUTO_POSITION is active.",
        ));
    }
    if placed {
        let pos = changes.log_pos.unwrap_or(4);
        let place = match &changes.log_file {
            Some(name) => LogPosition::in_file(name, pos).ok_or_else(|| {
                SqlError::new(1210, "HY000", format!("Incorrect arguments: '{name}' is no log file"))
            })?,
            None => LogPosition { file: old.from.map_or(1, |from| from.file), pos },
        };
        new.from = Some(place);
        new.auto_position = false;
    }
    new.host = changes.host.unwrap_or(new.host);
    new.port = changes.port.unwrap_or(new.port);
    new.user = changes.user.unwrap_or(new.user);
    new.password = changes.password.unwrap_or(new.password);
    new.auto_position = changes.auto_position.unwrap_or(new.auto_position);
    new.connect_retry_s = changes.connect_retry_s.unwrap_or(new.connect_retry_s).max(1);
    new.tls.on = changes.ssl.unwrap_or(new.tls.on);
    new.tls.ca = changes.ssl_ca.unwrap_or(new.tls.ca);
    new.tls.cert = changes.ssl_cert.unwrap_or(new.tls.cert);
    new.tls.key = changes.ssl_key.unwrap_or(new.tls.key);
    new.tls.verify = changes.ssl_verify.unwrap_or(new.tls.verify);
    new.delay_s = changes.delay_s.unwrap_or(new.delay_s);
    new.retry_count = changes.retry_count.unwrap_or(new.retry_count);
    new.ignore_server_ids = changes.ignore_server_ids.unwrap_or(new.ignore_server_ids);
    let moved = elsewhere || placed || new.auto_position != old.auto_position;
    Ok((new, moved))
}

/// Adds what a file of an older node does not have yet.
fn add_columns(file: &Connection) -> rusqlite::Result<()> {
    for (name, definition) in [
        ("retry_count", "INTEGER NOT NULL DEFAULT 86400"),
        ("ignore_server_ids", "TEXT NOT NULL DEFAULT ''"),
        ("epoch", "INTEGER NOT NULL DEFAULT 0"),
    ] {
        columns::add(file, "links", name, definition)?;
    }
    Ok(())
}

fn read(file: &Connection) -> rusqlite::Result<Vec<(String, Settings)>> {
    let mut query = file.prepare(
        "SELECT name, host, port, user, password, auto_position, place, connect_retry_s, delay_s, run_receiver,
            run_applier, retry_count, ignore_server_ids, epoch, tls FROM links LEFT JOIN link_tls USING (name)",
    )?;
    let rows = query.query_map([], |row| {
        let place: Option<i64> = row.get(6)?;
        let settings = Settings {
            host: row.get(1)?,
            port: row.get(2)?,
            user: row.get(3)?,
            password: Secret::from(row.get::<_, String>(4)?),
            auto_position: row.get(5)?,
            from: place.map(LogPosition::of_key),
            connect_retry_s: number(row.get(7)?),
            delay_s: number(row.get(8)?),
            run_receiver: row.get(9)?,
            run_applier: row.get(10)?,
            retry_count: number(row.get(11)?),
            ignore_server_ids: row
                .get::<_, String>(12)?
                .split(',')
                .filter_map(|id| id.parse().ok())
                .collect(),
            epoch: row.get(13)?,
            tls: row
                .get::<_, Option<String>>(14)?
                .and_then(|tls| serde_json::from_str(&tls).ok())
                .unwrap_or_default(),
        };
        Ok((row.get(0)?, settings))
    })?;
    rows.collect()
}

//! A node, put together: folder, storage, log, engine, links, door.
//!
//! Started in that order and stopped in the other, so that nothing runs without what it needs. A node that is
//! dropped stops. Not here: signals and messages; whoever starts a node decides about those.

use crate::config::ConfigError;
use crate::datadir::{Datadir, DatadirError};
use crate::replication::binlog::Binlog;
use crate::replication::link::{Context, create_places};
use crate::replication::links::{Changes, Links, Threads};
use crate::replication::statements::Admin;
use crate::server::{Server, Shared};
use crate::session::{Engine, Session};
use crate::storage::writer_lock::Holder;
use crate::storage::{Store, StoreOptions, Synchronous};
use crate::{Config, SqlError};
use rusqlite::Connection;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a write of the administrator waits for the writer's lock.
const ADMIN_WRITE_WAIT: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is refused.
    Config(ConfigError),
    /// The folder cannot be used.
    Datadir(DatadirError),
    /// The files in it cannot be used.
    Storage(SqlError),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(error) => write!(f, "configuration: {error}"),
            StartError::Datadir(error) => write!(f, "{error}"),
            StartError::Storage(error) => write!(f, "cannot open the node's files: {}", error.message),
            StartError::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<SqlError> for StartError {
    fn from(error: SqlError) -> StartError {
        StartError::Storage(error)
    }
}

/// A running node.
pub struct Node {
    server: Server,
    links: Arc<Links>,
    server_uuid: String,
    over: (Mutex<bool>, Condvar),
    _datadir: Datadir,
}

impl Node {
    /// Starts a node.
    pub fn start(config: Config) -> Result<Node, StartError> {
        config.validate().map_err(StartError::Config)?;
        let datadir = Datadir::take(&config.datadir).map_err(StartError::Datadir)?;
        let address = SocketAddr::new(config.bind_address, config.port);
        let listener = TcpListener::bind(address).map_err(|error| StartError::Listen(address, error))?;
        let synchronous = if config.durable() { Synchronous::Full } else { Synchronous::Normal };
        let store = Arc::new(Store::open(datadir.path(), &StoreOptions { synchronous })?);
        let log = Arc::new(open_log(&store, &config)?);
        let assembled = assemble(&config, &datadir, &store, &log)?;
        let shared = Arc::new(Shared::new(&config, assembled.engine, assembled.admin)?);
        let server = Server::start(listener, shared).map_err(|error| StartError::Listen(address, error))?;
        let node = Node {
            server,
            links: assembled.links,
            server_uuid: log.server_uuid().to_owned(),
            over: (Mutex::new(false), Condvar::new()),
            _datadir: datadir,
        };
        node.begin_replication(&config)?;
        Ok(node)
    }

    /// Goes on with the links that are kept, and adds those of the configuration.
    fn begin_replication(&self, config: &Config) -> Result<(), SqlError> {
        for (n, source) in config.sources.iter().enumerate() {
            let name = if n == 0 { String::new() } else { format!("{}:{}", source.host, source.port) };
            let changes = Changes {
                host: Some(source.host.clone()),
                port: Some(source.port),
                user: Some(source.user.clone()),
                password: Some(source.password.clone()),
                auto_position: Some(true),
                ..Changes::default()
            };
            self.links.change(&name, changes)?;
            self.links.start(&name, Threads { receiver: true, applier: true })?;
        }
        self.links.resume()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its identity in GTIDs.
    pub fn server_uuid(&self) -> &str {
        &self.server_uuid
    }

    /// Stops it: no new clients, links end, open transactions are rolled back. May be called again.
    pub fn stop(&self) {
        self.links.shutdown();
        self.server.stop();
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
    }

    /// Waits until somebody has stopped it.
    pub fn wait(&self) {
        let over = self.over.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.over.1.wait_while(over, |over| !*over));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Assembled {
    engine: Arc<Engine>,
    admin: Arc<Admin>,
    links: Arc<Links>,
}

fn open_log(store: &Store, config: &Config) -> Result<Binlog, SqlError> {
    let conn = store.connect()?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let log = Binlog::open(&conn, &config.log_bin, config.max_binlog_size)?;
    create_places(&conn)?;
    conn.execute_batch("COMMIT")?;
    Ok(log)
}

/// A write of the administrator is one statement long, so nobody may end it before.
struct Unmoved;

impl Holder for Unmoved {
    fn evict(&self, _: u64) -> bool {
        false
    }

    fn interrupt(&self) {}
}

/// Runs one write under the writer's lock, in a transaction of its own.
fn write(store: &Store, work: &dyn Fn(&Connection) -> Result<(), SqlError>) -> Result<(), SqlError> {
    let conn = store.connect()?;
    let ticket = store.writer.acquire(Arc::new(Unmoved), ADMIN_WRITE_WAIT)?;
    let result = conn.execute_batch("BEGIN IMMEDIATE").map_err(SqlError::from).and_then(|()| {
        work(&conn)?;
        Ok(conn.execute_batch("COMMIT")?)
    });
    drop(conn);
    store.writer.release(ticket);
    result
}

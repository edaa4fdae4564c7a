//! A node, put together: folder, storage, log, engine, links, door.
//!
//! Started in that order and stopped in the other, so that nothing runs without what it needs. A node that is
//! dropped stops. Not here: signals and messages; whoever starts a node decides about those.

use crate::change::{Body, Transaction};
use crate::config::ConfigError;
use crate::datadir::{Datadir, DatadirError};
use crate::replication::binlog::Binlog;
use crate::replication::link::{Apply, Context, Note, create_places};
use crate::replication::links::{Changes, Links, Threads};
use crate::replication::statements::{Admin, Writes};
use crate::server::clients::Clients;
use crate::server::{Server, Shared};
use crate::session::variables::GlobalVariables;
use crate::session::{Engine, Log, Session};
use crate::storage::writer_lock::{Holder, Patience};
use crate::storage::{Store, StoreOptions, Synchronous};
use crate::{Config, SqlError};
use database::Gtid;
use rusqlite::Connection;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
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
        let assembled = assemble(&config, datadir.path(), &store, &log)?;
        let shared = Arc::new(Shared::new(&config, assembled.engine, Arc::clone(&log), assembled.clients)?);
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
    clients: Arc<Clients>,
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

fn assemble(
    config: &Config,
    dir: &Path,
    store: &Arc<Store>,
    log: &Arc<Binlog>,
) -> Result<Assembled, SqlError> {
    // Appliers need sessions, sessions the engine, the engine the administrator's statements, and these the
    // links with their appliers. The circle is closed here, once, when the engine is there.
    let late: Arc<OnceLock<Weak<Engine>>> = Arc::default();
    let context = Context {
        server_id: config.server_id,
        log: Arc::clone(log),
        connect: Box::new({
            let store = Arc::clone(store);
            move || store.connect()
        }),
        applies: Box::new({
            let late = Arc::clone(&late);
            move || {
                let engine = late.get().and_then(Weak::upgrade);
                let engine = engine.ok_or_else(|| SqlError::internal("the node is about to end"))?;
                Ok(Box::new(Session::new(engine, 0, "system user".to_owned(), false)?))
            }
        }),
        skip_errors: config.slave_skip_errors.clone(),
        relay_limit_bytes: config.relay_log_space_limit,
        delay_ms: (AtomicU64::new(0), AtomicU64::new(0)),
    };
    let links = Arc::new(Links::open(dir, Arc::new(context))?);
    let write_to = Arc::clone(store);
    let clients = Arc::<Clients>::default();
    let write: Box<Writes> = Box::new(move |work| write(&write_to, work));
    let admin = Arc::new(Admin::new(Arc::clone(&links), write, Arc::clone(&clients)));
    let engine = Arc::new(Engine {
        store: Arc::clone(store),
        log: Arc::<Binlog>::clone(log),
        variables: Arc::new(variables(config)),
        server_id: config.server_id,
        server_uuid: log.server_uuid().to_owned(),
        admin,
    });
    late.get_or_init(|| Arc::downgrade(&engine));
    Ok(Assembled { engine, clients, links })
}

/// The variables that the configuration decides.
fn variables(config: &Config) -> GlobalVariables {
    let variables = GlobalVariables::default();
    let switch = |on: bool| if on { "ON" } else { "OFF" }.to_owned();
    for (name, value) in [
        ("auto_increment_increment", config.auto_increment_increment.to_string()),
        ("auto_increment_offset", config.auto_increment_offset.to_string()),
        ("innodb_lock_wait_timeout", config.innodb_lock_wait_timeout.to_string()),
        ("innodb_flush_log_at_trx_commit", config.innodb_flush_log_at_trx_commit.to_string()),
        ("sync_binlog", config.sync_binlog.to_string()),
        ("max_allowed_packet", config.max_allowed_packet.to_string()),
        ("max_binlog_size", config.max_binlog_size.to_string()),
        ("max_connections", config.max_connections.to_string()),
        ("port", config.port.to_string()),
        ("read_only", switch(config.read_only)),
        ("log_bin_basename", config.log_bin.clone()),
        ("datadir", config.datadir.display().to_string()),
    ] {
        variables.set(name, &value);
    }
    variables
}

impl Log for Binlog {
    fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Gtid, SqlError> {
        Binlog::append(self, conn, gtid, server_id, committed_at_ms, body)
    }

    fn committed(&self) {
        Binlog::committed(self);
    }
}

impl Apply for Session {
    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError> {
        Session::apply(self, transaction, note)
    }
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
    let patience = Patience { wait: ADMIN_WRITE_WAIT, lease: ADMIN_WRITE_WAIT };
    let ticket = store.writer.acquire(Arc::new(Unmoved), patience)?;
    let result = conn.execute_batch("BEGIN IMMEDIATE").map_err(SqlError::from).and_then(|()| {
        work(&conn)?;
        Ok(conn.execute_batch("COMMIT")?)
    });
    drop(conn);
    store.writer.release(ticket);
    result
}

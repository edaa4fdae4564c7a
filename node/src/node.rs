//! A node, put together: folder, storage, log, engine, links, door.
//!
//! Started in that order and stopped in the other, so that nothing runs without what it needs. A node that is
//! dropped stops. Not here: signals and messages; whoever starts a node decides about those.

use crate::accounts::Accounts;
use crate::change::{Body, Change, Transaction};
use crate::config::ConfigError;
use crate::datadir::{Datadir, DatadirError};
use crate::replication::binlog::{self, Binlog};
use crate::replication::filters::Databases;
use crate::replication::link::{Apply, Calling, Context, Interrupt, Note, create_places};
use crate::replication::links::{Changes, Links, Threads};
use crate::replication::notices::Notices;
use crate::replication::statements::{ADMIN_WRITE_WAIT, Admin, Writes};
use crate::server::clients::Clients;
use crate::server::{Server, Shared};
use crate::session::{Engine, Log, Session};
use crate::storage::disk::{Disk, SyncLog};
use crate::storage::keeper::Keeper;
use crate::storage::pen::Fate;
use crate::storage::relay::Kept;
use crate::storage::writer_lock::{Extent, Patience, Unmoved};
use crate::storage::{Store, StoreOptions, Synchronous};
use crate::{Config, SqlError, live, tls};
use database::Gtid;
use rusqlite::Connection;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// Why a node does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is refused.
    Config(ConfigError),
    /// The folder cannot be used.
    Datadir(DatadirError),
    /// The files in it cannot be used.
    Storage(SqlError),
    /// The certificate cannot be read or made.
    Tls(String),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(error) => write!(f, "configuration: {error}"),
            StartError::Datadir(error) => write!(f, "{error}"),
            StartError::Storage(error) => write!(f, "cannot open the node's files: {}", error.message),
            StartError::Tls(why) => write!(f, "TLS: {why}"),
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
    store: Arc<Store>,
    log: Arc<Binlog>,
    over: (Mutex<bool>, Condvar),
    _keeper: Keeper,
    _datadir: Datadir,
}

impl Node {
    /// Starts a node.
    pub fn start(config: Config) -> Result<Node, StartError> {
        Node::start_with(config, Disk::sync_of)
    }

    /// Starts a node with a way of its own to sync its log: a seam for tests that cut the power.
    pub fn start_with(
        config: Config,
        sync_of: impl FnOnce(&Path) -> io::Result<SyncLog>,
    ) -> Result<Node, StartError> {
        config.validate().map_err(StartError::Config)?;
        let datadir = Datadir::take(&config.datadir).map_err(StartError::Datadir)?;
        let address = SocketAddr::new(config.bind_address, config.port);
        let listener = TcpListener::bind(address).map_err(|error| StartError::Listen(address, error))?;
        let assembled = Assembled::open(&config, datadir.path(), sync_of)?;
        let log = assembled.log;
        let files = tls::server::files(&config, datadir.path()).map_err(StartError::Tls)?;
        let offered = tls::server::config(&files).map_err(StartError::Tls)?;
        for (name, file) in
            [("ssl_cert", Some(&files.cert)), ("ssl_key", Some(&files.key)), ("ssl_ca", files.ca.as_ref())]
        {
            let path = file.map(|file| file.display().to_string()).unwrap_or_default();
            assembled.engine.variables.set(name, &path);
        }
        let variables = Arc::clone(&assembled.engine.variables);
        let shared = Shared::new(&config, assembled.engine, Arc::clone(&log), assembled.clients, offered)?;
        let shared = Arc::new(shared);
        let server = Server::start(listener, shared).map_err(|error| StartError::Listen(address, error))?;
        if config.report_port == 0 {
            let port = server.address().port();
            assembled.links.context().calling.report_port.store(port, Ordering::Relaxed);
            variables.set("report_port", &port.to_string());
        }
        let keeper = Keeper::start(&assembled.store)?;
        let node = Node {
            server,
            links: assembled.links,
            store: assembled.store,
            log,
            over: (Mutex::new(false), Condvar::new()),
            _keeper: keeper,
            _datadir: datadir,
        };
        node.begin_replication(&config)?;
        Ok(node)
    }

    /// What links have to say since this was asked last, oldest first; waits that long for something.
    #[must_use]
    pub fn next_notice(&self, wait: Duration) -> Option<String> {
        self.links.context().notices.next(wait)
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
            if !config.skip_slave_start {
                self.links.start(&name, Threads { receiver: true, applier: true })?;
            }
        }
        if config.skip_slave_start { Ok(()) } else { self.links.resume() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its identity in GTIDs.
    pub fn server_uuid(&self) -> &str {
        self.log.server_uuid()
    }

    /// Stops it: no new clients, links end, open transactions are rolled back. May be called again.
    pub fn stop(&self) {
        self.links.shutdown();
        self.server.stop();
        let before =
            std::mem::replace(&mut *self.over.0.lock().unwrap_or_else(PoisonError::into_inner), true);
        if !before {
            // A log without this last word is one of a node that was killed, and as good.
            let _ = write(&self.store, ADMIN_WRITE_WAIT, &|conn| self.log.end(conn));
        }
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

/// A node's files and what works on them: without a door, and with nothing running.
pub(crate) struct Assembled {
    pub(crate) store: Arc<Store>,
    pub(crate) log: Arc<Binlog>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) links: Arc<Links>,
}

impl Assembled {
    /// Opens the files in `dir`, creating what is missing; the log is synced in this way.
    pub(crate) fn open(
        config: &Config,
        dir: &Path,
        sync_of: impl FnOnce(&Path) -> io::Result<SyncLog>,
    ) -> Result<Assembled, SqlError> {
        let synchronous = if config.durable() { Synchronous::Full } else { Synchronous::Normal };
        let store = Arc::new(Store::open_with(dir, &StoreOptions { synchronous }, sync_of)?);
        let log = Arc::new(open_log(&store, config)?);
        assemble(config, dir, &store, &log)
    }
}

fn open_log(store: &Store, config: &Config) -> Result<Binlog, SqlError> {
    let conn = store.connect()?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let options = binlog::Options {
        base: config.log_bin.clone(),
        max_file_bytes: config.max_binlog_size,
        enabled: !config.skip_log_bin,
        log_replica_updates: config.log_slave_updates,
        databases: Databases::new(&config.binlog_do_db, &config.binlog_ignore_db),
        expire_seconds: config.binlog_expire_logs_seconds,
    };
    let log = Binlog::open_with(&conn, options)?;
    log.begin(&conn)?;
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
            let (late, errors) = (Arc::clone(&late), config.slave_skip_errors.clone());
            move || {
                let engine = late.get().and_then(Weak::upgrade);
                let engine = engine.ok_or_else(|| SqlError::internal("the node is about to end"))?;
                let session = Session::new(engine, 0, "system user".to_owned(), false)?;
                let session = session.passing_over(errors.clone());
                Ok(Box::new(Applying { kept: session.kept(), session, left: Vec::new() }))
            }
        }),
        skip_errors: config.slave_skip_errors.clone(),
        filters: config.filters().map_err(SqlError::internal)?,
        gtid_mode: config.gtid_mode,
        relay_log: config.relay_log.clone(),
        read_lock: Arc::clone(&store.read_lock),
        relay_limit_bytes: config.relay_log_space_limit,
        delay_ms: (AtomicU64::new(0), AtomicU64::new(0)),
        calling: Calling {
            net_timeout_s: AtomicU64::new(config.slave_net_timeout.into()),
            report_host: config.report_host.clone(),
            report_port: AtomicU16::new(config.report_port),
        },
        notices: Notices::default(),
    };
    let links = Arc::new(Links::open(dir, Arc::new(context))?);
    let write_to = Arc::clone(store);
    let clients = Arc::<Clients>::default();
    let write: Box<Writes> = Box::new(move |wait, work| write(&write_to, wait, work));
    let admin = Arc::new(Admin::new(Arc::clone(&links), write, Arc::clone(&clients)));
    let accounts = Arc::new(Accounts::new(&config.users));
    accounts.reload(&store.connect()?)?;
    let engine = Arc::new(Engine {
        store: Arc::clone(store),
        log: Arc::<Binlog>::clone(log),
        variables: Arc::new(live::variables(config, store, links.context())),
        server_id: config.server_id,
        server_uuid: log.server_uuid().to_owned(),
        admin,
        accounts,
        counters: Arc::default(),
    });
    late.get_or_init(|| Arc::downgrade(&engine));
    Ok(Assembled { store: Arc::clone(store), log: Arc::clone(log), engine, clients, links })
}

impl Log for Binlog {
    fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Option<Gtid>, SqlError> {
        Binlog::append(self, conn, gtid, server_id, committed_at_ms, body)
    }

    fn touched(&self, conn: &Connection, changes: &[Change]) -> Result<(), SqlError> {
        Binlog::touched(self, conn, changes)
    }

    fn committed(&self) {
        Binlog::committed(self);
    }
}

/// The session of an applier, and the turn that it keeps during a run.
struct Applying {
    session: Session,
    kept: Kept,
    left: Vec<Arc<Fate>>,
}

impl Apply for Applying {
    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError> {
        self.session.apply(transaction, note)
    }

    fn join(&mut self, transaction: &Transaction, note: Note<'_>, more: bool) -> Result<bool, SqlError> {
        let fate = self.session.apply_in_turn(transaction, note, &mut self.kept, more)?;
        let is_left = fate.is_some();
        self.left.extend(fate);
        Ok(is_left)
    }

    fn end_run(&mut self) -> Result<(), SqlError> {
        self.kept.end();
        let decided = self.left.drain(..).try_for_each(|fate| fate.wait().map(drop));
        self.session.applied();
        decided
    }

    fn settle(&mut self) -> Result<(), SqlError> {
        self.session.settle()
    }

    fn stopper(&self) -> Interrupt {
        let stopper = self.session.stopper();
        Box::new(move || stopper.stop())
    }
}

/// Runs one write under the writer's lock, in a transaction of its own. It is one statement long, so nobody may end it before.
fn write(
    store: &Store,
    wait: Duration,
    work: &dyn Fn(&Connection) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let patience = Patience { wait, lease: ADMIN_WRITE_WAIT, ahead: false, extent: Extent::Unknown };
    let _turn = store.writer.turn(Arc::new(Unmoved), patience)?;
    // Closed, and so rolled back, before the turn is over.
    let conn = store.connect()?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    work(&conn)?;
    Ok(conn.execute_batch("COMMIT")?)
}

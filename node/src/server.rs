//! The node's door: listens, lets clients in, gives each a thread, and closes at the end.
//!
//! A client is known by its connection id from its first byte to its last, so that it can be killed and counted. The
//! number of clients is bounded; one too many is told so (1040) before it costs a thread. Stopping closes every
//! stream: threads that wait for a client wake up, and what they had not committed is rolled back. Not here: what a command does
//! (`connection`).

pub mod clients;
mod connection;
mod login;
mod scribe;

use self::clients::Clients;
use self::scribe::Scribe;
use crate::protocol::packets::PacketWriter;
use crate::protocol::results::put_error;
use crate::replication::binlog::Binlog;
use crate::session::Engine;
use crate::{Config, SqlError};
use rusqlite::Connection;
use rustls::ServerConfig;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A client's thread has this much stack: an expression can nest deeply.
const STACK_BYTES: usize = 16 << 20;
/// How long stopping waits for the clients' threads.
const STOP_SECONDS: u64 = 10;
/// The wait after an accept that failed (too many open files), so that it does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The length of the key by which a name is hashed, in bytes.
const KEY_BYTES: usize = 32;

/// What every client's thread shares.
pub struct Shared {
    /// The SQL engine.
    pub engine: Arc<Engine>,
    /// The log that replicas read.
    pub log: Arc<Binlog>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// Writes for clients that would have to wait.
    scribe: Scribe,
    /// What the port offers of TLS.
    tls: Arc<ServerConfig>,
    /// Whether a client has to use it.
    only_tls: bool,
    max_packet_bytes: usize,
    max_clients: usize,
    next_id: AtomicU32,
    stopping: AtomicBool,
    /// SQLite's source of random bytes, for salts.
    random: Mutex<Connection>,
    /// Decides how users log in that there are not. New with each start.
    key: [u8; KEY_BYTES],
}

impl Shared {
    /// What clients share, before the first one comes.
    pub fn new(
        config: &Config,
        engine: Arc<Engine>,
        log: Arc<Binlog>,
        clients: Arc<Clients>,
        tls: Arc<ServerConfig>,
    ) -> Result<Shared, SqlError> {
        let random = Connection::open_in_memory()?;
        let key = random.query_row("SELECT randomblob(32)", [], |row| row.get(0))?;
        let scribe =
            Scribe::start().map_err(|error| SqlError::internal(format!("cannot start a thread: {error}")))?;
        Ok(Shared {
            key,
            scribe,
            engine,
            log,
            clients,
            tls,
            only_tls: config.require_secure_transport,
            max_packet_bytes: config.max_allowed_packet,
            max_clients: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            next_id: AtomicU32::new(1),
            stopping: AtomicBool::new(false),
            random: Mutex::new(random),
        })
    }

    /// Whether the node is about to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The text of COM_STATISTICS.
    fn statistics(&self) -> String {
        format!(
            "Uptime: {}  Threads: {}  Questions: {}  Slow queries: 0",
            self.engine.counters.uptime(),
            self.clients.count(),
            self.engine.counters.questions.load(Ordering::Relaxed)
        )
    }
}

/// A client's place; given back when its thread ends, even by a panic.
struct Seat<'a> {
    clients: &'a Clients,
    id: u32,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.clients.leave(self.id);
    }
}

/// The listening thread.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Begins to listen and to serve.
    pub fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let thread = std::thread::Builder::new().name("listener".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || listen(&listener, &shared)
        })?;
        Ok(Server { shared, address, listening: Mutex::new(Some(thread)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the door and every connection, and waits (bounded) until the clients' threads are gone.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = listening {
            // The listener waits in accept: a connection of our own wakes it.
            let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            let _ = thread.join(); // one that panicked is gone too
        }
        self.shared.log.close();
        self.shared.clients.end_all(Duration::from_secs(STOP_SECONDS));
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_stopping() {
        match listener.accept() {
            Ok(_) if shared.is_stopping() => return,
            Ok((stream, peer)) => {
                // Where no thread or no handle is left, the client sees its connection closed.
                let _: io::Result<()> = admit(shared, stream, peer);
            }
            Err(_) => std::thread::sleep(ACCEPT_RETRY),
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
    shared.engine.counters.connections.fetch_add(1, Ordering::Relaxed);
    if !shared.clients.enter(id, &stream, peer, shared.max_clients)? {
        let mut packets = PacketWriter::new(stream);
        put_error(packets.open(), &SqlError::new(1040, "08004", "Too many connections"));
        packets.finish()?;
        return packets.flush();
    }
    let most = u64::try_from(shared.clients.count()).unwrap_or(u64::MAX);
    shared.engine.counters.max_used_connections.fetch_max(most, Ordering::Relaxed);
    let for_thread = Arc::clone(shared);
    let spawned =
        std::thread::Builder::new().name(format!("client {id}")).stack_size(STACK_BYTES).spawn(move || {
            let _seat = Seat { clients: &for_thread.clients, id };
            connection::serve(&for_thread, stream, peer, id);
        });
    if spawned.is_err() {
        shared.clients.leave(id);
    }
    spawned.map(drop)
}

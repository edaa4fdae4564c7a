//! Who is connected, what they are doing, and how to end it.
//!
//! A client has its place here from its first byte to its last. The place holds a second handle of its stream and,
//! once it is logged in, a handle of its session, so that another client or the node's end can stop it. Invariant:
//! there are never more places than the limit.

use crate::accounts::secrets::hidden;
use crate::replication::client::Registration;
use crate::session::Stopper;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of a statement is kept for SHOW FULL PROCESSLIST, in bytes.
const STATEMENT_BYTES: usize = 1024;

/// Tells of the client at the other end whether it has hung up, while a thread waits for something else on its behalf.
pub fn hung_up(stream: &TcpStream) -> io::Result<Box<dyn Fn() -> bool + Send>> {
    let stream = stream.try_clone()?;
    Ok(Box::new(move || is_closed(&stream)))
}

/// Whether the other end has closed the connection. Takes nothing of what it has sent, and waits for nothing: another thread may read at the
/// same time.
fn is_closed(stream: &TcpStream) -> bool {
    match recv(stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, bytes)) => bytes == 0,
        Err(error) => !matches!(error, Errno::AGAIN | Errno::INTR),
    }
}

/// What a client is doing.
#[derive(Clone, Debug)]
pub struct Doing {
    /// `Query`, `Sleep`, …
    pub command: &'static str,
    /// Since when.
    pub since: Instant,
    /// Its database, or empty.
    pub database: String,
    /// More of it, in MySQL's words, or empty.
    pub state: &'static str,
    /// The beginning of its statement, or empty.
    pub statement: String,
}

impl Doing {
    /// From this moment on it does this.
    #[must_use]
    pub fn now(command: &'static str, database: &str, state: &'static str, statement: &[u8]) -> Doing {
        let shown = &statement[..statement.len().min(STATEMENT_BYTES)];
        let statement = hidden(&String::from_utf8_lossy(shown)).into_owned();
        Doing { command, since: Instant::now(), database: database.to_owned(), state, statement }
    }
}

/// A client as SHOW PROCESSLIST shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its connection id.
    pub id: u32,
    /// Its account.
    pub user: String,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it is doing.
    pub doing: Doing,
}

struct Place {
    stream: TcpStream,
    stopper: Option<Stopper>,
    replica: Option<(u32, Registration)>,
    shown: Shown,
}

/// The clients' places.
#[derive(Default)]
pub struct Clients {
    places: Mutex<BTreeMap<u32, Place>>,
    left: Condvar,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a client a place. False if there are `limit` already.
    pub(super) fn enter(
        &self,
        id: u32,
        stream: &TcpStream,
        peer: SocketAddr,
        limit: usize,
    ) -> io::Result<bool> {
        let mut places = self.lock();
        if places.len() >= limit {
            return Ok(false);
        }
        let doing = Doing::now("Connect", "", "login", b"");
        let shown = Shown { id, user: "unauthenticated user".to_owned(), peer, doing };
        places.insert(id, Place { stream: stream.try_clone()?, stopper: None, replica: None, shown });
        Ok(true)
    }

    pub(super) fn leave(&self, id: u32) {
        self.lock().remove(&id);
        self.left.notify_all();
    }

    /// The client has logged in.
    pub(super) fn logged_in(&self, id: u32, user: &str, stopper: Stopper) {
        if let Some(place) = self.lock().get_mut(&id) {
            place.stopper = Some(stopper);
            user.clone_into(&mut place.shown.user);
        }
    }

    /// The client does something else now.
    pub(super) fn does(&self, id: u32, doing: Doing) {
        if let Some(place) = self.lock().get_mut(&id) {
            place.shown.doing = doing;
        }
    }

    /// The client is a replica with this server id, and says this of itself.
    pub(super) fn replicates(&self, id: u32, server_id: u32, says: Registration) {
        if let Some(place) = self.lock().get_mut(&id) {
            place.replica = Some((server_id, says));
        }
    }

    /// Who the client is, if there is one of that number.
    pub(super) fn user_of(&self, id: u32) -> Option<String> {
        self.lock().get(&id).map(|place| place.shown.user.clone())
    }

    /// Stops what a client runs; with `connection` the client itself too. False if there is no such client.
    pub(super) fn kill(&self, id: u32, connection: bool) -> bool {
        let places = self.lock();
        let place = places.get(&id);
        if let Some(place) = place {
            place.end(connection);
        }
        place.is_some()
    }

    /// Ends every client and waits until they are gone, or for `timeout`.
    pub(super) fn end_all(&self, timeout: Duration) {
        let places = self.lock();
        places.values().for_each(|place| place.end(true));
        drop(self.left.wait_timeout_while(places, timeout, |places| !places.is_empty()));
    }

    /// Whether a client has closed its connection while its statement runs.
    pub fn is_gone(&self, id: u32) -> bool {
        self.lock().get(&id).is_some_and(|place| is_closed(&place.stream))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them.
    pub fn list(&self) -> Vec<Shown> {
        self.lock().values().map(|place| place.shown.clone()).collect()
    }

    /// The replicas that read the log: server id, and who they are. One that names no host has the address that it
    /// comes from.
    pub fn replicas(&self) -> Vec<(u32, Registration)> {
        let known = |place: &Place| {
            let (server_id, mut replica) = place.replica.clone()?;
            if replica.host.is_empty() {
                replica.host = place.shown.peer.ip().to_string();
            }
            Some((server_id, replica))
        };
        self.lock().values().filter_map(known).collect()
    }
}

impl Place {
    fn end(&self, connection: bool) {
        if connection {
            let _ = self.stream.shutdown(Shutdown::Both); // it may be closed already
        }
        if let Some(stopper) = &self.stopper {
            stopper.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_clients_shows_no_password() {
        let shown = |sql: &str| Doing::now("Query", "", "", sql.as_bytes()).statement;
        let clone = "clone instance from 'a'@'b':1 identified by 'p'";
        assert_eq!(shown(clone), "clone instance from 'a'@'b':1 identified <secret>");
        let change = "CHANGE MASTER TO MASTER_HOST='b', MASTER_PASSWORD='p', MASTER_PORT=1";
        assert_eq!(shown(change), "CHANGE MASTER TO MASTER_HOST='b', MASTER_PASSWORD <secret>");
        assert_eq!(shown("SELECT password FROM t"), "SELECT password FROM t");
    }
}

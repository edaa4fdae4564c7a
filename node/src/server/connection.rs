//! One client: reads its commands, runs them in its session, writes the answers.
//!
//! Everything that a client can send gets an answer of the protocol or ends the connection; nothing of it can
//! harm another client. A result is streamed: the session writes rows into the connection's buffer while it reads them. When
//! the thread ends the session goes with it, and with it what was not committed.

mod errands;
mod prepared;
mod streams;

use super::Shared;
use super::clients::{self, Doing};
use super::login::{Door, Entered};
use super::scribe::Job;
use crate::SqlError;
use crate::accounts::privileges::Privilege;
use crate::accounts::rights::Client as Who;
use crate::protocol::handshake::{self, Login, SALT_BYTES};
use crate::protocol::packets::{PacketError, PacketReader, PacketWriter};
use crate::protocol::parameters::Parameters;
use crate::protocol::results::{ResultWriter, put_eof, put_error, put_ok};
use crate::protocol::wire::Fields;
use crate::protocol::{capability, command, split};
use crate::results::{Done, Sink};
use crate::session::{ExecError, Session};
use crate::tls::Stream;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

/// How long a login may take, from the first byte to the last, with the handshake of TLS in it.
const LOGIN_TIME: Duration = Duration::from_secs(10);
/// The longest packet of a client that has not logged in: who is not known yet takes no more memory than this.
const LOGIN_PACKET_BYTES: usize = 64 << 10;
/// How long a client may be silent (wait_timeout).
const IDLE_SECONDS: u64 = 28_800;
/// How long a client may leave its results unread (net_write_timeout).
const UNREAD_SECONDS: u64 = 600;

/// Serves a client to its end.
pub(super) fn serve(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr, id: u32) {
    // The client is gone or spoke another language: in both cases there is nobody to tell.
    let _: Result<(), PacketError> = begin(shared, stream, peer, id);
}

fn begin(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr, id: u32) -> Result<(), PacketError> {
    let stream = Stream::from(stream);
    stream.set_deadline(Some(Instant::now() + LOGIN_TIME));
    stream.set_write_timeout(Some(LOGIN_TIME))?;
    let mut reader = PacketReader::new(stream.try_clone()?, LOGIN_PACKET_BYTES.min(shared.max_packet_bytes));
    let mut packets = PacketWriter::new(stream);
    let mut door = Door { shared, reader: &mut reader, packets: &mut packets, peer };
    let Some(Entered { login, who, salt }) = door.login(id)? else { return Ok(()) };
    reader.set_limit(shared.max_packet_bytes);
    let found_rows = login.capabilities & capability::FOUND_ROWS != 0;
    let session =
        Session::new(Arc::clone(&shared.engine), id, format!("{}@{}", who.user, who.host), found_rows);
    let (home, returns) = mpsc::sync_channel(1);
    let mut client = Box::new(Client {
        shared: Arc::clone(shared),
        packets,
        id,
        session: match session {
            Ok(session) => session,
            Err(_) => return Ok(()),
        },
        multi: login.capabilities & capability::MULTI_STATEMENTS != 0,
        capabilities: login.capabilities,
        salt,
        prepared: BTreeMap::new(),
        counted: 0,
        killed: false,
        home,
    });
    client.packets.hold(client.session.barrier());
    if !client.welcome(login, who)? {
        return Ok(());
    }
    reader.inner().set_deadline(None);
    reader.inner().set_read_timeout(Some(Duration::from_secs(IDLE_SECONDS)))?;
    reader.inner().set_write_timeout(Some(Duration::from_secs(UNREAD_SECONDS)))?;
    converse(&mut reader, peer, Home { client: Some(client), returns })
}

/// Reads a client's commands and has them done, until it goes.
fn converse(reader: &mut PacketReader<Stream>, peer: SocketAddr, mut here: Home) -> Result<(), PacketError> {
    loop {
        let command = match reader.command() {
            Ok(None) => return Ok(()),
            Ok(Some(command)) => Some(command),
            Err(PacketError::TooLarge(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(mut client) = here.taken() else { return Ok(()) };
        if client.shared.is_stopping() {
            return Ok(());
        }
        let Some((sequence, payload)) = command else { return Ok(client.too_large()?) };
        client.packets.set_sequence(sequence);
        client.received(payload.len());
        client.session.tells();
        let goes_on = match payload.split_first() {
            Some((&command::CHANGE_USER, rest)) => {
                match handshake::read_change_user(rest, client.capabilities) {
                    Ok(login) => client.change_user(reader, peer, login)?,
                    Err(_) => client.command(&[])?,
                }
            }
            _ => client.command(payload)?,
        };
        if let Some(errand) = client.session.errand() {
            let shared = Arc::clone(&client.shared);
            shared.scribe.take(Job::new(client, errand, sequence));
            continue;
        }
        if !goes_on {
            return Ok(());
        }
        client.finish()?;
        here.client = Some(client);
    }
}

/// Where a client is between two commands: with the thread that reads them, or on its way back from the scribe.
struct Home {
    client: Option<Box<Client>>,
    returns: Receiver<Box<Client>>,
}

impl Home {
    /// The client; one that is under way is waited for. None if it is lost.
    fn taken(&mut self) -> Option<Box<Client>> {
        self.client.take().or_else(|| self.returns.recv().ok())
    }
}

impl Drop for Home {
    /// The thread of a client ends with the client, and not before.
    fn drop(&mut self) {
        drop(self.taken());
    }
}

/// A client that has logged in.
pub(super) struct Client {
    shared: Arc<Shared>,
    packets: PacketWriter<Stream>,
    id: u32,
    session: Session,
    multi: bool,
    /// What it has said at its login that it can do.
    capabilities: u32,
    /// Its greeting's.
    salt: [u8; SALT_BYTES],
    prepared: BTreeMap<u32, Parameters>,
    /// How many of the bytes that went out are counted.
    counted: u64,
    /// It has killed itself: what it is told of that is the last.
    killed: bool,
    /// The way back to the thread that reads its commands.
    home: SyncSender<Box<Client>>,
}

impl Client {
    /// Begins the session of who was let in. False if it ended there, because the database is not for it.
    fn welcome(&mut self, login: Login, who: Who) -> io::Result<bool> {
        self.session.log_in(who, self.packets.inner().agreed().cloned());
        let stream = self.packets.inner().tcp();
        self.session.watch(clients::hung_up(stream)?);
        self.shared.clients.logged_in(self.id, &login.user, self.session.stopper());
        let used = login.database.map_or(Ok(()), |name| self.session.use_database(&name));
        let welcome = used.is_ok();
        self.answer(used)?;
        Ok(welcome)
    }

    /// Another user on the same connection. What the one before has left open is gone before anything is asked of the next.
    /// False if the connection ends, as it does for who is refused.
    fn change_user(
        &mut self,
        reader: &mut PacketReader<Stream>,
        peer: SocketAddr,
        login: Login,
    ) -> Result<bool, PacketError> {
        self.prepared.clear();
        self.session.reset();
        let mut door = Door { shared: &self.shared, reader, packets: &mut self.packets, peer };
        let Some(who) = door.admit(&login, &self.salt)? else { return Ok(false) };
        self.session.change_user(format!("{}@{}", who.user, who.host));
        Ok(self.welcome(login, who)?)
    }

    /// Runs one command. False if it was the last one.
    fn command(&mut self, payload: &[u8]) -> Result<bool, PacketError> {
        let Some((&kind, rest)) = payload.split_first() else {
            self.error(&SqlError::new(1835, "HY000", "Malformed communication packet."))?;
            return Ok(false);
        };
        match kind {
            command::QUIT => return Ok(false),
            command::QUERY => self.query(rest)?,
            command::INIT_DB => {
                let used = self.session.use_database(&String::from_utf8_lossy(rest));
                self.answer(used)?;
            }
            command::REFRESH => self.refresh(rest.first().copied().unwrap_or(0))?,
            command::PING => self.answer(Ok(()))?,
            command::STATISTICS => self.packets.packet(self.shared.statistics().as_bytes())?,
            command::PROCESS_KILL => {
                let id = Fields::new(rest).u32()?;
                let result = self.kill(id, true);
                self.answer(result)?;
            }
            command::STMT_PREPARE => self.prepare(rest)?,
            command::STMT_EXECUTE => self.execute(rest)?,
            command::STMT_SEND_LONG_DATA => self.long_data(rest)?,
            command::STMT_CLOSE => self.close_statement(Fields::new(rest).u32()?),
            command::STMT_RESET => self.reset_statement(Fields::new(rest).u32()?)?,
            command::SET_OPTION => {
                self.multi = Fields::new(rest).u16()? == 0;
                put_eof(self.packets.open(), 0, self.session.status());
                self.packets.finish()?;
            }
            command::RESET_CONNECTION => {
                self.prepared.clear();
                self.session.reset();
                self.answer(Ok(()))?;
            }
            command::BINLOG_DUMP_GTID => {
                self.dump(rest)?;
                return Ok(false);
            }
            command::CLONE => {
                self.send_snapshot(rest)?;
                return Ok(false);
            }
            command::FIELD_LIST => self.error(&SqlError::unsupported("COM_FIELD_LIST"))?,
            _ => self.error(&SqlError::new(1047, "08S01", "Unknown command"))?,
        }
        if self.killed {
            self.packets.flush()?;
        }
        Ok(!self.killed)
    }

    /// What `mariadb-dump --flush-logs` and `mariadb-admin refresh` ask for: of several bits what means most here; of the others there is nothing to do.
    fn refresh(&mut self, what: u8) -> Result<(), PacketError> {
        const GRANT: u8 = 1;
        const LOG: u8 = 2;
        const REPLICA: u8 = 64;
        const SOURCE: u8 = 128;
        match what {
            _ if what & (REPLICA | SOURCE) != 0 => self.error(&SqlError::unsupported("COM_REFRESH"))?,
            _ if what & LOG != 0 => self.query(b"FLUSH LOGS")?,
            _ if what & GRANT != 0 => self.query(b"FLUSH PRIVILEGES")?,
            _ => self.query(b"FLUSH TABLES")?,
        }
        Ok(())
    }

    /// Counts a command. Bytes of the login are not counted, nor the headers of what is beyond 16 MiB.
    fn received(&self, payload: usize) {
        let bytes = u64::try_from(payload + 4).unwrap_or(u64::MAX);
        for counters in [&*self.shared.engine.counters, self.session.counters()] {
            counters.questions.fetch_add(1, Ordering::Relaxed);
            counters.bytes_received.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Refuses a command that is too long to be read; the connection ends.
    fn too_large(&mut self) -> io::Result<()> {
        self.packets.set_sequence(1);
        let message = "Got a packet bigger than 'max_allowed_packet' bytes";
        self.error(&SqlError::new(1153, "08S01", message))?;
        self.packets.flush()
    }

    /// The answer to a command goes out.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.packets.flush()?;
        self.rest();
        Ok(())
    }

    /// The answer to a command is out.
    fn rest(&mut self) {
        self.sent();
        self.does("Sleep", "", b"");
    }

    /// Counts what went out since it was counted before.
    fn sent(&mut self) {
        let bytes = self.packets.sent() - std::mem::replace(&mut self.counted, self.packets.sent());
        for counters in [&*self.shared.engine.counters, self.session.counters()] {
            counters.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Shows what this client is doing.
    fn does(&self, command: &'static str, state: &'static str, statement: &[u8]) {
        self.shared.clients.does(self.id, Doing::now(command, self.session.database(), state, statement));
    }

    /// OK or ERR.
    fn answer(&mut self, result: Result<(), SqlError>) -> io::Result<()> {
        match result {
            Ok(()) => {
                put_ok(self.packets.open(), &Done::default(), self.session.status());
                self.packets.finish()?;
            }
            Err(error) => self.error(&error)?,
        }
        self.packets.flush()
    }

    fn error(&mut self, error: &SqlError) -> io::Result<()> {
        put_error(self.packets.open(), error);
        self.packets.finish()
    }

    /// The end of a statement: `false` if the rest of its text must not run.
    fn ended(&mut self, result: Result<(), ExecError>) -> io::Result<bool> {
        match result {
            Ok(()) => Ok(true),
            Err(ExecError::Sql(error)) => self.error(&error).map(|()| false),
            Err(ExecError::Client(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.error(&SqlError::internal(error)).map(|()| false)
            }
            Err(ExecError::Client(error)) => Err(error),
        }
    }

    fn query(&mut self, text: &[u8]) -> io::Result<()> {
        let statements = split::statements(text);
        if statements.is_empty() {
            if matches!(text.trim_ascii().first(), Some(b'-' | b'#' | b'/')) {
                return self.answer(Ok(())); // only a comment: nothing to do, as in MySQL
            }
            return self.error(&SqlError::new(1065, "42000", "Query was empty"));
        }
        if statements.len() > 1 && !self.multi {
            return self.error(&SqlError::syntax(
                "You have an error in your SQL syntax: this connection did not ask for several statements at once",
            ));
        }
        let last = statements.len() - 1;
        self.may_leave(last == 0);
        for (n, statement) in statements.into_iter().enumerate() {
            let to_kill = killed(statement).map(|(id, connection)| self.kill(id, connection));
            if to_kill.is_none() {
                self.session.ready();
                self.does("Query", "executing", statement);
            }
            let status = self.session.status();
            let mut result = ResultWriter::new(&mut self.packets, false, n < last);
            let outcome = match to_kill {
                Some(Ok(())) => result.ok(&Done::default(), status).map_err(ExecError::Client),
                Some(Err(error)) => Err(error.into()),
                None => self.session.execute(statement, &mut result),
            };
            if !self.ended(outcome)? {
                break;
            }
        }
        Ok(())
    }

    /// Stops another client, or this one, which then is told so as by MariaDB.
    fn kill(&mut self, id: u32, connection: bool) -> Result<(), SqlError> {
        let rights = self.session.rights();
        let anybody = rights.any(&[Privilege::Super, Privilege::ConnectionAdmin]).is_ok();
        match self.shared.clients.user_of(id) {
            None => Err(SqlError::new(1094, "HY000", format!("Unknown thread id: {id}"))),
            Some(_) if id == self.id && connection => {
                self.killed = true;
                Err(SqlError::new(1927, "70100", "Connection was killed"))
            }
            Some(_) if id == self.id => Err(SqlError::interrupted()),
            Some(user) if anybody || user == rights.user() => {
                self.shared.clients.kill(id, connection);
                Ok(())
            }
            Some(_) => Err(SqlError::new(1095, "HY000", format!("You are not owner of thread {id}"))),
        }
    }
}

/// `KILL [CONNECTION | QUERY] id`: whom, and whether the connection too or only what it runs.
fn killed(statement: &[u8]) -> Option<(u32, bool)> {
    let text = std::str::from_utf8(statement).ok()?;
    let mut words = text.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("KILL") {
        return None;
    }
    let mut last = words.next()?;
    let query = last.eq_ignore_ascii_case("QUERY");
    if query || last.eq_ignore_ascii_case("CONNECTION") {
        last = words.next()?;
    }
    if words.next().is_some() { None } else { Some((last.parse().ok()?, !query)) }
}

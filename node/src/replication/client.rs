//! The replica's side of a link's connection: a small client of MySQL's protocol.
//!
//! It logs in, asks the source who it is, asks for the log, and reads messages. The question who it is comes
//! first because only an evensum node can answer it: a real MySQL server says so with an error, before any log
//! is asked for. Every read and write has a time-out.

use super::position::LogPosition;
use super::record::{LINK_VERSION, Message, read_message};
use crate::accounts::password::{Plugin, sha2_proof};
use crate::protocol::command;
use crate::protocol::handshake;
use crate::protocol::packets::{PacketError, PacketReader, PacketWriter};
use crate::protocol::wire::{Fields, Malformed, put_bytes};
use crate::tls::Stream;
use crate::tls::link::LinkTls;
use database::{GtidSet, Secret};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long connecting may take.
const CONNECT_SECONDS: u64 = 5;
/// How long the source may be silent unless `slave_net_timeout` says otherwise: ten of its heartbeats, which come each second.
pub const SILENCE: Duration = Duration::from_secs(10);
/// The longest name that a replica or a source gives of itself, in bytes: that of a host, as in MySQL.
const NAME_BYTES: usize = 255;
/// The longest message: as the protocol's own bound.
const MESSAGE_BYTES: usize = 1 << 30;
/// The longest packet of a source that has not let this node in yet, and so may be anybody.
const LOGIN_BYTES: usize = 64 * 1024;

/// The most packets of a source in one login.
const MAX_LOGIN_STEPS: usize = 8;

/// The question that only an evensum node answers.
pub const WHO_QUERY: &str = "SELECT @@evensum_link_version, @@server_id, @@server_uuid";
/// What it calls its log's files; a node that does not know the question has no such name.
const BASE_QUERY: &str = "SELECT @@log_bin_basename";
/// The columns of the answer to who it is.
const WHO_COLUMNS: u64 = 3;
/// In a request for the log: send what is not in the set, wherever that begins.
pub const AUTO_POSITION: u16 = 4;
/// In a request for the log: the replica has read to this place itself. A source that does not know this passes over it.
const READS_ON: u16 = 1 << 15;

/// Why a link broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkError {
    /// MySQL's number.
    pub code: u16,
    /// What happened.
    pub message: String,
    /// Whether trying again is useless.
    pub fatal: bool,
    /// Whether the source was silent for too long.
    pub silent: bool,
}

impl LinkError {
    /// An error that another try may not meet.
    pub fn passing(code: u16, message: impl Into<String>) -> LinkError {
        LinkError { code, message: message.into(), fatal: false, silent: false }
    }

    /// An error that stays until somebody acts.
    pub fn fatal(code: u16, message: impl Into<String>) -> LinkError {
        LinkError { code, message: message.into(), fatal: true, silent: false }
    }
}

impl From<PacketError> for LinkError {
    fn from(error: PacketError) -> LinkError {
        let waited = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        let silent = matches!(&error, PacketError::Io(error) if waited.contains(&error.kind()));
        let lost = LinkError::passing(2013, format!("Lost connection to source: {error}"));
        LinkError { silent, ..lost }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::from(PacketError::Io(error))
    }
}

impl From<Malformed> for LinkError {
    fn from(_: Malformed) -> LinkError {
        LinkError::passing(2027, "Malformed packet from source")
    }
}

/// Who the source is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceIdentity {
    /// Its `server_id`.
    pub server_id: u32,
    /// Its `server_uuid`.
    pub server_uuid: String,
    /// The base name of its log's files; empty if it is not known.
    pub log_base: String,
}

/// A connection to a source.
#[derive(Debug)]
pub struct SourceClient {
    reader: PacketReader<Stream>,
    writer: PacketWriter<Stream>,
    version: String,
}

impl SourceClient {
    /// Connects; the login comes next.
    pub fn open_stream(host: &str, port: u16) -> Result<TcpStream, LinkError> {
        let unreachable = |why: String| {
            LinkError::passing(2003, format!("Can't connect to MySQL server on '{host}:{port}' ({why})"))
        };
        let addresses = (host, port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
        let mut last = "no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs(CONNECT_SECONDS)) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.to_string(),
            }
        }
        Err(unreachable(last))
    }

    /// Logs in over a fresh stream to that host. A source that is silent for longer than that, now or later, is gone.
    pub fn login(
        stream: TcpStream,
        host: &str,
        user: &str,
        password: &Secret,
        tls: &LinkTls,
        silence: Duration,
    ) -> Result<SourceClient, LinkError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(silence))?;
        stream.set_write_timeout(Some(silence))?;
        let stream = Stream::from(stream);
        let mut reader = PacketReader::new(stream.try_clone()?, LOGIN_BYTES);
        let writer = PacketWriter::new(stream);
        let greeting = handshake::read_greeting(expect(&mut reader)?)?;
        let mut client = SourceClient { reader, writer, version: greeting.version };
        client.writer.set_sequence(client.reader.sequence());
        if tls.on {
            client.go_on_encrypted(greeting.tls, host, tls)?;
        }
        client.say(&handshake::login(user, &handshake::proof(password, &greeting.salt)))?;
        client.prove(password, tls.on)?;
        client.reader.set_limit(MESSAGE_BYTES);
        Ok(client)
    }

    fn go_on_encrypted(&mut self, offered: bool, host: &str, tls: &LinkTls) -> Result<(), LinkError> {
        let failed = |why: String| LinkError::passing(2026, format!("SSL connection error: {why}"));
        if !offered {
            return Err(failed("SSL is required, but the server does not support it".to_owned()));
        }
        let (config, name) = (tls.config().map_err(failed)?, LinkTls::name(host).map_err(failed)?);
        self.writer.packet(&handshake::tls_request())?;
        self.writer.flush()?;
        // A server says nothing between its greeting and TLS: what it said nevertheless is not for us.
        let stream = self.writer.inner().connect(config, name, Vec::new());
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        self.reader.replace(stream.try_clone()?);
        self.writer.replace(stream);
        Ok(())
    }

    /// Sends a packet of the login; the answer carries the next sequence number.
    fn say(&mut self, packet: &[u8]) -> Result<(), LinkError> {
        self.writer.packet(packet)?;
        self.writer.flush()?;
        self.reader.set_sequence(self.writer.sequence());
        Ok(())
    }

    /// Proves the password as the source asks for it, until it says OK.
    fn prove(&mut self, password: &Secret, encrypted: bool) -> Result<(), LinkError> {
        for _ in 0..MAX_LOGIN_STEPS {
            let answer = expect(&mut self.reader)?.to_vec();
            let reply = match answer.as_slice() {
                [0, ..] => return Ok(()),
                [0xfe, switch @ ..] => proof_of(switch, password)?,
                // The short proof was enough; OK comes next.
                [1, 3] => continue,
                [1, 4] if encrypted => [password.reveal().as_bytes(), &[0]].concat(),
                [1, 4] => {
                    return Err(LinkError::passing(
                        2061,
                        "Authentication plugin 'caching_sha2_password' reported error: Authentication requires secure \
                         connection.",
                    ));
                }
                _ => return Err(Malformed.into()),
            };
            self.writer.set_sequence(self.reader.sequence());
            self.say(&reply)?;
        }
        Err(Malformed.into())
    }

    /// Sends a command; the answer is read packet by packet.
    pub(super) fn command(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        self.writer.set_sequence(0);
        self.writer.packet(payload)?;
        self.writer.flush()?;
        self.reader.set_sequence(self.writer.sequence());
        Ok(())
    }

    /// Asks the source who it is.
    pub fn identify(&mut self) -> Result<SourceIdentity, LinkError> {
        self.ask(WHO_QUERY)?;
        let version = self.version.clone();
        let stranger = |why: &str| {
            LinkError::fatal(
                1593,
                format!(
                    "Fatal error: The replica I/O thread stops because the source (version {version}) is not a \
                     node of this version of evensum: {why}"
                ),
            )
        };
        let first = match expect(&mut self.reader) {
            Ok(packet) => packet.to_vec(),
            Err(error) if error.code == 2013 => return Err(error),
            Err(error) => return Err(stranger(&error.message)),
        };
        if Fields::new(&first).length()? != WHO_COLUMNS {
            return Err(stranger("its answer to who it is has other columns"));
        }
        let row = self.only_row(WHO_COLUMNS)?;
        let mut fields = Fields::new(&row);
        let mut next = || fields.counted().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (spoken, server_id, server_uuid) = (next()?, next()?, next()?);
        if spoken != LINK_VERSION.to_string() {
            return Err(stranger(&format!(
                "it speaks version {spoken} of the link, and this node version {LINK_VERSION}"
            )));
        }
        let server_id = server_id.parse().map_err(|_| stranger("its server_id is no number"))?;
        let log_base = self.log_base()?;
        Ok(SourceIdentity { server_id, server_uuid, log_base })
    }

    fn ask(&mut self, question: &str) -> Result<(), LinkError> {
        self.command(&[&[command::QUERY], question.as_bytes()].concat())
    }

    /// The rest of an answer of one row, behind the number of its columns.
    fn only_row(&mut self, columns: u64) -> Result<Vec<u8>, LinkError> {
        for _ in 0..=columns {
            expect(&mut self.reader)?;
        }
        let row = expect(&mut self.reader)?.to_vec();
        expect(&mut self.reader)?;
        Ok(row)
    }

    /// What the source calls its log's files; empty if it does not say so.
    fn log_base(&mut self) -> Result<String, LinkError> {
        self.ask(BASE_QUERY)?;
        let first = match expect(&mut self.reader) {
            Ok(packet) => packet.to_vec(),
            Err(error) if error.code == 2013 => return Err(error),
            Err(_) => return Ok(String::new()),
        };
        if Fields::new(&first).length()? != 1 {
            return Err(Malformed.into());
        }
        let row = self.only_row(1)?;
        let path = String::from_utf8_lossy(Fields::new(&row).counted()?).into_owned();
        let base = path.rsplit('/').next().unwrap_or_default();
        Ok(if base.len() <= NAME_BYTES { base.to_owned() } else { String::new() })
    }

    /// Asks for the log.
    pub fn request_log(&mut self, request: &LogRequest) -> Result<(), LinkError> {
        let name = request.from.map(|place| place.file_name("log")).unwrap_or_default();
        let known = request.known.to_string();
        let mut packet = vec![command::BINLOG_DUMP_GTID];
        let by_gtid = if request.from.is_none() { AUTO_POSITION } else { 0 };
        let flags = by_gtid | if request.reads_on { READS_ON } else { 0 };
        packet.extend_from_slice(&flags.to_le_bytes());
        packet.extend_from_slice(&request.server_id.to_le_bytes());
        put_bytes(&mut packet, name.as_bytes());
        packet.extend_from_slice(&request.from.map_or(0, |place| place.pos).to_le_bytes());
        put_bytes(&mut packet, known.as_bytes());
        put_bytes(&mut packet, request.replica.host.as_bytes());
        packet.extend_from_slice(&request.replica.port.to_le_bytes());
        put_bytes(&mut packet, request.replica.server_uuid.as_bytes());
        self.command(&packet)
    }

    /// The next message; waits for it.
    pub fn next_message(&mut self) -> Result<Message, LinkError> {
        let packet = expect(&mut self.reader).map_err(|error| match error.silent {
            true => error,
            false => refused(error.code, error.message),
        })?;
        Ok(read_message(packet.get(1..).unwrap_or_default())?)
    }

    /// The next packet of an answer, without the mark that it is no error; waits for it.
    pub(super) fn next_packet(&mut self) -> Result<&[u8], LinkError> {
        Ok(expect(&mut self.reader)?.get(1..).unwrap_or_default())
    }

    /// Whether the next message has (in part) arrived already.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.reader.has_buffered()
    }
}

/// What the source answered instead of its log. What it cannot send it will not be able to send later.
pub(super) fn refused(code: u16, message: String) -> LinkError {
    match code {
        1236 => LinkError::fatal(
            1236,
            format!("Got fatal error 1236 from source when reading data from binary log: '{message}'"),
        ),
        _ => LinkError::passing(code, message),
    }
}

/// The proof that a source asks for: its plugin and its salt.
fn proof_of(switch: &[u8], password: &Secret) -> Result<Vec<u8>, LinkError> {
    let mut fields = Fields::new(switch);
    let plugin = fields.terminated()?;
    let salt = fields.terminated()?;
    if plugin == Plugin::Native.name().as_bytes() {
        return Ok(handshake::proof(password, salt));
    }
    if plugin == Plugin::CachingSha2.name().as_bytes() {
        let proof = sha2_proof(password, salt);
        return Ok(if proof.is_empty() { vec![0] } else { proof });
    }
    let plugin = String::from_utf8_lossy(plugin);
    Err(LinkError::fatal(2059, format!("Authentication plugin '{plugin}' is not known to this node")))
}

/// The next packet; an ERR packet and the end of the stream are errors.
fn expect(reader: &mut PacketReader<Stream>) -> Result<&[u8], LinkError> {
    let packet = reader.read()?.ok_or_else(|| LinkError::passing(2013, "Lost connection to source"))?;
    match handshake::read_error(packet) {
        Some((code, message)) => Err(LinkError::passing(code, message)),
        None => Ok(packet),
    }
}

/// What a replica says of itself, for SHOW SLAVE HOSTS. Empty where it says nothing, as older nodes do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its `report_host`.
    pub host: String,
    /// Its `report_port`, or the port that it listens on; 0 if it is not known.
    pub port: u16,
    /// Its `server_uuid`.
    pub server_uuid: String,
}

impl Registration {
    fn read(fields: &mut Fields<'_>) -> Option<Registration> {
        if fields.remaining().is_empty() {
            return Some(Registration::default());
        }
        let host = name(fields)?;
        let port = fields.u16().ok()?;
        Some(Registration { host, port, server_uuid: name(fields)? })
    }
}

fn name(fields: &mut Fields<'_>) -> Option<String> {
    let bytes = fields.counted().ok().filter(|bytes| bytes.len() <= NAME_BYTES)?;
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// What a replica asks for: the log from a place on, or all that is not in `known`, wherever that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// The replica's `server_id`.
    pub server_id: u32,
    /// The place to begin at; none for auto position.
    pub from: Option<LogPosition>,
    /// Whether it has read to that place itself, and not been told it.
    pub reads_on: bool,
    /// What the replica has.
    pub known: GtidSet,
    /// Who it is.
    pub replica: Registration,
}

impl LogRequest {
    /// Reads the request behind its command byte.
    pub fn read(packet: &[u8]) -> Option<LogRequest> {
        let mut fields = Fields::new(packet);
        let flags = fields.u16().ok()?;
        let server_id = fields.u32().ok()?;
        let name = std::str::from_utf8(fields.counted().ok()?).ok()?;
        let pos = fields.u64().ok()?;
        let known = std::str::from_utf8(fields.counted().ok()?).ok()?.parse().ok()?;
        let from = match flags & AUTO_POSITION {
            0 => Some(LogPosition::in_file(name, pos)?),
            _ => None,
        };
        let replica = Registration::read(&mut fields)?;
        Some(LogRequest { server_id, from, reads_on: flags & READS_ON != 0, known, replica })
    }
}

//! The replica's side of a link's connection: a small client of MySQL's protocol.
//!
//! It logs in, asks the source who it is, asks for the log, and reads messages. The question who it is comes
//! first because only an evensum node can answer it: a real MySQL server says so with an error, before any log
//! is asked for. Every read and write has a time-out.

use super::position::LogPosition;
use super::record::{LINK_VERSION, Message, read_message};
use crate::protocol::command;
use crate::protocol::handshake;
use crate::protocol::packets::{PacketError, PacketReader, PacketWriter};
use crate::protocol::wire::{Fields, put_bytes};
use database::{GtidSet, Secret};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long connecting may take.
const CONNECT_SECONDS: u64 = 5;
/// How long the source may be silent; it sends a heartbeat each second.
const SILENCE_SECONDS: u64 = 10;
/// The longest message: as the protocol's own bound.
const MESSAGE_BYTES: usize = 1 << 30;

/// The question that only an evensum node answers.
pub const WHO_QUERY: &str = "SELECT @@evensum_link_version, @@server_id, @@server_uuid";
/// In a request for the log: send what is not in the set, wherever that begins.
pub const AUTO_POSITION: u16 = 4;

/// Why a link broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkError {
    /// MySQL's number.
    pub code: u16,
    /// What happened.
    pub message: String,
    /// Whether trying again is useless.
    pub fatal: bool,
}

impl LinkError {
    /// An error that another try may not meet.
    pub fn passing(code: u16, message: impl Into<String>) -> LinkError {
        LinkError { code, message: message.into(), fatal: false }
    }

    /// An error that stays until somebody acts.
    pub fn fatal(code: u16, message: impl Into<String>) -> LinkError {
        LinkError { code, message: message.into(), fatal: true }
    }
}

impl From<PacketError> for LinkError {
    fn from(error: PacketError) -> LinkError {
        LinkError::passing(2013, format!("Lost connection to source: {error}"))
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::from(PacketError::Io(error))
    }
}

impl From<crate::protocol::wire::Malformed> for LinkError {
    fn from(_: crate::protocol::wire::Malformed) -> LinkError {
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
}

/// A connection to a source.
#[derive(Debug)]
pub struct SourceClient {
    reader: PacketReader<TcpStream>,
    writer: PacketWriter<TcpStream>,
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

    /// Logs in over a fresh stream.
    pub fn login(stream: TcpStream, user: &str, password: &Secret) -> Result<SourceClient, LinkError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(SILENCE_SECONDS)))?;
        stream.set_write_timeout(Some(Duration::from_secs(SILENCE_SECONDS)))?;
        let mut reader = PacketReader::new(stream.try_clone()?, MESSAGE_BYTES);
        let mut writer = PacketWriter::new(stream);
        let greeting = handshake::read_greeting(expect(&mut reader)?)?;
        writer.set_sequence(reader.sequence());
        writer.packet(&handshake::login(user, &handshake::proof(password, &greeting.salt)))?;
        writer.flush()?;
        reader.set_sequence(writer.sequence());
        let answer = expect(&mut reader)?;
        if answer.first() == Some(&0xfe) {
            let mut fields = Fields::new(&answer[1..]);
            let plugin = fields.terminated()?;
            if plugin != handshake::NATIVE_PASSWORD.as_bytes() {
                let plugin = String::from_utf8_lossy(plugin).into_owned();
                return Err(LinkError::fatal(
                    2059,
                    format!("Authentication plugin '{plugin}' is not known to this node"),
                ));
            }
            let salt = fields.terminated()?.to_vec();
            writer.set_sequence(reader.sequence());
            writer.packet(&handshake::proof(password, &salt))?;
            writer.flush()?;
            reader.set_sequence(writer.sequence());
            expect(&mut reader)?;
        }
        Ok(SourceClient { reader, writer, version: greeting.version })
    }

    fn command(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        self.writer.set_sequence(0);
        self.writer.packet(payload)?;
        self.writer.flush()?;
        self.reader.set_sequence(self.writer.sequence());
        Ok(())
    }

    /// Asks the source who it is.
    pub fn identify(&mut self) -> Result<SourceIdentity, LinkError> {
        let mut question = vec![command::QUERY];
        question.extend_from_slice(WHO_QUERY.as_bytes());
        self.command(&question)?;
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
        let columns = Fields::new(&first).length()?;
        for _ in 0..=columns {
            expect(&mut self.reader)?;
        }
        let row = expect(&mut self.reader)?.to_vec();
        expect(&mut self.reader)?;
        let mut fields = Fields::new(&row);
        let mut next = || fields.counted().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (spoken, server_id, server_uuid) = (next()?, next()?, next()?);
        if spoken != LINK_VERSION.to_string() {
            return Err(stranger(&format!(
                "it speaks version {spoken} of the link, and this node version {LINK_VERSION}"
            )));
        }
        let server_id = server_id.parse().map_err(|_| stranger("its server_id is no number"))?;
        Ok(SourceIdentity { server_id, server_uuid })
    }

    /// Asks for the log from a place on, or (with auto position) for all that is not in `known`.
    pub fn request_log(
        &mut self,
        server_id: u32,
        from: Option<LogPosition>,
        known: &GtidSet,
    ) -> Result<(), LinkError> {
        let name = from.map(|place| place.file_name("log")).unwrap_or_default();
        let known = known.to_string();
        let mut request = vec![command::BINLOG_DUMP_GTID];
        request.extend_from_slice(&(if from.is_none() { AUTO_POSITION } else { 0 }).to_le_bytes());
        request.extend_from_slice(&server_id.to_le_bytes());
        put_bytes(&mut request, name.as_bytes());
        request.extend_from_slice(&from.map_or(0, |place| place.pos).to_le_bytes());
        put_bytes(&mut request, known.as_bytes());
        self.command(&request)
    }

    /// The next message; waits for it.
    pub fn next_message(&mut self) -> Result<Message, LinkError> {
        let packet = expect(&mut self.reader).map_err(|error| match error.code {
            1236 => LinkError::fatal(
                1236,
                format!(
                    "Got fatal error 1236 from source when reading data from binary log: '{}'",
                    error.message
                ),
            ),
            _ => error,
        })?;
        Ok(read_message(packet.get(1..).unwrap_or_default())?)
    }

    /// Whether the next message has (in part) arrived already.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.reader.has_buffered()
    }
}

/// The next packet; an ERR packet and the end of the stream are errors.
fn expect(reader: &mut PacketReader<TcpStream>) -> Result<&[u8], LinkError> {
    let packet = reader.read()?.ok_or_else(|| LinkError::passing(2013, "Lost connection to source"))?;
    match handshake::read_error(packet) {
        Some((code, message)) => Err(LinkError::passing(code, message)),
        None => Ok(packet),
    }
}

/// What a replica asked for, on the source's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// The replica's `server_id`.
    pub server_id: u32,
    /// The place to begin at; none for auto position.
    pub from: Option<LogPosition>,
    /// What the replica has.
    pub known: GtidSet,
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
        Some(LogRequest { server_id, from, known })
    }
}

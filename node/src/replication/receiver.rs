//! The I/O thread of a link: reads the source's log into the relay log.
//!
//! It connects, asks, and stores what comes, in batches: as much as has arrived already. What began on this
//! node is dropped by its server id. When the connection breaks it waits a moment and connects again, from
//! where the relay log says. Errors that a new try cannot mend (equal server ids, a purged log, a server that
//! is no evensum node) end the thread. [`Receiver`] decides what is asked for and what is stored, [`Tries`] what follows on
//! an error; neither knows a stream or a clock, [`run`] has both. Invariant: nothing is stored twice, nothing is left out.

use super::client::{LinkError, LogRequest, SourceClient, SourceIdentity};
use super::gtids::{self, EXECUTED};
use super::link::{LastError, Link, Receiving, Settings, applied_place};
use super::now_ms;
use super::position::LogPosition;
use super::record::{Message, Record};
use crate::SqlError;
use database::GtidSet;
use std::time::Duration;

/// How many transactions are stored at once.
const BATCH_ROWS: usize = 512;
/// How many bytes are stored at once: a batch ends behind the transaction that passes this.
const BATCH_BYTES: usize = 4 << 20;
/// How often a receiver that has no space looks whether it has to end.
const SPACE_POLL: Duration = Duration::from_millis(200);

impl From<SqlError> for LinkError {
    fn from(error: SqlError) -> LinkError {
        LinkError::fatal(error.code, error.message)
    }
}

/// The thread.
pub fn run(link: &Link) {
    let mut tries = Tries::begin(link);
    while !link.receiver_stops() {
        let settings = tries.connecting(link);
        let result = receive(link, &settings);
        link.set_stream(None);
        let Err(error) = result else { break };
        if link.receiver_stops() {
            break;
        }
        let error = in_words(error, link.context.silence());
        let Some(wait) = tries.broke(link, &settings, error, now_ms()) else { break };
        link.sleep(wait, Link::receiver_stops);
    }
    Tries::end(link);
}

/// One connection, until it breaks (an error) or the thread has to end.
fn receive(link: &Link, settings: &Settings) -> Result<(), LinkError> {
    let stream = SourceClient::open_stream(&settings.host, settings.port)?;
    link.set_stream(Some(stream.try_clone()?));
    if link.receiver_stops() {
        return Ok(());
    }
    let silence = link.context.silence();
    let Settings { host, user, password, tls, .. } = settings;
    let mut client = SourceClient::login(stream, host, user, password, tls, silence)?;
    let source = client.identify()?;
    let (mut receiver, request) = Receiver::meet(link, settings, source)?;
    client.request_log(&request)?;
    while !link.receiver_stops() {
        if link.relay.wait_for_space(SPACE_POLL) {
            loop {
                receiver.receive(client.next_message()?, now_ms());
                if !client.has_buffered() || receiver.is_full() {
                    break;
                }
            }
            receiver.flush(link)?;
        }
    }
    Ok(())
}

/// What is said of a source of which nothing came for too long: the operating system's words do not tell.
fn in_words(error: LinkError, silence: Duration) -> LinkError {
    if !error.silent {
        return error;
    }
    let message = format!(
        "Lost connection to source: nothing was heard of it for {} s (slave_net_timeout)",
        silence.as_secs()
    );
    LinkError { message, ..error }
}

/// The tries to reach the source, and what the link says of them.
#[derive(Debug)]
pub struct Tries {
    /// How many have failed since there was a connection.
    failed: u64,
    /// The error that was said last.
    said: u16,
}

impl Tries {
    /// The thread begins.
    pub fn begin(link: &Link) -> Tries {
        link.update(|state| state.receive_error = LastError::default());
        Tries { failed: 0, said: 0 }
    }

    /// A try begins, with these settings.
    pub fn connecting(&mut self, link: &Link) -> Settings {
        link.update(|state| state.receiving = Receiving::Connecting);
        link.settings()
    }

    /// The connection broke, or there was none: how long to wait before the next try. None if trying again is useless.
    pub fn broke(
        &mut self,
        link: &Link,
        settings: &Settings,
        error: LinkError,
        now_ms: u64,
    ) -> Option<Duration> {
        let connected = link.update(|state| std::mem::replace(&mut state.receiving, Receiving::Connecting));
        if connected == Receiving::Yes {
            (self.failed, self.said) = (0, 0);
        }
        self.failed += 1;
        let message = match error.fatal {
            true => error.message,
            false => format!(
                "error connecting to source '{}@{}:{}' - retry-time: {} retries: {} message: {}",
                settings.user,
                settings.host,
                settings.port,
                settings.connect_retry_s,
                self.failed,
                error.message
            ),
        };
        let last = LastError { code: error.code, message: message.clone(), at_ms: now_ms };
        link.update(|state| state.receive_error = last);
        let enough = settings.retry_count > 0 && self.failed >= settings.retry_count;
        let ends = error.fatal || enough;
        if ends || self.said != error.code {
            self.said = error.code;
            let what = if ends { "the I/O thread stops" } else { "the source is tried again" };
            link.say(&format!("{what}: error {}: {message}", error.code));
        }
        (!error.fatal && !enough).then(|| Duration::from_secs(settings.connect_retry_s))
    }

    /// The thread ends.
    pub fn end(link: &Link) {
        link.update(|state| state.receiving = Receiving::No);
    }
}

/// What has come over one connection and is not stored yet.
#[derive(Debug)]
pub struct Receiver {
    server_id: u32,
    ignored: Vec<u32>,
    records: Vec<(u64, Record)>,
    bytes: usize,
    read: Option<LogPosition>,
}

impl Receiver {
    /// Looks whether this source is one to replicate from, and says what to ask it for.
    pub fn meet(
        link: &Link,
        settings: &Settings,
        source: SourceIdentity,
    ) -> Result<(Receiver, LogRequest), LinkError> {
        let server_id = link.context.server_id;
        if source.server_id == server_id {
            return Err(equal("ids", "ids"));
        }
        if source.server_uuid == link.context.log.server_uuid() {
            return Err(equal("UUIDs", "UUIDs"));
        }
        let Beginning { from, reads_on, known } = where_to_begin(link, settings)?;
        link.relay.set_source_base(&source.log_base)?;
        link.update(|state| {
            state.source = source;
            state.read = from.or(state.read);
        });
        let ignored = settings.ignore_server_ids.clone();
        let receiver = Receiver { server_id, ignored, records: Vec::new(), bytes: 0, read: None };
        let replica = link.context.registration();
        Ok((receiver, LogRequest { server_id, from, reads_on, known, replica }))
    }

    /// Takes a message; it is stored with the next [`Receiver::flush`].
    pub fn receive(&mut self, message: Message, now_ms: u64) {
        self.read = Some(match message {
            Message::Heartbeat(place) => place,
            Message::Transaction(record) => {
                let end = record.end();
                if record.server_id != self.server_id && !self.ignored.contains(&record.server_id) {
                    self.bytes += record.payload.len();
                    self.records.push((now_ms, record));
                }
                end
            }
        });
    }

    /// Whether what was taken is as much as is stored at once.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.records.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Stores what was taken, with the place that was read to. To be called only while the relay log has space.
    pub fn flush(&mut self, link: &Link) -> Result<(), LinkError> {
        let Some(read) = self.read.take() else { return Ok(()) };
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        let moved = link.update(|state| state.read != Some(read));
        if moved || !records.is_empty() {
            link.relay.append(&records, read)?;
        }
        link.update(|state| {
            records.iter().for_each(|(_, record)| state.retrieved.insert(&record.gtid));
            if state.receiving != Receiving::Yes {
                state.receiving = Receiving::Yes;
                state.receive_error = LastError::default();
            }
            state.read = Some(read);
        });
        Ok(())
    }
}

fn equal(what: &str, these: &str) -> LinkError {
    LinkError::fatal(
        1593,
        format!(
            "Fatal error: The replica I/O thread stops because source and replica have equal MySQL server {what}; these \
             {these} must be different for replication to work"
        ),
    )
}

struct Beginning {
    from: Option<LogPosition>,
    reads_on: bool,
    known: GtidSet,
}

/// The place to ask for (none: by GTID), whether this link has read to it, and what is here already.
fn where_to_begin(link: &Link, settings: &Settings) -> Result<Beginning, SqlError> {
    let conn = (link.context.connect)()?;
    let mut known = gtids::read(&conn, EXECUTED)?;
    for (origin, first, last) in link.relay.gtids()?.intervals() {
        known.insert_interval(origin, first, last);
    }
    if settings.auto_position {
        return Ok(Beginning { from: None, reads_on: false, known });
    }
    let read = match link.relay.read_position()? {
        Some(place) => Some(place),
        None => applied_place(&conn, &link.name, settings.epoch)?,
    };
    // What it is to ignore it does not know.
    let reads_on = read.is_some() && settings.ignore_server_ids.is_empty();
    let from = read.or(settings.from).unwrap_or(LogPosition::START);
    Ok(Beginning { from: Some(from), reads_on, known })
}

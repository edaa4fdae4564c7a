//! The I/O thread of a link: reads the source's log into the relay log.
//!
//! It connects, asks, and stores what comes, in batches: as much as has arrived already. What began on this
//! node is dropped by its server id. When the connection breaks it waits a moment and connects again, from
//! where the relay log says. Errors that a new try cannot mend (equal server ids, a purged log, a server that
//! is no evensum node) end the thread. Invariant: nothing is stored twice, nothing is left out.

use super::client::{LinkError, SourceClient};
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
    let mut tries: u64 = 0;
    link.update(|state| state.receive_error = LastError::default());
    while !link.receiver_stops() {
        link.update(|state| state.receiving = Receiving::Connecting);
        let settings = link.settings();
        let result = receive(link, &settings);
        link.set_stream(None);
        let Err(error) = result else { break };
        if link.receiver_stops() {
            break;
        }
        let connected = link.update(|state| std::mem::replace(&mut state.receiving, Receiving::Connecting));
        tries = if connected == Receiving::Yes { 1 } else { tries + 1 };
        let message = match error.fatal {
            true => error.message,
            false => format!(
                "error connecting to source '{}@{}:{}' - retry-time: {} retries: {tries} message: {}",
                settings.user, settings.host, settings.port, settings.connect_retry_s, error.message
            ),
        };
        link.update(|state| state.receive_error = LastError::now(error.code, message));
        if error.fatal {
            break;
        }
        link.sleep(Duration::from_secs(settings.connect_retry_s), Link::receiver_stops);
    }
    link.update(|state| state.receiving = Receiving::No);
}

/// One connection, until it breaks (an error) or the thread has to end.
fn receive(link: &Link, settings: &Settings) -> Result<(), LinkError> {
    let stream = SourceClient::open_stream(&settings.host, settings.port)?;
    link.set_stream(Some(stream.try_clone()?));
    if link.receiver_stops() {
        return Ok(());
    }
    let mut client = SourceClient::login(stream, &settings.user, &settings.password)?;
    let source = client.identify()?;
    if source.server_id == link.context.server_id {
        return Err(LinkError::fatal(
            1593,
            "Fatal error: The replica I/O thread stops because source and replica have equal MySQL server ids; these \
             ids must be different for replication to work",
        ));
    }
    if source.server_uuid == link.context.log.server_uuid() {
        return Err(LinkError::fatal(
            1593,
            "Fatal error: The replica I/O thread stops because source and replica have equal MySQL server UUIDs; \
             these UUIDs must be different for replication to work",
        ));
    }
    let (from, known) = where_to_begin(link, settings)?;
    client.request_log(link.context.server_id, from, &known)?;
    link.update(|state| {
        state.source = source;
        state.read = from.or(state.read);
    });
    while !link.receiver_stops() {
        if link.relay.wait_for_space(SPACE_POLL) {
            let read = store_batch(link, &mut client)?;
            link.update(|state| {
                if state.receiving != Receiving::Yes {
                    state.receiving = Receiving::Yes;
                    state.receive_error = LastError::default();
                }
                state.read = Some(read);
            });
        }
    }
    Ok(())
}

/// The place to ask for (none: by GTID), and what is here already.
fn where_to_begin(link: &Link, settings: &Settings) -> Result<(Option<LogPosition>, GtidSet), SqlError> {
    let conn = (link.context.connect)()?;
    let mut known = gtids::read(&conn, EXECUTED)?;
    for (origin, first, last) in link.relay.gtids()?.intervals() {
        known.insert_interval(origin, first, last);
    }
    if settings.auto_position {
        return Ok((None, known));
    }
    let read = match link.relay.read_position()? {
        Some(place) => Some(place),
        None => applied_place(&conn, &link.name)?,
    };
    Ok((Some(read.or(settings.from).unwrap_or(LogPosition::START)), known))
}

/// Waits for a message, takes with it what has arrived already, and stores all. Gives the place that was read to.
fn store_batch(link: &Link, client: &mut SourceClient) -> Result<LogPosition, LinkError> {
    let mut records: Vec<(u64, Record)> = Vec::new();
    let mut bytes = 0;
    let mut gtids = Vec::new();
    let read = loop {
        let read = match client.next_message()? {
            Message::Heartbeat(place) => place,
            Message::Transaction(record) => {
                let end = record.end();
                if record.server_id != link.context.server_id {
                    bytes += record.payload.len();
                    gtids.push(record.gtid.clone());
                    records.push((now_ms(), record));
                }
                end
            }
        };
        if !client.has_buffered() || records.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            break read;
        }
    };
    let moved = link.update(|state| state.read != Some(read));
    if moved || !records.is_empty() {
        link.relay.append(&records, read)?;
    }
    link.update(|state| gtids.iter().for_each(|gtid| state.retrieved.insert(gtid)));
    Ok(read)
}

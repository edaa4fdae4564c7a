//! The source's side of a link: sends the log to a replica, as it grows.
//!
//! Each batch is read in a short snapshot of its own, so that a slow replica does not keep old pages alive.
//! When there is nothing to send, a heartbeat goes out each second; it also finds out that the replica is gone.
//! What the replica has already is not sent; the replica filters what began there.

use super::binlog::{self, Binlog};
use super::changes::check_place;
use super::client::LogRequest;
use super::failed;
use super::gtids::{self, EXECUTED, PURGED};
use super::position::{FIRST_POS, LogPosition};
use super::record::{Record, put_heartbeat, put_transaction};
use crate::SqlError;
use crate::protocol::packets::PacketWriter;
use crate::protocol::results::put_error;
use rusqlite::Connection;
use std::io::{self, Write};
use std::time::Duration;

/// How long the link is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Serves a replica until it goes away or `stopping` says so. The error of a request that cannot be served is
/// sent to the replica.
pub fn serve<W: Write>(
    conn: &Connection,
    log: &Binlog,
    request: &LogRequest,
    packets: &mut PacketWriter<W>,
    stopping: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut at = match start(conn, log, request) {
        Ok(place) => place,
        Err(error) => return refuse(packets, &error),
    };
    while !stopping() {
        let seen = log.commits();
        let records = match next(conn, log, at) {
            Ok((records, place)) => {
                at = place;
                records
            }
            Err(error) => return refuse(packets, &error),
        };
        for record in &records {
            at = record.end();
            if !request.known.contains(&record.gtid) {
                let out = packets.open();
                out.push(0);
                put_transaction(out, record);
                packets.finish()?;
            }
        }
        if records.is_empty() {
            let out = packets.open();
            out.push(0);
            put_heartbeat(out, at);
            packets.finish()?;
            packets.flush()?;
            log.wait(seen, HEARTBEAT);
        }
    }
    Ok(())
}

/// Where to begin, or why that is impossible.
fn start(conn: &Connection, log: &Binlog, request: &LogRequest) -> Result<LogPosition, SqlError> {
    if let Some(place) = request.from {
        return check_place(conn, place).map(|()| place);
    }
    if !request.known.contains_all(&gtids::read(conn, PURGED)?) {
        return Err(SqlError::new(
            1236,
            "HY000",
            "Cannot replicate because the source purged required binary logs. Replicate the missing transactions \
             from elsewhere, or provision a new replica from backup",
        ));
    }
    let own = gtids::highest(conn, EXECUTED, log.server_uuid())?;
    if request.known.highest(log.server_uuid()) > own {
        return Err(SqlError::new(
            1236,
            "HY000",
            "Replica has more GTIDs than the source has, using the source's SERVER_UUID. This may indicate that the \
             source was reset or restored from an older backup",
        ));
    }
    log.first_unknown(conn, &request.known)
}

/// What comes next, and from where. If nothing is left in a file that is over, the place moves on to the next one
/// in the same snapshot, so that a replica that has everything does not wait in a file that may be purged.
fn next(conn: &Connection, log: &Binlog, at: LogPosition) -> Result<(Vec<Record>, LogPosition), SqlError> {
    let snapshot = conn.unchecked_transaction().map_err(failed)?;
    let records = log.read(&snapshot, at)?;
    still_there(&snapshot, at)?;
    let head = binlog::head(&snapshot)?;
    let place = if records.is_empty() && head.file > at.file {
        LogPosition { file: head.file, pos: FIRST_POS }
    } else {
        at
    };
    Ok((records, place))
}

/// A log that was reset or purged while it was sent cannot be sent on.
fn still_there(conn: &Connection, at: LogPosition) -> Result<(), SqlError> {
    let first = binlog::files(conn)?.first().map_or(0, |file| file.file);
    if at <= binlog::head(conn)? && at.file >= first {
        return Ok(());
    }
    Err(SqlError::new(1236, "HY000", "the log was reset or purged while it was read"))
}

fn refuse<W: Write>(packets: &mut PacketWriter<W>, error: &SqlError) -> io::Result<()> {
    put_error(packets.open(), error);
    packets.finish()?;
    packets.flush()
}

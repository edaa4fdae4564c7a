//! The source's side of a link: sends the log to a replica, as it grows.
//!
//! [`Sender`] decides what is sent next, and knows no stream and no clock; [`serve`] is the loop that writes it and waits.
//! Each batch is read in a short snapshot of its own, so that a slow replica does not keep old pages alive.
//! When there is nothing to send, a heartbeat goes out each second; it also finds out that the replica is gone.
//! What the replica has already is not sent; the replica filters what began there.

use super::binlog::{self, Binlog};
use super::changes::check_place;
use super::client::LogRequest;
use super::failed;
use super::gtids::{self, EXECUTED, PURGED};
use super::position::LogPosition;
use super::record::{Message, Record, put_message};
use crate::SqlError;
use crate::protocol::packets::PacketWriter;
use crate::protocol::results::put_error;
use database::{Gtid, GtidSet};
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
    request: LogRequest,
    packets: &mut PacketWriter<W>,
    stopping: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut sender = match Sender::start(conn, log, request) {
        Ok(sender) => sender,
        Err(error) => return refuse(packets, &error),
    };
    let reading = log.reading(sender.file());
    while !stopping() {
        reading.at(sender.file());
        let seen = log.commits();
        let messages = match sender.next(conn, log) {
            Ok(messages) => messages,
            Err(error) => return refuse(packets, &error),
        };
        for message in &messages {
            let out = packets.open();
            out.push(0);
            put_message(out, message);
            packets.finish()?;
        }
        if let [Message::Heartbeat(_)] = messages[..] {
            packets.flush()?;
            log.wait(seen, HEARTBEAT);
        }
    }
    Ok(())
}

/// What one replica is sent, and how far it has been.
#[derive(Clone, Debug)]
pub struct Sender {
    at: LogPosition,
    known: GtidSet,
    /// How often the log had been reset when this began.
    resets: u64,
}

impl Sender {
    /// Finds where to begin, or why that is impossible.
    pub fn start(conn: &Connection, log: &Binlog, request: LogRequest) -> Result<Sender, SqlError> {
        // One snapshot: what is purged between two looks would be missing from both.
        let snapshot = conn.unchecked_transaction().map_err(failed)?;
        let at = begin(&snapshot, log, &request)?;
        let resets = binlog::history(&snapshot)?.resets;
        Ok(Sender { at, known: request.known, resets })
    }

    /// The file that it reads in; it must not be purged meanwhile.
    #[must_use]
    pub fn file(&self) -> u64 {
        self.at.file
    }

    /// What comes next: transactions in the order of the log, or one heartbeat if it ends here. Nothing at all if
    /// the replica knows what was read; then there is more to read at once.
    pub fn next(&mut self, conn: &Connection, log: &Binlog) -> Result<Vec<Message>, SqlError> {
        let (records, place) = self.read(conn, log)?;
        if records.is_empty() {
            self.at = place;
            return Ok(vec![Message::Heartbeat(place)]);
        }
        self.at = records.last().map_or(place, Record::end);
        let unknown = records.into_iter().filter(|record| !self.known.contains(&record.gtid));
        Ok(unknown.map(Message::Transaction).collect())
    }

    /// What comes next, and from where. If nothing is left, the place moves on to the end of the log
    /// in the same snapshot, so that a replica that has everything does not wait in a file that may be purged.
    fn read(&self, conn: &Connection, log: &Binlog) -> Result<(Vec<Record>, LogPosition), SqlError> {
        let snapshot = conn.unchecked_transaction().map_err(failed)?;
        self.still_there(&snapshot)?;
        let records = log.read(&snapshot, self.at)?;
        let place = if records.is_empty() { binlog::head(&snapshot)? } else { self.at };
        Ok((records, place))
    }

    /// A log that was reset or purged while it was sent cannot be sent on; also not one that has grown again since.
    fn still_there(&self, conn: &Connection) -> Result<(), SqlError> {
        let first = binlog::files(conn)?.first().map_or(0, |file| file.file);
        let same = binlog::history(conn)?.resets == self.resets;
        if same && self.at <= binlog::head(conn)? && self.at.file >= first {
            return Ok(());
        }
        Err(SqlError::new(1236, "HY000", "the log was reset or purged while it was read"))
    }
}

/// Where to begin, or why that is impossible.
fn begin(conn: &Connection, log: &Binlog, request: &LogRequest) -> Result<LogPosition, SqlError> {
    if !log.is_enabled() {
        return Err(SqlError::new(1236, "HY000", "Binary log is not open"));
    }
    if let Some(place) = request.from {
        check_place(conn, place)?;
        if request.reads_on {
            check_read(conn, log, request, place)?;
        }
        return Ok(place);
    }
    if !request.known.contains_all(&gtids::read(conn, PURGED)?) {
        return Err(SqlError::new(
            1236,
            "HY000",
            "Cannot replicate because the source purged required binary logs. Replicate the missing transactions \
             from elsewhere, or provision a new replica from backup",
        ));
    }
    check_reset(conn, log, request)?;
    let own = gtids::highest(conn, EXECUTED, log.server_uuid())?.max(binlog::history(conn)?.used);
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

/// A replica that had some of the transactions from before a RESET MASTER and not the last of them will never have the rest.
fn check_reset(conn: &Connection, log: &Binlog, request: &LogRequest) -> Result<(), SqlError> {
    let used = binlog::history(conn)?.used;
    let last = Gtid { origin: log.server_uuid().into(), sequence: used };
    if used == 0 || !had_before(log, request, used) || request.known.contains(&last) {
        return Ok(());
    }
    Err(was_reset())
}

/// A place that a replica has read to may be one of the log that was there before a RESET MASTER. Then the transaction that
/// ends there now is none that it knows.
fn check_read(
    conn: &Connection,
    log: &Binlog,
    request: &LogRequest,
    place: LogPosition,
) -> Result<(), SqlError> {
    let used = binlog::history(conn)?.used;
    if used == 0 || !had_before(log, request, used) {
        return Ok(());
    }
    match log.last_before(conn, place)? {
        Some(gtid) if &*gtid.origin == log.server_uuid() && !request.known.contains(&gtid) => {
            Err(was_reset())
        }
        _ => Ok(()),
    }
}

/// Whether the replica has transactions of this node's from before the last RESET MASTER.
fn had_before(log: &Binlog, request: &LogRequest, used: u64) -> bool {
    request.known.intervals().any(|(origin, first, _)| origin == log.server_uuid() && first <= used)
}

fn was_reset() -> SqlError {
    SqlError::new(
        1236,
        "HY000",
        "the source's log was reset (RESET MASTER) and transactions that the replica lacks are gone or cannot be told from \
         others. Provision the replica anew, or give it the place to go on from with CHANGE REPLICATION SOURCE TO",
    )
}

fn refuse<W: Write>(packets: &mut PacketWriter<W>, error: &SqlError) -> io::Result<()> {
    put_error(packets.open(), error);
    packets.finish()?;
    packets.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Body;
    use crate::replication::client::Registration;

    struct Source {
        conn: Connection,
        log: Binlog,
    }

    fn source() -> Source {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        Source { conn, log }
    }

    impl Source {
        fn write(&self, times: u64) {
            for _ in 0..times {
                self.log.append(&self.conn, None, 1, 0, &Body::Rows(Vec::new())).unwrap();
            }
        }

        fn reset(&self) {
            self.log.reset(&self.conn, 1).unwrap();
        }

        fn executed(&self) -> GtidSet {
            gtids::read(&self.conn, EXECUTED).unwrap()
        }

        fn start(
            &self,
            from: Option<LogPosition>,
            reads_on: bool,
            known: GtidSet,
        ) -> Result<Sender, SqlError> {
            let replica = Registration::default();
            Sender::start(&self.conn, &self.log, LogRequest { server_id: 2, from, reads_on, known, replica })
        }

        fn sent(&self, sender: &mut Sender) -> Result<Vec<u64>, SqlError> {
            let number = |message: &Message| match message {
                Message::Transaction(record) => record.gtid.sequence,
                Message::Heartbeat(_) => 0,
            };
            sender.next(&self.conn, &self.log).map(|messages| messages.iter().map(number).collect())
        }
    }

    #[test]
    fn a_replica_by_place_gets_what_is_new_after_a_reset_and_no_number_twice() {
        let source = source();
        source.write(3);
        let known = source.executed();
        source.reset();
        source.write(5);
        assert_eq!(source.executed().to_string(), format!("{}:4-8", source.log.server_uuid()));
        let mut told = source.start(Some(LogPosition::START), false, known.clone()).unwrap();
        assert_eq!(source.sent(&mut told), Ok(vec![4, 5, 6, 7, 8]));
        let mut by_gtid = source.start(None, false, known).unwrap();
        assert_eq!(source.sent(&mut by_gtid), Ok(vec![4, 5, 6, 7, 8]));
    }

    #[test]
    fn a_sender_does_not_outlive_a_reset_also_if_the_log_has_grown_again() {
        let source = source();
        let mut early = source.start(Some(LogPosition::START), false, GtidSet::new()).unwrap();
        source.reset();
        assert_eq!(source.sent(&mut early), Ok(vec![0]), "an empty log is as it was");
        source.write(2);
        assert_eq!(source.sent(&mut early), Ok(vec![1, 2]));
        source.reset();
        source.write(4);
        assert_eq!(source.sent(&mut early).unwrap_err().code, 1236);
    }

    #[test]
    fn a_place_in_the_log_before_a_reset_is_not_believed() {
        let source = source();
        source.write(3);
        let (known, read) = (source.executed(), binlog::head(&source.conn).unwrap());
        source.reset();
        source.write(6);
        // all are of one length, so a transaction ends there again
        assert_eq!(source.start(Some(read), true, known.clone()).unwrap_err().code, 1236);
        assert!(source.start(Some(read), false, known).is_ok(), "the administrator may know");
        assert!(source.start(Some(read), true, GtidSet::new()).is_ok());
        assert!(source.start(Some(read), true, source.executed()).is_ok());
    }

    #[test]
    fn a_replica_that_was_behind_at_a_reset_is_refused() {
        let source = source();
        source.write(3);
        let mut behind = GtidSet::new();
        behind.insert_interval(source.log.server_uuid(), 1, 2);
        source.reset();
        source.write(3);
        assert_eq!(source.start(None, false, behind).unwrap_err().code, 1236);
        assert!(source.start(None, false, GtidSet::new()).is_ok());
        assert!(source.start(None, false, source.executed()).is_ok());
    }
}

//! `SHOW BINLOG EVENTS`: the log in the words of MySQL's events.
//!
//! The log holds transactions, not events. Each is told as the events that MySQL would have written for it: its GTID,
//! BEGIN, the tables' maps, the rows, and the commit. Where a transaction begins and ends is its real place; what is
//! between shares out the bytes that are really there, so that places grow and a place that was shown can be asked
//! for again. A file begins with its head and ends with what ended it. The number of a table counts the tables of
//! its transaction, and that of a commit is the transaction's own in its GTID.
//!
//! Invariant: an event begins where the one before it ends, from the file's first byte to its last.

use super::binlog::{self, Binlog};
use super::encoding::{BodyRef, Changes, open};
use super::gtids::{self, PURGED};
use super::parts::PartRef;
use super::position::{DATA_POS, FIRST_POS, GTIDS_POS, HEADER_BYTES, LogPosition};
use super::record::Record;
use super::status::{self, Listing};
use super::{failed, number};
use crate::SqlError;
use crate::session::variables::VERSION;
use database::Gtid;
use rusqlite::Connection;

/// What the GTID takes of a transaction's header.
const GTID_BYTES: u64 = 32;
/// What the commit takes of it.
const XID_BYTES: u64 = 16;

/// What is asked for of a file.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The first event: its file and its place.
    pub from: LogPosition,
    /// How many events to pass over.
    pub offset: usize,
    /// How many to show at most.
    pub limit: usize,
}

/// One event; the next one begins where it ends.
struct Event {
    kind: &'static str,
    server_id: u32,
    end: u64,
    info: String,
}

impl Event {
    /// The line that tells of it.
    fn line(self, name: &str, begin: u64) -> Vec<Option<String>> {
        status::row([
            name.to_owned(),
            begin.to_string(),
            self.kind.to_owned(),
            self.server_id.to_string(),
            self.end.to_string(),
            self.info,
        ])
    }
}

/// The lines that tell of one transaction, in a log of this name.
pub(super) fn lines_of(name: &str, record: &Record, anonymous: bool) -> Vec<Vec<Option<String>>> {
    let mut at = record.position.pos;
    let events = events_of(record, anonymous).into_iter();
    events
        .map(|event| {
            let begin = std::mem::replace(&mut at, event.end);
            event.line(name, begin)
        })
        .collect()
}

/// The lines that are asked for, and how many may still come.
struct Lines {
    listing: Listing,
    name: String,
    at: u64,
    asked: Asked,
    passed: usize,
    met: bool,
}

impl Lines {
    /// Adds the next event. False if no more are wanted.
    fn add(&mut self, event: Event) -> bool {
        let begin = std::mem::replace(&mut self.at, event.end);
        self.met |= begin == self.asked.from.pos;
        if !self.met {
            return true;
        }
        if self.listing.rows.len() >= self.asked.limit {
            return false;
        }
        self.passed += 1;
        if self.passed > self.asked.offset {
            self.listing.rows.push(event.line(&self.name, begin));
        }
        true
    }
}

/// The columns.
#[must_use]
pub fn columns() -> Vec<(String, bool)> {
    status::columns(&["Log_name", "+Pos", "Event_type", "+Server_id", "+End_log_pos", "Info"])
}

/// The events of one file. `anonymous` if the node does without GTIDs (`gtid_mode` is off).
pub fn list(
    conn: &Connection,
    log: &Binlog,
    server_id: u32,
    anonymous: bool,
    asked: Asked,
) -> Result<Listing, SqlError> {
    let file = asked.from.file;
    let known = binlog::files(conn)?.into_iter().find(|known| known.file == file);
    let bytes = known.ok_or_else(|| refused("Could not find target log"))?.bytes;
    let name = log.file_name(asked.from);
    let listing = Listing { columns: columns(), rows: Vec::new() };
    let mut lines = Lines { listing, name, at: FIRST_POS, asked, passed: 0, met: false };
    let mut more = true;
    if binlog::first_place(conn, file)?.is_none_or(|first| first.pos >= DATA_POS) && bytes >= DATA_POS {
        for event in head(conn, server_id, file)? {
            more = more && lines.add(event);
        }
    }
    let mut at = binlog::transaction_around(conn, asked.from)?;
    while more {
        let records = log.read(conn, at)?;
        let of_file = records.iter().take_while(|record| record.position.file == file);
        let mut count = 0;
        for record in of_file {
            count += 1;
            at = record.end();
            lines.at = record.position.pos;
            more = more && events_of(record, anonymous).into_iter().all(|event| lines.add(event));
        }
        if count == 0 || count < records.len() {
            break;
        }
    }
    if more && lines.at < bytes {
        lines.add(last(log, server_id, lines.at, LogPosition { file, pos: bytes }));
    }
    if !lines.met && asked.from.pos != lines.at && asked.from.pos != bytes {
        return Err(refused("Wrong offset or I/O error"));
    }
    Ok(lines.listing)
}

fn refused(why: &str) -> SqlError {
    SqlError::new(1220, "HY000", format!("Error when executing command SHOW BINLOG EVENTS: {why}"))
}

/// What a file begins with: the format, and the GTIDs of the files before.
fn head(conn: &Connection, server_id: u32, file: u64) -> Result<[Event; 2], SqlError> {
    let mut before = gtids::read(conn, PURGED)?;
    let mut query =
        conn.prepare_cached("SELECT origin, sequence FROM _evensum_binlog WHERE n < ?1").map_err(failed)?;
    let mut rows = query.query([LogPosition { file, pos: 0 }.key()]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let origin: String = row.get(0).map_err(failed)?;
        before.insert(&Gtid { origin: origin.into(), sequence: number(row.get(1).map_err(failed)?) });
    }
    let format = format!("Server ver: {VERSION}, Binlog ver: 4");
    Ok([
        Event { kind: "Format_desc", server_id, end: GTIDS_POS, info: format },
        Event { kind: "Previous_gtids", server_id, end: DATA_POS, info: before.to_string() },
    ])
}

/// What a file ends with.
fn last(log: &Binlog, server_id: u32, begin: u64, end: LogPosition) -> Event {
    if end.pos - begin == binlog::STOP_BYTES {
        return Event { kind: "Stop", server_id, end: end.pos, info: String::new() };
    }
    let next = log.file_name(LogPosition { file: end.file + 1, pos: FIRST_POS });
    Event { kind: "Rotate", server_id, end: end.pos, info: format!("{next};pos={FIRST_POS}") }
}

/// How many events a transaction is.
pub fn count(record: &Record) -> u64 {
    u64::try_from(events_of(record, true).len()).unwrap_or(u64::MAX)
}

fn events_of(record: &Record, anonymous: bool) -> Vec<Event> {
    let (begin, server_id) = (record.position.pos, record.server_id);
    let event = |kind, end, info| Event { kind, server_id, end, info };
    let (kind, name) = match anonymous {
        true => ("Anonymous_Gtid", "ANONYMOUS".to_owned()),
        false => ("Gtid", record.gtid.to_string()),
    };
    let mut events = vec![event(kind, begin + GTID_BYTES, format!("SET @@SESSION.GTID_NEXT= '{name}'"))];
    match open(&record.payload) {
        Ok(BodyRef::Statement { database, sql }) => {
            let place = if database.is_empty() { String::new() } else { format!("use `{database}`; ") };
            events.push(event("Query", record.end_pos, format!("{place}{sql}")));
        }
        Ok(body) => {
            let first = begin + HEADER_BYTES - XID_BYTES;
            let last = record.end_pos - XID_BYTES;
            events.push(event("Query", first, "BEGIN".to_owned()));
            let told = told(body);
            let total: u64 = told.iter().map(|told| told.weight).sum();
            let mut before = 0;
            for Told { kind, info, weight } in told {
                before += weight;
                events.push(event(kind, first + (last - first) * before / total, info));
            }
            if let Some(before) = events.last_mut() {
                before.end = last;
            }
            let commit = format!("COMMIT /* xid={} */", record.gtid.sequence);
            events.push(event("Xid", record.end_pos, commit));
        }
        Err(_) => events.push(event("Unknown", record.end_pos, "damaged".to_owned())),
    }
    events
}

/// What is between BEGIN and the commit, with its share of the bytes there. No transaction has fewer bytes than shares.
struct Told {
    kind: &'static str,
    info: String,
    weight: u64,
}

fn told(body: BodyRef<'_>) -> Vec<Told> {
    let (mut told, mut tables) = (Vec::new(), Vec::new());
    match body {
        BodyRef::Rows(changes) => rows_of(changes, &mut tables, &mut told),
        BodyRef::Parts(parts) => {
            for part in parts.flatten() {
                match part {
                    PartRef::Rows(changes) => rows_of(changes, &mut tables, &mut told),
                    PartRef::Query(query) => {
                        let events = query.events().unwrap_or_default();
                        told.extend(events.into_iter().map(|(kind, info)| Told { kind, info, weight: 1 }));
                    }
                }
            }
        }
        BodyRef::Statement { .. } => {}
    }
    told
}

/// Each run of changes of one kind in one table: its map and its rows.
fn rows_of(changes: Changes<'_>, tables: &mut Vec<String>, told: &mut Vec<Told>) {
    let mut run = None;
    for change in changes.flatten() {
        let kind = match change.rows() {
            Ok((None, _)) => "Write_rows",
            Ok((Some(_), Some(_))) => "Update_rows",
            Ok((Some(_), None)) => "Delete_rows",
            Err(_) => "Unknown",
        };
        let name = format!("{}.{}", change.database, change.table);
        let known = tables.iter().position(|known| *known == name);
        let table = known.unwrap_or_else(|| {
            tables.push(name.clone());
            tables.len() - 1
        }) + 1;
        if run != Some((kind, table)) {
            run = Some((kind, table));
            let map = Told { kind: "Table_map", info: format!("table_id: {table} ({name})"), weight: 0 };
            let rows = Told { kind, info: format!("table_id: {table} flags: STMT_END_F"), weight: 0 };
            told.extend([map, rows]);
        }
        told.iter_mut().rev().take(2).for_each(|told| told.weight += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Body, Change};
    use rusqlite::types::Value;

    fn change(table: &str, before: bool, after: bool) -> Change {
        let row = |there: bool| there.then(|| vec![Value::Integer(1)]);
        Change { database: "shop".into(), table: table.into(), before: row(before), after: row(after) }
    }

    fn bench() -> (Connection, Binlog) {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        let statement = Body::Statement { database: "shop".into(), sql: "CREATE TABLE a (id INT)".into() };
        log.append(&conn, None, 1, 0, &statement).unwrap();
        let rows = vec![
            change("a", false, true),
            change("a", false, true),
            change("b", true, true),
            change("a", true, false),
        ];
        log.append(&conn, None, 1, 0, &Body::Rows(rows)).unwrap();
        (conn, log)
    }

    fn shown(conn: &Connection, log: &Binlog, file: u64, pos: u64) -> Result<Vec<Vec<String>>, u16> {
        let asked = Asked { from: LogPosition { file, pos }, offset: 0, limit: 100 };
        let listing = list(conn, log, 1, false, asked).map_err(|error| error.code)?;
        let plain = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
        Ok(listing.rows.into_iter().map(plain).collect())
    }

    #[test]
    fn a_file_is_told_from_its_first_byte_to_its_last() {
        let (conn, log) = bench();
        log.rotate(&conn).unwrap();
        let rows = shown(&conn, &log, 1, 4).unwrap();
        let kinds: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
        let wanted = "Format_desc Previous_gtids Gtid Query Gtid Query Table_map Write_rows Table_map Update_rows \
                      Table_map Delete_rows Xid Rotate";
        assert_eq!(kinds.join(" "), wanted);
        assert_eq!((rows[0][1].as_str(), rows[2][1].as_str()), ("4", "154"));
        assert_eq!(rows[3][5], "use `shop`; CREATE TABLE a (id INT)");
        assert_eq!(rows[5][5], "BEGIN");
        assert_eq!(rows[8][5], "table_id: 2 (shop.b)");
        assert_eq!(rows.last().unwrap()[5], "mysql-bin.000002;pos=4");
        for pair in rows.windows(2) {
            assert_eq!(pair[0][4], pair[1][1]);
            assert!(pair[1][1].parse::<u64>().unwrap() < pair[1][4].parse().unwrap());
        }
        let bytes = binlog::files(&conn).unwrap()[0].bytes.to_string();
        assert_eq!(rows.last().unwrap()[4], bytes);
        let second = shown(&conn, &log, 2, 4).unwrap();
        assert_eq!(second[1][5], format!("{}:1-2", log.server_uuid()));
        assert_eq!(second.len(), 2);
    }

    #[test]
    fn every_place_that_is_shown_can_be_asked_for_and_no_other() {
        let (conn, log) = bench();
        log.end(&conn).unwrap();
        let rows = shown(&conn, &log, 1, 4).unwrap();
        assert_eq!(rows.last().unwrap()[2], "Stop");
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(shown(&conn, &log, 1, row[1].parse().unwrap()).unwrap(), rows[n..], "{row:?}");
        }
        assert_eq!(shown(&conn, &log, 1, 5), Err(1220));
        assert_eq!(shown(&conn, &log, 1, 155), Err(1220));
        assert_eq!(shown(&conn, &log, 1, 99_999), Err(1220));
        assert_eq!(shown(&conn, &log, 3, 4), Err(1220));
        let asked = Asked { from: LogPosition { file: 1, pos: 4 }, offset: 2, limit: 1 };
        let one = list(&conn, &log, 1, true, asked).unwrap();
        assert_eq!(one.rows[0][2].as_deref(), Some("Anonymous_Gtid"));
    }

    #[test]
    fn a_file_of_the_time_before_there_was_a_head_has_none() {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        conn.execute("UPDATE _evensum_binlog_files SET bytes = 4", []).unwrap();
        let body = Body::Rows(vec![change("a", false, true); 40]);
        log.append(&conn, None, 1, 0, &body).unwrap();
        assert_eq!(shown(&conn, &log, 1, 4).unwrap()[0][2], "Gtid");
        let at = |pos| binlog::is_boundary(&conn, LogPosition { file: 1, pos }).unwrap();
        assert!(at(4) && !at(123) && !at(154));
        log.begin(&conn).unwrap();
        assert_eq!(binlog::head(&conn).unwrap(), LogPosition { file: 2, pos: DATA_POS });
    }
}

//! CHANGE MASTER, START, STOP, RESET and SHOW of links, in MySQL's old and new words.
//!
//! A link has a name in MariaDB's form (`CHANGE MASTER 'name' TO`) or in MySQL's (`FOR CHANNEL 'name'`); without one the
//! statement is about the only link.

use super::Answer;
use super::words::{Word, Words};
use crate::SqlError;
use crate::replication::links::{Changes, Links, Threads};
use crate::replication::position::LogPosition;
use crate::replication::status;
use crate::replication::until::Until;
use database::{GtidSet, Secret};
use rusqlite::Connection;

/// The longest MASTER_HEARTBEAT_PERIOD, as in MySQL.
const MAX_HEARTBEAT_SECONDS: f64 = 4_294_967.0;

/// `CHANGE MASTER ['name'] TO …`, `CHANGE REPLICATION SOURCE TO … [FOR CHANNEL 'name']`.
pub(super) fn change(links: &Links, words: &mut Words) -> Option<Result<Answer, SqlError>> {
    if !words.take("MASTER") && !words.take_all(&["REPLICATION", "SOURCE"]) {
        return None;
    }
    Some(read_changes(words).and_then(|(name, changes)| links.change(&name, changes)).map(|()| Answer::Done))
}

fn read_changes(words: &mut Words) -> Result<(String, Changes), SqlError> {
    let mut name = name(words);
    if !words.take("TO") {
        return Err(words.syntax());
    }
    let mut changes = Changes::default();
    loop {
        let option = words.name()?.to_ascii_uppercase();
        if !words.sign('=') {
            return Err(words.syntax());
        }
        read_option(words, &option, &mut changes)?;
        if !words.sign(',') {
            break;
        }
    }
    channel(words, &mut name)?;
    words.end()?;
    Ok((name, changes))
}

fn read_option(words: &mut Words, option: &str, changes: &mut Changes) -> Result<(), SqlError> {
    let plain = option.strip_prefix("MASTER_").or_else(|| option.strip_prefix("SOURCE_")).unwrap_or_default();
    match plain {
        "HOST" => changes.host = Some(words.text()?),
        "PORT" => changes.port = Some(u16::try_from(words.number()?).map_err(|_| words.syntax())?),
        "USER" => changes.user = Some(words.text()?),
        "PASSWORD" => changes.password = Some(Secret::from(words.text()?)),
        "LOG_FILE" => changes.log_file = Some(words.text()?),
        "LOG_POS" => changes.log_pos = Some(words.number()?),
        "AUTO_POSITION" => changes.auto_position = Some(words.number()? != 0),
        "CONNECT_RETRY" => changes.connect_retry_s = Some(words.number()?),
        "DELAY" => changes.delay_s = Some(words.number()?),
        "RETRY_COUNT" => changes.retry_count = Some(words.number()?),
        "HEARTBEAT_PERIOD" => heartbeat(words.seconds()?)?,
        _ if option == "IGNORE_SERVER_IDS" => changes.ignore_server_ids = Some(server_ids(words)?),
        "USE_GTID" => {
            changes.auto_position = match words.name()?.to_ascii_lowercase().as_str() {
                "slave_pos" | "current_pos" => Some(true),
                "no" => Some(false),
                _ => return Err(words.syntax()),
            }
        }
        "SSL" => changes.ssl = Some(words.number()? != 0),
        "SSL_CA" => changes.ssl_ca = Some(words.text()?),
        "SSL_CERT" => changes.ssl_cert = Some(words.text()?),
        "SSL_KEY" => changes.ssl_key = Some(words.text()?),
        "SSL_VERIFY_SERVER_CERT" => changes.ssl_verify = Some(words.number()? != 0),
        // A password is never sent in clear, so there is nothing to do.
        _ if option == "GET_MASTER_PUBLIC_KEY" || option == "GET_SOURCE_PUBLIC_KEY" => drop(words.number()?),
        _ => return Err(SqlError::unsupported(option)),
    }
    Ok(())
}

/// A source sends a heartbeat each second, whatever is asked for: never fewer, and never more.
fn heartbeat(seconds: f64) -> Result<(), SqlError> {
    if seconds < 1.0 {
        return Err(SqlError::unsupported("a heartbeat more often than each second, or none"));
    }
    if seconds > MAX_HEARTBEAT_SECONDS {
        let message = format!(
            "The requested value for the heartbeat period is either negative or exceeds the maximum allowed \
             ({MAX_HEARTBEAT_SECONDS} seconds)."
        );
        return Err(SqlError::new(1703, "HY000", message));
    }
    Ok(())
}

/// `(1, 2)`, or `()` for none.
fn server_ids(words: &mut Words) -> Result<Vec<u32>, SqlError> {
    let mut ids = Vec::new();
    if !words.sign('(') {
        return Err(words.syntax());
    }
    while !words.sign(')') {
        if !ids.is_empty() && !words.sign(',') {
            return Err(words.syntax());
        }
        ids.push(u32::try_from(words.number()?).map_err(|_| words.syntax())?);
    }
    Ok(ids)
}

/// The name of a link, in the place where MariaDB has it.
pub(super) fn name(words: &mut Words) -> String {
    match words.peek() {
        Some(Word::Text(_)) => words.text().unwrap_or_default(),
        _ => String::new(),
    }
}

/// `FOR CHANNEL 'name'`.
pub(super) fn channel(words: &mut Words, name: &mut String) -> Result<(), SqlError> {
    if words.take_all(&["FOR", "CHANNEL"]) {
        *name = words.text()?;
    }
    Ok(())
}

/// `START SLAVE ['name'] [IO_THREAD] [, SQL_THREAD] [UNTIL …]`, `START ALL SLAVES`, and the same with STOP.
pub(super) fn start_or_stop(
    links: &Links,
    words: &mut Words,
    start: bool,
) -> Option<Result<Answer, SqlError>> {
    let all = words.take_all(&["ALL", "SLAVES"]) || words.take_all(&["ALL", "REPLICAS"]);
    (all || words.either("SLAVE", "REPLICA")).then(|| {
        let Asked { name, threads, until } = read_asked(words, start)?;
        let names = match all {
            true => links.all().iter().map(|link| link.name.clone()).collect(),
            false => vec![name],
        };
        for name in names {
            match start {
                true => links.start_until(&name, threads, until.clone())?,
                false => links.stop(&name, threads)?,
            }
        }
        Ok(Answer::Done)
    })
}

/// What a START or STOP is about.
struct Asked {
    name: String,
    threads: Threads,
    until: Option<Until>,
}

fn read_asked(words: &mut Words, start: bool) -> Result<Asked, SqlError> {
    let mut name = name(words);
    let mut threads = Threads { receiver: false, applier: false };
    loop {
        if words.either("IO_THREAD", "RELAY_THREAD") {
            threads.receiver = true;
        } else if words.take("SQL_THREAD") {
            threads.applier = true;
        } else {
            break;
        }
        if !words.sign(',') {
            break;
        }
    }
    if !threads.receiver && !threads.applier {
        threads = Threads { receiver: true, applier: true };
    }
    let until = if start && words.take("UNTIL") { Some(read_until(words)?) } else { None };
    channel(words, &mut name)?;
    words.end()?;
    Ok(Asked { name, threads, until })
}

fn read_until(words: &mut Words) -> Result<Until, SqlError> {
    let option = words.name()?.to_ascii_uppercase();
    if !words.sign('=') {
        return Err(words.syntax());
    }
    let gtids = |words: &mut Words| {
        let text = words.text()?;
        text.parse::<GtidSet>()
            .map_err(|_| SqlError::new(1772, "HY000", format!("Malformed GTID set specification '{text}'.")))
    };
    match option.as_str() {
        "SQL_BEFORE_GTIDS" => Ok(Until::Before(gtids(words)?)),
        "SQL_AFTER_GTIDS" => Ok(Until::After(gtids(words)?)),
        "MASTER_LOG_FILE" | "SOURCE_LOG_FILE" => {
            let file = words.text()?;
            let pos = words.sign(',') && words.either("MASTER_LOG_POS", "SOURCE_LOG_POS") && words.sign('=');
            if !pos {
                return Err(SqlError::new(
                    1277,
                    "HY000",
                    "Incorrect parameter or combination of parameters for START REPLICA UNTIL",
                ));
            }
            let pos = words.number()?;
            let place = LogPosition::in_file(&file, pos);
            place.map(Until::Place).ok_or_else(|| {
                SqlError::new(1210, "HY000", format!("Incorrect arguments: '{file}' is no log file"))
            })
        }
        _ => Err(SqlError::unsupported(format!("START REPLICA UNTIL {option}"))),
    }
}

/// `RESET SLAVE ['name'] [ALL]`.
pub(super) fn reset(links: &Links, words: &mut Words) -> Option<Result<Answer, SqlError>> {
    words.either("SLAVE", "REPLICA").then(|| {
        let mut name = name(words);
        let all = words.take("ALL");
        channel(words, &mut name)?;
        words.end()?;
        links.reset(&name, all)?;
        Ok(Answer::Done)
    })
}

/// `SHOW SLAVE ['name'] STATUS`, `SHOW ALL SLAVES STATUS`, `SHOW REPLICA STATUS [FOR CHANNEL 'name']`.
pub(super) fn show(links: &Links, words: &mut Words, conn: &Connection) -> Option<Result<Answer, SqlError>> {
    let all = words.take_all(&["ALL", "SLAVES"]) || words.take_all(&["ALL", "REPLICAS"]);
    let replica = words.is("REPLICA");
    if !all && !words.either("SLAVE", "REPLICA") {
        return None;
    }
    let mut name = name(words);
    if !words.take("STATUS") {
        return None;
    }
    let listing = channel(words, &mut name).and_then(|()| words.end()).and_then(|()| {
        let chosen = if name.is_empty() { links.all() } else { vec![links.get(&name)?] };
        status::replica_status(conn, &chosen, replica)
    });
    Some(listing.map(Answer::Listing))
}

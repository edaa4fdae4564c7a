//! CHANGE MASTER, START, STOP, RESET and SHOW of links, in MySQL's old and new words.
//!
//! A link has a name in MariaDB's form (`CHANGE MASTER 'name' TO`) or in MySQL's (`FOR CHANNEL 'name'`); without one the
//! statement is about the only link.

use super::Answer;
use super::words::{Word, Words};
use crate::SqlError;
use crate::replication::links::{Changes, Links, Threads};
use crate::replication::status;
use database::Secret;
use rusqlite::Connection;

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
        "USE_GTID" => {
            changes.auto_position = match words.name()?.to_ascii_lowercase().as_str() {
                "slave_pos" | "current_pos" => Some(true),
                "no" => Some(false),
                _ => return Err(words.syntax()),
            }
        }
        // Both say what this node does anyway: no TLS, and a password that is never sent as it is.
        "SSL" | "SSL_VERIFY_SERVER_CERT" if words.number()? == 0 => {}
        "SSL" | "SSL_VERIFY_SERVER_CERT" => return Err(SqlError::unsupported(format!("{option} = 1"))),
        _ if option == "GET_MASTER_PUBLIC_KEY" || option == "GET_SOURCE_PUBLIC_KEY" => drop(words.number()?),
        _ => return Err(SqlError::unsupported(option)),
    }
    Ok(())
}

/// The name of a link, in the place where MariaDB has it.
fn name(words: &mut Words) -> String {
    match words.peek() {
        Some(Word::Text(_)) => words.text().unwrap_or_default(),
        _ => String::new(),
    }
}

/// `FOR CHANNEL 'name'`.
fn channel(words: &mut Words, name: &mut String) -> Result<(), SqlError> {
    if words.take_all(&["FOR", "CHANNEL"]) {
        *name = words.text()?;
    }
    Ok(())
}

/// `START SLAVE ['name'] [IO_THREAD] [, SQL_THREAD]`.
pub(super) fn start_or_stop(
    links: &Links,
    words: &mut Words,
    start: bool,
) -> Option<Result<Answer, SqlError>> {
    words.either("SLAVE", "REPLICA").then(|| {
        let (name, threads) = read_threads(words)?;
        if start {
            links.start(&name, threads)?
        } else {
            links.stop(&name, threads)?
        };
        Ok(Answer::Done)
    })
}

fn read_threads(words: &mut Words) -> Result<(String, Threads), SqlError> {
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
    if words.is("UNTIL") {
        return Err(SqlError::unsupported("START REPLICA UNTIL"));
    }
    channel(words, &mut name)?;
    words.end()?;
    Ok((name, threads))
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

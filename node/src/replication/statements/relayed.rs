//! `SHOW RELAYLOG EVENTS`: what a link has received and not discarded yet, in the words of `SHOW BINLOG EVENTS`.
//!
//! A relay log holds transactions with their place in the source's log, and that is the place which is shown, where MySQL shows its own and the
//! source's end. What is applied is discarded soon, so that a replica that keeps up shows next to nothing. Several links are
//! told apart by their name, in MySQL's place or in MariaDB's.

use super::linking::{channel, name};
use super::words::Words;
use crate::SqlError;
use crate::replication::events::{columns, lines_of};
use crate::replication::links::Links;
use crate::replication::status::{Listing, relay_file};

/// The most lines without a LIMIT.
const MAX_EVENTS: usize = 100_000;

/// What follows `SHOW RELAYLOG`.
pub(super) fn show(links: &Links, words: &mut Words, anonymous: bool) -> Result<Listing, SqlError> {
    let mut of = name(words);
    if !words.take("EVENTS") {
        return Err(words.syntax());
    }
    let file = if words.take("IN") { Some(words.text()?) } else { None };
    let from = if words.take("FROM") { words.number()? } else { 0 };
    let (offset, limit) = words.limit(MAX_EVENTS)?;
    channel(words, &mut of)?;
    words.end()?;
    let mut listing = Listing { columns: columns(), rows: Vec::new() };
    let chosen = match links.all() {
        all if of.is_empty() && all.len() <= 1 => all,
        _ => vec![links.get(&of)?],
    };
    let Some(link) = chosen.first() else { return Ok(listing) };
    let own = relay_file(link);
    if file.is_some_and(|file| file != own) {
        let message = "Error when executing command SHOW RELAYLOG EVENTS: Could not find target log";
        return Err(SqlError::new(1220, "HY000", message));
    }
    let mut after = 0;
    while listing.rows.len() < offset + limit {
        let waiting = link.relay.next(after)?;
        let Some(last) = waiting.last() else { break };
        after = last.n;
        let behind = waiting.iter().filter(|waiting| waiting.record.position.pos >= from);
        listing.rows.extend(behind.flat_map(|waiting| lines_of(&own, &waiting.record, anonymous)));
    }
    listing.rows.truncate(offset + limit);
    listing.rows.drain(..offset.min(listing.rows.len()));
    Ok(listing)
}

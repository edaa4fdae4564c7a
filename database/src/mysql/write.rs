//! Writing: [`Writer`] for a server behind MySQL's protocol. The one place of the driver that changes user tables.
//!
//! # The two halves
//!
//! `guard` looks at the rows; `mend`, some time later, writes those that did not move since.
//!
//! * [`Watch::Log`]: the guard is a reading with its position. `mend` locks the rows in its transaction, asks in that same
//!   transaction which keys the log holds since, and writes only rows that have the expected bytes **and** are not
//!   among these keys. A row that was written and written back has moved, although its bytes say nothing.
//! * [`Watch::Locks`]: the guard is a transaction that locks the rows and writes them ([`guarded`]); `mend` takes back what is not to
//!   be, and commits. Should the connection be gone by then, the server has rolled everything back, and everything has moved.
//!
//! # Invariants
//!
//! * Nothing is written but with `sql_log_bin=0`, and a server that does not allow it is refused before anything else.
//! * Each edit is read back before it is committed: what is not byte for byte as wanted is undone ([`edits`]).
//! * Whatever else the server would change by itself with an edit (triggers, cascades) makes the edit refused, because
//!   nobody planned it; but for triggers, if they may fire.
//! * After any doubt the connection is closed, by which the server rolls back.

use super::fault::Fault;
use super::link::Link;
use super::read::{Whose, by_key, changes, log_pin};
use super::{Connection, Watch, rights};
use crate::dialect::Lock;
use crate::edit::{Edit, Mending};
use crate::error::{Error, Result};
use crate::row::Key;
use crate::table::Table;
use crate::{Pin, Position, Writer};
use std::collections::HashSet;
use std::sync::Arc;

mod edits;
mod effects;
mod guarded;

use edits::{Around, Manner, make};
pub(super) use guarded::Guarded;

/// What is refused to a user without the right ([`Error::Refused`]); the server says which one.
pub const OUTSIDE_LOG: &str = "to write outside the log (sql_log_bin=0)";
/// Access denied; unknown, wrongly set, read-only variable, also of a session: not too many connections, and the like.
const LOG_STAYS_ON: [u16; 5] = [1227, 1193, 1231, 1238, 1621];

/// The edits of one table, by their place in the call.
struct Group {
    table: Arc<Table>,
    places: Vec<usize>,
    keys: Vec<Key>,
}

fn groups(edits: &[Edit]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, edit) in edits.iter().enumerate() {
        let of_table = groups.iter().position(|group| {
            group.table.database == edit.table.database && group.table.name == edit.table.name
        });
        let index = of_table.unwrap_or_else(|| {
            groups.push(Group { table: edit.table.clone(), places: Vec::new(), keys: Vec::new() });
            groups.len() - 1
        });
        groups[index].places.push(place);
        groups[index].keys.push(edit.key.clone());
    }
    groups
}

fn tables(groups: &[Group]) -> Vec<(&Table, &[Key])> {
    groups.iter().map(|group| (group.table.as_ref(), group.keys.as_slice())).collect()
}

/// Brings what was read group by group into the order of the edits.
fn in_order<T: Clone + Default>(groups: &[Group], read: Vec<T>, edits: usize) -> Vec<T> {
    let mut ordered = vec![T::default(); edits];
    let places = groups.iter().flat_map(|group| &group.places);
    places.zip(read).for_each(|(&place, one)| ordered[place] = one);
    ordered
}

impl Writer for Connection {
    async fn guard(&mut self, edits: &[Edit]) -> Result<Pin> {
        self.end_hold();
        let watched = self.watch == Watch::Log;
        if let Some(edit) = edits.iter().find(|edit| watched && edit.table.counted()) {
            let reason =
                format!("{} has no key by which a row could be guarded; nothing was changed", edit.table);
            return Err(Error::Schema { node: self.name.clone(), reason });
        }
        let link = if self.watch == Watch::Log { &mut self.main } else { &mut self.guards };
        link.refresh().await;
        match without_log(link).await {
            Err(fault) if fault.number().is_some_and(|number| LOG_STAYS_ON.contains(&number)) => {
                return Err(Error::Refused {
                    node: self.name.clone(),
                    what: OUTSIDE_LOG.into(),
                    reason: fault.words(),
                    grant: rights::line_for(&fault, self.main.account(), None),
                });
            }
            result => result.map_err(|fault| self.error(fault, "guarding rows"))?,
        }
        if edits.is_empty() {
            if watched {
                with_log(&mut self.main).await;
            }
            return Ok(Pin { rows: Vec::new(), since: Position::default() });
        }
        let groups = groups(edits);
        let pin = match self.watch {
            Watch::Log => log_pin(&mut self.main, &tables(&groups))
                .await
                .map(|pin| Pin { rows: in_order(&groups, pin.rows, edits.len()), since: pin.since }),
            Watch::Locks => self.lock_guard(edits, &groups).await,
        };
        if self.watch == Watch::Log {
            with_log(&mut self.main).await;
        }
        pin.map_err(|fault| self.error_of(fault, "guarding rows", &edits[0].table))
    }

    async fn mend(&mut self, edits: &[Edit], guard: &Pin, go: &[bool]) -> Result<Vec<Mending>> {
        if !go.contains(&true) || edits.is_empty() {
            self.end_hold();
            return Ok(vec![Mending::CalledOff; edits.len()]);
        }
        if go.len() != edits.len() || guard.rows.len() != edits.len() {
            self.end_hold();
            return Err(Error::Bound {
                node: self.name.clone(),
                reason: "the guard is not that of these edits; nothing was changed".into(),
            });
        }
        let done = match self.watch {
            Watch::Log => {
                let done = mend_by_log(&mut self.main, edits, guard, go).await;
                if done.is_err() {
                    self.main.close();
                }
                with_log(&mut self.main).await;
                match done {
                    // the transaction was rolled back in favour of somebody who waited: the rows are asked again
                    Err(fault) if fault.is_lock() => Ok(moved(go)),
                    done => done,
                }
            }
            Watch::Locks => match self.mend_by_locks(edits, go).await {
                // everything was rolled back
                Err(fault) if fault.is_lock() => Ok(moved(go)),
                done => done,
            },
        };
        done.map_err(|fault| self.error_of(fault, "mending rows", &edits[0].table))
    }
}

/// Nothing was written, and what was to be has to be looked at again.
fn moved(go: &[bool]) -> Vec<Mending> {
    go.iter().map(|&go| if go { Mending::Moved } else { Mending::CalledOff }).collect()
}

/// Takes the session out of the log.
pub(super) async fn without_log(link: &mut Link) -> std::result::Result<(), Fault> {
    link.run("SET SESSION sql_log_bin=0").await.map(|_| ())
}

/// Takes it back in, or ends it: the connection must not go on outside the log.
async fn with_log(link: &mut Link) {
    if link.generation() != 0 && link.run("SET SESSION sql_log_bin=1").await.is_err() {
        link.close();
    }
}

async fn mend_by_log(
    link: &mut Link,
    edits: &[Edit],
    guard: &Pin,
    go: &[bool],
) -> std::result::Result<Vec<Mending>, Fault> {
    without_log(link).await?;
    link.run("START TRANSACTION").await?;
    let groups = groups(edits);
    let (mut rows, mut moved) = (Vec::new(), HashSet::new());
    for group in &groups {
        rows.extend(by_key(link, &group.table, &group.keys, Lock::OneWriter).await?);
    }
    for group in &groups {
        match changes(link, &group.table, &guard.since, Whose::Anybodys).await {
            Ok(changed) => {
                let touched = group.places.iter().zip(&group.keys).filter(|(_, key)| changed.contains(*key));
                moved.extend(touched.map(|(&place, _)| place));
            }
            // the log does not reach back, or the table was altered: nothing is certain of any of them
            Err(fault) if fault.is_server() && !fault.is_lock() => moved.extend(group.places.iter().copied()),
            Err(fault) => return Err(fault),
        }
    }
    let rows = in_order(&groups, rows, edits.len());
    let fate = edits
        .iter()
        .enumerate()
        .map(|(place, edit)| match go[place] {
            false => Some(Mending::CalledOff),
            true if moved.contains(&place) || rows[place] != edit.expected => Some(Mending::Moved),
            true => None,
        })
        .collect();
    // the bundled node has neither triggers nor foreign keys
    let around: Vec<Around> = edits.iter().map(|_| Around { alone: true, ..Around::default() }).collect();
    let done = make(link, edits, fate, &around, Manner::OneByOne).await?;
    link.run("COMMIT").await?;
    Ok(done)
}

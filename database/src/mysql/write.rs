//! Writing: [`Writer`] for a server behind MySQL's protocol. The one place of the driver that changes user tables.
//!
//! # The two halves
//!
//! `guard` looks at the rows; `mend`, some time later, writes those that did not move since.
//!
//! * [`Watch::Log`]: the guard is a reading with its position. `mend` locks the rows in its transaction, asks in that same
//!   transaction which keys the log holds since, and writes only rows that have the expected bytes **and** are not
//!   among these keys. A row that was written and written back has moved, although its bytes say nothing.
//! * [`Watch::Locks`]: the guard is a transaction that holds exclusive locks on the rows, and on the gaps where rows
//!   are missing. `mend` writes in that same transaction. Should the connection be gone by then, nothing was
//!   held, and everything has moved.
//!
//! # Invariants
//!
//! * Nothing is written but with `sql_log_bin=0`, and a server that does not allow it is refused before anything else.
//! * Each edit stands in a savepoint and is read back: what is not byte for byte as wanted is undone.
//! * Whatever else the server would change by itself with an edit (triggers, cascades) makes the edit refused, because
//!   nobody planned it.
//! * After any doubt the connection is closed, by which the server rolls back.

use super::fault::Fault;
use super::link::Link;
use super::locks::locks_rows;
use super::read::{Whose, by_key, changes, log_pin};
use super::{Connection, Watch, rights};
use crate::dialect::{self, Lock};
use crate::edit::{Edit, Mending};
use crate::error::{Error, Result};
use crate::row::{Key, Row};
use crate::table::Table;
use crate::{Pin, Position, Writer};
use std::collections::HashSet;
use std::sync::Arc;

mod effects;

use effects::{Check, SideEffects};

/// What is refused to a user without the right; the server says which one.
const OUTSIDE_LOG: &str = "to write outside the log (sql_log_bin=0); nothing was changed";

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

/// Brings rows that were read group by group into the order of the edits.
fn in_order(groups: &[Group], rows: Vec<Option<Row>>, edits: usize) -> Vec<Option<Row>> {
    let mut ordered = vec![None; edits];
    let places = groups.iter().flat_map(|group| &group.places);
    places.zip(rows).for_each(|(&place, row)| ordered[place] = row);
    ordered
}

impl Writer for Connection {
    async fn guard(&mut self, edits: &[Edit]) -> Result<Pin> {
        self.end_hold();
        if edits.is_empty() {
            return Ok(Pin { rows: Vec::new(), since: Position::default() });
        }
        if let Some(edit) = edits.iter().find(|edit| edit.table.counted()) {
            let reason =
                format!("{} has no key by which a row could be guarded; nothing was changed", edit.table);
            return Err(Error::Schema { node: self.name.clone(), reason });
        }
        let link = if self.watch == Watch::Log { &mut self.main } else { &mut self.locks };
        match without_log(link).await {
            Err(fault @ Fault::Server { .. }) => {
                return Err(Error::Refused {
                    node: self.name.clone(),
                    what: OUTSIDE_LOG.into(),
                    reason: fault.words(),
                    grant: rights::line_for(&fault, self.main.account(), None),
                });
            }
            result => result.map_err(|fault| self.error(fault, "guarding rows"))?,
        }
        let groups = groups(edits);
        let pin = match self.watch {
            Watch::Log => log_pin(&mut self.main, &tables(&groups)).await,
            Watch::Locks => self.lock_guard(&groups).await,
        };
        if self.watch == Watch::Log {
            with_log(&mut self.main).await;
        }
        let pin = pin.map_err(|fault| self.error_of(fault, "guarding rows", &edits[0].table))?;
        Ok(Pin { rows: in_order(&groups, pin.rows, edits.len()), since: pin.since })
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
            Watch::Locks => self.mend_by_locks(edits, guard, go).await,
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

impl Connection {
    async fn lock_guard(&mut self, groups: &[Group]) -> std::result::Result<Pin, Fault> {
        // where Galera replicates, sql_log_bin does not keep a write on this node
        if self.in_galera().await? {
            return Err(Fault::Server { number: NOT_HERE, message: GALERA.into() });
        }
        for group in groups {
            if !locks_rows(&mut self.main, &group.table).await? {
                let message =
                    format!("the engine of {} does not lock rows; nothing was changed", group.table);
                return Err(Fault::Server { number: NOT_HERE, message });
            }
        }
        let locked = self.lock(&tables(groups), Lock::Update).await?;
        Ok(Pin { rows: locked.rows, since: Position("locks".into()) })
    }

    async fn mend_by_locks(
        &mut self,
        edits: &[Edit],
        guard: &Pin,
        go: &[bool],
    ) -> std::result::Result<Vec<Mending>, Fault> {
        let groups = groups(edits);
        let held = self.held.take().filter(|held| {
            held.guard && held.generation == self.locks.generation() && held.rows.len() == edits.len()
        });
        let Some(held) = held else {
            self.locks.close();
            return Ok(moved(go));
        };
        let mut may: Vec<Option<Mending>> =
            go.iter().map(|&go| (!go).then_some(Mending::CalledOff)).collect();
        let places = groups.iter().flat_map(|group| &group.places);
        for (&place, &held) in places.zip(&held.rows) {
            if may[place].is_none() && !(held && guard.rows[place] == edits[place].expected) {
                may[place] = Some(Mending::Moved);
            }
        }
        let mut checks: Vec<Vec<Check>> = edits.iter().map(|_| Vec::new()).collect();
        for group in &groups {
            let effects = match SideEffects::of(&mut self.main, &group.table).await {
                Ok(effects) => effects,
                Err(fault) => {
                    self.locks.close();
                    return Err(fault);
                }
            };
            for &place in &group.places {
                if may[place].is_none() {
                    may[place] = effects.refusal(&edits[place]).map(Mending::Refused);
                    checks[place] = effects.checks(&edits[place]);
                }
            }
        }
        let done = write_and_commit(&mut self.locks, edits, may, &checks).await;
        if done.is_err() {
            self.locks.close();
        }
        with_log(&mut self.locks).await;
        done
    }
}

/// "Table storage engine doesn't have this option".
const NOT_HERE: u16 = 1031;
const GALERA: &str = "Galera replicates what is written with sql_log_bin=0 too, so no edit can be kept on this node; \
     let the node take a new state transfer instead; nothing was changed";

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
    let may = edits
        .iter()
        .enumerate()
        .map(|(place, edit)| match go[place] {
            false => Some(Mending::CalledOff),
            true if moved.contains(&place) || rows[place] != edit.expected => Some(Mending::Moved),
            true => None,
        })
        .collect();
    // the bundled node has neither triggers nor foreign keys
    write_and_commit(link, edits, may, &[]).await
}

/// Makes the edits of which nothing is decided yet, deletions first and insertions last, so that a unique value is
/// free before another row takes it; then commits.
async fn write_and_commit(
    link: &mut Link,
    edits: &[Edit],
    mut fate: Vec<Option<Mending>>,
    checks: &[Vec<Check>],
) -> std::result::Result<Vec<Mending>, Fault> {
    let rank = |edit: &Edit| match (&edit.expected, &edit.wanted) {
        (_, None) => 0,
        (Some(_), Some(_)) => 1,
        (None, Some(_)) => 2,
    };
    let mut named = HashSet::new();
    for (place, edit) in edits.iter().enumerate() {
        if !named.insert((&edit.table.database, &edit.table.name, &edit.key)) && fate[place].is_none() {
            fate[place] = Some(Mending::Refused("an edit before it names the same row".into()));
        }
    }
    let mut order: Vec<usize> = (0..edits.len()).filter(|&place| fate[place].is_none()).collect();
    order.sort_by_key(|&place| rank(&edits[place]));
    // outside a transaction a savepoint is gone at once: then nothing must be written
    link.run("SAVEPOINT evensum_edit").await?;
    link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
    for place in order {
        let checks = checks.get(place).map_or(&[][..], Vec::as_slice);
        fate[place] = Some(match refusal(link, checks).await? {
            Some(reason) => Mending::Refused(reason),
            None => write(link, &edits[place]).await?,
        });
    }
    link.run("COMMIT").await?;
    Ok(fate.into_iter().map(|fate| fate.unwrap_or(Mending::CalledOff)).collect())
}

/// The reason of the first check that has a row as its answer, or that cannot be made.
async fn refusal(link: &mut Link, checks: &[Check]) -> std::result::Result<Option<String>, Fault> {
    for check in checks {
        match link.ask(&check.sql).await {
            Ok(answer) if answer.rows.is_empty() => {}
            Ok(_) => return Ok(Some(check.refusal.clone())),
            // most likely a right on the other table is missing
            Err(fault) if fault.is_server() && !fault.is_lock() => {
                return Ok(Some(rights::words(&fault, link.account(), &check.database)));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(None)
}

/// Makes one edit in a savepoint, and reads it back.
async fn write(link: &mut Link, edit: &Edit) -> std::result::Result<Mending, Fault> {
    let whole =
        |row: &Option<Row>| row.as_ref().is_none_or(|row| row.values().len() == edit.table.columns.len());
    if !whole(&edit.expected) || !whole(&edit.wanted) {
        return Ok(Mending::Refused("the row holds text that is not valid in its character set".into()));
    }
    let sql = match (&edit.expected, &edit.wanted) {
        (Some(_), None) => Some(dialect::delete(&edit.table, &edit.key)),
        (Some(from), Some(to)) => dialect::update(&edit.table, &edit.key, from, to),
        (None, Some(row)) => Some(dialect::insert(&edit.table, row)),
        (None, None) => None,
    };
    let Some(sql) = sql else { return Ok(Mending::Mended) };
    link.run("SAVEPOINT evensum_edit").await?;
    let written = match link.run(&sql).await {
        Ok(_) => by_key(link, &edit.table, std::slice::from_ref(&edit.key), Lock::None).await?,
        // a deadlock or a lock that was not granted may have ended the whole transaction
        Err(fault) if fault.is_server() && !fault.is_lock() => {
            link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
            return Ok(Mending::Refused(rights::words(&fault, link.account(), &edit.table.database)));
        }
        Err(fault) => return Err(fault),
    };
    if written.first() == Some(&edit.wanted) {
        return Ok(Mending::Mended);
    }
    link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
    let found = written.into_iter().flatten().next();
    let found = found.map_or_else(|| "no row".to_owned(), |row| row.to_string());
    Ok(Mending::Refused(format!("the server made {found} of it, which is not what was planned")))
}

//! Making edits in a transaction that is open: all at once, or, where one of them cannot be made, one by one.
//!
//! # Together
//!
//! The statements of many edits go to the server as one text, and all rows are read back by their keys. If every row is byte for
//! byte as wanted, that was all. If not, everything is undone up to where it began, and the edits are made one by one.
//!
//! # One by one
//!
//! Each edit stands in a savepoint and is read back, so that one that cannot be made costs only itself. One that another row
//! stands in the way of (a unique value, a foreign key) is tried again after the others, as long as any of them gets on.
//! Values that go round in a ring among rows (two rows that swap a unique value are the smallest) leave none that does: then these rows
//! are deleted and inserted again as they are wanted, with foreign keys off, so that none is followed; and afterwards each foreign key
//! that they have, or that refers to them, is asked for.
//!
//! Where triggers may fire, one of them could change a row of another edit: then none of these edits is made.
//!
//! Invariant: when this returns, each edit that is called mended has its row in the transaction as wanted, and every other row is as
//! it was, but for what triggers did that may fire. Not here: locks, commits, and what else the server would do ([`super::effects`]).

use super::effects::Check;
use super::{groups, in_order};
use crate::dialect::{self, counted};
use crate::edit::{Edit, Mending};
use crate::mysql::fault::Fault;
use crate::mysql::link::Link;
use crate::mysql::read::read_unlocked;
use crate::mysql::rights;
use crate::row::Row;
use std::collections::HashSet;

/// The most statements, and bytes of them, that go to the server as one text.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 256 << 10;

/// Duplicate entry, duplicate entry with the name of its key; a row that is referred to, a row that refers to none.
const IN_THE_WAY: [u16; 4] = [1062, 1586, 1451, 1452];

/// What is around the row of an edit.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// What is asked before the edit is made.
    pub(super) checks: Vec<Check>,
    /// Whether nothing else happens when the row is deleted and inserted again, but for foreign keys.
    pub(super) alone: bool,
    /// Whether it fires triggers.
    pub(super) fires: bool,
    /// What is asked after that.
    pub(super) afterwards: Vec<Check>,
    /// Of a row without a key that is there: the hash by which it is known.
    pub(super) hash: Option<String>,
}

/// How edits may be made on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It takes several statements as one text.
    Together,
    /// It takes one at a time.
    OneByOne,
}

/// Makes the edits of which nothing is decided yet; what became of all of them. `around` has one for each edit. Deletions go
/// first and insertions last, so that a unique value is free before another row takes it. A row that no other row may stand in for is named once.
pub(super) async fn make(
    link: &mut Link,
    edits: &[Edit],
    mut fate: Vec<Option<Mending>>,
    around: &[Around],
    manner: Manner,
) -> Result<Vec<Mending>, Fault> {
    let mut named = HashSet::new();
    for (place, edit) in edits.iter().enumerate() {
        if !named.insert((&edit.table.database, &edit.table.name, &edit.key)) && fate[place].is_none() {
            fate[place] = Some(Mending::Refused("an edit before it names the same row".into()));
        }
        if fate[place].is_none() {
            fate[place] = unfit(edit).map(Mending::Refused);
        }
    }
    let mut order: Vec<usize> = (0..edits.len()).filter(|&place| fate[place].is_none()).collect();
    order.sort_by_key(|&place| rank(&edits[place]));
    // outside a transaction a savepoint is gone at once: then nothing must be written
    link.run("SAVEPOINT evensum_edit").await?;
    link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
    // what fires is made once, and not again if others cannot be made
    let plain = order.iter().all(|&place| around[place].checks.is_empty() && !around[place].fires);
    if manner == Manner::Together && plain && order.len() > 1 && together(link, edits, &order, around).await?
    {
        order.iter().for_each(|&place| fate[place] = Some(Mending::Mended));
    } else if order.iter().any(|&place| around[place].fires) {
        firing(link, edits, order, &mut fate, around).await?;
    } else {
        one_by_one(link, edits, order, &mut fate, around).await?;
    }
    Ok(fate.into_iter().map(|fate| fate.unwrap_or(Mending::CalledOff)).collect())
}

/// Makes edits of which some fire triggers one by one, and none if a trigger changed the row of another one.
async fn firing(
    link: &mut Link,
    edits: &[Edit],
    order: Vec<usize>,
    fate: &mut [Option<Mending>],
    around: &[Around],
) -> Result<(), Fault> {
    link.run("SAVEPOINT evensum_firing").await?;
    one_by_one(link, edits, order.clone(), fate, around).await?;
    let made: Vec<Edit> = (order.iter())
        .filter(|&&place| fate[place] == Some(Mending::Mended))
        .map(|&place| edits[place].clone())
        .collect();
    let as_made = rows_now(link, &made).await?.iter().zip(&made).all(|(row, edit)| *row == edit.wanted);
    if !as_made {
        link.run("ROLLBACK TO SAVEPOINT evensum_firing").await?;
        let reason = "a trigger that fired for one of these rows changed another one of them";
        order.iter().for_each(|&place| fate[place] = Some(Mending::Refused(reason.into())));
    }
    Ok(())
}

fn rank(edit: &Edit) -> u8 {
    match (&edit.expected, &edit.wanted) {
        (_, None) => 0,
        (Some(_), Some(_)) => 1,
        (None, Some(_)) => 2,
    }
}

fn is_whole(edit: &Edit) -> bool {
    let whole =
        |row: &Option<Row>| row.as_ref().is_none_or(|row| row.values().len() == edit.table.columns.len());
    whole(&edit.expected) && whole(&edit.wanted)
}

/// Why an edit cannot be written, whatever is on the server.
fn unfit(edit: &Edit) -> Option<String> {
    if !is_whole(edit) {
        return Some("the row holds text that is not valid in its character set".into());
    }
    let (before, after) = edit.copies();
    let most = counted::COPIES_MOST;
    (edit.table.counted() && before.abs_diff(after) > most)
        .then(|| format!("{after} copies instead of {before}: more than {most} to write"))
}

/// The statement of an edit; none if there is nothing to do.
fn statement(edit: &Edit, hash: Option<&str>) -> Option<String> {
    if edit.table.counted() {
        return match edit.copies() {
            (before, after) if before < after => Some(counted::add(&edit.table, &edit.key, after - before)),
            (before, after) if before > after => {
                Some(counted::remove(&edit.table, &edit.key, before - after, hash))
            }
            _ => None,
        };
    }
    match (&edit.expected, &edit.wanted) {
        (Some(_), None) => Some(dialect::delete(&edit.table, &edit.key)),
        (Some(from), Some(to)) => dialect::update(&edit.table, &edit.key, from, to),
        (None, Some(row)) => Some(dialect::insert(&edit.table, row)),
        (None, None) => None,
    }
}

/// Makes edits with as few messages as possible; false, and nothing is changed, if any of them could not be made.
async fn together(
    link: &mut Link,
    edits: &[Edit],
    order: &[usize],
    around: &[Around],
) -> Result<bool, Fault> {
    let statement = |&place: &usize| statement(&edits[place], around[place].hash.as_deref());
    let statements: Vec<String> = order.iter().filter_map(statement).collect();
    link.run("SAVEPOINT evensum_edit").await?;
    let mut rest = &statements[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |statement: &&String| {
            bytes += statement.len();
            bytes <= TOGETHER_BYTES
        };
        let count = rest.iter().take(TOGETHER).take_while(fits).count().max(1);
        let (some, others) = rest.split_at(count);
        rest = others;
        match link.run(&some.join("; ")).await {
            Ok(_) => {}
            // a deadlock or a lock that was not granted may have ended the whole transaction
            Err(fault) if fault.is_server() && !fault.is_lock() => {
                link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
                return Ok(false);
            }
            Err(fault) => return Err(fault),
        }
    }
    let chosen: Vec<Edit> = order.iter().map(|&place| edits[place].clone()).collect();
    let as_wanted = rows_now(link, &chosen).await?.iter().zip(&chosen).all(|(row, edit)| *row == edit.wanted);
    if !as_wanted {
        link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
    }
    Ok(as_wanted)
}

/// The rows of edits as the transaction shows them.
async fn rows_now(link: &mut Link, edits: &[Edit]) -> Result<Vec<Option<Row>>, Fault> {
    let groups = groups(edits);
    let mut rows = Vec::with_capacity(edits.len());
    for group in &groups {
        rows.extend(read_unlocked(link, &group.table, &group.keys).await?);
    }
    Ok(in_order(&groups, rows, edits.len()))
}

/// What one try gave.
enum Tried {
    Over(Mending),
    /// Another row stands in the way, in these words.
    InTheWay(String),
}

async fn one_by_one(
    link: &mut Link,
    edits: &[Edit],
    mut rest: Vec<usize>,
    fate: &mut [Option<Mending>],
    around: &[Around],
) -> Result<(), Fault> {
    loop {
        let mut waiting = Vec::new();
        for &place in &rest {
            let tried = match refusal(link, &around[place].checks).await? {
                Some(reason) => Tried::InTheWay(reason),
                None => write(link, &edits[place], around[place].hash.as_deref()).await?,
            };
            match tried {
                Tried::Over(mending) => fate[place] = Some(mending),
                Tried::InTheWay(reason) => {
                    fate[place] = Some(Mending::Refused(reason));
                    waiting.push(place);
                }
            }
        }
        if waiting.len() < rest.len() && !waiting.is_empty() {
            rest = waiting;
            continue;
        }
        let alone = |place: &usize| around[*place].alone;
        let ring: Vec<usize> = waiting.into_iter().filter(alone).collect();
        let there = |place: &usize| edits[*place].expected.is_some();
        if ring.len() > 1 && ring.iter().any(there) && turn(link, edits, &ring, around).await? {
            ring.iter().for_each(|&place| fate[place] = Some(Mending::Mended));
        }
        return Ok(());
    }
}

/// Makes edits whose values go round among their rows; false, and nothing is changed, if that is not what they do.
async fn turn(link: &mut Link, edits: &[Edit], ring: &[usize], around: &[Around]) -> Result<bool, Fault> {
    let there = ring.iter().filter(|&&place| edits[place].expected.is_some());
    let mut sql = vec!["SAVEPOINT evensum_ring".to_owned(), "SET SESSION foreign_key_checks=0".to_owned()];
    sql.extend(there.map(|&place| dialect::delete(&edits[place].table, &edits[place].key)));
    let wanted = ring.iter().filter_map(|&place| Some((&edits[place].table, edits[place].wanted.as_ref()?)));
    sql.extend(wanted.map(|(table, row)| dialect::insert(table, row)));
    sql.push("SET SESSION foreign_key_checks=1".to_owned());
    let mut made = true;
    for statement in &sql {
        match link.run(statement).await {
            Ok(_) => {}
            Err(fault) if fault.is_server() && !fault.is_lock() => {
                made = false;
                break;
            }
            Err(fault) => return Err(fault),
        }
    }
    let chosen: Vec<Edit> = ring.iter().map(|&place| edits[place].clone()).collect();
    let mut made =
        made && rows_now(link, &chosen).await?.iter().zip(&chosen).all(|(row, edit)| *row == edit.wanted);
    for &place in ring {
        made = made && refusal(link, &around[place].afterwards).await?.is_none();
    }
    if !made {
        link.run("ROLLBACK TO SAVEPOINT evensum_ring").await?;
        link.run("SET SESSION foreign_key_checks=1").await?;
    }
    Ok(made)
}

/// The reason of the first check that has a row as its answer, or none where it must, or that cannot be made.
async fn refusal(link: &mut Link, checks: &[Check]) -> Result<Option<String>, Fault> {
    for check in checks {
        match link.ask(&check.sql).await {
            Ok(answer) if answer.rows.is_empty() != check.must => {}
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

/// What becomes of an edit for which there is nothing to write.
fn without_statement(edit: &Edit) -> Mending {
    if edit.expected == edit.wanted {
        return Mending::Mended;
    }
    let values = |row: &Option<Row>| row.as_ref().map(Row::values).unwrap_or_default();
    let (expected, wanted) = (values(&edit.expected), values(&edit.wanted));
    let differ = edit.table.columns.iter().zip(expected.iter().zip(&wanted));
    let names: Vec<&str> = differ.filter(|(_, (a, b))| a != b).map(|(column, _)| &*column.name).collect();
    Mending::Refused(format!(
        "what differs is computed by the server and cannot be written ({})",
        names.join(", ")
    ))
}

/// Makes one edit in a savepoint, and reads it back.
async fn write(link: &mut Link, edit: &Edit, hash: Option<&str>) -> Result<Tried, Fault> {
    let Some(sql) = statement(edit, hash) else { return Ok(Tried::Over(without_statement(edit))) };
    link.run("SAVEPOINT evensum_edit").await?;
    let written = match link.run(&sql).await {
        Ok(_) => read_unlocked(link, &edit.table, std::slice::from_ref(&edit.key)).await?,
        Err(fault) if fault.is_server() && !fault.is_lock() => {
            link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
            let words = rights::words(&fault, link.account(), &edit.table.database);
            let in_the_way = fault.number().is_some_and(|number| IN_THE_WAY.contains(&number));
            return Ok(if in_the_way {
                Tried::InTheWay(words)
            } else {
                Tried::Over(Mending::Refused(words))
            });
        }
        Err(fault) => return Err(fault),
    };
    if written.first() == Some(&edit.wanted) {
        return Ok(Tried::Over(Mending::Mended));
    }
    link.run("ROLLBACK TO SAVEPOINT evensum_edit").await?;
    let found = written.into_iter().flatten().next();
    let found = found.map_or_else(|| "no row".to_owned(), |row| row.to_string());
    let reason = format!("the server made {found} of it, which is not what was planned");
    Ok(Tried::Over(Mending::Refused(reason)))
}

//! Guards by row locks: edits that are made in a transaction which stays open, and are committed or taken back.
//!
//! # How
//!
//! The rows that are free are locked at once; one that somebody else has is not waited for, and has moved. What the edits themselves meet
//! (a unique value, the row that a foreign key refers to, copies of a row without a key) is waited for, a second at most. Whatever has the
//! expected contents is then written, in the same transaction. That pins the place of a missing row too, without the locks
//! on gaps that would keep applications from inserting its neighbours: for the same reason the transaction reads what is committed,
//! and not a snapshot.
//!
//! Of a row that is changed, only the columns that the edit changes must be as expected; the others are left as they are, and the
//! row is as wanted with what they hold now. So a row can be mended although an application writes its other columns all the
//! time. A row that is deleted must be as expected in every byte.
//!
//! # Invariants
//!
//! * Until `mend` commits, nobody sees an edit, and nobody else can write its row.
//! * What is not to be is written back as it was, in the same transaction, and read again; if that fails, all is rolled back.
//!
//! Not here: whether a row should be mended. Only InnoDB locks rows; tables of other engines are refused.

use super::effects::SideEffects;
use super::{Around, Group, Manner, in_order, make, moved, tables, with_log};
use crate::dialect::Lock;
use crate::edit::{Edit, Mending};
use crate::mysql::Connection;
use crate::mysql::counted::lock_contents;
use crate::mysql::fault::{Fault, SYNTAX};
use crate::mysql::locks::locks_rows;
use crate::mysql::read::{by_key, read_unlocked};
use crate::row::{Key, Row};
use crate::table::Table;
use crate::{Pin, Position};

/// After how long the server ends a guard of which it hears nothing. Longer than marks are waited for.
const IDLE_MOST_S: u32 = 20;
/// "Table storage engine doesn't have this option".
const NOT_HERE: u16 = 1031;
const GALERA: &str = "Galera replicates what is written with sql_log_bin=0 too, so no edit can be kept on this node; \
     let the node take a new state transfer instead; nothing was changed";

/// Edits that are made, on the connection for guards, and not committed.
#[derive(Debug)]
pub(in crate::mysql) struct Guarded {
    /// The connection on which they were made.
    generation: u64,
    /// The edits, by what the rows held when they were locked.
    edits: Vec<Edit>,
    /// What became of each.
    fate: Vec<Mending>,
    /// What surrounds the rows when the edits are taken back, and whether that changes nothing else.
    back: Vec<Around>,
    inert: Vec<bool>,
}

impl Connection {
    pub(super) async fn lock_guard(&mut self, edits: &[Edit], groups: &[Group]) -> Result<Pin, Fault> {
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
        let pin = self.lock_and_make(edits, groups).await;
        if pin.is_err() {
            self.guards.close();
        }
        match pin {
            // somebody else has a row that cannot be left out: nothing is held, and nothing is made
            Err(fault) if fault.is_lock() => self.unguarded(edits, groups).await,
            pin => pin,
        }
    }

    async fn lock_and_make(&mut self, edits: &[Edit], groups: &[Group]) -> Result<Pin, Fault> {
        self.guards.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        // who vanishes while rows are locked does not keep them
        self.guards.run(&format!("SET SESSION wait_timeout={IDLE_MOST_S}")).await?;
        self.guards.run("START TRANSACTION").await?;
        let (mut rows, mut held, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for (table, keys) in tables(groups) {
            if table.counted() {
                let (found, hash) = lock_contents(&mut self.guards, table, keys).await?;
                rows.extend(found);
                hashes.extend(hash);
                held.resize(rows.len(), true);
            } else {
                let (found, locked) = self.lock_free(table, keys).await?;
                rows.extend(found);
                held.extend(locked);
                hashes.resize(rows.len(), None);
            }
        }
        let (rows, held) = (in_order(groups, rows, edits.len()), in_order(groups, held, edits.len()));
        let mut hashes = in_order(groups, hashes, edits.len());
        self.holder = self.guards.number().await?;
        self.holds += 1;
        let mut fate: Vec<Option<Mending>> = Vec::with_capacity(edits.len());
        let mut rebased = Vec::with_capacity(edits.len());
        for ((edit, row), held) in edits.iter().zip(&rows).zip(&held) {
            let based = if *held { edit.rebased(row.as_ref()) } else { None };
            fate.push(based.is_none().then_some(Mending::Moved));
            rebased.push(based.unwrap_or_else(|| edit.clone()));
        }
        let mut around: Vec<Around> = edits.iter().map(|_| Around::default()).collect();
        let mut back: Vec<Around> = edits.iter().map(|_| Around::default()).collect();
        let mut inert = vec![false; edits.len()];
        for group in groups {
            let effects = SideEffects::of(&mut self.main, &group.table, self.triggers).await?;
            for &place in &group.places {
                if fate[place].is_some() {
                    continue;
                }
                let edit = &rebased[place];
                let (edit, back_again) = (by_event(edit), by_event(&edit.turned_back()));
                fate[place] = effects.refusal(&edit).map(Mending::Refused);
                let hash = hashes[place].take();
                around[place] = effects.around(&edit, hash.clone());
                // rows that were there in vain before the edit would follow it when it is taken back
                back[place] = effects.around(&back_again, hash);
                inert[place] = effects.can_be_taken_back(&edit, &back_again) && back[place].checks.is_empty();
            }
        }
        let fate = make(&mut self.guards, &rebased, fate, &around, Manner::Together).await?;
        self.guarded =
            Some(Guarded { generation: self.guards.generation(), edits: rebased, fate, back, inert });
        Ok(Pin { rows, since: Position("locks".into()) })
    }

    /// Locks those rows that nobody has; for each what it holds, and whether it, or its absence, is for us alone.
    async fn lock_free(
        &mut self,
        table: &Table,
        keys: &[Key],
    ) -> Result<(Vec<Option<Row>>, Vec<bool>), Fault> {
        let locked = match by_key(&mut self.guards, table, keys, Lock::UpdateFree).await {
            // a server that cannot leave rows out waits for a second, and then ends the whole statement
            Err(fault) if fault.number() == Some(SYNTAX) => {
                by_key(&mut self.guards, table, keys, Lock::Update).await?
            }
            locked => locked?,
        };
        let absent: Vec<Key> =
            keys.iter().zip(&locked).filter(|(_, row)| row.is_none()).map(|(key, _)| key.clone()).collect();
        let mut busy = by_key(&mut self.main, table, &absent, Lock::None).await?.into_iter();
        let both = locked.into_iter().map(|row| match row {
            Some(row) => (Some(row), true),
            None => {
                let busy = busy.next().flatten();
                let free = busy.is_none();
                (busy, free)
            }
        });
        Ok(both.unzip())
    }

    /// The rows as they are, and nothing held.
    async fn unguarded(&mut self, edits: &[Edit], groups: &[Group]) -> Result<Pin, Fault> {
        let mut rows = Vec::new();
        for (table, keys) in tables(groups) {
            rows.extend(read_unlocked(&mut self.main, table, keys).await?);
        }
        Ok(Pin { rows: in_order(groups, rows, edits.len()), since: Position("locks".into()) })
    }

    pub(super) async fn mend_by_locks(&mut self, edits: &[Edit], go: &[bool]) -> Result<Vec<Mending>, Fault> {
        let guarded = self.guarded.take().filter(|guarded| {
            guarded.generation == self.guards.generation()
                && guarded.edits.len() == edits.len()
                && guarded.edits.iter().zip(edits).all(|(one, other)| one.key == other.key)
        });
        let Some(guarded) = guarded else {
            self.guards.close();
            return Ok(moved(go));
        };
        let done = self.keep(guarded, go).await;
        match done {
            Ok(Some(_)) => with_log(&mut self.guards).await,
            Ok(None) | Err(_) => self.guards.close(),
        }
        Ok(done?.unwrap_or_else(|| moved(go)))
    }

    /// Takes back what is not to be, and commits the rest; none if that cannot be done.
    async fn keep(&mut self, guarded: Guarded, go: &[bool]) -> Result<Option<Vec<Mending>>, Fault> {
        let Guarded { edits, fate, back, inert, .. } = guarded;
        let turned: Vec<Edit> = edits.iter().map(Edit::turned_back).collect();
        let off = |place: usize| !go[place] && fate[place] == Mending::Mended;
        let may = (0..edits.len()).map(|place| (!off(place)).then_some(Mending::CalledOff)).collect();
        if (0..edits.len()).any(|place| off(place) && !inert[place]) {
            // to roll everything back is the one way that surely changes nothing else
            return Ok(None);
        }
        if (0..edits.len()).any(off) {
            let undone = make(&mut self.guards, &turned, may, &back, Manner::Together).await?;
            if (0..edits.len()).any(|place| off(place) && undone[place] != Mending::Mended) {
                return Ok(None);
            }
        }
        self.guards.run("COMMIT").await?;
        let done = fate.into_iter().zip(go).map(|(fate, &go)| if go { fate } else { Mending::CalledOff });
        Ok(Some(done.collect()))
    }
}

/// An edit by what happens to rows: copies of a content are not changed, they come or go.
fn by_event(edit: &Edit) -> Edit {
    if !edit.table.counted() {
        return edit.clone();
    }
    match edit.copies() {
        (before, after) if before < after => Edit { expected: None, ..edit.clone() },
        _ => Edit { wanted: None, ..edit.clone() },
    }
}

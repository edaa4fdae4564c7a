//! Checkpoints: what a check has compared, kept as it goes, so that one that was killed can go on.
//!
//! In `runs.sqlite`, one row per run with what it is about, and one row per part with the leaves as JSON: digests and keys, no
//! rows. A part is written in one transaction, so there is all of it or nothing. A check that is through forgets its
//! checkpoint.
//!
//! Bounds: [`LEAVES_MAX`] leaves per run, after which nothing more is kept and the rest would be read again; checkpoints of the
//! [`CHECKPOINTS_KEPT`] latest runs. Invariant: parts of a table are given back as far as they follow each other without a gap.

use super::{BUSY_TIMEOUT, State, seconds};
use crate::error::Failure;
use crate::output;
use checker::{Checkpoint, Keeper, KeptLeaf, KeptTable, Part};
use database::Key;
use rusqlite::{Connection, params};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The most leaves that are kept of a run: at 50,000 rows a chunk, of ten thousand million rows.
const LEAVES_MAX: u64 = 200_000;
/// Of how many runs checkpoints are kept.
const CHECKPOINTS_KEPT: u32 = 20;

/// The tables of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS checkpoints(
        run TEXT PRIMARY KEY, scope TEXT NOT NULL, kept_at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS checkpoint_parts(
        run TEXT NOT NULL, table_name TEXT NOT NULL, first INTEGER NOT NULL, definition TEXT NOT NULL,
        leaves TEXT NOT NULL, next TEXT, PRIMARY KEY (run, table_name, first)) STRICT;";

/// Keeps the parts of one run.
#[derive(Debug)]
pub struct Checkpoints {
    runs: Mutex<Connection>,
    run: String,
    leaves: AtomicU64,
    failed: AtomicBool,
}

impl State {
    /// Begins to keep a run, which is about this, or goes on to keep it, with so many leaves that are there already.
    pub fn keep(&self, run: &str, scope: &str, leaves: u64) -> Result<Checkpoints, Failure> {
        let open = || {
            let runs = Connection::open(self.folder.join("runs.sqlite"))?;
            runs.busy_timeout(BUSY_TIMEOUT)?;
            runs.execute(
                "INSERT INTO checkpoints(run, scope, kept_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT(run) DO UPDATE SET kept_at = ?3",
                params![run, scope, seconds()],
            )?;
            runs.execute(
                "DELETE FROM checkpoints WHERE run NOT IN
                 (SELECT run FROM checkpoints ORDER BY kept_at DESC, rowid DESC LIMIT ?1)",
                [CHECKPOINTS_KEPT],
            )?;
            runs.execute("DELETE FROM checkpoint_parts WHERE run NOT IN (SELECT run FROM checkpoints)", [])?;
            Ok(runs)
        };
        let runs = open().map_err(|error| self.broken(&error))?;
        let (leaves, failed) = (AtomicU64::new(leaves), AtomicBool::new(false));
        Ok(Checkpoints { runs: Mutex::new(runs), run: run.to_owned(), leaves, failed })
    }

    /// The run of this name that was kept, and what it is about; with `last` all of them, the latest first.
    pub fn kept(&self, run: &str) -> Result<Vec<(String, String)>, Failure> {
        let list = || {
            self.runs
                .prepare(
                    "SELECT run, scope FROM checkpoints WHERE run = ?1 OR ?1 = 'last'
                     ORDER BY kept_at DESC, rowid DESC",
                )?
                .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(String, String)>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// What was kept of a run.
    pub fn checkpoint(&self, run: &str) -> Result<Checkpoint, Failure> {
        let parts = || {
            self.runs
                .prepare(
                    "SELECT table_name, first, definition, leaves, next FROM checkpoint_parts
                     WHERE run = ?1 ORDER BY table_name, first",
                )?
                .query_map([run], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })?
                .collect::<rusqlite::Result<Vec<KeptPart>>>()
        };
        let mut checkpoint = Checkpoint::default();
        for (table, first, definition, leaves, next) in parts().map_err(|error| self.broken(&error))? {
            let kept = checkpoint.tables.entry(table).or_insert_with(KeptTable::default);
            let follows = usize::try_from(first) == Ok(kept.leaves.len());
            let leaves: Option<Vec<KeptLeaf>> = serde_json::from_str(&leaves).ok();
            let next: Option<Option<Key>> = next.map(|key| serde_json::from_str(&key)).transpose().ok();
            if let (true, Some(leaves), Some(next)) = (follows, leaves, next) {
                kept.definition = if first == 0 { definition } else { std::mem::take(&mut kept.definition) };
                kept.leaves.extend(leaves);
                kept.next = next;
            }
        }
        Ok(checkpoint)
    }

    /// Forgets what was kept of a run.
    pub fn forget(&self, run: &str) -> Result<(), Failure> {
        let forget = || {
            self.runs.execute("DELETE FROM checkpoint_parts WHERE run = ?1", [run])?;
            self.runs.execute("DELETE FROM checkpoints WHERE run = ?1", [run])
        };
        forget().map(drop).map_err(|error| self.broken(&error))
    }

    /// Notes that a run that had ended, in whatever way, goes on.
    pub fn go_on(&self, run: &str) -> Result<(), Failure> {
        self.runs
            .execute(
                "UPDATE runs SET finished = NULL, verdict = NULL, summary = NULL, report = NULL, status = 'working', process = ?2
                 WHERE run = ?1",
                params![run, std::process::id()],
            )
            .map(drop)
            .map_err(|error| self.broken(&error))
    }
}

/// Table, number of the first chunk, definition, leaves and next key, as they are written.
type KeptPart = (String, i64, String, String, Option<String>);

impl Checkpoints {
    fn write(&self, part: &Part<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let leaves = serde_json::to_string(part.leaves)?;
        let next = part.next.map(serde_json::to_string).transpose()?;
        let definition = if part.first == 0 { part.table.definition() } else { String::new() };
        let (table, first) = (part.table.to_string(), i64::try_from(part.first)?);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = runs.transaction()?;
        // what was kept of a table that is read once more from here on does not follow what is kept now
        transaction.execute(
            "DELETE FROM checkpoint_parts WHERE run = ?1 AND table_name = ?2 AND first >= ?3",
            params![self.run, table, first],
        )?;
        transaction.execute(
            "INSERT INTO checkpoint_parts(run, table_name, first, definition, leaves, next)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![self.run, table, first, definition, leaves, next],
        )?;
        Ok(transaction.commit()?)
    }
}

impl Keeper for Checkpoints {
    fn keep(&self, part: Part<'_>) {
        let leaves = part.leaves.len() as u64;
        if self.leaves.fetch_add(leaves, Ordering::Relaxed) + leaves > LEAVES_MAX {
            return;
        }
        if let Err(error) = self.write(&part)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            output::note(&format!("evensum: this run cannot be resumed from here on: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{Digest, Table, Value};

    fn table(name: &str) -> Table {
        let (database, key_name) = ("shop".into(), "PRIMARY".into());
        let (columns, key) = (Vec::new(), Vec::new());
        Table { database, name: name.into(), columns, key, key_name, rows_estimate: 0, filter: None }
    }

    fn leaves(count: u64) -> Vec<KeptLeaf> {
        let digest = |rows| Digest { rows, hash: [7; 32] };
        (0..count).map(|rows| KeptLeaf { digests: vec![digest(rows); 2], located: None }).collect()
    }

    #[test]
    fn parts_are_given_back_as_far_as_they_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let key = Key::new(&[Value::Int(5)]);
        let keeper = state.keep("a", "scope", 0).unwrap();
        for (name, first, count, next) in
            [("t", 0, 3, Some(&key)), ("u", 0, 1, None), ("t", 3, 2, Some(&key)), ("t", 6, 1, None)]
        {
            keeper.keep(Part { table: &table(name), first, leaves: &leaves(count), next });
        }
        drop((keeper, state));
        let state = State::open(folder.path()).unwrap();
        assert_eq!(state.kept("last").unwrap(), [("a".into(), "scope".into())]);
        assert_eq!(state.kept("b").unwrap(), []);
        let tables = state.checkpoint("a").unwrap().tables;
        let (t, u) = (&tables["shop.t"], &tables["shop.u"]);
        assert_eq!((t.leaves.len(), &t.next, &t.definition), (5, &Some(key), &table("t").definition()));
        assert_eq!((&u.leaves, &u.next), (&leaves(1), &None));
        // a table that is read once more from its start has nothing left of what was kept before
        let keeper = state.keep("a", "scope", 0).unwrap();
        keeper.keep(Part { table: &table("t"), first: 0, leaves: &leaves(3), next: None });
        assert_eq!(state.checkpoint("a").unwrap().tables["shop.t"].leaves.len(), 3);
        state.forget("a").unwrap();
        assert_eq!((state.kept("last").unwrap().len(), state.checkpoint("a").unwrap().tables.len()), (0, 0));
    }

    #[test]
    fn only_the_latest_checkpoints_stay_and_none_grows_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for n in 0..CHECKPOINTS_KEPT + 5 {
            let keeper = state.keep(&n.to_string(), "scope", 0).unwrap();
            keeper.keep(Part { table: &table("t"), first: 0, leaves: &leaves(2), next: None });
            keeper.leaves.store(LEAVES_MAX - 1, Ordering::Relaxed);
            keeper.keep(Part { table: &table("u"), first: 0, leaves: &leaves(2), next: None });
        }
        assert_eq!((state.kept("4").unwrap().len(), state.checkpoint("4").unwrap().tables.len()), (0, 0));
        let kept = state.kept("last").unwrap();
        assert_eq!((kept.len(), kept[0].0.as_str(), kept[19].0.as_str()), (20, "24", "5"));
        let tables = state.checkpoint("5").unwrap().tables;
        assert_eq!(tables.keys().collect::<Vec<_>>(), ["shop.t"]);
    }
}

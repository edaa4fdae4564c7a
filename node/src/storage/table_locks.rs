//! LOCK TABLES: who reads or writes which tables undisturbed, from one statement to UNLOCK TABLES.
//!
//! A READ lock keeps all others from writing the table, a WRITE lock too, and it lets nobody else lock the table
//! at all, nor read it. A lock is taken while its session has its turn to write, so that nothing is half written in the table
//! when it begins. Who writes looks here when he has his turn, and who reads when he has his snapshot: if there is no lock
//! then, the snapshot holds nothing that was written under one that is not over. What MySQL does and this does not: a WRITE lock does
//! not wait for those who are reading already. They see what was committed before it, which is whole.
//!
//! Invariant: no table has a WRITE lock beside another lock; a lock ends with its [`TableLock`], whatever ends the
//! session. How long a session waits is its own affair: [`TableLocks::wait`] has a bound.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::SqlError;

/// A table's database and name.
pub type TableName = (String, String);

/// What a lock lets its session do. The greater one lets it do more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Read, as all others can.
    Read,
    /// Read and write, as nobody else can.
    Write,
}

/// The tables of one LOCK TABLES.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locked(BTreeMap<TableName, Strength>);

impl Locked {
    /// Adds a table; named twice, the stronger lock counts.
    pub fn add(&mut self, table: TableName, strength: Strength) {
        let held = self.0.entry(table).or_insert(strength);
        *held = strength.max(*held);
    }

    fn strength(&self, database: &str, table: &str) -> Result<Strength, SqlError> {
        self.0.get(&(database.to_owned(), table.to_owned())).copied().ok_or_else(|| {
            SqlError::new(1100, "HY000", format!("Table '{table}' was not locked with LOCK TABLES"))
        })
    }

    /// Refuses a table that the session has not locked (1100).
    pub fn check_read(&self, database: &str, table: &str) -> Result<(), SqlError> {
        self.strength(database, table).map(|_| ())
    }

    /// Refuses a table that the session has not locked for writing (1100, 1099).
    pub fn check_write(&self, database: &str, table: &str) -> Result<(), SqlError> {
        match self.strength(database, table)? {
            Strength::Write => Ok(()),
            Strength::Read => {
                let message = format!("Table '{table}' was locked with a READ lock and can't be updated");
                Err(SqlError::new(1099, "HY000", message))
            }
        }
    }
}

/// The tables that a statement writes: a whole database has no table's name.
pub type Target = (String, Option<String>);

#[derive(Default)]
struct State {
    next: u64,
    held: BTreeMap<u64, Locked>,
}

/// All sessions' table locks.
#[derive(Default)]
pub struct TableLocks {
    state: Mutex<State>,
    /// How many sessions hold locks: who writes mostly finds none, and need not take the mutex.
    holders: AtomicUsize,
    changed: Condvar,
}

/// One session's locks, until it is dropped.
pub struct TableLock {
    all: Arc<TableLocks>,
    ticket: u64,
    /// The tables.
    pub locked: Locked,
}

impl TableLocks {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the tables, all or none. None if another session's locks do not allow it.
    pub fn try_lock(self: &Arc<Self>, wanted: &Locked) -> Option<TableLock> {
        let mut state = self.state();
        let excludes = |held: &Locked| {
            wanted.0.iter().any(|(table, strength)| {
                held.0.get(table).is_some_and(|held| (*held).max(*strength) == Strength::Write)
            })
        };
        if state.held.values().any(excludes) {
            return None;
        }
        state.next += 1;
        let ticket = state.next;
        state.held.insert(ticket, wanted.clone());
        self.holders.store(state.held.len(), Ordering::SeqCst);
        Some(TableLock { all: Arc::clone(self), ticket, locked: wanted.clone() })
    }

    /// Whether a lock of another session than `own` forbids writing one of these; asked for only if there is a lock.
    pub fn forbid(&self, own: Option<&TableLock>, targets: &dyn Fn() -> Vec<Target>) -> bool {
        if self.holders.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let own = own.map(|own| own.ticket);
        let targets = targets();
        let state = self.state();
        let mut others = state.held.iter().filter(|(ticket, _)| Some(**ticket) != own);
        others.any(|(_, held)| {
            held.0.keys().any(|(database, table)| {
                targets.iter().any(|(d, t)| d == database && t.as_ref().is_none_or(|t| t == table))
            })
        })
    }

    /// Whether another session than `own` has locked the table for writing, so that nobody else reads it.
    pub fn hides(&self, own: Option<&TableLock>, database: &str, table: &str) -> bool {
        if self.holders.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let own = own.map(|own| own.ticket);
        let name = (database.to_owned(), table.to_owned());
        let state = self.state();
        let mut others = state.held.iter().filter(|(ticket, _)| Some(**ticket) != own);
        others.any(|(_, held)| held.0.get(&name) == Some(&Strength::Write))
    }

    /// Waits until some session gives its locks back, or for this long.
    pub fn wait(&self, longest: Duration) {
        let state = self.state();
        drop(self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for TableLock {
    fn drop(&mut self) {
        let mut state = self.all.state();
        state.held.remove(&self.ticket);
        self.all.holders.store(state.held.len(), Ordering::SeqCst);
        self.all.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(list: &[(&str, Strength)]) -> Locked {
        let mut locked = Locked::default();
        for (table, strength) in list {
            locked.add(("shop".into(), (*table).to_owned()), *strength);
        }
        locked
    }

    fn forbidden(locks: &TableLocks, own: Option<&TableLock>, table: &str) -> bool {
        locks.forbid(own, &|| vec![("shop".into(), Some(table.to_owned()))])
    }

    #[test]
    fn readers_share_a_table_and_a_writer_does_not() {
        let locks = Arc::<TableLocks>::default();
        let first = locks.try_lock(&tables(&[("a", Strength::Read), ("b", Strength::Write)])).unwrap();
        let second = locks.try_lock(&tables(&[("a", Strength::Read)])).unwrap();
        assert!(locks.try_lock(&tables(&[("a", Strength::Write)])).is_none());
        assert!(locks.try_lock(&tables(&[("b", Strength::Read)])).is_none());
        assert!(!forbidden(&locks, Some(&first), "b"));
        assert!(forbidden(&locks, Some(&first), "a"), "the other's lock counts");
        assert!(forbidden(&locks, None, "b") && !forbidden(&locks, None, "c"));
        assert!(locks.forbid(None, &|| vec![("shop".into(), None)]));
        assert!(locks.hides(Some(&second), "shop", "b") && locks.hides(None, "shop", "b"));
        assert!(!locks.hides(Some(&first), "shop", "b") && !locks.hides(None, "shop", "a"));
        drop((first, second));
        assert!(!forbidden(&locks, None, "a") && !forbidden(&locks, None, "b"));
    }

    #[test]
    fn the_owner_does_what_his_lock_says() {
        let locked = tables(&[("a", Strength::Read), ("b", Strength::Read), ("b", Strength::Write)]);
        assert_eq!(locked.check_write("shop", "a").unwrap_err().code, 1099);
        assert_eq!(locked.check_read("shop", "c").unwrap_err().code, 1100);
        assert!(locked.check_read("shop", "a").is_ok() && locked.check_write("shop", "b").is_ok());
    }
}

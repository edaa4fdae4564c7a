//! Which commits are on the disk: one wait of the disk for all clients that wait (group commit).
//!
//! SQLite has one writer, and a COMMIT that waits for the disk itself makes all other writers wait with it. So a session
//! commits with `synchronous = NORMAL`, which appends to the write-ahead log and waits for nothing, gives the writer lock
//! back, and only the *answer* waits until the log is on the disk up to that commit. Of those that wait one syncs, for all
//! commits that were done when it began; the others are woken when it is through, and the next of them goes on.
//!
//! ```text
//! client a   COMMIT 7 | sync ....... | answer
//! client b            | COMMIT 8 | wait .....| sync ....... | answer
//! client c                       | COMMIT 9 | wait ........ | answer
//! ```
//!
//! # What may be lost
//! A killed process loses nothing: what is written is the kernel's. A power cut loses the end of the write-ahead log, and so
//! a *suffix* of the commits, because SQLite reads the log back up to the first frame that is not whole. What is visible
//! here and may still be lost has therefore to stay inside the node. It has one way out: bytes that are sent to a client, and
//! replicas are clients. So [`Disk::wait`] stands in front of every byte that a client is sent (`PacketWriter::hold`):
//! * the answer to a commit waits for this commit; whatever the transaction has read was committed before it;
//! * everything else (rows, errors, variables, positions, GTID sets, transactions for a replica) waits for all that was
//!   visible when it was sent. Where nobody writes, that is nothing.
//! * What this node has applied for a link and not told anybody is lost together with the link's place and its GTID, which are
//!   rows of the same transaction, and is applied again.
//!
//! # Where SQLite comes in
//! `NORMAL` syncs the log before a checkpoint copies from it, the database file before the log begins anew, and the log's
//! header when it does; so everything but the log's end is safe at any moment. The log is synced through a handle of our
//! own: `fdatasync` is about the file, not the handle. SQLite's locks are on the database and on its `-shm` file, never on the log,
//! so that closing the handle gives none of them up. The store keeps a connection open as long as it lives, without which
//! SQLite would remove the log.
//!
//! A sync that failed may have lost pages that no later sync writes, so after one nothing is ever said to be on the disk
//! again: clients lose their connections without an answer, and what is true is what the next start finds.
//!
//! Invariant: `wait(n)` returns `Ok` only if the log was synced after commit `n` was done. Not here: the wait of a
//! connection that is `FULL`; it is SQLite's own.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Waits until what was written to the write-ahead log is on the disk.
pub type SyncLog = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The syncs of one write-ahead log.
pub struct Disk {
    /// Whether answers wait.
    durable: AtomicBool,
    sync_log: SyncLog,
    /// The number of the last commit that may be visible.
    begun: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The last commit that is over.
    done: u64,
    /// The last commit that is on the disk.
    synced: u64,
    /// Whether somebody syncs.
    syncing: bool,
    /// How many wait.
    waiting: u32,
    /// Why nothing will ever be on the disk again.
    failed: Option<String>,
}

impl Disk {
    /// The disk under a write-ahead log. If not `durable`, no answer waits.
    #[must_use]
    pub fn new(durable: bool, sync_log: SyncLog) -> Disk {
        Disk {
            durable: AtomicBool::new(durable),
            sync_log,
            begun: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// How the log of this path is synced. The log must be there, and stay.
    pub fn sync_of(log: &Path) -> io::Result<SyncLog> {
        let file = File::open(log)?;
        if let Some(folder) = log.parent() {
            // The log's name is on the disk, too: SQLite sees to it only where the same connection makes and syncs the file.
            File::open(folder)?.sync_all()?;
        }
        Ok(Box::new(move || file.sync_data()))
    }

    /// Whether answers wait.
    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::SeqCst)
    }

    /// From now on answers wait, or do not.
    pub fn set_durable(&self, durable: bool) {
        self.durable.store(durable, Ordering::SeqCst);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a COMMIT, and gives it a number. The caller holds the writer lock, so that there is one at a time.
    pub fn commit<T>(&self, commit: impl FnOnce() -> T) -> (u64, T) {
        // Numbered before it is visible: who sees it waits for a commit that is under way.
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = commit();
        let mut state = self.state();
        state.done = number;
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        (number, result)
    }

    /// The last commit that anybody can have seen by now.
    pub fn visible(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits until this commit may be told to anybody: it is on the disk, or the node was told not to wait for that.
    pub fn wait(&self, commit: u64) -> io::Result<()> {
        if self.is_durable() { self.wait_synced(commit) } else { Ok(()) }
    }

    /// Waits until this commit is on the disk, whatever the durability.
    pub fn wait_synced(&self, commit: u64) -> io::Result<()> {
        let mut state = self.state();
        loop {
            if let Some(why) = &state.failed {
                return Err(io::Error::other(why.clone()));
            }
            if state.synced >= commit {
                return Ok(());
            }
            if state.syncing || state.done == state.synced {
                state.waiting += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
                continue;
            }
            state.syncing = true;
            let target = state.done;
            drop(state);
            let result = (self.sync_log)();
            state = self.state();
            state.syncing = false;
            match result {
                Ok(()) => state.synced = target,
                Err(error) => state.failed = Some(format!("the log cannot be synced: {error}")),
            }
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// A disk whose syncs begin when the first channel says so, and report to the second.
    fn slow() -> (Arc<Disk>, mpsc::Sender<io::Result<()>>, mpsc::Receiver<()>) {
        let (go, wait) = mpsc::channel();
        let (report, begun) = mpsc::channel();
        let parts = Mutex::new((wait, report));
        let sync: SyncLog = Box::new(move || {
            let parts = parts.lock().unwrap();
            parts.1.send(()).unwrap();
            parts.0.recv().unwrap()
        });
        (Arc::new(Disk::new(true, sync)), go, begun)
    }

    fn waits(disk: &Arc<Disk>, commit: u64) -> thread::JoinHandle<io::Result<()>> {
        let disk = Arc::clone(disk);
        thread::spawn(move || disk.wait(commit))
    }

    #[test]
    fn one_sync_serves_all_that_were_done_before_it() {
        let (disk, go, begun) = slow();
        disk.commit(|| ());
        let first = waits(&disk, 1);
        begun.recv().unwrap();
        // These come while the first sync runs, so it is not theirs.
        let later: Vec<_> = (2..6).map(|_| waits(&disk, disk.commit(|| ()).0)).collect();
        go.send(Ok(())).unwrap();
        first.join().unwrap().unwrap();
        begun.recv().unwrap();
        assert!(later.iter().all(|waiting| !waiting.is_finished()));
        go.send(Ok(())).unwrap();
        for waiting in later {
            waiting.join().unwrap().unwrap();
        }
        assert!(begun.try_recv().is_err(), "a third sync");
    }

    #[test]
    fn what_was_seen_of_a_commit_under_way_waits_for_its_end() {
        let (disk, go, begun) = slow();
        disk.commit(|| assert_eq!(disk.visible(), 1));
        let (number, reader) = disk.commit(|| {
            let reader = waits(&disk, disk.visible());
            // A sync that begins now would not be about this commit.
            begun.recv().unwrap();
            go.send(Ok(())).unwrap();
            thread::sleep(Duration::from_millis(20));
            assert!(!reader.is_finished());
            reader
        });
        begun.recv().unwrap();
        go.send(Ok(())).unwrap();
        reader.join().unwrap().unwrap();
        assert_eq!(number, 2);
    }

    #[test]
    fn after_a_failed_sync_nothing_is_on_the_disk_again() {
        let (disk, go, _begun) = slow();
        disk.commit(|| ());
        go.send(Err(io::Error::other("no disk"))).unwrap();
        assert!(disk.wait(1).unwrap_err().to_string().contains("no disk"));
        go.send(Ok(())).unwrap();
        assert!(disk.wait(1).is_err());
        disk.commit(|| ());
        assert!(disk.wait(2).is_err());
    }

    #[test]
    fn without_durability_nobody_waits() {
        let disk = Disk::new(false, Box::new(|| Err(io::Error::other("asked for"))));
        let (number, ()) = disk.commit(|| ());
        disk.wait(number).unwrap();
        assert!(disk.wait_synced(number).is_err());
    }
}

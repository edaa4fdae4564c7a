//! The keeper: a thread that carries the write-ahead log into the database file, so that no client has to.
//!
//! SQLite would have the client whose commit fills the log copy it into the file, and all other writers wait for that. Here
//! clients append only. The keeper looks each second, or sooner when the log has grown by [`CHECKPOINT_COMMITS`], and copies while
//! the writers go on. A log that is written to all the time is never copied to its end and would grow for ever; when it is
//! longer than [`LONG_LOG_PAGES`], the keeper takes the writer lock for the little that is left, and the next commit begins the log
//! anew. Then it waits for readers that are still in the log, but not for long ([`READERS_MS`]): where one stays, the log grows on
//! until the next look.
//!
//! It also syncs the log each second, which is what `innodb_flush_log_at_trx_commit = 2` promises: a power cut loses no more than
//! the last second.
//!
//! Not here: a store without a keeper. Its connections copy by themselves, late ([`super::LAST_RESORT_PAGES`]).

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Store;
use super::writer_lock::{Extent, Patience, Unmoved};
use crate::SqlError;

/// How often the keeper looks.
const LOOK: Duration = Duration::from_secs(1);
/// How often it looks whether there were many commits.
const GLANCE: Duration = Duration::from_millis(100);
/// After so many commits it does not wait for the second to be over.
const CHECKPOINT_COMMITS: u64 = 2_000;
/// A log of more pages is copied to its end (of 4 KiB, so 64 MiB).
const LONG_LOG_PAGES: i64 = 16_384;
/// How long the end of a log waits for readers while the writers stand still, in milliseconds.
const READERS_MS: u64 = 20;
/// How long the keeper waits for its turn to write.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread; it ends when this is dropped.
pub struct Keeper {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts to keep a store.
    pub fn start(store: &Arc<Store>) -> Result<Keeper, SqlError> {
        let conn = store.connect_session()?;
        conn.busy_timeout(Duration::from_millis(READERS_MS))?;
        let over = Arc::<(Mutex<bool>, Condvar)>::default();
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn({
            let (store, over) = (Arc::clone(store), Arc::clone(&over));
            move || keep(&store, &conn, &over)
        });
        let thread =
            thread.map_err(|error| SqlError::internal(format!("cannot start the keeper: {error}")))?;
        Ok(Keeper { over, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // one that panicked is gone too
        }
    }
}

fn keep(store: &Store, conn: &Connection, over: &(Mutex<bool>, Condvar)) {
    let mut seen = store.disk.visible();
    loop {
        let mut waited = Duration::ZERO;
        while waited < LOOK && store.disk.visible() < seen + CHECKPOINT_COMMITS {
            let guard = over.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (guard, _) = over
                .1
                .wait_timeout_while(guard, GLANCE, |over| !*over)
                .unwrap_or_else(PoisonError::into_inner);
            if *guard {
                return;
            }
            waited += GLANCE;
        }
        let visible = store.disk.visible();
        if visible > seen {
            seen = visible;
            // What cannot be synced or copied now stays in the log, and clients are not told that it is safe.
            let _ = store.disk.wait_synced(visible);
            let _ = copy(store, conn);
        }
    }
}

/// Copies what the log holds into the file.
fn copy(store: &Store, conn: &Connection) -> Result<(), SqlError> {
    let pages: i64 = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    if pages > LONG_LOG_PAGES {
        let patience = Patience { wait: PATIENCE, lease: PATIENCE, ahead: true, extent: Extent::Unknown };
        let _turn = store.writer.turn(Arc::new(Unmoved), patience)?;
        conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    }
    Ok(())
}

//! FLUSH TABLES WITH READ LOCK: nobody writes, and no transaction comes into the log, until the last holder lets go.
//!
//! Whoever writes has a pass for as long as his statement or his commit takes. Who wants to hold the lock waits until all
//! are back, and lets new ones be given to him alone who has the right to write already: others with a pass may wait for
//! that right, and so for his commit. Once it is held nobody gets one, and who waits for one keeps nobody from giving
//! his back. So a transaction of somebody else may stay open under the
//! lock, as in MySQL: its next write and its commit wait. This is not the right to write (`writer_lock`): the
//! holder is idle for as long as he likes and is never evicted for that, because he has no transaction that
//! could be rolled back; what ends his lock is UNLOCK TABLES or the end of his session, whatever ends it.
//! Readers never come here. FLUSH LOGS neither, as in MySQL: a new file is no transaction.
//!
//! Invariant: while somebody holds the lock no pass is out.

use crate::SqlError;
use crate::storage::writer_lock::lock_wait_timeout;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon somebody who waits notices that his statement is to end.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The lock.
#[derive(Debug, Default)]
pub struct ReadLock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those who hold the lock.
    holders: usize,
    /// Those who wait for passes to come back.
    waiting: usize,
    passes: usize,
}

/// Somebody's hold; it ends when this is dropped.
#[derive(Debug)]
pub struct Hold(Arc<ReadLock>);

/// Somebody's leave to write; it ends when this is dropped.
#[derive(Debug)]
pub struct Pass(Arc<ReadLock>);

impl ReadLock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody holds the lock, or is about to.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let state = self.state();
        state.holders > 0 || state.waiting > 0
    }

    /// Takes the lock once nobody writes. 1205 after `wait`, 1317 if the statement is to end.
    pub fn hold(self: &Arc<Self>, wait: Duration, stopped: &AtomicBool) -> Result<Hold, SqlError> {
        self.state().waiting += 1;
        let waited = self.wait(wait, stopped, |state| state.passes == 0);
        let granted = waited.map(|mut state| {
            state.waiting -= 1;
            state.holders += 1;
        });
        if let Err(error) = granted {
            self.state().waiting -= 1;
            self.changed.notify_all();
            return Err(error);
        }
        Ok(Hold(Arc::clone(self)))
    }

    /// Gives leave to write once nobody holds the lock or waits for it; to `the_writer`, who has the right to write
    /// already, once nobody holds it. The errors are those of [`ReadLock::hold`].
    pub fn pass(
        self: &Arc<Self>,
        the_writer: bool,
        wait: Duration,
        stopped: &AtomicBool,
    ) -> Result<Pass, SqlError> {
        let ready = |state: &State| state.holders == 0 && (the_writer || state.waiting == 0);
        self.wait(wait, stopped, ready)?.passes += 1;
        Ok(Pass(Arc::clone(self)))
    }

    fn wait(
        &self,
        wait: Duration,
        stopped: &AtomicBool,
        ready: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>, SqlError> {
        let started = Instant::now();
        let mut state = self.state();
        while !ready(&state) {
            if stopped.load(Ordering::Relaxed) {
                return Err(SqlError::interrupted());
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(lock_wait_timeout());
            }
            let nap = left.min(STOP_POLL);
            state = self.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state().holders -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.passes -= 1;
        // A wake costs a call of the kernel, and every write has a pass.
        if state.waiting > 0 || state.holders > 0 {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(60);
    const LONG: Duration = Duration::from_secs(20);
    static GO_ON: AtomicBool = AtomicBool::new(false);

    #[test]
    fn nobody_writes_while_it_is_held_and_two_may_hold_it() {
        let lock = Arc::new(ReadLock::default());
        let first = lock.hold(SHORT, &GO_ON).unwrap();
        let second = lock.hold(SHORT, &GO_ON).unwrap();
        assert_eq!(lock.pass(false, SHORT, &GO_ON).unwrap_err().code, 1205);
        drop(first);
        assert_eq!(lock.pass(false, SHORT, &GO_ON).unwrap_err().code, 1205);
        drop(second);
        let _one = lock.pass(false, SHORT, &GO_ON).unwrap();
        let _other = lock.pass(false, SHORT, &GO_ON).unwrap();
    }

    #[test]
    fn it_is_taken_when_the_last_pass_is_back_and_meanwhile_none_is_given() {
        let lock = Arc::new(ReadLock::default());
        let pass = lock.pass(false, SHORT, &GO_ON).unwrap();
        std::thread::scope(|scope| {
            let holding = scope.spawn(|| lock.hold(LONG, &GO_ON));
            while !lock.is_held() {
                std::thread::yield_now();
            }
            assert_eq!(lock.pass(false, SHORT, &GO_ON).unwrap_err().code, 1205);
            assert!(!holding.is_finished());
            drop(pass);
            drop(holding.join().unwrap().unwrap());
        });
        assert!(!lock.is_held());
    }

    #[test]
    fn who_has_the_right_to_write_gets_a_pass_while_another_one_waits_for_it() {
        let lock = Arc::new(ReadLock::default());
        let queued = lock.pass(false, SHORT, &GO_ON).unwrap();
        std::thread::scope(|scope| {
            let holding = scope.spawn(|| lock.hold(LONG, &GO_ON));
            while !lock.is_held() {
                std::thread::yield_now();
            }
            drop(lock.pass(true, SHORT, &GO_ON).unwrap());
            drop(queued);
            let hold = holding.join().unwrap().unwrap();
            assert_eq!(lock.pass(true, SHORT, &GO_ON).unwrap_err().code, 1205);
            drop(hold);
        });
        drop(lock.pass(true, SHORT, &GO_ON).unwrap());
    }

    #[test]
    fn who_gives_up_or_is_stopped_leaves_nothing_behind() {
        let lock = Arc::new(ReadLock::default());
        let pass = lock.pass(false, SHORT, &GO_ON).unwrap();
        assert_eq!(lock.hold(SHORT, &GO_ON).unwrap_err().code, 1205);
        assert_eq!(lock.hold(LONG, &AtomicBool::new(true)).unwrap_err().code, 1317);
        assert!(!lock.is_held());
        drop(pass);
        drop(lock.hold(SHORT, &GO_ON).unwrap());
        drop(lock.pass(false, SHORT, &GO_ON).unwrap());
    }
}

//! Who can hold the writer lock, and be relieved of it.

/// Somebody who can hold the lock, or waits for it.
pub trait Holder: Send + Sync {
    /// Rolls the holder's transaction back if it is idle, and says whether it did. The lock is then free.
    fn evict(&self, ticket: u64) -> bool;
    /// Makes the statement that runs give up.
    fn interrupt(&self);
    /// Whether the statement that waits was told to give up.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// A holder that nobody may relieve: he does one thing, and never idles with the lock.
pub struct Unmoved;

impl Holder for Unmoved {
    fn evict(&self, _: u64) -> bool {
        false
    }

    fn interrupt(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::writer_lock::{Extent, Patience, WriterLock};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    struct Stoppable(AtomicBool);

    impl Holder for Stoppable {
        fn evict(&self, _: u64) -> bool {
            false
        }

        fn interrupt(&self) {}

        fn is_stopped(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn who_is_told_to_give_up_leaves_the_queue() {
        let lock = WriterLock::default();
        let wait = Duration::from_secs(50);
        let patience = Patience { wait, lease: wait, ahead: false, extent: Extent::Unknown };
        let held = lock.acquire(Arc::new(Unmoved), patience).unwrap();
        let waits = Arc::new(Stoppable(AtomicBool::new(false)));
        std::thread::scope(|scope| {
            let holder: Arc<dyn Holder> = Arc::<Stoppable>::clone(&waits);
            let waiting = scope.spawn(|| lock.acquire(holder, patience));
            while !lock.others_wait(false) {
                std::thread::yield_now();
            }
            waits.0.store(true, Ordering::SeqCst);
            assert_eq!(waiting.join().unwrap().unwrap_err().code, 1317);
        });
        assert!(!lock.others_wait(false));
        lock.release(held);
        lock.acquire(Arc::new(Unmoved), patience).unwrap();
    }
}

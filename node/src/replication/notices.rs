//! What the threads of links have to say to who runs the node: that they stopped and why, and that a source is lost and found.
//!
//! It is kept in a list with a bound until somebody takes it; the status shows the same, but only the last of it, and START SLAVE
//! clears that. Invariant: nobody waits for a reader, and nothing secret is said.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many notices wait at most; beyond that the oldest are forgotten.
const MOST: usize = 1_000;

/// The list.
#[derive(Debug, Default)]
pub struct Notices {
    waiting: Mutex<VecDeque<String>>,
    come: Condvar,
}

impl Notices {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub fn say(&self, notice: String) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(notice);
        drop(waiting);
        self.come.notify_all();
    }

    /// The oldest one; waits that long for one.
    pub fn next(&self, wait: Duration) -> Option<String> {
        let waiting = self.waiting();
        let none = |waiting: &mut VecDeque<String>| waiting.is_empty();
        let found = self.come.wait_timeout_while(waiting, wait, none);
        found.unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_an_end_and_keeps_the_latest() {
        let notices = Notices::default();
        assert_eq!(notices.next(Duration::ZERO), None);
        (0..=MOST).for_each(|n| notices.say(n.to_string()));
        assert_eq!(notices.next(Duration::from_secs(9)).as_deref(), Some("1"));
        assert_eq!(notices.waiting().len(), MOST - 1);
    }
}

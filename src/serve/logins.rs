//! Holds back who guesses passwords: by account and by address, and how many guesses are looked at at once.
//!
//! A password takes tens of milliseconds and 19 MiB to look at, so that is bounded too. Kept in memory only: who restarts a service
//! is no guesser. Bounds: [`KNOWN_MAX`] names are remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How many wrong guesses are free.
const FREE: u32 = 5;
/// How long nothing is looked at after more than those; the time doubles with each.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// After so long without a guess all is forgotten.
const FORGET: Duration = Duration::from_secs(900);
/// How many names are remembered.
const KNOWN_MAX: usize = 10_000;
/// How many guesses are looked at at once.
const AT_ONCE: usize = 2;

/// Who has guessed wrong.
pub struct Logins {
    wrong: Mutex<BTreeMap<String, (u32, Instant)>>,
    /// Taken while a password is looked at.
    pub turns: Semaphore,
}

impl Default for Logins {
    fn default() -> Logins {
        Logins { wrong: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Logins {
    /// How long these names have to wait before a guess of theirs is looked at.
    pub fn wait(&self, names: &[String], now: Instant) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |name: &String| {
            let (count, at) = wrong.get(name)?;
            let over = count.checked_sub(FREE)?;
            let pause = PAUSE.saturating_mul(1 << over.min(16)).min(PAUSE_MAX);
            pause.checked_sub(now.saturating_duration_since(*at)).filter(|left| !left.is_zero())
        };
        names.iter().filter_map(wait).max()
    }

    /// Notes a wrong guess.
    pub fn note_wrong(&self, names: &[String], now: Instant) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= KNOWN_MAX {
            wrong.retain(|_, (_, at)| now.saturating_duration_since(*at) < FORGET);
        }
        for name in names {
            if let Some((count, at)) = wrong.get_mut(name) {
                let old = now.saturating_duration_since(*at) >= FORGET;
                (*count, *at) = (if old { 1 } else { count.saturating_add(1) }, now);
            } else if wrong.len() < KNOWN_MAX {
                wrong.insert(name.clone(), (1, now));
            }
        }
    }

    /// Forgets the wrong guesses of who was right.
    pub fn note_right(&self, names: &[String]) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|name, _| !names.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_ever_longer_and_who_is_right_does_not() {
        let (logins, now) = (Logins::default(), Instant::now());
        let ann = ["ann".to_owned(), "10.0.0.1".to_owned()];
        for _ in 0..FREE {
            assert_eq!(logins.wait(&ann, now), None);
            logins.note_wrong(&ann, now);
        }
        assert_eq!(logins.wait(&ann, now), Some(PAUSE));
        logins.note_wrong(&ann, now);
        assert_eq!(logins.wait(&ann, now), Some(PAUSE * 2));
        // the address alone is held back too, another one is not
        assert!(logins.wait(&["bob".to_owned(), "10.0.0.1".to_owned()], now).is_some());
        assert_eq!(logins.wait(&["bob".to_owned(), "10.0.0.2".to_owned()], now), None);
        assert_eq!(logins.wait(&ann, now + PAUSE * 2), None);
        logins.note_right(&ann);
        assert_eq!(logins.wait(&ann, now), None);
    }
}

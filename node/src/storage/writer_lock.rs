//! The one right to write: first come, first served, and no one keeps it for ever.
//!
//! SQLite has one writer. A session takes this lock before its transaction writes and gives it back when the
//! transaction ends. Whoever waits at the head of the queue watches the holder: one that sits idle in its
//! transaction for longer than its lease is rolled back by the waiter, so that replication and other clients
//! go on; one that is in the middle of a statement is interrupted only after many leases.
//!
//! Replication goes ahead of clients: a node with many writers would else fall behind the others for ever. But after
//! [`AHEAD_IN_A_ROW`] turns of it a client that waits has one.
//!
//! Invariant: at most one holder; a holder's [`Holder::evict`] is never called with this lock's mutex held.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use super::holder::{Holder, Unmoved};
use crate::SqlError;

/// A statement that runs while others wait is interrupted after this many leases.
const RUNAWAY_LEASES: u32 = 10;
/// How soon a holder that could not be evicted is asked again.
const RETRY_MS: u64 = 50;
/// How soon everybody who waits looks whether it is his turn to watch the holder.
const WATCH: Duration = Duration::from_millis(100);

/// So long the first of the queue stays awake, which is time that others lose where they have something to do.
const AWAKE: Duration = Duration::from_micros(100);
/// So many turns replication has in a row while a client waits. Enough for rings of five that are written to everywhere.
const AHEAD_IN_A_ROW: u32 = 4;

/// How long somebody waits for the lock, and how long he may idle with it while others wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest wait.
    pub wait: Duration,
    /// The lease.
    pub lease: Duration,
    /// Whether it is replication, which goes ahead of clients.
    pub ahead: bool,
    /// How much is to be written.
    pub extent: Extent,
}

/// How much somebody is to write. Who is short may be handed the transaction of the one before ([`super::pen`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nobody knows.
    Unknown,
    /// A few rows in a short time.
    FewRows,
    /// One row, or nothing if that fails.
    OneRow,
}

impl Extent {
    /// Whether it takes little time.
    #[must_use]
    pub fn is_short(self) -> bool {
        self != Extent::Unknown
    }
}

struct Held {
    ticket: u64,
    since: Instant,
    lease: Duration,
    extent: Extent,
    holder: Arc<dyn Holder>,
}

impl Held {
    fn new(ticket: u64, holder: Arc<dyn Holder>, patience: Patience) -> Held {
        Held { ticket, since: Instant::now(), lease: patience.lease, extent: patience.extent, holder }
    }
}

/// What wakes one who waits and nobody else.
#[derive(Default)]
struct Call {
    woken: Condvar,
    /// Whether he has the lock.
    granted: AtomicBool,
    /// Whether he has to be woken.
    asleep: AtomicBool,
}

impl Call {
    /// Stays awake for a moment. To sleep and to be woken takes longer than a short transaction of the one before.
    fn stay_awake(&self) {
        let began = Instant::now();
        while !self.granted.load(Ordering::Acquire) && began.elapsed() < AWAKE {
            std::thread::yield_now();
        }
    }
}

/// Somebody who waits.
struct Waiting {
    ticket: u64,
    called: Arc<Call>,
    holder: Arc<dyn Holder>,
    patience: Patience,
}

impl Waiting {
    fn held(self) -> Held {
        Held::new(self.ticket, self.holder, self.patience)
    }
}

#[derive(Default)]
struct State {
    next: u64,
    held: Option<Held>,
    queue: VecDeque<Waiting>,
    /// How many turns replication has had since the last client's.
    ahead_in_a_row: u32,
}

impl State {
    fn grant(&mut self, held: Held, ahead: bool) -> u64 {
        let ticket = held.ticket;
        self.held = Some(held);
        self.ahead_in_a_row = if ahead { self.ahead_in_a_row.saturating_add(1) } else { 0 };
        ticket
    }

    fn enqueue(&mut self, waiting: Waiting) {
        let end = self.queue.len();
        let first_client = self.queue.iter().position(|other| !other.patience.ahead).unwrap_or(end);
        let turns = self.ahead_in_a_row.saturating_add(u32::try_from(first_client).unwrap_or(u32::MAX));
        let at = match waiting.patience.ahead {
            true if turns < AHEAD_IN_A_ROW => first_client,
            true => end.min(first_client + 1),
            false => end,
        };
        self.queue.insert(at, waiting);
    }

    /// Gives the turn to the first of the queue.
    fn grant_first(&mut self) {
        if let Some(first) = self.queue.pop_front() {
            let ahead = first.patience.ahead;
            first.called.granted.store(true, Ordering::Release);
            self.grant(first.held(), ahead);
        }
    }

    /// Ends the holder's turn; the first of the queue has the next one. Those who are to be woken: who has it now, and who is the next.
    fn pass(&mut self) -> (Option<Held>, Vec<Arc<Call>>) {
        let held = self.held.take();
        let comes = self.queue.iter().take(2).map(|waiting| &waiting.called);
        let called = comes.filter(|call| call.asleep.load(Ordering::Relaxed)).map(Arc::clone).collect();
        self.grant_first();
        (held, called)
    }

    fn is_held_by(&self, ticket: u64) -> bool {
        self.held.as_ref().is_some_and(|held| held.ticket == ticket)
    }

    fn is_first(&self, ticket: u64) -> bool {
        self.queue.front().is_some_and(|first| first.ticket == ticket)
    }

    fn call_first(&self) {
        if let Some(first) = self.queue.front() {
            first.called.woken.notify_one();
        }
    }
}

/// The lock.
#[derive(Default)]
pub struct WriterLock {
    state: Mutex<State>,
}

impl WriterLock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    /// Waits for the lock.
    pub fn acquire(&self, holder: Arc<dyn Holder>, patience: Patience) -> Result<u64, SqlError> {
        let Patience { wait: timeout, ahead, .. } = patience;
        let mut state = self.state();
        state.next += 1;
        let ticket = state.next;
        if state.held.is_none() && state.queue.is_empty() {
            return Ok(state.grant(Held::new(ticket, holder, patience), ahead));
        }
        let started = Instant::now();
        let called = Arc::<Call>::default();
        let mut was_first = false;
        let waiting = Waiting { ticket, called: Arc::clone(&called), holder: Arc::clone(&holder), patience };
        state.enqueue(waiting);
        loop {
            if state.held.is_none() && state.is_first(ticket) {
                state.grant_first();
            }
            if state.is_first(ticket) && !was_first {
                was_first = true;
                drop(state);
                called.stay_awake();
                state = self.state();
            }
            if state.is_held_by(ticket) {
                return Ok(ticket);
            }
            // Whoever has become the first of the queue meanwhile has to watch the holder.
            let mut nap = timeout.saturating_sub(started.elapsed()).min(WATCH);
            if state.is_first(ticket)
                && let Some(held) = &state.held
            {
                let overdue = held.since.elapsed();
                if overdue >= held.lease {
                    let (victim, victim_ticket) = (Arc::clone(&held.holder), held.ticket);
                    let runaway = overdue >= held.lease * RUNAWAY_LEASES;
                    drop(state);
                    let evicted = relieve(victim.as_ref(), victim_ticket, runaway);
                    state = self.state();
                    if evicted || state.is_held_by(ticket) {
                        continue;
                    }
                    nap = nap.min(Duration::from_millis(RETRY_MS));
                } else {
                    nap = nap.min(held.lease - overdue);
                }
            }
            let stopped = holder.is_stopped();
            if stopped || started.elapsed() >= timeout {
                state.queue.retain(|waiting| waiting.ticket != ticket);
                state.call_first();
                return Err(if stopped { SqlError::interrupted() } else { lock_wait_timeout() });
            }
            // set and read under the mutex alone
            called.asleep.store(true, Ordering::Relaxed);
            state = called.woken.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
            called.asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for the lock, for work that ends where the turn is dropped, whatever ends it.
    pub fn turn(&self, holder: Arc<dyn Holder>, patience: Patience) -> Result<Turn<'_>, SqlError> {
        Ok(Turn { lock: self, ticket: self.acquire(holder, patience)? })
    }

    /// Whether the next in the queue would take over a transaction that is open.
    pub fn next_is_short(&self) -> bool {
        self.state().queue.front().is_some_and(|first| first.patience.extent.is_short())
    }

    /// Whether others wait; of replication alone, whether that comes next.
    pub fn others_wait(&self, replication_alone: bool) -> bool {
        self.state().queue.front().is_some_and(|first| first.patience.ahead || !replication_alone)
    }

    /// Whether somebody has the lock whose transaction is short, so that it moves on soon.
    pub fn is_moving(&self) -> bool {
        self.state().held.as_ref().is_some_and(|held| held.extent.is_short())
    }

    /// The lock stays where it is, and is now held for somebody else. False if it is not held with this ticket.
    pub fn take_over(&self, ticket: u64, holder: Arc<dyn Holder>, patience: Patience) -> bool {
        let mut state = self.state();
        let before = match state.is_held_by(ticket) {
            true => state.held.replace(Held::new(ticket, holder, patience)),
            false => None,
        };
        drop(state);
        before.is_some()
    }

    /// Whether the lock is held with this ticket.
    pub fn is_held_by(&self, ticket: u64) -> bool {
        self.state().is_held_by(ticket)
    }

    /// Hands the lock to the next in the queue if that one takes over a transaction that is open. There is no moment at which nobody has it.
    pub fn hand_on(&self, ticket: u64) -> bool {
        let state = self.state();
        if !state.is_held_by(ticket)
            || state.queue.front().is_none_or(|first| !first.patience.extent.is_short())
        {
            return false;
        }
        self.pass(state);
        true
    }

    /// Ends the holder's turn and wakes who comes next. They take this mutex first of all, so it is given back before.
    fn pass(&self, mut state: MutexGuard<'_, State>) {
        let (held, called) = state.pass();
        drop(state);
        called.iter().for_each(|called| called.woken.notify_one());
        drop(held);
    }

    /// The turn of who holds the lock with this ticket; it is over when this is dropped, if it was not handed on before.
    #[must_use]
    pub fn turn_of(&self, ticket: u64) -> Turn<'_> {
        Turn { lock: self, ticket }
    }

    /// Gives the lock back; a ticket that does not hold it changes nothing.
    pub fn release(&self, ticket: u64) {
        let state = self.state();
        if state.is_held_by(ticket) {
            self.pass(state);
        }
    }
}

/// Somebody's turn to write; it ends when this is dropped.
pub struct Turn<'l> {
    lock: &'l WriterLock,
    ticket: u64,
}

impl Turn<'_> {
    /// The turn goes on; who takes the ticket has to end it.
    #[must_use]
    pub fn keep(self) -> u64 {
        std::mem::ManuallyDrop::new(self).ticket
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lock.release(self.ticket);
    }
}

fn relieve(victim: &dyn Holder, ticket: u64, runaway: bool) -> bool {
    if victim.evict(ticket) {
        return true;
    }
    if runaway {
        victim.interrupt();
    }
    false
}

/// Error 1213: to a client, that all of its transaction is undone.
#[must_use]
pub fn deadlock() -> SqlError {
    SqlError::new(1213, "40001", "Deadlock found when trying to get lock; try restarting transaction")
}

/// Error 1205.
#[must_use]
pub fn lock_wait_timeout() -> SqlError {
    SqlError::new(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Idle<'a>(&'a WriterLock, AtomicBool);

    impl Holder for Idle<'static> {
        fn evict(&self, ticket: u64) -> bool {
            self.1.store(true, Ordering::SeqCst);
            self.0.release(ticket);
            true
        }
        fn interrupt(&self) {}
    }

    fn patience(wait: Duration) -> Patience {
        Patience { wait, lease: wait, ahead: false, extent: Extent::Unknown }
    }

    fn lock() -> &'static WriterLock {
        Box::leak(Box::default())
    }

    #[test]
    fn an_idle_holder_is_evicted_when_its_lease_is_over() {
        let lock = lock();
        let idle = Arc::new(Idle(lock, AtomicBool::new(false)));
        lock.acquire(idle.clone(), patience(Duration::from_millis(30))).unwrap();
        let started = Instant::now();
        let ticket = lock.acquire(Arc::new(Unmoved), patience(Duration::from_secs(5))).unwrap();
        assert!(idle.1.load(Ordering::SeqCst));
        assert!(started.elapsed() < Duration::from_secs(2));
        lock.release(ticket);
    }

    #[test]
    fn a_busy_holder_makes_the_waiter_give_up_with_1205() {
        let lock = lock();
        let ticket = lock.acquire(Arc::new(Unmoved), patience(Duration::from_millis(20))).unwrap();
        assert_eq!(
            lock.acquire(Arc::new(Unmoved), patience(Duration::from_millis(60))).unwrap_err().code,
            1205
        );
        lock.release(ticket);
        lock.acquire(Arc::new(Unmoved), patience(Duration::from_millis(60))).unwrap();
    }

    /// One that hands the lock on when it is asked to go.
    struct HandsOn(&'static WriterLock, AtomicBool);

    impl Holder for HandsOn {
        fn evict(&self, ticket: u64) -> bool {
            self.1.store(self.0.hand_on(ticket), Ordering::SeqCst);
            false
        }
        fn interrupt(&self) {}
    }

    #[test]
    fn who_is_given_the_lock_as_his_patience_ends_has_it() {
        let lock = lock();
        let first = Arc::new(HandsOn(lock, AtomicBool::new(false)));
        lock.acquire(first.clone(), patience(Duration::ZERO)).unwrap();
        let short = Patience { extent: Extent::OneRow, ..patience(Duration::ZERO) };
        let ticket = lock.acquire(Arc::new(Unmoved), short).unwrap();
        assert!(first.1.load(Ordering::SeqCst), "it was not handed on");
        lock.release(ticket);
        lock.acquire(Arc::new(Unmoved), patience(Duration::ZERO)).unwrap();
    }

    #[test]
    fn a_panic_ends_the_turn() {
        let lock = lock();
        let work = std::thread::spawn(|| {
            let _turn = lock.turn(Arc::new(Unmoved), patience(Duration::from_secs(5))).unwrap();
            panic!("on purpose");
        });
        assert!(work.join().is_err());
        drop(lock.turn(Arc::new(Unmoved), patience(Duration::from_millis(60))).unwrap());
    }

    /// Who had the lock after whom, of those who waited for it in this order; an `a` is replication.
    fn served(waiters: &str) -> String {
        let lock = lock();
        let first = lock.acquire(Arc::new(Unmoved), patience(Duration::from_secs(5))).unwrap();
        let order = Arc::new(Mutex::new(String::new()));
        let threads: Vec<_> = waiters
            .chars()
            .enumerate()
            .map(|(n, who)| {
                let order = Arc::clone(&order);
                let thread = std::thread::spawn(move || {
                    let patience = Patience { ahead: who == 'a', ..patience(Duration::from_secs(5)) };
                    let ticket = lock.acquire(Arc::new(Unmoved), patience).unwrap();
                    order.lock().unwrap().push(who);
                    lock.release(ticket);
                });
                while lock.waiting() < n + 1 {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        lock.release(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let order = order.lock().unwrap();
        order.clone()
    }

    #[test]
    fn waiters_are_served_in_order() {
        assert_eq!(served("0123"), "0123");
    }

    #[test]
    fn replication_goes_ahead_of_clients_but_not_for_ever() {
        assert_eq!(served("cccaaaaaa"), "aaaacaacc");
    }
}

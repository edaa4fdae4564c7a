//! The scribe: one thread that writes for many clients.
//!
//! Where eight clients write one row each, each of their threads would sleep until its turn comes, and again until the common commit is done, and to
//! wake a thread takes longer than to write a row. So a thread that would have to wait leaves its client's statement here
//! (`session::errand`), and waits for the client's next command instead. The scribe runs all statements that lie there, one behind
//! the other in one turn, commits once, and sends the answers:
//!
//! ```text
//! client a   parsed | left |            (its thread waits for the next command)
//! client b         parsed | left |
//! client c                parsed | left |
//! scribe                  | a | b | COMMIT | answers to a, b | c ...
//! ```
//! A round is what lies there when it begins; so one half of the clients is answered while the other half is parsed. Who writes alone finds
//! the turn free, and the scribe asleep.
//!
//! Invariant: the scribe waits for nothing that a single client could draw out. A statement that has to wait for a lock, and an answer that a client does
//! not read, get a thread of their own. It does wait for its turn like all who write, but not longer than [`HURRY`] for all that lies
//! there, and for the common commit where it hands its own on to others (`storage::pen`). What panics takes its own client's connection with it and no
//! other one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use super::STACK_BYTES;
use super::connection::Client;
use crate::session::errand::{Errand, HURRY, Ran};
use crate::storage::relay::Kept;

/// So many statements one round takes at most; the others wait for the next one.
const MOST: usize = 64;
/// So long the scribe stays awake when there is nothing to do: to be woken takes longer than what it does.
const AWAKE: Duration = Duration::from_micros(100);

/// A client with the statement that it left. If it is dropped, the connection ends.
pub(super) struct Job {
    client: Option<Box<Client>>,
    errand: Errand,
    sequence: u8,
}

impl Job {
    /// A client's statement, whose answer begins with this sequence number.
    pub(super) fn new(client: Box<Client>, errand: Errand, sequence: u8) -> Job {
        Job { client: Some(client), errand, sequence }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            client.hang_up();
        }
    }
}

/// Where statements are left.
pub(super) struct Scribe {
    jobs: Sender<Job>,
    load: Arc<Load>,
}

/// What is known of the scribe's work.
#[derive(Default)]
struct Load {
    awake: AtomicBool,
    waiting: AtomicUsize,
}

impl Scribe {
    /// Starts the thread. It ends with the last handle.
    pub(super) fn start() -> io::Result<Scribe> {
        let (jobs, left) = mpsc::channel();
        let load = Arc::<Load>::default();
        let work = Work { left, load: Arc::clone(&load) };
        std::thread::Builder::new()
            .name("scribe".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work.go_on())?;
        Ok(Scribe { jobs, load })
    }

    /// Whether it is at work, so that whoever writes by himself has to wait for it.
    pub(super) fn is_awake(&self) -> bool {
        self.load.awake.load(Ordering::Relaxed)
    }

    /// Takes a client's statement.
    pub(super) fn take(&self, job: Job) {
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.jobs.send(job); // where the thread is gone, the client's connection ends
    }
}

struct Work {
    left: Receiver<Job>,
    load: Arc<Load>,
}

impl Work {
    fn go_on(&self) {
        while let Some(first) = self.next() {
            // what panics ends its own connections
            let _ = catch_unwind(AssertUnwindSafe(|| self.round(first)));
        }
    }

    fn taken(&self, job: Job) -> Job {
        self.load.waiting.fetch_sub(1, Ordering::Relaxed);
        job
    }

    /// The next statement; None if there will be none.
    fn next(&self) -> Option<Job> {
        let began = Instant::now();
        loop {
            match self.left.try_recv() {
                Ok(job) => return Some(self.taken(job)),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if began.elapsed() < AWAKE => std::thread::yield_now(),
                Err(TryRecvError::Empty) => break,
            }
        }
        self.load.awake.store(false, Ordering::Relaxed);
        let job = self.left.recv().ok()?;
        self.load.awake.store(true, Ordering::Relaxed);
        Some(self.taken(job))
    }

    /// Runs the statements that lie here in one turn, commits them, and answers.
    fn round(&self, first: Job) {
        let others = self.load.waiting.load(Ordering::Relaxed).min(MOST - 1);
        let mut done = Vec::with_capacity(others + 1);
        let Some(client) = &first.client else { return };
        let (mut kept, log) = (Kept::new(client.store()), client.log());
        let began = Instant::now();
        let mut next = Some(first);
        for more in (0..=others).rev() {
            let Some(job) = next.take().or_else(|| self.lies_here()) else { break };
            done.extend(run(job, &mut kept, more > 0));
            if !kept.goes_on() {
                break; // others have the turn now: nobody is kept waiting for his answer
            }
        }
        drop(kept);
        log.committed();
        if began.elapsed() >= HURRY && done.last().is_some_and(|(_, ran)| ran.has_to_wait()) {
            // the turn is with somebody who takes his time: each waits for it by himself
            (0..others).map_while(|_| self.lies_here()).for_each(wait_elsewhere);
        }
        for (job, ran) in done {
            let _ = catch_unwind(AssertUnwindSafe(|| answer(job, ran)));
        }
    }

    fn lies_here(&self) -> Option<Job> {
        self.left.try_recv().ok().map(|job| self.taken(job))
    }
}

/// Runs a statement. None if it panicked.
fn run(mut job: Job, kept: &mut Kept, more: bool) -> Option<(Job, Ran)> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let client = job.client.as_mut()?;
        client.counters().written_for.fetch_add(1, Ordering::Relaxed);
        Some(client.run_in_turn(&job.errand, kept, more))
    }));
    ran.ok().flatten().map(|ran| (job, ran))
}

/// Answers a client as soon as it is decided what has become of his statement.
fn answer(mut job: Job, ran: Ran) {
    let Some(client) = job.client.as_mut() else { return };
    if ran.has_to_wait() {
        return wait_elsewhere(job);
    }
    let decided = ran.fate.map_or(Ok(0), |fate| fate.wait());
    let written = match (ran.outcome, decided) {
        (Err(_), _) => return, // it cannot be written down
        (Ok(()), Ok(_)) => Ok(()),
        (Ok(()), Err(error)) => client.undone(&job.errand, job.sequence, error),
    };
    match written.and_then(|()| client.send_at_once()) {
        Ok(true) => go_home(job),
        Ok(false) => elsewhere(job, |client, _| client.finish()),
        Err(_) => {} // the client is gone
    }
}

fn go_home(mut job: Job) {
    if let Some(client) = job.client.take() {
        client.go_home();
    }
}

fn wait_elsewhere(job: Job) {
    elsewhere(job, |client, errand| client.run_patiently(errand));
}

/// Goes on in a thread of the client's own. Where there is none the connection ends.
fn elsewhere(mut job: Job, work: impl FnOnce(&mut Client, &Errand) -> io::Result<()> + Send + 'static) {
    if let Some(client) = &job.client {
        client.counters().set_aside.fetch_add(1, Ordering::Relaxed);
    }
    let _ = std::thread::Builder::new().name("errand".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let done = job.client.as_mut().map(|client| work(client, &job.errand));
        if let Some(Ok(())) = done {
            go_home(job);
        }
    });
}

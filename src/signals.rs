//! Ctrl-C and SIGTERM: the first asks the run to end after the chunk at hand, the second ends the program at once.
//!
//! Ending at once is safe: what evensum does on a node is in transactions, which the server rolls back when the
//! connection goes, and a repair's journal is written before the change. Not here: what a run does when asked to end.

use crate::error::{Failure, Outcome};
use crate::output;
use checker::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal came; zero if none did.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// How the program ends if a signal came.
    pub fn outcome(&self) -> Option<Outcome> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&number| number != 0).map(Outcome::Signal)
    }
}

/// Waits for the next of the two signals; its number.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Begins to listen; from here on neither signal ends the program by itself.
    pub fn listen() -> Result<Signals, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::system(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: None,
        })
    }

    /// Also hears the signal that asks a service to read its configuration again.
    pub fn with_hang_up(mut self) -> Result<Signals, Failure> {
        let hang_up = signal(SignalKind::hangup());
        self.hang_up =
            Some(hang_up.map_err(|error| Failure::system(format!("cannot listen for signals: {error}")))?);
        Ok(self)
    }

    /// The number of the next signal that ends a service; none if it is to read its configuration again.
    pub async fn next_of_service(&mut self) -> Option<u8> {
        let Some(mut hang_up) = self.hang_up.take() else { return Some(self.next().await) };
        let next = tokio::select! {
            _ = hang_up.recv() => None,
            number = self.next() => Some(number),
        };
        self.hang_up = Some(hang_up);
        next
    }

    /// The number of the next signal.
    pub async fn next(&mut self) -> u8 {
        const SIGINT: u8 = 2;
        const SIGTERM: u8 = 15;
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

/// From now on `stop` is raised when the standard input ends: who began this run is gone. A run that was begun by nobody in
/// particular is not given such an input.
pub fn watch_input(stop: &Stop) {
    let stop = stop.clone();
    // a thread of its own: reading the standard input cannot be called off, and must not keep the runtime from ending
    std::thread::spawn(move || {
        let mut sink = std::io::sink();
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut sink);
        stop.raise();
        output::note("evensum: who began this run is gone; stopping after the chunk at hand");
    });
}

/// From now on the first signal raises `stop`, and the second ends the program.
pub fn watch(stop: &Stop) -> Result<Interrupt, Failure> {
    watch_saying(stop, "stopping after the chunk at hand; once more ends it at once")
}

/// The same in other words.
pub fn watch_saying(stop: &Stop, words: &'static str) -> Result<Interrupt, Failure> {
    let (mut signals, interrupt, stop) = (Signals::listen()?, Interrupt::default(), stop.clone());
    let seen = interrupt.clone();
    tokio::spawn(async move {
        let first = signals.next().await;
        seen.0.store(first, Ordering::Relaxed);
        stop.raise();
        output::note(&format!("evensum: {words}"));
        let second = signals.next().await;
        std::process::exit(Outcome::Signal(second).code().into());
    });
    Ok(interrupt)
}

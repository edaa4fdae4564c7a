//! `evensum serve`: the service that checks on cron, tells people, and shows where things stand.
//!
//! ```text
//!  schedules ──► planner ──► runs that wait ──► runner ──► `evensum check`, `evensum sync` as processes of their own
//!                                                               │ write runs, tables, progress
//!  nodes ──► looks ──► findings ◄── digest ◄────────────────────┘
//!                         │ alerts
//!                         ▼
//!                      teller ──► sinks            http ──► page, API, metrics
//! ```
//!
//! A run is a process, so that a run that fails takes nothing with it, and what a button does is what a command does. What must
//! outlive the service is in the state folder alone: each part reads what is so and does what follows, so a service that is killed at
//! any moment goes on where it was. Runs end with the service: their standard input closes, and they stop after the chunk at hand.
//!
//! Invariant: nothing here holds a connection to a node but the looks, which only ask; no sink, page or heartbeat can delay a check.

pub mod access;
pub mod command;
mod digest;
mod http;
mod logins;
pub mod looks;
pub mod metrics;
mod notify;
pub mod planner;
pub mod runner;
mod setup;
pub mod teller;
mod tls;
pub mod view;

pub use setup::Setup;

use self::looks::Looks;
use self::notify::Manager;
use self::runner::Runner;
use crate::cli::ServeArgs;
use crate::clock;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::signals::Signals;
use crate::state::{self, State};
use database::Secret;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often the service looks what there is to do.
const TICK: Duration = Duration::from_millis(250);
/// How often it is looked whether a schedule is overdue.
const AGES_EVERY: Duration = Duration::from_secs(5);
/// How often old runs and alerts are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// What all parts of the service share.
pub struct Service {
    setup: RwLock<Arc<Setup>>,
    /// What was last seen of the nodes.
    pub looks: Looks,
    /// The folder of the state.
    pub folder: PathBuf,
    /// When the service began, in seconds since 1970.
    pub started: u64,
    /// Says that there is something to do.
    pub wake: Notify,
    stopping: watch::Sender<bool>,
    manager: Manager,
}

impl Service {
    /// What the configuration says now.
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state folder, over a connection of one's own.
    pub fn state(&self) -> Result<State, Failure> {
        State::connect(&self.folder)
    }

    /// Whether the service is about to end.
    pub fn stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits for some time, or until the service is about to end.
    pub async fn sleep(&self, time: Duration) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// Runs the command.
pub async fn run(args: ServeArgs) -> Result<Outcome, Failure> {
    let setup = Setup::read(args.config.as_deref())?;
    let said = args.state.clone().or_else(|| setup.config.state.clone());
    let folder = state::folder(said.as_deref())?;
    let state = State::open(&folder)?;
    let _only = state.lock_service()?;
    let mut signals = Signals::listen()?.with_hang_up()?;
    let door = http::Door::open(&setup).await?;
    let service = Arc::new(Service {
        looks: Looks::default(),
        setup: RwLock::new(Arc::new(setup)),
        folder,
        started: clock::now_seconds(),
        wake: Notify::new(),
        stopping: watch::Sender::new(false),
        manager: Manager::find(),
    });
    state.end_others(&service.setup().cluster)?;
    say_hello(&service, &state, &door)?;
    let parts = [
        tokio::spawn(supervise(service.clone(), state)),
        tokio::spawn(looks::watch(service.clone())),
        tokio::spawn(teller::tell(service.clone())),
        tokio::spawn(door.serve(service.clone())),
    ];
    service.manager.ready();
    let signal = loop {
        match signals.next_of_service().await {
            None => reload(&service, args.config.as_deref()),
            Some(signal) => break signal,
        }
    };
    output::note(
        "evensum: stopping; a run at work ends after the chunk at hand, and goes on when the service comes back",
    );
    service.manager.stopping();
    service.stopping.send_replace(true);
    service.wake.notify_waiters();
    tokio::select! {
        () = async { for part in parts { let _ = part.await; } } => {}
        // once more: at once
        _ = signals.next() => {}
    }
    Ok(Outcome::Signal(signal))
}

/// Says where the page is, and how to make the first account if there is none.
fn say_hello(service: &Service, state: &State, door: &http::Door) -> Result<(), Failure> {
    let setup = service.setup();
    output::note(&format!(
        "evensum: serving cluster {} with {} schedules on {}",
        setup.cluster,
        setup.plans.len(),
        door.address()
    ));
    if state.accounts()?.is_empty() {
        let token: Secret = access::random()?;
        state.set_first_token(&token)?;
        output::note(&format!(
            "evensum: there is no account yet; make the first one at {}/setup?token={}",
            door.address(),
            token.reveal()
        ));
    }
    Ok(())
}

/// Takes in a changed configuration; where it cannot be meant, the one before stays.
fn reload(service: &Service, config: Option<&std::path::Path>) {
    service.manager.reloading();
    match Setup::read(config) {
        Ok(setup) => {
            let before = service.setup();
            let fixed = |setup: &Setup| {
                let serve = setup.config.serve.clone();
                let tls = (serve.tls_cert, serve.tls_key, serve.tls_client_ca);
                (serve.listen, setup.config.state.clone(), tls)
            };
            if fixed(&setup) != fixed(&before) {
                output::note("evensum: listen, tls_* and state are taken in by a restart alone");
            }
            if let Err(failure) = service.state().and_then(|state| state.end_others(&setup.cluster)) {
                output::complain(&failure);
            }
            *service.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
            output::note("evensum: the configuration was read again");
        }
        Err(failure) => {
            output::complain(&failure);
            output::note("evensum: the configuration before stays in use");
        }
    }
    service.manager.ready();
    service.wake.notify_waiters();
}

/// Begins what is due, looks after what is at work, and takes in what has ended; until the service ends.
async fn supervise(service: Arc<Service>, mut state: State) {
    let mut runner = Runner::new(service.clone());
    let mut complaints = Complaints::default();
    let (mut pruned, mut aged) = (Instant::now(), None::<Instant>);
    while !service.stopping() {
        complaints.note(planner::plan(&service, &mut state, &runner));
        complaints.note(runner.tick(&mut state).await);
        complaints.note(digest::digest(&service, &mut state));
        if aged.is_none_or(|at| at.elapsed() >= AGES_EVERY) {
            aged = Some(Instant::now());
            complaints.note(state.sweep());
            complaints.note(digest::ages(&service, &mut state));
        }
        if pruned.elapsed() >= PRUNE_EVERY {
            pruned = Instant::now();
            complaints.note(prune(&service, &state));
        }
        service.manager.alive(&runner.words());
        tokio::select! {
            () = service.sleep(TICK) => {}
            () = service.wake.notified() => {}
        }
    }
    runner.end().await;
    complaints.note(digest::digest(&service, &mut state));
}

fn prune(service: &Service, state: &State) -> Result<(), Failure> {
    state.prune(service.setup().config.serve.runs_kept())?;
    state.prune_alerts()
}

/// Says what goes wrong, and the same again only after a while.
#[derive(Default)]
struct Complaints {
    last: Option<(String, Instant)>,
}

impl Complaints {
    fn note(&mut self, result: Result<(), Failure>) {
        const QUIET: Duration = Duration::from_secs(60);
        let Err(failure) = result else { return };
        let text = failure.to_string();
        if self.last.as_ref().is_none_or(|(said, at)| *said != text || at.elapsed() >= QUIET) {
            output::note(&text);
            self.last = Some((text, Instant::now()));
        }
    }
}

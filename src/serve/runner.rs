//! Carries out the runs that wait, one after the other, each as a process.
//!
//! A run takes its own row over when it begins and writes there how it ended; here it is only seen to that every row comes to an
//! end. A process that ended without that is begun again, from its checkpoint where there is one, [`ATTEMPTS_MAX`] times; then the
//! run has failed. A repair is not begun again: what is left of it is found by the next check. Another `evensum` at work on the
//! nodes is waited for.
//!
//! Invariant: the process ends when the service does, however that ends: its standard input closes. Bounds: one process at a
//! time; of what it says, the last [`LOG_BYTES_MAX`] bytes.

use super::Service;
use super::planner::moment;
use crate::alerts::heartbeat::{Beat, beat};
use crate::clock;
use crate::error::Failure;
use crate::output;
use crate::state::{Run, State, Status};
use database::Secret;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, Command};

/// How often a check that was killed is begun again.
const ATTEMPTS_MAX: u32 = 3;
/// How long another `evensum` at work on the nodes is waited for before it is looked again.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// How long a run is waited for that cannot begin because of another one.
const BUSY_MAX: Duration = Duration::from_secs(12 * 3_600);
/// How long a run that was told to stop may take to do so.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How much is kept of what a process says.
const LOG_BYTES_MAX: usize = 20_000;
/// How often runs without a process are looked after.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(1);
/// What a check says that cannot go on from what was kept.
const NOT_RESUMED: &str = "cannot be resumed";
/// The exit code of a run that met another one.
const ALREADY_RUNNING: i32 = 5;

/// A process at work.
struct Working {
    run: Run,
    child: Child,
    /// When it began, in seconds since 1970.
    begun_at: u64,
    /// Closing it stops the run.
    input: Option<ChildStdin>,
    said: Arc<Mutex<VecDeque<u8>>>,
    /// When it was told to stop, and why.
    stopped: Option<(Instant, String)>,
}

/// Carries runs out.
pub struct Runner {
    service: Arc<Service>,
    working: Option<Working>,
    /// Nothing is begun before this.
    not_before: Option<Instant>,
    /// The run that met another one, and since when it waits.
    busy: Option<(String, Instant)>,
    /// When runs without a process were last looked after.
    looked: Option<Instant>,
}

impl Runner {
    /// With nothing at work.
    pub fn new(service: Arc<Service>) -> Runner {
        Runner { service, working: None, not_before: None, busy: None, looked: None }
    }

    /// Looks after runs without a process, of this service or of one before it: checks go on, repairs have ended. A process that
    /// outlived its service is waited for; it stops by itself.
    pub fn look_after(&self, state: &State) -> Result<(), Failure> {
        let at_work = self.working.as_ref().map(|working| working.run.run.as_str());
        for run in state.open_runs()? {
            let own =
                run.status == Status::Working && run.arguments.is_some() && at_work != Some(run.run.as_str());
            if own && !run.lives() {
                output::note(&format!("evensum: the run {} was left at work", run.run));
                self.leftover(state, &run)?;
            }
        }
        for run in state.undigested(u32::MAX)?.into_iter().filter(Run::goes_on) {
            state.requeue(&run.run, false)?;
        }
        Ok(())
    }

    /// A run whose process is gone, though its row says that it works.
    fn leftover(&self, state: &State, run: &Run) -> Result<(), Failure> {
        if run.kind == "check" && run.attempts < ATTEMPTS_MAX && run.stopped.is_none() {
            return state.requeue(&run.run, true);
        }
        let why = match run.kind.as_str() {
            "check" => format!("it was ended {} times before it could end by itself", run.attempts),
            _ => "it was ended in the middle; its journal has what it changed, and the next check finds the rest".to_owned(),
        };
        state.fail(&run.run, &Failure::system(why));
        Ok(())
    }

    /// What is at work, in words.
    pub fn words(&self) -> String {
        match &self.working {
            None => "waiting for the next schedule".to_owned(),
            Some(working) => format!("{} {} ({})", working.run.kind, working.run.run, working.run.cause),
        }
    }

    /// When the process of a run began, in seconds since 1970, if it is at work here.
    pub fn begun_at(&self, run: &str) -> Option<u64> {
        self.working.as_ref().filter(|working| working.run.run == run).map(|working| working.begun_at)
    }

    /// Looks after what is at work, and begins what waits.
    pub async fn tick(&mut self, state: &mut State) -> Result<(), Failure> {
        self.heed_stops(state)?;
        self.heed_window();
        if let Some(working) = &mut self.working {
            if let Some((since, _)) = &working.stopped
                && since.elapsed() >= STOP_MAX
            {
                let _ = working.child.start_kill();
            }
            let Ok(Some(status)) = working.child.try_wait() else { return Ok(()) };
            self.ended(state, status).await?;
        }
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_AFTER_EVERY) {
            self.looked = Some(Instant::now());
            self.look_after(state)?;
        }
        if self.not_before.is_some_and(|at| Instant::now() < at) || self.service.stopping() {
            return Ok(());
        }
        let next = state.open_runs()?.into_iter().find(|run| {
            run.status == Status::Queued && run.arguments.is_some() && self.opens_at(run).is_none()
        });
        match next {
            Some(run) => self.begin(state, run),
            None => Ok(()),
        }
    }

    /// Tells the process at work to stop if somebody said so, wherever.
    fn heed_stops(&mut self, state: &State) -> Result<(), Failure> {
        if let Some(working) = &mut self.working
            && working.stopped.is_none()
            && let Some(why) = state.find(&working.run.run)?.and_then(|run| run.stopped)
        {
            output::note(&format!("evensum: stopping the run {}: {why}", working.run.run));
            drop(working.input.take());
            working.stopped = Some((Instant::now(), why));
        }
        Ok(())
    }

    /// When the window of a run's schedule opens, if it is closed.
    fn opens_at(&self, run: &Run) -> Option<String> {
        let setup = self.service.setup();
        let window = setup.plan(run.schedule.as_deref()?)?.schedule.window?;
        let opens = window.opens_at(moment(clock::now_seconds()))?;
        (run.kind == "check").then(|| opens.format("%H:%M %Z").to_string())
    }

    /// A check whose window has closed makes room for others, and goes on when it opens.
    fn heed_window(&mut self) {
        let opens = self
            .working
            .as_ref()
            .filter(|working| working.stopped.is_none())
            .and_then(|working| self.opens_at(&working.run));
        if let (Some(opens), Some(working)) = (opens, &mut self.working) {
            output::note(&format!(
                "evensum: the run {} pauses until its window opens at {opens}",
                working.run.run
            ));
            drop(working.input.take());
            working.stopped = Some((Instant::now(), "its window has closed".to_owned()));
        }
    }

    fn begin(&mut self, state: &State, run: Run) -> Result<(), Failure> {
        let mut command = Command::new(program()?);
        command.arg0("evensum");
        command.args(run.arguments.iter().flatten());
        match state.kept(&run.run)?.is_empty() || run.kind != "check" {
            true => command.args(["--name", &run.run]),
            false => command.arg(format!("--resume={}", run.run)),
        };
        command.arg("--state").arg(&self.service.folder).args(["--no-input", "--until-input-ends"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                state.fail(&run.run, &Failure::system(format!("the run cannot be begun: {error}")));
                return Ok(());
            }
        };
        let said: Arc<Mutex<VecDeque<u8>>> = Arc::default();
        if let Some(mut stderr) = child.stderr.take() {
            let said = said.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.extend(&buffer[..length]);
                    let over = said.len().saturating_sub(LOG_BYTES_MAX);
                    said.drain(..over);
                }
            });
        }
        self.heartbeat(&run, Beat::Start, String::new());
        let input = child.stdin.take();
        self.working =
            Some(Working { run, child, begun_at: clock::now_seconds(), input, said, stopped: None });
        Ok(())
    }

    /// Sees to it that the row of a process that has ended comes to an end.
    async fn ended(&mut self, state: &mut State, status: ExitStatus) -> Result<(), Failure> {
        // what it said last may still be on its way to here
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(working) = self.working.take() else { return Ok(()) };
        let said =
            working.said.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect::<Vec<u8>>();
        let said = String::from_utf8_lossy(&said).into_owned();
        let Some(run) = state.find(&working.run.run)? else { return Ok(()) };
        match run.status {
            Status::Ended => {}
            Status::Working => self.leftover(state, &run)?,
            // it never began
            Status::Queued if status.code() == Some(ALREADY_RUNNING) => {
                return self.wait_for_other(state, &run);
            }
            // by another version, or after the configuration was changed
            Status::Queued if said.contains(NOT_RESUMED) && !state.kept(&run.run)?.is_empty() => {
                output::note(&format!("evensum: the run {} cannot go on, and begins anew", run.run));
                return state.forget(&run.run);
            }
            Status::Queued => state.fail(&run.run, &Failure::system(complaint(&said, status))),
        }
        self.busy = None;
        if state.find(&run.run)?.is_some_and(|run| run.status == Status::Ended) {
            let exit = u8::try_from(status.code().unwrap_or(2)).unwrap_or(2);
            self.heartbeat(&run, Beat::Ended { exit }, said);
        }
        Ok(())
    }

    fn wait_for_other(&mut self, state: &State, run: &Run) -> Result<(), Failure> {
        self.not_before = Some(Instant::now() + BUSY_PAUSE);
        let since = match &self.busy {
            Some((name, since)) if *name == run.run => *since,
            _ => {
                output::note(&format!(
                    "evensum: the run {} waits: another evensum is at work on the nodes",
                    run.run
                ));
                Instant::now()
            }
        };
        self.busy = Some((run.run.clone(), since));
        if since.elapsed() >= BUSY_MAX {
            state.fail(&run.run, &Failure::running("another evensum was at work on the nodes all the time"));
            self.busy = None;
        }
        Ok(())
    }

    /// Tells the schedule's dead man's switch, beside everything else.
    fn heartbeat(&self, run: &Run, what: Beat, said: String) {
        let setup = self.service.setup();
        let plan = run.schedule.as_deref().and_then(|name| setup.plan(name));
        let Some(url) = plan.and_then(|plan| plan.said.heartbeat.clone()) else { return };
        if run.kind != "check" {
            return;
        }
        let id = uuid(&run.run);
        tokio::task::spawn_blocking(move || {
            const TRIES: u32 = 3;
            let url = Secret::new(url);
            for attempt in 1..=TRIES {
                match beat(&url, what, &id, &said) {
                    Ok(()) => return,
                    Err(error) if attempt == TRIES => output::note(&format!("evensum: heartbeat: {error}")),
                    Err(_) => std::thread::sleep(Duration::from_secs(u64::from(attempt))),
                }
            }
        });
    }

    /// Has the run at work stop, and waits until it has.
    pub async fn end(&mut self) {
        let Some(working) = &mut self.working else { return };
        drop(working.input.take());
        if tokio::time::timeout(STOP_MAX, working.child.wait()).await.is_err() {
            let _ = working.child.start_kill();
        }
        self.working = None;
    }
}

/// The program that this is, even if its file was replaced meanwhile: a package that is upgraded must not stop the checks of the
/// service that still runs.
fn program() -> Result<PathBuf, Failure> {
    let this = Path::new("/proc/self/exe");
    if this.exists() {
        return Ok(this.to_owned());
    }
    std::env::current_exe()
        .map_err(|error| Failure::system(format!("this program is not where it was: {error}")))
}

/// Why a run did not even begin, in its own words: the message after the last code.
fn complaint(said: &str, status: ExitStatus) -> String {
    let start = said.rfind("evensum: E").map(|at| &said[at + "evensum: ".len()..]);
    let line =
        start.and_then(|text| text.lines().next()).map(|line| line.replace(" Nothing was changed.", ""));
    line.unwrap_or_else(|| format!("the run ended before it began ({status})"))
}

/// A run's name in the form of a UUID, for watchers that want one.
fn uuid(run: &str) -> String {
    let hash = blake3::hash(run.as_bytes()).to_hex();
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

/// Has a run stop: one that waits at once, one at work after the chunk at hand, as soon as the service sees it.
pub fn ask_to_stop(state: &State, run: &Run, why: &str) -> Result<(), Failure> {
    if run.status == Status::Ended {
        return Err(Failure::usage(
            format!("the run {} has ended", run.run),
            "evensum runs lists what is at work",
        ));
    }
    if state.cancel(&run.run, why)? { Ok(()) } else { state.note_stopped(&run.run, why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_run_that_never_began_is_explained_by_its_own_words() {
        let status = ExitStatus::from_raw(2 << 8);
        let said = "evensum: note\nevensum: E0201: n2 is unreachable: refused. Nothing was changed.\n  what to do: see\n";
        assert_eq!(complaint(said, status), "E0201: n2 is unreachable: refused.");
        assert!(complaint("", status).contains("exit status: 2"));
    }

    #[test]
    fn a_run_has_one_uuid() {
        assert_eq!(uuid("a"), uuid("a"));
        assert_ne!(uuid("a"), uuid("b"));
        assert_eq!(uuid("a").len(), 36);
    }
}

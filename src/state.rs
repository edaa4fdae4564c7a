//! The state folder: the history of runs, what is known of each table, alerts, accounts, the journals of repairs, and one lock
//! per node.
//!
//! ```text
//! DIR/runs.sqlite          runs with their reports; what runs at work have compared so far; what runs found; tables, schedules,
//!                          alerts, accounts, and what people did
//! DIR/journals/RUN.journal before-images of a repair
//! DIR/plans/RUN.json       a plan that somebody may approve on the page
//! DIR/locks/NODE.lock      held by the run at work; names its process
//! ```
//!
//! Every command and the service share the file; it is all that they share. Each idea has a file of its own below.
//!
//! Invariant: a file that is not what it should be is named in an error and left as it is, before any node is touched.
//! A lock is the operating system's, so a run that was killed leaves none behind. Reports and journals hold rows, so nobody
//! but their owner may read them.

mod accounts;
mod alerts;
mod audit;
mod checkpoints;
pub mod counters;
mod found;
mod history;
mod layout;
mod progress;
mod schedules;
mod tables;
mod upkeep;

pub use accounts::{Pass, Role};
pub use alerts::{Alert, Mute, Told};
pub use history::{RUNS_KEPT, Request, Run, Status};
pub use progress::Beacon;
pub use schedules::{LeftOutTime, ScheduleState};
pub use tables::{Kinds, TableState, kinds};

use crate::clock;
use crate::error::Failure;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another run that is writing its row.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The folder, open.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    runs: Connection,
}

/// The nodes of a cluster, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _files: Vec<File>,
}

/// The folder by `--state`, the environment, or the conventions of the system.
pub fn folder(said: Option<&Path>) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = said.map(Path::to_owned).or_else(|| set("EVENSUM_STATE")) {
        return Ok(folder);
    }
    set("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .map(|base| base.join("evensum"))
        .ok_or_else(|| Failure::state("there is no home folder to keep runs in"))
}

impl State {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(folder: &Path) -> Result<State, Failure> {
        let path = folder.join("runs.sqlite");
        // a folder that was there before is not ours to close: it may hold more than runs
        for folder in [folder.to_owned(), folder.join("journals"), folder.join("locks"), folder.join("plans")]
        {
            private_folder(&folder).map_err(|error| {
                Failure::state(format!("cannot make the folder {}: {error}", folder.display()))
            })?;
        }
        private_file(&path).map_err(|error| unusable(&path, &error))?;
        let mut state = State::connect(folder)?;
        layout::bring_up(&mut state.runs).map_err(|why| unusable(&path, &why))?;
        Ok(state)
    }

    /// One more connection to a folder that was opened before: for who asks often, as the service does with each request.
    pub fn connect(folder: &Path) -> Result<State, Failure> {
        let path = folder.join("runs.sqlite");
        // one that is not there is not made, as it would be open to others and empty
        let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
        let runs = Connection::open_with_flags(&path, flags).map_err(|error| unusable(&path, &error))?;
        runs.busy_timeout(BUSY_TIMEOUT).map_err(|error| unusable(&path, &error))?;
        Ok(State { folder: folder.to_owned(), runs })
    }

    /// Holds each of these servers, or says which process does. Two clusters that share one server exclude each other.
    pub fn lock(&self, identities: &[String]) -> Result<Lock, Failure> {
        let mut sorted = identities.to_vec();
        // in one order everywhere, so that of two runs one always gets through
        sorted.sort();
        sorted.dedup();
        let files = sorted.iter().map(|identity| self.lock_node(identity)).collect::<Result<_, _>>()?;
        Ok(Lock { _files: files })
    }

    /// Holds this folder for the one service that may use it.
    pub fn lock_service(&self) -> Result<Lock, Failure> {
        let file =
            self.lock_file(&self.folder.join("locks/service.lock"), "serving from this state folder")?;
        Ok(Lock { _files: vec![file] })
    }

    fn lock_node(&self, identity: &str) -> Result<File, Failure> {
        let name = blake3::hash(identity.as_bytes()).to_hex();
        let path = self.folder.join("locks").join(format!("{}.lock", &name[..16]));
        self.lock_file(&path, "at work on a node of this cluster")
    }

    fn lock_file(&self, path: &Path, at_work: &str) -> Result<File, Failure> {
        let broken = |error: std::io::Error| {
            Failure::state(format!("the lock file {} cannot be used: {error}", path.display()))
        };
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(broken)?;
                let holder = holder.trim();
                let holder = if holder.is_empty() { "unknown" } else { holder };
                return Err(Failure::running(format!(
                    "another evensum (process {holder}) is already {at_work}"
                )));
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        file.set_len(0).map_err(broken)?;
        file.rewind().map_err(broken)?;
        writeln!(file, "{}", std::process::id()).map_err(broken)?;
        Ok(file)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plan of a repair that somebody may approve.
    pub fn plan(&self, run: &str) -> PathBuf {
        self.folder.join("plans").join(format!("{run}.json"))
    }

    /// The journal of a repair.
    pub fn journal(&self, run: &str) -> PathBuf {
        self.folder.join("journals").join(format!("{run}.journal"))
    }

    fn broken(&self, error: &rusqlite::Error) -> Failure {
        unusable(&self.folder.join("runs.sqlite"), error)
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::state(format!("the state file {} cannot be used: {why}", path.display()))
}

/// Makes a folder, with those above it, into which only this user can look.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Makes a file, if it is not there, that only this user can read, and closes one that is there to others.
pub fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.create_new(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        // by its path: to open and close a file of SQLite's would let go of all locks that this process has on it
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            #[cfg(unix)]
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn seconds() -> i64 {
    i64::try_from(clock::now_seconds()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_what_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        drop(State::open(&folder).unwrap());
        for sub in [folder.clone(), folder.join("journals"), folder.join("locks")] {
            assert_eq!(mode(&sub), 0o700, "{}", sub.display());
        }
        let runs = folder.join("runs.sqlite");
        assert_eq!(mode(&runs), 0o600);
        std::fs::set_permissions(&runs, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(State::open(&folder).unwrap());
        assert_eq!(mode(&runs), 0o600);
    }

    #[test]
    fn a_broken_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.sqlite");
        std::fs::write(&path, "this is no database, and long enough to be seen as none").unwrap();
        let failure = State::open(folder.path()).unwrap_err();
        assert!(failure.what.contains("runs.sqlite"), "{failure}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is no database"));
    }

    #[test]
    fn a_cluster_is_held_by_one_run_whatever_the_order_of_its_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let held = state.lock(&names(["a", "b"])).unwrap();
        let refusal = state.lock(&names(["b", "a"])).unwrap_err();
        assert_eq!(refusal.outcome.code(), 5);
        assert!(refusal.what.contains(&std::process::id().to_string()), "{refusal}");
        let larger = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(state.lock(&larger).unwrap_err().outcome.code(), 5);
        assert_eq!(state.lock(&names(["c", "b"])).unwrap_err().outcome.code(), 5);
        assert!(state.lock(&names(["c", "d"])).is_ok());
        drop(held);
        assert!(state.lock(&larger).is_ok());
        assert!(state.lock(&names(["a", "b"])).is_ok());
    }
}

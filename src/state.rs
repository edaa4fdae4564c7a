//! The state folder: the history of runs, the journals of repairs, and one lock per node.
//!
//! ```text
//! DIR/runs.sqlite          one row per run, with its report as JSON; what runs at work have compared so far; what runs found
//! DIR/journals/RUN.journal before-images of a repair
//! DIR/locks/NODE.lock      held by the run at work; names its process
//! ```
//!
//! Invariant: a file that is not what it should be is named in an error and left as it is, before any node is touched.
//! A lock is the operating system's, so a run that was killed leaves none behind. Reports and journals hold rows, so nobody
//! but their owner may read them.

mod checkpoints;
mod found;

use crate::clock;
use crate::error::Failure;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The layout of `runs.sqlite`.
const SCHEMA_VERSION: i64 = 1;
/// How long to wait for another run that is writing its row.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub run: String,
    /// `check` or `sync`.
    pub kind: String,
    /// Who or what began it.
    pub cause: String,
    /// The cluster's name.
    pub cluster: String,
    /// When, in seconds since 1970.
    pub started: u64,
    /// When it ended; `None` if it did not, or was killed.
    pub finished: Option<u64>,
    /// Its verdict.
    pub verdict: Option<String>,
    /// Its report.
    pub report: Option<String>,
}

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
        let broken = |why: &dyn std::fmt::Display| {
            Failure::state(format!("the state file {} cannot be used: {why}", path.display()))
        };
        // a folder that was there before is not ours to close: it may hold more than runs
        for folder in [folder.to_owned(), folder.join("journals"), folder.join("locks")] {
            private_folder(&folder).map_err(|error| {
                Failure::state(format!("cannot make the folder {}: {error}", folder.display()))
            })?;
        }
        private_file(&path).map_err(|error| broken(&error))?;
        let runs = Connection::open(&path).map_err(|error| broken(&error))?;
        runs.busy_timeout(BUSY_TIMEOUT).map_err(|error| broken(&error))?;
        let version: i64 =
            runs.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| broken(&error))?;
        match version {
            0 | SCHEMA_VERSION => {}
            newer => {
                return Err(broken(&format!(
                    "its layout is {newer}, and this program knows {SCHEMA_VERSION}"
                )));
            }
        }
        let layout = format!(
            "CREATE TABLE IF NOT EXISTS runs(
                run TEXT PRIMARY KEY, kind TEXT NOT NULL, cause TEXT NOT NULL, cluster TEXT NOT NULL,
                started INTEGER NOT NULL, finished INTEGER, verdict TEXT, report TEXT) STRICT;
             {}{}
             PRAGMA user_version = {SCHEMA_VERSION};",
            checkpoints::LAYOUT,
            found::LAYOUT
        );
        runs.execute_batch(&layout).map_err(|error| broken(&error))?;
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

    fn lock_node(&self, identity: &str) -> Result<File, Failure> {
        let name = blake3::hash(identity.as_bytes()).to_hex();
        let path = self.folder.join("locks").join(format!("{}.lock", &name[..16]));
        let broken = |error: std::io::Error| {
            Failure::state(format!("the lock file {} cannot be used: {error}", path.display()))
        };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(broken)?;
                let holder = holder.trim();
                let holder = if holder.is_empty() { "unknown" } else { holder };
                return Err(Failure::running(format!(
                    "another evensum (process {holder}) is already at work on a node of this cluster"
                )));
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        file.set_len(0).map_err(broken)?;
        file.rewind().map_err(broken)?;
        writeln!(file, "{}", std::process::id()).map_err(broken)?;
        Ok(file)
    }

    /// The journal of a repair.
    pub fn journal(&self, run: &str) -> PathBuf {
        self.folder.join("journals").join(format!("{run}.journal"))
    }

    /// Notes that a run begins.
    pub fn begin(&self, run: &str, kind: &str, cluster: &str) -> Result<(), Failure> {
        self.runs
            .execute(
                "INSERT INTO runs(run, kind, cause, cluster, started) VALUES (?1, ?2, 'command', ?3, ?4)
                 ON CONFLICT DO NOTHING",
                params![run, kind, cluster, seconds()],
            )
            .map_err(|error| self.broken(&error))
            .and_then(|added| match added {
                0 => Err(Failure::usage(format!("there is already a run '{run}'"), "choose another name")),
                _ => Ok(()),
            })
    }

    /// Notes how a run ended.
    pub fn finish(&self, run: &str, verdict: &str, report: &str) -> Result<(), Failure> {
        self.runs
            .execute(
                "UPDATE runs SET finished = ?2, verdict = ?3, report = ?4 WHERE run = ?1",
                params![run, seconds(), verdict, report],
            )
            .map(drop)
            .map_err(|error| self.broken(&error))
    }

    /// Notes that a run ended with a failure; where that fails too, the failure itself is what a person must hear.
    pub fn fail(&self, run: &str, failure: &Failure) {
        let report = serde_json::json!({ "code": failure.code, "error": failure.what });
        let _ = self.finish(run, "failed", &report.to_string());
    }

    /// The latest runs, the last one first, without their reports.
    pub fn list(&self, limit: u32) -> Result<Vec<Run>, Failure> {
        let list = || {
            self.runs
                .prepare(
                    "SELECT run, kind, cause, cluster, started, finished, verdict, NULL FROM runs
                     ORDER BY started DESC, rowid DESC LIMIT ?1",
                )?
                .query_map([limit], read_run)?
                .collect::<rusqlite::Result<Vec<Run>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// One run; `last` is the latest.
    pub fn find(&self, run: &str) -> Result<Option<Run>, Failure> {
        self.runs
            .query_row(
                "SELECT run, kind, cause, cluster, started, finished, verdict, report FROM runs
                 WHERE run = ?1 OR ?1 = 'last' ORDER BY started DESC, rowid DESC LIMIT 1",
                [run],
                read_run,
            )
            .optional()
            .map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &rusqlite::Error) -> Failure {
        let path = self.folder.join("runs.sqlite");
        Failure::state(format!("the state file {} cannot be used: {error}", path.display()))
    }
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
    options.create(true).truncate(false).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

fn seconds() -> i64 {
    i64::try_from(clock::now_seconds()).unwrap_or(i64::MAX)
}

fn read_run(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    let unsigned = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    Ok(Run {
        run: row.get(0)?,
        kind: row.get(1)?,
        cause: row.get(2)?,
        cluster: row.get(3)?,
        started: unsigned(row.get(4)?),
        finished: row.get::<_, Option<i64>>(5)?.map(unsigned),
        verdict: row.get(6)?,
        report: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        state.begin("a", "check", "shop").unwrap();
        state.begin("b", "check", "shop").unwrap();
        state.finish("b", "identical", "{}").unwrap();
        drop(state);
        let state = State::open(folder.path()).unwrap();
        let runs = state.list(10).unwrap();
        assert_eq!(runs.iter().map(|run| run.run.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(runs[1].finished, None);
        assert_eq!(state.find("last").unwrap().unwrap().report.as_deref(), Some("{}"));
        assert_eq!(state.find("nobody").unwrap(), None);
    }

    #[test]
    fn of_runs_of_one_second_the_last_begun_is_the_last_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for run in ["9", "5", "7", "1"] {
            state.begin(run, "check", "a, b").unwrap();
            state.runs.execute("UPDATE runs SET started = 1000", []).unwrap();
            assert_eq!(state.find("last").unwrap().unwrap().run, run);
        }
        let names: Vec<String> = state.list(9).unwrap().into_iter().map(|run| run.run).collect();
        assert_eq!(names, ["1", "7", "5", "9"]);
    }

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

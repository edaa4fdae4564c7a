//! The node's folder, which one node at a time may use.
//!
//! The lock is the operating system's lock on a file, so it ends with the process, however that ends: a node
//! that was killed leaves nothing behind that has to be removed. The file holds the process's number only for
//! the message that the second node gives.

use crate::SqlError;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK_FILE: &str = "node.lock";
/// A node that was killed a moment ago may still hold its lock: the system needs a while to clear it away.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How often the lock is tried in that time.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// A folder that is ours until this value is dropped.
#[derive(Debug)]
pub struct Datadir {
    path: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug)]
pub enum DatadirError {
    /// Another node uses it; with its process's number, if it can be read.
    InUse(PathBuf, Option<u32>),
    /// The folder or its lock file cannot be created or written.
    Io(PathBuf, std::io::Error),
}

impl fmt::Display for DatadirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatadirError::InUse(path, pid) => {
                write!(f, "the data directory {} is in use by another node", path.display())?;
                match pid {
                    Some(pid) => write!(f, " (process {pid})"),
                    None => Ok(()),
                }
            }
            DatadirError::Io(path, error) => {
                write!(f, "cannot use the data directory {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for DatadirError {}

impl Datadir {
    /// Creates the folder if there is none, and takes it.
    pub fn take(path: &Path) -> Result<Datadir, DatadirError> {
        let io = |error| DatadirError::Io(path.to_owned(), error);
        create(path).map_err(io)?;
        let name = path.join(LOCK_FILE);
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name).map_err(io)?;
        let deadline = Instant::now() + LOCK_WAIT;
        while let Err(refused) = lock.try_lock() {
            match refused {
                TryLockError::WouldBlock if Instant::now() < deadline => std::thread::sleep(LOCK_POLL),
                TryLockError::WouldBlock => {
                    let mut text = String::new();
                    let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                    return Err(DatadirError::InUse(path.to_owned(), pid));
                }
                TryLockError::Error(error) => return Err(io(error)),
            }
        }
        lock.set_len(0).map_err(io)?;
        lock.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        Ok(Datadir { path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates the folder, for its owner alone, if there is none.
fn create(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Makes a file of SQLite, new or old, one that its owner alone can read: it holds hashes of passwords, or all data. To be
/// called before SQLite opens it, which gives the files beside it the same mode.
pub fn only_for_owner(path: &Path) -> Result<(), SqlError> {
    let failed = |error| SqlError::internal(format!("cannot protect {}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed)?;
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        close_to_others(Path::new(&name)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(unix)]
fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_node_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Datadir::take(dir.path()).unwrap();
        let refused = Datadir::take(dir.path()).unwrap_err();
        assert!(
            matches!(&refused, DatadirError::InUse(_, Some(pid)) if *pid == std::process::id()),
            "{refused}"
        );
        assert!(refused.to_string().contains("is in use by another node (process "));
        drop(first);
        Datadir::take(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_looks_into_the_folder_and_its_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("a/b");
        Datadir::take(&own).unwrap();
        assert_eq!((mode(&own), mode(&dir.path().join("a"))), (0o700, 0o700));
        let file = own.join("x.sqlite");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        only_for_owner(&file).unwrap();
        let conn = rusqlite::Connection::open(&file).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        for name in ["x.sqlite", "x.sqlite-wal", "x.sqlite-shm"] {
            assert_eq!(mode(&own.join(name)), 0o600, "{name}");
        }
    }
}

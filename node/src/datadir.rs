//! The node's folder, which one node at a time may use.
//!
//! The lock is the operating system's lock on a file, so it ends with the process, however that ends: a node
//! that was killed leaves nothing behind that has to be removed. The file holds the process's number only for
//! the message that the second node gives.

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
        fs::create_dir_all(path).map_err(io)?;
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
}

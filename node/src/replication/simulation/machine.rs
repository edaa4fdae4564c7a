//! A node of the simulation: the real files, engine, log, links and sessions, without threads and without a door.
//!
//! A killed node leaves its files as they are at that moment: they are copied while it still runs, and what runs is then
//! thrown away. A power cut also takes what was not synced: the end of the write-ahead log, for the node's file behind the last
//! sync, for a relay log any of it. The files are those of the product on a memory disk; nothing stands in for SQLite.

use crate::Config;
use crate::node::Assembled;
use crate::replication::link::Link;
use crate::results::{Cell, ColumnMeta, Done, Sink};
use crate::session::Session;
use crate::storage::FILE;
use crate::storage::disk::SyncLog;
use crate::{SqlError, session::ExecError};
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dice::Dice;

/// The most nodes of a history.
pub const MOST: usize = 5;
/// The rows of `sim.shared` at the beginning.
pub const SHARED_ROWS: i64 = 3;
/// The write-ahead log of a relay log that is shorter than this was never copied into its file (SQLite does that at 1000 pages),
/// so any end of it can be lost. Bytes.
const NEVER_COPIED_BYTES: usize = 900 * 4096;

/// How a node comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// kill -9.
    Killed,
    /// The machine lost its power.
    PowerCut,
    /// As a power cut, and the relay logs are lost or damaged altogether.
    RelayLost,
}

/// A sink that wants nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn columns(&mut self, _: &[ColumnMeta]) -> io::Result<()> {
        Ok(())
    }
    fn row(&mut self, _: &[Cell<'_>]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _: u16, _: u16) -> io::Result<()> {
        Ok(())
    }
    fn ok(&mut self, _: &Done, _: u16) -> io::Result<()> {
        Ok(())
    }
}

/// A running node.
pub struct Up {
    pub inside: Assembled,
    pub session: Session,
    /// For senders, and for looking.
    pub reader: Connection,
}

impl Up {
    fn open(config: &Config, dir: &Path, synced: &Arc<AtomicUsize>) -> Up {
        let log = dir.join(format!("{FILE}-wal"));
        synced.store(length(&log), Ordering::SeqCst);
        let sync: SyncLog = Box::new({
            let synced = Arc::clone(synced);
            move || {
                synced.store(length(&log), Ordering::SeqCst);
                Ok(())
            }
        });
        let inside = Assembled::open(config, dir, |_| Ok(sync)).unwrap();
        let session =
            Session::new(Arc::clone(&inside.engine), 1, "root@localhost".to_owned(), false).unwrap();
        let reader = inside.engine.store.connect().unwrap();
        Up { inside, session, reader }
    }

    pub fn link(&self, source: usize) -> Arc<Link> {
        self.inside.links.get(&link_name(source)).unwrap()
    }

    pub fn sql(&mut self, sql: &str) -> Result<(), SqlError> {
        match self.session.execute(sql.as_bytes(), &mut Nowhere) {
            Ok(()) => Ok(()),
            Err(ExecError::Sql(error)) => Err(error),
            Err(ExecError::Client(error)) => panic!("{sql}: {error}"),
        }
    }

    /// A column of whole numbers.
    pub fn numbers(&self, sql: &str) -> Vec<i64> {
        let mut query = self.reader.prepare_cached(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// A link's name on its replica.
pub fn link_name(source: usize) -> String {
    format!("from{source}")
}

/// The identity of a node, fixed so that a history replays.
pub fn uuid(node: usize) -> String {
    format!("{node:08}-0000-4000-8000-000000000000")
}

/// A node, running or not.
pub struct Machine {
    pub config: Config,
    pub up: Option<Up>,
    /// Whether a power cut takes what was synced too, which a disk must not do.
    pub lies: bool,
    home: PathBuf,
    lives: usize,
    /// How many bytes of its write-ahead log are on the disk.
    synced: Arc<AtomicUsize>,
}

impl Machine {
    /// A new node in a folder of its own; it runs.
    pub fn new(lab: &Lab, root: &Path, number: usize, config: Config) -> Machine {
        let home = root.join(format!("node{number}"));
        let mut machine = Machine { config, up: None, lies: false, home, lives: 0, synced: Arc::default() };
        std::fs::create_dir_all(machine.dir()).unwrap();
        std::fs::copy(lab.file(number), machine.dir().join(FILE)).unwrap();
        machine.start();
        machine
    }

    /// What is written so far is on the disk, because SQLite saw to it itself.
    pub fn sync(&self) {
        self.synced.store(length(&self.dir().join(format!("{FILE}-wal"))), Ordering::SeqCst);
    }

    fn dir(&self) -> PathBuf {
        self.home.join(self.lives.to_string())
    }

    pub fn start(&mut self) {
        self.up = Some(Up::open(&self.config, &self.dir(), &self.synced));
        if self.config.durable() {
            self.sync();
        }
    }

    /// Ends it. What it had in memory is gone; what it had on the disk is there when it starts again, as far as it has to be.
    pub fn end(&mut self, how: End, dice: &mut Dice) {
        let old = self.dir();
        self.lives += 1;
        let new = self.dir();
        std::fs::create_dir_all(&new).unwrap();
        let mut names: Vec<String> =
            std::fs::read_dir(&old).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        for name in names.iter().filter(|name| !name.ends_with("-shm")) {
            std::fs::copy(old.join(name), new.join(name)).unwrap();
        }
        self.up = None;
        std::fs::remove_dir_all(old).unwrap();
        let synced = if self.lies { 0 } else { self.synced.load(Ordering::SeqCst) };
        for name in &names {
            let relay = name.starts_with("relay");
            let path = new.join(name);
            if how != End::Killed && name.ends_with("-wal") && path.exists() {
                if relay && length(&path) <= NEVER_COPIED_BYTES {
                    lose_end(&path, 0, dice);
                } else if name.starts_with(FILE) {
                    lose_end(&path, synced, dice);
                }
            }
            if how == End::RelayLost && relay && name.ends_with(".sqlite") {
                lose(&path, dice);
            }
        }
    }
}

fn length(path: &Path) -> usize {
    std::fs::metadata(path).map_or(0, |about| usize::try_from(about.len()).unwrap())
}

/// Cuts a write-ahead log somewhere behind this byte, or damages it there, which ends it there too.
fn lose_end(path: &Path, behind: usize, dice: &mut Dice) {
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.len() <= behind || dice.percent(20) {
        return;
    }
    let at = behind + dice.below(bytes.len() - behind);
    if dice.percent(50) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 0x55;
    }
    std::fs::write(path, bytes).unwrap();
}

/// Removes a relay log, or fills it with what is none.
fn lose(path: &Path, dice: &mut Dice) {
    let wal = path.with_extension("sqlite-wal");
    let _ = std::fs::remove_file(wal); // there may be none
    if dice.percent(50) {
        std::fs::remove_file(path).unwrap();
    } else {
        std::fs::write(path, vec![7; 8192]).unwrap();
    }
}

/// The configuration of a node.
pub fn config(number: usize, of: usize) -> Config {
    Config {
        server_id: u32::try_from(number).unwrap() + 1,
        auto_increment_increment: u16::try_from(of).unwrap(),
        // Age is measured by the system's clock, which has no place here.
        binlog_expire_logs_seconds: 0,
        auto_increment_offset: u16::try_from(number).unwrap() + 1,
        ..Config::default()
    }
}

/// Where histories have their files: a memory disk if there is one.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("evensum-simulation");
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap()
}

/// Where histories begin: each node's file with the tables of the simulation, and nothing in its log.
pub struct Lab {
    root: tempfile::TempDir,
}

impl Lab {
    pub fn new() -> Lab {
        let root = scratch();
        for number in 0..MOST {
            let dir = root.path().join(number.to_string());
            std::fs::create_dir_all(&dir).unwrap();
            let mut up = Up::open(&config(number, MOST), &dir, &Arc::default());
            let shared: Vec<String> = (1..=SHARED_ROWS).map(|key| format!("({key}, 0)")).collect();
            for sql in [
                "SET sql_log_bin = 0",
                "CREATE DATABASE sim",
                "CREATE TABLE sim.marks (id BIGINT AUTO_INCREMENT PRIMARY KEY, k BIGINT)",
                "CREATE TABLE sim.plain (k BIGINT)",
                "CREATE TABLE sim.here (k BIGINT)",
                "CREATE TABLE sim.shared (id INT PRIMARY KEY, v BIGINT)",
                &format!("INSERT INTO sim.shared VALUES {}", shared.join(", ")),
            ] {
                up.sql(sql).unwrap();
            }
            up.reader.execute("UPDATE _evensum_server SET uuid = ?1", [uuid(number)]).unwrap();
        }
        Lab { root }
    }

    fn file(&self, number: usize) -> PathBuf {
        self.root.path().join(number.to_string()).join(FILE)
    }
}

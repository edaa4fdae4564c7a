//! The power is cut under a node that eight clients write to and a replica follows.
//!
//! The "disk" is a second folder: a sync copies into it what the log held when the sync began, as the worst disk would, and
//! nothing else ever gets there. When the power goes, the folder is what is left.

#![allow(clippy::unwrap_used)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, config, insert_until_the_end};
use node::storage::FILE;
use node::storage::disk::SyncLog;
use node::{Config, Node};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

const CLIENTS: usize = 8;
/// The power goes when this many commits have been acknowledged.
const ACKNOWLEDGED: usize = 400;

/// A sync of the log that moves it, as far as it goes now, to `disk`; until the power is cut.
fn onto(disk: PathBuf, off: Arc<AtomicBool>) -> impl FnOnce(&Path) -> io::Result<SyncLog> {
    move |log: &Path| {
        let (log, folder) = (log.to_owned(), log.with_file_name(FILE));
        // What the database file holds before the first commit is there, and no checkpoint follows.
        fs::copy(folder, disk.join(FILE))?;
        let onto = disk.join(format!("{FILE}-wal"));
        Ok(Box::new(move || {
            let length = usize::try_from(fs::metadata(&log)?.len()).unwrap();
            let mut bytes = fs::read(&log)?;
            bytes.truncate(length);
            // A disk takes its time, and commits go on meanwhile.
            thread::sleep(Duration::from_millis(2));
            if off.load(Ordering::SeqCst) {
                return Err(io::Error::other("the power is off"));
            }
            fs::write(onto.with_extension("new"), bytes)?;
            fs::rename(onto.with_extension("new"), &onto)
        }))
    }
}

/// How long clients go on without power, if nothing stops them: what they are told then is lost.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Reads the newest row until the connection breaks, and gives the newest that was ever told.
fn read_until_the_end(address: SocketAddr, over: &AtomicBool) -> u64 {
    let mut connection = Client::root(address);
    let mut newest = 0;
    while let Ok(rows) = connection.query("SELECT COALESCE(MAX(id), 0) FROM shop.t") {
        if over.load(Ordering::SeqCst) {
            break;
        }
        newest = rows[0][0].as_deref().unwrap().parse().unwrap();
    }
    newest
}

#[test]
fn what_was_told_to_anybody_survives_a_power_cut() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let off = Arc::<AtomicBool>::default();
    let durable =
        |dir: &Path| Config { innodb_flush_log_at_trx_commit: 1, sync_binlog: 1, ..config(dir, 1, 2) };
    let sync = onto(disk.path().to_owned(), Arc::clone(&off));
    let node = Node::start_with(durable(folder.path()), sync).unwrap();
    let address = node.address();
    Client::root(address).run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))",
    ]);
    let mut replica = Member::new(2, 2);
    replica.follow(address);

    let acknowledged = Arc::<AtomicUsize>::default();
    let over = Arc::<AtomicBool>::default();
    let writers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (acknowledged, over) = (Arc::clone(&acknowledged), Arc::clone(&over));
            thread::spawn(move || insert_until_the_end(address, client, &acknowledged, &over))
        })
        .collect();
    let reader = thread::spawn({
        let over = Arc::clone(&over);
        move || read_until_the_end(address, &over)
    });
    cluster::wait(|| acknowledged.load(Ordering::SeqCst) >= ACKNOWLEDGED, || "no commits".into());
    off.store(true, Ordering::SeqCst);
    thread::sleep(AFTERWARDS);
    over.store(true, Ordering::SeqCst);
    let told: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    let newest_read = reader.join().unwrap();
    drop(node);

    let node = Node::start(durable(disk.path())).unwrap();
    let mut client = Client::root(node.address());
    let kept = client.query("SELECT name, id FROM shop.t").unwrap();
    let kept: BTreeMap<&str, u64> = kept
        .iter()
        .map(|row| (row[0].as_deref().unwrap(), row[1].as_deref().unwrap().parse().unwrap()))
        .collect();
    for row in &told {
        assert!(kept.contains_key(row.as_str()), "{row} was acknowledged and is lost");
    }
    assert!(kept.values().any(|&id| id >= newest_read), "row {newest_read} was read and is lost");
    let here: database::GtidSet = client.text("SELECT @@gtid_executed").parse().unwrap();
    replica.client.run(&["STOP SLAVE IO_THREAD"]);
    let there = replica.client.replica("Retrieved_Gtid_Set");
    assert!(there.contains(':'), "the replica has received nothing");
    let there: database::GtidSet = there.parse().unwrap();
    assert!(here.contains_all(&there), "the replica has {there}, the source only {here}");
}

use super::super::binlog::Binlog;
use super::super::link::{Context, Interrupt, Note, Receiving, Settings, applied_place, create_places};
use super::super::position::LogPosition;
use super::super::relay_log::RelayLog;
use super::super::{binlog, encoding};
use super::*;
use database::Gtid;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Writes to the log like a session, after the failures that a test asked for.
struct Applying {
    conn: Connection,
    log: Arc<Binlog>,
    failures: Arc<Mutex<VecDeque<SqlError>>>,
    /// Whether it was asked to end what it does.
    asked: Arc<AtomicBool>,
    runs: Arc<Common>,
    /// What became of the run that was ended last.
    ended: Result<(), SqlError>,
}

/// How runs go.
#[derive(Default)]
struct Common {
    /// Whether transactions join runs, but for this one.
    all_but: AtomicU64,
    /// So many common commits fail.
    fail: AtomicU64,
    /// So many succeed.
    commits: AtomicU64,
}

impl Applying {
    fn commit_run(&mut self) -> Result<(), SqlError> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        let fails = self.runs.fail.load(Ordering::SeqCst);
        if fails > 0 {
            self.runs.fail.store(fails - 1, Ordering::SeqCst);
            self.conn.execute_batch("ROLLBACK").unwrap();
            self.ended = Err(SqlError::new(1213, "40001", "Deadlock found"));
        } else {
            self.conn.execute_batch("COMMIT").unwrap();
            self.runs.commits.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.clone()
    }
}

impl Apply for Applying {
    fn settle(&mut self) -> Result<(), SqlError> {
        Ok(())
    }

    fn join(&mut self, transaction: &Transaction, note: Note<'_>, more: bool) -> Result<bool, SqlError> {
        let all_but = self.runs.all_but.load(Ordering::SeqCst);
        if all_but == 0 || all_but == transaction.gtid.sequence {
            self.commit_run()?;
            return Err(SqlError::new(1205, "HY000", "Lock wait timeout exceeded"));
        }
        if self.conn.is_autocommit() {
            self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        let Transaction { gtid, server_id, committed_at_ms, body } = transaction;
        self.log.append(&self.conn, Some(gtid.clone()), *server_id, *committed_at_ms, body)?;
        note(&self.conn)?;
        if more { Ok(true) } else { self.commit_run().map(|()| false) }
    }

    fn end_run(&mut self) -> Result<(), SqlError> {
        let _ = self.commit_run();
        std::mem::replace(&mut self.ended, Ok(()))
    }

    fn stopper(&self) -> Interrupt {
        let asked = Arc::clone(&self.asked);
        Box::new(move || asked.store(true, Ordering::SeqCst))
    }

    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError> {
        if self.log.file_name(LogPosition::START).starts_with("slow") && transaction.gtid.sequence == 2 {
            while !self.asked.swap(false, Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            return Err(SqlError::new(1317, "70100", "Query execution was interrupted"));
        }
        let empty = transaction.body == Body::Rows(Vec::new());
        let failure = self.failures.lock().unwrap().pop_front();
        if let Some(error) = failure.filter(|error| !empty || error.code == 1205) {
            return Err(error);
        }
        let tx = self.conn.transaction().unwrap();
        let Transaction { gtid, server_id, committed_at_ms, body } = transaction;
        self.log.append(&tx, Some(gtid.clone()), *server_id, *committed_at_ms, body)?;
        note(&tx)?;
        tx.commit().unwrap();
        self.log.committed();
        Ok(())
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    file: PathBuf,
    link: Arc<Link>,
    failures: Arc<Mutex<VecDeque<SqlError>>>,
    runs: Arc<Common>,
}

fn connect(file: &Path) -> Connection {
    let conn = Connection::open(file).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    conn
}

fn bench(skip_errors: Vec<u16>) -> Bench {
    bench_with("mysql-bin", skip_errors)
}

fn bench_with(base: &str, skip_errors: Vec<u16>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.sqlite");
    let conn = connect(&file);
    let log = Arc::new(Binlog::open(&conn, base, 1 << 30).unwrap());
    create_places(&conn).unwrap();
    let failures = Arc::new(Mutex::new(VecDeque::new()));
    let runs = Arc::<Common>::default();
    let context = Arc::new(Context {
        server_id: 2,
        log: Arc::clone(&log),
        connect: Box::new({
            let file = file.clone();
            move || Ok(connect(&file))
        }),
        applies: Box::new({
            let (file, failures, runs) = (file.clone(), Arc::clone(&failures), Arc::clone(&runs));
            move || {
                let (log, failures, runs) = (Arc::clone(&log), Arc::clone(&failures), Arc::clone(&runs));
                let (conn, asked) = (connect(&file), Arc::default());
                Ok(Box::new(Applying { conn, log, failures, asked, runs, ended: Ok(()) }))
            }
        }),
        skip_errors,
        filters: crate::replication::filters::Filters::default(),
        gtid_mode: true,
        relay_log: "relay-bin".to_owned(),
        read_lock: Arc::default(),
        relay_limit_bytes: 1 << 20,
        notices: crate::replication::notices::Notices::default(),
        delay_ms: (AtomicU64::new(0), AtomicU64::new(0)),
        calling: crate::replication::link::Calling::default(),
    });
    let relay = RelayLog::open(&dir.path().join("relay.sqlite"), 1 << 20, 0).unwrap();
    let link = Link::new("", context, relay, Settings::default()).unwrap();
    Bench { _dir: dir, file, link, failures, runs }
}

fn insert(n: u64) -> (u64, Record) {
    inserts(n, 1)
}

fn inserts(n: u64, rows: usize) -> (u64, Record) {
    let after = Some(vec![rusqlite::types::Value::Integer(7)]);
    let change = Change { database: "shop".into(), table: "orders".into(), before: None, after };
    let position = LogPosition { file: 1, pos: n * 100 };
    let record = Record {
        position,
        end_pos: n * 100 + 100,
        gtid: Gtid { origin: "source".into(), sequence: n },
        server_id: 1,
        committed_at_ms: 5,
        payload: encoding::encode(&Body::Rows(vec![change; rows])),
    };
    (now_ms(), record)
}

impl Bench {
    fn receive(&self, numbers: &[u64]) {
        let records: Vec<_> = numbers.iter().map(|&n| insert(n)).collect();
        let end = records.last().unwrap().1.end();
        self.link.relay.append(&records, end).unwrap();
    }

    fn wait(&self, what: impl Fn(&Bench) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !what(self) {
            assert!(Instant::now() < deadline, "not in time: {:?}", self.link.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn executed(&self) -> String {
        gtids::read(&connect(&self.file), EXECUTED).unwrap().to_string()
    }

    fn logged(&self) -> Vec<Body> {
        let conn = connect(&self.file);
        let records = self.link.context.log.read(&conn, LogPosition::START).unwrap();
        records.iter().map(|record| record.transaction().unwrap().body).collect()
    }

    fn fail(&self, error: SqlError, times: usize) {
        self.failures.lock().unwrap().extend(std::iter::repeat_n(error, times));
    }
}

fn duplicate() -> SqlError {
    SqlError::new(1062, "23000", "Duplicate entry '7' for key 'PRIMARY'")
}

#[test]
fn what_is_executed_already_is_passed_over() {
    let bench = bench(vec![]);
    bench.receive(&[1, 2, 1, 2, 3]);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.link.relay.is_drained());
    bench.link.stop_applier();
    assert_eq!(bench.executed(), "source:1-3");
    assert_eq!(bench.logged().len(), 3);
    let conn = connect(&bench.file);
    assert_eq!(applied_place(&conn, "", 0).unwrap(), Some(LogPosition { file: 1, pos: 400 }));
    assert_eq!(binlog::files(&conn).unwrap().len(), 1);
}

#[test]
fn a_duplicate_key_stops_the_applier_and_the_counter_skips_it() {
    let bench = bench(vec![]);
    bench.receive(&[1, 2]);
    bench.fail(duplicate(), 1);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| !bench.link.state().applying && bench.link.state().apply_error.code != 0);
    let error = bench.link.state().apply_error;
    assert_eq!(error.code, 1062);
    assert_eq!(
        error.message,
        "Could not execute Write_rows_v1 event on table shop.orders; Duplicate entry '7' for key 'PRIMARY', \
         Error_code: 1062; handler error HA_ERR_FOUND_DUPP_KEY; the event's source log mysql-bin.000001, end_log_pos 200"
    );
    assert_eq!(bench.executed(), "");
    bench.link.update(|state| state.skip_counter = 1);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:1-2");
    bench.link.stop_applier();
    let bodies = bench.logged();
    assert_eq!(bodies[0], Body::Rows(vec![]));
    assert_ne!(bodies[1], Body::Rows(vec![]));
    assert_eq!(bench.link.state().skip_counter, 0);
}

#[test]
fn listed_errors_are_passed_over_and_lock_waits_are_tried_again() {
    let bench = bench(vec![1062]);
    bench.receive(&[1, 2]);
    bench.fail(duplicate(), 1);
    bench.fail(SqlError::new(1205, "HY000", "Lock wait timeout exceeded"), 2);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:1-2");
    bench.link.stop_applier();
    assert!(bench.failures.lock().unwrap().is_empty());
    assert_eq!(bench.link.state().apply_error.code, 0);
    assert_eq!(bench.link.state().receiving, Receiving::No);
}

#[test]
fn a_lock_that_is_held_for_long_delays_the_applier_and_does_not_end_it() {
    let bench = bench(vec![]);
    let shared = Arc::clone(&bench.failures);
    bench.receive(&[1]);
    bench.fail(SqlError::new(1205, "HY000", "Lock wait timeout exceeded"), 1_000);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.link.state().apply_error.code == 1205);
    assert!(bench.link.state().applying);
    *shared.lock().unwrap() = [SqlError::new(1317, "70100", "Query execution was interrupted")].into();
    bench.wait(|bench| bench.executed() == "source:1");
    bench.wait(|bench| bench.link.state().apply_error.code == 0);
    bench.link.stop_applier();
}

#[test]
fn a_delay_holds_back_and_keeps_the_order() {
    let bench = bench(vec![]);
    bench.link.context.delay_ms.0.store(150, Ordering::Relaxed);
    bench.link.context.delay_ms.1.store(250, Ordering::Relaxed);
    let started = Instant::now();
    bench.receive(&[1, 2]);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:1-2");
    assert!(started.elapsed() >= Duration::from_millis(145), "{:?}", started.elapsed());
    bench.link.stop_applier();
}

#[test]
fn what_is_applied_by_place_is_not_applied_again_when_the_node_has_forgotten_its_gtids() {
    let bench = bench(vec![]);
    bench.receive(&[1, 2, 3]);
    let forget = || bench.link.context.log.reset(&connect(&bench.file), 1).unwrap();
    let waits = || bench.link.relay.next(0).unwrap().len();
    let mut applier = Applier::new(&bench.link).unwrap();
    assert_eq!(applier.step(&bench.link, now_ms()), Ok(Stepped::Applied));
    assert_eq!(applier.step(&bench.link, now_ms()), Ok(Stepped::Applied));
    // as kill -9 leaves it: nothing is discarded yet
    drop(applier);
    forget();
    assert_eq!(waits(), 3);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:3");
    bench.link.stop_applier();
    assert_eq!((bench.logged().len(), waits()), (1, 0));
}

#[test]
fn an_applier_that_does_not_come_to_its_end_is_interrupted() {
    let bench = bench_with("slow", vec![1317]);
    bench.receive(&[1, 2]);
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:1");
    let began = Instant::now();
    bench.link.stop_applier();
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(bench.executed(), "source:1");
    let state = bench.link.state();
    assert_eq!((state.applying, state.apply_error.code), (false, 0));
    assert_eq!(bench.link.relay.next(0).unwrap().len(), 1);
}

#[test]
fn what_the_counter_skips_is_counted_when_it_is_done() {
    let bench = bench(vec![]);
    bench.receive(&[1, 2]);
    bench.fail(SqlError::new(1205, "HY000", "Lock wait timeout exceeded"), 1);
    bench.link.update(|state| state.skip_counter = 1);
    let mut applier = Applier::new(&bench.link).unwrap();
    assert!(matches!(applier.step(&bench.link, now_ms()), Ok(Stepped::Waiting(_))));
    assert_eq!(bench.link.state().skip_counter, 1);
    // STOP and START
    let mut applier = Applier::new(&bench.link).unwrap();
    assert_eq!(applier.step(&bench.link, now_ms()), Ok(Stepped::Skipped));
    assert_eq!(bench.link.state().skip_counter, 0);
    assert_eq!(applier.step(&bench.link, now_ms()), Ok(Stepped::Applied));
    assert_eq!(bench.logged()[0], Body::Rows(vec![]));
}

/// Ten transactions that may share a commit, but for this one; how many common commits there were in the end.
fn in_runs(bench: &Bench, all_but: u64, end: impl Fn(&Bench) -> bool) -> u64 {
    bench.runs.all_but.store(all_but, Ordering::SeqCst);
    bench.receive(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    bench.link.start_applier().unwrap();
    bench.wait(end);
    bench.link.stop_applier();
    bench.runs.commits.load(Ordering::SeqCst)
}

fn place(bench: &Bench) -> u64 {
    let kept = applied_place(&connect(&bench.file), "", 0).unwrap().unwrap();
    assert_eq!(bench.link.state().applied, Some(kept));
    kept.pos
}

#[test]
fn what_waits_shares_a_commit() {
    let bench = bench(vec![]);
    assert_eq!(in_runs(&bench, u64::MAX, |bench| bench.link.relay.is_drained()), 1);
    assert_eq!((bench.executed(), place(&bench)), ("source:1-10".to_owned(), 1_100));
}

#[test]
fn what_does_not_go_through_is_dealt_with_by_itself_behind_those_before_it() {
    let bench = bench(vec![]);
    bench.fail(duplicate(), 1);
    let stops = |bench: &Bench| bench.link.state().apply_error.code == 1062 && !bench.link.state().applying;
    assert_eq!(in_runs(&bench, 5, stops), 1);
    assert_eq!((bench.executed(), place(&bench)), ("source:1-4".to_owned(), 500));
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.executed() == "source:1-10");
    bench.link.stop_applier();
    assert_eq!(place(&bench), 1_100);
}

#[test]
fn a_run_whose_commit_fails_is_applied_one_by_one() {
    let bench = bench(vec![]);
    bench.runs.fail.store(1, Ordering::SeqCst);
    assert_eq!(in_runs(&bench, u64::MAX, |bench| bench.link.relay.is_drained()), 0);
    assert_eq!((bench.executed(), place(&bench)), ("source:1-10".to_owned(), 1_100));
    assert_eq!(bench.logged().len(), 10);
}

#[test]
fn a_skip_that_is_asked_for_is_not_lost_in_a_run() {
    let bench = bench(vec![]);
    // an insert is five events, and none is left in the midst of a transaction
    bench.link.update(|state| state.skip_counter = 6);
    assert_eq!(in_runs(&bench, u64::MAX, |bench| bench.link.relay.is_drained()), 1);
    let empty = bench.logged().iter().filter(|body| **body == Body::Rows(vec![])).count();
    assert_eq!((bench.executed(), empty), ("source:1-10".to_owned(), 2));
}

#[test]
fn a_long_transaction_joins_no_run() {
    let bench = bench(vec![]);
    bench.runs.all_but.store(u64::MAX, Ordering::SeqCst);
    let records: Vec<_> = (1..=10).map(|n| if n == 5 { inserts(n, 1_000) } else { insert(n) }).collect();
    let end = records.last().unwrap().1.end();
    bench.link.relay.append(&records, end).unwrap();
    bench.link.start_applier().unwrap();
    bench.wait(|bench| bench.link.relay.is_drained());
    bench.link.stop_applier();
    assert_eq!(bench.runs.commits.load(Ordering::SeqCst), 2, "those before it, and those behind it");
    assert_eq!((bench.executed(), place(&bench)), ("source:1-10".to_owned(), 1_100));
}

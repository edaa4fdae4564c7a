//! Statements through a session, against a sink that keeps what it is given.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use database::Gtid;
use rusqlite::Connection;

use super::variables::{GlobalVariables, MoreVariables};
use super::{AdminStatements, Answer, Engine, ExecError, Log, Session, SessionView};
use crate::SqlError;
use crate::accounts::Accounts;
use crate::change::{Body, Change, Transaction};
use crate::results::{Cell, ColumnMeta, Done, Param, Sink};
use crate::sql::number::{double_text, float_text};
use crate::sql::surroundings::Process;
use crate::storage::{Store, StoreOptions, Synchronous};

mod clauses;
mod depth;
mod errands;
mod formats;
mod groups;
mod ids;
mod keys;
mod list;
mod maintenance;
mod plans;
mod refused;
mod scripts;
mod table_locks;
mod tools;
mod transactions;

/// A log that keeps what was committed, and forgets what was rolled back.
#[derive(Default)]
pub struct MemoryLog {
    appended: Mutex<Vec<Transaction>>,
    /// What the statements of the transactions changed here.
    pub touched: Mutex<Vec<Change>>,
}

impl Log for MemoryLog {
    fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Option<Gtid>, SqlError> {
        // The number is kept in the file, so that a rollback takes it back.
        conn.execute_batch("CREATE TABLE IF NOT EXISTS _test_log (n INTEGER PRIMARY KEY)")?;
        conn.execute("INSERT INTO _test_log DEFAULT VALUES", [])?;
        let own = Gtid { origin: "test".into(), sequence: u64::try_from(conn.last_insert_rowid()).unwrap() };
        let gtid = gtid.unwrap_or(own);
        let transaction = Transaction { gtid: gtid.clone(), server_id, committed_at_ms, body: body.clone() };
        self.appended.lock().unwrap().push(transaction);
        Ok(Some(gtid))
    }

    fn touched(&self, _: &Connection, changes: &[Change]) -> Result<(), SqlError> {
        self.touched.lock().unwrap().extend_from_slice(changes);
        Ok(())
    }

    fn committed(&self) {}
}

/// No administration.
pub struct Nothing;

impl MoreVariables for Nothing {
    fn value(&self, _: &str) -> Option<String> {
        None
    }
    fn set(&self, _: &str, _: &str) -> Option<Result<(), SqlError>> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl AdminStatements for Nothing {
    fn run(&self, _: &SessionView<'_>, _: &str) -> Option<Result<Answer, SqlError>> {
        None
    }
    fn processes(&self) -> Vec<Process> {
        Vec::new()
    }
}

/// What a statement gave, as text.
#[derive(Debug, Default, PartialEq)]
pub struct Kept {
    pub columns: Vec<ColumnMeta>,
    pub rows: Vec<Vec<String>>,
    pub done: Option<Done>,
}

fn show(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(n) => n.to_string(),
        Cell::Uint(n) => n.to_string(),
        Cell::Float(x) => float_text(*x),
        Cell::Double(x) => double_text(*x),
        Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("0x{}", crate::sql::hex(bytes)),
        },
    }
}

impl Sink for Kept {
    fn columns(&mut self, columns: &[ColumnMeta]) -> io::Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }
    fn row(&mut self, row: &[Cell<'_>]) -> io::Result<()> {
        self.rows.push(row.iter().map(show).collect());
        Ok(())
    }
    fn end(&mut self, _: u16, _: u16) -> io::Result<()> {
        Ok(())
    }
    fn ok(&mut self, done: &Done, _: u16) -> io::Result<()> {
        self.done = Some(done.clone());
        Ok(())
    }
}

/// A node's inside without its outside.
pub struct Inside {
    pub engine: Arc<Engine>,
    pub log: Arc<MemoryLog>,
    _dir: tempfile::TempDir,
}

impl Inside {
    pub fn new() -> Inside {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(MemoryLog::default());
        let engine = Inside::engine(dir.path(), &log);
        Inside { engine, log, _dir: dir }
    }

    fn engine(dir: &Path, log: &Arc<MemoryLog>) -> Arc<Engine> {
        let options = StoreOptions { synchronous: Synchronous::Normal };
        let log: Arc<dyn Log> = Arc::<MemoryLog>::clone(log);
        Arc::new(Engine {
            store: Arc::new(Store::open(dir, &options).unwrap()),
            log,
            variables: Arc::new(GlobalVariables::default()),
            server_id: 1,
            server_uuid: "test".to_owned(),
            admin: Arc::new(Nothing),
            accounts: Arc::new(Accounts::new(&[])),
            counters: Arc::default(),
        })
    }

    /// A session in the database `shop`, which is made if need be.
    pub fn session(&self) -> Session {
        let mut session = Session::new(Arc::clone(&self.engine), 7, "root@localhost".into(), false).unwrap();
        run(&mut session, "CREATE DATABASE IF NOT EXISTS shop");
        session.use_database("shop").unwrap();
        session
    }

    pub fn logged(&self) -> Vec<Transaction> {
        std::mem::take(&mut self.log.appended.lock().unwrap())
    }
}

/// Runs a statement that succeeds.
#[track_caller]
pub fn run(session: &mut Session, sql: &str) -> Kept {
    let mut kept = Kept::default();
    match session.execute(sql.as_bytes(), &mut kept) {
        Ok(()) => kept,
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The rows of a query, cells joined by `|`.
#[track_caller]
pub fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    run(session, sql).rows.iter().map(|row| row.join("|")).collect()
}

/// The error of a statement that fails.
#[track_caller]
pub fn error(session: &mut Session, sql: &str) -> SqlError {
    match session.execute(sql.as_bytes(), &mut Kept::default()) {
        Err(ExecError::Sql(error)) => error,
        other => panic!("{sql}: {other:?}"),
    }
}

/// Each statement is refused with its code beside a table `t` with a row, and changes nothing. 0 stands for either way of saying that there is
/// no such thing.
#[track_caller]
pub fn refuses<'s>(inside: &Inside, statements: impl IntoIterator<Item = (&'s str, u16)>) {
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    run(&mut s, "INSERT INTO t VALUES (1, 10)");
    inside.logged();
    let mut wrong = Vec::new();
    for (sql, wanted) in statements {
        let code = match s.execute(sql.as_bytes(), &mut Kept::default()) {
            Ok(()) => 0,
            Err(ExecError::Sql(error)) => error.code,
            Err(other) => panic!("{other}"),
        };
        let right = if wanted == 0 { [1064, 1235].contains(&code) } else { code == wanted };
        if !right {
            wrong.push(format!("{sql}: {code}, not {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rows(&mut s, "SHOW TABLES"), ["t"]);
    assert_eq!(rows(&mut s, "SELECT * FROM t"), ["1|10"]);
    assert!(inside.logged().is_empty());
}

#[test]
fn a_table_takes_rows_and_gives_them_back() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(
        &mut s,
        "CREATE TABLE product (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) NOT NULL, price DECIMAL(8,2), stock INT UNSIGNED DEFAULT 3)",
    );
    let done = run(&mut s, "INSERT INTO product (name, price) VALUES ('tea', 1.5), ('Milch', '2.345')")
        .done
        .unwrap();
    assert_eq!((done.affected_rows, done.last_insert_id), (2, 1));
    assert_eq!(rows(&mut s, "SELECT * FROM product WHERE name = 'TEA'"), ["1|tea|1.50|3"]);
    assert_eq!(
        rows(&mut s, "SELECT price * 2, price + 1 FROM product ORDER BY price DESC"),
        ["4.70|3.35", "3.00|2.50"]
    );
    let done = run(&mut s, "UPDATE product SET stock = stock - 1 WHERE id = 1").done.unwrap();
    assert_eq!((done.affected_rows, done.info.as_str()), (1, "Rows matched: 1  Changed: 1  Warnings: 0"));
    assert_eq!(run(&mut s, "UPDATE product SET stock = 2 WHERE id = 1").done.unwrap().affected_rows, 0);
    assert_eq!(run(&mut s, "DELETE FROM product WHERE price > 2").done.unwrap().affected_rows, 1);
    assert_eq!(rows(&mut s, "SELECT id, stock FROM product"), ["1|2"]);
    let bodies: Vec<usize> = inside
        .logged()
        .iter()
        .map(|t| match &t.body {
            Body::Rows(rows) => rows.len(),
            _ => 0,
        })
        .collect();
    assert_eq!(bodies, [0, 0, 2, 1, 1]);
}

#[test]
fn prepared_statements_take_parameters() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (a BIGINT UNSIGNED PRIMARY KEY, d DATETIME(3), b BLOB)");
    let insert = s.prepare(b"INSERT INTO t VALUES (?, ?, ?)").unwrap();
    assert_eq!(insert.params, 3);
    let params =
        [Param::Uint(u64::MAX), Param::Text("2024-01-02 03:04:05.678".into()), Param::Bytes(vec![0, 255])];
    let mut kept = Kept::default();
    s.execute_prepared(insert.id, &params, &mut kept).unwrap();
    let select = s.prepare(b"SELECT a, d, b FROM t WHERE a > ? AND d = ? LIMIT ?").unwrap();
    assert_eq!(select.columns.len(), 3);
    let params = [Param::Int(5), Param::Text("2024-01-02 03:04:05.678000".into()), Param::Int(10)];
    let mut kept = Kept::default();
    s.execute_prepared(select.id, &params, &mut kept).unwrap();
    assert_eq!(kept.rows, [[u64::MAX.to_string(), "2024-01-02 03:04:05.678".into(), "0x00ff".into()]]);
    s.close_prepared(select.id);
    let exact = s.prepare(b"SELECT ? + ?, ? > ?, ? * 3, ? / 3").unwrap();
    let params = ["0.1", "0.2", "10", "9", "-1.10", "1.00"].map(|text| Param::Decimal(text.into()));
    let mut kept = Kept::default();
    s.execute_prepared(exact.id, &params, &mut kept).unwrap();
    assert_eq!(kept.rows, [["0.3", "1", "-3.30", "0.333333"]]);
    let params = [Param::Int(5), Param::Text("2024-01-02 03:04:05.678000".into()), Param::Int(10)];
    assert!(s.execute_prepared(select.id, &params, &mut Kept::default()).is_err());
    for sql in [
        "SELECT a FROM t WHERE COUNT(*) > 0",
        "SELECT SUM(SUM(a)) FROM t",
        "SELECT a FROM t WHERE SUM(a) > 1",
    ] {
        assert_eq!(error(&mut s, sql).code, 1111, "{sql}");
    }
}

#[test]
fn show_and_information_schema_tell_the_same_of_a_table() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(
        &mut s,
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9), KEY k (v(3))) COMMENT 'of two'",
    );
    run(&mut s, "INSERT INTO t (v) VALUES ('1'), ('2')");
    let status =
        "InnoDB|10|Dynamic|2|NULL|NULL|NULL|NULL|NULL|3|NULL|NULL|NULL|utf8mb4_general_ci|NULL||of two";
    assert_eq!(rows(&mut s, "SHOW TABLE STATUS"), [format!("t|{status}")]);
    assert_eq!(
        rows(&mut s, "SELECT * FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'"),
        [format!("def|shop|t|BASE TABLE|{status}")]
    );
    let told = ["1|id|A|NULL|NULL|NULL||BTREE|||YES|NULL", "1|v|A|NULL|3|NULL|YES|BTREE|||YES|NULL"];
    assert_eq!(
        rows(&mut s, "SHOW INDEX FROM t"),
        [format!("t|0|PRIMARY|{}", told[0]), format!("t|1|k|{}", told[1])]
    );
    assert_eq!(
        rows(&mut s, "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'shop'"),
        [format!("def|shop|t|0|shop|PRIMARY|{}", told[0]), format!("def|shop|t|1|shop|k|{}", told[1])]
    );
}

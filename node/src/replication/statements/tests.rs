use super::super::link::Receiving;
use super::*;
use crate::accounts::rights::Rights;
use crate::change::Body;
use crate::session::variables::MoreVariables;
use std::path::Path;
use std::sync::atomic::AtomicU64;

struct Bench {
    dir: tempfile::TempDir,
    admin: Admin,
}

fn connect(dir: &Path) -> Connection {
    let conn = Connection::open(dir.join("node.sqlite")).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    conn
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let admin = admin(dir.path());
    Bench { dir, admin }
}

fn admin(dir: &Path) -> Admin {
    let conn = connect(dir);
    let log = Arc::new(Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap());
    super::super::link::create_places(&conn).unwrap();
    let (for_reads, for_writes) = (dir.to_owned(), dir.to_owned());
    let context = Context {
        server_id: 7,
        log,
        connect: Box::new(move || Ok(connect(&for_reads))),
        applies: Box::new(|| Err(SqlError::internal("nothing is applied here"))),
        skip_errors: Vec::new(),
        filters: crate::replication::filters::Filters::default(),
        gtid_mode: true,
        relay_log: "relay-bin".to_owned(),
        read_lock: Arc::default(),
        relay_limit_bytes: 1 << 20,
        notices: crate::replication::notices::Notices::default(),
        delay_ms: (AtomicU64::new(0), AtomicU64::new(0)),
        calling: crate::replication::link::Calling::default(),
    };
    let links = Links::open(dir, Arc::new(context)).unwrap();
    Admin::new(Arc::new(links), Box::new(move |_, work| work(&connect(&for_writes))), Arc::default())
}

impl Bench {
    fn run(&self, sql: &str) -> Option<Result<Answer, SqlError>> {
        let conn = connect(self.dir.path());
        let key_of = |database: &str, table: &str| match (database, table) {
            ("shop", "orders") => Ok(vec![0]),
            _ => Err(SqlError::new(1146, "42S02", format!("Table '{database}.{table}' doesn't exist"))),
        };
        self.admin.run(
            sql,
            &Asking {
                conn: &conn,
                database: "shop",
                key_of: &key_of,
                connection_id: 0,
                stopped: &AtomicBool::new(false),
                leave: &|| {
                    self.admin.context().read_lock.pass(
                        false,
                        Duration::from_millis(50),
                        &AtomicBool::new(false),
                    )
                },
                holds_tables: false,
                rights: &Rights::node(),
            },
        )
    }

    fn ok(&self, sql: &str) {
        assert!(matches!(self.run(sql), Some(Ok(Answer::Done))), "{sql}: {:?}", self.run(sql));
    }

    fn error(&self, sql: &str) -> SqlError {
        match self.run(sql) {
            Some(Err(error)) => error,
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn table(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self.run(sql) {
            Some(Ok(Answer::Listing(listing))) => {
                assert!(listing.rows.iter().all(|row| row.len() == listing.columns.len()));
                listing.rows
            }
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn field(&self, column: &str) -> Option<String> {
        match self.run("SHOW SLAVE STATUS") {
            Some(Ok(Answer::Listing(listing))) => {
                let at = listing.columns.iter().position(|(name, _)| name == column).unwrap();
                listing.rows[0][at].clone()
            }
            other => panic!("{other:?}"),
        }
    }

    fn append(&self, sql: &str) {
        let body = Body::Statement { database: "shop".into(), sql: sql.into() };
        self.admin.log().append(&connect(self.dir.path()), None, 7, 0, &body).unwrap();
        self.admin.log().committed();
    }
}

#[test]
fn other_statements_are_left_to_the_session() {
    let bench = bench();
    for sql in [
        "SELECT 1",
        "SHOW TABLES",
        "SHOW MASTER KEYS",
        "START TRANSACTION",
        "SET NAMES utf8mb4",
        "SET GLOBAL read_only = 1",
        "SET @x = 1",
        "UPDATE t SET a = 1",
        "RESET QUERY CACHE",
        "FLUSH TABLES",
        "SHOW BINARY",
    ] {
        assert!(bench.run(sql).is_none(), "{sql} was taken");
    }
}

#[test]
fn a_link_is_made_shown_kept_and_forgotten() {
    let bench = bench();
    assert_eq!(bench.error("START SLAVE").code, 1200);
    assert!(bench.table("SHOW SLAVE STATUS").is_empty());
    bench.ok(
        "CHANGE MASTER TO MASTER_HOST='10.0.0.9', MASTER_PORT=3307, MASTER_USER='repl', MASTER_PASSWORD='pw', \
         MASTER_LOG_FILE='mysql-bin.000003', MASTER_LOG_POS=777",
    );
    assert_eq!(bench.field("Master_Host").as_deref(), Some("10.0.0.9"));
    assert_eq!(bench.field("Master_Log_File").as_deref(), Some("mysql-bin.000003"));
    assert_eq!(bench.field("Read_Master_Log_Pos").as_deref(), Some("777"));
    assert_eq!(bench.field("Slave_IO_Running").as_deref(), Some("No"));
    assert_eq!(bench.field("Seconds_Behind_Master"), None);
    let again = admin(bench.dir.path());
    let settings = again.links.get("").unwrap().settings();
    assert_eq!((settings.port, settings.password.reveal()), (3307, "pw"));
    assert_eq!(settings.from, Some(LogPosition { file: 3, pos: 777 }));
    bench.ok("RESET REPLICA ALL");
    assert!(bench.table("SHOW REPLICA STATUS").is_empty());
}

#[test]
fn both_generations_of_words_are_known() {
    let bench = bench();
    bench.ok("CHANGE REPLICATION SOURCE TO SOURCE_HOST='::1', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1 FOR CHANNEL 'b'");
    bench.ok("change master 'a' to master_host='::1', master_use_gtid=slave_pos");
    assert_eq!(bench.table("SHOW ALL SLAVES STATUS").len(), 2);
    assert_eq!(bench.table("SHOW REPLICA STATUS FOR CHANNEL 'b'").len(), 1);
    assert_eq!(bench.error("SHOW SLAVE 'c' STATUS").code, 1617);
    bench.ok("CHANGE MASTER TO MASTER_SSL=1, MASTER_SSL_CA='/ca.pem'");
    assert_eq!(bench.error("CHANGE MASTER TO MASTER_SSL_CIPHER='x'").code, 1235);
    assert_eq!(bench.error("CHANGE MASTER TO MASTER_HOST=").code, 1064);
    assert_eq!(bench.error("CHANGE MASTER TO MASTER_LOG_POS=4, MASTER_AUTO_POSITION=1").code, 1776);
    assert_eq!(bench.error("START SLAVE UNTIL SQL_AFTER_MTS_GAPS=1").code, 1235);
    assert_eq!(bench.error("START SLAVE UNTIL MASTER_LOG_FILE='mysql-bin.000001'").code, 1277);
    assert_eq!(bench.error("START SLAVE UNTIL SQL_AFTER_GTIDS='x'").code, 1772);
    assert_eq!(bench.error("STOP SLAVE UNTIL SQL_AFTER_GTIDS='a:1'").code, 1064);
    assert_eq!(bench.error("CHANGE MASTER TO MASTER_BIND='eth0'").code, 1235);
    bench.ok(
        "CHANGE MASTER 'a' TO MASTER_RETRY_COUNT=3, MASTER_HEARTBEAT_PERIOD=2.5, IGNORE_SERVER_IDS=(4, 5), \
         MASTER_LOG_FILE='mysql-bin.000001', MASTER_LOG_POS='154'",
    );
    let again = admin(bench.dir.path());
    let settings = again.links.get("a").unwrap().settings();
    assert_eq!((settings.retry_count, settings.ignore_server_ids.as_slice()), (3, &[4, 5][..]));
    assert_eq!(settings.from, Some(LogPosition { file: 1, pos: 154 }));
}

#[test]
fn an_unreachable_source_is_tried_until_the_link_is_stopped() {
    let bench = bench();
    bench.ok("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1");
    bench.ok("START SLAVE IO_THREAD");
    let link = bench.admin.links.get("").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while link.state().receive_error.code == 0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(link.state().receiving, Receiving::Connecting);
    assert_eq!(bench.field("Last_IO_Errno").as_deref(), Some("2003"));
    assert_eq!(bench.error("CHANGE MASTER TO MASTER_DELAY=1").code, 1198);
    bench.ok("STOP SLAVE");
    assert_eq!(bench.field("Slave_IO_Running").as_deref(), Some("No"));
}

#[test]
fn the_log_is_shown_rotated_purged_and_reset() {
    let bench = bench();
    bench.append("CREATE TABLE a (id INT)");
    bench.ok("FLUSH LOGS");
    bench.append("CREATE TABLE b (id INT)");
    let status = &bench.table("SHOW MASTER STATUS")[0];
    assert_eq!(status[0].as_deref(), Some("mysql-bin.000002"));
    assert_eq!(status[4].as_deref(), Some(&*format!("{}:1-2", bench.admin.log().server_uuid())));
    assert_eq!(bench.table("SHOW BINARY LOGS").len(), 2);
    let events = bench.table("SHOW BINLOG EVENTS IN 'mysql-bin.000002' FROM 4 LIMIT 5");
    assert_eq!(events.len(), 4);
    assert_eq!(events[3][5].as_deref(), Some("use `shop`; CREATE TABLE b (id INT)"));
    bench.ok("PURGE BINARY LOGS TO 'mysql-bin.000002'");
    assert_eq!(bench.table("SHOW BINARY LOGS").len(), 1);
    assert_eq!(bench.error("PURGE BINARY LOGS TO 'mysql-bin.000009'").code, 1373);
    assert_eq!(bench.error("SHOW BINLOG EVENTS IN 'mysql-bin.000001'").code, 1220);
    assert_eq!(bench.error("SHOW BINLOG CHANGES FOR orders FROM 'mysql-bin.000001' 4").code, 1236);
    bench.ok("RESET MASTER");
    assert_eq!(bench.table("SHOW BINARY LOG STATUS")[0][4].as_deref(), Some(""));
}

#[test]
fn changed_keys_are_asked_for_by_name_and_place() {
    let bench = bench();
    assert_eq!(bench.error("SHOW BINLOG CHANGES FOR shop.nothing FROM 'mysql-bin.000001' 4").code, 1146);
    match bench.run("SHOW BINLOG CHANGES FOR `shop`.orders FROM 'mysql-bin.000001' 4") {
        Some(Ok(Answer::Keys { database, table, rows })) => {
            assert_eq!((database.as_str(), table.as_str(), rows.len()), ("shop", "orders", 0));
        }
        other => panic!("{other:?}"),
    }
    bench.append("ALTER TABLE orders ADD x INT");
    let error = bench.error("SHOW BINLOG CHANGES FOR shop.orders FROM 'mysql-bin.000001' 4");
    assert!(error.message.starts_with("definition changed"), "{error}");
}

#[test]
fn a_wait_for_transactions_ends_by_the_commit_or_by_the_time() {
    let bench = bench();
    let uuid = bench.admin.log().server_uuid().to_owned();
    let late = bench.table(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{uuid}:1', 0.05)"));
    assert_eq!(late[0][0].as_deref(), Some("1"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bench.admin.wait_for(&format!("{uuid}:1"), Some(20.0)).unwrap());
        bench.append("CREATE TABLE a (id INT)");
        assert!(waiting.join().unwrap());
    });
    assert_eq!(bench.error("SELECT WAIT_FOR_EXECUTED_GTID_SET('x', 1)").code, 1772);
}

#[test]
fn a_delay_and_a_skip_counter_are_set_by_number() {
    let bench = bench();
    let set = |name: &str, value: &str| bench.admin.set(name, value).unwrap().map_err(|error| error.code);
    assert_eq!(set("evensum_link_delay_ms", "100:300"), Ok(()));
    assert_eq!(bench.admin.value("evensum_link_delay_ms").unwrap(), "100:300");
    assert_eq!(set("evensum_link_delay_ms", "9:1"), Err(1231));
    assert_eq!(set("evensum_link_delay_ms", "10001"), Err(1231));
    assert_eq!(set("sql_slave_skip_counter", "1"), Err(1200));
    assert_eq!(set("gtid_executed", ""), Err(1238));
    assert!(bench.admin.set("time_zone", "UTC").is_none());
    bench.ok("CHANGE MASTER TO MASTER_HOST='127.0.0.1'");
    assert_eq!(set("sql_slave_skip_counter", "2"), Ok(()));
    assert_eq!(bench.field("Skip_Counter").as_deref(), Some("2"));
}

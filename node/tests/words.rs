//! What a my.cnf and the administrator's words do between real nodes: the way of the articles, a log that is off,
//! what is not passed on, filters, and where an applier stops.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Refused, wait};
use node::{Config, Node};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A node with the `[mysqld]` keys of a my.cnf; folder, port and durability are the test's.
fn start(dir: &Path, keys: &str) -> (Node, Client) {
    let config = Config::from_my_cnf(&format!("[mysqld]\n{keys}")).unwrap();
    let config = Config { datadir: dir.to_owned(), port: 0, innodb_flush_log_at_trx_commit: 2, ..config };
    let node = Node::start(config).unwrap();
    let client = Client::root(node.address());
    (node, client)
}

fn change(source: &Node, rest: &str) -> String {
    let port = source.address().port();
    format!("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'root', {rest}")
}

/// A column of SHOW SLAVE STATUS by MySQL's place of it.
fn status(client: &mut Client, at: usize) -> String {
    client.query("SHOW SLAVE STATUS").unwrap()[0][at].clone().unwrap_or("NULL".into())
}

#[test]
fn two_masters_are_set_up_as_the_articles_say() {
    let keys = |n: u8| {
        format!(
            "server-id                = {n}\nlog_bin                  = /var/log/mysql/mysql-bin.log\n\
             binlog_format            = ROW\nrelay_log                = /var/log/mysql/relay-bin.log\n\
             log_slave_updates        = ON\nauto_increment_increment = 2\nauto_increment_offset    = {n}\n"
        )
    };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, mut on_one) = start(dirs[0].path(), &keys(1));
    let (two, mut on_two) = start(dirs[1].path(), &keys(2));
    on_one.run(&["FLUSH TABLES WITH READ LOCK"]);
    assert_eq!(on_one.text("SHOW MASTER STATUS"), "mysql-bin.000001,154,,,");
    let from = "MASTER_LOG_FILE = 'mysql-bin.000001', MASTER_LOG_POS  = 154";
    on_two.run(&[&change(&one, from), "START SLAVE"]);
    on_one.run(&["UNLOCK TABLES", &change(&two, from), "START SLAVE"]);
    for client in [&mut on_one, &mut on_two] {
        client.wait_for_replica("Slave_IO_Running", "Yes");
        client.wait_for_replica("Slave_SQL_Running", "Yes");
        client.wait_for_replica("Seconds_Behind_Master", "0");
        assert_eq!(status(client, 5), "mysql-bin.000001");
        assert_eq!(status(client, 7), "relay-bin.000001");
    }
    on_one.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)"]);
    on_two.wait_for("SELECT COUNT(*) FROM d.t", "0");
    on_one.run(&["INSERT INTO d.t (n) VALUES (1), (1)"]);
    on_two.run(&["INSERT INTO d.t (n) VALUES (2), (2)"]);
    for client in [&mut on_one, &mut on_two] {
        client.wait_for("SELECT COUNT(*) FROM d.t", "4");
    }
    assert_eq!(on_one.text("SELECT COUNT(*) FROM d.t WHERE id % 2 = n % 2"), "4");
    let events = on_one.query("SHOW BINLOG EVENTS IN 'mysql-bin.000001' LIMIT 3").unwrap();
    assert_eq!(events[2][1].as_deref(), Some("154"));
}

#[test]
fn without_log_bin_there_is_no_log_until_it_is_configured() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (node, mut client) = start(dir.path(), "server-id = 1\n");
    client.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"]);
    assert_eq!(client.text("SELECT COUNT(*), @@log_bin FROM d.t"), "1,0");
    assert_eq!(client.text("SHOW MASTER STATUS"), "");
    assert_eq!(client.text("SHOW BINLOG EVENTS"), "");
    assert_eq!(client.text("SELECT @@gtid_executed"), "");
    let refused = client.query("SHOW BINARY LOGS").unwrap_err();
    assert_eq!(refused, Refused(1381, "You are not using binary logging".into()));
    client.run(&["FLUSH LOGS"]);
    let (_replica, mut replica) = start(other.path(), "server-id = 2\nlog_bin\n");
    replica.run(&[&change(&node, "MASTER_LOG_FILE = 'mysql-bin.000001', MASTER_LOG_POS = 4"), "START SLAVE"]);
    replica.wait_for_replica("Last_IO_Errno", "1236");
    assert!(replica.replica("Last_IO_Error").contains("Binary log is not open"));
    drop((node, client));
    let (node, mut client) = start(dir.path(), "server-id = 1\nlog_bin = mysql-bin\n");
    assert_eq!(client.text("SHOW MASTER STATUS"), "mysql-bin.000001,154,,,");
    client.run(&["INSERT INTO d.t VALUES (2)"]);
    drop((node, client));
    let (_node, mut client) = start(dir.path(), "server-id = 1\nlog_bin = mysql-bin\n");
    assert!(client.text("SHOW MASTER STATUS").starts_with("mysql-bin.000002,154,,,"));
    let last = client.query("SHOW BINLOG EVENTS IN 'mysql-bin.000001'").unwrap().pop().unwrap();
    assert_eq!(last[2].as_deref(), Some("Stop"));
}

#[test]
fn what_is_not_logged_is_not_passed_on() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (first, mut on_first) = start(dirs[0].path(), "server-id = 1\nlog_bin\n");
    let (middle, mut on_middle) = start(dirs[1].path(), "server-id = 2\nlog_bin\nlog_slave_updates = OFF\n");
    let (_last, mut on_last) = start(dirs[2].path(), "server-id = 3\nlog_bin\n");
    let from = "MASTER_LOG_FILE = 'mysql-bin.000001', MASTER_LOG_POS = 4";
    on_middle.run(&[&change(&first, "MASTER_AUTO_POSITION = 1"), "START SLAVE"]);
    on_last.run(&[&change(&middle, from), "START SLAVE"]);
    on_first.run(&["CREATE DATABASE far"]);
    let executed = on_first.text("SELECT @@gtid_executed");
    on_middle.wait_for("SELECT @@gtid_executed", &executed);
    on_middle.run(&["CREATE DATABASE near"]);
    let databases = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('far', 'near') \
                     ORDER BY SCHEMA_NAME";
    on_last.wait_for(databases, "near");
    assert_eq!(on_middle.text(databases), "far;near");
    assert_eq!(on_middle.logged(), 1);
    // by GTID the last one would need what the middle one cannot give
    on_last.run(&["STOP SLAVE", "CHANGE MASTER TO MASTER_AUTO_POSITION = 1", "START SLAVE"]);
    on_last.wait_for_replica("Last_IO_Errno", "1236");
}

#[test]
fn filters_pass_over_what_they_name_and_everything_counts_as_executed() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) =
        start(dirs[0].path(), "server-id = 1\nlog_bin\nbinlog_ignore_db = private\n");
    let rules =
        "server-id = 2\nlog_bin\nreplicate_ignore_table = shop.log\nreplicate_wild_do_table = shop.%\n";
    let (_replica, mut on_replica) = start(dirs[1].path(), rules);
    on_replica.run(&[&change(&source, "MASTER_AUTO_POSITION = 1"), "START SLAVE"]);
    on_source.run(&["CREATE DATABASE shop", "CREATE DATABASE other", "CREATE DATABASE private"]);
    for table in ["shop.orders", "shop.log", "other.t", "private.t"] {
        let database = table.split('.').next().unwrap();
        on_source.run(&[&format!("USE {database}"), &format!("CREATE TABLE {table} (id INT PRIMARY KEY)")]);
        on_source.run(&[&format!("INSERT INTO {table} VALUES (1)")]);
    }
    on_source.run(&[
        "BEGIN",
        "INSERT INTO shop.orders VALUES (2)",
        "INSERT INTO shop.log VALUES (2)",
        "COMMIT",
    ]);
    let executed = on_source.text("SELECT @@gtid_executed");
    assert!(executed.ends_with(":1-9"), "{executed}: what is private has no GTID");
    on_replica.wait_for("SELECT @@gtid_executed", &executed);
    assert_eq!(on_replica.text("SELECT COUNT(*) FROM shop.orders"), "2");
    for table in ["shop.log", "other.t", "private.t"] {
        assert!(on_replica.query(&format!("SELECT * FROM {table}")).is_err(), "{table}");
    }
    assert_eq!(status(&mut on_replica, 15), "shop.log");
    assert_eq!(status(&mut on_replica, 16), "shop.%");
    assert_eq!(on_source.query("SHOW MASTER STATUS").unwrap()[0][3].as_deref(), Some("private"));
    assert_eq!(
        on_replica.text("SHOW GLOBAL VARIABLES LIKE 'replicate_wild_do%'"),
        "replicate_wild_do_table,shop.%"
    );
}

#[test]
fn an_applier_stops_where_it_was_told_to() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 1\nlog_bin\n");
    let (_replica, mut on_replica) = start(dirs[1].path(), "server-id = 2\n");
    on_source.run(&[
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY)",
        "INSERT INTO d.t VALUES (1)",
    ]);
    let place = on_source.query("SHOW MASTER STATUS").unwrap()[0][1].clone().unwrap();
    let uuid = source.server_uuid().to_owned();
    on_source.run(&[
        "INSERT INTO d.t VALUES (2)",
        "INSERT INTO d.t VALUES (3)",
        "INSERT INTO d.t VALUES (4)",
    ]);
    on_replica.run(&[&change(&source, "MASTER_LOG_FILE = 'mysql-bin.000001', MASTER_LOG_POS = '4'")]);
    for (until, condition, rows) in [
        (format!("MASTER_LOG_FILE = 'mysql-bin.000001', MASTER_LOG_POS = {place}"), "Master", "1"),
        (format!("SQL_AFTER_GTIDS = '{uuid}:1-4'"), "SQL_AFTER_GTIDS", "2"),
        (format!("SQL_BEFORE_GTIDS = '{uuid}:6'"), "SQL_BEFORE_GTIDS", "3"),
    ] {
        on_replica.run(&[&format!("START SLAVE UNTIL {until}")]);
        on_replica.wait_for_replica("Slave_SQL_Running", "No");
        assert_eq!(on_replica.text("SELECT COUNT(*) FROM d.t"), rows, "{until}");
        assert_eq!(status(&mut on_replica, 23), condition);
        assert_eq!(on_replica.replica("Last_SQL_Errno"), "0");
        assert_eq!(on_replica.replica("Slave_IO_Running"), "Yes");
    }
    on_replica.run(&["START ALL SLAVES"]);
    on_replica.wait_for("SELECT COUNT(*) FROM d.t", "4");
    assert_eq!(status(&mut on_replica, 23), "None");
}

#[test]
fn gtid_mode_off_refuses_auto_position_in_mysqls_words() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "server-id = 1\nlog_bin\ngtid_mode = OFF\nenforce_gtid_consistency = OFF\n";
    let (_node, mut client) = start(dir.path(), keys);
    client.run(&["CREATE DATABASE d"]);
    let refused = client.query("CHANGE MASTER TO MASTER_HOST = 'x', MASTER_AUTO_POSITION = 1").unwrap_err();
    assert_eq!(refused.0, 1777);
    client.run(&["CHANGE MASTER TO MASTER_HOST = 'x', MASTER_LOG_FILE = 'b.000001', MASTER_LOG_POS = 154"]);
    assert!(client.text("SHOW BINLOG EVENTS").contains("Anonymous_Gtid"));
}

#[test]
fn files_of_the_log_go_by_word_and_a_file_that_is_read_stays() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 1\nlog_bin\n");
    on_source.run(&["CREATE DATABASE a", "FLUSH BINARY LOGS", "CREATE DATABASE b", "FLUSH LOCAL LOGS"]);
    assert_eq!(on_source.query("SHOW MASTER LOGS").unwrap().len(), 3);
    on_source.run(&["PURGE BINARY LOGS BEFORE '2001-01-01 00:00:00'"]);
    assert_eq!(on_source.query("SHOW BINARY LOGS").unwrap().len(), 3);
    on_source.run(&["PURGE MASTER LOGS TO 'mysql-bin.000002'"]);
    assert_eq!(on_source.query("SHOW BINARY LOGS").unwrap().len(), 2);
    let (_replica, mut on_replica) = start(dirs[1].path(), "server-id = 2\n");
    on_replica.run(&[&change(&source, "MASTER_LOG_FILE = 'mysql-bin.000002', MASTER_LOG_POS = 4")]);
    on_replica.run(&["START SLAVE"]);
    on_replica.wait_for_replica("Seconds_Behind_Master", "0");
    on_source.run(&["SET GLOBAL binlog_expire_logs_seconds = 1", "SET GLOBAL max_binlog_size = 4096"]);
    assert_eq!(on_source.text("SELECT @@expire_logs_days"), "0");
    std::thread::sleep(Duration::from_millis(1100));
    on_source.run(&["FLUSH LOGS"]);
    wait(
        || {
            on_source.run(&["PURGE BINARY LOGS BEFORE NOW()"]);
            on_source.query("SHOW BINARY LOGS").unwrap().len() == 1
        },
        || "what nobody reads any more stays".into(),
    );
    on_source.run(&["RESET MASTER TO 7"]);
    assert_eq!(on_source.text("SHOW MASTER STATUS"), "mysql-bin.000007,154,,,");
    on_replica.wait_for_replica("Last_IO_Errno", "1236");
}

#[test]
fn read_only_is_for_clients_without_super_and_super_read_only_for_all() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 1\nlog_bin\n");
    let (replica, mut root) = start(dirs[1].path(), "server-id = 2\nlog_bin\n");
    root.run(&[&change(&source, "MASTER_AUTO_POSITION = 1"), "START SLAVE"]);
    on_source.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"]);
    on_source.run(&["CREATE USER app", "GRANT SELECT, INSERT, CREATE ON *.* TO app"]);
    on_source.run(&["CREATE USER admin", "GRANT INSERT, READ_ONLY ADMIN ON *.* TO admin"]);
    root.wait_for("SELECT @@gtid_executed", &on_source.text("SELECT @@gtid_executed"));
    let login = |user| Client::login(replica.address(), user, "").unwrap();
    let (mut app, mut admin) = (login("app"), login("admin"));
    let refused = |option: &str| {
        let message = format!(
            "The MySQL server is running with the {option} option so it cannot execute this statement"
        );
        Refused(1290, message)
    };
    root.run(&["set global read_only = 1", "INSERT INTO d.t VALUES (1)"]);
    admin.run(&["INSERT INTO d.t VALUES (2)"]);
    assert_eq!(app.query("INSERT INTO d.t VALUES (9)").unwrap_err(), refused("--read-only"));
    assert_eq!(app.query("CREATE TABLE d.u (id INT PRIMARY KEY)").unwrap_err(), refused("--read-only"));
    assert_eq!(app.text("SELECT COUNT(*) FROM d.t"), "2");
    root.run(&["SET GLOBAL super_read_only = 1"]);
    for client in [&mut root, &mut admin, &mut app] {
        assert_eq!(client.query("INSERT INTO d.t VALUES (9)").unwrap_err(), refused("--super-read-only"));
    }
    assert_eq!(root.query("CREATE USER u").unwrap_err(), refused("--super-read-only"));
    on_source.run(&["INSERT INTO d.t VALUES (3)"]);
    root.wait_for("SELECT COUNT(*) FROM d.t", "3");
    root.run(&["SET GLOBAL read_only = 0"]);
    app.run(&["INSERT INTO d.t VALUES (4)"]);
}

/// A way to a node on which, while the flag is up, nothing comes back. The port that it begins at.
fn way_to(node: &Node, silent: &Arc<AtomicBool>) -> u16 {
    let (to, silent) = (node.address(), Arc::clone(silent));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let carry = |mut from: TcpStream, mut to: TcpStream, held: Arc<AtomicBool>| {
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                while held.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both); // it may be closed already
        });
    };
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(to).unwrap());
            carry(near.try_clone().unwrap(), far.try_clone().unwrap(), Arc::default());
            carry(far, near, Arc::clone(&silent));
        }
    });
    port
}

#[test]
fn a_source_that_is_silent_is_gone_after_slave_net_timeout() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 1\nlog_bin\n");
    let (_replica, mut on_replica) =
        start(dirs[1].path(), "server-id = 2\nlog_bin\nslave_net_timeout = 30\n");
    assert_eq!(on_replica.text("SELECT @@slave_net_timeout, @@replica_net_timeout"), "30,30");
    let silent = Arc::<AtomicBool>::default();
    let port = way_to(&source, &silent);
    let to =
        format!("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'root'");
    on_replica.run(&["SET GLOBAL slave_net_timeout = 2", &to, "START SLAVE"]);
    on_replica.wait_for_replica("Slave_IO_Running", "Yes");
    let begun = Instant::now();
    silent.store(true, Ordering::SeqCst);
    on_replica.wait_for_replica("Last_IO_Errno", "2013");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    let error = on_replica.replica("Last_IO_Error");
    assert!(error.contains("nothing was heard of it for 2 s (slave_net_timeout)"), "{error}");
    assert_eq!(on_replica.replica("Slave_IO_Running"), "Connecting");
    silent.store(false, Ordering::SeqCst);
    on_replica.wait_for_replica("Slave_IO_Running", "Yes");
    assert_eq!(on_replica.replica("Last_IO_Errno"), "0");
    on_source.run(&["CREATE DATABASE d"]);
    on_replica.wait_for("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'd'", "1");
    on_replica.run(&["STOP SLAVE", "CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 30.5"]);
    let refused = on_replica.query("CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 4294968").unwrap_err();
    assert_eq!(refused.0, 1703);
    assert!(refused.1.ends_with("exceeds the maximum allowed (4294967 seconds)."), "{refused:?}");
}

#[test]
fn a_source_lists_its_replicas_as_they_report_themselves() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 7\nlog_bin\n");
    let reports = "server-id = 8\nreport_host = db8.example\nreport_port = 3308\n";
    let (named, mut on_named) = start(dirs[1].path(), reports);
    let (unnamed, mut on_unnamed) = start(dirs[2].path(), "server-id = 9\n");
    for client in [&mut on_named, &mut on_unnamed] {
        client.run(&[&change(&source, "MASTER_AUTO_POSITION = 1"), "START SLAVE"]);
        client.wait_for_replica("Slave_IO_Running", "Yes");
    }
    let port = unnamed.address().port();
    assert_eq!(on_unnamed.text("SELECT @@report_port"), port.to_string());
    for words in ["SHOW SLAVE HOSTS", "SHOW REPLICAS"] {
        let mut rows = on_source.query(words).unwrap();
        rows.sort();
        let row = |row: &Vec<Option<String>>| row.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        assert_eq!(row(&rows[0]), format!("8,db8.example,3308,7,{}", named.server_uuid()));
        assert_eq!(row(&rows[1]), format!("9,127.0.0.1,{port},7,{}", unnamed.server_uuid()));
        assert_eq!(rows.len(), 2);
    }
}

#[test]
fn a_sources_files_have_the_sources_names() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) = start(dirs[0].path(), "server-id = 1\nlog_bin = one-bin\n");
    let keys = "server-id = 2\nlog_bin = two-bin\n";
    let (replica, mut on_replica) = start(dirs[1].path(), keys);
    let named = |client: &mut Client| (status(client, 5), status(client, 9));
    let both = |name: &str| (name.to_owned(), name.to_owned());
    on_replica.run(&[&change(&source, "MASTER_LOG_FILE = 'said-bin.000001', MASTER_LOG_POS = 4")]);
    assert_eq!(status(&mut on_replica, 5), "said-bin.000001");
    on_replica.run(&["START SLAVE"]);
    on_replica.wait_for_replica("Slave_IO_Running", "Yes");
    on_source.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"]);
    on_replica.wait_for("SELECT COUNT(*) FROM d.t", "0");
    assert_eq!(named(&mut on_replica), both("one-bin.000001"));
    on_replica.run(&["INSERT INTO d.t VALUES (1)"]);
    on_source.run(&["INSERT INTO d.t VALUES (1)"]);
    on_replica.wait_for_replica("Last_SQL_Errno", "1062");
    let error = on_replica.replica("Last_SQL_Error");
    assert!(error.contains("the event's source log one-bin.000001, end_log_pos"), "{error}");
    on_replica.run(&["STOP SLAVE"]);
    drop((replica, on_replica));
    let (_replica, mut on_replica) = start(dirs[1].path(), keys);
    assert_eq!(named(&mut on_replica), both("one-bin.000001"));
    assert_eq!(on_replica.query("SHOW MASTER STATUS").unwrap()[0][0].as_deref(), Some("two-bin.000002"));
}

#[test]
fn what_a_client_sets_for_a_statement_goes_along_with_it() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (source, mut on_source) =
        start(dirs[0].path(), "server-id = 1\nlog_bin\nbinlog_format = STATEMENT\n");
    let (_replica, mut on_replica) = start(dirs[1].path(), "server-id = 2\n");
    on_replica.run(&[&change(&source, "MASTER_AUTO_POSITION = 1"), "START SLAVE"]);
    on_source.run(&[
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6))",
        "SET TIMESTAMP = 1000000000.5",
        "SET INSERT_ID = 41",
        "INSERT INTO d.t (at) VALUES (NOW(6)), (NOW(6))",
        "SET TIMESTAMP = DEFAULT",
        "INSERT INTO d.t (at) VALUES (NOW(6))",
    ]);
    let moment = "2001-09-09 01:46:40.500000";
    on_replica.wait_for("SELECT COUNT(*) FROM d.t", "3");
    for client in [&mut on_source, &mut on_replica] {
        assert_eq!(client.text("SELECT * FROM d.t WHERE id < 43"), format!("41,{moment};42,{moment}"));
        assert_eq!(client.text("SELECT id FROM d.t WHERE at > '2020-01-01'"), "43");
    }
    assert_eq!(on_source.query("RESET PERSIST").unwrap_err().0, 1235);
}

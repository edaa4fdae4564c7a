//! Accounts as a client meets them: who comes in, what who came in may do, and that no password is shown.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, config};
use node::config::User;
use node::protocol::command;
use node::{Config, Node};

fn refused(result: Result<Client, Refused>) -> Refused {
    match result {
        Ok(_) => panic!("the client was let in"),
        Err(error) => error,
    }
}

/// Asserts that a statement is refused with this number.
fn denied(client: &mut Client, code: u16, sql: &str) {
    match client.query(sql) {
        Ok(rows) => panic!("{sql}: {rows:?}"),
        Err(error) => assert_eq!(error.0, code, "{sql}: {error:?}"),
    }
}

/// A node with two databases that a client has to be kept from.
fn shop() -> Member {
    let mut node = Member::new(1, 1);
    node.client.run(&[
        "CREATE DATABASE shop",
        "CREATE DATABASE other",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE shop.u (id INT PRIMARY KEY)",
        "CREATE TABLE other.x (id INT PRIMARY KEY)",
        "INSERT INTO shop.t VALUES (1, 10)",
    ]);
    node
}

#[test]
fn accounts_survive_a_restart_and_the_configurations_password_gives_way() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Node::start(config(dir.path(), 1, 1)).unwrap();
    let node = start();
    let mut root = Client::root(node.address());
    root.run(&[
        "CREATE USER 'app'@'localhost' IDENTIFIED BY 'secret'",
        "CREATE USER 'far'@'10.%' IDENTIFIED BY 'secret'",
        "ALTER USER 'root'@'localhost' IDENTIFIED BY 'rooted'",
    ]);
    drop((root, node));
    let node = start();
    let address = node.address();
    let mut app = Client::login(address, "app", "secret").unwrap();
    assert_eq!(app.text("SELECT USER(), CURRENT_USER()"), "app@localhost,app@localhost");
    let denied = "Access denied for user 'app'@'localhost' (using password: YES)";
    assert_eq!(refused(Client::login(address, "app", "Secret")), Refused(1045, denied.into()));
    let denied = "Access denied for user 'far'@'localhost' (using password: YES)";
    assert_eq!(refused(Client::login(address, "far", "secret")), Refused(1045, denied.into()));
    assert_eq!(refused(Client::login(address, "root", "")).0, 1045);
    let mut root = Client::login(address, "root", "rooted").unwrap();
    assert_eq!(root.text("SELECT CURRENT_USER()"), "root@%");
    root.run(&["ALTER USER app@localhost ACCOUNT LOCK"]);
    let locked = "Access denied for user 'app'@'localhost'. Account is locked.";
    assert_eq!(refused(Client::login(address, "app", "secret")), Refused(3118, locked.into()));
}

#[test]
fn a_client_may_do_what_it_was_granted_and_from_the_next_statement_on() {
    let mut node = shop();
    node.client.run(&["CREATE USER app", "GRANT SELECT ON shop.t TO app"]);
    let mut app = Client::login(node.node.address(), "app", "").unwrap();
    assert_eq!(app.text("SELECT v FROM shop.t"), "10");
    assert_eq!(
        app.query("INSERT INTO shop.t VALUES (2, 2)").unwrap_err(),
        Refused(1142, "INSERT command denied to user 'app'@'localhost' for table 't'".into())
    );
    assert_eq!(
        app.query("USE other").unwrap_err(),
        Refused(1044, "Access denied for user 'app'@'%' to database 'other'".into())
    );
    for (code, sql) in [
        (1142, "SELECT * FROM shop.u"),
        (1142, "SELECT v FROM shop.t WHERE id IN (SELECT id FROM other.x)"),
        (1142, "SELECT * FROM (SELECT * FROM other.x) d"),
        (1142, "SELECT * FROM shop.missing"),
        (1142, "UPDATE shop.t SET v = 1"),
        (1142, "DELETE FROM shop.t"),
        (1142, "CREATE TABLE shop.n (id INT PRIMARY KEY)"),
        (1142, "DROP TABLE shop.t"),
        (1142, "ALTER TABLE shop.t ADD COLUMN w INT"),
        (1142, "TRUNCATE TABLE shop.t"),
        (1142, "CREATE INDEX i ON shop.t (v)"),
        (1142, "SHOW CREATE TABLE shop.u"),
        (1142, "DESCRIBE other.x"),
        (1142, "SELECT * FROM mysql.user"),
        (1044, "SHOW TABLES FROM other"),
        (1044, "CREATE DATABASE mine"),
        (1044, "DROP DATABASE shop"),
    ] {
        denied(&mut app, code, sql);
    }
    assert_eq!(app.text("SHOW DATABASES"), "information_schema;shop");
    assert_eq!(app.text("SHOW TABLES FROM shop"), "t");
    assert_eq!(
        app.text(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        ),
        "shop,t"
    );
    assert_eq!(
        app.text("SHOW GRANTS"),
        "GRANT USAGE ON *.* TO `app`@`%`;GRANT SELECT ON `shop`.`t` TO `app`@`%`"
    );
    node.client.run(&["GRANT INSERT, UPDATE, DELETE ON shop.* TO app"]);
    app.run(&[
        "INSERT INTO shop.t VALUES (2, 2)",
        "UPDATE shop.t SET v = v + 1 WHERE id = 2",
        "REPLACE INTO shop.t VALUES (2, 5)",
    ]);
    denied(&mut app, 1142, "INSERT INTO shop.u SELECT id FROM other.x");
    denied(&mut app, 1142, "DELETE FROM shop.u WHERE id = 1");
    node.client.run(&["DROP USER app"]);
    denied(&mut app, 1142, "SELECT v FROM shop.t");
    assert_eq!(refused(Client::login(node.node.address(), "app", "")).0, 1045);
}

/// What a user with REPLICATION SLAVE alone tries, and the error that it gets.
const FORBIDDEN: &[(u16, &str)] = &[
    (1044, "USE shop"),
    (1142, "SELECT * FROM shop.t"),
    (1142, "SELECT * FROM shop.t FOR UPDATE"),
    (1142, "INSERT INTO shop.t VALUES (9, 9)"),
    (1142, "REPLACE INTO shop.t VALUES (9, 9)"),
    (1142, "UPDATE shop.t SET v = 0"),
    (1142, "DELETE FROM shop.t"),
    (1142, "TRUNCATE TABLE shop.t"),
    (1142, "DROP TABLE shop.t"),
    (1142, "RENAME TABLE shop.t TO shop.z"),
    (1142, "ALTER TABLE shop.t DROP COLUMN v"),
    (1142, "CREATE TABLE shop.n LIKE shop.t"),
    (1142, "SHOW COLUMNS FROM shop.t"),
    (1142, "SHOW INDEX FROM shop.t"),
    (1142, "SELECT User FROM mysql.user"),
    (1142, "LOCK TABLES shop.t WRITE"),
    (1142, "CHECKSUM TABLE shop.t"),
    (1142, "CHECK TABLE shop.t QUICK"),
    (1142, "ANALYZE TABLE shop.t"),
    (1142, "OPTIMIZE LOCAL TABLE shop.t"),
    (1142, "REPAIR NO_WRITE_TO_BINLOG TABLE shop.nosuch, shop.t"),
    (1044, "CREATE DATABASE mine"),
    (1044, "DROP DATABASE shop"),
    (1044, "SHOW GRANTS FOR root@localhost"),
    (1045, "GRANT ALL ON *.* TO 'repl'@'%'"),
    (1227, "CREATE USER thief"),
    (1227, "ALTER USER 'root'@'localhost' IDENTIFIED BY 'x'"),
    (1227, "SET PASSWORD FOR root@localhost = 'x'"),
    (1227, "DROP USER 'repl'@'%', root"),
    (1227, "SET GLOBAL read_only = ON"),
    (1227, "SET GLOBAL TRANSACTION READ ONLY"),
    (1227, "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED"),
    (1227, "SHOW /* /* */ SLAVE STATUS"),
    (1227, "SET @@global.max_connections = 1"),
    (1227, "SET GLOBAL sql_slave_skip_counter = 1"),
    (1227, "SET evensum_link_delay_ms = 10"),
    (1227, "SET sql_log_bin = 0"),
    (1227, "FLUSH PRIVILEGES"),
    (1227, "FLUSH TABLES WITH READ LOCK"),
    (1227, "FLUSH LOGS"),
    (1227, "RESET MASTER"),
    (1227, "RESET SLAVE ALL"),
    (1227, "PURGE BINARY LOGS TO 'mysql-bin.000001'"),
    (1227, "CHANGE MASTER TO MASTER_HOST='evil'"),
    (1227, "CHANGE REPLICATION SOURCE TO SOURCE_HOST='evil'"),
    (1227, "CLONE INSTANCE FROM 'r'@'h':1 IDENTIFIED BY 'x'"),
    (1227, "START SLAVE"),
    (1227, "STOP REPLICA"),
    (1227, "SHOW SLAVE STATUS"),
    (1227, "SHOW MASTER STATUS"),
    (1227, "SHOW BINARY LOGS"),
    (1227, "SHOW BINLOG CHANGES FOR shop.t FROM 'mysql-bin.000001' 4"),
];

#[test]
fn a_replication_user_replicates_and_nothing_else() {
    let mut source = shop();
    source.client.run(&[
        "CREATE USER 'repl'@'%' IDENTIFIED BY 'StrongPassword123!'",
        "GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%'",
        "FLUSH PRIVILEGES",
    ]);
    let address = source.node.address();
    let mut repl = Client::login(address, "repl", "StrongPassword123!").unwrap();
    let id = source.client.text("SELECT CONNECTION_ID()");
    let kill = format!("KILL {id}");
    let mut prepared = 0u32;
    for (code, sql) in FORBIDDEN.iter().copied().chain([(1095, kill.as_str())]) {
        denied(&mut repl, code, sql);
        // Prepared, it is refused at once, or when it is executed.
        let mut payload = vec![0x16];
        payload.extend_from_slice(sql.as_bytes());
        if repl.command(&payload).is_ok() {
            prepared += 1;
            let mut payload = vec![0x17];
            payload.extend_from_slice(&prepared.to_le_bytes());
            payload.extend_from_slice(&[0, 1, 0, 0, 0]);
            let refused = repl.command(&payload).unwrap_err();
            assert!(refused.0 == code || sql.starts_with("KILL"), "{sql}: {refused:?}");
        }
    }
    assert_eq!(repl.command(b"\x02shop").unwrap_err().0, 1044);
    let clone = Client::login(address, "repl", "StrongPassword123!").unwrap().command(&[command::CLONE]);
    assert_eq!(clone.unwrap_err().0, 1227);
    let number: u32 = id.parse().unwrap();
    let mut payload = vec![0x0c];
    payload.extend_from_slice(&number.to_le_bytes());
    assert_eq!(repl.command(&payload).unwrap_err().0, 1095);
    assert_eq!(repl.text("SHOW DATABASES"), "information_schema");
    assert_eq!(
        repl.text("SELECT COUNT(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE'"),
        "0"
    );
    assert!(!repl.text("SHOW FULL PROCESSLIST").contains("root"));
    assert_eq!(source.client.text("SELECT id, v FROM shop.t"), "1,10");

    let mut replica = Member::new(2, 2);
    replica.client.run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='repl', \
             MASTER_PASSWORD='StrongPassword123!', MASTER_AUTO_POSITION=1",
            address.port()
        ),
        "START SLAVE",
    ]);
    replica.client.wait_for("SELECT id, v FROM shop.t", "1,10");
    // The account came with the log, its password hashed.
    replica.client.wait_for("SELECT COUNT(*) FROM mysql.user WHERE User = 'repl'", "1");
    assert!(Client::login(replica.node.address(), "repl", "StrongPassword123!").is_ok());

    // Without the right, the link is told so.
    replica.client.run(&["STOP SLAVE"]);
    source.client.run(&["REVOKE REPLICATION SLAVE ON *.* FROM 'repl'@'%'"]);
    replica.client.run(&["START SLAVE"]);
    replica.client.wait_for_replica("Last_IO_Errno", "1227");
}

#[test]
fn no_password_is_shown_anywhere() {
    let mut node = shop();
    node.client.run(&[
        "CREATE USER 'a'@'%' IDENTIFIED BY 'TopSecret1'",
        "SET PASSWORD FOR 'a'@'%' = PASSWORD('TopSecret2')",
        "ALTER USER 'a'@'%' IDENTIFIED WITH caching_sha2_password BY 'TopSecret3'",
        "GRANT SELECT ON shop.* TO 'b'@'%' IDENTIFIED BY 'TopSecret4'",
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='r', MASTER_PASSWORD='TopSecret5'",
    ]);
    denied(&mut node.client, 1064, "CREATE USER 'c'@'%' IDENTIFIED BY 'TopSecret6' AND MORE");
    denied(&mut node.client, 1396, "CREATE USER 'a'@'%' IDENTIFIED BY 'TopSecret7'");
    denied(&mut node.client, 1064, "CHANGE MASTER TO MASTER_PASSWORD='TopSecret8' MASTER_HOST='x'");
    for question in [
        "SHOW BINLOG EVENTS",
        "SHOW FULL PROCESSLIST",
        "SHOW SLAVE STATUS",
        "SHOW GRANTS FOR 'a'@'%'",
        "SHOW CREATE USER 'a'@'%'",
        "SELECT * FROM mysql.user",
        "SHOW WARNINGS",
        "SHOW VARIABLES",
    ] {
        assert!(!node.client.text(question).contains("TopSecret"), "{question}");
    }
    assert!(node.client.text("SHOW BINLOG EVENTS").contains("CREATE USER 'a'@'%' IDENTIFIED WITH"));
    for sql in [
        "CREATE USER 'c'@'%' IDENTIFIED BY 'TopSecret6' AND MORE",
        "CHANGE MASTER TO MASTER_PASSWORD='TopSecret8' x",
    ] {
        assert!(!node.client.query(sql).unwrap_err().1.contains("TopSecret"));
    }

    // Hashes are for those who make accounts.
    node.client.run(&["CREATE USER reader", "GRANT SELECT ON mysql.* TO reader"]);
    let mut reader = Client::login(node.node.address(), "reader", "").unwrap();
    let hash = "SELECT authentication_string FROM mysql.user WHERE User = 'b'";
    assert_eq!(reader.text(hash), "NULL");
    assert!(node.client.text(hash).starts_with('*'));
    assert!(!reader.text("SHOW CREATE USER 'a'@'%'").contains("$A$"));
}

#[test]
fn a_new_user_of_the_configuration_has_every_privilege() {
    let dir = tempfile::tempdir().unwrap();
    let users = vec![User { name: "boss".into(), password: "secret".to_owned().into() }];
    let node = Node::start(Config { users, ..config(dir.path(), 1, 1) }).unwrap();
    let mut boss = Client::login(node.address(), "boss", "secret").unwrap();
    assert_eq!(boss.text("SHOW GRANTS"), "GRANT ALL PRIVILEGES ON *.* TO `boss`@`%` WITH GRANT OPTION");
    boss.run(&["CREATE DATABASE shop", "CREATE USER a", "GRANT ALL ON shop.* TO a"]);
    assert_eq!(boss.query("CREATE USER a").unwrap_err().0, 1396);
    assert_eq!(
        boss.text("SELECT Host, User, plugin, ssl_type FROM mysql.user ORDER BY User"),
        "%,a,mysql_native_password,;%,boss,mysql_native_password,"
    );
}

#[test]
fn what_watches_does_not_read_the_log_and_comments_open_nothing() {
    let mut node = shop();
    node.client.run(&[
        "CREATE USER nobody",
        "CREATE USER watcher",
        "GRANT REPLICATION CLIENT ON *.* TO watcher",
        "CREATE USER locked IDENTIFIED BY 'x' /*!80000 REQUIRE SSL */",
        "ALTER USER locked /*!50700 ACCOUNT LOCK */",
    ]);
    assert_eq!(
        node.client.text("SELECT ssl_type, account_locked FROM mysql.user WHERE User = 'locked'"),
        "ANY,Y"
    );
    let mut nobody = Client::login(node.node.address(), "nobody", "").unwrap();
    for sql in [
        "SHOW /*!50000 count */ BINLOG EVENTS",
        "SHOW /*!count*/ MASTER STATUS",
        "SHOW /*!99999 count */ BINLOG EVENTS",
        "SHOW /* /* */ BINLOG EVENTS # */ count",
        "SHOW /*M!100000 count */ BINLOG EVENTS",
        "/*!50000 SHOW */ BINLOG EVENTS",
        "SHOW --count\n BINLOG EVENTS",
        "RESET /*!50000 QUERY */ MASTER",
    ] {
        let refused = nobody.query(sql).unwrap_err().0;
        assert!([1227, 1064, 1235].contains(&refused), "{sql}: {refused}");
    }
    let mut watcher = Client::login(node.node.address(), "watcher", "").unwrap();
    watcher.run(&["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS", "SHOW BINARY LOGS", "SHOW REPLICA STATUS"]);
    for sql in ["SHOW BINLOG EVENTS", "SHOW BINARY LOG EVENTS", "SHOW SLAVE HOSTS", "SHOW REPLICAS"] {
        denied(&mut watcher, 1227, sql);
    }
}

#[test]
fn who_may_not_write_does_not_keep_others_from_it() {
    let mut node = shop();
    node.client.run(&["CREATE USER reader", "GRANT SELECT ON shop.* TO reader"]);
    let mut reader = Client::login(node.node.address(), "reader", "").unwrap();
    denied(&mut reader, 1142, "SELECT * FROM shop.t FOR UPDATE");
    denied(&mut reader, 1142, "SELECT * FROM (SELECT * FROM shop.t) d FOR UPDATE");
    reader.run(&[
        "BEGIN",
        "SAVEPOINT s",
        "SELECT * FROM (SELECT 1 AS a) d FOR UPDATE",
        "SELECT * FROM information_schema.schemata FOR UPDATE",
        "WITH c AS (SELECT 1 AS a) SELECT * FROM c FOR UPDATE",
    ]);
    // At once, and not when a lease is over.
    node.client.run(&["SET innodb_lock_wait_timeout = 1", "UPDATE shop.t SET v = 11"]);
    reader.run(&["ROLLBACK TO s", "RELEASE SAVEPOINT s", "COMMIT"]);
    node.client.run(&["GRANT UPDATE ON shop.t TO reader"]);
    assert_eq!(reader.text("SELECT v FROM shop.t FOR UPDATE"), "11");
    reader.run(&[
        "BEGIN",
        "SAVEPOINT a",
        "SAVEPOINT b",
        "ROLLBACK TO a",
        "SAVEPOINT c",
        "UPDATE shop.t SET v = 1",
        "SAVEPOINT d",
        "UPDATE shop.t SET v = 2",
        "ROLLBACK TO d",
    ]);
    assert_eq!(reader.text("SELECT v FROM shop.t"), "1");
    denied(&mut reader, 1305, "ROLLBACK TO b");
    reader.run(&["ROLLBACK TO c"]);
    assert_eq!(reader.text("SELECT v FROM shop.t"), "11");
    reader.run(&["UPDATE shop.t SET v = 3", "ROLLBACK TO a", "COMMIT"]);
    assert_eq!(node.client.text("SELECT v FROM shop.t"), "11");
}

#[test]
fn a_login_tells_no_names_and_repeats_no_long_one() {
    let mut node = shop();
    let address = node.node.address();
    let long = "u".repeat(60_000);
    let message = refused(Client::login(address, &long, "x")).1;
    assert_eq!(
        message,
        format!("Access denied for user '{}'@'localhost' (using password: YES)", &long[..32])
    );
    node.client.run(&["CREATE USER sha IDENTIFIED WITH caching_sha2_password BY 'secret'"]);
    let there = refused(Client::login(address, "sha", "wrong"));
    assert_eq!(there.0, 2061, "{there:?}");
    let answers: Vec<Refused> =
        (0..40).map(|n| refused(Client::login(address, &format!("nobody{n}"), "wrong"))).collect();
    let same = answers.iter().filter(|answer| **answer == there).count();
    assert!(same > 0 && same < answers.len(), "{same} of 40 look like the account that there is");
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(refused(Client::login(address, &format!("nobody{n}"), "wrong")), *answer);
    }
}

#[test]
fn privileges_are_on_tables_that_there_are() {
    let mut node = shop();
    node.client.run(&["CREATE USER a"]);
    assert_eq!(
        node.client.query("GRANT SELECT ON shop.missing TO a").unwrap_err(),
        Refused(1146, "Table 'shop.missing' doesn't exist".into())
    );
    node.client.run(&[
        "GRANT SELECT, CREATE ON shop.coming TO a",
        "GRANT SELECT ON mysql.user TO a",
        "GRANT SELECT ON shop.t TO a",
    ]);
    let mut own = Client::login(node.node.address(), "a", "").unwrap();
    node.client.run(&["DROP USER a"]);
    denied(&mut own, 1141, "SHOW GRANTS");
}

#[cfg(unix)]
#[test]
fn the_nodes_files_are_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut node = shop();
    node.client.run(&["CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='r'"]);
    let mut seen = 0;
    for entry in std::fs::read_dir(node.dir.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.contains("sqlite") {
            seen += 1;
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    assert!(seen >= 3, "{seen} files");
}

#[test]
fn a_source_that_has_not_let_the_node_in_sends_no_long_packet() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let liar = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&[0, 0, 16, 0]).unwrap();
        (listener, stream)
    });
    let mut node = Member::new(1, 1);
    node.client.run(&[
        &format!("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='r', MASTER_CONNECT_RETRY=60"),
        "START SLAVE",
    ]);
    let _open = liar.join().unwrap();
    node.client.wait_for_replica("Last_IO_Errno", "2013");
    let said = node.client.replica("Last_IO_Error");
    assert!(said.contains("got a packet bigger than 65536 bytes"), "{said}");
}

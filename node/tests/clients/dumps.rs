//! `mariadb-dump` of one node restored into the other, as the articles begin; and from and to a real MariaDB.

use super::cluster::mariadb::Server;
use super::cluster::{Client, Member};
use super::{installed, mariadb, run};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Tables of every type that both know, with values that a dump has to quote, and bytes that are no text.
/// As the node is by itself.
const REAL: [&str; 2] = ["--skip-name-resolve", "--collation-server=utf8mb4_general_ci"];

const SHOP: &str = r#"CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; USE shop;
CREATE TABLE orders (
order_id INT AUTO_INCREMENT PRIMARY KEY,
customer_id INT,
order_date DATE,
amount DECIMAL(10,2),
region VARCHAR(50)
);
CREATE INDEX idx_order_date ON orders (order_date);
INSERT INTO orders (customer_id, order_date, amount, region)
VALUES (100, '2023-06-15', 99.99, 'North'), (101, NULL, -0.05, 'O''Brien\n\\ \Z'), (102, '2023-06-15', 49.99, '');
CREATE TABLE types (a TINYINT(1) DEFAULT 1, b BIGINT UNSIGNED NOT NULL, c FLOAT, d DOUBLE,
 e CHAR(3) NOT NULL DEFAULT 'x''y', f TEXT, g BLOB, h VARBINARY(10), i DATETIME(3) ON UPDATE CURRENT_TIMESTAMP(3),
 j TIMESTAMP NULL, k TIME(2), l YEAR, m ENUM('a','b''c'), n SET('p','q'), o JSON,
 p VARCHAR(5) COLLATE utf8mb4_bin COMMENT 'it''s', q DECIMAL(5,2) UNSIGNED DEFAULT 1.50,
 PRIMARY KEY (b), UNIQUE KEY u (e, a), KEY pre (f(10)), KEY t (j)) COMMENT='it''s all';
INSERT INTO types VALUES (1, 18446744073709551615, 1.5, 2.25, 'abc', 'täxt 😀', 0x00ff1027225c, 'bin\0',
 '2024-01-02 03:04:05.678', '2024-01-02 03:04:05', '10:11:12.13', 2024, 'b''c', 'p,q', '{"a": 1}', 'A', 9.99);
INSERT INTO types (b, e, k, g) VALUES (5, 'zz ', '-10:00:00', x'27ff5c27fe00');
CREATE TABLE nokey (x INT, y VARCHAR(10));
INSERT INTO nokey VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
CREATE TABLE begun (id INT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT=77;
"#;

/// All rows of the shop, as the stock client prints them.
const ALL: &str = "SELECT * FROM orders ORDER BY order_id; SELECT * FROM types ORDER BY b; SELECT * FROM nokey ORDER BY x, y;
SELECT COUNT(*), SUM(amount) FROM orders; SELECT HEX(g), HEX(h) FROM types ORDER BY b;";

fn port(member: &Member) -> u16 {
    member.node.address().port()
}

fn rows(port: u16, database: &str) -> String {
    mariadb(port, &["--batch", database], ALL)
}

fn definitions(port: u16, database: &str) -> String {
    let list = "SHOW CREATE TABLE orders; SHOW CREATE TABLE types; SHOW CREATE TABLE nokey; SHOW CREATE TABLE begun;";
    mariadb(port, &["--batch", database], list)
}

fn dump(port: u16, args: &[&str]) -> Vec<u8> {
    let output = run("mariadb-dump", port, args, b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{args:?}: {said}");
    output.stdout
}

fn restore(port: u16, args: &[&str], dump: &[u8]) {
    let output = run("mariadb", port, args, dump);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_dump_of_one_node_makes_the_same_tables_on_another() {
    if !installed("mariadb-dump") || !installed("mariadb") {
        return;
    }
    let (first, second) = (Member::new(1, 2), Member::new(2, 2));
    let (from, to) = (port(&first), port(&second));
    mariadb(from, &[], SHOP);
    let (wanted, defined) = (rows(from, "shop"), definitions(from, "shop"));
    assert!(wanted.contains("3\t149.93\n"), "{wanted}");
    // the dump names the database itself, or the restore names one
    let named: [&[&str]; 7] = [
        &["--databases", "shop", "--routines", "--events", "--triggers"],
        &["--databases", "shop", "--single-transaction", "--no-tablespaces"],
        &["--all-databases", "--hex-blob"],
        &["--all-databases", "--single-transaction", "--complete-insert", "--extended-insert=0"],
        &["--databases", "shop", "--add-drop-database", "--order-by-primary"],
        &["--databases", "shop", "--skip-opt", "--routines"],
        &["--databases", "shop", "--replace", "--no-autocommit"],
    ];
    for args in named {
        let dump = dump(from, args);
        mariadb(to, &[], "DROP DATABASE IF EXISTS shop");
        restore(to, &[], &dump);
        assert_eq!(
            (rows(to, "shop"), definitions(to, "shop")),
            (wanted.clone(), defined.clone()),
            "{args:?}"
        );
    }
    let bare = dump(from, &["shop"]);
    mariadb(to, &[], "CREATE DATABASE copy");
    for _ in 0..2 {
        // over what is there already, too
        restore(to, &["copy"], &bare);
        assert_eq!((rows(to, "copy"), definitions(to, "copy")), (wanted.clone(), defined.clone()));
    }
    assert_eq!(rows(from, "shop"), wanted);
}

#[test]
fn dumps_go_from_and_to_a_real_server() {
    if !installed("mariadb-dump") || !installed("mariadb") {
        return;
    }
    let Some(server) = Server::start(&REAL) else { return };
    let node = Member::new(1, 1);
    let (real, bundled) = (server.address.port(), port(&node));
    mariadb(real, &[], SHOP);
    restore(bundled, &[], &dump(real, &["--databases", "shop"]));
    let wanted = rows(real, "shop");
    assert_eq!(rows(bundled, "shop"), wanted);
    mariadb(real, &[], "CREATE DATABASE back");
    restore(real, &["back"], &dump(bundled, &["--single-transaction", "shop"]));
    assert_eq!(rows(real, "back"), wanted);
}

#[test]
fn a_dump_is_of_one_moment_while_others_write() {
    if !installed("mariadb-dump") || !installed("mariadb") {
        return;
    }
    let node = Member::new(1, 1);
    let from = port(&node);
    mariadb(from, &[], "CREATE DATABASE bank; CREATE TABLE bank.a (id INT PRIMARY KEY, v INT); CREATE TABLE bank.b LIKE bank.a;
        INSERT INTO bank.a VALUES (1, 0); INSERT INTO bank.b VALUES (1, 0);");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (mut client, stop) = (Client::root(node.node.address()), Arc::clone(&stop));
        move || {
            let mut written = 0;
            while !stop.load(Ordering::SeqCst) {
                // both tables in one transaction: they are equal at every moment
                client.run(&[
                    "BEGIN",
                    "UPDATE bank.a SET v = v + 1",
                    "UPDATE bank.b SET v = v + 1",
                    "COMMIT",
                ]);
                written += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            written
        }
    });
    let copy = Member::new(2, 2);
    for args in [&["--databases", "bank"][..], &["--databases", "bank", "--single-transaction"]] {
        for _ in 0..3 {
            restore(port(&copy), &[], &dump(from, args));
            let text = mariadb(
                port(&copy),
                &["--skip-column-names", "bank"],
                "SELECT a.v - b.v FROM a JOIN b ON a.id = b.id",
            );
            assert_eq!(text, "0\n", "{args:?}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    assert!(writer.join().unwrap() > 0);
}

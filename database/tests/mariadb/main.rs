//! The driver against a real MariaDB, which the test starts by itself on a free port and ends again.
//!
//! Where no `mariadbd` is installed the tests say so and check nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod effects;
mod secure;
mod server;
mod waits;

use database::conformance::{self, SqlFixture};
use database::mysql::{Board, Connection, LedgerConnection, Options, PositionConnection, Watch};
use database::{Chunk, Key, Reader, RowsOf, Target, Value};
use server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn connect(server: &Server) -> Connection {
    Connection::connect(&server.target, None, &Options::default()).await.unwrap()
}

/// One server for all, because starting one takes longer than all that is asked of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_driver_reads_and_mends_a_mariadb() {
    let Some(server) = Server::start(7, &[]).await else { return };
    let mut fixture = SqlFixture::connect(&server.target, None).await.unwrap();
    let outcome = conformance::run(&mut fixture).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    every_type_arrives_in_its_canonical_form(&server, &mut fixture).await;
    every_type_is_written_back_bit_for_bit(&server, &mut fixture).await;
    awkward_text_is_written_back_bit_for_bit(&server, &mut fixture).await;
    the_ledger_is_written_through_the_log(&server).await;
    old_runs_are_forgotten_in_batches(&server, &mut fixture).await;
    tables_beside_the_ledger_are_listed(&server, &mut fixture).await;
    effects::tables_with_versions_are_read_and_not_rewritten(&server, &mut fixture).await;
    a_reading_ends_before_it_fills_the_memory(&server, &mut fixture).await;
    effects::what_is_taken_back_sets_nothing_off(&server, &mut fixture).await;
    effects::side_effects_are_refused(&server, &mut fixture).await;
    effects::what_is_hidden_is_not_taken_for_absent(&server, &mut fixture).await;
    a_busy_row_costs_only_itself(&server, &mut fixture).await;
    waits::a_pin_sees_who_waits_for_it(&server, &mut fixture).await;
    waits::only_what_is_pinned_is_locked(&server, &mut fixture).await;
    a_user_without_the_right_changes_nothing(&server, &mut fixture).await;
    a_statement_that_takes_too_long_is_given_up(&server, &mut fixture).await;
    it_is_the_server_that_ends_a_statement(&server, &mut fixture).await;
    a_connection_that_was_ended_while_idle_is_made_anew(&server, &mut fixture).await;
    the_load_of_a_server_is_a_number(&server).await;
    the_server_says_who_it_is(&server).await;
}

const ALL_TYPES: &str = "CREATE TABLE shop.types (
    id INT PRIMARY KEY, t TINYINT, tu TINYINT(1) UNSIGNED, s SMALLINT, m MEDIUMINT UNSIGNED, i INT UNSIGNED,
    b BIGINT, bu BIGINT UNSIGNED, y YEAR, bits BIT(12), f FLOAT, d DOUBLE, n DECIMAL(30,10),
    c CHAR(5), v VARCHAR(20) CHARACTER SET latin1, x TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    e ENUM('red','it''s'), se SET('a','b','c'), bi BINARY(4), vb VARBINARY(10), bl BLOB,
    da DATE, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP(3) NULL ON UPDATE CURRENT_TIMESTAMP(3), ti TIME(2),
    u UUID, po POINT, g INT AS (t + 1) STORED) DEFAULT CHARSET=utf8mb4";

async fn make_types(fixture: &mut SqlFixture) {
    for sql in [
        "CREATE DATABASE IF NOT EXISTS shop",
        "DROP TABLE IF EXISTS shop.types",
        "SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
        ALL_TYPES,
        "INSERT INTO shop.types VALUES (1, -128, 255, -32768, 16777215, 4294967295, -9223372036854775808, \
         18446744073709551615, 2026, b'101000000001', 16777218, 0.1e0, -12345678901234567890.0123456789, \
         'ab', 'é', 'line\\n\\\\ü𝄞', 'it''s', 'a,c', x'0100', x'00ff', x'deadbeef', '0000-00-00', \
         '0000-00-00 00:00:00', '2026-02-28 13:14:15.000001', '2026-02-28 13:14:15.120', '-838:59:59.00', \
         '123e4567-e89b-12d3-a456-426614174000', POINT(1, 2), DEFAULT)",
        "INSERT INTO shop.types (id) VALUES (0)",
    ] {
        fixture.run(sql).await.unwrap();
    }
}

async fn types_rows(node: &mut Connection) -> (Arc<database::Table>, Vec<database::Row>) {
    let tables = node.tables().await.unwrap();
    let table = tables.into_iter().find(|table| &*table.name == "types").unwrap();
    let chunk = Chunk { table: Arc::new(table), lower: None, upper: None };
    let rows = node.rows(&chunk, 10).await.unwrap();
    (chunk.table, rows.iter().map(database::Row::from_bytes).collect())
}

async fn every_type_arrives_in_its_canonical_form(server: &Server, fixture: &mut SqlFixture) {
    make_types(fixture).await;
    let mut node = connect(server).await;
    let (table, rows) = types_rows(&mut node).await;
    assert_eq!(&*table.columns[4].definition, "mediumint unsigned NULL");
    assert!(table.columns[28].generated && !table.columns[1].generated);
    assert_eq!(rows[0].values()[1..], vec![Value::Null; 28]);
    let text = |text: &str| Value::Text(text.into());
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.into());
    let expected = vec![
        Value::Int(1),
        Value::Int(-128),
        Value::Int(255),
        Value::Int(-32768),
        Value::Int(16_777_215),
        Value::Int(4_294_967_295),
        Value::Int(i64::MIN),
        Value::Uint(u64::MAX),
        Value::Int(2026),
        Value::Int(0b1010_0000_0001),
        Value::Float(16_777_218.0),
        Value::Double(0.1),
        Value::Decimal("-12345678901234567890.0123456789".into()),
        text("ab"),
        text("é"),
        text("line\n\\ü𝄞"),
        text("it's"),
        text("a,c"),
        bytes(&[1, 0, 0, 0]),
        bytes(&[0, 255]),
        bytes(&[0xde, 0xad, 0xbe, 0xef]),
        Value::Date("0000-00-00".into()),
        Value::DateTime("0000-00-00 00:00:00.000000".into()),
        Value::DateTime("2026-02-28 13:14:15.000001".into()),
        Value::DateTime("2026-02-28 13:14:15.120000".into()),
        Value::Time("-838:59:59.000000".into()),
        text("123e4567-e89b-12d3-a456-426614174000"),
        bytes(b"\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40"),
        Value::Int(-127),
    ];
    assert_eq!(rows[1], database::Row::new(&expected), "found {}", rows[1]);
}

async fn every_type_is_written_back_bit_for_bit(server: &Server, fixture: &mut SqlFixture) {
    use database::{Edit, Mending, Writer};
    make_types(fixture).await;
    let mut node = connect(server).await;
    let (table, rows) = types_rows(&mut node).await;
    let edit = |id: i64, expected: Option<&database::Row>, wanted: Option<&database::Row>| Edit {
        table: table.clone(),
        key: Key::new(&[Value::Int(id)]),
        expected: expected.cloned(),
        wanted: wanted.cloned(),
    };
    let renumbered = |row: &database::Row, id: i64| {
        let mut values = row.values();
        values[0] = Value::Int(id);
        database::Row::new(&values)
    };
    let (nulls, full) = (renumbered(&rows[1], 0), renumbered(&rows[0], 1));
    let copy = renumbered(&rows[1], 5);
    let edits = [
        edit(0, Some(&rows[0]), Some(&nulls)),
        edit(1, Some(&rows[1]), Some(&full)),
        edit(5, None, Some(&copy)),
    ];
    let guard = node.guard(&edits).await.unwrap();
    assert_eq!(node.mend(&edits, &guard, &[true; 3]).await.unwrap(), vec![Mending::Mended; 3]);
    let (_, rows) = types_rows(&mut node).await;
    assert_eq!(rows, [nulls, full, copy]);
}

/// Stored bytes that no UTF-8 says, and values of ENUM and SET that have one text: each row gets the contents of the next.
async fn awkward_text_is_written_back_bit_for_bit(server: &Server, fixture: &mut SqlFixture) {
    use database::{Edit, Mending, Row, Writer};
    for sql in [
        "SET SESSION sql_mode='ALLOW_INVALID_DATES'",
        "CREATE TABLE shop.texts (id INT PRIMARY KEY, c VARCHAR(9) CHARACTER SET cp1251, a TEXT CHARACTER SET ascii, \
         u VARCHAR(9) CHARACTER SET ucs2, j VARCHAR(9) CHARACTER SET cp932, u8 VARCHAR(9) CHARACTER SET utf8mb4, \
         e ENUM('','x'), s SET('','x','y'))",
        "INSERT INTO shop.texts VALUES (1, 'я?', 'a?', 'я', _cp932 x'81ca', 'я', 'x', 'x'), \
         (2, _cp1251 x'98', _ascii x'80', _ucs2 x'd800', _cp932 x'fa54', x'eda080', 1, 1), \
         (3, _cp1251 x'3f', _ascii x'ff', _ucs2 x'd8010041', _cp932 x'819a', x'eda081', 2, 5), \
         (4, '', '', '', '', '', 2, 0), (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "CREATE TABLE shop.turned LIKE shop.texts",
        "INSERT INTO shop.turned SELECT id % 5 + 1, c, a, u, j, u8, e + 0, s + 0 FROM shop.texts",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = |name: &str| Arc::new(tables.iter().find(|table| &*table.name == name).unwrap().clone());
    let mut rows = Vec::new();
    for name in ["texts", "turned"] {
        let chunk = Chunk { table: table(name), lower: None, upper: None };
        let read = node.rows(&chunk, 10).await.unwrap();
        rows.push(read.iter().map(Row::from_bytes).collect::<Vec<_>>());
    }
    let edits: Vec<Edit> = (0..5)
        .map(|n| Edit {
            table: table("texts"),
            key: table("texts").key_of(rows[0][n].bytes()),
            expected: Some(rows[0][n].clone()),
            wanted: Some(rows[1][n].clone()),
        })
        .collect();
    let guard = node.guard(&edits).await.unwrap();
    assert_eq!(node.mend(&edits, &guard, &[true; 5]).await.unwrap(), [const { Mending::Mended }; 5]);
    // what the server says of the bytes, and not what we read
    let hex = "CONCAT_WS('/', HEX(c), HEX(a), HEX(u), HEX(j), HEX(u8), e + 0, s + 0)";
    for (sql, must) in [
        (format!("SELECT {hex} FROM shop.texts WHERE id = 3"), "98/80/D800/FA54/EDA080/1/1"),
        (
            format!(
                "SELECT COUNT(*) FROM shop.texts JOIN shop.turned USING (id) WHERE {} <=> {}",
                of(hex, "texts"),
                of(hex, "turned")
            ),
            "5",
        ),
    ] {
        assert_eq!(fixture.ask(&sql).await.unwrap(), must, "{sql}");
    }
}

/// The expression with the columns of one table.
fn of(hex: &str, table: &str) -> String {
    let columns = ["c", "a", "u", "j", "u8"].iter().fold(hex.to_owned(), |text, column| {
        text.replace(&format!("HEX({column})"), &format!("HEX(shop.{table}.{column})"))
    });
    columns
        .replace(" e + 0", &format!(" shop.{table}.e + 0"))
        .replace(" s + 0", &format!(" shop.{table}.s + 0"))
}

async fn the_ledger_is_written_through_the_log(server: &Server) {
    let mut ledger = LedgerConnection::connect(&server.target, None, &Options::default()).await.unwrap();
    let outcome = conformance::run_ledger(&mut connect(server).await, &mut ledger).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    let board = Board::default();
    let positions = PositionConnection::connect(&server.target, None, &Options::default(), &board).await;
    let outcome = conformance::run_positions(&mut connect(server).await, &mut positions.unwrap()).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
}

async fn old_runs_are_forgotten_in_batches(server: &Server, fixture: &mut SqlFixture) {
    use database::Ledger;
    let watermarks = |number: &str, age: u32| {
        format!(
            "INSERT INTO evensum.watermarks SELECT 'old', 'north', {number}, UTC_TIMESTAMP() - INTERVAL {age} DAY \
             FROM evensum.seq_1_to_25000"
        )
    };
    fixture.run(&watermarks("seq", 3)).await.unwrap();
    fixture.run(&watermarks("seq + 25000", 0)).await.unwrap();
    let mut ledger = LedgerConnection::connect(&server.target, None, &Options::default()).await.unwrap();
    ledger.prepare().await.unwrap();
    for (number, there) in [(1, 0), (25_000, 0), (25_001, 1)] {
        assert_eq!(ledger.marks("old", number).await.unwrap().len(), there, "{number}");
    }
}

async fn tables_beside_the_ledger_are_listed(server: &Server, fixture: &mut SqlFixture) {
    use database::Ledger;
    fixture.run("CREATE TABLE evensum.guests (id INT PRIMARY KEY)").await.unwrap();
    fixture.run("CREATE DATABASE IF NOT EXISTS shop").await.unwrap();
    fixture.run("CREATE TABLE shop.kept (id INT PRIMARY KEY)").await.unwrap();
    let options = Options { ledger: "shop".into(), ..Options::default() };
    let mut ledger = LedgerConnection::connect(&server.target, None, &options).await.unwrap();
    ledger.prepare().await.unwrap();
    let mut node = Connection::connect(&server.target, None, &options).await.unwrap();
    let names: Vec<String> = node.tables().await.unwrap().iter().map(ToString::to_string).collect();
    let listed = |name: &str| names.iter().any(|known| known == name);
    assert!(listed("evensum.guests") && listed("shop.kept"), "{names:?}");
    for own in ["evensum.checksums", "evensum.watermarks", "shop.checksums", "shop.watermarks"] {
        assert!(!listed(own), "{names:?}");
    }
    fixture.run("DROP TABLE evensum.guests, shop.checksums, shop.watermarks").await.unwrap();
}

async fn a_reading_ends_before_it_fills_the_memory(server: &Server, fixture: &mut SqlFixture) {
    fixture.run("CREATE TABLE shop.wide (id INT PRIMARY KEY, b LONGBLOB)").await.unwrap();
    for id in 1..=12 {
        fixture.run(&format!("INSERT INTO shop.wide VALUES ({id}, REPEAT('x', 1000000))")).await.unwrap();
    }
    fixture
        .run("INSERT INTO shop.wide VALUES (20, REPEAT('x', 9000000)), (21, 'y'), (22, 'z')")
        .await
        .unwrap();
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = Arc::new(tables.into_iter().find(|table| &*table.name == "wide").unwrap());
    let key = |id| Some(Key::new(&[Value::Int(id)]));
    for (lower, upper, rows, cut) in [
        (None, None, 9, true),
        (key(5), None, 9, true),
        (key(1), key(10), 9, false),
        // one row alone is more than the bound
        (key(20), key(21), 1, false),
        (key(20), key(22), 2, false),
        (key(20), None, 2, true),
    ] {
        let chunk = Chunk { table: table.clone(), lower, upper };
        let found = node.rows(&chunk, 100).await.unwrap();
        assert_eq!((found.len(), found.cut()), (rows, cut), "{chunk}");
    }
}

async fn a_busy_row_costs_only_itself(server: &Server, fixture: &mut SqlFixture) {
    use database::{Edit, Mending, Row, Writer};
    for sql in [
        "CREATE TABLE shop.busy (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.busy VALUES (1, 1), (2, 2), (3, 3)",
        "START TRANSACTION",
        "UPDATE shop.busy SET v = 20 WHERE id = 2",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = Arc::new(tables.into_iter().find(|table| &*table.name == "busy").unwrap());
    let row = |id: i64, v: i64| Row::new(&[Value::Int(id), Value::Int(v)]);
    let keys: Vec<Key> = (1..=3).map(|id| Key::new(&[Value::Int(id)])).collect();
    let pin = node.pin(&[RowsOf { table: &table, keys: &keys }]).await.unwrap();
    assert_eq!(pin.rows, [Some(row(1, 1)), Some(row(2, 2)), Some(row(3, 3))]);
    assert_eq!(
        node.still(&[RowsOf { table: &table, keys: &keys }], &pin).await.unwrap(),
        [true, false, true]
    );
    let edits: Vec<Edit> = (1..=3)
        .map(|id| Edit {
            table: table.clone(),
            key: keys[usize::try_from(id - 1).unwrap()].clone(),
            expected: Some(row(id, id)),
            wanted: Some(row(id, 0)),
        })
        .collect();
    let guard = node.guard(&edits).await.unwrap();
    fixture.run("COMMIT").await.unwrap();
    let done = node.mend(&edits, &guard, &[true; 3]).await.unwrap();
    assert_eq!(done, [Mending::Mended, Mending::Moved, Mending::Mended]);
    let rows = node.rows_by_key(&table, &keys).await.unwrap();
    assert_eq!(rows, [Some(row(1, 0)), Some(row(2, 20)), Some(row(3, 0))]);
}

async fn a_user_without_the_right_changes_nothing(server: &Server, fixture: &mut SqlFixture) {
    use database::{Edit, Error, Row, Writer};
    for sql in [
        "CREATE USER small@'127.0.0.1' IDENTIFIED BY 'secret word'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO small@'127.0.0.1'",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let target: Target = format!("mysql://small@127.0.0.1:{}", server.target.port).parse().unwrap();
    let secret = database::Secret::new("secret word");
    let mut node = Connection::connect(&target, Some(&secret), &Options::default()).await.unwrap();
    let tables = node.tables().await.unwrap();
    let table = Arc::new(tables.into_iter().find(|table| &*table.name == "busy").unwrap());
    let key = Key::new(&[Value::Int(1)]);
    let row = Row::new(&[Value::Int(1), Value::Int(0)]);
    let edit = Edit { table: table.clone(), key: key.clone(), expected: Some(row.clone()), wanted: None };
    let error = node.guard(&[edit]).await.unwrap_err();
    let line = "GRANT BINLOG ADMIN ON *.* TO `small`@`127.0.0.1`;";
    assert!(matches!(&error, Error::Refused { grant, .. } if grant.as_deref() == Some(line)), "{error:?}");
    assert_eq!(node.rows_by_key(&table, &[key]).await.unwrap(), [Some(row)]);
}

async fn a_statement_that_takes_too_long_is_given_up(server: &Server, fixture: &mut SqlFixture) {
    make_types(fixture).await;
    let options = Options { statement_timeout: Duration::from_secs(2), ..Options::default() };
    let mut node = Connection::connect(&server.target, None, &options).await.unwrap();
    let (table, rows) = types_rows(&mut node).await;
    let slow = database::Table { filter: Some("SLEEP(3) = 0".into()), ..(*table).clone() };
    let chunk = Chunk { table: Arc::new(slow), lower: None, upper: None };
    let error = node.rows(&chunk, 10).await.unwrap_err();
    assert!(matches!(error, database::Error::Bound { .. }), "{error}");
    // and the next answer is not the one that came too late
    assert_eq!(types_rows(&mut node).await.1, rows);
}

async fn it_is_the_server_that_ends_a_statement(server: &Server, fixture: &mut SqlFixture) {
    make_types(fixture).await;
    for sql in [
        "CREATE TABLE shop.slow (id INT PRIMARY KEY)",
        "INSERT INTO shop.slow SELECT seq FROM shop.seq_1_to_400",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let options = Options { statement_timeout: Duration::from_secs(1), ..Options::default() };
    let mut node = Connection::connect(&server.target, None, &options).await.unwrap();
    let tables = node.tables().await.unwrap();
    let table = tables.into_iter().find(|table| &*table.name == "slow").unwrap();
    let slow = database::Table { filter: Some("SLEEP(0.01) = 0".into()), ..table };
    let chunk = Chunk { table: Arc::new(slow), lower: None, upper: None };
    let (start, error) = (Instant::now(), node.rows(&chunk, 400).await.unwrap_err());
    // 1969: the server's own limit, before ours cut the connection
    assert!(matches!(&error, database::Error::Bound { reason, .. } if reason.contains("1969")), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // fewer rows get through, on the same connection
    assert_eq!(node.rows(&chunk, 25).await.unwrap().len(), 25);
    assert!(node.boundary(&chunk, 300).await.is_err());
}

async fn a_connection_that_was_ended_while_idle_is_made_anew(server: &Server, fixture: &mut SqlFixture) {
    use database::Ledger;
    fixture.run("SET GLOBAL wait_timeout=1").await.unwrap();
    let mut node = connect(server).await;
    let mut ledger = LedgerConnection::connect(&server.target, None, &Options::default()).await.unwrap();
    let (table, rows) = types_rows(&mut node).await;
    let keys = [Key::new(&[Value::Int(1)])];
    let watched = [RowsOf { table: &table, keys: &keys }];
    let pin = node.pin(&watched).await.unwrap();
    assert_eq!(node.still(&watched, &pin).await.unwrap(), [true]);
    fixture.run("SET GLOBAL wait_timeout=28800").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let chunk = Chunk { table: table.clone(), lower: None, upper: None };
    assert_eq!(node.rows(&chunk, 10).await.unwrap().len(), rows.len());
    let pin = node.pin(&watched).await.unwrap();
    assert_eq!(node.still(&watched, &pin).await.unwrap(), [true]);
    let mark = database::Watermark { writer: "maria".into(), number: 1 };
    ledger.mark("idle", &mark).await.unwrap();
    assert_eq!(ledger.marks("idle", 1).await.unwrap(), [mark]);
}

async fn the_load_of_a_server_is_a_number(server: &Server) {
    let names = ["threads_running", "Threads_connected", "no_such_variable", "wsrep_provider_name", "a'; --"];
    let load = connect(server).await.load(&names).await.unwrap();
    assert!(load[0] >= Some(1) && load[1] >= Some(2), "{load:?}");
    assert_eq!(load[2..], [None; 3]);
}

async fn the_server_says_who_it_is(server: &Server) {
    let mut node = connect(server).await;
    assert_eq!(node.watch(), Watch::Locks);
    let identity = node.identity().await.unwrap();
    assert_eq!(identity.server_id, "7");
    assert!(identity.version.contains("MariaDB"), "{identity:?}");
    assert!(identity.server_uuid.ends_with(&server.target.port.to_string()), "{identity:?}");
    assert_eq!(node.replication().await.unwrap(), []);
    let nobody: Target = format!("mysql://nobody@127.0.0.1:{}", server.target.port).parse().unwrap();
    let error = Connection::connect(&nobody, None, &Options::default()).await.unwrap_err();
    assert!(matches!(error, database::Error::Refused { .. }), "{error}");
    let nowhere: Target = "mysql://127.0.0.1:1".parse().unwrap();
    let error = Connection::connect(&nowhere, None, &Options::default()).await.unwrap_err();
    assert!(matches!(error, database::Error::Unreachable { .. }), "{error}");
}

use super::*;

fn body(sql: &str) -> Body {
    Body::Statement { database: "shop".into(), sql: sql.into() }
}

fn open() -> (Connection, Binlog) {
    let conn = Connection::open_in_memory().unwrap();
    let log = Binlog::open(&conn, "mysql-bin", 1000).unwrap();
    (conn, log)
}

fn append(log: &Binlog, conn: &Connection, gtid: Option<&str>, sql: &str) -> Result<Gtid, SqlError> {
    let gtid = gtid.map(|text| {
        let (origin, sequence) = text.split_once(':').unwrap();
        Gtid { origin: origin.into(), sequence: sequence.parse().unwrap() }
    });
    log.append(conn, gtid, 7, 123, &body(sql)).map(Option::unwrap)
}

#[test]
fn positions_are_bytes_and_follow_each_other() {
    let (conn, log) = open();
    assert_eq!(head(&conn).unwrap(), LogPosition { file: 1, pos: DATA_POS });
    append(&log, &conn, None, "DROP TABLE a").unwrap();
    append(&log, &conn, None, "DROP TABLE b").unwrap();
    let records = log.read(&conn, LogPosition::START).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].end_pos, DATA_POS + 64 + records[0].payload.len() as u64);
    assert_eq!(records[0].end(), records[1].position);
    assert_eq!(records[1].end(), head(&conn).unwrap());
    assert_eq!(records[1].transaction().unwrap().body, body("DROP TABLE b"));
    assert_eq!(log.read(&conn, records[1].position).unwrap(), records[1..]);
    assert!(is_boundary(&conn, records[1].position).unwrap());
    assert!(!is_boundary(&conn, LogPosition { file: 1, pos: 5 }).unwrap());
}

#[test]
fn own_sequences_have_no_gap_after_a_rollback() {
    let (conn, log) = open();
    append(&log, &conn, None, "a").unwrap();
    conn.execute_batch("SAVEPOINT s").unwrap();
    append(&log, &conn, None, "b").unwrap();
    conn.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
    assert_eq!(append(&log, &conn, None, "c").unwrap().sequence, 2);
    let executed = gtids::read(&conn, EXECUTED).unwrap().to_string();
    assert_eq!(executed, format!("{}:1-2", log.server_uuid()));
}

#[test]
fn a_transaction_is_never_executed_twice() {
    let (conn, log) = open();
    append(&log, &conn, Some("other:5"), "a").unwrap();
    let error = append(&log, &conn, Some("other:5"), "a").unwrap_err();
    assert_eq!(error.message, "transaction other:5 has already been executed");
    assert_eq!(log.read(&conn, LogPosition::START).unwrap().len(), 1);
}

#[test]
fn a_full_file_is_followed_by_the_next_and_old_files_can_be_purged() {
    let (conn, log) = open();
    for n in 0..30 {
        append(&log, &conn, Some(&format!("other:{}", n + 1)), "DELETE").unwrap();
    }
    let listed = files(&conn).unwrap();
    assert!(listed.len() > 2, "{listed:?}");
    assert!(listed.iter().rev().skip(1).all(|file| file.bytes >= 1000));
    log.purge_before(&conn, 2).unwrap();
    let first = log.read(&conn, LogPosition::START).unwrap().remove(0);
    assert_eq!(first.position, LogPosition { file: 2, pos: DATA_POS });
    assert_eq!(
        gtids::read(&conn, PURGED).unwrap().to_string(),
        format!("other:1-{}", first.gtid.sequence - 1)
    );
    assert_eq!(gtids::read(&conn, EXECUTED).unwrap().to_string(), "other:1-30");
}

#[test]
fn the_first_unknown_transaction_is_found() {
    let (conn, log) = open();
    for n in 1..=4 {
        append(&log, &conn, Some(&format!("other:{n}")), "x").unwrap();
    }
    let records = log.read(&conn, LogPosition::START).unwrap();
    let known: GtidSet = "other:1-2:4".parse().unwrap();
    assert_eq!(log.first_unknown(&conn, &known).unwrap(), records[2].position);
    let all: GtidSet = "other:1-9".parse().unwrap();
    assert_eq!(log.first_unknown(&conn, &all).unwrap(), head(&conn).unwrap());
}

#[test]
fn the_uuid_stays_and_has_the_form_of_a_uuid() {
    let (conn, log) = open();
    let again = Binlog::open(&conn, "mysql-bin", 1000).unwrap();
    assert_eq!(log.server_uuid(), again.server_uuid());
    let parts: Vec<usize> = log.server_uuid().split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
}

#[test]
fn a_waiter_is_told_of_a_commit() {
    let (conn, log) = open();
    let log = std::sync::Arc::new(log);
    let seen = log.commits();
    let writer = std::thread::spawn({
        let log = std::sync::Arc::clone(&log);
        move || log.committed()
    });
    log.wait(seen, Duration::from_secs(10));
    writer.join().unwrap();
    assert!(log.commits() > seen);
    let wanted: GtidSet = "other:1".parse().unwrap();
    assert!(!log.wait_executed(&conn, &wanted, Some(Instant::now())).unwrap());
    append(&log, &conn, Some("other:1"), "x").unwrap();
    assert!(log.wait_executed(&conn, &wanted, Some(Instant::now())).unwrap());
}

#[test]
fn a_file_is_as_old_as_this_nodes_last_write_to_it() {
    let (conn, log) = open();
    log.set_expire_seconds(3600);
    append(&log, &conn, Some("other:1"), "committed long ago elsewhere").unwrap();
    log.rotate(&conn).unwrap();
    append(&log, &conn, Some("other:2"), "and this one too").unwrap();
    log.rotate(&conn).unwrap();
    assert_eq!(log.read(&conn, LogPosition::START).unwrap().len(), 2);
    let aged = |file: u64| {
        let sql = "UPDATE _evensum_binlog_files SET written_at_ms = written_at_ms - 3700000 WHERE file = ?1";
        conn.execute(sql, [stored(file).unwrap()]).unwrap();
    };
    aged(2);
    log.rotate(&conn).unwrap();
    assert_eq!(files(&conn).unwrap()[0].file, 1, "an old file behind a young one stays");
    aged(1);
    let reading = log.reading(2);
    log.rotate(&conn).unwrap();
    assert_eq!(files(&conn).unwrap()[0].file, 2, "what is read stays");
    drop(reading);
    log.rotate(&conn).unwrap();
    assert_eq!(files(&conn).unwrap()[0].file, 3);
    assert_eq!(gtids::read(&conn, PURGED).unwrap().to_string(), "other:1-2");
}

#[test]
fn files_of_a_node_without_their_times_grow_old_from_now_on() {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(
        "CREATE TABLE _evensum_binlog_files (file INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
         INSERT INTO _evensum_binlog_files VALUES (1, 154), (2, 154);",
    )
    .unwrap();
    let before = now_ms();
    let log = Binlog::open(&conn, "mysql-bin", 1000).unwrap();
    log.purge_older(&conn, before).unwrap();
    assert_eq!(files(&conn).unwrap().len(), 2);
    append(&log, &conn, None, "a").unwrap();
    log.purge_older(&conn, now_ms() + 1).unwrap();
    assert_eq!(files(&conn).unwrap().len(), 1);
}

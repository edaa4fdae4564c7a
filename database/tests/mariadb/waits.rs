//! Who waits for a row that is held is seen soon, and who waits for somebody else is not taken for that.

use super::{Server, connect};
use database::conformance::SqlFixture;
use database::mysql::{Connection, Options};
use database::{Edit, Key, Mending, Reader, RowsOf, Secret, Target, Value, Writer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take to be seen, on a machine that does much else. The server renews its list after 0.1 s.
const SEEN_MS: u128 = 900;

/// Whether the pin of `node` is seen to be in somebody's way while `update` waits for a lock; and that it does wait.
async fn seen(
    node: &mut Connection,
    application: &mut SqlFixture,
    update: &'static str,
    expected: bool,
) -> bool {
    let start = Instant::now();
    let look = async {
        // the statement has to get as far as to wait
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut seen = false;
        while seen != expected && start.elapsed().as_millis() < SEEN_MS {
            seen = node.in_the_way().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    };
    let (written, seen) = tokio::join!(application.run(update), look);
    let refused = written.unwrap_err();
    assert!(refused.contains("Lock wait timeout"), "{refused}");
    seen
}

/// A pin gives way to who waits for it, and to nobody else.
pub async fn a_pin_sees_who_waits_for_it(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "CREATE TABLE shop.waited (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.waited VALUES (1, 1), (2, 2), (3, 3)",
        "CREATE USER IF NOT EXISTS plain@'127.0.0.1' IDENTIFIED BY 'plain word'",
        "GRANT SELECT ON shop.* TO plain@'127.0.0.1'",
        "START TRANSACTION",
        "UPDATE shop.waited SET v = 30 WHERE id = 3",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut application = SqlFixture::connect(&server.target, None).await.unwrap();
    let plain: Target = format!("mysql://plain@127.0.0.1:{}", server.target.port).parse().unwrap();
    let secret = Secret::new("plain word");
    let blind = Connection::connect(&plain, Some(&secret), &Options::default()).await.unwrap();
    for (mut node, sees_all) in [(connect(server).await, true), (blind, false)] {
        let tables = node.tables().await.unwrap();
        let table = tables.into_iter().find(|table| &*table.name == "waited").unwrap();
        let keys = [Key::new(&[Value::Int(1)]), Key::new(&[Value::Int(2)])];
        let rows = [RowsOf { table: &table, keys: &keys }];
        assert!(!node.in_the_way().await.unwrap(), "nothing is held");
        let pin = node.pin(&rows).await.unwrap();
        assert!(!node.in_the_way().await.unwrap(), "nobody waits");
        // the other one waits for the fixture's row; who may not see that gives way to be sure
        let own = "UPDATE shop.waited SET v = v + 1 WHERE id = 3";
        assert_eq!(seen(&mut node, &mut application, own, !sees_all).await, !sees_all);
        tokio::time::sleep(Duration::from_millis(150)).await;
        let ours = "UPDATE shop.waited SET v = v + 1 WHERE id = 2";
        assert!(seen(&mut node, &mut application, ours, true).await, "nobody saw who waited for us");
        assert_eq!(node.still(&rows, &pin).await.unwrap(), [true, true]);
        application.run(ours).await.unwrap();
    }
    fixture.run("ROLLBACK").await.unwrap();
}

/// However many rows of a table are pinned or guarded, the others can be written.
pub async fn only_what_is_pinned_is_locked(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "CREATE TABLE shop.crowd (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.crowd SELECT seq, 0 FROM shop.seq_1_to_1000",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = Arc::new(tables.into_iter().find(|table| &*table.name == "crowd").unwrap());
    // a server would rather read all of the table than so many keys of it
    let keys: Vec<Key> = (1..=200).map(|n| Key::new(&[Value::Int(n * 5)])).collect();
    let rows = [RowsOf { table: &table, keys: &keys }];
    let pin = node.pin(&rows).await.unwrap();
    fixture.run("UPDATE shop.crowd SET v = 1 WHERE id = 303").await.unwrap();
    assert_eq!(node.still(&rows, &pin).await.unwrap(), vec![true; 200]);
    let edits: Vec<Edit> = keys
        .iter()
        .map(|key| Edit { table: table.clone(), key: key.clone(), expected: None, wanted: None })
        .collect();
    let guard = node.guard(&edits).await.unwrap();
    assert_eq!(guard.rows.iter().flatten().count(), 200);
    fixture.run("UPDATE shop.crowd SET v = 2 WHERE id = 303").await.unwrap();
    let done = node.mend(&edits, &guard, &[false; 200]).await.unwrap();
    assert_eq!(done, vec![Mending::CalledOff; 200]);
}

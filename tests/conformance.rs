//! The bundled node under the conformance kit: what a real server must do, it must do too, through the same driver.

use crate::cluster::Cluster;
use database::Target;
use database::conformance::{self, SqlFixture};
use database::mysql::{Board, Connection, LedgerConnection, Options, PositionConnection};

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_node_does_what_the_kit_asks() {
    what_the_kit_asks("ROW").await;
}

/// Its log then tells texts, and has to know all the same which rows were changed.
#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_node_does_what_the_kit_asks_when_it_logs_statements() {
    what_the_kit_asks("STATEMENT").await;
}

async fn what_the_kit_asks(format: &'static str) {
    // the harness waits with runtimes of its own, so it works on a thread of its own
    let start = move || {
        let cluster = Cluster::start(1);
        cluster.run(1, &format!("SET GLOBAL binlog_format = {format}"));
        cluster
    };
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let target: Target = cluster.url(1).parse().unwrap();
    let mut fixture = SqlFixture::connect(&target, None).await.unwrap();
    let outcome = conformance::run(&mut fixture).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    assert!(!outcome.passed.is_empty());

    let mut node = Connection::connect(&target, None, &Options::default()).await.unwrap();
    let mut ledger = LedgerConnection::connect(&target, None, &Options::default()).await.unwrap();
    let outcome = conformance::run_ledger(&mut node, &mut ledger).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    assert!(!outcome.passed.is_empty());

    let board = Board::default();
    let mut positions =
        PositionConnection::connect(&target, None, &Options::default(), &board).await.unwrap();
    let outcome = conformance::run_positions(&mut node, &mut positions).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    assert!(!outcome.passed.is_empty());
}

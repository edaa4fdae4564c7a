//! MySQL under the conformance kit: what MariaDB and the bundled node must do, it must do too, through the same driver.

use super::server::{Program, Server};
use crate::ports::free_port;
use database::Target;
use database::conformance::{self, SqlFixture};
use database::mysql::{Connection, LedgerConnection, Options};

#[tokio::test(flavor = "multi_thread")]
async fn mysql_does_what_the_kit_asks() {
    let Some(program) = Program::mysql() else { return };
    let folder = tempfile::tempdir().unwrap();
    // the harness waits with runtimes of its own, so it works on a thread of its own
    let path = folder.path().to_owned();
    let start = move || {
        let more = ["--server-id=1", "--log-bin=bin"].map(str::to_owned);
        let mut server = Server::start(&program, &path, "mysql", free_port(), &more);
        server.ready();
        server
    };
    let server = tokio::task::spawn_blocking(start).await.unwrap();
    let target: Target = format!("mysql://root@127.0.0.1:{}", server.port).parse().unwrap();
    let mut fixture = SqlFixture::connect(&target, None).await.unwrap();
    let outcome = conformance::run(&mut fixture).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    assert!(!outcome.passed.is_empty());

    let mut node = Connection::connect(&target, None, &Options::default()).await.unwrap();
    let mut ledger = LedgerConnection::connect(&target, None, &Options::default()).await.unwrap();
    let outcome = conformance::run_ledger(&mut node, &mut ledger).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    assert!(!outcome.passed.is_empty());
}

//! Runs the conformance kit against any server behind MySQL's protocol. It drops and makes a database `shop` there.
//!
//! `cargo run -p database --example conformance -- mysql://root@127.0.0.1:3306`

#![allow(clippy::print_stdout, reason = "its report")]

use database::Target;
use database::conformance::{self, Fixture, SqlFixture};
use database::mysql::{LedgerConnection, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target: Target = std::env::args().nth(1).ok_or("which server? mysql://user@host:port")?.parse()?;
    let mut fixture = SqlFixture::connect(&target, None).await?;
    let outcome = conformance::run(&mut fixture).await;
    println!("{outcome}");
    let mut ledger = LedgerConnection::connect(&target, None, &Options::default()).await?;
    let of_ledger = conformance::run_ledger(fixture.node(), &mut ledger).await;
    println!("{of_ledger}");
    println!("{:?}\n{:?}", fixture.node().identity().await?, fixture.node().replication().await?);
    if outcome.failed.is_empty() && of_ledger.failed.is_empty() {
        Ok(())
    } else {
        Err("not all cases passed".into())
    }
}

//! The cases of a ledger. Each uses a run of its own, named by the time, since the rows of a ledger stay.

use super::{Case, Failure, equal};
use crate::Reader;
use crate::digest::Digest;
use crate::ledger::{Checksum, Ledger, Watermark};
use crate::row::Key;
use crate::table::{Chunk, Table};
use crate::value::Value;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn new_run() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("it's \\ {}", now.as_nanos())
}

pub(super) async fn prepared_twice<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Case {
    ledger.prepare().await?;
    let before = node.position().await?;
    ledger.prepare().await?;
    equal("the position after preparing again", &node.position().await?, &before)?;
    let tables = node.tables().await?;
    let own = tables.iter().filter(|table| &*table.database == "evensum").count();
    equal("tables of the ledger among the user's", &own, &0)
}

pub(super) async fn marks<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Case {
    ledger.prepare().await?;
    let run = new_run();
    let before = node.position().await?;
    let marks = ["north", "süd 'x' \\"].map(|writer| Watermark { writer: writer.into(), number: 3 });
    for mark in &marks {
        ledger.mark(&run, mark).await?;
    }
    if node.position().await? == before {
        return Err(Failure("a mark left no trace in the log".into()));
    }
    let mut shown = ledger.marks(&run, 3).await?;
    shown.sort();
    equal("marks", &shown, &marks.to_vec())?;
    equal("marks of another number", &ledger.marks(&run, 2).await?, &vec![])?;
    equal("marks of another run", &ledger.marks("no such run", 3).await?, &vec![])
}

pub(super) async fn positions<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Case {
    ledger.prepare().await?;
    let run = new_run();
    let before = node.position().await?;
    let marks = ["north", "süd 'x' \\"].map(|writer| Watermark { writer: writer.into(), number: 3 });
    for mark in &marks {
        ledger.mark(&run, mark).await?;
    }
    let mut shown = ledger.marks(&run, 3).await?;
    shown.sort();
    equal("marks", &shown, &marks.to_vec())?;
    equal("marks of another number", &ledger.marks(&run, 2).await?, &vec![])?;
    equal("marks of another run", &ledger.marks("no such run", 3).await?, &vec![])?;
    if ledger.mark(&run, &marks[0]).await.is_ok() {
        return Err(Failure("a mark was set twice".into()));
    }
    equal("the position after marking", &node.position().await?, &before)
}

pub(super) async fn checksums<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Case {
    ledger.prepare().await?;
    let run = new_run();
    let table = Arc::new(Table {
        database: "shop".into(),
        name: "or`de'rs".into(),
        columns: Vec::new(),
        key: Vec::new(),
        key_name: "".into(),
        rows_estimate: 0,
        filter: None,
    });
    let long = Key::new(&[Value::Text("'ü\\".repeat(900).into())]);
    let checksums: Vec<Checksum> = (0..450)
        .map(|number| Checksum {
            run: run.as_str().into(),
            node: "north".into(),
            number,
            chunk: Chunk { table: table.clone(), lower: (number > 0).then(|| long.clone()), upper: None },
            digest: Digest { rows: u64::MAX, hash: [0xab; 32] },
        })
        .collect();
    let before = node.position().await?;
    ledger.push(&checksums).await?;
    ledger.push(&[]).await?;
    if node.position().await? == before {
        return Err(Failure("checksums left no trace in the log".into()));
    }
    match ledger.push(&checksums[..1]).await {
        Err(_) => Ok(()),
        Ok(()) => Err(Failure("a checksum row was written twice".into())),
    }
}

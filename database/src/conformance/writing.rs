//! Cases of guarded edits: made, called off, refused, moved.

use super::sample::*;
use super::{Case, Failure, Fixture, equal};
use crate::edit::{Edit, Mending};
use crate::row::Row;
use crate::table::Chunk;
use crate::value::Value;
use crate::{Reader, RowsOf, Writer};

pub(super) async fn edits_of_all_kinds_are_made_outside_the_log<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [
        change(20, Some(order(20, "customer 2")), Some(order(20, ""))),
        Edit { table: stock(), key: item_key(9, "Åbo"), expected: None, wanted: Some(item(9, "Åbo", -1)) },
        change(40, Some(order(40, "customer 4")), None),
        change(45, None, Some(order(45, "back\\slash\n'quote'"))),
        Edit {
            table: stock(),
            key: item_key(1, "it's"),
            expected: Some(item(1, "it's", 100)),
            wanted: Some(item(1, "it's", 101)),
        },
    ];
    let before = fixture.node().position().await?;
    let guard = fixture.node().guard(&edits).await?;
    equal("guarded", &guard.rows, &edits.iter().map(|edit| edit.expected.clone()).collect())?;
    let done = fixture.node().mend(&edits, &guard, &[true; 5]).await?;
    equal("mended", &done, &vec![Mending::Mended; 5])?;
    equal("the position of the log", &fixture.node().position().await?, &before)?;
    for edit in &edits {
        let now = fixture.node().rows_by_key(&edit.table, std::slice::from_ref(&edit.key)).await?;
        equal(&format!("{} {}", edit.table, edit.key), &now, &vec![edit.wanted.clone()])?;
    }
    let chunk = Chunk { table: orders(), lower: None, upper: None };
    equal("rows of orders", &fixture.node().rows(&chunk, 100).await?.len(), &25)?;
    // the session is back in the log: what the application does after it is seen by a pin
    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &[id(20)] }]).await?;
    let wrote = write(fixture, &orders(), id(20), Some(order(20, "again"))).await?;
    equal(
        "still",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &[id(20)] }], &pin).await?,
        &vec![!wrote],
    )
}

pub(super) async fn an_edit_called_off_changes_nothing<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [
        change(20, Some(order(20, "customer 2")), Some(order(20, "x"))),
        change(30, Some(order(30, "customer 3")), Some(order(30, "x"))),
        change(35, None, Some(order(35, "x"))),
    ];
    let guard = fixture.node().guard(&edits).await?;
    let done = fixture.node().mend(&edits, &guard, &[false, true, false]).await?;
    equal("mended", &done, &vec![Mending::CalledOff, Mending::Mended, Mending::CalledOff])?;
    equal("called off", &order_now(fixture, 20).await?, &Some(order(20, "customer 2")))?;
    equal("called off", &order_now(fixture, 35).await?, &None)?;
    equal("made", &order_now(fixture, 30).await?, &Some(order(30, "x")))?;
    let guard = fixture.node().guard(&edits[..1]).await?;
    equal("all off", &fixture.node().mend(&edits[..1], &guard, &[false]).await?, &vec![Mending::CalledOff])?;
    let free = write(fixture, &orders(), id(20), Some(order(20, "app"))).await?;
    equal("the application may write again", &free, &true)
}

pub(super) async fn an_unexpected_row_is_left<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [
        change(20, Some(order(20, "someone")), Some(order(20, "x"))),
        change(25, Some(order(25, "gone")), None),
        change(30, None, Some(order(30, "x"))),
        change(40, Some(order(40, "customer 4")), Some(order(40, "x"))),
    ];
    let guard = fixture.node().guard(&edits).await?;
    equal("guarded", &guard.rows[0], &Some(order(20, "customer 2")))?;
    let done = fixture.node().mend(&edits, &guard, &[true; 4]).await?;
    equal("mended", &done, &vec![Mending::Moved, Mending::Moved, Mending::Moved, Mending::Mended])?;
    equal("left", &order_now(fixture, 20).await?, &Some(order(20, "customer 2")))?;
    equal("left", &order_now(fixture, 30).await?, &Some(order(30, "customer 3")))
}

pub(super) async fn a_row_written_since_the_guard_is_left<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [
        change(20, Some(order(20, "customer 2")), Some(order(20, "x"))),
        change(60, Some(order(60, "customer 6")), Some(order(60, "x"))),
        change(95, None, Some(order(95, "x"))),
    ];
    let guard = fixture.node().guard(&edits).await?;
    let wrote = write(fixture, &orders(), id(20), Some(order(20, "app"))).await?;
    let wrote_too = write(fixture, &orders(), id(95), Some(order(95, "app"))).await?;
    let done = fixture.node().mend(&edits, &guard, &[true; 3]).await?;
    let must = |wrote: bool| if wrote { Mending::Moved } else { Mending::Mended };
    equal("mended", &done, &vec![must(wrote), Mending::Mended, must(wrote_too)])?;
    let by = |wrote: bool| if wrote { "app" } else { "x" };
    equal("the row", &order_now(fixture, 20).await?, &Some(order(20, by(wrote))))?;
    equal("the new row", &order_now(fixture, 95).await?, &Some(order(95, by(wrote_too))))
}

pub(super) async fn a_row_written_back_since_the_guard_is_left<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [change(20, Some(order(20, "customer 2")), Some(order(20, "x")))];
    let guard = fixture.node().guard(&edits).await?;
    let wrote = write(fixture, &orders(), id(20), Some(order(20, "app"))).await?;
    if wrote {
        write(fixture, &orders(), id(20), Some(order(20, "customer 2"))).await?;
    }
    let done = fixture.node().mend(&edits, &guard, &[true]).await?;
    equal("mended", &done, &vec![if wrote { Mending::Moved } else { Mending::Mended }])?;
    let must = if wrote { "customer 2" } else { "x" };
    equal("the row", &order_now(fixture, 20).await?, &Some(order(20, must)))
}

pub(super) async fn a_refused_edit_costs_only_itself<F: Fixture>(fixture: &mut F) -> Case {
    if !fixture.enforces_types() {
        return Ok(());
    }
    load(fixture).await?;
    let mut values = order(25, "x").values();
    values[4] = Value::Null;
    let edits = [
        change(20, Some(order(20, "customer 2")), Some(order(20, "x"))),
        change(25, None, Some(Row::new(&values))),
        change(30, Some(order(30, "customer 3")), None),
        change(35, None, Some(order(35, "x"))),
    ];
    let guard = fixture.node().guard(&edits).await?;
    let done = fixture.node().mend(&edits, &guard, &[true; 4]).await?;
    let refused = matches!(done.get(1), Some(Mending::Refused(reason)) if !reason.is_empty());
    let others: Vec<&Mending> =
        done.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, done)| done).collect();
    if !refused || others.iter().any(|done| **done != Mending::Mended) {
        return Err(Failure(format!("found {done:?}")));
    }
    equal("refused", &order_now(fixture, 25).await?, &None)?;
    equal("made before", &order_now(fixture, 20).await?, &Some(order(20, "x")))?;
    equal("made after", &order_now(fixture, 35).await?, &Some(order(35, "x")))
}

pub(super) async fn a_unique_key_moves_between_rows<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    // given in the wrong order on purpose: what is to be deleted goes first
    let edits = [
        Edit { table: stock(), key: item_key(8, "Oslo"), expected: None, wanted: Some(item(8, "Oslo", 1)) },
        Edit { table: stock(), key: item_key(7, "Oslo"), expected: Some(item(7, "Oslo", 700)), wanted: None },
    ];
    let guard = fixture.node().guard(&edits).await?;
    equal("mended", &fixture.node().mend(&edits, &guard, &[true; 2]).await?, &vec![Mending::Mended; 2])?;
    let keys = [item_key(7, "Oslo"), item_key(8, "Oslo")];
    let rows = fixture.node().rows_by_key(&stock(), &keys).await?;
    equal("rows", &rows, &vec![None, Some(item(8, "Oslo", 1))])
}

pub(super) async fn a_guard_is_good_for_one_mending<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let edits = [change(20, Some(order(20, "customer 2")), Some(order(20, "x")))];
    let guard = fixture.node().guard(&edits).await?;
    equal("first", &fixture.node().mend(&edits, &guard, &[true]).await?, &vec![Mending::Mended])?;
    equal("second", &fixture.node().mend(&edits, &guard, &[true]).await?, &vec![Mending::Moved])?;
    equal("the row", &order_now(fixture, 20).await?, &Some(order(20, "x")))
}

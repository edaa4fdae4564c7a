//! Cases of reading: tables, boundaries, chunks, rows by key, values of every kind, and rows under watch.

use super::sample::*;
use super::{Case, Failure, Fixture, equal};
use crate::edit::{Edit, Mending};
use crate::row::{Key, Row, Rows};
use crate::table::{Chunk, Kind, Table};
use crate::value::Value;
use crate::{Reader, RowsOf, Writer};
use std::collections::HashSet;
use std::sync::Arc;

pub(super) async fn tables_are_listed_in_order_with_their_keys<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let found: Vec<Table> =
        fixture.node().tables().await?.into_iter().filter(|table| &*table.database == "shop").collect();
    let list = |tables: &[Table]| -> Vec<String> {
        tables.iter().map(|table| format!("{table} {} {}", table.definition(), table.key_name)).collect()
    };
    equal("tables", &list(&found), &list(&[(*orders()).clone(), (*stock()).clone()]))?;
    let kinds = |table: &Table| -> Vec<Kind> { table.columns.iter().map(|column| column.kind).collect() };
    equal("kinds", &found.iter().map(kinds).collect(), &vec![kinds(&orders()), kinds(&stock())])
}

/// All chunks of `step` rows, with what is in them.
async fn walk<R: Reader>(node: &mut R, table: &Arc<Table>, step: u64) -> Result<Vec<Rows>, Failure> {
    let mut lower = None;
    let mut chunks = Vec::new();
    loop {
        let mut chunk = Chunk { table: table.clone(), lower: lower.clone(), upper: None };
        let upper = node.boundary(&chunk, step).await?;
        chunk.upper.clone_from(&upper);
        chunks.push(node.rows(&chunk, 1_000).await?);
        if upper.is_none() {
            return Ok(chunks);
        }
        if chunks.len() > 1_000 {
            return Err(Failure(format!("the boundaries of {table} do not end")));
        }
        lower = upper;
    }
}

pub(super) async fn boundaries_cover_every_row_exactly_once<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    for (table, rows) in [(orders(), some_orders(25)), (stock(), some_stock())] {
        for step in [1, 2, 7, 24, 25, 1_000] {
            let chunks = walk(fixture.node(), &table, step).await?;
            let (last, full) = chunks.split_last().ok_or_else(|| Failure("no chunk".into()))?;
            if !full.iter().all(|chunk| chunk.len() as u64 == step) || last.len() as u64 > step {
                let sizes: Vec<usize> = chunks.iter().map(Rows::len).collect();
                return Err(Failure(format!("chunks of {table} by {step} hold {sizes:?} rows")));
            }
            let found: Vec<Row> = chunks.iter().flat_map(|chunk| chunk.iter().map(Row::from_bytes)).collect();
            equal("number of rows", &found.len(), &rows.len())?;
            equal("rows", &found.into_iter().collect(), &rows.iter().cloned().collect::<HashSet<_>>())?;
        }
    }
    Ok(())
}

pub(super) async fn chunks_are_half_open_and_limited<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    for (lower, upper, limit, must) in [
        (Some(20), Some(40), 9, vec![20, 30]),
        (Some(15), Some(41), 9, vec![20, 30, 40]),
        (None, Some(20), 9, vec![10]),
        (Some(240), None, 9, vec![240, 250]),
        (Some(20), Some(20), 9, vec![]),
        (None, None, 2, vec![10, 20]),
        (Some(-5), Some(10), 9, vec![]),
    ] {
        let chunk = Chunk { table: orders(), lower: lower.map(id), upper: upper.map(id) };
        let rows = fixture.node().rows(&chunk, limit).await?;
        let keys: Vec<Key> = rows.iter().map(|row| orders().key_of(row)).collect();
        equal(&format!("whether {chunk} was cut"), &rows.cut(), &(must.len() as u64 == limit))?;
        equal(&chunk.to_string(), &keys, &must.into_iter().map(id).collect())?;
    }
    let chunk = |(lower, upper): (i64, i64)| Chunk {
        table: orders(),
        lower: Some(id(lower)),
        upper: Some(id(upper)),
    };
    let several = [(20, 40), (40, 40), (55, 75), (230, 999)].map(chunk);
    for limit in [100, 3] {
        let mut alone = Vec::new();
        for chunk in &several {
            alone.push(fixture.node().rows(chunk, limit).await?);
        }
        let together = fixture.node().rows_of(&several, limit).await?;
        equal(&format!("several chunks, {limit} rows at most"), &together, &alone)?;
    }
    let (lower, upper) = (item_key(2, "Tallinn"), item_key(3, "Tallinn"));
    let keys = |rows: &Rows| rows.iter().map(|row| stock().key_of(row)).collect::<Vec<Key>>();
    let all = Chunk { table: stock(), lower: None, upper: None };
    let all = keys(&fixture.node().rows(&all, 100).await?);
    let chunk = Chunk { table: stock(), lower: Some(lower.clone()), upper: Some(upper.clone()) };
    let found = keys(&fixture.node().rows(&chunk, 100).await?);
    let must = all.iter().skip_while(|key| **key != lower).take_while(|key| **key != upper);
    equal(&chunk.to_string(), &found, &must.cloned().collect())?;
    if !fixture.collates() {
        return Ok(());
    }
    let must = [(2, "Tallinn"), (2, "it's"), (2, "Åbo"), (3, "Oslo")];
    equal(
        "the same by collation",
        &found,
        &must.into_iter().map(|(number, place)| item_key(number, place)).collect(),
    )
}

pub(super) async fn the_filter_limits_what_is_walked<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let table = Arc::new(Table { filter: Some("id >= 100".into()), ..(*orders()).clone() });
    let chunk = Chunk { table: table.clone(), lower: None, upper: Some(id(120)) };
    let found = fixture.node().rows(&chunk, 100).await;
    let boundary = fixture.node().boundary(&Chunk { upper: None, ..chunk }, 1).await;
    if !fixture.knows_conditions() {
        // what cannot know a condition must say so
        return equal("refused", &(found.is_err(), boundary.is_err()), &(true, true));
    }
    let keys: Vec<Key> = found?.iter().map(|row| table.key_of(row)).collect();
    equal("rows", &keys, &vec![id(100), id(110)])?;
    equal("boundary", &boundary?, &Some(id(110)))
}

pub(super) async fn a_row_that_left_the_filter_is_found_by_its_key<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let table = Arc::new(Table { filter: Some("customer <> 'gone'".into()), ..(*orders()).clone() });
    let gone = Some(order(20, "gone"));
    let wrote = write(fixture, &table, id(20), gone.clone()).await?;
    equal("the application wrote", &wrote, &true)?;
    let found = fixture.node().rows_by_key(&table, &[id(20)]).await?;
    equal("by key", &found, &vec![gone.clone()])?;
    let many: Vec<Key> = (1..=700).map(id).collect();
    let found = fixture.node().rows_by_key(&table, &many).await?;
    equal("by many keys", &found[19], &gone)?;
    let rows = [RowsOf { table: &table, keys: &[id(20)] }];
    let pin = fixture.node().pin(&rows).await?;
    equal("pinned", &pin.rows, &vec![gone.clone()])?;
    equal("still", &fixture.node().still(&rows, &pin).await?, &vec![true])?;
    let edit = Edit { table: table.clone(), key: id(20), expected: gone.clone(), wanted: None };
    let guard = fixture.node().guard(std::slice::from_ref(&edit)).await?;
    equal("guarded", &guard.rows, &vec![gone])?;
    equal("called off", &fixture.node().mend(&[edit], &guard, &[false]).await?, &vec![Mending::CalledOff])
}

pub(super) async fn rows_by_key_come_in_the_order_asked<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let rows = fixture.node().rows_by_key(&orders(), &[id(30), id(31), id(10), id(30)]).await?;
    let third = order(30, "customer 3");
    equal("rows", &rows, &vec![Some(third.clone()), None, Some(order(10, "customer 1")), Some(third)])?;
    let keys = [item_key(3, "it's"), item_key(3, "IT'S"), item_key(3, "Åbo")];
    let rows = fixture.node().rows_by_key(&stock(), &keys).await?;
    equal("rows", &rows, &vec![Some(item(3, "it's", 300)), None, Some(item(3, "Åbo", 300))])?;
    equal("no keys", &fixture.node().rows_by_key(&orders(), &[]).await?, &vec![])?;
    let many: Vec<Key> = (1..=700).map(id).collect();
    let rows = fixture.node().rows_by_key(&orders(), &many).await?;
    let there: Vec<usize> = (0..700).filter(|&place| rows[place].is_some()).collect();
    equal("many keys", &there, &(1..=25).map(|n| n * 10 - 1).collect())
}

pub(super) async fn values_of_every_kind_come_back_bit_for_bit<F: Fixture>(fixture: &mut F) -> Case {
    let (table, rows) = (kinds(), rows_of_kinds());
    fixture.load(&[((*table).clone(), rows.clone())]).await?;
    let chunk = Chunk { table: table.clone(), lower: None, upper: None };
    let read = |found: &Rows| found.iter().map(Row::from_bytes).collect::<Vec<Row>>();
    equal("loaded", &read(&fixture.node().rows(&chunk, 9).await?), &rows)?;
    // each row gets the values of the next one, and a fourth is new
    let renumbered = |row: &Row, number: i64| {
        let mut values = row.values();
        values[0] = Value::Int(number);
        Row::new(&values)
    };
    let wanted: Vec<Row> =
        (1..=4).zip(rows.iter().cycle().skip(1)).map(|(number, row)| renumbered(row, number)).collect();
    let edits: Vec<Edit> = (1..=4)
        .zip(&wanted)
        .zip(rows.iter().cloned().map(Some).chain([None]))
        .map(|((number, wanted), expected)| Edit {
            table: table.clone(),
            key: id(number),
            expected,
            wanted: Some(wanted.clone()),
        })
        .collect();
    let guard = fixture.node().guard(&edits).await?;
    equal("mended", &fixture.node().mend(&edits, &guard, &[true; 4]).await?, &vec![Mending::Mended; 4])?;
    equal("written", &read(&fixture.node().rows(&chunk, 9).await?), &wanted)
}

pub(super) async fn a_digest_made_by_the_node_tells_rows_apart<F: Fixture>(fixture: &mut F) -> Case {
    let (table, rows) = (kinds(), rows_of_kinds());
    fixture.load(&[((*table).clone(), rows.clone())]).await?;
    let part = |lower: Option<i64>, upper: Option<i64>| Chunk {
        table: table.clone(),
        lower: lower.map(id),
        upper: upper.map(id),
    };
    let parts = [part(None, Some(2)), part(Some(2), Some(9)), part(Some(9), None)];
    let before = fixture.node().digests(&parts).await?;
    equal("whether it digests", &before.is_some(), &fixture.digests())?;
    let Some(before) = before else { return Ok(()) };
    equal("rows", &before.iter().map(|digest| digest.rows).collect(), &vec![1, 2, 0])?;
    let whole = fixture.node().digests(&[part(None, None)]).await?;
    equal("rows of all", &whole.map(|digests| digests[0].rows), &Some(3))?;
    // the second row, with the value of another row in one column
    let row = rows[1].values();
    for (n, column) in table.columns.iter().enumerate().skip(1) {
        for other in [&rows[0], &rows[2]] {
            let mut changed = row.clone();
            changed[n] = other.values().swap_remove(n);
            write(fixture, &table, id(2), Some(Row::new(&changed))).await?;
            let after = fixture.node().digests(&parts).await?.unwrap_or_default();
            let same: Vec<bool> = after.iter().zip(&before).map(|(after, before)| after == before).collect();
            equal(
                &format!("parts that are as before, with another {}", column.name),
                &same,
                &vec![true, false, true],
            )?;
        }
    }
    write(fixture, &table, id(2), Some(rows[1].clone())).await?;
    equal("with the first row again", &fixture.node().digests(&parts).await?, &Some(before))
}

pub(super) async fn a_quiet_row_is_still_and_a_written_one_is_not<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let keys = [id(20), id(50)];
    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &keys }]).await?;
    equal("pinned", &pin.rows, &vec![Some(order(20, "customer 2")), Some(order(50, "customer 5"))])?;
    equal(
        "quiet",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &keys }], &pin).await?,
        &vec![true, true],
    )?;

    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &keys }]).await?;
    let other = write(fixture, &orders(), id(200), Some(order(200, "new"))).await?;
    equal("a write to a row that is not pinned went through", &other, &true)?;
    let other = write(fixture, &stock(), item_key(2, "Oslo"), Some(item(2, "Oslo", 1))).await?;
    equal("a write to another table went through", &other, &true)?;
    equal(
        "still",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &keys }], &pin).await?,
        &vec![true, true],
    )?;

    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &keys }]).await?;
    let wrote = write(fixture, &orders(), id(50), Some(order(50, "new"))).await?;
    equal(
        "still",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &keys }], &pin).await?,
        &vec![true, !wrote],
    )
}

pub(super) async fn a_row_written_and_written_back_is_not_still<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &[id(20)] }]).await?;
    let wrote = write(fixture, &orders(), id(20), Some(order(20, "other"))).await?;
    if wrote {
        write(fixture, &orders(), id(20), Some(order(20, "customer 2"))).await?;
    }
    equal(
        "still",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &[id(20)] }], &pin).await?,
        &vec![!wrote],
    )?;
    equal("the row", &order_now(fixture, 20).await?, &Some(order(20, "customer 2")))
}

pub(super) async fn a_pinned_gap_is_watched<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    let pin = fixture.node().pin(&[RowsOf { table: &orders(), keys: &[id(25)] }]).await?;
    equal("pinned", &pin.rows, &vec![None])?;
    let wrote = write(fixture, &orders(), id(25), Some(order(25, "new"))).await?;
    if wrote {
        write(fixture, &orders(), id(25), None).await?;
    }
    equal(
        "still",
        &fixture.node().still(&[RowsOf { table: &orders(), keys: &[id(25)] }], &pin).await?,
        &vec![!wrote],
    )
}

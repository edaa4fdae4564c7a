//! The cases. Each loads what it needs, asks, and says what it found.

use super::{Case, Failure, Fixture, equal};
use crate::edit::{Edit, Mending};
use crate::row::{Key, Row, Rows};
use crate::table::{Chunk, Column, Kind, Table};
use crate::value::Value;
use crate::{Reader, RowsOf, Writer};
use std::collections::HashSet;
use std::sync::Arc;

fn column(name: &str, definition: &str, kind: Kind) -> Column {
    Column { name: name.into(), definition: definition.into(), kind, generated: false, restamped: false }
}

/// A key of one column, and values of several kinds.
fn orders() -> Arc<Table> {
    Arc::new(Table {
        database: "shop".into(),
        name: "orders".into(),
        columns: vec![
            column("id", "int NOT NULL", Kind::Integer),
            column("customer", "varchar(40) utf8mb4 utf8mb4_bin NULL", Kind::Text),
            column("total", "decimal(10,2) NULL", Kind::Decimal),
            column("placed", "datetime(6) NULL", Kind::DateTime),
            column("seq", "bigint NOT NULL", Kind::Integer),
        ],
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    })
}

/// A key of two columns that are not the first ones, in another order.
fn stock() -> Arc<Table> {
    Arc::new(Table {
        database: "shop".into(),
        name: "stock".into(),
        columns: vec![
            column("amount", "int NOT NULL", Kind::Integer),
            column("place", "varchar(20) utf8mb4 utf8mb4_bin NOT NULL", Kind::Text),
            column("item", "bigint NOT NULL", Kind::Integer),
        ],
        key: vec![2, 1],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    })
}

fn order(id: i64, customer: &str) -> Row {
    Row::new(&[
        Value::Int(id),
        if customer.is_empty() { Value::Null } else { Value::Text(customer.into()) },
        Value::Decimal(format!("{id}.50").into()),
        Value::DateTime(format!("2026-01-02 03:04:05.{:06}", id.rem_euclid(1_000_000)).into()),
        Value::Int(id * 3_000_000_000),
    ])
}

fn id(id: i64) -> Key {
    Key::new(&[Value::Int(id)])
}

fn item(item: i64, place: &str, amount: i64) -> Row {
    Row::new(&[Value::Int(amount), Value::Text(place.into()), Value::Int(item)])
}

fn item_key(item: i64, place: &str) -> Key {
    Key::new(&[Value::Int(item), Value::Text(place.into())])
}

/// Keys with gaps, so that there are absent ones between them: 10, 20, 30 and so on.
fn some_orders(count: i64) -> Vec<Row> {
    (1..=count).map(|n| order(n * 10, &format!("customer {n}"))).collect()
}

fn some_stock() -> Vec<Row> {
    let mut rows = Vec::new();
    for number in 1..=7 {
        for place in ["Oslo", "Tallinn", "Åbo", "it's"] {
            rows.push(item(number, place, number * 100));
        }
    }
    rows
}

/// A column for each kind of value that every engine has.
fn kinds() -> Arc<Table> {
    let columns = vec![
        column("id", "int NOT NULL", Kind::Integer),
        column("small", "tinyint NULL", Kind::Integer),
        column("big", "bigint unsigned NULL", Kind::Integer),
        column("f", "float NULL", Kind::Float),
        column("d", "double NULL", Kind::Double),
        column("n", "decimal(30,10) NULL", Kind::Decimal),
        column("t", "text utf8mb4 utf8mb4_bin NULL", Kind::Text),
        column("b", "varbinary(20) NULL", Kind::Bytes),
        column("day", "date NULL", Kind::Date),
        column("at", "datetime(3) NULL", Kind::DateTime),
        column("whole", "datetime NULL", Kind::DateTime),
        column("span", "time(2) NULL", Kind::Time),
    ];
    Arc::new(Table { name: "kinds".into(), columns, ..(*orders()).clone() })
}

fn rows_of_kinds() -> Vec<Row> {
    let text = |text: &str| Value::Text(text.into());
    let mut nulls = vec![Value::Int(1)];
    nulls.resize(12, Value::Null);
    let full = vec![
        Value::Int(2),
        Value::Int(-128),
        Value::Uint(u64::MAX),
        Value::Float(0.1),
        Value::Double(0.1 + 0.2),
        Value::Decimal("-12345678901234567890.0123456789".into()),
        text("it's \\ a\nline\0 ü 𝄞 "),
        Value::Bytes([0, 255, 39, 92].into()),
        Value::Date("2026-02-28".into()),
        Value::DateTime("2026-02-28 13:14:15.120000".into()),
        Value::DateTime("1000-01-01 00:00:00.000000".into()),
        Value::Time("-838:59:58.010000".into()),
    ];
    let edge = vec![
        Value::Int(3),
        Value::Int(127),
        Value::Int(0),
        Value::Float(16_777_216.0),
        Value::Double(f64::MIN_POSITIVE),
        Value::Decimal("0.0000000000".into()),
        text(""),
        Value::Bytes([].into()),
        Value::Date("0000-00-00".into()),
        Value::DateTime("0000-00-00 00:00:00.000000".into()),
        Value::DateTime("9999-12-31 23:59:59.000000".into()),
        Value::Time("00:00:00.000000".into()),
    ];
    [nulls, full, edge].map(|values| Row::new(&values)).to_vec()
}

async fn load<F: Fixture>(fixture: &mut F) -> Case {
    let tables = [((*orders()).clone(), some_orders(25)), ((*stock()).clone(), some_stock())];
    Ok(fixture.load(&tables).await?)
}

/// An application's write; whether it went through.
async fn write<F: Fixture>(
    fixture: &mut F,
    table: &Arc<Table>,
    key: Key,
    wanted: Option<Row>,
) -> Result<bool, Failure> {
    Ok(fixture.write(&Edit { table: table.clone(), key, expected: None, wanted }).await?)
}

fn change(number: i64, from: Option<Row>, to: Option<Row>) -> Edit {
    Edit { table: orders(), key: id(number), expected: from, wanted: to }
}

async fn order_now<F: Fixture>(fixture: &mut F, number: i64) -> Result<Option<Row>, Failure> {
    let rows = fixture.node().rows_by_key(&orders(), &[id(number)]).await?;
    Ok(rows.into_iter().next().flatten())
}

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
        let upper = node.boundary(table, lower.as_ref(), step).await?;
        let chunk = Chunk { table: table.clone(), lower: lower.clone(), upper: upper.clone() };
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
        equal(&chunk.to_string(), &keys, &must.into_iter().map(id).collect())?;
    }
    let chunk =
        Chunk { table: stock(), lower: Some(item_key(2, "Tallinn")), upper: Some(item_key(3, "Tallinn")) };
    let rows = fixture.node().rows(&chunk, 100).await?;
    let keys: HashSet<Key> = rows.iter().map(|row| stock().key_of(row)).collect();
    let must = [(2, "Tallinn"), (2, "it's"), (2, "Åbo"), (3, "Oslo")];
    equal(
        &chunk.to_string(),
        &keys,
        &must.into_iter().map(|(number, place)| item_key(number, place)).collect(),
    )
}

pub(super) async fn the_filter_limits_readings<F: Fixture>(fixture: &mut F) -> Case {
    load(fixture).await?;
    // an implementation without SQL cannot know a filter, and must then say so
    let table = Arc::new(Table { filter: Some("id >= 100".into()), ..(*orders()).clone() });
    let chunk = Chunk { table: table.clone(), lower: None, upper: Some(id(120)) };
    match fixture.node().rows(&chunk, 100).await {
        Err(_) if !fixture.enforces_types() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(rows) => {
            let keys: Vec<Key> = rows.iter().map(|row| table.key_of(row)).collect();
            equal("rows", &keys, &vec![id(100), id(110)])?;
            let found = fixture.node().rows_by_key(&table, &[id(90), id(100)]).await?;
            equal("by key", &found.iter().map(Option::is_some).collect(), &vec![false, true])
        }
    }
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

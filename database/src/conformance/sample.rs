//! The tables and rows of the cases, and small words for writing them.

use super::{Case, Failure, Fixture};
use crate::Reader;
use crate::edit::Edit;
use crate::row::{Key, Row};
use crate::table::{Column, Kind, Table};
use crate::value::Value;
use std::sync::Arc;

pub(super) fn column(name: &str, definition: &str, kind: Kind) -> Column {
    Column { name: name.into(), definition: definition.into(), kind, generated: false, restamped: false }
}

/// A key of one column, and values of several kinds.
pub(super) fn orders() -> Arc<Table> {
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
pub(super) fn stock() -> Arc<Table> {
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

pub(super) fn order(id: i64, customer: &str) -> Row {
    Row::new(&[
        Value::Int(id),
        if customer.is_empty() { Value::Null } else { Value::Text(customer.into()) },
        Value::Decimal(format!("{id}.50").into()),
        Value::DateTime(format!("2026-01-02 03:04:05.{:06}", id.rem_euclid(1_000_000)).into()),
        Value::Int(id * 3_000_000_000),
    ])
}

pub(super) fn id(id: i64) -> Key {
    Key::new(&[Value::Int(id)])
}

pub(super) fn item(item: i64, place: &str, amount: i64) -> Row {
    Row::new(&[Value::Int(amount), Value::Text(place.into()), Value::Int(item)])
}

pub(super) fn item_key(item: i64, place: &str) -> Key {
    Key::new(&[Value::Int(item), Value::Text(place.into())])
}

/// Keys with gaps, so that there are absent ones between them: 10, 20, 30 and so on.
pub(super) fn some_orders(count: i64) -> Vec<Row> {
    (1..=count).map(|n| order(n * 10, &format!("customer {n}"))).collect()
}

pub(super) fn some_stock() -> Vec<Row> {
    let mut rows = Vec::new();
    for number in 1..=7 {
        for place in ["Oslo", "Tallinn", "Åbo", "it's"] {
            rows.push(item(number, place, number * 100));
        }
    }
    rows
}

/// A column for each kind of value that every engine has.
pub(super) fn kinds() -> Arc<Table> {
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

pub(super) fn rows_of_kinds() -> Vec<Row> {
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

pub(super) async fn load<F: Fixture>(fixture: &mut F) -> Case {
    let tables = [((*orders()).clone(), some_orders(25)), ((*stock()).clone(), some_stock())];
    Ok(fixture.load(&tables).await?)
}

/// An application's write; whether it went through.
pub(super) async fn write<F: Fixture>(
    fixture: &mut F,
    table: &Arc<Table>,
    key: Key,
    wanted: Option<Row>,
) -> Result<bool, Failure> {
    Ok(fixture.write(&Edit { table: table.clone(), key, expected: None, wanted }).await?)
}

pub(super) fn change(number: i64, from: Option<Row>, to: Option<Row>) -> Edit {
    Edit { table: orders(), key: id(number), expected: from, wanted: to }
}

pub(super) async fn order_now<F: Fixture>(fixture: &mut F, number: i64) -> Result<Option<Row>, Failure> {
    let rows = fixture.node().rows_by_key(&orders(), &[id(number)]).await?;
    Ok(rows.into_iter().next().flatten())
}

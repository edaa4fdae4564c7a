//! Cases of a table without a key, whose rows are contents with their copies.

use super::sample::{column, write};
use super::{Case, Failure, Fixture, equal};
use crate::row::{Key, Row, Rows};
use crate::table::{Kind, Table};
use crate::value::Value;
use crate::{Pin, Position, Reader, RowsOf};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many contents, each once, twice or three times.
const CONTENTS: i64 = 60;

fn visits() -> Table {
    Table {
        database: "shop".into(),
        name: "visits".into(),
        columns: vec![
            column("who", "int NOT NULL", Kind::Integer),
            column("page", "varchar(40) utf8mb4 utf8mb4_general_ci NULL", Kind::Text),
            column("at", "datetime(6) NULL", Kind::DateTime),
        ],
        key: Vec::new(),
        key_name: "".into(),
        rows_estimate: 0,
        filter: None,
    }
}

/// Every second content is another one's in other letters.
fn content(n: i64) -> Key {
    let page = if n % 2 == 0 { format!("page {}", n / 2) } else { format!("PAGE {}", n / 2) };
    Key::new(&[
        Value::Int(n / 10),
        if n % 7 == 6 { Value::Null } else { Value::Text(page.into()) },
        Value::DateTime(format!("2026-01-02 03:04:05.{n:06}").into()),
    ])
}

fn counted(n: i64, copies: i64) -> Row {
    Row::new(&[content(n).values(), vec![Value::Int(copies)]].concat())
}

fn some_copies(n: i64) -> i64 {
    1 + n % 3
}

async fn load<F: Fixture>(fixture: &mut F) -> Result<Arc<Table>, Failure> {
    let copies = |n: i64| (0..some_copies(n)).map(move |_| Row::from_bytes(content(n).bytes()));
    fixture.load(&[(visits(), (0..CONTENTS).flat_map(copies).collect())]).await?;
    Ok(Arc::new(visits().as_multiset()))
}

fn all(rows: &Rows) -> BTreeSet<Row> {
    rows.iter().map(Row::from_bytes).collect()
}

pub(super) async fn contents_without_a_key_are_counted<F: Fixture>(fixture: &mut F) -> Case {
    if !fixture.node().counts() {
        return Ok(());
    }
    let table = load(fixture).await?;
    let listed = fixture.node().tables().await?;
    let found = listed.iter().find(|found| &*found.name == "visits");
    equal(
        "the key",
        &found.map(|found| (found.key.clone(), found.key_name.clone())),
        &Some((vec![], "".into())),
    )?;
    let must: BTreeSet<Row> = (0..CONTENTS).map(|n| counted(n, some_copies(n))).collect();
    for digits in 1..=3 {
        let digests = fixture.node().buckets(&table, digits).await?;
        let rows: u64 = digests.values().map(|digest| digest.rows).sum();
        equal("rows in all buckets", &rows, &(0..CONTENTS).map(|n| some_copies(n).cast_unsigned()).sum())?;
        let buckets: Vec<u32> = digests.keys().copied().collect();
        equal("contents", &all(&fixture.node().copies(&table, digits, &buckets).await?), &must)?;
        let every: Vec<u32> = (0..16_u32.pow(digits)).collect();
        equal(
            "contents of every bucket",
            &all(&fixture.node().copies(&table, digits, &every).await?),
            &must,
        )?;
        let mut one_by_one = Vec::new();
        for bucket in &buckets {
            one_by_one.extend(all(&fixture.node().copies(&table, digits, &[*bucket]).await?));
        }
        equal("contents, bucket by bucket", &one_by_one.len(), &must.len())?;
        equal("contents, bucket by bucket", &one_by_one.into_iter().collect(), &must)?;
    }
    let keys = [content(4), content(999), content(5), content(6)];
    let rows = fixture.node().rows_by_key(&table, &keys).await?;
    let must = [Some(counted(4, 2)), None, Some(counted(5, 3)), Some(counted(6, 1))];
    equal("copies of some contents", &rows, &must.to_vec())?;
    let many: Vec<Key> = (0..700).map(content).collect();
    let rows = fixture.node().rows_by_key(&table, &many).await?;
    equal("contents that are there", &rows.iter().flatten().count(), &usize::try_from(CONTENTS).unwrap_or(0))
}

pub(super) async fn one_more_copy_changes_the_digest_of_one_bucket<F: Fixture>(fixture: &mut F) -> Case {
    if !fixture.node().counts() {
        return Ok(());
    }
    let table = load(fixture).await?;
    let before = fixture.node().buckets(&table, 2).await?;
    for (n, copies) in [(4, 3), (5, 2), (6, 0), (70, 1)] {
        let then = (copies > 0).then(|| counted(n, copies));
        equal("wrote", &write(fixture, &table, content(n), then.clone()).await?, &true)?;
        let after = fixture.node().buckets(&table, 2).await?;
        let all: BTreeMap<_, _> = before.iter().chain(&after).collect();
        let changed = all.keys().filter(|bucket| before.get(bucket) != after.get(bucket)).count();
        equal("buckets that changed", &changed, &1)?;
        equal("copies", &fixture.node().rows_by_key(&table, &[content(n)]).await?, &vec![then])?;
        let back = if n < CONTENTS { Some(counted(n, some_copies(n))) } else { None };
        write(fixture, &table, content(n), back).await?;
        equal("buckets, as they were", &fixture.node().buckets(&table, 2).await?, &before)?;
    }
    Ok(())
}

pub(super) async fn a_table_without_a_key_is_still_until_it_is_written<F: Fixture>(fixture: &mut F) -> Case {
    if !fixture.node().counts() {
        return Ok(());
    }
    let table = load(fixture).await?;
    let keys = [content(3), content(999)];
    let rows = [RowsOf { table: &table, keys: &keys }];
    let since = fixture.node().position().await?;
    let pin = fixture.node().pin(&rows).await?;
    equal("pinned", &pin.rows, &vec![Some(counted(3, 1)), None])?;
    equal("quiet", &vouched(fixture, &rows, &pin, &since).await?, &vec![true, true])?;
    let since = fixture.node().position().await?;
    let pin = fixture.node().pin(&rows).await?;
    let wrote = write(fixture, &table, content(3), Some(counted(3, 2))).await?;
    equal("a write is not held up", &wrote, &true)?;
    write(fixture, &table, content(3), Some(counted(3, 1))).await?;
    let vouched = vouched(fixture, &rows, &pin, &since).await?;
    equal("written and written back", &vouched.first(), &Some(&false))
}

/// What the node vouches for, by its pin or by its log.
async fn vouched<F: Fixture>(
    fixture: &mut F,
    rows: &[RowsOf<'_>],
    pin: &Pin,
    since: &Position,
) -> Result<Vec<bool>, crate::Error> {
    let still = fixture.node().still(rows, pin).await?;
    let unwritten = fixture.node().unwritten_since(rows, since).await?;
    Ok(still.iter().zip(unwritten).map(|(still, unwritten)| *still || unwritten).collect())
}

use super::*;
use crate::Kind;
use std::sync::Arc;

fn column(name: &str, definition: &str, kind: Kind) -> Column {
    Column { name: name.into(), definition: definition.into(), kind, generated: false, restamped: false }
}

fn table(key: &[usize]) -> Table {
    Table {
        database: "shop".into(),
        name: "or`ders".into(),
        columns: vec![
            column("a", "int NOT NULL", Kind::Integer),
            column("b", "varchar(20) utf8mb4 utf8mb4_bin NOT NULL", Kind::Text),
            Column { restamped: true, ..column("c", "datetime(3) NULL", Kind::DateTime) },
        ],
        key: key.to_vec(),
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    }
}

fn key(a: i64, b: &str) -> Key {
    Key::new(&[Value::Int(a), Value::Text(b.into())])
}

#[test]
fn a_chunk_is_a_half_open_range_in_key_order() {
    let table = Arc::new(table(&[0, 1]));
    let text =
        chunk(&Chunk { table: table.clone(), lower: Some(key(1, "x")), upper: Some(key(9, "it's")) }, 50);
    assert_eq!(
        text,
        "SELECT `a`, `b`, `c` FROM `shop`.`or``ders` WHERE (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND `b` >= 'x'))) \
         AND (`a` <= 9 AND (`a` < 9 OR (`a` = 9 AND `b` < 'it''s'))) ORDER BY `a`, `b` LIMIT 50"
    );
    let open = chunk(&Chunk { table, lower: None, upper: None }, 1);
    assert_eq!(open, "SELECT `a`, `b`, `c` FROM `shop`.`or``ders` ORDER BY `a`, `b` LIMIT 1");
}

#[test]
fn the_filter_limits_what_is_walked_and_not_what_is_read_by_key() {
    let table = Table { filter: Some("a % 2 = 0 OR b = 'x'".into()), ..table(&[0]) };
    let key = Key::new(&[Value::Int(4)]);
    assert_eq!(
        boundary(&Chunk { table: Arc::new(table.clone()), lower: Some(key.clone()), upper: None }, 1000),
        "SELECT `a` FROM `shop`.`or``ders` WHERE (`a` >= 4) AND (a % 2 = 0 OR b = 'x') ORDER BY `a` LIMIT 1 OFFSET 1000"
    );
    let keys = [key.clone(), Key::new(&[Value::Int(-5)])];
    assert_eq!(
        rows_by_key(&table, &keys, Lock::None),
        "SELECT `a`, `b`, `c` FROM `shop`.`or``ders` WHERE (`a` IN (4, -5))"
    );
    assert_eq!(
        rows_by_key(&table, &keys, Lock::Update),
        "SELECT `a`, `b`, `c` FROM `shop`.`or``ders` FORCE INDEX (`PRIMARY`) WHERE (`a` IN (4, -5)) FOR UPDATE"
    );
}

#[test]
fn keys_of_several_columns_are_named_one_by_one() {
    assert_eq!(
        rows_by_key(&table(&[0, 1]), &[key(1, "x"), key(2, "y")], Lock::Share),
        "SELECT `a`, `b`, `c` FROM `shop`.`or``ders` FORCE INDEX (`PRIMARY`) WHERE ((`a` = 1 AND `b` = 'x') OR (`a` = 2 AND `b` = 'y')) \
         LOCK IN SHARE MODE"
    );
}

#[test]
fn an_update_writes_what_differs_and_every_time() {
    let table = table(&[0]);
    let row = |b: &str, c: &str| Row::new(&[Value::Int(1), Value::Text(b.into()), Value::DateTime(c.into())]);
    let key = Key::new(&[Value::Int(1)]);
    let early = "2026-01-02 03:04:05.120000";
    assert_eq!(
        update(&table, &key, &row("x", early), &row("y", early)).unwrap(),
        "UPDATE `shop`.`or``ders` SET `b` = 'y', `c` = '2026-01-02 03:04:05.120' WHERE `a` = 1"
    );
    assert_eq!(update(&table, &key, &row("x", early), &row("x", early)), None);
    assert_eq!(
        insert(&table, &row("x", early)),
        "INSERT INTO `shop`.`or``ders` (`a`, `b`, `c`) VALUES (1, 'x', '2026-01-02 03:04:05.120')"
    );
    assert_eq!(delete(&table, &key), "DELETE FROM `shop`.`or``ders` WHERE `a` = 1");
}

#[test]
fn literals_keep_every_bit() {
    let any = column("v", "double", Kind::Double);
    for (value, text) in [
        (Value::Null, "NULL"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::Uint(u64::MAX), "18446744073709551615"),
        (Value::Float(0.1), "1.0000000149011612e-1"),
        (Value::Double(-0.0), "-0e0"),
        (Value::Decimal("-12.50".into()), "-12.50"),
        (Value::Text("o'clock".into()), "'o''clock'"),
        (Value::Text("a\\b".into()), "'a\\\\b'"),
        (Value::Text("a\n\0".into()), "'a\\n\\0'"),
        (Value::Bytes([0, 255].into()), "x'00ff'"),
        (Value::Date("0000-00-00".into()), "'0000-00-00'"),
        (Value::Time("-838:59:59.000000".into()), "'-838:59:59'"),
    ] {
        assert_eq!(literal(&value, &any), text);
    }
}

#[test]
fn enums_are_walked_by_their_text() {
    let mut table = table(&[1]);
    table.columns[1].definition = "enum('z','a') utf8mb4 utf8mb4_bin NOT NULL".into();
    assert_eq!(
        boundary(
            &Chunk { table: Arc::new(table), lower: Some(Key::new(&[Value::Text("a".into())])), upper: None },
            1
        ),
        "SELECT `b` FROM `shop`.`or``ders` WHERE (CAST(`b` AS CHAR) COLLATE utf8mb4_bin >= 'a') ORDER BY CAST(`b` AS CHAR) COLLATE utf8mb4_bin LIMIT 1 OFFSET 1"
    );
}

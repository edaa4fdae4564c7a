//! Awkward values: of every type, at its ends and beside them, and values that look like others.

#![allow(clippy::too_many_lines, reason = "lists are long")]

use crate::tables::{Column, Table, column};

pub fn numbers() -> Vec<Table> {
    let c = column;
    let integers = ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"];
    let bits = [8_u32, 16, 24, 32, 64];
    let mut signed = Vec::new();
    let mut unsigned = Vec::new();
    for (ty, bits) in integers.into_iter().zip(bits) {
        let (low, high) = (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
        let [min, min_next, max, max_next, top, top_next] =
            [low, low + 1, high, high - 1, 2 * high + 1, 2 * high].map(|number| number.to_string());
        signed.push(c(
            &format!("s{bits}"),
            ty,
            &[(&min, &min_next), (&max, &max_next), ("0", "-1"), ("NULL", "0")],
        ));
        let ty = format!("{ty} UNSIGNED");
        unsigned.push(c(
            &format!("u{bits}"),
            &ty,
            &[(&top, &top_next), (&max, &min[1..]), ("0", "1"), ("0", "NULL")],
        ));
    }
    let key = "PRIMARY KEY (n)";
    vec![
        Table::new("signed", key, signed),
        Table::new("unsigned", key, unsigned),
        Table::new(
            "integers",
            key,
            vec![
                c("z", "INT(8) ZEROFILL", &[("7", "70"), ("0", "NULL")]),
                c("b", "BOOL", &[("TRUE", "FALSE"), ("NULL", "FALSE")]),
                c("t1", "TINYINT(1) UNSIGNED", &[("255", "127"), ("1", "0")]),
                c("y", "YEAR", &[("0", "2000"), ("1901", "2155"), ("2026", "NULL")]),
            ],
        ),
        Table::new(
            "decimals",
            key,
            vec![
                c(
                    "d",
                    "DECIMAL(65,30)",
                    &[
                        (
                            "99999999999999999999999999999999999.999999999999999999999999999999",
                            "99999999999999999999999999999999999.999999999999999999999999999998",
                        ),
                        ("0.000000000000000000000000000000", "0.000000000000000000000000000001"),
                        ("-0.000000000000000000000000000001", "0.000000000000000000000000000001"),
                        ("0", "NULL"),
                    ],
                ),
                c(
                    "whole",
                    "DECIMAL(65,0)",
                    &[
                        (
                            "'10000000000000000000000000000000000000000000000000000000000000000'",
                            "'10000000000000000000000000000000000000000000000000000000000000001'",
                        ),
                        ("-1", "1"),
                    ],
                ),
                c("fraction", "DECIMAL(30,30)", &[("0.5", "0.500000000000000000000000000001")]),
                c("u", "DECIMAL(10,2) UNSIGNED", &[("0.10", "0.11"), ("99999999.99", "0")]),
            ],
        ),
        // whose text is longer than what servers take for its longest
        Table::new(
            "longer_than_declared",
            key,
            vec![
                c("d4", "DECIMAL(4,4) UNSIGNED", &[("0.0825", "0.0826"), ("NULL", "0")]),
                c("d2", "DECIMAL(2,2)", &[("-0.12", "-0.13"), ("0", "NULL")]),
                c("e", "ENUM('0','1','2','3','4','5','6','7','8','9')", &[("'0'", "'9'"), ("'1'", "NULL")]),
                c("s", "SET('a','b','c','d','e','f','g','h','i','j')", &[("'j'", "'a,j'"), ("''", "NULL")]),
                c("f", "FLOAT", &[("1.2345678e-14", "1.2345681e-14"), ("NULL", "-1e-15")]),
                c(
                    "x",
                    "DOUBLE",
                    &[
                        ("1.23456781e-14", "1.23456782e-14"),
                        ("-1.234567890123456e-10", "-1.234567890123457e-10"),
                        ("1.234567890123456e-5", "1.234567890123457e-5"),
                    ],
                ),
                c("must", "DECIMAL(4,4) NOT NULL", &[("-0.0825", "-0.0826"), ("0.9999", "0.9998")]),
                c("small", "DOUBLE NOT NULL", &[("-1.23456781e-14", "-1.23456782e-14")]),
            ],
        ),
        Table::new(
            "floats",
            key,
            vec![
                c(
                    "f",
                    "FLOAT",
                    &[
                        ("16777216", "16777218"),
                        ("0.1", "0.10000000894069672"),
                        ("1.17549435e-38", "1.1754942e-38"),
                        ("1e-45", "0"),
                        ("3.4028235e38", "3.4028233e38"),
                        ("-0.5", "0.5"),
                        ("NULL", "0"),
                    ],
                ),
                c(
                    "d",
                    "DOUBLE",
                    &[
                        ("0.1e0", "0.10000000000000002e0"),
                        ("5e-324", "0"),
                        ("1.7976931348623157e308", "1.7976931348623155e308"),
                        ("9007199254740992", "9007199254740994"),
                        ("1e15", "1.000000000000000125e15"),
                        ("2.2250738585072014e-308", "2.225073858507201e-308"),
                    ],
                ),
                c("fm", "FLOAT(7,3)", &[("1.125", "1.126")]),
                c("dm", "DOUBLE(20,5)", &[("123456789.12345", "123456789.12346")]),
                c("du", "DOUBLE UNSIGNED", &[("1e300", "1.0000000000000002e300")]),
            ],
        ),
        Table::new(
            "bits",
            key,
            [1_u32, 5, 8, 9, 12, 31, 32, 33, 63, 64]
                .map(|bits| {
                    let top = format!("b'1{}'", "0".repeat(bits as usize - 1));
                    let all = format!("b'{}'", "1".repeat(bits as usize));
                    let but_one = format!("b'{}0'", "1".repeat(bits as usize - 1));
                    c(
                        &format!("b{bits}"),
                        &format!("BIT({bits})"),
                        &[(&top, "b'0'"), (&all, &but_one), ("b'0'", "NULL")],
                    )
                })
                .into(),
        ),
    ]
}

pub fn times() -> Vec<Table> {
    let c = column;
    let key = "PRIMARY KEY (n)";
    let digits = |ty: &str, text: &dyn Fn(usize, u32) -> String, null: (&str, &str)| -> Vec<Column> {
        (0..=6)
            .map(|digits| {
                // the last digit of the fraction, or of the seconds
                let pair = (text(digits, 1), text(digits, 2));
                c(&format!("f{digits}"), &format!("{ty}({digits}) NULL"), &[(&pair.0, &pair.1), null])
            })
            .collect()
    };
    let fraction = |digits: usize, last: u32| match digits {
        0 => format!("{last}"),
        digits => format!("0.{}{last}", "0".repeat(digits - 1)),
    };
    vec![
        Table::new(
            "dates",
            key,
            vec![
                c(
                    "d",
                    "DATE",
                    &[
                        ("'0000-00-00'", "NULL"),
                        ("'2026-02-31'", "'2026-03-03'"),
                        ("'0000-01-01'", "'0001-01-01'"),
                        ("'2026-00-10'", "'2026-01-10'"),
                        ("'2026-10-00'", "'2026-09-30'"),
                        ("'9999-12-31'", "'9999-12-30'"),
                        ("'0000-00-01'", "'0000-00-00'"),
                    ],
                ),
                c(
                    "dt",
                    "DATETIME",
                    &[
                        ("'0000-00-00 00:00:00'", "NULL"),
                        ("'2026-02-30 00:00:00'", "'2026-03-02 00:00:00'"),
                        ("'0000-00-00 00:00:00'", "'0000-00-00 00:00:01'"),
                    ],
                ),
                c(
                    "ts",
                    "TIMESTAMP NULL",
                    &[
                        ("'0000-00-00 00:00:00'", "NULL"),
                        ("'1970-01-01 00:00:01'", "'1970-01-01 00:00:02'"),
                        ("'2038-01-19 03:14:07'", "'2038-01-19 03:14:06'"),
                        ("'2026-03-29 01:30:00'", "'2026-03-29 02:30:00'"),
                    ],
                ),
            ],
        ),
        Table::new(
            "datetimes",
            key,
            digits(
                "DATETIME",
                &|d, last| format!("'2026-02-28 23:59:5{}'", fraction(d, last)),
                ("'1000-01-01'", "NULL"),
            ),
        ),
        Table::new(
            "timestamps",
            key,
            digits(
                "TIMESTAMP",
                &|d, last| format!("'2026-10-25 00:59:5{}'", fraction(d, last)),
                ("'1999-12-31 23:59:59'", "NULL"),
            ),
        ),
        Table::new(
            "clocks",
            key,
            digits("TIME", &|d, last| format!("'-26:00:0{}'", fraction(d, last)), ("'00:00:00'", "NULL")),
        ),
        Table::new(
            "spans",
            key,
            vec![
                c(
                    "t",
                    "TIME",
                    &[
                        ("'838:59:59'", "'-838:59:59'"),
                        ("'-00:00:01'", "'00:00:01'"),
                        ("'25:00:00'", "'01:00:00'"),
                        ("'100:00:00'", "'10:00:00'"),
                        ("'00:00:00'", "NULL"),
                    ],
                ),
                c(
                    "t6",
                    "TIME(6)",
                    &[
                        ("'-00:00:00.000001'", "'00:00:00.000001'"),
                        ("'838:59:59.000000'", "'838:59:58.999999'"),
                        ("'-99:59:59.999999'", "'-100:00:00'"),
                    ],
                ),
            ],
        ),
        Table::new(
            "stamped",
            key,
            vec![
                c("v", "INT", &[("1", "2")]),
                c(
                    "at",
                    "TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
                    &[("'2026-01-02 03:04:05.678'", "'2026-01-02 03:04:05.679'")],
                ),
            ],
        ),
    ]
}

pub fn others() -> Vec<Table> {
    let c = column;
    let key = "PRIMARY KEY (n)";
    let sixty_four: Vec<String> = (0..64).map(|n| format!("'m{n}'")).collect();
    vec![
        Table::new(
            "choices",
            key,
            vec![
                c(
                    "e",
                    "ENUM('red','it''s','Rot','a,b')",
                    &[("'red'", "'Rot'"), ("'it''s'", "''"), ("''", "NULL"), ("'a,b'", "1")],
                ),
                c("empty", "ENUM('','x')", &[("1", "0"), ("0", "NULL"), ("'x'", "1")]),
                c("s", "SET('a','b','c')", &[("'a,c'", "'a,b,c'"), ("''", "NULL"), ("'b'", "''")]),
                c(
                    "s64",
                    &format!("SET({})", sixty_four.join(",")),
                    &[
                        ("18446744073709551615", "18446744073709551614"),
                        ("1", "3"),
                        ("9223372036854775808", "0"),
                    ],
                ),
                c("sempty", "SET('','x')", &[("1", "0"), ("3", "2"), ("0", "NULL")]),
                c("cyrillic", "ENUM('да','нет') CHARACTER SET cp1251", &[("'да'", "'нет'"), ("0", "NULL")]),
            ],
        ),
        Table::new(
            "documents",
            key,
            vec![c(
                "j",
                "JSON",
                &[
                    ("'{\"a\":1}'", "'{\"a\": 1}'"),
                    ("'[1]'", "'[1.0]'"),
                    ("'null'", "NULL"),
                    ("'{\"a\":\"é\"}'", "'{\"a\":\"\\\\u00e9\"}'"),
                ],
            )],
        ),
        Table::new(
            "binaries",
            key,
            vec![
                c(
                    "b",
                    "BINARY(4)",
                    &[("x'01'", "x'01000001'"), ("x'00000000'", "NULL"), ("x'20202020'", "x'20202000'")],
                ),
                c(
                    "v",
                    "VARBINARY(40)",
                    &[("x'00'", "x''"), ("x'ff'", "x'ff00'"), ("x'27'", "x'5c'"), ("x''", "NULL")],
                ),
                c("tb", "TINYBLOB", &[("x'00'", "x'0000'")]),
                c("bl", "BLOB", &[("REPEAT(x'00',65535)", "CONCAT(REPEAT(x'00',65534),x'01')")]),
                c(
                    "t",
                    "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                    &[("REPEAT('é',32767)", "CONCAT(REPEAT('é',32766),'è')")],
                ),
            ],
        ),
        Table::new(
            "large",
            key,
            vec![
                c("m", "MEDIUMBLOB", &[("REPEAT(x'ab',16777215)", "CONCAT(REPEAT(x'ab',16777214),x'aa')")]),
                c(
                    "l",
                    "LONGBLOB",
                    &[("REPEAT(x'ff',17000000)", "CONCAT(x'fe',REPEAT(x'ff',16999999))"), ("x'00'", "x'01'")],
                ),
            ],
        ),
        Table::new(
            "shapes",
            key,
            vec![
                c("p", "POINT", &[("POINT(1,2)", "POINT(1,2.0000000000000004)"), ("NULL", "POINT(0,0)")]),
                c(
                    "l",
                    "LINESTRING",
                    &[("LINESTRING(POINT(0,0),POINT(1,1))", "LINESTRING(POINT(1,1),POINT(0,0))")],
                ),
                c(
                    "poly",
                    "POLYGON",
                    &[(
                        "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
                        "ST_GeomFromText('POLYGON((1 0,1 1,0 0,1 0))')",
                    )],
                ),
                c(
                    "g",
                    "GEOMETRY",
                    &[
                        ("ST_GeomFromText('POINT(1 1)',4326)", "ST_GeomFromText('POINT(1 1)',0)"),
                        (
                            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')",
                            "ST_GeomFromText('MULTIPOINT(1 1)')",
                        ),
                    ],
                ),
            ],
        ),
        Table::new(
            "addresses",
            key,
            vec![
                c(
                    "u",
                    "UUID",
                    &[
                        ("'123e4567-e89b-12d3-a456-426614174000'", "'123e4567-e89b-12d3-a456-426614174001'"),
                        ("'00000000-0000-0000-0000-000000000000'", "NULL"),
                    ],
                ),
                c("i4", "INET4", &[("'0.0.0.0'", "'0.0.0.1'"), ("'255.255.255.255'", "NULL")]),
                c(
                    "i6",
                    "INET6",
                    &[
                        ("'::ffff:1.2.3.4'", "'::1.2.3.4'"),
                        ("'::'", "NULL"),
                        ("'2001:db8::1'", "'2001:db8::1:0'"),
                    ],
                ),
            ],
        ),
        Table::new(
            "generated",
            key,
            vec![
                c("a", "INT", &[("1", "2"), ("NULL", "0")]),
                c("virtual", "INT AS (a + 1) VIRTUAL", &[]),
                c("stored", "VARCHAR(20) AS (CONCAT('x', a)) STORED", &[]),
                c("unseen", "INT INVISIBLE DEFAULT 7", &[("7", "8"), ("NULL", "7")]),
            ],
        ),
        Table::new(
            "packed",
            key,
            vec![
                c(
                    "t",
                    "TEXT COMPRESSED CHARACTER SET utf8mb4",
                    &[("REPEAT('a',9000)", "CONCAT(REPEAT('a',8999),'A')"), ("''", "NULL")],
                ),
                c("b", "BLOB COMPRESSED", &[("REPEAT(x'00',9000)", "REPEAT(x'00',8999)")]),
                c("v", "VARCHAR(900) COMPRESSED", &[("REPEAT('a',900)", "REPEAT('a',899)")]),
            ],
        ),
        Table::new("nothing", key, vec![c("v", "INT", &[])]),
    ]
}

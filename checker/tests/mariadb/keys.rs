//! Awkward keys: of every type that can be one, in every order, and changed to keys that some order takes for the same.

#![allow(clippy::too_many_lines, reason = "lists are long")]

use crate::tables::{Table, column, keyed};

pub fn keys() -> Vec<Table> {
    let c = column;
    let primary = "PRIMARY KEY (k)";
    let text =
        |charset: &str, collation: &str| format!("VARCHAR(40) CHARACTER SET {charset} COLLATE {collation}");
    let words = [
        ("'a'", "'A'"),
        ("'b'", "'b '"),
        ("'é'", "'e\u{301}'"),
        ("'ö'", "'Ö'"),
        ("''", "'zz'"),
        ("'it''s'", "'\\\\'"),
    ];
    let exact = [
        ("'a'", "'á'"),
        ("'A'", "'A\u{301}'"),
        ("'b '", "'b  '"),
        ("'b'", "'c'"),
        ("'é'", "'E'"),
        ("'e\u{301}'", "'e\u{300}'"),
        ("''", "' '"),
        ("x'00'", "x'01'"),
    ];
    let mut tables = vec![
        keyed(
            "key_bigint",
            "BIGINT UNSIGNED",
            primary,
            &[
                ("18446744073709551615", "18446744073709551613"),
                ("9223372036854775808", "9223372036854775809"),
                ("9223372036854775807", "5"),
                ("0", "1"),
            ],
        ),
        keyed(
            "key_gaps",
            "BIGINT",
            primary,
            &[
                ("-9223372036854775808", "-9223372036854775807"),
                ("-1", "-2"),
                ("0", "7"),
                ("9223372036854775807", "9223372036854775806"),
            ],
        ),
        keyed(
            "key_decimal",
            "DECIMAL(65,30)",
            primary,
            &[
                ("-0.000000000000000000000000000001", "-0.000000000000000000000000000002"),
                ("0", "9"),
                ("0.000000000000000000000000000001", "0.000000000000000000000000000003"),
                (
                    "99999999999999999999999999999999999.999999999999999999999999999999",
                    "99999999999999999999999999999999999.999999999999999999999999999997",
                ),
            ],
        ),
        keyed(
            "key_float",
            "FLOAT",
            primary,
            &[("0.1", "0.10000000894069672"), ("16777216", "16777218"), ("-1e-45", "1e-45"), ("0", "1")],
        ),
        keyed(
            "key_double",
            "DOUBLE",
            primary,
            &[
                ("0.1e0", "0.10000000000000002e0"),
                ("-5e-324", "5e-324"),
                ("1.7976931348623157e308", "1.7976931348623155e308"),
                ("0", "1e-300"),
            ],
        ),
        keyed(
            "key_bit",
            "BIT(64)",
            primary,
            &[
                ("b'0'", "b'11'"),
                ("b'1'", "b'10'"),
                ("18446744073709551615", "18446744073709551613"),
                ("9223372036854775808", "9223372036854775809"),
            ],
        ),
        keyed("key_year", "YEAR", primary, &[("0", "1999"), ("1901", "1902"), ("2155", "2154")]),
        keyed(
            "key_date",
            "DATE",
            primary,
            &[
                ("'0000-00-00'", "'0000-00-01'"),
                ("'2026-02-31'", "'2026-02-30'"),
                ("'2026-03-01'", "'2026-03-02'"),
                ("'9999-12-31'", "'9999-12-30'"),
            ],
        ),
        keyed(
            "key_datetime",
            "DATETIME(6)",
            primary,
            &[
                ("'0000-00-00'", "'0000-00-00 00:00:00.000001'"),
                ("'2026-02-31 01:02:03.000004'", "'2026-02-31 01:02:03.000005'"),
                ("'9999-12-31 23:59:59.999999'", "'9999-12-31'"),
            ],
        ),
        keyed(
            "key_timestamp",
            "TIMESTAMP(3)",
            primary,
            &[
                ("'2026-03-29 00:59:59.999'", "'2026-03-29 00:59:59.998'"),
                ("'2026-10-25 00:30:00'", "'2026-10-25 01:30:00'"),
                ("'1970-01-01 00:00:01'", "'1970-01-02'"),
                ("'0000-00-00'", "'2000-01-01'"),
            ],
        ),
        keyed(
            "key_time",
            "TIME(2)",
            primary,
            &[
                ("'-838:59:59'", "'-838:59:58'"),
                ("'-00:00:00.01'", "'00:00:00.01'"),
                ("'00:00:00'", "'00:00:01'"),
                ("'100:00:00'", "'10:00:00'"),
            ],
        ),
        keyed(
            "key_binary",
            "BINARY(3)",
            primary,
            &[
                ("x'000000'", "x'000001'"),
                ("x'616263'", "x'414243'"),
                ("x'ffffff'", "x'fffffe'"),
                ("x'27005c'", "x'275c00'"),
            ],
        ),
        keyed(
            "key_varbinary",
            "VARBINARY(9)",
            primary,
            &[("x''", "x'01'"), ("x'00'", "x'0000'"), ("x'ff'", "x'ff00'"), ("x'275c'", "x'5c27'")],
        ),
        keyed("key_enum", "ENUM('z','a','M')", primary, &[("'a'", "0"), ("'M'", "'z'")]),
        keyed("key_enum_empty", "ENUM('z','','a')", primary, &[("''", "0"), ("'a'", "'z'")]),
        keyed("key_set", "SET('z','a')", primary, &[("''", "'a'"), ("'z'", "'z,a'")]),
        keyed(
            "key_uuid",
            "UUID",
            primary,
            &[
                ("'123e4567-e89b-12d3-a456-426614174000'", "'123e4567-e89b-12d3-a456-426614174009'"),
                ("'ffffffff-0000-0000-0000-000000000000'", "'ffffffff-0000-0000-0000-000000000001'"),
                ("'00000000-0000-0000-0000-ffffffffffff'", "'00000000-0000-0000-0000-fffffffffffe'"),
            ],
        ),
        keyed(
            "key_inet",
            "INET6",
            primary,
            &[("'::'", "'::1'"), ("'ffff::'", "'ffff::1'"), ("'2001:db8::1'", "'2001:db8::2'")],
        ),
        keyed("key_ci", &text("utf8mb4", "utf8mb4_general_ci"), primary, &words),
        keyed("key_unicode", &text("utf8mb4", "utf8mb4_unicode_ci"), primary, &words),
        keyed("key_uca1400", &text("utf8mb4", "utf8mb4_uca1400_ai_ci"), primary, &words),
        keyed("key_bin", &text("utf8mb4", "utf8mb4_nopad_bin"), primary, &exact),
        keyed(
            "key_nopad",
            &text("utf8mb4", "utf8mb4_general_nopad_ci"),
            primary,
            &[("'a'", "'A'"), ("'a '", "'A '"), ("'b'", "'b  '"), ("''", "'  '"), ("' '", "'   '")],
        ),
        keyed(
            "key_latin1",
            &text("latin1", "latin1_german2_ci"),
            primary,
            &[("'ä'", "'Ä'"), ("'ß'", "'ss'"), ("x'81'", "x'8d'"), ("'z'", "'z '")],
        ),
        keyed(
            "key_cp1251",
            &text("cp1251", "cp1251_general_ci"),
            primary,
            &[("'я'", "'Я'"), ("_cp1251 x'98'", "_cp1251 x'9898'"), ("'а'", "'б'"), ("'?'", "'??'")],
        ),
        keyed(
            "key_ascii",
            &text("ascii", "ascii_bin"),
            primary,
            &[("'a'", "'A'"), ("_ascii x'80'", "_ascii x'81'"), ("'?'", "_ascii x'ff'")],
        ),
        keyed(
            "key_ucs2",
            &text("ucs2", "ucs2_bin"),
            primary,
            &[("'a'", "'A'"), ("_ucs2 x'd800'", "_ucs2 x'd801'"), ("'я'", "'Я'")],
        ),
        keyed(
            "key_sjis",
            &text("sjis", "sjis_bin"),
            primary,
            &[("_sjis x'82a0'", "_sjis x'82a2'"), ("'a'", "'A'"), ("_sjis x'5c'", "_sjis x'815f'")],
        ),
        keyed("key_descending", "INT", "PRIMARY KEY (k DESC)", &[("1", "10"), ("2", "20"), ("3", "30")]),
        keyed("key_unique", "INT", "UNIQUE (k)", &[("1", "10"), ("2", "20"), ("3", "30")]),
        keyed(
            "key_two_uniques",
            "INT",
            "UNIQUE b (k), UNIQUE a (n, k), UNIQUE c (v)",
            &[("1", "10"), ("2", "20")],
        ),
        keyed(
            "key_prefix_and_whole",
            "VARCHAR(90)",
            "PRIMARY KEY (k(3)), UNIQUE (n)",
            &[("'abc'", "'abC'"), ("'xyz'", "'xyz1'"), ("'123'", "'124'")],
        ),
        keyed(
            "key_long_blob",
            "BLOB",
            "UNIQUE (k)",
            &[("REPEAT('a',3000)", "REPEAT('a',3001)"), ("''", "'x'"), ("x'00'", "x'0000'")],
        ),
        keyed(
            "key_long_text",
            "VARCHAR(768) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            primary,
            &[
                ("CONCAT(REPEAT('é',767),'1')", "CONCAT(REPEAT('é',767),'4')"),
                ("CONCAT(REPEAT('é',767),'2')", "CONCAT(REPEAT('é',767),'5')"),
                ("CONCAT(REPEAT('é',767),'3')", "''"),
            ],
        ),
    ];
    tables.push(Table::new(
        "key_composite",
        "PRIMARY KEY (`t`, e, d DESC, n)",
        vec![
            c("e", "ENUM('z','a') NOT NULL", &[("'z'", "'a'"), ("'a'", "'z'"), ("'z'", "'a'")]),
            c(
                "t",
                "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
                &[("'a'", "'A'"), ("'a'", "'á'"), ("'B'", "'b '")],
            ),
            c("d", "DATE NOT NULL", &[("'2026-01-01'", "'2026-01-02'"), ("'0000-00-00'", "'0000-00-01'")]),
            c("v", "INT", &[("1", "2")]),
        ],
    ));
    tables
}

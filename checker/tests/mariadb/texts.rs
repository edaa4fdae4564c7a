//! Awkward texts: character sets in which two stored contents look alike, and collations that take texts for each other.

use crate::tables::{Column, Table, column};

/// Character sets, each with two stored contents that are not the same although they may look so.
const CHARSETS: [(&str, &[(&str, &str)]); 24] = [
    ("latin1", &[("x'e9'", "x'e8'"), ("x'81'", "x'8d'"), ("x'3f'", "x'81'")]),
    ("utf8mb3", &[("x'c3a9'", "x'65cc81'"), ("x'eda080'", "x'3f'"), ("x'eda080'", "x'eda081'")]),
    ("utf8mb4", &[("x'f09f9880'", "x'f09f9881'"), ("x'c3a9'", "x'65cc81'"), ("x'eda080'", "x'eda081'")]),
    ("ucs2", &[("x'00e9'", "x'00650301'"), ("x'd800'", "x'd801'"), ("x'dfff0041'", "x'003f0041'")]),
    ("utf16", &[("x'd83dde00'", "x'd83dde01'"), ("x'0041'", "x'00410300'")]),
    ("utf16le", &[("x'3dd800de'", "x'3dd801de'"), ("x'4100'", "x'6100'")]),
    ("utf32", &[("x'0001f600'", "x'0001f601'"), ("x'00000041'", "x'00000061'")]),
    ("ascii", &[("x'41'", "x'61'"), ("x'80'", "x'3f'"), ("x'80'", "x'ff'"), ("x'c3a9'", "x'c3a8'")]),
    ("cp1251", &[("x'c0'", "x'e0'"), ("x'98'", "x'3f'"), ("x'9898'", "x'983f'")]),
    ("cp1250", &[("x'8a'", "x'8c'"), ("x'81'", "x'83'")]),
    ("cp1257", &[("x'c0'", "x'e0'"), ("x'81'", "x'83'")]),
    ("latin2", &[("x'a1'", "x'b1'"), ("x'80'", "x'81'")]),
    ("latin5", &[("x'dd'", "x'fd'")]),
    ("latin7", &[("x'c0'", "x'e0'"), ("x'a1'", "x'a5'")]),
    ("greek", &[("x'c1'", "x'e1'"), ("x'ae'", "x'ff'"), ("x'd2'", "x'3f'")]),
    ("hebrew", &[("x'e0'", "x'e1'"), ("x'bf'", "x'c0'")]),
    ("koi8r", &[("x'c1'", "x'e1'")]),
    ("cp850", &[("x'82'", "x'90'")]),
    ("tis620", &[("x'a1'", "x'a2'"), ("x'db'", "x'dc'")]),
    ("sjis", &[("x'82a0'", "x'82a2'"), ("x'5c'", "x'815f'")]),
    ("cp932", &[("x'fa54'", "x'81ca'"), ("x'879a'", "x'fa5b'")]),
    ("eucjpms", &[("x'a4a2'", "x'a4a4'")]),
    ("gbk", &[("x'b0a1'", "x'b0a2'")]),
    ("big5", &[("x'a440'", "x'a441'")]),
];

pub fn character_sets() -> Vec<Table> {
    let table = |(charset, stored): (&str, &[(&str, &str)])| {
        let mut pairs: Vec<(String, String)> = stored
            .iter()
            .map(|(from, to)| (format!("_{charset} {from}"), format!("_{charset} {to}")))
            .collect();
        pairs.extend(
            [("''", "NULL"), ("'a'", "'A'"), ("'a?'", "'a'")].map(|(from, to)| (from.into(), to.into())),
        );
        let column = |name: &str, ty: &str, more: &[(&str, &str)]| {
            let mut pairs = pairs.clone();
            pairs.extend(more.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())));
            Column { name: name.into(), ty: format!("{ty} CHARACTER SET {charset}"), pairs }
        };
        let space = [("'a'", "'a '"), ("''", "' '")];
        Table::new(
            &format!("in_{charset}"),
            "PRIMARY KEY (n)",
            vec![
                column("c", "CHAR(9)", &[]),
                column("v", "VARCHAR(9)", &space),
                column("t", "TEXT", &space),
                column("lt", "LONGTEXT", &[]),
            ],
        )
    };
    CHARSETS.into_iter().map(table).collect()
}

/// Text of a character set beside text of Unicode: what makes one text of both must not lose what the one alone would keep.
pub fn mixtures() -> Vec<Table> {
    let table = |(charset, stored): (&str, &[(&str, &str)])| {
        let pairs =
            stored.iter().map(|(from, to)| (format!("_{charset} {from}"), format!("_{charset} {to}")));
        let ty = format!("VARCHAR(9) CHARACTER SET {charset}");
        let own =
            Column { name: "v".into(), ty, pairs: pairs.chain([("'a'".into(), "'b'".into())]).collect() };
        let unicode = column("u", "VARCHAR(9) CHARACTER SET utf8mb4", &[("'é'", "'e'")]);
        Table::new(&format!("beside_{charset}"), "PRIMARY KEY (n)", vec![own, unicode])
    };
    CHARSETS.into_iter().map(table).collect()
}

pub fn collations() -> Vec<Table> {
    let near = [
        ("'a'", "'A'"),
        ("'é'", "'e\u{301}'"),
        ("'e'", "'é'"),
        ("'a'", "'a '"),
        ("'ß'", "'ss'"),
        ("'i'", "'ı'"),
        ("''", "x'00'"),
        ("'ab'", "_utf8mb4 x'6100'"),
        ("'\u{2126}'", "'\u{3a9}'"),
        ("'ｱ'", "'ア'"),
        ("'\u{200b}x'", "'x'"),
        ("''", "' '"),
        ("'\\n'", "'\\r'"),
        ("'NULL'", "NULL"),
    ];
    let latin = [("'a'", "'A'"), ("'e'", "'é'"), ("'a'", "'a '"), ("'ß'", "'ss'"), ("'ä'", "'ae'")];
    let of = |name: &str, charset: &str, collations: &[&str], pairs: &[(&str, &str)]| {
        let columns = collations.iter().enumerate().map(|(at, collation)| {
            column(
                &format!("v{at}"),
                &format!("VARCHAR(20) CHARACTER SET {charset} COLLATE {collation}"),
                pairs,
            )
        });
        Table::new(name, "PRIMARY KEY (n)", columns.collect())
    };
    vec![
        of(
            "collated",
            "utf8mb4",
            &[
                "utf8mb4_general_ci",
                "utf8mb4_unicode_ci",
                "utf8mb4_unicode_520_ci",
                "utf8mb4_bin",
                "utf8mb4_nopad_bin",
                "utf8mb4_general_nopad_ci",
                "utf8mb4_turkish_ci",
                "utf8mb4_uca1400_ai_ci",
                "utf8mb4_uca1400_as_cs",
                "utf8mb4_uca1400_nopad_as_ci",
            ],
            &near,
        ),
        of(
            "latin",
            "latin1",
            &[
                "latin1_swedish_ci",
                "latin1_german2_ci",
                "latin1_bin",
                "latin1_general_cs",
                "latin1_nopad_bin",
            ],
            &latin,
        ),
    ]
}

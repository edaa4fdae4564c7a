//! The weight of every character, read from a MariaDB.

use node::sql::collation::{Collation, weigh};

use crate::cluster::mariadb::Server;

const POINTS: u32 = 0x1_0000;
/// Beyond the basic plane.
const FAR: [u32; 6] = [0x1_0000, 0x1_0400, 0x1_F600, 0x2_0000, 0xE_0001, 0x10_FFFF];

fn read(server: &Server, collation: &str) -> Vec<(u32, Vec<u32>)> {
    let mut client = server.client();
    client.run(&["SET NAMES utf8mb4", "CREATE DATABASE IF NOT EXISTS w", "USE w"]);
    let mut all = Vec::new();
    let far = FAR.map(|point| point.to_string()).join(", ");
    for source in [
        format!("SELECT seq FROM seq_0_to_{} WHERE seq NOT BETWEEN 55296 AND 57343", POINTS - 1),
        format!("SELECT seq FROM seq_0_to_1114111 WHERE seq IN ({far})"),
    ] {
        let character = "CONVERT(CHAR(seq USING utf32) USING utf8mb4)";
        let sql =
            format!("SELECT seq, HEX(WEIGHT_STRING({character} COLLATE {collation})) FROM ({source}) s");
        for row in client.query(&sql).unwrap() {
            let [Some(point), Some(weights)] = row.as_slice() else { panic!("{row:?}") };
            let width = if collation.ends_with("bin") { 6 } else { 4 };
            let weights = weights.as_bytes().chunks(width);
            let weights = weights
                .map(|hex| u32::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap())
                .collect();
            all.push((point.parse().unwrap(), weights));
        }
    }
    all
}

pub fn check(server: &Server) {
    for (collation, file) in [
        (Collation::GeneralCi, Some("general_ci.txt")),
        (Collation::UnicodeCi, Some("unicode_ci.txt")),
        (Collation::Bin, None),
    ] {
        let theirs = read(server, collation.name());
        assert_eq!(theirs.len(), 65_536 - 2_048 + FAR.len());
        if let (Some(file), Ok(_)) = (file, std::env::var("EVENSUM_COLLATION_WRITE")) {
            write(collation, file, &theirs);
            continue;
        }
        for (point, theirs) in theirs {
            let ours = weigh(collation, &char::from_u32(point).unwrap().to_string());
            assert_eq!(ours, theirs, "{} U+{point:04X}", collation.name());
        }
    }
}

/// What a character weighs that the file does not name.
fn usual(collation: Collation, point: u32) -> Vec<u32> {
    let base = match point {
        _ if collation == Collation::GeneralCi => return vec![point],
        0x4E00..=0x9FA5 => 0xFB40,
        0x3400..=0x4DB5 => 0xFB80,
        _ => 0xFBC0,
    };
    vec![base + (point >> 15), (point & 0x7FFF) | 0x8000]
}

/// Writes a table in the form that `sql/collation/weights.rs` reads: the longest runs that can be named.
fn write(collation: Collation, file: &str, all: &[(u32, Vec<u32>)]) {
    let near = all.iter().filter(|(point, _)| *point < POINTS);
    let special: Vec<_> = near.filter(|(point, weights)| *weights != usual(collation, *point)).collect();
    let (mut text, mut at) = (String::new(), 0);
    while let Some((first, weights)) = special.get(at) {
        let run = |step: u32| {
            let belongs = |nth: usize| {
                let distance = u32::try_from(nth).unwrap();
                let mut expected = weights.clone();
                if let Some(last) = expected.last_mut() {
                    *last += distance * step;
                }
                special.get(at + nth).is_some_and(|(p, w)| *p == first + distance && *w == expected)
            };
            (1..).take_while(|nth| belongs(*nth)).count() + 1
        };
        let (rising, flat) = (if weights.is_empty() { 1 } else { run(1) }, run(0));
        let length = rising.max(flat);
        text += &format!("{first:X}");
        if length > 1 {
            text += &format!("-{:X}", special[at + length - 1].0);
        }
        text.extend(weights.iter().map(|weight| format!(" {weight:X}")));
        text += if length > 1 && rising >= flat { "+\n" } else { "\n" };
        at += length;
    }
    let path = format!("{}/src/sql/collation/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(&path, text).unwrap();
    eprintln!("wrote {path}");
}

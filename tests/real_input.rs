//! Real data: the Unicode character database and the ISO tables, loaded through the stock client into one of two masters.
//!
//! 137 rows are changed, deleted and inserted behind replication's back; exactly those must be found; and after the repair
//! a dump of both sides is equal, byte by byte.

use crate::cluster::Cluster;
use crate::commands::said;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BATCH_ROWS: usize = 500;
const CHANGED: usize = 137;
const ISO: [&str; 4] = ["iso_3166-1", "iso_3166-2", "iso_639-3", "iso_4217"];

fn stock_client() -> Option<&'static str> {
    let works = |name: &&str| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    ["mariadb", "mysql"].into_iter().find(works)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn insert(out: &mut String, table: &str, rows: &[String]) {
    for rows in rows.chunks(BATCH_ROWS) {
        let _ = writeln!(out, "INSERT INTO world.{table} VALUES {};", rows.join(","));
    }
}

/// The whole input as a script for the client, and how many code points it has.
fn script(unicode: &Path) -> (String, usize) {
    let mut out = String::from(
        "CREATE DATABASE world;
         CREATE TABLE world.points (code INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(120) NOT NULL,
             category CHAR(2) NOT NULL, upper_case INT UNSIGNED, self VARBINARY(4));
         CREATE TABLE world.names (category CHAR(2) NOT NULL, name VARCHAR(120) NOT NULL, code INT UNSIGNED NOT NULL,
             PRIMARY KEY (category, name, code));\n",
    );
    let text = std::fs::read_to_string(unicode).unwrap();
    let (mut points, mut names) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        let code = u32::from_str_radix(fields[0], 16).unwrap();
        let upper = u32::from_str_radix(fields[12], 16).map_or("NULL".to_owned(), |code| code.to_string());
        let own = char::from_u32(code).map_or("NULL".to_owned(), |c| {
            let bytes: String = c.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{bytes}'")
        });
        points.push(format!("({code},{},'{}',{upper},{own})", quoted(fields[1]), fields[2]));
        names.push(format!("('{}',{},{code})", fields[2], quoted(fields[1])));
    }
    insert(&mut out, "points", &points);
    insert(&mut out, "names", &names);
    for name in ISO {
        let path = format!("/usr/share/iso-codes/json/{name}.json");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let list = document.as_object().unwrap().values().next().unwrap().as_array().unwrap();
        let table = name.replace('-', "_");
        let _ =
            writeln!(out, "CREATE TABLE world.{table} (n INT NOT NULL PRIMARY KEY, name TEXT, entry JSON);");
        let text = |entry: &Value| entry["name"].as_str().map_or("NULL".to_owned(), quoted);
        let rows: Vec<String> = (list.iter().enumerate())
            .map(|(n, entry)| format!("({n},{},{})", text(entry), quoted(&entry.to_string())))
            .collect();
        insert(&mut out, &table, &rows);
    }
    (out, points.len())
}

fn load(client: &str, port: u16, script: &str) {
    let mut child = Command::new(client)
        .args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--default-character-set=utf8mb4"])
        .arg(format!("--port={port}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Every table of both sides as the stock client prints it.
fn dump(client: &str, port: u16) -> Vec<u8> {
    let mut all = Vec::new();
    let tables =
        ["points ORDER BY code", "names ORDER BY category, name, code"].map(str::to_owned).into_iter();
    for table in tables.chain(ISO.iter().map(|name| format!("{} ORDER BY n", name.replace('-', "_")))) {
        let output = Command::new(client)
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--user=root",
                "--default-character-set=utf8mb4",
                "--batch",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--execute=SELECT * FROM world.{table}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{table}: {}", String::from_utf8_lossy(&output.stderr));
        all.extend(output.stdout);
    }
    all
}

#[test]
fn exactly_the_changed_rows_of_real_data_are_found_and_mended() {
    let unicode = PathBuf::from("/usr/share/unicode/UnicodeData.txt");
    let (Some(client), true, true) =
        (stock_client(), unicode.exists(), Path::new("/usr/share/iso-codes/json").exists())
    else {
        eprintln!("SKIPPED: needs mariadb-client, unicode-data and iso-codes (tests/run installs them)");
        return;
    };
    let cluster = Cluster::start(2);
    let (script, points) = script(&unicode);
    load(client, cluster.port(1), &script);
    cluster.settle();
    assert_eq!(cluster.ask(2, "SELECT COUNT(*) FROM world.points")[0][0], Some(points.to_string()));
    let expected = dump(client, cluster.port(1));
    assert!(expected.len() > 2_000_000, "only {} bytes", expected.len());

    let codes: Vec<String> = cluster
        .ask(2, "SELECT code FROM world.points ORDER BY code")
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    let mut planted = BTreeSet::new();
    let mut statements = Vec::new();
    for n in 0..CHANGED {
        let code = &codes[n * 211];
        let (key, sql) = match n % 4 {
            0 => (
                code.clone(),
                format!("UPDATE world.points SET name = CONCAT(name, ' ') WHERE code = {code}"),
            ),
            1 => (code.clone(), format!("DELETE FROM world.points WHERE code = {code}")),
            2 => (
                code.clone(),
                format!("UPDATE world.points SET upper_case = 4294967295, self = NULL WHERE code = {code}"),
            ),
            _ => {
                let new = 2_000_000 + n;
                (new.to_string(), format!("INSERT INTO world.points VALUES ({new}, '', 'Zz', NULL, x'00')"))
            }
        };
        planted.insert(key);
        statements.push(sql);
    }
    cluster.corrupt(2, &statements.iter().map(String::as_str).collect::<Vec<_>>());

    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "world.*", "--json"]));
    assert_eq!(code, 1, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let found: BTreeSet<String> = report["divergences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|divergence| divergence["key"]["code"].as_str().unwrap_or("another table").to_owned())
        .collect();
    assert_eq!(found, planted);
    assert_eq!(report["divergences"].as_array().unwrap().len(), CHANGED);

    let (code, out, err) = said(&cluster.evensum(&[
        "sync",
        "--tables",
        "world.*",
        "--policy",
        "prefer=n1",
        "--execute",
        "--yes",
    ]));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(dump(client, cluster.port(2)), expected);
    assert_eq!(dump(client, cluster.port(1)), expected);
    assert_eq!(cluster.evensum(&["check", "--tables", "world.*"]).status.code(), Some(0));
}

//! The transcripts of `node/scripts` are true: a real MariaDB is asked the same statements and answers the same.
//!
//! The node's own test (`session/tests/scripts.rs`) holds it to the transcripts; this one holds the transcripts to a MariaDB
//! that it starts and ends by itself, so that none of them keeps a mistake as its expectation. Rows, numbers of changed rows
//! and errors are compared. Where the two differ by intent, the statement stands in `mariadb-differs.txt` with the reason;
//! the test fails for what differs and is not listed, and as well for what is listed and agrees. The messages of errors
//! are not compared, only their numbers: clients act on those. Without an installed MariaDB the test says so and checks nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use std::path::PathBuf;

use cluster::mariadb::Server;
use cluster::{Client, Member, Reply};

/// What the node is by itself: it writes its log by rows and is called 1.
const OPTIONS: [&str; 3] = ["--log-bin=log", "--server-id=1", "--binlog-format=ROW"];

/// A statement whose answer differs: its script, its beginning, and why.
struct Differs<'a> {
    script: &'a str,
    beginning: &'a str,
    /// How many statements it covered that differ, and which it covered that agree.
    differing: usize,
    agreeing: Vec<String>,
}

fn listed(text: &str) -> Vec<Differs<'_>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split(" => ").collect();
            let [script, beginning, reason] = parts[..] else {
                panic!("not `script => beginning => reason`: {line}")
            };
            assert!(!beginning.is_empty() && !reason.trim().is_empty(), "no statement or no reason: {line}");
            Differs { script, beginning, differing: 0, agreeing: Vec::new() }
        })
        .collect()
}

/// In the words of the transcripts; of an error its number alone.
fn answer(client: &mut Client, sql: &str) -> String {
    match client.outcome(&[b"\x03", sql.as_bytes()].concat()) {
        Err(error) => format!("error {}", error.0),
        Ok(Reply::Done(changed)) => format!("ok {changed}"),
        Ok(Reply::Rows(rows)) => {
            let row = |row: &Vec<Option<String>>| {
                row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
            };
            rows.iter().map(row).collect::<Vec<_>>().join("\n")
        }
    }
}

/// A transcript's answer, without the message of an error.
fn wanted(text: &str) -> String {
    let text = text.trim_matches('\n');
    match text.strip_prefix("error ").and_then(|rest| rest.split(' ').next()) {
        Some(number) => format!("error {number}"),
        None => text.to_owned(),
    }
}

/// A client in a server that holds the empty database `shop` and nothing that an earlier transcript left.
fn fresh(server: &Server) -> Client {
    let mut client = server.client();
    for row in client.query("SHOW DATABASES").unwrap() {
        let name = row[0].as_deref().unwrap();
        if !["information_schema", "mysql", "performance_schema", "sys"].contains(&name) {
            client.run(&[&format!("DROP DATABASE `{name}`")]);
        }
    }
    client.run(&[
        "SET GLOBAL binlog_format = ROW",
        "SET GLOBAL time_zone = '+00:00'",
        "CREATE DATABASE shop",
    ]);
    client = server.client();
    client.run(&["SET NAMES utf8mb4", "USE shop"]);
    client
}

/// The statements of a transcript, and what each must answer.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
    let blocks = blocks.filter(|block| !block.is_empty() && !block.starts_with("# "));
    blocks.map(|block| block.split_once("\n---").unwrap_or((block, "")))
}

fn scripts() -> Vec<PathBuf> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "sql"));
    files.sort();
    files
}

#[test]
fn the_transcripts_are_what_mariadb_answers() {
    let Some(server) = Server::start(&OPTIONS) else { return };
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let list = std::fs::read_to_string(format!("{dir}/mariadb-differs.txt")).unwrap();
    let mut list = listed(&list);
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for file in scripts() {
        let script = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut client = fresh(&server);
        let text = std::fs::read_to_string(&file).unwrap();
        for (sql, expected) in blocks(&text) {
            let (expected, got) = (wanted(expected), answer(&mut client, sql));
            let entry =
                list.iter_mut().find(|entry| entry.script == script && sql.starts_with(entry.beginning));
            compared += 1;
            match (expected == got, entry) {
                (true, None) => {}
                (true, Some(entry)) => entry.agreeing.push(sql.to_owned()),
                (false, Some(entry)) => entry.differing += 1,
                (false, None) => {
                    wrong.push(format!("{script}: {sql}\n--- transcript\n{expected}\n--- MariaDB\n{got}\n"))
                }
            }
        }
    }
    for entry in list.iter().filter(|entry| entry.differing == 0 || !entry.agreeing.is_empty()) {
        let (script, beginning, agreeing) = (entry.script, entry.beginning, &entry.agreeing);
        wrong.push(format!("listed as different and not so: {script} => {beginning}: {agreeing:?}"));
    }
    assert!(compared > 200, "{compared} statements");
    println!(
        "{compared} statements compared, {} of them differ as listed",
        list.iter().map(|e| e.differing).sum::<usize>()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Queries whose columns are computed, besides those of the transcripts.
const COMPUTED: [&str; 13] = [
    "SELECT   1 +\n  2 , (1), ((select 1)), (SELECT  1  UNION SELECT 2 LIMIT 1), 3 /* x */ + 4",
    "(SELECT 1+1) UNION (SELECT 2+2)",
    "WITH x AS (SELECT 1+1 AS a, 2) SELECT a+1, a  +2 FROM x",
    "SELECT DISTINCT 1+1, extract(day FROM '2020-01-02'), trim(both 'x' from 'xax')",
    "SELECT '  lead', '', \"dq\", 'a' 'b', x'41', 0x41, true, False, null, -1, - 1, +1, +'x', ('a'), N'n'",
    "SELECT *, 1+1 FROM (SELECT 1 AS a, 3) d",
    "SELECT 1+1, d.*, 2*2 FROM (SELECT 1 AS a, 3) d",
    "SELECT @@sql_mode='', @a , current_timestamp=now(), current_user, utc_date()=curdate(), 5 mod 3, 5 div 2",
    "SELECT COUNT(*)FROM(SELECT 1)d",
    "SELECT(1+1)",
    "SELECT (a), ((d.b)), -(a), (a + 1) FROM (SELECT 1 AS a, 2 AS b) d",
    "SELECT concat('ü','é') , 'ünï', max(1)  ;",
    "SELECT 'x' LIKE 'y', 1 IS NULL, 1 BETWEEN 0 AND 2, case 1 when 1 then 2 end, cast(1 as decimal(10,2)), a.b FROM (SELECT 1 AS b) a",
];

#[test]
fn columns_have_the_titles_that_mariadb_gives_them() {
    let Some(server) = Server::start(&OPTIONS) else { return };
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let long = format!("SELECT {}", ["1000"; 60].join("+"));
    let computed = [&COMPUTED[..], &[long.as_str()]].concat();
    let texts: Vec<String> = scripts().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let scripts = texts.iter().map(|text| blocks(text).map(|(sql, _)| sql).collect::<Vec<_>>());
    for statements in scripts.chain([computed]) {
        let mut node = Member::new(1, 1);
        node.client.run(&["CREATE DATABASE shop", "USE shop"]);
        let mut client = fresh(&server);
        for sql in statements {
            let (here, there) = (node.client.query(sql), client.query(sql));
            // SHOW has MySQL's columns on a node
            if sql.starts_with("SHOW") || here.is_err() || there.is_err() || client.titles.is_empty() {
                assert!(!COMPUTED.contains(&sql), "{sql}: {here:?} {there:?}");
                continue;
            }
            compared += 1;
            let (here, there) = (&node.client.titles, &client.titles);
            if here != there {
                wrong.push(format!("{sql}\n{here:?}\n--- MariaDB\n{there:?}\n"));
            }
        }
    }
    assert!(compared > 100, "{compared} queries");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

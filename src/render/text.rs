//! Results as text: first one sentence that says it all, then the tables, then each row that differs.
//!
//! ```text
//! different: 1 row in 1 of 2 tables on n1, n2 (1,500 rows compared in 0.4 s)
//!
//!   table          rows  chunks  verdict
//!   shop.orders   1,000       4  identical
//!   shop.products   500       2  different: 1 row
//!
//! shop.products id=100
//!   stock  10 on n1 | 5 on n2
//! ```
//!
//! Colour is never the only signal. Text of rows is shown with control characters escaped, so that a value cannot
//! move a terminal's cursor.

use crate::commands::status::NodeStatus;
use crate::marks::GIVEN_UP;
use crate::render::json::hex;
use checker::{Divergence, Report, TableReport, Verdict, Version};
use database::{Key, Row, Table, Value};
use indicatif::HumanCount;
use std::fmt::Write;

/// The most rows that are written out one by one; all of them are in the JSON document.
const SHOWN_ROWS: usize = 50;
/// The most characters of one value.
const SHOWN_CHARACTERS: usize = 60;
/// The hex digits of a fingerprint that a person compares; all of them are in the JSON document.
const SHOWN_HEX: usize = 16;

/// What a check gave up by writing nothing on the nodes.
pub fn without_ledger() -> String {
    GIVEN_UP
        .iter()
        .fold("\nwithout a ledger:\n".to_owned(), |text, sentence| format!("{text}  * {sentence}\n"))
}

/// A check. `next` is the command that plans the repair.
pub fn report(report: &Report, next: &str, coloured: bool) -> String {
    if report.tables.is_empty() {
        return format!("nothing was compared: no table was selected on {}\n", report.nodes.join(", "));
    }
    let mut text = format!("{}\n{}\n", sentence(report, coloured), course(report));
    let mut rows = vec![["table", "rows", "chunks", "verdict"].map(str::to_owned).to_vec()];
    rows.extend(report.tables.iter().map(|table| {
        let (rows, chunks) = match table.verdict {
            Verdict::Skipped => ("-".to_owned(), "-".to_owned()),
            _ => (HumanCount(table.rows).to_string(), HumanCount(table.chunks).to_string()),
        };
        vec![table.table.to_string(), rows, chunks, verdict_of(table)]
    }));
    text.push_str(&aligned(&rows, "  "));
    text.push_str(&definitions(&report.tables));
    for divergence in report.divergences.iter().take(SHOWN_ROWS) {
        text.push('\n');
        text.push_str(&self::divergence(divergence));
    }
    let hidden = report.divergences.len().saturating_sub(SHOWN_ROWS) as u64 + report.unlisted;
    if hidden > 0 {
        let _ = writeln!(text, "\nand {hidden} more rows; --json lists them");
    }
    for unsettled in report.unsettled.iter().take(SHOWN_ROWS) {
        let key = key(&unsettled.table, &unsettled.key);
        let _ = writeln!(text, "\n{} {key}\n  unsettled: {}", unsettled.table, unsettled.reason);
    }
    text.push_str(&fingerprints(report));
    match report.verdict() {
        Verdict::Different => {
            let _ = writeln!(text, "\nnext: {next}");
        }
        Verdict::Unsettled => {
            let _ = writeln!(text, "\nnext: the same command again, when replication has caught up");
        }
        Verdict::Identical | Verdict::Skipped => {}
    }
    text
}

/// The verdict in one sentence.
fn sentence(report: &Report, coloured: bool) -> String {
    let count = |of: fn(&TableReport) -> u64| report.tables.iter().map(of).sum::<u64>();
    let tables = |verdict| report.tables.iter().filter(|table| table.verdict == verdict).count();
    let all = report.tables.len();
    let detail = match report.verdict() {
        Verdict::Identical => counted(all as u64, "table"),
        Verdict::Different => {
            format!(
                "{} in {} of {all} tables",
                counted(count(|t| t.rows_different), "row"),
                tables(Verdict::Different)
            )
        }
        Verdict::Unsettled => {
            format!(
                "{} in {} of {all} tables",
                counted(count(|t| t.rows_unsettled), "row"),
                tables(Verdict::Unsettled)
            )
        }
        Verdict::Skipped => {
            format!("{} of {all} tables were not compared, the rest is identical", tables(Verdict::Skipped))
        }
    };
    let interrupted = if report.interrupted { ", stopped before the end" } else { "" };
    format!(
        "{}: {detail} on {}{interrupted} ({} rows compared in {:.1} s)",
        paint(report.verdict(), coloured),
        report.nodes.join(", "),
        HumanCount(count(|t| t.rows)),
        report.elapsed.as_secs_f64()
    )
}

/// How the check went: what held it back, what it took over, what a reader should know; one line each.
fn course(report: &Report) -> String {
    let course = &report.course;
    let mut text = String::new();
    let held: Vec<String> = (course.throttled.iter())
        .map(|(cause, held)| {
            format!("{:.1} s by {cause} ({})", held.time.as_secs_f64(), counted(held.pauses, "pause"))
        })
        .collect();
    if !held.is_empty() {
        let _ = writeln!(text, "held back: {}", held.join(", "));
    }
    if course.chunks_resumed > 0 {
        let _ = writeln!(
            text,
            "{} were compared before the run was resumed",
            counted(course.chunks_resumed, "chunk")
        );
    }
    if course.chunks_retried > 0 {
        let chunks = counted(course.chunks_retried, "chunk");
        let _ = writeln!(text, "{chunks} took too long to read and were read again with fewer rows");
    }
    for note in &course.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn paint(verdict: Verdict, coloured: bool) -> String {
    let colour = match verdict {
        Verdict::Identical => 32,
        Verdict::Different => 31,
        Verdict::Unsettled | Verdict::Skipped => 33,
    };
    if coloured { format!("\u{1b}[1;{colour}m{verdict}\u{1b}[0m") } else { verdict.to_string() }
}

fn verdict_of(table: &TableReport) -> String {
    let mut parts = Vec::new();
    if table.rows_different > 0 {
        parts.push(counted(table.rows_different, "row"));
    }
    if table.rows_unsettled > 0 {
        parts.push(format!("{} unsettled", counted(table.rows_unsettled, "row")));
    }
    parts.extend(table.reason.clone());
    let verdict = table.verdict.to_string();
    if parts.is_empty() { verdict } else { format!("{verdict}: {}", parts.join(", ")) }
}

/// A row on which nodes disagree: its key, and each column that differs with every version and its holders.
pub fn divergence(divergence: &Divergence) -> String {
    let mut text = format!("{} {}\n", divergence.table, key(&divergence.table, &divergence.key));
    let holders = |version: &Version| version.nodes.join(", ");
    let rows: Vec<(&Version, &Row)> =
        divergence.versions.iter().filter_map(|version| Some((version, version.row.as_ref()?))).collect();
    for version in divergence.versions.iter().filter(|version| version.row.is_none()) {
        let _ = writeln!(text, "  missing on {}", holders(version));
    }
    if let [(version, row)] = rows[..] {
        let _ = writeln!(text, "  there on {}: {}", holders(version), row_text(&divergence.table, row));
        return text;
    }
    let differing = divergence.columns();
    let lines: Vec<Vec<String>> = (divergence.table.columns.iter().enumerate())
        .filter(|(_, column)| differing.contains(&column.name.as_ref()))
        .map(|(place, column)| {
            let sides = rows.iter().map(|(version, row)| {
                let value = row.values().into_iter().nth(place).unwrap_or(Value::Null);
                format!("{} on {}", shown(&value), holders(version))
            });
            vec![column.name.to_string(), sides.collect::<Vec<_>>().join(" | ")]
        })
        .collect();
    text.push_str(&aligned(&lines, "  "));
    text
}

/// The key as `id=7` or `order_id=7 line=2`.
pub fn key(table: &Table, key: &Key) -> String {
    let parts = table.key_columns().zip(key.values());
    parts.map(|(column, value)| format!("{}={}", column.name, shown(&value))).collect::<Vec<_>>().join(" ")
}

fn row_text(table: &Table, row: &Row) -> String {
    let values = row.values();
    let others = table.columns.iter().zip(&values).enumerate().filter(|(n, _)| !table.key.contains(n));
    others
        .map(|(_, (column, value))| format!("{}={}", column.name, shown(value)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A value, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
    }
}

/// The definitions of tables that were skipped because these differ, side by side.
fn definitions(tables: &[TableReport]) -> String {
    let mut text = String::new();
    for table in tables.iter().filter(|table| !table.definitions.is_empty()) {
        let sides = table.definitions.iter().map(|side| vec![side.nodes.join(", "), side.text.clone()]);
        let _ = write!(
            text,
            "\n{} is defined in {} ways\n{}",
            table.table,
            table.definitions.len(),
            aligned(&sides.collect::<Vec<_>>(), "  ")
        );
    }
    text
}

fn fingerprints(report: &Report) -> String {
    let mut rows = Vec::new();
    for table in report.tables.iter().filter(|table| !table.fingerprints.is_empty()) {
        let mut row = vec![table.table.to_string()];
        row.extend(
            table
                .fingerprints
                .iter()
                .map(|print| format!("{} {}…", print.node, &hex(&print.root)[..SHOWN_HEX])),
        );
        rows.push(row);
    }
    if rows.is_empty() { String::new() } else { format!("\nfingerprints\n{}", aligned(&rows, "  ")) }
}

/// The state of the nodes.
pub fn status(nodes: &[NodeStatus]) -> String {
    let mut text = String::new();
    for node in nodes {
        let answer = match &node.answer {
            Ok(answer) => answer,
            Err(failure) => {
                let _ = writeln!(text, "{}\n  does not answer: {}", node.name, failure.what);
                continue;
            }
        };
        let _ = writeln!(
            text,
            "{}\n  server {} ({}), {}{}",
            node.name,
            answer.server_id,
            answer.identity,
            answer.version,
            if answer.read_only { ", read-only" } else { "" }
        );
        if answer.links.is_empty() {
            let _ = writeln!(text, "  replicates from nobody");
        }
        for link in &answer.links {
            let word = |runs: bool| if runs { "Yes" } else { "No" };
            let lag = link.lag_seconds.map_or("unknown".to_owned(), |lag| format!("{lag} s"));
            let channel =
                if link.channel.is_empty() { String::new() } else { format!(" ({})", link.channel) };
            let _ = writeln!(
                text,
                "  replicates from {}{channel}: IO {}, SQL {}, lag {lag}",
                link.source,
                word(link.io_running),
                word(link.sql_running)
            );
            if !link.last_error.is_empty() {
                let _ = writeln!(text, "    {}", link.last_error.escape_debug());
            }
        }
    }
    text
}

/// Columns side by side, each as wide as its widest cell; columns of numbers to the right.
pub fn aligned(rows: &[Vec<String>], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], n: usize| row.get(n).cloned().unwrap_or_default();
    let numeric =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !text.contains(' ');
    let mut text = String::new();
    let layout: Vec<(usize, bool)> = (0..columns)
        .map(|n| {
            let width = rows.iter().map(|row| cell(row, n).chars().count()).max().unwrap_or(0);
            let right = rows.len() > 1 && rows[1..].iter().all(|row| numeric(&cell(row, n)));
            (width, right && n + 1 < columns && n > 0)
        })
        .collect();
    for row in rows {
        let mut line = indent.to_owned();
        for (n, (width, right)) in layout.iter().enumerate() {
            let (value, width) = (cell(row, n), *width);
            let gap = if n > 0 { "  " } else { "" };
            let _ = match right {
                true => write!(line, "{gap}{value:>width$}"),
                false => write!(line, "{gap}{value:<width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1 row`, `2 rows`.
fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// A word as a shell takes it whole.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:@=.,_-+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::{Definition, NodeFingerprint};
    use database::{Column, Kind};
    use std::sync::Arc;
    use std::time::Duration;

    fn table(name: &str) -> Arc<Table> {
        let column = |name: &str| Column {
            name: name.into(),
            definition: "int".into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        };
        Arc::new(Table {
            database: "shop".into(),
            name: name.into(),
            columns: ["id", "stock", "note"].map(column).to_vec(),
            key: vec![0],
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        })
    }

    fn row(id: i64, stock: i64, note: &str) -> Option<Row> {
        Some(Row::new(&[Value::Int(id), Value::Int(stock), Value::Text(note.into())]))
    }

    fn table_report(name: &str, verdict: Verdict, rows_different: u64) -> TableReport {
        let print = |node: &str, byte| NodeFingerprint { node: node.into(), root: [byte; 32] };
        let skipped = verdict == Verdict::Skipped;
        TableReport {
            table: table(name),
            verdict,
            rows: 1_500,
            chunks: 4,
            chunks_mismatched: 1,
            chunks_different: 1,
            chunks_unsettled: 0,
            chunk_verdicts: Vec::new(),
            rows_lagging: 0,
            rows_different,
            rows_unsettled: 0,
            fingerprints: if skipped { Vec::new() } else { vec![print("n1", 0x11), print("n2", 0xab)] },
            reason: skipped.then(|| "it has no key".into()),
            definitions: Vec::new(),
        }
    }

    #[test]
    fn a_report_says_all_in_its_first_line_and_then_row_by_row() {
        let nodes: Vec<Box<str>> = vec!["n1".into(), "n2".into()];
        let divergence = |id: i64, rows: [Option<Row>; 2]| {
            Divergence::new(&table("products"), &Key::new(&[Value::Int(id)]), &rows, &nodes)
        };
        let report = Report {
            tables: vec![
                table_report("log", Verdict::Skipped, 0),
                table_report("products", Verdict::Different, 2),
            ],
            divergences: vec![
                divergence(100, [row(100, 10, "same"), row(100, 5, "same")]),
                divergence(7, [row(7, 1, "a\u{1b}[2J"), None]),
            ],
            elapsed: Duration::from_millis(1_250),
            ..Report::of("r", &nodes)
        };
        assert_eq!(
            super::report(&report, "evensum sync", false),
            "different: 2 rows in 1 of 2 tables on n1, n2 (3,000 rows compared in 1.2 s)\n\n\
             \x20 table           rows  chunks  verdict\n\
             \x20 shop.log           -       -  skipped: it has no key\n\
             \x20 shop.products  1,500       4  different: 2 rows\n\n\
             shop.products id=100\n\x20 stock  10 on n1 | 5 on n2\n\n\
             shop.products id=7\n\x20 missing on n2\n\x20 there on n1: stock=1 note='a\\u{1b}[2J'\n\n\
             fingerprints\n\x20 shop.products  n1 1111111111111111…  n2 abababababababab…\n\n\
             next: evensum sync\n"
        );
        assert!(super::report(&report, "", true).starts_with("\u{1b}[1;31mdifferent\u{1b}[0m: "));
    }

    #[test]
    fn definitions_that_differ_stand_side_by_side() {
        let side = |text: &str, node: &str| Definition { text: text.into(), nodes: vec![node.into()] };
        let definitions = vec![side("(id int; key id)", "n1"), side("(id bigint; key id)", "north")];
        let table = TableReport { definitions, ..table_report("wide", Verdict::Skipped, 0) };
        assert_eq!(
            super::definitions(&[table]),
            "\nshop.wide is defined in 2 ways\n  n1     (id int; key id)\n  north  (id bigint; key id)\n"
        );
        assert_eq!(super::definitions(&[table_report("log", Verdict::Skipped, 0)]), "");
    }

    #[test]
    fn long_values_are_cut_where_a_character_ends() {
        let text = shown(&Value::Text("é".repeat(100).into()));
        assert!(text.starts_with("'é") && text.ends_with("… (102 characters)"), "{text}");
    }

    #[test]
    fn words_are_quoted_for_the_shell_only_where_they_must_be() {
        assert_eq!(quoted("mysql://root@127.0.0.1:33061"), "mysql://root@127.0.0.1:33061");
        assert_eq!(quoted("shop.*"), "'shop.*'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}

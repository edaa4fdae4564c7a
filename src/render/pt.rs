//! A check as pt-table-checksum prints one, for scripts that read its columns.
//!
//! ```text
//! Checking if all tables can be checksummed ...
//! Starting checksum ...
//!             TS ERRORS  DIFFS     ROWS  DIFF_ROWS  CHUNKS SKIPPED    TIME TABLE
//! 11-21T03:00:00      0      1      500          3       2       0   0.012 shop.products
//! ```
//!
//! DIFFS are chunks that differ, as there. DIFF_ROWS are all rows that differ, where pt-table-checksum has the difference of two row
//! counts. SKIPPED are chunks with rows that stayed unsettled. TS is when the table had been read, and TIME how long that took:
//! rows that differ are settled at the end, for all tables together. A table that was skipped has no line, and its reason is a
//! warning, as there.

use crate::gentle::on_the_wall;
use checker::{Report, TableReport, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

const BANNER: &str = "Checking if all tables can be checksummed ...\nStarting checksum ...\n";
const STAMP: &str = "%m-%dT%H:%M:%S";

/// The lines, and the warnings that go elsewhere. `times` says when the reading of a table ended, and how long it took.
pub fn report(report: &Report, times: &BTreeMap<String, (u64, Duration)>) -> (String, Vec<String>) {
    let (mut text, mut warnings) = (BANNER.to_owned(), Vec::new());
    let compared = |table: &&TableReport| table.verdict != Verdict::Skipped || table.chunks > 0;
    if report.tables.iter().any(|table| compared(&table)) {
        let head = ["TS", "ERRORS", "DIFFS", "ROWS", "DIFF_ROWS", "CHUNKS", "SKIPPED", "TIME", "TABLE"];
        line(&mut text, head.map(str::to_owned));
    }
    let latest = times.values().map(|(ended, _)| *ended).max().unwrap_or(0);
    for table in &report.tables {
        let name = table.table.to_string();
        let (ended, took) = times.get(&name).copied().unwrap_or((latest, Duration::ZERO));
        let stamp = on_the_wall(ended, STAMP);
        if let Some(reason) = &table.reason {
            warnings.push(format!("{stamp} Skipping table {name} because {reason}"));
        }
        if table.rows_unsettled > 0 {
            let (chunks, rows) = (table.chunks_unsettled, table.rows_unsettled);
            warnings.push(format!(
                "{stamp} Skipping {chunks} chunks of table {name} because {rows} rows in them are unsettled"
            ));
        }
        if compared(&table) {
            let numbers = [
                table.chunks_different,
                table.rows,
                table.rows_different,
                table.chunks,
                table.chunks_unsettled,
            ];
            let [diffs, rows, diff_rows, chunks, skipped] = numbers.map(|number| number.to_string());
            let seconds = format!("{:.3}", took.as_secs_f64());
            line(&mut text, [stamp, "0".into(), diffs, rows, diff_rows, chunks, skipped, seconds, name]);
        }
    }
    (text, warnings)
}

fn line(text: &mut String, fields: [String; 9]) {
    let [ts, errors, diffs, rows, diff_rows, chunks, skipped, time, table] = fields;
    // writing to a String cannot fail
    let _ = writeln!(
        text,
        "{ts:>14} {errors:>6} {diffs:>6} {rows:>8} {diff_rows:>10} {chunks:>7} {skipped:>7} {time:>7} {table}"
    );
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use checker::TableReport;
    use database::Table;
    use std::sync::Arc;

    fn table(name: &str, verdict: Verdict, numbers: [u64; 6], reason: Option<&str>) -> TableReport {
        let [rows, chunks, chunks_different, chunks_unsettled, rows_different, rows_unsettled] = numbers;
        let table = Table {
            database: "shop".into(),
            name: name.into(),
            columns: Vec::new(),
            key: Vec::new(),
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        };
        TableReport {
            table: Arc::new(table),
            verdict,
            rows,
            chunks,
            chunks_mismatched: chunks_different + chunks_unsettled,
            chunks_different,
            chunks_unsettled,
            chunk_verdicts: Vec::new(),
            rows_lagging: 0,
            rows_different,
            rows_unsettled,
            fingerprints: Vec::new(),
            reason: reason.map(str::to_owned),
            definitions: Vec::new(),
        }
    }

    /// One table of each kind.
    pub fn sample() -> Report {
        let tables = vec![
            table("orders", Verdict::Identical, [1_000_000, 250, 0, 0, 0, 0], None),
            table("products", Verdict::Different, [500, 2, 1, 0, 3, 0], None),
            table("hot", Verdict::Unsettled, [10, 1, 0, 1, 0, 4], None),
            table("log", Verdict::Skipped, [0; 6], Some("it has no key")),
        ];
        Report { tables, ..Report::of("r", &["n1".into(), "n2".into()]) }
    }

    #[test]
    fn the_columns_are_those_of_pt_table_checksum() {
        let ended = |table: &str, ms| (format!("shop.{table}"), (1_795_233_600, Duration::from_millis(ms)));
        let times = BTreeMap::from([ended("orders", 1_234), ended("products", 5), ended("hot", 61_000)]);
        let (text, warnings) = report(&sample(), &times);
        let stamp = on_the_wall(1_795_233_600, STAMP);
        let golden = "Checking if all tables can be checksummed ...
Starting checksum ...
            TS ERRORS  DIFFS     ROWS  DIFF_ROWS  CHUNKS SKIPPED    TIME TABLE
<--- stamp --->      0      0  1000000          0     250       0   1.234 shop.orders
<--- stamp --->      0      1      500          3       2       0   0.005 shop.products
<--- stamp --->      0      0       10          0       1       1  61.000 shop.hot
";
        assert_eq!(text, golden.replace("<--- stamp --->", &stamp));
        assert_eq!(stamp.len(), 14);
        assert_eq!(
            warnings,
            [
                format!("{stamp} Skipping 1 chunks of table shop.hot because 4 rows in them are unsettled"),
                format!("{stamp} Skipping table shop.log because it has no key"),
            ]
        );
    }
}

//! What is known of each table: what the latest check that looked at all of its rows said, and since when it differs.
//!
//! Invariant: only a check of all rows of a table, in which it was found identical on all nodes, ends *different since*; a check that
//! was stopped, was limited to some rows, or could not decide leaves it; so does one to which the table is not visible, until
//! somebody says that it is gone ([`State::forget_table`]). Not here: alerts, which follow the same rule.

use super::history::{signed, unsigned};
use super::{State, seconds};
use crate::error::Failure;
use checker::{Divergence, Report, Selection, TableReport, Verdict};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS tables(
        cluster TEXT NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, run TEXT NOT NULL, checked_at INTEGER NOT NULL,
        rows INTEGER NOT NULL, rows_different INTEGER NOT NULL, rows_unsettled INTEGER NOT NULL, missing INTEGER NOT NULL,
        extra INTEGER NOT NULL, changed INTEGER NOT NULL, chunks TEXT NOT NULL, reason TEXT, clean_at INTEGER,
        different_since INTEGER, nodes TEXT NOT NULL, PRIMARY KEY (cluster, name)) STRICT, WITHOUT ROWID;";

/// How many rows differ in which way, seen from the first node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// The first node has the row, another one has not.
    pub missing: u64,
    /// Another node has the row, the first one has not.
    pub extra: u64,
    /// All nodes have the row, with other contents.
    pub changed: u64,
}

/// What is known of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// `database.table`.
    pub name: String,
    /// What the latest check said.
    pub verdict: String,
    /// That check.
    pub run: String,
    /// When it ended, in seconds since 1970.
    pub checked_at: u64,
    /// The rows of the node that holds most.
    pub rows: u64,
    /// Rows that differ.
    pub rows_different: u64,
    /// Rows of which nothing could be shown.
    pub rows_unsettled: u64,
    /// In which way rows differ.
    pub kinds: Kinds,
    /// The chunks in order: `i`, `d` or `u`, and how many in a row.
    pub chunks: Vec<(char, u64)>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// When it was last found identical.
    pub clean_at: Option<u64>,
    /// Since when it is known to differ.
    pub different_since: Option<u64>,
    /// The nodes on which it was compared.
    pub nodes: Vec<String>,
}

/// The kinds of the rows that a report lists, by table.
pub fn kinds(report: &Report) -> BTreeMap<String, Kinds> {
    let mut all: BTreeMap<String, Kinds> = BTreeMap::new();
    for row in &report.divergences {
        let kinds = all.entry(row.table.to_string()).or_default();
        match way(row, report.nodes.first().map_or("", |node| node)) {
            Way::Missing => kinds.missing += 1,
            Way::Extra => kinds.extra += 1,
            Way::Changed => kinds.changed += 1,
        }
    }
    all
}

enum Way {
    Missing,
    Extra,
    Changed,
}

fn way(row: &Divergence, first: &str) -> Way {
    match row.versions.iter().find(|version| version.row.is_none()) {
        None => Way::Changed,
        Some(absent) if absent.nodes.iter().any(|node| **node == *first) => Way::Extra,
        Some(_) => Way::Missing,
    }
}

/// `120i1d`: how many chunks in a row are alike.
fn written(chunks: &[(Verdict, u64)]) -> String {
    let mut text = String::new();
    for (verdict, count) in chunks {
        let letter = match verdict {
            Verdict::Different => 'd',
            Verdict::Unsettled | Verdict::Skipped => 'u',
            Verdict::Identical => 'i',
        };
        let _ = write!(text, "{count}{letter}");
    }
    text
}

fn read_chunks(text: &str) -> Vec<(char, u64)> {
    let parts = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
    parts.filter_map(|part| Some((part.chars().last()?, part[..part.len() - 1].parse().ok()?))).collect()
}

impl State {
    /// Keeps what a check says of its tables; `whole`: whether it compared all that it was to compare. Of one that was limited to
    /// some rows only what differs is kept. A table that is no longer listed is forgotten if it was well; else it may be there
    /// and not be visible, and stays as skipped.
    pub fn keep_tables(
        &mut self,
        cluster: &str,
        report: &Report,
        selection: &Selection,
        whole: bool,
    ) -> Result<(), Failure> {
        let known: Vec<String> = self.tables(cluster)?.into_iter().map(|table| table.name).collect();
        let kinds = kinds(report);
        let some_rows = selection.filter.is_some();
        let listed = |name: &String| report.tables.iter().any(|table| table.table.to_string() == *name);
        let selected = |name: &String| {
            name.split_once('.').is_some_and(|(database, table)| selection.contains(database, table))
        };
        let keep = |runs: &mut Connection| {
            let transaction = runs.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in &report.tables {
                if some_rows && table.verdict != Verdict::Different {
                    continue;
                }
                let kinds = kinds.get(&table.table.to_string()).copied().unwrap_or_default();
                keep_table(&transaction, cluster, report, table, kinds)?;
            }
            let unlisted = |name: &&String| whole && !some_rows && selected(name) && !listed(name);
            for name in known.iter().filter(unlisted) {
                transaction.execute(
                    "DELETE FROM tables WHERE cluster = ?1 AND name = ?2 AND different_since IS NULL",
                    [cluster, name],
                )?;
                transaction.execute(
                    "UPDATE tables SET verdict = 'skipped', checked_at = ?3, reason = ?4 WHERE cluster = ?1 AND name = ?2",
                    params![cluster, name, seconds(), NOT_LISTED],
                )?;
            }
            transaction.commit()
        };
        keep(&mut self.runs).map_err(|error| self.broken(&error))
    }

    /// Forgets a table that is gone for good; whether it was known.
    pub fn forget_table(&self, cluster: &str, name: &str) -> Result<bool, Failure> {
        let gone = self.runs.execute("DELETE FROM tables WHERE cluster = ?1 AND name = ?2", [cluster, name]);
        Ok(gone.map_err(|error| self.broken(&error))? > 0)
    }

    /// What is known of each table of a cluster, by name.
    pub fn tables(&self, cluster: &str) -> Result<Vec<TableState>, Failure> {
        let list = || {
            let mut statement =
                self.runs.prepare_cached(&format!("{SELECT} WHERE cluster = ?1 ORDER BY name"))?;
            statement.query_map([cluster], read_table)?.collect::<rusqlite::Result<Vec<TableState>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// What is known of one table.
    pub fn table(&self, cluster: &str, name: &str) -> Result<Option<TableState>, Failure> {
        let sql = format!("{SELECT} WHERE cluster = ?1 AND name = ?2");
        self.runs.query_row(&sql, [cluster, name], read_table).optional().map_err(|error| self.broken(&error))
    }
}

/// Why a table that differed is no longer compared.
const NOT_LISTED: &str =
    "no node lists it: it was dropped, or evensum's user may not see it; evensum table forget ends this";

const SELECT: &str = "SELECT name, verdict, run, checked_at, rows, rows_different, rows_unsettled, missing, extra, changed, chunks,
    reason, clean_at, different_since, nodes FROM tables";

fn keep_table(
    runs: &Connection,
    cluster: &str,
    report: &Report,
    table: &TableReport,
    kinds: Kinds,
) -> rusqlite::Result<()> {
    // of a check that was stopped counts what it came to know
    if report.interrupted && matches!(table.verdict, Verdict::Skipped | Verdict::Unsettled) {
        return Ok(());
    }
    let now = seconds();
    let clean_at = (table.verdict == Verdict::Identical).then_some(now);
    let different = (table.verdict == Verdict::Different).then_some(now);
    runs.execute(
        "INSERT INTO tables VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT DO UPDATE SET verdict = ?3, run = ?4, checked_at = ?5, rows = ?6, rows_different = ?7,
         rows_unsettled = ?8, missing = ?9, extra = ?10, changed = ?11, chunks = ?12, reason = ?13, nodes = ?16,
         clean_at = COALESCE(?14, clean_at),
         different_since = CASE WHEN ?14 IS NOT NULL THEN NULL ELSE COALESCE(different_since, ?15) END",
        params![
            cluster,
            table.table.to_string(),
            table.verdict.to_string(),
            &*report.run,
            now,
            signed(table.rows),
            signed(table.rows_different),
            signed(table.rows_unsettled),
            signed(kinds.missing),
            signed(kinds.extra),
            signed(kinds.changed),
            written(&table.chunk_verdicts),
            table.reason,
            clean_at,
            different,
            report.nodes.join("\n")
        ],
    )
    .map(drop)
}

fn read_table(row: &Row<'_>) -> rusqlite::Result<TableState> {
    let count = |column: usize| row.get::<_, i64>(column).map(unsigned);
    let moment = |column: usize| row.get::<_, Option<i64>>(column).map(|at| at.map(unsigned));
    Ok(TableState {
        name: row.get(0)?,
        verdict: row.get(1)?,
        run: row.get(2)?,
        checked_at: count(3)?,
        rows: count(4)?,
        rows_different: count(5)?,
        rows_unsettled: count(6)?,
        kinds: Kinds { missing: count(7)?, extra: count(8)?, changed: count(9)? },
        chunks: read_chunks(&row.get::<_, String>(10)?),
        reason: row.get(11)?,
        clean_at: moment(12)?,
        different_since: moment(13)?,
        nodes: row.get::<_, String>(14)?.lines().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::pt::tests::sample;

    #[test]
    fn a_table_differs_until_a_whole_check_finds_it_identical() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        let mut report = sample();
        report.interrupted = false;
        let all = Selection::new(&[], &[]).unwrap();
        let name = report.tables[0].table.to_string();
        let mut keep = |report: &Report| {
            state.keep_tables("shop", report, &all, !report.interrupted).unwrap();
            state.table("shop", &name).unwrap()
        };
        report.tables[0].verdict = Verdict::Different;
        report.tables[0].chunk_verdicts = vec![(Verdict::Identical, 120), (Verdict::Different, 1)];
        let table = keep(&report).unwrap();
        assert!(table.different_since.is_some() && table.clean_at.is_none());
        assert_eq!(table.chunks, [('i', 120), ('d', 1)]);
        for (verdict, interrupted) in
            [(Verdict::Unsettled, false), (Verdict::Skipped, false), (Verdict::Skipped, true)]
        {
            (report.tables[0].verdict, report.interrupted) = (verdict, interrupted);
            assert!(keep(&report).unwrap().different_since.is_some(), "{verdict}");
        }
        (report.tables[0].verdict, report.interrupted) = (Verdict::Identical, false);
        let table = keep(&report).unwrap();
        assert!(table.different_since.is_none() && table.clean_at.is_some());
        // a table that is no longer listed is forgotten, but not by a check that was stopped
        let table = report.tables.remove(0);
        report.interrupted = true;
        assert!(keep(&report).is_some());
        report.interrupted = false;
        assert!(keep(&report).is_none());
        // one that differs may only not be visible
        report.tables.insert(0, TableReport { verdict: Verdict::Different, ..table });
        assert!(keep(&report).is_some());
        report.tables.remove(0);
        let unseen = keep(&report).unwrap();
        assert!(unseen.different_since.is_some() && unseen.verdict == "skipped", "{unseen:?}");
        assert!(state.forget_table("shop", &name).unwrap() && !state.forget_table("shop", &name).unwrap());
    }

    #[test]
    fn a_check_of_some_rows_finds_and_never_clears() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        let mut report = sample();
        report.interrupted = false;
        let mut some = Selection::new(&[], &[]).unwrap();
        some.filter = Some("id > 5".into());
        let name = report.tables[0].table.to_string();
        let course = [(Verdict::Identical, false), (Verdict::Different, true), (Verdict::Identical, true)];
        for (verdict, expected) in course {
            report.tables[0].verdict = verdict;
            state.keep_tables("shop", &report, &some, true).unwrap();
            let known = state.table("shop", &name).unwrap();
            assert_eq!(known.is_some_and(|table| table.different_since.is_some()), expected, "{verdict}");
        }
    }
}

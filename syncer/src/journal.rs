//! The journal: what a repair is about to change, on disk before it is changed, and what came of it.
//!
//! A text file, one record a line: sixteen hex digits of blake3 over the rest of the line, a space, and JSON. The first
//! line names the run and the nodes. An *intent* holds a step whole, with the row as it was: the before-image. It is
//! written and synced before the row is touched. An *outcome* follows when it is known.
//!
//! A crash can leave an intent without an outcome: the row is then as before or as wanted, and nothing else, because
//! an edit is one transaction of the server. It can also tear the last line, which is cut off when the journal is opened
//! again; nothing was done for an intent that was not whole. Damage anywhere else is refused: a journal that lies
//! about before-images is worse than none.
//!
//! Invariant: what is in the file is only ever appended to.

use crate::plan::{PlannedNode, Step};
use database::Mending;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The word for an intent that was carried out.
const MENDED: &str = "mended";

/// A line of the journal after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// This step is about to be made.
    Intent(Step),
    /// What came of the intent at this place among the intents, from 0.
    Outcome {
        /// The place.
        intent: usize,
        /// `mended`, `already`, `moved`, `refused` or `called off`.
        outcome: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    schema_version: u32,
    run: Box<str>,
    nodes: Vec<PlannedNode>,
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// The file cannot be read or written.
    Io(std::io::Error),
    /// A line is not as it was written; the number counts from 1.
    Damaged(usize),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Io(error) => write!(f, "{error}"),
            JournalError::Damaged(line) => write!(f, "line {line} is not as it was written"),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<std::io::Error> for JournalError {
    fn from(error: std::io::Error) -> JournalError {
        JournalError::Io(error)
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    head: Head,
    records: Vec<Record>,
    intents: usize,
}

/// One line: the hash of the text, and the text.
fn line(record: &impl Serialize) -> Result<String, JournalError> {
    let text = serde_json::to_string(record).map_err(std::io::Error::from)?;
    Ok(format!("{} {text}\n", seal(&text)))
}

fn seal(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The text of a line, if its hash is right.
fn unseal(line: &str) -> Option<&str> {
    let (hash, text) = line.split_once(' ')?;
    (hash == seal(text)).then_some(text)
}

fn read<T: for<'a> Deserialize<'a>>(line: &str) -> Option<T> {
    unseal(line).and_then(|text| serde_json::from_str(text).ok())
}

impl Journal {
    /// Begins the journal of a run in a new file, durably.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub fn create(path: &Path, run: &str, nodes: &[PlannedNode]) -> Result<Journal, JournalError> {
        let head = Head { schema_version: 1, run: run.into(), nodes: nodes.to_vec() };
        let mut file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        file.write_all(line(&head)?.as_bytes())?;
        file.sync_all()?;
        // the name must be as durable as the content
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(Journal { file, head, records: Vec::new(), intents: 0 })
    }

    /// Opens the journal of a run; a torn last line is cut off.
    ///
    /// # Errors
    /// If the file cannot be read, or a line other than the last is damaged.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines = std::str::from_utf8(&text[..whole]).map_err(|_| JournalError::Damaged(1))?;
        let mut lines = lines.lines().enumerate();
        let head = lines.next().and_then(|(_, first)| read::<Head>(first)).ok_or(JournalError::Damaged(1))?;
        let records = lines
            .map(|(n, line)| read::<Record>(line).ok_or(JournalError::Damaged(n + 1)))
            .collect::<Result<Vec<Record>, _>>()?;
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let intents = records.iter().filter(|record| matches!(record, Record::Intent(_))).count();
        Ok(Journal { file, head, records, intents })
    }

    /// The run whose journal it is.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.head.run
    }

    /// The nodes of the run's plan.
    #[must_use]
    pub fn nodes(&self) -> &[PlannedNode] {
        &self.head.nodes
    }

    /// What was written, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The steps that were made, or of which it is not known: the server may have made them before a crash.
    pub fn perhaps_mended(&self) -> impl Iterator<Item = &Step> {
        let concluded: HashMap<usize, bool> = self
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Outcome { intent, outcome } => Some((*intent, outcome == MENDED)),
                Record::Intent(_) => None,
            })
            .collect();
        let intents = self.records.iter().filter_map(|record| match record {
            Record::Intent(step) => Some(step),
            Record::Outcome { .. } => None,
        });
        intents
            .enumerate()
            .filter(move |(n, _)| concluded.get(n).copied().unwrap_or(true))
            .map(|(_, step)| step)
    }

    /// Writes down that these steps are about to be made, durably; the place of the first among the intents.
    ///
    /// # Errors
    /// If the file cannot be written; then nothing may be touched.
    pub fn intend(&mut self, steps: &[&Step]) -> Result<usize, JournalError> {
        let first = self.intents;
        self.intents += steps.len();
        self.append(steps.iter().map(|&step| Record::Intent(step.clone())).collect())?;
        Ok(first)
    }

    /// Writes down what came of the intents from `first` on.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn conclude(&mut self, first: usize, outcomes: &[Mending]) -> Result<(), JournalError> {
        let word = |outcome: &Mending| match outcome {
            Mending::Mended => MENDED,
            Mending::Already => "already",
            Mending::Moved => "moved",
            Mending::Refused(_) => "refused",
            Mending::CalledOff => "called off",
        };
        let record = |(n, outcome)| Record::Outcome { intent: first + n, outcome: word(outcome).into() };
        self.append(outcomes.iter().enumerate().map(record).collect())
    }

    fn append(&mut self, records: Vec<Record>) -> Result<(), JournalError> {
        let text = records.iter().map(line).collect::<Result<String, _>>()?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.records.extend(records);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{Column, Key, Kind, Row, Table, Value};
    use std::sync::Arc;

    fn step(id: i64) -> Step {
        let column = Column {
            name: "id".into(),
            definition: "int".into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        };
        let table = Table {
            database: "shop".into(),
            name: "stock".into(),
            columns: vec![column],
            key: vec![0],
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        };
        Step {
            node: "n2".into(),
            winner: Some("n1".into()),
            table: Arc::new(table),
            key: Key::new(&[Value::Int(id)]),
            expected: None,
            wanted: Some(Row::new(&[Value::Int(id)])),
            why: "as on n1".into(),
        }
    }

    fn nodes() -> Vec<PlannedNode> {
        vec![PlannedNode { name: "n1".into(), identity: "a".into() }]
    }

    #[test]
    fn what_was_written_is_read_again_and_a_torn_tail_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.journal");
        let mut journal = Journal::create(&path, "r", &nodes()).unwrap();
        assert!(matches!(Journal::create(&path, "r", &nodes()), Err(JournalError::Io(_))));
        let steps = [step(1), step(2)];
        assert_eq!(journal.intend(&steps.iter().collect::<Vec<_>>()).unwrap(), 0);
        journal.conclude(0, &[Mending::Mended, Mending::Moved]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        drop(journal);
        let opened = Journal::open(&path).unwrap();
        assert_eq!(opened.records().len(), 4);
        assert_eq!(opened.perhaps_mended().collect::<Vec<_>>(), [&steps[0]]);
        // cut at every byte: either a whole prefix of the records, or a refusal of the first line
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            match Journal::open(&path) {
                Ok(journal) => assert_eq!(journal.records(), &opened.records()[..journal.records().len()]),
                Err(error) => assert!(matches!(error, JournalError::Damaged(1)), "{length}: {error}"),
            }
        }
    }

    #[test]
    fn a_changed_bit_anywhere_is_refused_or_cuts_the_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.journal");
        let mut journal = Journal::create(&path, "r", &nodes()).unwrap();
        journal.intend(&[&step(1)]).unwrap();
        journal.conclude(0, &[Mending::Mended]).unwrap();
        let (whole, records) = (std::fs::read(&path).unwrap(), journal.records().to_vec());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            if let Ok(journal) = Journal::open(&path) {
                assert!(
                    records.starts_with(journal.records()) && journal.records().len() < records.len(),
                    "byte {at}"
                );
            }
        }
    }
}

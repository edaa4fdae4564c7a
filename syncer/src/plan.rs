//! The plan: every edit of a repair, as data, before any is made.
//!
//! A plan is minimal: one edit per differing row and node. It names the nodes by their identity, so that a plan that was
//! made against one server is never carried out on another that has taken its address. It prints itself as SQL, node by
//! node, for a person to read; what is carried out is the same edits, under guards that SQL cannot express.
//!
//! On disk a plan is one JSON document with the blake3 hash of its content; a plan that was changed or cut is refused.
//! What a plan does not do: it never reads a database, so it may be out of date when it is carried out. Each edit's
//! expected row takes care of that.

use crate::journal::Journal;
use crate::policy::Decision;
use checker::{Divergence, Report};
use database::dialect::{self, counted};
use database::{Edit, Key, Reference, Row, Table};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// How far foreign keys are followed from table to table.
const DEPTH_MAX: usize = 64;
/// The version of the plan's document.
const SCHEMA_VERSION: u32 = 1;

/// A node of a plan, and which server it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// The node's name.
    pub name: Box<str>,
    /// What the server says of itself and no other server does.
    pub identity: Box<str>,
}

/// One edit of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The node to mend.
    pub node: Box<str>,
    /// A node that holds the row as it shall be; none where a repair is undone.
    pub winner: Option<Box<str>>,
    /// The table.
    pub table: Arc<Table>,
    /// The row's key.
    pub key: Key,
    /// What must be there.
    pub expected: Option<Row>,
    /// What will be there.
    pub wanted: Option<Row>,
    /// Why, for a person.
    pub why: String,
}

impl Step {
    /// The step as the seam to the database takes it.
    #[must_use]
    pub fn edit(&self) -> Edit {
        Edit {
            table: self.table.clone(),
            key: self.key.clone(),
            expected: self.expected.clone(),
            wanted: self.wanted.clone(),
        }
    }
}

/// A divergence that is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The row and its versions.
    pub divergence: Divergence,
    /// Why it is left.
    pub reason: String,
}

/// All that a repair will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this document.
    pub schema_version: u32,
    /// The run whose findings it mends, or the run that it undoes.
    pub run: Box<str>,
    /// The nodes, in the order of the cluster.
    pub nodes: Vec<PlannedNode>,
    /// The edits: by node; on each node first what is deleted, then what is changed, then what is inserted, so that a
    /// unique value is free before it is taken. What refers to other tables by foreign keys is deleted before them, and inserted
    /// after them.
    pub steps: Vec<Step>,
    /// What no policy decided; not part of the file.
    #[serde(skip)]
    pub undecided: Vec<Undecided>,
}

/// Why a plan cannot be used.
#[derive(Debug)]
pub enum PlanError {
    /// The file cannot be read or written.
    Io(std::io::Error),
    /// The file is no plan, or not one of this version.
    Malformed(String),
    /// The file's content is not what was saved.
    Damaged,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Io(error) => write!(f, "{error}"),
            PlanError::Malformed(reason) => write!(f, "it is no plan of this program: {reason}"),
            PlanError::Damaged => {
                write!(f, "its checksum is wrong: it was changed or cut after it was saved")
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// Plans the repair of a report. `decide` chooses the winner of each divergence.
#[must_use]
pub fn make_plan(
    report: &Report,
    nodes: &[PlannedNode],
    references: &[Reference],
    mut decide: impl FnMut(&Divergence) -> Decision,
) -> Plan {
    let (mut steps, mut undecided) = (Vec::new(), Vec::new());
    for divergence in &report.divergences {
        match decide(divergence) {
            Decision::Undecided(reason) => {
                undecided.push(Undecided { divergence: divergence.clone(), reason })
            }
            Decision::Winner(place) => steps.extend(steps_of(divergence, place)),
        }
    }
    sort(&mut steps, nodes, references);
    Plan { schema_version: SCHEMA_VERSION, run: report.run.clone(), nodes: nodes.to_vec(), steps, undecided }
}

/// One step for each node that does not hold the winner.
fn steps_of(divergence: &Divergence, place: usize) -> Vec<Step> {
    let Some(winner) = divergence.versions.get(place) else { return Vec::new() };
    let losers = divergence.versions.iter().enumerate().filter(|(n, _)| *n != place);
    losers
        .flat_map(|(_, version)| version.nodes.iter().map(move |node| (node, version)))
        .map(|(node, version)| Step {
            node: node.clone(),
            winner: winner.nodes.first().cloned(),
            table: divergence.table.clone(),
            key: divergence.key.clone(),
            expected: version.row.clone(),
            wanted: winner.row.clone(),
            why: format!("as on {}", winner.nodes.join(", ")),
        })
        .collect()
}

fn sort(steps: &mut [Step], nodes: &[PlannedNode], references: &[Reference]) {
    let depths = depths(references);
    let depth = |step: &Step| depths.get(&*step.table.to_string()).copied().unwrap_or(0);
    let place = |step: &Step| nodes.iter().position(|node| node.name == step.node);
    let kind = |step: &Step| match (&step.expected, &step.wanted) {
        (Some(_), None) => (0, -depth(step)),
        (Some(_), Some(_)) => (1, depth(step)),
        (None, _) => (2, depth(step)),
    };
    // stable: rows stay in the order in which the check found them
    steps.sort_by_key(|step| (place(step), kind(step)));
}

/// How many tables stand above each by foreign keys, at most; where they go round, as far as they were followed.
fn depths(references: &[Reference]) -> HashMap<&str, i64> {
    let mut depths: HashMap<&str, i64> = HashMap::new();
    for _ in 0..DEPTH_MAX {
        let mut deeper = false;
        for Reference { child, parent } in references.iter().filter(|of| of.child != of.parent) {
            let above = depths.get(&**parent).copied().unwrap_or(0) + 1;
            let known = depths.entry(child).or_insert(0);
            deeper |= above > *known;
            *known = above.max(*known);
        }
        if !deeper {
            break;
        }
    }
    depths
}

/// Plans the undoing of a repair from its journal: what was written is turned back, where it is still as written.
#[must_use]
pub fn undo_plan(journal: &Journal, references: &[Reference]) -> Plan {
    let mut seen = HashSet::new();
    let mut steps: Vec<Step> = journal
        .perhaps_mended()
        .filter(|step| seen.insert((step.node.clone(), step.table.to_string(), step.key.clone())))
        .map(|step| Step {
            expected: step.wanted.clone(),
            wanted: step.expected.clone(),
            winner: None,
            why: format!("as before run {}", journal.run()),
            ..step.clone()
        })
        .collect();
    sort(&mut steps, journal.nodes(), references);
    Plan {
        schema_version: SCHEMA_VERSION,
        run: journal.run().into(),
        nodes: journal.nodes().to_vec(),
        steps,
        undecided: Vec::new(),
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    plan: Plan,
    blake3: String,
}

impl Plan {
    /// How many rows it changes: one for each step, and of a table without a key each copy that comes or goes.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.steps.iter().map(Step::rows).sum()
    }

    /// The plan as SQL with comments, node by node.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let mut sql = String::new();
        for node in &self.nodes {
            let steps: Vec<&Step> = self.steps.iter().filter(|step| step.node == node.name).collect();
            if steps.is_empty() {
                continue;
            }
            let _ = writeln!(
                sql,
                "-- on {} ({} rows), outside the binary log, each under its guard",
                node.name,
                steps.len()
            );
            for step in steps {
                let _ = writeln!(sql, "{};  -- {}", step.to_sql(), step.why);
            }
        }
        for left in &self.undecided {
            let _ =
                writeln!(sql, "-- left: {} {}: {}", left.divergence.table, left.divergence.key, left.reason);
        }
        sql
    }

    fn checksum(&self) -> Result<String, PlanError> {
        let text = serde_json::to_string(self).map_err(|error| PlanError::Malformed(error.to_string()))?;
        Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    /// Saves the plan, replacing the file whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), PlanError> {
        let document = Document { blake3: self.checksum()?, plan: self.clone() };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| PlanError::Malformed(error.to_string()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path)).map_err(PlanError::Io)
    }

    /// Loads a plan.
    ///
    /// # Errors
    /// If the file cannot be read, is no plan, or is not as it was saved.
    pub fn load(path: &Path) -> Result<Plan, PlanError> {
        let text = std::fs::read_to_string(path).map_err(PlanError::Io)?;
        let document: Document =
            serde_json::from_str(&text).map_err(|error| PlanError::Malformed(error.to_string()))?;
        if document.plan.schema_version != SCHEMA_VERSION {
            return Err(PlanError::Malformed(format!("its version is {}", document.plan.schema_version)));
        }
        match document.plan.checksum()? == document.blake3 {
            true => Ok(document.plan),
            false => Err(PlanError::Damaged),
        }
    }
}

impl Step {
    /// How many rows it changes.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match self.table.counted() {
            true => {
                let (before, after) = self.edit().copies();
                before.abs_diff(after).max(1)
            }
            false => 1,
        }
    }

    /// The edit as one statement.
    #[must_use]
    pub fn to_sql(&self) -> String {
        if self.table.counted() {
            let (before, after) = self.edit().copies();
            let (table, key, most) = (&self.table, &self.key, counted::COPIES_MOST);
            if before.abs_diff(after) > most {
                return format!(
                    "-- {table} {key}: {after} copies instead of {before}, and more than {most} are not written"
                );
            }
            return match before < after {
                true => counted::add(&self.table, &self.key, after - before),
                false => counted::remove(&self.table, &self.key, before - after, None),
            };
        }
        match (&self.expected, &self.wanted) {
            (Some(from), Some(to)) => {
                dialect::update(&self.table, &self.key, from, to).unwrap_or_else(|| {
                    format!("-- {} {}: only what the server computes differs", self.table, self.key)
                })
            }
            (Some(_), None) => dialect::delete(&self.table, &self.key),
            (None, Some(row)) => dialect::insert(&self.table, row),
            (None, None) => format!("-- {} {} is as wanted", self.table, self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{Column, Kind, Value};

    #[test]
    fn what_refers_to_others_stands_below_them_even_where_that_goes_round() {
        let reference = |child: &str, parent: &str| Reference { child: child.into(), parent: parent.into() };
        let chain = [reference("c", "b"), reference("b", "a"), reference("c", "a"), reference("d", "d")];
        let depths_of = depths(&chain);
        assert_eq!(
            (depths_of.get("a"), depths_of["b"], depths_of["c"], depths_of.get("d")),
            (None, 1, 2, None)
        );
        let round = [reference("a", "b"), reference("b", "a")];
        assert_eq!(depths(&round).len(), 2);
    }

    #[test]
    fn copies_of_a_row_without_a_key_come_or_go() {
        let column = |name: &str| Column {
            name: name.into(),
            definition: "int NULL".into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        };
        let table = Table {
            database: "shop".into(),
            name: "log".into(),
            columns: vec![column("who"), column("what")],
            key: Vec::new(),
            key_name: "".into(),
            rows_estimate: 0,
            filter: None,
        };
        let (nodes, key) = (["n1".into(), "n2".into()], Key::new(&[Value::Int(1), Value::Null]));
        let row = |copies| Some(Row::new(&[Value::Int(1), Value::Null, Value::Int(copies)]));
        let divergence = Divergence::new(&Arc::new(table.as_multiset()), &key, &[row(2), row(3)], &nodes);
        assert_eq!(divergence.columns(), ["(copies)"]);
        let report = Report { divergences: vec![divergence], ..Report::of("r", &nodes) };
        let many = Divergence::new(&Arc::new(table.as_multiset()), &key, &[row(2), row(900)], &nodes);
        let many = Report { divergences: vec![many], ..report.clone() };
        let planned = nodes.map(|name| PlannedNode { identity: name.clone(), name });
        let plan = make_plan(&report, &planned, &[], |_| Decision::Winner(0));
        assert_eq!(
            plan.to_sql(),
            "-- on n2 (1 rows), outside the binary log, each under its guard\n\
             DELETE FROM `shop`.`log` WHERE (`who` = 1 AND `what` IS NULL) LIMIT 1;  -- as on n1\n"
        );
        assert_eq!(plan.rows(), 1);
        let plan = make_plan(&many, &planned, &[], |_| Decision::Winner(0));
        assert_eq!((plan.steps.len(), plan.rows()), (1, 898), "each copy is a row");
        let plan = make_plan(&report, &planned, &[], |_| Decision::Winner(1));
        let insert = ["INSERT", "INTO `shop`.`log` (`who`, `what`) VALUES (1, NULL);"].join(" ");
        assert!(plan.to_sql().contains(&insert), "{}", plan.to_sql());
    }
}

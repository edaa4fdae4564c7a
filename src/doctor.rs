//! The doctor: what in the set-up of a cluster loses rows, stops replication, or keeps evensum from its work.
//!
//! Reading and judging are apart. [`database::mysql::Survey`] is what a node said; here are functions from the surveys of all
//! nodes to [`Finding`]s, which need no server. Each finding says what was seen, why it matters and what to do. Each check that
//! found nothing says what it saw, so that a person sees what was looked at.
//!
//! # What is looked at
//!
//! * `settings`: one variable at a time, by itself or compared between the nodes.
//! * `identity`: who the nodes are: numbers, versions, clocks, time zones.
//! * `numbering`: whether masters give new rows different numbers.
//! * `links`: whether what is written on one node arrives on all others; filters, lag, encryption, GTIDs.
//! * `galera`: the state of a Galera cluster.
//! * `tables`: keys, engines, triggers, and definitions that differ.
//! * `rights`: what the account at hand may not do, with the line that grants it.
//!
//! Invariant: what a node does not know or may not say is never taken for good: a check that has seen nothing has no finding at
//! all, and a question that was refused is a finding of its own.
//!
//! What is not verified: the data themselves (that is `check`), option files (a value may be set until the next restart only),
//! firewalls, backups, the binary logs' contents.

mod galera;
mod identity;
mod links;
mod numbering;
mod rights;
mod settings;
mod tables;
#[cfg(test)]
mod tests;

use database::mysql::Survey;
use std::cmp::Reverse;
use std::fmt;

/// How many names a finding writes out.
const NAMES_MAX: usize = 8;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// It will hurt some day, or keeps evensum from some of its work.
    Warning,
    /// Rows are lost or replication stops: now, or as soon as all masters are written to.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        })
    }
}

/// What one check says of some nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The check; stays the same.
    pub check: &'static str,
    /// The nodes that it is about.
    pub nodes: Vec<String>,
    /// What was seen.
    pub seen: String,
    /// Why it matters; empty where all is well.
    pub why: String,
    /// What to do; empty where all is well.
    pub remedy: String,
}

/// A node that answered.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// Whether it is on this machine.
    pub local: bool,
    /// What it said.
    pub survey: Survey,
}

/// Judges nodes that answered, with the ledger in that database. The worst come first.
pub fn judge(nodes: &[Node], ledger: &str) -> Vec<Finding> {
    let mut chart = Chart::default();
    identity::examine(nodes, &mut chart);
    settings::examine(nodes, &mut chart);
    numbering::examine(nodes, &mut chart);
    links::examine(nodes, ledger, &mut chart);
    galera::examine(nodes, &mut chart);
    tables::examine(nodes, &mut chart);
    rights::examine(nodes, ledger, &mut chart);
    let mut findings = chart.findings;
    // of equal severity they stay in the order of the checks
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

/// Where checks write what they find.
#[derive(Debug, Default)]
struct Chart {
    findings: Vec<Finding>,
}

/// Why it matters, and what to do.
type Advice<'a> = (&'a str, &'a str);

impl Chart {
    /// Notes a finding; the same one of another node joins it.
    fn add(
        &mut self,
        severity: Severity,
        check: &'static str,
        nodes: &[&Node],
        seen: &str,
        advice: Advice<'_>,
    ) {
        let names = nodes.iter().map(|node| node.name.clone());
        let same = self.findings.iter_mut().find(|known| {
            (known.severity, known.check, known.seen.as_str()) == (severity, check, seen)
                && (known.why.as_str(), known.remedy.as_str()) == advice
        });
        match same {
            Some(known) => known.nodes.extend(names),
            None => self.findings.push(Finding {
                severity,
                check,
                nodes: names.collect(),
                seen: seen.to_owned(),
                why: advice.0.to_owned(),
                remedy: advice.1.to_owned(),
            }),
        }
    }

    /// If nothing was found by this check, says what it saw; nothing if it saw nothing.
    fn else_fine(&mut self, check: &'static str, nodes: &[Node], seen: Option<String>) {
        if let Some(seen) = seen
            && !self.findings.iter().any(|known| known.check == check)
        {
            self.add(Severity::Ok, check, &nodes.iter().collect::<Vec<_>>(), &seen, ("", ""));
        }
    }
}

/// The values of all nodes, each with its holders; the value alone where all hold it; none if nobody said any.
fn spread<'a, T: fmt::Display>(nodes: &'a [Node], of: impl Fn(&'a Node) -> Option<T>) -> Option<String> {
    let mut values: Vec<(Option<String>, Vec<&str>)> = Vec::new();
    for node in nodes {
        let value = of(node).map(|value| value.to_string());
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, holders)) => holders.push(&node.name),
            None => values.push((value, vec![&node.name])),
        }
    }
    match &values[..] {
        [] | [(None, _)] => None,
        [(Some(value), _)] => Some(shown(value).to_owned()),
        several => {
            let each = several.iter().map(|(value, holders)| {
                format!("{} on {}", value.as_deref().map_or("unknown", shown), holders.join(", "))
            });
            Some(each.collect::<Vec<_>>().join("; "))
        }
    }
}

/// A value, or a word for the empty one.
fn shown(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

/// Some names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The distinct values that nodes hold, of those that said any.
fn distinct<'a, T: PartialEq>(nodes: &'a [Node], of: impl Fn(&'a Node) -> Option<T>) -> Vec<T> {
    let mut values: Vec<T> = Vec::new();
    for value in nodes.iter().filter_map(of) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

impl Node {
    /// The value of the first of these variables that it knows.
    fn variable(&self, names: &[&str]) -> Option<&str> {
        self.survey.variable(names)
    }

    /// Whether a switch is on; none if it does not know it.
    fn on(&self, names: &[&str]) -> Option<bool> {
        self.variable(names).map(|value| matches!(value.to_ascii_uppercase().as_str(), "ON" | "1" | "YES"))
    }

    /// Whether ordinary clients write on it, as far as it says.
    fn writable(&self) -> bool {
        // newer servers have names for degrees of read-only
        self.variable(&["read_only"])
            .is_none_or(|value| matches!(value.to_ascii_uppercase().as_str(), "OFF" | "0"))
    }

    /// Whether Galera replicates it.
    fn in_galera(&self) -> bool {
        let provided = self.variable(&["wsrep_provider"]).is_some_and(|name| !matches!(name, "" | "none"));
        provided && self.on(&["wsrep_on"]) != Some(false)
    }
}

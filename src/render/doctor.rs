//! The doctor's findings as text and as JSON.
//!
//! ```text
//! not fit: 1 critical, 1 note on n1, n2; 30 checks are fine
//!
//! critical: auto_increment on n1, n2
//!   seen  increment 1, offset 1
//!   why   these masters give new rows the same numbers: …
//!   do    SET GLOBAL and in the option file: …
//!
//! fine
//!   server_id is unique  1 on n1; 2 on n2
//! ```
//!
//! Words are wrapped at a width that a terminal has; lines that are to be run as they stand are not.

use crate::commands::doctor::Diagnosis;
use crate::doctor::{Finding, Node, Severity};
use crate::render::text::aligned;
use database::mysql::{SurveyedLink, Unknown};
use serde_json::{Value, json};
use std::fmt::Write;

/// Text is wrapped at this width.
const WIDTH: usize = 110;

/// As text.
pub fn text(diagnosis: &Diagnosis, coloured: bool) -> String {
    let mut text = format!("{}\n", sentence(diagnosis, coloured));
    for (name, failure) in &diagnosis.silent {
        let _ = write!(text, "\n{}: {name} could not be asked\n", paint(Severity::Critical, coloured));
        text.push_str(&part("why", &failure.what));
        text.push_str(&part("do", &failure.advice));
    }
    let (fine, found): (Vec<&Finding>, Vec<&Finding>) =
        diagnosis.findings.iter().partition(|finding| finding.severity == Severity::Ok);
    for finding in found {
        let severity = paint(finding.severity, coloured);
        let _ = write!(text, "\n{severity}: {} on {}\n", finding.check, finding.nodes.join(", "));
        text.push_str(&part("seen", &finding.seen));
        text.push_str(&part("why", &finding.why));
        text.push_str(&part("do", &finding.remedy));
    }
    if !fine.is_empty() {
        let rows: Vec<Vec<String>> =
            fine.iter().map(|finding| vec![finding.check.to_owned(), clean(&finding.seen)]).collect();
        let _ = write!(text, "\nfine\n{}", aligned(&rows, "  "));
    }
    text
}

/// The verdict in one sentence.
fn sentence(diagnosis: &Diagnosis, coloured: bool) -> String {
    let count = |severity| diagnosis.findings.iter().filter(|found| found.severity == severity).count();
    let mut parts = Vec::new();
    if !diagnosis.silent.is_empty() {
        let nodes = diagnosis.silent.len();
        parts.push(format!("{nodes} node{} could not be asked", if nodes == 1 { "" } else { "s" }));
    }
    for (severity, plural) in [(Severity::Critical, ""), (Severity::Warning, "s"), (Severity::Note, "s")] {
        let number = count(severity);
        if number > 0 {
            parts.push(format!("{number} {severity}{}", if number == 1 { "" } else { plural }));
        }
    }
    let fine = count(Severity::Ok);
    let names: Vec<&str> = diagnosis.nodes.iter().map(|node| node.name.as_str()).collect();
    let on = if names.is_empty() { String::new() } else { format!(" on {}", names.join(", ")) };
    let fit = diagnosis.silent.is_empty() && diagnosis.worst() <= Severity::Note;
    let word = paint_word(if fit { "fit" } else { "not fit" }, if fit { 32 } else { 31 }, coloured);
    match parts.is_empty() {
        true => format!("{word}: {}{on}", fine_words(fine)),
        false => format!("{word}: {}{on}; {}", parts.join(", "), fine_words(fine)),
    }
}

fn fine_words(checks: usize) -> String {
    if checks == 1 { "1 check is fine".to_owned() } else { format!("{checks} checks are fine") }
}

fn paint(severity: Severity, coloured: bool) -> String {
    let colour = match severity {
        Severity::Critical => 31,
        Severity::Warning => 33,
        Severity::Note => 36,
        Severity::Ok => 32,
    };
    paint_word(&severity.to_string(), colour, coloured)
}

fn paint_word(word: &str, colour: u8, coloured: bool) -> String {
    if coloured { format!("\u{1b}[1;{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// What a server said, so that it cannot move a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A part of a finding under its name, wrapped; each line that is to be run stands as it is.
fn part(name: &str, text: &str) -> String {
    const NAME_WIDTH: usize = 4;
    let mut lines = Vec::new();
    for paragraph in text.lines().map(clean) {
        match paragraph.starts_with("GRANT ") {
            true => lines.push(paragraph),
            false => lines.extend(wrapped(&paragraph, WIDTH - NAME_WIDTH - 4)),
        }
    }
    let mut part = String::new();
    for (n, line) in lines.iter().enumerate() {
        let _ = writeln!(part, "  {:<NAME_WIDTH$}  {line}", if n == 0 { name } else { "" });
    }
    part
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// As one document.
pub fn document(diagnosis: &Diagnosis) -> Value {
    let silent = diagnosis.silent.iter().map(|(name, failure)| {
        json!({ "name": name, "reachable": false, "error": failure.what, "hint": failure.advice })
    });
    let nodes: Vec<Value> = diagnosis.nodes.iter().map(node).chain(silent).collect();
    let findings: Vec<Value> = diagnosis
        .findings
        .iter()
        .map(|finding| {
            json!({
                "severity": finding.severity.to_string(),
                "check": finding.check,
                "nodes": finding.nodes,
                "seen": finding.seen,
                "why": finding.why,
                "do": finding.remedy,
            })
        })
        .collect();
    let verdict = match diagnosis.silent.is_empty() {
        true => diagnosis.worst().to_string(),
        false => "incomplete".to_owned(),
    };
    json!({ "schema_version": 1, "verdict": verdict, "nodes": nodes, "findings": findings })
}

fn node(node: &Node) -> Value {
    let survey = &node.survey;
    let rights = survey.rights.as_ref();
    json!({
        "name": node.name,
        "reachable": true,
        "variables": survey.variables,
        "position": survey.position,
        "log_filters": pairs(&survey.log_filters),
        "links": survey.links.as_ref().map(|links| links.iter().map(link).collect::<Vec<_>>()),
        "galera": survey.galera,
        "cipher": survey.cipher,
        "clock_ahead_ms": survey.clock_ahead_ms,
        "tables": survey.tables.as_ref().map(Vec::len),
        "account": rights.map(|rights| rights.account()),
        "grants": rights.map(|rights| rights.lines()),
        "unknown": survey.unknown.iter().map(unknown).collect::<Vec<_>>(),
    })
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

fn link(link: &SurveyedLink) -> Value {
    let state = &link.state;
    json!({
        "channel": state.channel,
        "source": state.source,
        "source_id": link.source_id(),
        "io_running": state.io_running,
        "sql_running": state.sql_running,
        "lag_seconds": state.lag_seconds,
        "last_error": state.last_error,
        "filters": pairs(&link.filters),
        "encrypted": link.encrypted,
        "by_gtid": link.by_gtid,
        "delay_seconds": link.delay_seconds,
    })
}

fn unknown(unknown: &Unknown) -> Value {
    json!({ "what": unknown.what, "why": unknown.reason, "grant": unknown.grant })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_wrapped_and_what_is_to_be_run_is_not() {
        let line = format!("GRANT SELECT ON `{}`.* TO `c`@`%`;", "long".repeat(30));
        let finding = |severity, remedy: &str| Finding {
            severity,
            check: "links run",
            nodes: vec!["n1".into(), "n2".into()],
            seen: "SQL No: a\u{1b}[2J".into(),
            why: "because ".repeat(20).trim().to_owned(),
            remedy: remedy.to_owned(),
        };
        let node = |name: &str| Node { name: name.into(), ..Node::default() };
        let mut diagnosis = Diagnosis {
            nodes: vec![node("n1"), node("n2")],
            silent: Vec::new(),
            findings: vec![
                finding(Severity::Critical, &format!("start it\n{line}")),
                finding(Severity::Ok, ""),
            ],
        };
        let because = |times| "because ".repeat(times).trim().to_owned();
        assert_eq!(
            text(&diagnosis, false),
            format!(
                "not fit: 1 critical on n1, n2; 1 check is fine\n\n\
                 critical: links run on n1, n2\n  seen  SQL No: a\u{fffd}[2J\n  why   {}\n        {}\n  \
                 do    start it\n        {line}\n\nfine\n  links run  SQL No: a\u{fffd}[2J\n",
                because(12),
                because(8)
            )
        );
        assert!(text(&diagnosis, true).contains("\u{1b}[1;31mcritical\u{1b}[0m: links run"));
        assert_eq!(document(&diagnosis)["verdict"], "critical");
        diagnosis.findings.remove(0);
        assert!(text(&diagnosis, false).starts_with("fit: 1 check is fine on n1, n2\n"));
        assert_eq!(document(&diagnosis)["verdict"], "ok");
    }
}

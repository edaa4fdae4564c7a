//! What the account at hand may not do, by kind of work, with the lines that grant it; and what a node refused to say.
//!
//! What is missing for a repair is no fault of an account that only checks, so it is a note.

use super::{Chart, Node, Severity};
use database::mysql::{Purpose, Rights};
use std::collections::BTreeSet;

const LOOK: &str = "rights to see replication";
const CHECK: &str = "rights to check";
const REPAIR: &str = "rights to mend";
const FORGET: &str = "rights to forget old runs";

pub(super) fn examine(nodes: &[Node], ledger: &str, chart: &mut Chart) {
    // an account sees only tables on which it has a right, so all nodes are asked for names
    let tables: BTreeSet<(&str, &str)> = nodes
        .iter()
        .flat_map(|node| node.survey.tables.iter().flatten())
        .map(|table| (table.database.as_str(), table.name.as_str()))
        .filter(|(database, _)| *database != ledger)
        .collect();
    let tables: Vec<(&str, &str)> = tables.into_iter().collect();
    for node in nodes {
        let Some(rights) = &node.survey.rights else { continue };
        examine_node(node, rights, &tables, ledger, chart);
    }
    let account =
        super::spread(nodes, |node| node.survey.rights.as_ref().map(|rights| rights.account().to_owned()));
    for check in [LOOK, CHECK, REPAIR, FORGET] {
        chart.else_fine(check, nodes, account.clone());
    }
    for node in nodes {
        for unknown in &node.survey.unknown {
            // what a grant would lift is told of above
            if unknown.grant.is_some() && node.survey.rights.is_some() {
                continue;
            }
            let seen = format!("{}: {}", unknown.what, unknown.reason);
            let advice = (
                "the checks that need it were left out for this node",
                unknown.grant.as_deref().unwrap_or("nothing, if the server has no such thing"),
            );
            let severity = if unknown.grant.is_some() { Severity::Warning } else { Severity::Note };
            chart.add(severity, "unknown", &[node], &seen, advice);
        }
    }
}

fn examine_node(node: &Node, rights: &Rights, tables: &[(&str, &str)], ledger: &str, chart: &mut Chart) {
    let mut missing = rights.missing(tables, ledger, node.survey.outside_log == Some(true));
    if tables.is_empty() && !rights.reads_all(None) {
        // nothing is seen, so nothing can be named
        let line = rights.reading(None);
        missing.insert(0, database::mysql::Missing { purpose: Purpose::Check, line });
    }
    for (purpose, check, severity, why) in [
        (
            Purpose::Look,
            LOOK,
            Severity::Warning,
            "whether links run, how far they lag, and filters of the log were not seen here",
        ),
        (
            Purpose::Check,
            CHECK,
            Severity::Warning,
            "evensum check needs them; with --no-ledger it reads only, and needs none of those for its ledger",
        ),
        (
            Purpose::Repair,
            REPAIR,
            Severity::Note,
            "evensum sync --execute needs them: nothing to do for an account that only checks",
        ),
        (
            Purpose::Forget,
            FORGET,
            Severity::Note,
            "the rows of old runs in the ledger are removed by an account that also may write outside the log; until one runs, they stay",
        ),
    ] {
        let mut lines: Vec<&str> = missing
            .iter()
            .filter(|missing| missing.purpose == purpose)
            .map(|missing| missing.line.as_str())
            .collect();
        // what was tried and worked is not missing, however it is granted
        if purpose == Purpose::Look && node.survey.links.is_some() && node.survey.position.is_some() {
            lines.clear();
        }
        if !lines.is_empty() {
            let seen = format!("{} lacks {}", rights.account(), counted(lines.len()));
            chart.add(severity, check, &[node], &seen, (why, &lines.join("\n")));
        }
    }
}

fn counted(lines: usize) -> String {
    if lines == 1 { "rights".to_owned() } else { format!("rights in {lines} places") }
}

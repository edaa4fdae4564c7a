//! Tables that an account is not shown: what they look like to a check, and the grant that shows them.
//!
//! A server lists to an account only the tables on which it has a right. So a right that is missing looks like a table that is
//! missing, on one node or on all. Wherever a check ends with such a table, or with none, the accounts are asked for their grants, and
//! where these do not show the table, the line that would is named.
//!
//! Invariant: this only adds words. A node that does not say what it grants adds none.

use crate::cluster::{Connected, Scope};
use crate::commands::check::unmatched;
use crate::output;
use checker::{Report, Verdict};
use database::mysql::Rights;

/// Names the grants that may be missing: in the reasons of tables that were skipped, and on stderr where no table was found at all.
pub async fn explain(report: &mut Report, connected: &[Connected], scope: &Scope) {
    let skipped = report.tables.iter().any(|table| table.verdict == Verdict::Skipped);
    let absent: Vec<Option<String>> = match report.tables.is_empty() && scope.selection.patterns().is_empty()
    {
        true => vec![None],
        false => unmatched(report, scope).into_iter().map(database_of).collect(),
    };
    if !skipped && absent.is_empty() {
        return;
    }
    let mut accounts = Vec::new();
    for node in connected {
        let Ok(mut connection) = node.another(&scope.options).await else { continue };
        if let Ok(rights) = connection.rights().await {
            accounts.push((&node.target.name, rights));
        }
    }
    for table in report.tables.iter_mut().filter(|table| table.verdict == Verdict::Skipped) {
        let (database, name) = (&table.table.database, &table.table.name);
        let Some(reason) = &mut table.reason else { continue };
        for (node, rights) in accounts.iter().filter(|(_, rights)| !rights.reads(database, name)) {
            reason.push_str(&words(node, rights, Some(database)));
        }
    }
    for database in absent {
        let database = database.as_deref();
        for (node, rights) in accounts.iter().filter(|(_, rights)| !rights.reads_all(database)) {
            output::note(&format!("evensum: a table may be missing{}", words(node, rights, database)));
        }
    }
}

fn words(node: &str, rights: &Rights, database: Option<&str>) -> String {
    format!("; {node} does not show it to {}; to allow it: {}", rights.account(), rights.reading(database))
}

/// The database that a pattern names, if it names one alone.
fn database_of(pattern: &str) -> Option<String> {
    let (database, _) = pattern.split_once('.')?;
    (!database.contains(['*', '?', '[', '%'])).then(|| database.to_owned())
}

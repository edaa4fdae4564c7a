//! Settings that are judged one variable at a time: by their value on each node, and by whether nodes agree on it.
//!
//! Not here: variables that mean something only together with others or with the links.

use super::{Chart, Node, Severity, distinct, spread};
use std::collections::BTreeSet;

/// A variable, when its value is bad, and what to say then.
struct Rule {
    check: &'static str,
    /// By what names servers know it.
    names: &'static [&'static str],
    judge: fn(&str) -> Severity,
    why: &'static str,
    remedy: &'static str,
}

/// A variable that should have one value on all nodes.
struct Agreement {
    check: &'static str,
    names: &'static [&'static str],
    severity: Severity,
    why: &'static str,
    remedy: &'static str,
}

const RULES: [Rule; 11] = [
    Rule {
        check: "log_bin",
        names: &["log_bin"],
        judge: |value| worse_if(!on(value), Severity::Critical),
        why: "what is written here is in no log, so it reaches no other node",
        remedy: "log_bin = mysql-bin in the option file, and a restart",
    },
    Rule {
        check: "binlog_format",
        names: &["binlog_format"],
        judge: |value| match value.to_ascii_uppercase().as_str() {
            "STATEMENT" => Severity::Warning,
            "MIXED" => Severity::Note,
            _ => Severity::Ok,
        },
        why: "a statement is run again on every node, and may write other rows there: UUID(), LIMIT without ORDER BY, triggers, \
              rows that differ already; MIXED turns to rows only where the server sees that",
        remedy: "SET GLOBAL binlog_format = ROW on every master, and binlog_format = ROW in the option file; sessions that are \
                 open keep the old one",
    },
    Rule {
        check: "binlog_row_image",
        names: &["binlog_row_image"],
        judge: |value| worse_if(!value.to_ascii_uppercase().starts_with("FULL"), Severity::Warning),
        why: "events leave columns out: where rows differ already the rest stays different, and the log cannot show what a row was",
        remedy: "SET GLOBAL binlog_row_image = FULL, and the same in the option file",
    },
    Rule {
        check: "slave_skip_errors",
        names: &["replica_skip_errors", "slave_skip_errors"],
        judge: |value| {
            worse_if(!matches!(value.to_ascii_uppercase().as_str(), "" | "OFF"), Severity::Critical)
        },
        why: "each error that is skipped is a row that differs from then on, and replication still looks well",
        remedy: "take slave_skip_errors out of the option file and restart; then evensum check, to see what it has cost",
    },
    Rule {
        check: "slave_exec_mode",
        names: &["replica_exec_mode", "slave_exec_mode"],
        judge: |value| worse_if(value.eq_ignore_ascii_case("IDEMPOTENT"), Severity::Critical),
        why: "a row that is there already is overwritten, and one that is missing is passed over, without an error",
        remedy: "SET GLOBAL slave_exec_mode = STRICT (replica_exec_mode on new MySQL), and the same in the option file",
    },
    Rule {
        check: "slave_type_conversions",
        names: &["replica_type_conversions", "slave_type_conversions"],
        judge: |value| {
            // ALL_NON_LOSSY holds the word ALL_LOSSY nowhere
            let lossy = value.split(',').any(|word| word.trim().eq_ignore_ascii_case("ALL_LOSSY"));
            worse_if(lossy, Severity::Warning)
        },
        why: "where a column is narrower here, values are cut to fit, without an error",
        remedy: "make the definitions alike, then SET GLOBAL slave_type_conversions = '' (replica_type_conversions on new MySQL)",
    },
    Rule {
        check: "slave_run_triggers_for_rbr",
        names: &["slave_run_triggers_for_rbr"],
        judge: |value| worse_if(!value.eq_ignore_ascii_case("NO"), Severity::Warning),
        why: "what a trigger writes arrives by the log, and is written here once more by the trigger",
        remedy: "SET GLOBAL slave_run_triggers_for_rbr = NO, unless the trigger is on this node alone",
    },
    Rule {
        check: "sync_binlog",
        names: &["sync_binlog"],
        judge: |value| match value.parse::<u64>() {
            Ok(0) => Severity::Warning,
            Ok(2..) => Severity::Note,
            _ => Severity::Ok,
        },
        why: "when the machine crashes the log loses its end: commits that are in the tables here never reach the other nodes, or \
              are there and not here",
        remedy: "SET GLOBAL sync_binlog = 1, and the same in the option file; after a crash without it, evensum check",
    },
    Rule {
        check: "innodb_flush_log_at_trx_commit",
        names: &["innodb_flush_log_at_trx_commit"],
        judge: |value| worse_if(matches!(value, "0" | "2"), Severity::Warning),
        why: "a crash loses the last second of commits here, which the other nodes may have received already",
        remedy: "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and the same in the option file; where speed matters more, evensum \
                 check after a crash",
    },
    Rule {
        check: "innodb_doublewrite",
        names: &["innodb_doublewrite"],
        judge: |value| worse_if(matches!(value.to_ascii_uppercase().as_str(), "OFF" | "0"), Severity::Note),
        why: "a crash in the middle of a page leaves it torn, unless the file system writes whole pages",
        remedy: "innodb_doublewrite = ON in the option file, unless the file system does it (ZFS)",
    },
    Rule {
        check: "binlog_expire_logs_seconds",
        names: &["binlog_expire_logs_seconds"],
        judge: |value| match value.parse::<f64>() {
            Ok(seconds) => worse_if(seconds > 0.0 && seconds < DAY_SECONDS, Severity::Note),
            Err(_) => Severity::Ok,
        },
        why: "a link that stands still for longer than this can never go on: its replica must be built anew",
        remedy: "keep the logs for a few days: SET GLOBAL binlog_expire_logs_seconds = 604800",
    },
];

const DAY_SECONDS: f64 = 86_400.0;

const AGREEMENTS: [Agreement; 9] = [
    Agreement {
        check: "binlog_format agrees",
        names: &["binlog_format"],
        severity: Severity::Warning,
        why: "the same statement replicates as rows from one node and as text from another",
        remedy: "binlog_format = ROW on all",
    },
    Agreement {
        check: "binlog_row_image agrees",
        names: &["binlog_row_image"],
        severity: Severity::Warning,
        why: "rows heal on one node and not on the other, depending on where they are written",
        remedy: "binlog_row_image = FULL on all",
    },
    Agreement {
        check: "character sets agree",
        names: &["collation_server"],
        severity: Severity::Warning,
        why: "a database or table that is made without naming a character set gets another one on each node that makes it",
        remedy: "the same character_set_server and collation_server in all option files",
    },
    Agreement {
        check: "lower_case_table_names agrees",
        names: &["lower_case_table_names"],
        severity: Severity::Critical,
        why: "a table that is found here by its name is not found there, and replication stops (error 1146)",
        remedy: "the value can be chosen only when a server is set up: set up the odd one anew",
    },
    Agreement {
        check: "default_storage_engine agrees",
        names: &["default_storage_engine"],
        severity: Severity::Warning,
        why: "a table that is made without naming an engine keeps its rows in another one on each node",
        remedy: "default_storage_engine = InnoDB on all",
    },
    Agreement {
        check: "explicit_defaults_for_timestamp agrees",
        names: &["explicit_defaults_for_timestamp"],
        severity: Severity::Warning,
        why: "the same CREATE TABLE gives TIMESTAMP columns other defaults on each node",
        remedy: "the same value in all option files",
    },
    Agreement {
        check: "max_allowed_packet agrees",
        names: &["max_allowed_packet"],
        severity: Severity::Note,
        why: "a value that fits here cannot be written or read by clients there",
        remedy: "the largest of them on all",
    },
    Agreement {
        check: "gtid_mode agrees",
        names: &["gtid_mode"],
        severity: Severity::Warning,
        why: "a node without GTIDs cannot tell the others where it stands after a failover",
        remedy: "the same gtid_mode on all, raised step by step: OFF_PERMISSIVE, ON_PERMISSIVE, ON",
    },
    Agreement {
        check: "gtid_strict_mode agrees",
        names: &["gtid_strict_mode"],
        severity: Severity::Note,
        why: "a transaction out of order stops replication on one node and passes on the other",
        remedy: "the same gtid_strict_mode on all",
    },
];

pub(super) fn examine(nodes: &[Node], chart: &mut Chart) {
    for rule in &RULES {
        for node in nodes {
            let Some(value) = node.variable(rule.names) else { continue };
            let severity = (rule.judge)(value);
            if severity > Severity::Ok {
                chart.add(severity, rule.check, &[node], super::shown(value), (rule.why, rule.remedy));
            }
        }
        chart.else_fine(rule.check, nodes, spread(nodes, |node| node.variable(rule.names)));
    }
    strictness(nodes, chart);
    row_numbers(nodes, chart);
    for agreement in &AGREEMENTS {
        let of = |node: &Node| node.variable(agreement.names).map(str::to_owned);
        disagree(nodes, agreement.check, agreement.severity, of, (agreement.why, agreement.remedy), chart);
    }
    sql_modes(nodes, chart);
}

/// Notes where nodes that say a value say different ones.
pub(super) fn disagree(
    nodes: &[Node],
    check: &'static str,
    severity: Severity,
    of: impl Fn(&Node) -> Option<String>,
    advice: (&str, &str),
    chart: &mut Chart,
) {
    let knowing: Vec<&Node> = nodes.iter().filter(|node| of(node).is_some()).collect();
    if knowing.len() < 2 {
        return;
    }
    let seen = spread(nodes, &of);
    if distinct(nodes, &of).len() > 1 {
        chart.add(severity, check, &knowing, seen.as_deref().unwrap_or_default(), advice);
    }
    chart.else_fine(check, nodes, seen);
}

/// The words of `sql_mode`.
fn sql_mode(node: &Node) -> Option<BTreeSet<String>> {
    let words = node.variable(&["sql_mode"])?.split(',').map(|word| word.trim().to_ascii_uppercase());
    Some(words.filter(|word| !word.is_empty()).collect())
}

fn sql_modes(nodes: &[Node], chart: &mut Chart) {
    let modes = distinct(nodes, sql_mode);
    let common = modes.iter().skip(1).fold(modes.first().cloned().unwrap_or_default(), |common, mode| {
        common.intersection(mode).cloned().collect()
    });
    // only the words that not all have
    let own = |node: &Node| {
        let words: Vec<String> = sql_mode(node)?.difference(&common).cloned().collect();
        let none = if modes.len() > 1 { "nothing more" } else { "the same words" };
        Some(if words.is_empty() { none.to_owned() } else { words.join(",") })
    };
    let advice = (
        "a statement that one node refuses passes on another, and the same text is read in two ways",
        "the same sql_mode in all option files",
    );
    disagree(nodes, "sql_mode agrees", Severity::Warning, own, advice, chart);
}

fn strictness(nodes: &[Node], chart: &mut Chart) {
    let strict = |node: &Node| Some(sql_mode(node)?.iter().any(|word| word.starts_with("STRICT_")));
    for node in nodes.iter().filter(|node| strict(node) == Some(false)) {
        let advice = (
            "values that do not fit are stored cut, with a warning that nobody reads",
            "add STRICT_TRANS_TABLES to sql_mode, after trying it with the application",
        );
        chart.add(Severity::Note, "sql_mode is strict", &[node], "no", advice);
    }
    let seen = spread(nodes, |node| strict(node).map(|strict| if strict { "yes" } else { "no" }));
    chart.else_fine("sql_mode is strict", nodes, seen);
}

/// New numbers that are given without a lock come in another order when a statement is run again.
fn row_numbers(nodes: &[Node], chart: &mut Chart) {
    for node in nodes {
        let interleaved = node.variable(&["innodb_autoinc_lock_mode"]) == Some("2");
        let by_statement =
            node.variable(&["binlog_format"]).is_some_and(|format| format.eq_ignore_ascii_case("STATEMENT"));
        if interleaved && by_statement {
            let advice = (
                "INSERT … SELECT gives its rows other numbers when the statement is run again on another node",
                "binlog_format = ROW, or innodb_autoinc_lock_mode = 1 in the option file and a restart",
            );
            chart.add(Severity::Warning, "innodb_autoinc_lock_mode", &[node], "2 with STATEMENT", advice);
        }
    }
}

fn on(value: &str) -> bool {
    matches!(value.to_ascii_uppercase().as_str(), "ON" | "1")
}

fn worse_if(bad: bool, severity: Severity) -> Severity {
    if bad { severity } else { Severity::Ok }
}

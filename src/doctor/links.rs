//! Whether what is written on one node arrives on all others: links, lag, filters, GTIDs, encryption.
//!
//! # The way of a write
//!
//! A write stands in the log of its master. Each replica of that master gets it, and passes it on to its own replicas if it has
//! `log_slave_updates`. Members of one Galera cluster get it at once. So the nodes that a write reaches are found by following the links
//! from node to node; a link knows its source by server id, as the replica has heard it. Where a source was never heard of, nothing can
//! be said, and is not.

use super::{Chart, Node, Severity, spread};
use database::mysql::SurveyedLink;
use std::collections::BTreeSet;

/// A lag above this is told of.
const LAG_NOTE_S: u64 = 5;
/// A lag above this is a warning.
const LAG_WARNING_S: u64 = 30;

pub(super) fn examine(nodes: &[Node], ledger: &str, chart: &mut Chart) {
    for node in nodes {
        for link in node.survey.links.iter().flatten() {
            state(node, link, chart);
            settings(node, link, chart);
        }
        filters(node, ledger, chart);
        own_encryption(node, chart);
    }
    let all = || nodes.iter().flat_map(|node| node.survey.links.iter().flatten());
    let linked = all().next().is_some();
    chart.else_fine("links run", nodes, spread(nodes, sources).filter(|_| linked));
    chart.else_fine("lag", nodes, spread(nodes, lags).filter(|_| linked));
    chart.else_fine("skip counter", nodes, linked.then(|| "0".to_owned()));
    let known = linked && all().all(|link| link.encrypted.is_some());
    chart.else_fine("link encryption", nodes, known.then(|| "encrypted, or on this machine".to_owned()));
    let asked = nodes.iter().any(|node| node.survey.links.is_some());
    chart.else_fine("filters", nodes, asked.then(|| "none".to_owned()));
    chart.else_fine("ledger replicates", nodes, asked.then(|| ledger.to_owned()));
    chart.else_fine(
        "this connection",
        nodes,
        spread(nodes, |node| node.survey.cipher.as_deref().map(encrypted)),
    );
    if nodes.len() > 1 {
        reach(nodes, chart);
        unlisted(nodes, chart);
        gtids(nodes, chart);
    }
}

fn encrypted(cipher: &str) -> String {
    if cipher.is_empty() { "not encrypted, on this machine".to_owned() } else { cipher.to_owned() }
}

/// By whom a node is fed.
fn sources(node: &Node) -> Option<String> {
    let sources: Vec<String> = node.survey.links.as_ref()?.iter().map(named).collect();
    Some(if sources.is_empty() { "fed by nobody".to_owned() } else { sources.join(", ") })
}

/// How far its links are behind; none if it has none, or one of them does not run or does not say.
fn lags(node: &Node) -> Option<String> {
    let runs = |link: &SurveyedLink| link.state.io_running && link.state.sql_running;
    let lag =
        |link: &SurveyedLink| link.state.lag_seconds.filter(|_| runs(link)).map(|lag| format!("{lag} s"));
    let lags: Option<Vec<String>> = node.survey.links.as_ref()?.iter().map(lag).collect();
    lags.map(|lags| lags.join(", ")).filter(|lags| !lags.is_empty())
}

/// The link as a person finds it again.
fn named(link: &SurveyedLink) -> String {
    let channel = &link.state.channel;
    let channel = if channel.is_empty() { String::new() } else { format!(" ({channel})") };
    format!("from {}{channel}", link.state.source)
}

fn state(node: &Node, link: &SurveyedLink, chart: &mut Chart) {
    let state = &link.state;
    if !state.io_running || !state.sql_running {
        let word = |runs: bool| if runs { "Yes" } else { "No" };
        let error = match state.last_error.as_str() {
            "" => String::new(),
            error => format!(": {error}"),
        };
        let seen =
            format!("{}: IO {}, SQL {}{error}", named(link), word(state.io_running), word(state.sql_running));
        let advice = (
            "what is written on the source does not arrive here",
            "find the cause in the error and mend that; START SLAVE (START REPLICA). To skip the transaction instead makes a row \
             that differs: if it must be, evensum check afterwards",
        );
        chart.add(Severity::Critical, "links run", &[node], &seen, advice);
        return;
    }
    let seen = format!("{}: {} s", named(link), state.lag_seconds.unwrap_or(0));
    let meant = link.delay_seconds;
    match state.lag_seconds.map(|lag| lag.saturating_sub(meant)) {
        Some(lag) if lag > LAG_NOTE_S => {
            let severity = if lag > LAG_WARNING_S { Severity::Warning } else { Severity::Note };
            let advice = (
                "reads here are old, and conflicting writes on two masters are more likely the longer the way",
                "see whether it grows: disks, a long transaction, one thread for too many writes (slave_parallel_threads, \
                 replica_parallel_workers)",
            );
            chart.add(severity, "lag", &[node], &seen, advice);
        }
        _ => {}
    }
    if meant > 0 {
        let advice = (
            "the replica holds back on purpose: evensum waits so long for every row that differs",
            "nothing, if it is meant; else MASTER_DELAY = 0, or --settle longer than the delay",
        );
        chart.add(Severity::Note, "lag", &[node], &format!("{}: delayed by {meant} s", named(link)), advice);
    }
    if link.skip_counter > 0 {
        let advice = (
            "the next events from the source are passed over, and their rows will differ",
            "SET GLOBAL sql_slave_skip_counter = 0, unless it is meant; then evensum check",
        );
        let seen = format!("{}: {}", named(link), link.skip_counter);
        chart.add(Severity::Critical, "skip counter", &[node], &seen, advice);
    }
}

fn settings(node: &Node, link: &SurveyedLink, chart: &mut Chart) {
    if link.encrypted == Some(false) && !is_local(&link.state.source) {
        let advice = (
            "every row that is written, and the password of the replication user, can be read on the way",
            "CHANGE MASTER TO … MASTER_SSL = 1 (SOURCE_SSL = 1), with certificates on both sides, and REQUIRE SSL for that user",
        );
        chart.add(Severity::Warning, "link encryption", &[node], &format!("{}: none", named(link)), advice);
    }
    if link.by_gtid == Some(false) && node.on(&["relay_log_recovery"]) == Some(false) {
        let advice = (
            "after a crash a replica that works by file and position may apply events twice or not at all",
            "relay_log_recovery = ON in the option file, or let the link find its place by GTID",
        );
        chart.add(Severity::Note, "relay_log_recovery", &[node], "OFF, by file and position", advice);
    }
}

fn is_local(source: &str) -> bool {
    let host = source.rsplit_once(':').map_or(source, |(host, _)| host);
    matches!(host, "localhost" | "::1" | "[::1]" | "") || host.starts_with("127.")
}

/// Whether this very connection could be listened to.
fn own_encryption(node: &Node, chart: &mut Chart) {
    if !node.local && node.survey.cipher.as_deref() == Some("") {
        let advice = (
            "rows that evensum reads and writes can be read on the way",
            "certificates on the server, and ssl-mode=REQUIRED in the node's URL",
        );
        chart.add(Severity::Warning, "this connection", &[node], "not encrypted", advice);
    }
}

/// Filters lose writes by design; where they lose the ledger's, evensum cannot know what has arrived.
fn filters(node: &Node, ledger: &str, chart: &mut Chart) {
    let links = node.survey.links.iter().flatten().flat_map(|link| &link.filters);
    let mut told: Vec<&(String, String)> = Vec::new();
    for filter in node.survey.log_filters.iter().chain(links) {
        if !told.contains(&filter) {
            told.push(filter);
        }
    }
    for (name, value) in &told {
        let advice = (
            "what it leaves out differs between the nodes by design; with STATEMENT logs filters by database go by the database in \
             use (USE), so that a write from another one is lost",
            "leave it, if it is meant, and check with --tables what is not filtered; filters by table (replicate_wild_do_table) go by \
             the table itself",
        );
        chart.add(Severity::Warning, "filters", &[node], &format!("{name} = {value}"), advice);
    }
    if let Some((name, value)) = told.into_iter().find(|(name, value)| loses(name, value, ledger)) {
        let advice = (
            "evensum's own rows do not get through, so it cannot know what has arrived: rows that differ stay unsettled",
            "--ledger DATABASE, with one that is replicated, or let the filter pass this one too",
        );
        let seen = format!("{ledger} is left out by {name} = {value}");
        chart.add(Severity::Warning, "ledger replicates", &[node], &seen, advice);
    }
}

/// Whether a filter leaves out the tables of this database.
fn loses(name: &str, value: &str, ledger: &str) -> bool {
    let mut parts = value.split(',').map(str::trim);
    let is = |part: &str| part.eq_ignore_ascii_case(ledger);
    let of_table = |part: &str| part.split_once('.').is_some_and(|(database, _)| is(database));
    let of_pattern = |part: &str| part.split_once('.').is_some_and(|(database, _)| like(database, ledger));
    match name {
        "binlog_do_db" | "replicate_do_db" => !parts.any(is),
        "binlog_ignore_db" | "replicate_ignore_db" => parts.any(is),
        "replicate_do_table" => !parts.any(of_table),
        "replicate_ignore_table" => parts.any(of_table),
        "replicate_wild_do_table" => !parts.any(of_pattern),
        "replicate_wild_ignore_table" => parts.any(of_pattern),
        _ => false,
    }
}

/// Whether a name meets a pattern of LIKE, in which `%` and `_` stand for other characters unless a backslash is before them.
fn like(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    // for each beginning of the name, whether the pattern so far meets it
    let mut met = vec![false; name.len() + 1];
    met[0] = true;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character == '%' {
            let mut any = false;
            met.iter_mut().for_each(|met| (any, *met) = (any | *met, any | *met));
            continue;
        }
        let wanted = match character {
            '_' => None,
            '\\' => characters.next(),
            character => Some(character),
        };
        for place in (0..name.len()).rev() {
            let same = wanted.is_none_or(|wanted| wanted.to_lowercase().eq([name[place]]));
            met[place + 1] = met[place] && same;
        }
        met[0] = false;
    }
    met.last() == Some(&true)
}

/// The names of the nodes that a write on `start` reaches, or may reach: a node that does not say by whom it is fed may be fed by any.
fn reached<'a>(nodes: &'a [Node], start: &'a Node) -> BTreeSet<&'a str> {
    let id = |node: &'a Node| node.variable(&["server_id"]);
    let mut reached = BTreeSet::from([start.name.as_str()]);
    let mut passing = vec![start];
    while let Some(source) = passing.pop() {
        for node in nodes {
            let together = source.in_galera()
                && node.in_galera()
                && source.survey.galera.get("wsrep_cluster_state_uuid")
                    == node.survey.galera.get("wsrep_cluster_state_uuid");
            let fed = source_ids(node).is_none_or(|ids| ids.iter().any(|known| Some(*known) == id(source)));
            if (fed || together) && reached.insert(&node.name) {
                // a node that does not say may pass on
                if together || passes_on(node) != Some(false) {
                    passing.push(node);
                }
            }
        }
    }
    reached
}

/// The numbers of all its sources; none if it does not say, or not of all of them.
fn source_ids(node: &Node) -> Option<Vec<&str>> {
    node.survey.links.as_ref()?.iter().map(|link| link.source_id()).collect()
}

fn passes_on(node: &Node) -> Option<bool> {
    node.on(&["log_replica_updates", "log_slave_updates"])
}

fn reach(nodes: &[Node], chart: &mut Chart) {
    const CHECK: &str = "writes arrive everywhere";
    for source in nodes.iter().filter(|node| node.writable()) {
        let reached = reached(nodes, source);
        let lost: Vec<&Node> = nodes.iter().filter(|node| !reached.contains(node.name.as_str())).collect();
        if !lost.is_empty() {
            let seen = format!("no way from {}", source.name);
            let advice = (
                "what is written on that node never arrives here: there is no chain of links, or a node of the chain does not pass on \
                 what it applied (log_slave_updates = OFF)",
                "a link from it, or from a node that has log_slave_updates = ON; or read_only = ON on the node that is not to be \
                 written to",
            );
            chart.add(Severity::Critical, CHECK, &lost, &seen, advice);
        }
    }
    let sure = nodes.iter().all(|node| source_ids(node).is_some());
    chart.else_fine(CHECK, nodes, sure.then(|| "by links from node to node".to_owned()));
    for node in nodes.iter().filter(|node| passes_on(node) == Some(false) && !node.in_galera()) {
        let advice = (
            "it does not pass on what it applies: a replica below it, or a third master in the ring, gets only what is written here",
            "log_slave_updates = ON in the option file and a restart, before the ring grows",
        );
        chart.add(Severity::Note, "log_slave_updates", &[node], "OFF", advice);
    }
    let seen = spread(nodes, |node| node.variable(&["log_replica_updates", "log_slave_updates"]));
    chart.else_fine("log_slave_updates", nodes, seen);
}

/// Sources that were not named on the command line.
fn unlisted(nodes: &[Node], chart: &mut Chart) {
    let known: BTreeSet<&str> = nodes.iter().filter_map(|node| node.variable(&["server_id"])).collect();
    for node in nodes {
        for link in node.survey.links.iter().flatten() {
            let Some(id) = link.source_id().filter(|id| !known.contains(id)) else { continue };
            let advice = ("that server writes here too, and nobody compares it", "name it as a node as well");
            let seen = format!("fed {} (server {id}), which is not listed", named(link));
            chart.add(Severity::Note, "sources are listed", &[node], &seen, advice);
        }
    }
}

/// MariaDB numbers transactions per domain: masters that share one write numbers that run against each other.
fn gtids(nodes: &[Node], chart: &mut Chart) {
    const CHECK: &str = "gtid_domain_id";
    let by_gtid = |node: &Node| node.survey.links.iter().flatten().any(|link| link.by_gtid == Some(true));
    let masters: Vec<&Node> = nodes.iter().filter(|node| node.writable() && !node.in_galera()).collect();
    let domains: BTreeSet<&str> =
        masters.iter().filter_map(|node| node.variable(&["gtid_domain_id"])).collect();
    let known = masters.iter().filter(|node| node.variable(&["gtid_domain_id"]).is_some()).count();
    let seen = spread(nodes, |node| node.variable(&["gtid_domain_id"]));
    if domains.len() < known && nodes.iter().any(by_gtid) {
        let advice = (
            "masters that are written to at once number their transactions in one sequence: a replica that connects by GTID can pass \
             over some of them, or stops (gtid_strict_mode)",
            "a gtid_domain_id of its own for each master, in the option file and by SET GLOBAL",
        );
        chart.add(Severity::Warning, CHECK, &masters, seen.as_deref().unwrap_or_default(), advice);
    }
    chart.else_fine(CHECK, nodes, seen);
    let ways: BTreeSet<bool> = nodes
        .iter()
        .flat_map(|node| node.survey.links.iter().flatten())
        .filter_map(|link| link.by_gtid)
        .collect();
    if ways.len() > 1 {
        let all: Vec<&Node> = nodes.iter().collect();
        let advice = (
            "some links find their place by GTID and some by file and position: a failover needs both kinds of care",
            "one way for all links",
        );
        chart.add(Severity::Note, "links by GTID", &all, "some", advice);
    }
}

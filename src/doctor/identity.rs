//! Who the nodes are: that each is another server, of a version that the others understand, with the same time.

use super::{Chart, Node, Severity, distinct, settings::disagree, spread};

/// Clocks that are further apart than this are told of.
const CLOCK_APART_MS: i64 = 1_000;

pub(super) fn examine(nodes: &[Node], chart: &mut Chart) {
    numbers(nodes, chart);
    versions(nodes, chart);
    clocks(nodes, chart);
    let advice = (
        "TIMESTAMP values, NOW() and dates at midnight mean another moment on each node, wherever a session does not set a zone \
         of its own",
        "time_zone = '+00:00' (or one name) in all option files",
    );
    disagree(nodes, "time zones agree", Severity::Warning, time_zone, advice, chart);
    read_only(nodes, chart);
}

/// The numbers by which servers know whose an event is.
fn numbers(nodes: &[Node], chart: &mut Chart) {
    for node in nodes.iter().filter(|node| node.variable(&["server_id"]) == Some("0")) {
        let advice = (
            "without a number of its own a server takes no part in replication",
            "server_id = a number that no other node has, in the option file, and a restart",
        );
        chart.add(Severity::Critical, "server_id", &[node], "0", advice);
    }
    let advice = (
        "a server takes events that bear its own number for its own and does not apply them: what is written on one of these is lost on the \
         other",
        "a server_id of its own for each, in the option file and by SET GLOBAL; then evensum check",
    );
    twice(nodes, "server_id", advice, chart);
    let advice = (
        "a replica takes a source of its own UUID for itself; GTIDs of the two cannot be told apart",
        "the data directory was copied: stop one server, remove its auto.cnf, and start it again; or one server is listed twice",
    );
    twice(nodes, "server_uuid", advice, chart);
}

/// Notes a value that several nodes share.
fn twice(nodes: &[Node], check: &'static str, advice: (&str, &str), chart: &mut Chart) {
    let of = |node: &Node| node.variable(&[check]).map(str::to_owned);
    for value in distinct(nodes, of) {
        let holders: Vec<&Node> = nodes.iter().filter(|node| of(node).as_ref() == Some(&value)).collect();
        // Galera's nodes share a number where they stand for one source to their replicas
        if holders.len() > 1 && value != "0" && !holders.iter().all(|node| node.in_galera()) {
            chart.add(Severity::Critical, check, &holders, &value, advice);
        }
    }
    chart.else_fine(check, nodes, spread(nodes, of));
}

/// The kind of server, and its series: two numbers for MariaDB and MySQL up to 9.
fn series(version: &str) -> (&'static str, Vec<u32>) {
    let kind = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let numbers = version.split(['.', '-']).map_while(|part| part.parse().ok());
    (kind, numbers.take(2).collect())
}

fn versions(nodes: &[Node], chart: &mut Chart) {
    const CHECK: &str = "versions agree";
    let of = |node: &Node| node.variable(&["version"]).map(str::to_owned);
    let seen = spread(nodes, of);
    let all: Vec<&Node> = nodes.iter().collect();
    let kinds = distinct(nodes, |node| of(node).map(|version| series(&version)));
    let mut note = |severity, why, remedy| {
        chart.add(severity, CHECK, &all, seen.as_deref().unwrap_or_default(), (why, remedy));
    };
    if kinds.iter().any(|(kind, _)| Some(kind) != kinds.first().map(|(kind, _)| kind)) {
        note(
            Severity::Warning,
            "MySQL and MariaDB write GTIDs and some types (JSON, UUID, collations) differently, and neither promises to read all of \
             the other's log",
            "one kind of server for all masters",
        );
    } else if kinds.len() > 1 {
        note(
            Severity::Warning,
            "replication is promised from an older series to a newer one, and between masters it also goes the other way",
            "bring all masters to one series, replicas first",
        );
    } else if distinct(nodes, of).len() > 1 {
        note(
            Severity::Note,
            "within a series that works; what one version mends the other still does wrong",
            "the same version on all, when it suits",
        );
    }
    chart.else_fine(CHECK, nodes, seen);
}

fn clocks(nodes: &[Node], chart: &mut Chart) {
    const CHECK: &str = "clocks agree";
    let ahead = nodes.iter().filter_map(|node| node.survey.clock_ahead_ms);
    let (Some(least), Some(most)) = (ahead.clone().min(), ahead.max()) else { return };
    if nodes.len() > 1 && most - least > CLOCK_APART_MS {
        #[allow(clippy::cast_precision_loss, reason = "tenths of a second are shown")]
        let seen = spread(nodes, |node| {
            node.survey.clock_ahead_ms.map(|ms| format!("{:+.1} s", ms as f64 / 1_000.0))
        });
        let advice = (
            "lag is measured wrongly, NOW() is another moment on each node, and the policy newest=COLUMN takes the wrong row",
            "let chrony or ntpd run on every node",
        );
        let all: Vec<&Node> = nodes.iter().collect();
        chart.add(Severity::Warning, CHECK, &all, &seen.unwrap_or_default(), advice);
    } else if nodes.len() > 1 {
        chart.else_fine(CHECK, nodes, Some("within a second".to_owned()));
    }
}

/// The zone that counts: the server's own, or the one of its operating system.
fn time_zone(node: &Node) -> Option<String> {
    match node.variable(&["time_zone"])? {
        "SYSTEM" => node.variable(&["system_time_zone"]),
        zone => Some(zone),
    }
    .map(|zone| if matches!(zone, "+00:00" | "Etc/UTC" | "GMT") { "UTC" } else { zone }.to_owned())
}

fn read_only(nodes: &[Node], chart: &mut Chart) {
    const CHECK: &str = "read_only";
    for node in nodes.iter().filter(|node| !node.writable()) {
        let advice = (
            "right for a replica of the third tier, which evensum does not write; it knows it for one if every node shows by whom it \
             is fed",
            "nothing, if it is meant; the account of evensum needs the rights to see replication, on every node",
        );
        chart.add(Severity::Note, CHECK, &[node], "ON", advice);
    }
    chart.else_fine(CHECK, nodes, spread(nodes, |node| node.variable(&["read_only"])));
}

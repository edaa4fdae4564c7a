//! The state of a Galera cluster, by the status that its nodes show.
//!
//! Here a node that is out of the primary component, or still catching up, answers queries from old data or not at all.

use super::{Chart, Node, Severity, settings::disagree, spread};

const STATE: &str = "galera state";

pub(super) fn examine(nodes: &[Node], chart: &mut Chart) {
    let members: Vec<&Node> = nodes.iter().filter(|node| node.in_galera()).collect();
    if members.is_empty() {
        return;
    }
    let state = |node: &Node| {
        let of = |name: &str| node.survey.galera.get(name).map_or("unknown", String::as_str);
        let state = ["wsrep_cluster_status", "wsrep_ready", "wsrep_local_state_comment"].map(of);
        format!("{}, ready {}, {}", state[0], state[1], state[2])
    };
    for node in &members {
        let is = |name: &str, value: &str| {
            node.survey.galera.get(name).is_none_or(|found| found.eq_ignore_ascii_case(value))
        };
        if !is("wsrep_cluster_status", "Primary") || !is("wsrep_ready", "ON") {
            let advice = (
                "the node is not in the primary component: it refuses queries, or answers them from old data",
                "join it to the cluster again before anything else; evensum cannot compare it meanwhile",
            );
            chart.add(Severity::Critical, STATE, &[node], &state(node), advice);
        } else if !is("wsrep_local_state_comment", "Synced") {
            let advice = (
                "the node is catching up or gives its state to another one: its rows are old",
                "wait until it is Synced, then check",
            );
            chart.add(Severity::Warning, STATE, &[node], &state(node), advice);
        }
    }
    chart.else_fine(STATE, nodes, spread(nodes, |node| node.in_galera().then(|| state(node))));
    let of = |name: &'static str| {
        move |node: &Node| node.survey.galera.get(name).filter(|_| node.in_galera()).cloned()
    };
    let advice = (
        "the nodes are not members of one cluster, or of one state of it",
        "see which part is the primary component",
    );
    disagree(nodes, "galera cluster", Severity::Critical, of("wsrep_cluster_state_uuid"), advice, chart);
    disagree(nodes, "galera membership", Severity::Warning, of("wsrep_cluster_conf_id"), advice, chart);
    let advice = (
        "sql_log_bin=0 keeps no write on one node of Galera, so evensum compares these nodes and refuses to mend them",
        "a node that differs takes a new state transfer (SST) in a quiet hour",
    );
    chart.add(Severity::Note, "galera repair", &members, "Galera replicates every write", advice);
}

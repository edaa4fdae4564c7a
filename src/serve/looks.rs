//! Looks at the nodes again and again: who answers, whether replication runs, how far it is behind.
//!
//! Each look connects anew, as a client would, so that it sees what a client sees. What is wrong is told only after
//! [`WRONG_LOOKS`] looks in a row, because links stop and start; what is right again is told at once.
//!
//! Invariant: a node that does not answer says nothing of its links: their alerts neither begin nor end. Bounds: one look at a
//! time, and none longer than [`LOOK_MAX`].

use super::Service;
use crate::alerts::findings::{Finding, LAG, STOPPED, UNREACHABLE, Word};
use crate::alerts::notice::{Notice, Severity};
use crate::clock;
use crate::cluster::Connected;
use crate::error::Failure;
use crate::output;
use database::mysql::{LinkState, Options};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is wrong is told after so many looks in a row.
const WRONG_LOOKS: u32 = 2;
/// How long a node may take to say how it replicates.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest look.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// What was last seen.
#[derive(Debug, Default)]
pub struct Looks(Mutex<Option<Arc<Look>>>);

/// What was seen of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The nodes, in the order of the configuration.
    pub nodes: Vec<NodeLook>,
}

/// What was seen of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLook {
    /// What it is called.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// What it said, or why it said nothing.
    pub answer: Result<NodeAnswer, String>,
}

/// What a node said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAnswer {
    /// Its version.
    pub version: String,
    /// Its number in replication.
    pub server_id: String,
    /// Whether ordinary clients may not write.
    pub read_only: bool,
    /// The links by which it is fed; none if it does not tell.
    pub links: Option<Vec<LinkLook>>,
}

/// What was seen of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkLook {
    /// The node that feeds, by its name; by its address if it is no node of the cluster.
    pub from: String,
    /// Whether both of its threads run.
    pub running: bool,
    /// How far the replica is behind, if it can tell.
    pub lag_seconds: Option<u64>,
    /// The last error; empty if there is none.
    pub last_error: String,
}

impl Looks {
    /// What was last seen; nothing before the first look.
    pub fn latest(&self) -> Option<Arc<Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, look: Look) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(look));
    }
}

impl NodeLook {
    /// Whether it answers, and each link of it runs. Of a node that does not tell its links that is not known, so it is not.
    pub fn is_well(&self) -> bool {
        let runs = |links: &Vec<LinkLook>| links.iter().all(|link| link.running);
        self.answer.as_ref().is_ok_and(|answer| answer.links.as_ref().is_some_and(runs))
    }
}

/// Looks until the service ends.
pub async fn watch(service: Arc<Service>) {
    let (mut patience, mut names, mut seen) = (Patience::default(), Names::default(), Seen::default());
    while !service.stopping() {
        let setup = service.setup();
        if let Ok(mut look) = tokio::time::timeout(LOOK_MAX, look(&service, &mut names)).await {
            seen.miss(&mut look);
            let findings = patience.heed(findings(&look, setup.lag_told.as_secs()));
            let told = observe(&service, &setup.cluster, &look, findings);
            service.looks.set(look);
            if let Err(failure) = told {
                output::complain(&failure);
            }
            service.wake.notify_waiters();
        }
        service.sleep(setup.look_interval).await;
    }
}

/// Keeps what a look says.
fn observe(service: &Service, cluster: &str, look: &Look, mut findings: Vec<Finding>) -> Result<(), Failure> {
    let mut state = service.state()?;
    for alert in state.open_alerts()? {
        findings.extend(gone(&alert.notice, look));
    }
    state.observe(cluster, &findings, clock::now_seconds())
}

/// An alert about a node or a link that is no longer there: nobody would ever say that it is right again.
fn gone(notice: &Notice, look: &Look) -> Option<Finding> {
    let name = [UNREACHABLE, STOPPED, LAG].into_iter().find(|name| *name == notice.name)?;
    let label = |label: &str| notice.labels.get(label).map(String::as_str);
    let there = match (label("node"), label("from"), label("to")) {
        (Some(node), ..) => look.nodes.iter().any(|known| known.name == node),
        (None, Some(from), Some(to)) => look.nodes.iter().any(|known| {
            // between nodes of the cluster a link that is not listed any more was taken away, and that is no better than a stop
            let own = look.nodes.iter().any(|node| node.name == from);
            let links = known.answer.as_ref().ok().and_then(|answer| answer.links.as_ref());
            known.name == to && (own || links.is_none_or(|links| links.iter().any(|link| link.from == from)))
        }),
        _ => true,
    };
    let labels: Vec<(&str, &str)> = notice
        .labels
        .iter()
        .filter(|(label, _)| *label != "cluster")
        .map(|(label, text)| (label.as_str(), text.as_str()))
        .collect();
    (!there).then(|| Finding::right(name, &labels))
}

/// The names of nodes by their numbers in replication, also of those that do not answer now.
type Names = BTreeMap<String, String>;

/// One look at all nodes.
async fn look(service: &Service, names: &mut Names) -> Look {
    let each = service.setup().nodes.connect_each(&Options::default()).await;
    let asked = join_all(each.into_iter().map(async |(target, connected)| {
        let answer = match connected {
            Ok(connected) => ask(connected).await,
            Err(failure) => Err(failure.what),
        };
        (target.name.to_string(), format!("{}:{}", target.host, target.port), answer)
    }))
    .await;
    for (name, _, answer) in &asked {
        if let Ok((answer, _)) = answer {
            names.insert(answer.server_id.clone(), name.clone());
        }
    }
    let by_address: Names = asked.iter().map(|(name, address, _)| (address.clone(), name.clone())).collect();
    let named =
        |link: &LinkState| names.get(&link.source_id).or_else(|| by_address.get(&link.source)).cloned();
    let nodes = asked.into_iter().map(|(name, address, answer)| {
        let answer = answer.map(|(answer, links)| NodeAnswer {
            links: links.map(|links| links.iter().map(|link| link_look(link, named(link))).collect()),
            ..answer
        });
        NodeLook { name, address, answer }
    });
    Look { at: clock::now_seconds(), nodes: nodes.collect() }
}

async fn ask(mut node: Connected) -> Result<(NodeAnswer, Option<Vec<LinkState>>), String> {
    // one that hangs, behind a STOP SLAVE perhaps, must not keep the others from being seen
    let asked = tokio::time::timeout(ANSWER_MAX, node.connection.replication()).await;
    let links = asked
        .map_err(|_| format!("it does not say within {} s how it replicates", ANSWER_MAX.as_secs()))?
        .ok();
    let answer = NodeAnswer {
        version: node.identity.version,
        server_id: node.identity.server_id,
        read_only: node.identity.read_only,
        links: None,
    };
    Ok((answer, links))
}

fn link_look(link: &LinkState, from: Option<String>) -> LinkLook {
    LinkLook {
        from: from.unwrap_or_else(|| link.source.clone()),
        running: link.io_running && link.sql_running,
        lag_seconds: link.lag_seconds,
        last_error: link.last_error.clone(),
    }
}

/// The links that were seen since the service began, by replica and source: one that is taken away is missed.
#[derive(Default)]
struct Seen(BTreeSet<(String, String)>);

impl Seen {
    /// Adds to a look the links that were there before and are not listed any more, as stopped.
    fn miss(&mut self, look: &mut Look) {
        let nodes: BTreeSet<String> = look.nodes.iter().map(|node| node.name.clone()).collect();
        self.0.retain(|(to, from)| nodes.contains(to) && nodes.contains(from));
        for node in &mut look.nodes {
            let Some(links) = node.answer.as_mut().ok().and_then(|answer| answer.links.as_mut()) else {
                continue;
            };
            let missed = self
                .0
                .iter()
                .filter(|(to, from)| *to == node.name && links.iter().all(|link| link.from != *from));
            let missed: Vec<LinkLook> = missed
                .map(|(_, from)| LinkLook {
                    from: from.clone(),
                    last_error: "the link is no longer configured".to_owned(),
                    ..LinkLook::default()
                })
                .collect();
            self.0.extend(links.iter().map(|link| (node.name.clone(), link.from.clone())));
            links.extend(missed);
        }
    }
}

/// What a look says of nodes and links.
fn findings(look: &Look, lag_told: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in &look.nodes {
        let labels = [("node", node.name.as_str())];
        let answer = match &node.answer {
            Ok(answer) => answer,
            Err(why) => {
                let summary = format!("{} does not answer: {why}", node.name);
                let annotations = [("summary", summary.as_str()), ("command", "evensum status")];
                findings.push(Finding::wrong(UNREACHABLE, &labels, Severity::Error, &annotations));
                continue;
            }
        };
        findings.push(Finding::right(UNREACHABLE, &labels));
        for link in answer.links.iter().flatten() {
            findings.extend(of_link(&node.name, link, lag_told));
        }
    }
    findings
}

fn of_link(to: &str, link: &LinkLook, lag_told: u64) -> [Finding; 2] {
    let labels = [("from", link.from.as_str()), ("to", to)];
    let stopped = match link.running {
        true => Finding::right(STOPPED, &labels),
        false => {
            let error = if link.last_error.is_empty() { "it says no error" } else { &link.last_error };
            let summary = format!("replication from {} to {to} does not run: {error}", link.from);
            let annotations = [("summary", summary.as_str()), ("command", "evensum status")];
            Finding::wrong(STOPPED, &labels, Severity::Critical, &annotations)
        }
    };
    let lag = match link.lag_seconds {
        Some(seconds) if seconds > lag_told => {
            let summary = format!("{to} is {seconds} s behind {}", link.from);
            let annotations = [("summary", summary.as_str()), ("command", "evensum status")];
            Finding::wrong(LAG, &labels, Severity::Warning, &annotations)
        }
        _ => Finding::right(LAG, &labels),
    };
    [stopped, lag]
}

/// Keeps back what is wrong until it was seen often enough.
#[derive(Default)]
struct Patience(BTreeMap<(&'static str, BTreeMap<String, String>), u32>);

impl Patience {
    fn heed(&mut self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut seen = BTreeMap::new();
        let told = findings
            .into_iter()
            .filter(|finding| {
                if finding.word == Word::Right {
                    return true;
                }
                let thing = (finding.name, finding.labels.clone());
                let looks = self.0.get(&thing).map_or(1, |looks| looks.saturating_add(1));
                seen.insert(thing, looks);
                looks >= WRONG_LOOKS
            })
            .collect();
        self.0 = seen;
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, answer: Result<Vec<LinkLook>, &str>) -> NodeLook {
        let answer = answer
            .map(|links| NodeAnswer { links: Some(links), ..NodeAnswer::default() })
            .map_err(str::to_owned);
        NodeLook { name: name.into(), address: String::new(), answer }
    }

    fn link(running: bool, lag_seconds: Option<u64>) -> LinkLook {
        LinkLook { from: "n1".into(), running, lag_seconds, last_error: String::new() }
    }

    fn said(look: Look) -> Vec<(&'static str, bool)> {
        findings(&look, 60).iter().map(|finding| (finding.name, finding.word == Word::Right)).collect()
    }

    #[test]
    fn a_node_that_does_not_answer_says_nothing_of_its_links() {
        let look = |node| Look { at: 0, nodes: vec![node] };
        assert_eq!(said(look(node("n2", Err("refused")))), [(UNREACHABLE, false)]);
        let well = |links| said(look(node("n2", Ok(links))));
        assert_eq!(well(vec![link(true, Some(60))]), [(UNREACHABLE, true), (STOPPED, true), (LAG, true)]);
        assert_eq!(well(vec![link(true, Some(61))]), [(UNREACHABLE, true), (STOPPED, true), (LAG, false)]);
        assert_eq!(well(vec![link(false, None)]), [(UNREACHABLE, true), (STOPPED, false), (LAG, true)]);
    }

    #[test]
    fn what_is_no_longer_there_is_not_wrong_any_more() {
        let look = |node: NodeLook| Look { at: 0, nodes: vec![node] };
        let about = |name: &str, labels: &[(&str, &str)]| {
            let text = |(label, text): &(&str, &str)| ((*label).to_owned(), (*text).to_owned());
            let labels = labels.iter().map(text).collect();
            Notice { name: name.into(), labels, ..crate::alerts::notice::examples::divergence("t", true) }
        };
        let link_of = |from: &str| about(STOPPED, &[("cluster", "c"), ("from", from), ("to", "n2")]);
        let well = look(node("n2", Ok(vec![link(false, None)])));
        assert!(gone(&link_of("n1"), &well).is_none(), "it is there");
        assert_eq!(gone(&link_of("n9"), &well).unwrap().fingerprint("c"), link_of("n9").fingerprint());
        let both = Look { at: 0, nodes: vec![node("n1", Ok(vec![])), node("n2", Ok(vec![]))] };
        assert!(gone(&link_of("n1"), &both).is_none(), "taken away, and both are nodes");
        assert!(gone(&link_of("n9"), &look(node("n2", Err("refused")))).is_none(), "nobody knows");
        assert!(gone(&link_of("n1"), &look(node("n3", Ok(vec![])))).is_some(), "n2 is no node any more");
        assert!(gone(&about(UNREACHABLE, &[("node", "n2")]), &look(node("n3", Ok(vec![])))).is_some());
        assert!(gone(&about("MasterDataDivergence", &[("table", "a.b")]), &well).is_none());
    }

    #[test]
    fn a_link_that_is_taken_away_is_missed_until_it_is_there_again() {
        let look = |links| Look { at: 0, nodes: vec![node("n1", Ok(vec![])), node("n2", Ok(links))] };
        let mut seen = Seen::default();
        let mut links_of = |mut look: Look| {
            seen.miss(&mut look);
            look.nodes.remove(1).answer.unwrap().links.unwrap()
        };
        assert!(links_of(look(vec![link(true, Some(0))]))[0].running);
        let missed = links_of(look(vec![]));
        assert!(missed.len() == 1 && !missed[0].running && missed[0].from == "n1", "{missed:?}");
        assert_eq!(links_of(look(vec![])).len(), 1);
        assert!(links_of(look(vec![link(true, Some(0))]))[0].running);
    }

    #[test]
    fn what_is_wrong_once_is_not_told_and_what_is_right_is_at_once() {
        let wrong = || vec![Finding::wrong(STOPPED, &[("to", "n2")], Severity::Critical, &[])];
        let right = || vec![Finding::right(STOPPED, &[("to", "n2")])];
        let mut patience = Patience::default();
        let counts: Vec<usize> = [wrong(), right(), wrong(), wrong(), wrong(), right()]
            .into_iter()
            .map(|findings| patience.heed(findings).len())
            .collect();
        assert_eq!(counts, [0, 1, 0, 1, 1, 1]);
    }
}

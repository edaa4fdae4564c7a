//! `evensum status`: who the nodes are, and how their replication stands.
//!
//! A node that does not answer is a line of the answer and not its end: this is what one asks when something is wrong.

use crate::cli::StatusArgs;
use crate::cluster::{Cluster, Connected};
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use database::mysql::{LinkState, Options};
use futures_util::future::join_all;

/// What is known of one node.
#[derive(Debug)]
pub struct NodeStatus {
    /// What it is called.
    pub name: String,
    /// What it said, or why it said nothing.
    pub answer: Result<Answer, Failure>,
}

/// What a node said of itself.
#[derive(Debug)]
pub struct Answer {
    /// Its number in replication.
    pub server_id: String,
    /// By what it is known again.
    pub identity: String,
    /// Its version.
    pub version: String,
    /// Whether ordinary clients may not write.
    pub read_only: bool,
    /// The links by which it is fed.
    pub links: Vec<LinkState>,
}

impl NodeStatus {
    /// Whether it answers and every link of it runs.
    pub fn is_well(&self) -> bool {
        let runs = |link: &LinkState| link.io_running && link.sql_running;
        self.answer.as_ref().is_ok_and(|answer| answer.links.iter().all(runs))
    }

    /// Whether it answers, and no link feeds it.
    fn is_apart(&self) -> bool {
        self.answer.as_ref().is_ok_and(|answer| answer.links.is_empty())
    }
}

/// Runs the command.
pub async fn run(args: StatusArgs) -> Result<Outcome, Failure> {
    let cluster = Cluster::resolve(&args.cluster, 1)?;
    let each = cluster.connect_each(&Options::default()).await;
    let nodes: Vec<NodeStatus> = join_all(each.into_iter().map(async |(target, connected)| {
        let answer = match connected {
            Ok(connected) => ask(connected).await,
            Err(failure) => Err(failure),
        };
        NodeStatus { name: target.name.to_string(), answer }
    }))
    .await;
    if args.json {
        output::print(&render::json::text(&render::json::status(&nodes)))?;
    } else {
        output::print(&render::text::status(&nodes))?;
    }
    // one node may be alone; of several, one that hears from nobody is no master of a cluster
    let apart: Vec<&NodeStatus> = nodes.iter().filter(|node| nodes.len() > 1 && node.is_apart()).collect();
    for node in &apart {
        output::note(&format!(
            "evensum: {} replicates from nobody: what is written on the other nodes does not reach it",
            node.name
        ));
    }
    let well = apart.is_empty() && nodes.iter().all(NodeStatus::is_well);
    Ok(if well { Outcome::Identical } else { Outcome::Incomplete })
}

async fn ask(mut node: Connected) -> Result<Answer, Failure> {
    let links = node.connection.replication().await?;
    Ok(Answer {
        server_id: node.identity.server_id,
        identity: node.identity.server_uuid,
        version: node.identity.version,
        read_only: node.identity.read_only,
        links,
    })
}

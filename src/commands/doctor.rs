//! `evensum doctor`: asks the nodes how they are set up, and says what is wrong with it before it hurts.
//!
//! A node that does not answer is a part of the answer, and not its end: the others are judged all the same.
//!
//! Invariant: nothing is changed on any node.

use crate::cli::DoctorArgs;
use crate::cluster::{Cluster, Connected};
use crate::doctor::{Finding, Node, Severity, judge};
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use database::Target;
use database::mysql::Options;
use futures_util::future::join_all;

/// What came of it.
#[derive(Debug)]
pub struct Diagnosis {
    /// The nodes that answered, with what they said.
    pub nodes: Vec<Node>,
    /// The names of those that did not, and why.
    pub silent: Vec<(String, Failure)>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// How bad the worst finding is.
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    fn outcome(&self) -> Outcome {
        match self.worst() {
            _ if !self.silent.is_empty() => Outcome::Incomplete,
            Severity::Ok | Severity::Note => Outcome::Identical,
            Severity::Warning | Severity::Critical => Outcome::Unfit,
        }
    }
}

/// Runs the command.
pub async fn run(args: DoctorArgs) -> Result<Outcome, Failure> {
    let cluster = Cluster::resolve(&args.cluster, 1)?;
    let mut options = Options::default();
    if let Some(ledger) = args.ledger.as_deref().or(cluster.config.check.ledger.as_deref()) {
        options.ledger = ledger.into();
    }
    let each = cluster.connect_each(&options).await;
    let asked = join_all(each.into_iter().map(async |(target, connected)| {
        let answer = match connected {
            Ok(connected) => ask(connected).await,
            Err(failure) => Err(failure),
        };
        (target.name.to_string(), answer)
    }))
    .await;
    let (mut nodes, mut silent) = (Vec::new(), Vec::new());
    for (name, answer) in asked {
        match answer {
            Ok(node) => nodes.push(node),
            Err(failure) => silent.push((name, failure)),
        }
    }
    let findings = judge(&nodes, &options.ledger);
    let diagnosis = Diagnosis { nodes, silent, findings };
    output::print(&match args.json {
        true => render::json::text(&render::doctor::document(&diagnosis)),
        false => render::doctor::text(&diagnosis, output::coloured()),
    })?;
    Ok(diagnosis.outcome())
}

async fn ask(mut connected: Connected) -> Result<Node, Failure> {
    let survey = connected.connection.survey().await?;
    let name = connected.target.name.to_string();
    Ok(Node { name, local: is_local(&connected.target), survey })
}

/// Whether nobody but this machine can listen to the connection.
fn is_local(target: &Target) -> bool {
    let host = target.host.as_ref();
    target.socket.is_some() || matches!(host, "localhost" | "::1") || host.starts_with("127.")
}

//! What the configuration means for the service: read as a whole, or refused as a whole.
//!
//! `evensum config check` reads it by the same function, so what it accepts the service accepts.

use crate::alerts::sink::Sink;
use crate::cli::{AccessArgs, ClusterArgs};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::config::service::{Plan, plans};
use crate::error::Failure;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use syncer::Policy;

/// The configuration, understood.
pub struct Setup {
    /// As it was read.
    pub config: Config,
    /// The file.
    pub path: PathBuf,
    /// What the cluster is called.
    pub cluster: String,
    /// Its nodes, not connected.
    pub nodes: Cluster,
    /// The schedules.
    pub plans: Vec<Plan>,
    /// Who is told.
    pub sinks: Vec<Arc<Sink>>,
    /// How often the nodes are looked at.
    pub look_interval: Duration,
    /// The lag from which on somebody is told.
    pub lag_told: Duration,
}

/// Refuses a policy that names no node: a repair would find out in the night of a divergence.
fn known_nodes(plans: &[Plan], nodes: &Cluster) -> Result<(), Failure> {
    for plan in plans {
        let policy = plan.said.policy.as_deref().and_then(|text| Policy::from_str(text).ok());
        let Some(mut policy) = policy else { continue };
        if let Some(name) = policy.node()
            && !nodes.has(name)
        {
            let (what, names) = (&plan.schedule.name, nodes.names().collect::<Vec<_>>().join(", "));
            return Err(Failure::config(
                format!("schedule {what}: its policy names {name}, which is no node of this cluster"),
                format!("the nodes are {names}"),
            ));
        }
    }
    Ok(())
}

impl Setup {
    /// Reads the file that was named, else the one of the environment.
    pub fn read(path: Option<&Path>) -> Result<Setup, Failure> {
        let environment = || std::env::var_os("EVENSUM_CONFIG").map(PathBuf::from);
        let path = path.map(Path::to_owned).or_else(environment).ok_or_else(|| {
            Failure::usage(
                "no configuration was named",
                "name one with --config; it says the nodes and the schedules",
            )
        })?;
        // runs are begun with it from another folder
        let path = std::path::absolute(&path).unwrap_or(path);
        let access = AccessArgs { no_input: true, ..AccessArgs::default() };
        let args = ClusterArgs { config: Some(path.clone()), access, ..ClusterArgs::default() };
        let nodes = Cluster::resolve(&args, 1)?;
        let config = nodes.config.clone();
        let folder = path.parent().unwrap_or(Path::new("/"));
        let sinks: Vec<Arc<Sink>> = config
            .alerts
            .iter()
            .map(|alert| Sink::resolve(alert, folder).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = sinks.iter().find(|sink| !names.insert(sink.name())) {
            let what = format!("two receivers of alerts are called \"{}\"", twice.name());
            return Err(Failure::config(what, "give each [[alert]] of one type a name of its own"));
        }
        config.serve.address()?;
        let plans = plans(&config.schedules)?;
        known_nodes(&plans, &nodes)?;
        Ok(Setup {
            plans,
            look_interval: config.serve.look_interval()?,
            lag_told: config.serve.lag_told()?,
            cluster: nodes.name.clone(),
            sinks,
            nodes,
            path,
            config,
        })
    }

    /// Looks also at what is only needed to serve: the certificates, and whether the address may be open.
    pub fn check(&self) -> Result<(), Failure> {
        super::tls::config(&self.config.serve, self.config.serve.address()?).map(drop)
    }

    /// The plan of this name.
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| &*plan.schedule.name == name)
    }

    /// Where people find the page; empty if nobody said.
    pub fn external_url(&self) -> String {
        self.config.serve.external_url.clone().unwrap_or_default().trim_end_matches('/').to_owned()
    }
}

//! `evensum clone`: gives a new node a consistent copy of another one that is being written to, and lets it join the ring.
//!
//! First everything is looked at (`plan`), then it is done (`act`): the new node pulls the copy, catches up as a replica, and
//! the node behind it begins to replicate from it. What is stopped in the copy leaves the new node as empty as it was; what
//! fails later is told with the statements that finish it or take it back.
//!
//! Invariant: nothing is changed on any node before all of them were looked at; SOURCE is only read until the new node has
//! caught up.

mod act;
mod plan;

pub use self::act::Copied;
pub use self::plan::{Plan, Step};

use self::plan::{Account, Nodes};
use crate::cli::{CheckArgs, CloneArgs, ClusterArgs, ExitCodes, Format, SelectionArgs};
use crate::cluster::Cluster;
use crate::commands::check;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::password;
use crate::render;
use crate::signals;
use checker::Stop;
use database::Secret;
use database::mysql::Options;

/// What was done, or would be.
#[derive(Debug)]
pub struct Cloned {
    /// The names of source, target and the next node, if there is one.
    pub nodes: Vec<String>,
    /// The steps.
    pub plan: Plan,
    /// The copy; none if nothing was to be done.
    pub copied: Option<Copied>,
    /// Whether the new node has joined.
    pub joined: bool,
    /// The command that compares the nodes.
    pub check: String,
}

/// Runs the command.
pub async fn run(args: CloneArgs) -> Result<Outcome, Failure> {
    let named = cluster_args(&args);
    let cluster = Cluster::resolve(&named, 2)?;
    let account = account(&args)?;
    let options = Options::default();
    let mut nodes = Nodes { list: cluster.connect(&options).await? };
    let plan = plan::make(&mut nodes, !args.no_join, &account).await?;
    if let Some((user, secret)) = &account {
        for node in &nodes.list {
            node.try_account(user, secret, &options).await?;
        }
    }
    for warning in &plan.warnings {
        output::note(&format!("evensum: warning: {warning}"));
    }
    let mut cloned = Cloned {
        nodes: nodes.list.iter().map(|node| node.target.name.to_string()).collect(),
        plan,
        copied: None,
        joined: false,
        check: check_command(&named),
    };
    if !args.dry_run {
        let stop = Stop::new();
        let interrupt = signals::watch_saying(&stop, "stopping; once more ends it at once")?;
        let result = act::all(&mut nodes, &mut cloned, &args, &stop).await;
        // the words of the failure say how far it came
        result.map_err(|failure| Failure {
            outcome: interrupt.outcome().unwrap_or(failure.outcome),
            ..failure
        })?;
    }
    output::print(&match args.json {
        true => render::json::text(&render::clone::document(&cloned)),
        false => render::clone::text(&cloned),
    })?;
    if !args.check {
        return Ok(Outcome::Identical);
    }
    drop(nodes);
    check::run(check_args(named)).await
}

fn cluster_args(args: &CloneArgs) -> ClusterArgs {
    let nodes = [Some(&args.source), Some(&args.target), args.ring_next.as_ref()];
    ClusterArgs {
        nodes: nodes.into_iter().flatten().cloned().collect(),
        config: args.config.clone(),
        access: args.access.clone(),
    }
}

/// The account by which nodes are to replicate, if one was said.
fn account(args: &CloneArgs) -> Result<Account, Failure> {
    let Some(user) = &args.replication_user else { return Ok(None) };
    let environment = || std::env::var("EVENSUM_REPLICATION_PASSWORD").ok().map(Secret::new);
    let secret = match &args.replication_password_file {
        Some(path) => password::first_line(path)?,
        None => environment().ok_or_else(|| {
            Failure::password(
                format!("there is no password of {user}"),
                "name a file with --replication-password-file, or set EVENSUM_REPLICATION_PASSWORD",
            )
        })?,
    };
    Ok(Some((user.clone(), secret)))
}

fn check_command(named: &ClusterArgs) -> String {
    let mut words = vec!["evensum".to_owned(), "check".to_owned()];
    let paths = [
        ("--config", &named.config),
        ("--password-file", &named.access.password_file),
        ("--defaults-file", &named.access.defaults_file),
    ];
    for (flag, path) in paths {
        if let Some(path) = path {
            words.extend([flag.to_owned(), render::text::quoted(&path.display().to_string())]);
        }
    }
    words.extend(named.nodes.iter().map(|node| render::text::quoted(node)));
    words.join(" ")
}

fn check_args(cluster: ClusterArgs) -> CheckArgs {
    CheckArgs {
        cluster,
        selection: SelectionArgs::default(),
        no_ledger: false,
        resume: None,
        ledger_view: None,
        format: Format::Text,
        exit_code: ExitCodes::Native,
        json: false,
        name: None,
        until_input_ends: false,
    }
}

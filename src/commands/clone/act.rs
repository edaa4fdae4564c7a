//! Carries a plan out: the copy, then step by step what makes the new node a member.
//!
//! While the copy runs on one connection to the new node, another one asks how far it is. Whoever is to end early drops the
//! first: the new node sees that nobody waits for the copy any more, and rolls it back.
//!
//! Invariant: a failure says which steps were done, and with which statements one goes on or goes back.

use super::Cloned;
use super::plan::{Action, Nodes, Plan, Role, Step};
use crate::cli::CloneArgs;
use crate::cluster::Connected;
use crate::error::Failure;
use crate::progress::{Told, time_left};
use checker::Stop;
use database::GtidSet;
use database::mysql::clone::Copying;
use database::mysql::{LinkState, Options};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// The longest copy.
const LONGEST_COPY: Duration = Duration::from_secs(24 * 3600);
/// How often it is asked how far something is.
const POLL: Duration = Duration::from_millis(200);
/// How long a link may be without a connection before it is given up.
const UNCONNECTED: Duration = Duration::from_secs(20);
/// How long the new node may take to give up a copy that nobody waits for.
const GIVE_UP: Duration = Duration::from_secs(20);

/// What the copy was.
#[derive(Clone, Debug)]
pub struct Copied {
    /// How much, and of which moment.
    pub copying: Copying,
    /// How long it took.
    pub took: Duration,
}

/// Does all of it.
pub async fn all(
    nodes: &mut Nodes,
    cloned: &mut Cloned,
    args: &CloneArgs,
    stop: &Stop,
) -> Result<(), Failure> {
    let copied = copy(nodes, &cloned.plan, stop).await?;
    let executed = copied.copying.executed.clone().unwrap_or_default();
    cloned.copied = Some(copied);
    if args.no_join {
        return Ok(());
    }
    for (n, step) in cloned.plan.steps.iter().enumerate() {
        let done = carry_out(nodes, step, &executed, args.wait, stop).await;
        done.map_err(|why| unfinished(&cloned.plan, n, why))?;
    }
    cloned.joined = true;
    Ok(())
}

async fn copy(nodes: &mut Nodes, plan: &Plan, stop: &Stop) -> Result<Copied, Failure> {
    let source = nodes.name(Role::Source).to_owned();
    let target = nodes.get(Role::Target)?;
    let name = target.target.name.to_string();
    let long = Options { statement_timeout: LONGEST_COPY, ..Options::default() };
    let mut copier = target.another(&long).await?;
    let told = Told::new(&format!("{name} asks {source} for a copy"));
    let start = Instant::now();
    let result = {
        let mut work = Box::pin(copier.carry_out(&plan.copy));
        loop {
            tokio::select! {
                result = &mut work => break Some(result),
                () = sleep(POLL) => {}
            }
            if stop.raised() {
                break None;
            }
            // who cannot say how far it is may still be copying
            if let Ok(copying) = target.connection.copying().await {
                told.say(line(&copying, start.elapsed()));
            }
        }
    };
    drop(copier);
    told.finish();
    let why = match result {
        Some(Ok(())) => {
            let copying = target.connection.copying().await?;
            return Ok(Copied { copying, took: start.elapsed() });
        }
        Some(Err(error)) => Failure::from(error).what,
        None => "stopped before the copy was complete".to_owned(),
    };
    Err(match left(target).await {
        Left::Nothing => Failure::cloning(
            format!("{name} has no copy: {why}"),
            format!("{name} is as empty as it was."),
            "",
        ),
        Left::All => Failure::cloning(
            why,
            format!("The copy on {name} is complete all the same, and nothing else was done."),
            to_finish(&plan.steps),
        ),
        Left::Unknown => Failure::cloning(
            why,
            format!("{name} holds either nothing or the whole copy, and never a part of it."),
            format!("see with SHOW DATABASES on {name} which of both; if nothing, run this again"),
        ),
    })
}

/// What a copy left behind that was not answered.
enum Left {
    Nothing,
    All,
    Unknown,
}

async fn left(target: &mut Connected) -> Left {
    let start = Instant::now();
    while start.elapsed() < GIVE_UP {
        match timeout(GIVE_UP, target.connection.copying()).await {
            Ok(Ok(copying)) if copying.state == "In Progress" => {}
            // a node that was started again remembers no copy, only what it holds
            Ok(Ok(_)) => match target.connection.executed().await {
                Ok(executed) if executed.is_empty() => return Left::Nothing,
                Ok(_) => return Left::All,
                Err(_) => {}
            },
            _ => {}
        }
        sleep(POLL).await;
    }
    Left::Unknown
}

/// How far the copy is.
fn line(copying: &Copying, elapsed: Duration) -> String {
    let (Some(tables), Some(estimate)) = (copying.tables_total, copying.bytes_estimate) else {
        return "the copy is about to begin".to_owned();
    };
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut line = format!(
        "{} of {} tables, {} rows, {} of about {}, {}/s",
        HumanCount(copying.tables),
        HumanCount(tables),
        HumanCount(copying.rows),
        HumanBytes(copying.bytes),
        HumanBytes(estimate.max(copying.bytes)),
        HumanBytes(copying.bytes.saturating_mul(1_000) / millis)
    );
    if let Some(left) = time_left(copying.bytes, estimate, elapsed) {
        line.push_str(&format!(", {} left", HumanDuration(left)));
    }
    line
}

async fn carry_out(
    nodes: &mut Nodes,
    step: &Step,
    copied: &GtidSet,
    wait: Duration,
    stop: &Stop,
) -> Result<(), String> {
    if stop.raised() {
        return Err("stopped".to_owned());
    }
    let words = |failure: Failure| failure.what;
    match &step.action {
        Action::Run(statement) => {
            let node = nodes.get(step.role).map_err(words)?;
            node.connection.carry_out(statement).await.map_err(|error| words(error.into()))
        }
        Action::Reach(other) => {
            let other = nodes.get(*other).map_err(words)?;
            let wanted = other.connection.executed().await.map_err(|error| words(error.into()))?;
            let from = format!("{}:{}", other.target.host, other.target.port);
            let goal = Goal { wanted: &wanted, from: Some(&from), wait };
            goal.reach(nodes.get(step.role).map_err(words)?, stop).await
        }
        Action::ReachCopy => {
            let goal = Goal { wanted: copied, from: None, wait };
            goal.reach(nodes.get(step.role).map_err(words)?, stop).await
        }
    }
}

/// What a node has to come to.
struct Goal<'a> {
    /// What it has to execute.
    wanted: &'a GtidSet,
    /// From where its link has to run.
    from: Option<&'a str>,
    /// For how long it is waited for.
    wait: Duration,
}

impl Goal<'_> {
    /// Waits until the node has come to it.
    async fn reach(&self, node: &mut Connected, stop: &Stop) -> Result<(), String> {
        let told = Told::new(&format!("{} catches up", node.target.name));
        let result = self.watch(node, &told, stop).await;
        told.finish();
        result
    }

    async fn watch(&self, node: &mut Connected, told: &Told, stop: &Stop) -> Result<(), String> {
        let name = node.target.name.to_string();
        let words = |error: database::Error| Failure::from(error).what;
        let (start, mut connected) = (Instant::now(), Instant::now());
        loop {
            let executed = node.connection.executed().await.map_err(words)?;
            let links = node.connection.replication().await.map_err(words)?;
            // a link that has nothing to fetch has still to show that it can
            let link = self.from.and_then(|from| links.iter().find(|link| link.source == from));
            let runs = |link: &LinkState| link.io_running && link.sql_running;
            if executed.contains_all(self.wanted) && (self.from.is_none() || link.is_some_and(runs)) {
                return Ok(());
            }
            let (done, all) = (HumanCount(executed.len()), HumanCount(self.wanted.len()));
            told.say(format!("{name} catches up: {done} of {all} transactions"));
            if let Some(link) = links.iter().find(|link| !link.sql_running) {
                return Err(format!(
                    "the link of {name} from {} has stopped: {}",
                    link.source, link.last_error
                ));
            }
            if link.is_none_or(|link| link.io_running) {
                connected = Instant::now();
            }
            if stop.raised() {
                return Err("stopped".to_owned());
            }
            if start.elapsed() >= self.wait || connected.elapsed() >= UNCONNECTED {
                let error = link.map_or("", |link| link.last_error.as_str());
                let waited = HumanDuration(start.elapsed());
                return Err(format!("{name} has not caught up within {waited} {error}")
                    .trim_end()
                    .to_owned());
            }
            sleep(POLL).await;
        }
    }
}

/// A failure behind the copy: what was done, what is left, and how to go on or back.
fn unfinished(plan: &Plan, failed: usize, why: String) -> Failure {
    let (done, rest) = plan.steps.split_at(failed);
    let mut changed = "The copy is complete".to_owned();
    for step in done.iter().filter(|step| matches!(step.action, Action::Run(_))) {
        changed.push_str(&format!("; done on {step}"));
    }
    changed.push('.');
    let mut advice = to_finish(rest);
    advice.push_str("\n  or take it back:");
    for (node, statement) in &plan.undo {
        advice.push_str(&format!("\n    {node}: {statement}"));
    }
    advice.push_str("\n  and empty the new node's folder before it is cloned into again");
    Failure::cloning(why, changed, advice)
}

fn to_finish(steps: &[Step]) -> String {
    let mut advice = "finish it, with the passwords in their places:".to_owned();
    for step in steps {
        advice.push_str(&format!("\n    {step}"));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let mut copying = Copying { tables: 3, rows: 12_345, bytes: 1 << 20, ..Copying::default() };
        assert_eq!(line(&copying, Duration::from_secs(1)), "the copy is about to begin");
        (copying.tables_total, copying.bytes_estimate) = (Some(40), Some(4 << 20));
        let shown = line(&copying, Duration::from_secs(2));
        assert_eq!(
            shown,
            "3 of 40 tables, 12,345 rows, 1.00 MiB of about 4.00 MiB, 512.00 KiB/s, 6 seconds left"
        );
    }
}

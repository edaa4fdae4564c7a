//! `evensum demo`: masters on this machine come apart before one's eyes, and are brought together again.
//!
//! It starts bundled nodes as processes of their own, lets writers write on all of them to the very end, brings about the
//! three kinds of divergence, and then runs the real commands as child processes. It checks what it shows: the rows that
//! `check` names must be exactly those that were made to differ, or the demonstration fails.
//!
//! Invariant: nothing is left behind, whatever ends it, unless `--keep` is given.

mod client;
mod divergence;
mod retail;
mod ring;
mod servers;
mod tell;
mod writers;

use crate::cli::DemoArgs;
use crate::error::{Failure, Outcome, without_secret};
use crate::output;
use crate::render;
use crate::signals::Signals;
use crate::state::State;
use divergence::Planted;
use serde_json::{Value, json};
use servers::{Servers, this_program};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tell::Tell;
use writers::{Rate, Writers};

/// How long one of the commands may take.
const COMMAND_BOUND: Duration = Duration::from_secs(120);

/// Runs the command.
pub async fn run(args: DemoArgs) -> Result<Outcome, Failure> {
    let mut signals = Signals::listen()?;
    // whichever ends first: the story is dropped, and with it the nodes
    tokio::select! {
        ended = story(&args) => ended,
        signal = signals.next() => Ok(Outcome::Signal(signal)),
    }
}

async fn story(args: &DemoArgs) -> Result<Outcome, Failure> {
    let tell = Tell::new(args.json);
    let policy = match (&args.policy, args.nodes) {
        (Some(policy), _) => policy.clone(),
        (None, 2) => "prefer=n1".to_owned(),
        (None, _) => "majority".to_owned(),
    };
    if without_secret(&policy) != policy {
        return Err(Failure::usage("the policy holds a password", "the nodes are n1, n2, … as in prefer=n1"));
    }
    tell.say(&format!(
        "evensum demo: {} masters on this machine; all that is shown is measured",
        args.nodes
    ))?;
    tell.say(&format!("('evensum' below is {})", this_program()?.display()))?;
    tell.step(&format!("{} masters start, each a process of its own", args.nodes))?;
    let told = |line: &str| {
        let shown =
            if line.starts_with("evensum ") { tell.command(line) } else { tell.say(&format!("    {line}")) };
        // who cannot be told at the start is told by the next line
        drop(shown);
    };
    let mut servers = Servers::start(args.nodes, args.keep, &told).await?;
    ring::close(&servers, &tell).await?;
    ring::load(&servers, &tell).await?;
    let nodes: Vec<_> = servers.list.iter().map(|server| (server.name.clone(), server.address)).collect();
    let writers = Writers::start(&nodes);
    tell.step("A writer begins on every master, and does not stop until the end")?;
    let planted = divergence::plant(&servers, &tell).await?;
    ring::show(&servers, &tell).await?;
    let seen = mend(&servers, &tell, &policy, &planted).await?;
    let rates = finish(&mut servers, &tell, writers, args.keep).await?;
    if args.json {
        let kept = args.keep.then(|| servers.config());
        output::print(&render::json::text(&document(&nodes, &planted, &seen, &rates, kept, tell.elapsed())))?;
    }
    Ok(Outcome::Identical)
}

/// What the commands of the demonstration said of themselves.
struct Seen {
    found: usize,
    mended: u64,
    verdict: String,
}

fn document(
    nodes: &[(String, SocketAddr)],
    planted: &[Planted],
    seen: &Seen,
    rates: &[Rate],
    kept: Option<PathBuf>,
    elapsed: Duration,
) -> Value {
    let node =
        |(name, address): &(String, SocketAddr)| json!({ "node": name, "address": address.to_string() });
    let row = |(table, key): &Planted| json!({ "table": table, "key": key });
    let writer = |rate: &Rate| {
        // tenths of a transaction are noise
        let per_second = (rate.per_second * 10.0).round() / 10.0;
        json!({ "node": rate.node, "transactions": rate.transactions, "per_second": per_second })
    };
    json!({
        "schema_version": 1,
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "planted": planted.iter().map(row).collect::<Vec<_>>(),
        "found": seen.found,
        "mended": seen.mended,
        "verdict": seen.verdict,
        "writers": rates.iter().map(writer).collect::<Vec<_>>(),
        "config": kept,
        "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Checks, plans, mends, and checks again, by the commands that a person types.
async fn mend(servers: &Servers, tell: &Tell, policy: &str, planted: &[Planted]) -> Result<Seen, Failure> {
    let config = servers.config().display().to_string();
    let config = ["--config", config.as_str()];
    tell.step("evensum compares the masters, while they are being written to")?;
    command(tell, &["check", config[0], config[1]], Outcome::Different).await?;
    let found = verify(servers, tell, planted)?;
    tell.step("It plans the repair, and changes nothing")?;
    let sync = ["sync", config[0], config[1], "--policy", policy];
    command(tell, &sync, Outcome::Different).await?;
    tell.step("It carries out the plan, row by row, without stopping a writer")?;
    let execute: Vec<&str> = sync.iter().copied().chain(["--execute", "--yes"]).collect();
    command(tell, &execute, Outcome::Identical).await?;
    let mended = last_run(servers)?.1["execution"]["mended"].as_u64().unwrap_or(0);
    tell.step("The masters hold the same rows again")?;
    command(tell, &["check", config[0], config[1]], Outcome::Identical).await?;
    Ok(Seen { found, mended, verdict: last_run(servers)?.0 })
}

/// The verdict of the last command, and its report.
fn last_run(servers: &Servers) -> Result<(String, Value), Failure> {
    let state = State::open(&servers.folder.join("state"))?;
    let run = state.find("last")?.ok_or_else(|| Failure::demo("a command left no run behind"))?;
    let report = serde_json::from_str(run.report.as_deref().unwrap_or_default())
        .map_err(|error| Failure::demo(format!("the report of {} is no JSON: {error}", run.run)))?;
    Ok((run.verdict.unwrap_or_default(), report))
}

/// Runs this program with these arguments, its output going where ours goes.
async fn command(tell: &Tell, args: &[&str], expected: Outcome) -> Result<(), Failure> {
    let shown = format!("evensum {}", args.join(" "));
    tell.command(&shown)?;
    let child = tokio::process::Command::new(this_program()?)
        .args(args)
        .stdin(Stdio::null())
        .stdout(tell.stdout())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| Failure::system(format!("cannot run {shown}: {error}")))?;
    let status = tokio::time::timeout(COMMAND_BOUND, child.wait()).await;
    let status = status
        .map_err(|_| Failure::demo(format!("'{shown}' did not end within {} s", COMMAND_BOUND.as_secs())))?
        .map_err(|error| Failure::system(format!("cannot wait for {shown}: {error}")))?;
    if status.code() == Some(i32::from(expected.code())) {
        return Ok(());
    }
    Err(Failure::demo(format!("'{shown}' ended with {status}, and not with exit code {}", expected.code())))
}

/// The check must have named exactly the rows that were made to differ; how many it named.
fn verify(servers: &Servers, tell: &Tell, planted: &[Planted]) -> Result<usize, Failure> {
    let (_, report) = last_run(servers)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: BTreeSet<(String, String)> = report["divergences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|divergence| {
            let table = format!("{}.{}", text(&divergence["database"]), text(&divergence["table"]));
            let key = divergence["key"].as_object().into_iter().flatten();
            let key: Vec<String> = key.map(|(name, value)| format!("{name}={}", text(value))).collect();
            (table, key.join(" "))
        })
        .collect();
    let planted: BTreeSet<(String, String)> =
        planted.iter().map(|(table, key)| ((*table).to_owned(), key.clone())).collect();
    if found != planted {
        return Err(Failure::demo(format!("planted were {planted:?}, and found were {found:?}")));
    }
    tell.say(&format!("\n    found: all {} rows that were made to differ, and no other", planted.len()))?;
    Ok(found.len())
}

async fn finish(
    servers: &mut Servers,
    tell: &Tell,
    writers: Writers,
    keep: bool,
) -> Result<Vec<Rate>, Failure> {
    tell.step("The writers stop")?;
    let written = writers.written();
    let rates = writers.stop().await;
    for rate in &rates {
        tell.say(&format!(
            "    {}: {} transactions, {:.0} a second",
            rate.node, rate.transactions, rate.per_second
        ))?;
        if let Some(failure) = &rate.failure {
            return Err(Failure::demo(format!("the writer on {} ended early: {failure}", rate.node)));
        }
    }
    if written == 0 {
        return Err(Failure::demo("the writers wrote nothing"));
    }
    ring::until_well(servers).await?;
    if keep {
        servers.keep();
        tell.say("\nThe nodes stay up. To look at them with the stock client:")?;
        for server in &servers.list {
            let (host, port) = (server.address.ip(), server.address.port());
            tell.say(&format!("  mariadb --host {host} --port {port} --user root --skip-ssl shop"))?;
        }
        tell.say(&format!("To compare them: evensum check --config {}", servers.config().display()))?;
        let ids: Vec<String> = servers.list.iter().map(|server| server.process().to_string()).collect();
        tell.say(&format!("To stop them:    kill {} && rm -r {}", ids.join(" "), servers.folder.display()))?;
    }
    tell.say(&format!("\ndone in {:.1} s", tell.seconds()))?;
    Ok(rates)
}

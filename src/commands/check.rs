//! `evensum check`: compares, says what was found, and keeps the report.
//!
//! What is compared is kept as the check goes, so that one that was killed or stopped can go on (`--resume`), under the same
//! name, if it is about the same nodes, tables and rows.
//!
//! Invariant: it holds no writer, so it cannot change a user's row.

mod pt;

use self::pt::Timed;
use crate::cli::{CheckArgs, ExitCodes, Format};
use crate::clock;
use crate::cluster::{Cluster, Connected, Scope, create_view, crew};
use crate::commands::{hidden, run_name};
use crate::error::{Failure, Outcome};
use crate::gentle::{Digesting, Watch};
use crate::output;
use crate::render;
use crate::signals;
use crate::state::{self, State};
use checker::{
    Checkpoint, Crew, Forgetful, Gate, Keeper, Manners, Options, Report, Selection, Stop, TableReport,
    Verdict,
};
use database::Reader;
use serde_json::{Value, json};
use std::sync::Arc;

/// Runs the command.
pub async fn run(args: CheckArgs) -> Result<Outcome, Failure> {
    match args.exit_code {
        ExitCodes::Native => run_and_say(args).await,
        ExitCodes::Pt => run_and_say(args).await.map_err(pt::failed),
    }
}

async fn run_and_say(args: CheckArgs) -> Result<Outcome, Failure> {
    let cluster = Cluster::resolve(&args.cluster, 2)?;
    let mut scope = cluster.scope(&args.selection)?;
    scope.no_ledger = args.no_ledger || (scope.no_ledger && args.selection.ledger.is_none());
    let mut state = State::open(&state::folder(scope.state.as_deref())?)?;
    let name = run_name(args.name.as_deref())?;
    let stop = Stop::new();
    let interrupt = signals::watch(&stop)?;
    if args.until_input_ends {
        signals::watch_input(&stop);
    }
    let mut connected = cluster.connect(&scope.options).await?;
    let identities: Vec<String> = connected.iter().map(|node| node.identity.server_uuid.clone()).collect();
    let _lock = state.lock(&identities)?;
    let about = about(&connected, &scope);
    let (run, checkpoint) = match &args.resume {
        Some(wanted) => resume(&state, wanted, &about)?,
        None => (name, Checkpoint::default()),
    };
    match &args.resume {
        Some(_) => state.go_on(&run)?,
        None => state.begin(&run, "check", &cluster.name)?,
    }
    let leaves = checkpoint.tables.values().map(|kept| kept.leaves.len() as u64).sum();
    let keeper = state.keep(&run, &about.to_string(), leaves)?;
    let progress = Timed::new();
    progress.show_by(state.beacon(&run));
    let report = match &args.ledger_view {
        Some(view) => create_view(&connected, &scope.options, view).await,
        None => Ok(()),
    };
    let report = match report {
        Ok(()) => compare_on(&run, &connected, &scope, &keeper, checkpoint, &progress, &stop).await,
        Err(failure) => Err(failure),
    };
    let report = report.inspect_err(|failure| state.fail(&run, failure))?;
    let mut document = render::json::report(&report);
    if scope.no_ledger {
        render::json::without_ledger(&mut document);
    }
    state.keep_found(&report)?;
    let whole = is_whole(&report, &scope);
    state.keep_tables(&cluster.name, &report, &scope.selection, whole)?;
    let summary = render::summary::check(&report, whole).to_string();
    state.finish(&run, &report.verdict().to_string(), &summary, &document.to_string())?;
    if report.interrupted {
        output::note(&format!("evensum: go on with --resume={run}"));
    } else {
        state.forget(&run)?;
        // where a service runs, it sees to that
        if let Ok(_alone) = state.lock_service() {
            state.prune(cluster.config.serve.runs_kept())?;
        }
    }
    say(&args, &scope, &report, &document, &progress)?;
    for pattern in unmatched(&report, &scope) {
        output::note(&format!("evensum: no table matches '{pattern}'"));
    }
    Ok(match args.exit_code {
        ExitCodes::Native => interrupt.outcome().unwrap_or_else(|| outcome(&report, &scope)),
        ExitCodes::Pt => pt::outcome(&report, whole, &mut connected).await,
    })
}

/// Prints what was found.
fn say(
    args: &CheckArgs,
    scope: &Scope,
    report: &Report,
    document: &Value,
    progress: &Timed,
) -> Result<(), Failure> {
    match args.format() {
        Format::Json => output::print(&render::json::text(document)),
        Format::Pt => {
            let (lines, warnings) = render::pt::report(report, &progress.times());
            warnings.iter().for_each(|warning| output::note(warning));
            output::print(&lines)
        }
        Format::Text => {
            output::print(&render::text::report(report, &next(args, report), output::coloured()))?;
            if scope.no_ledger { output::print(&render::text::without_ledger()) } else { Ok(()) }
        }
    }
}

/// What a check is about: who goes on with one must mean the same.
fn about(connected: &[Connected], scope: &Scope) -> Value {
    let nodes: Vec<_> =
        connected.iter().map(|node| json!([*node.target.name, node.identity.server_uuid])).collect();
    let selection = json!(scope.selection);
    json!({ "program": env!("CARGO_PKG_VERSION"), "nodes": nodes, "selection": selection })
}

/// The run that is to go on, and what was kept of it; refused if it is about something else. Of several, the latest that is not.
fn resume(state: &State, wanted: &str, about: &Value) -> Result<(String, Checkpoint), Failure> {
    let kept = state.kept(wanted)?;
    let about_of = |scope: &String| serde_json::from_str::<Value>(scope).unwrap_or_default();
    let fitting = kept.iter().find(|(_, scope)| about_of(scope) == *about);
    let Some((run, scope)) = fitting.or(kept.first()) else {
        let which = if wanted == "last" { "check".to_owned() } else { format!("check '{wanted}'") };
        let advice = "a check that came to its end is not resumed; begin a new one, without --resume";
        return Err(Failure::usage(format!("there is no {which} that was killed or stopped"), advice));
    };
    let then = about_of(scope);
    for (field, what) in [
        ("program", "was made by another version of evensum"),
        ("nodes", "compared other nodes, or the same in another order or under other names"),
        ("selection", "compared other tables or rows (--tables, --ignore-tables, --where)"),
    ] {
        if then[field] != about[field] {
            let what = format!("the check {run} cannot be resumed: it {what}");
            return Err(Failure::usage(what, "say the same as then, or begin a new one, without --resume"));
        }
    }
    let begun = state.find(run)?.map_or(0, |known| known.started);
    output::note(&format!(
        "evensum: going on with the check {run}, which was begun at {}",
        clock::rfc3339(begun)
    ));
    Ok((run.clone(), state.checkpoint(run)?))
}

/// Compares the nodes, with a line of progress; with a checkpoint, from there on.
pub async fn compare(
    run: &str,
    connected: &[Connected],
    scope: &Scope,
    checkpoint: Checkpoint,
    stop: &Stop,
) -> Result<Report, Failure> {
    let progress = Timed::new();
    compare_on(run, connected, scope, &Forgetful, checkpoint, &progress, stop).await
}

/// The same, from a checkpoint on, and keeping what is compared.
async fn compare_on(
    run: &str,
    connected: &[Connected],
    scope: &Scope,
    keeper: &dyn Keeper,
    checkpoint: Checkpoint,
    progress: &Timed,
    stop: &Stop,
) -> Result<Report, Failure> {
    let gentle = &scope.gentle;
    let crew = crew(connected, scope, gentle.lanes).await?;
    let options = Options {
        run: clock::ledger_run(run).into(),
        selection: scope.selection.clone(),
        settle_bound: scope.settle_bound,
    };
    let gate = Arc::new(Gate::new());
    let watch = Watch::begin(connected, &scope.options, gentle, &gate).await?;
    let (size, intensity) = (gentle.size, gentle.intensity);
    let digests = digests(gentle.digesting, &crew)?;
    let manners = Manners { size, intensity, digests, gate: &gate, keeper, checkpoint };
    let report = checker::check_gently(crew, &options, manners, progress, stop).await;
    progress.finish();
    drop(watch);
    let report = report.map_err(|error| Failure::reading(error, scope.selection.filter.as_deref()))?;
    let mut report = Report { run: run.into(), ..report };
    hidden::explain(&mut report, connected, scope).await;
    Ok(report)
}

/// Whether the nodes are to digest rows themselves. Either all do or none: what they make is compared.
fn digests<R: Reader, L>(digesting: Digesting, crew: &Crew<R, L>) -> Result<bool, Failure> {
    let unable = crew.members.iter().find(|member| !member.reader.makes_digests());
    match (digesting, unable) {
        (Digesting::Server, Some(member)) => {
            let what = format!("{} cannot digest rows itself", member.name);
            Err(Failure::usage(what, "leave --digest out, or say --digest stream"))
        }
        (Digesting::Stream, _) | (_, Some(_)) => Ok(false),
        (Digesting::Auto | Digesting::Server, None) => Ok(true),
    }
}

/// The patterns that were asked for and that no table of the report matches: most often a slip of the pen.
pub fn unmatched<'a>(report: &Report, scope: &'a Scope) -> Vec<&'a str> {
    let patterns = scope.selection.patterns().iter().map(String::as_str);
    let matches = |pattern: &&str| {
        let only = Selection::new(&[(*pattern).to_owned()], &[]);
        only.is_ok_and(|only| report.tables.iter().any(|t| only.contains(&t.table.database, &t.table.name)))
    };
    patterns.filter(|pattern| !matches(pattern)).collect()
}

/// The tables that were not compared to the end, and what came in the way.
pub fn unfinished(report: &Report) -> impl Iterator<Item = &TableReport> {
    let left = |table: &&TableReport| {
        table.rows_unsettled > 0 || matches!(table.verdict, Verdict::Skipped | Verdict::Unsettled)
    };
    report.tables.iter().filter(left)
}

/// Whether all that was asked for was compared to the end, whatever came of it.
pub fn is_whole(report: &Report, scope: &Scope) -> bool {
    let named = !report.tables.is_empty() && unmatched(report, scope).is_empty();
    named && !report.interrupted && report.unsettled.is_empty() && unfinished(report).next().is_none()
}

/// How a check of this report ends. Where a pattern matched nothing, or there was nothing at all, nothing was shown to be
/// identical.
pub fn outcome(report: &Report, scope: &Scope) -> Outcome {
    match report.verdict() {
        Verdict::Identical if !is_whole(report, scope) => Outcome::Incomplete,
        Verdict::Identical => Outcome::Identical,
        Verdict::Different => Outcome::Different,
        Verdict::Unsettled | Verdict::Skipped => Outcome::Incomplete,
    }
}

/// The command that plans the repair of what this check found.
fn next(args: &CheckArgs, report: &Report) -> String {
    let mut words = vec!["evensum".to_owned(), "sync".to_owned()];
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), render::text::quoted(value)]);
    if let Some(config) = &args.cluster.config {
        add("--config", &config.display().to_string());
    }
    args.selection.tables.iter().for_each(|pattern| add("--tables", pattern));
    args.selection.ignore_tables.iter().for_each(|pattern| add("--ignore-tables", pattern));
    if let Some(filter) = &args.selection.filter {
        add("--where", filter);
    }
    if let Some(ledger) = &args.selection.ledger {
        add("--ledger", ledger);
    }
    match &report.nodes[..] {
        [first, _] => add("--policy", &format!("prefer={first}")),
        _ => add("--policy", "majority"),
    }
    words.extend(args.cluster.nodes.iter().map(|node| render::text::quoted(node)));
    words.join(" ")
}

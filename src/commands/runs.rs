//! `evensum runs` and `evensum run`: the history of this machine's runs, and one of them. `evensum config check` is here too, which
//! says whether a service could begin any.

use super::place;
use crate::cli::{PlaceArgs, RunCommand, RunsArgs, TableCommand};
use crate::clock::rfc3339;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use crate::serve::{Setup, runner};
use crate::state::{self, Run, State, Status};
use serde_json::{Value, json};

/// Runs the command.
pub fn run(args: &RunsArgs) -> Result<Outcome, Failure> {
    let state = State::open(&state::folder(args.state.as_deref())?)?;
    match &args.show {
        Some(name) => show(&state, name),
        None => list(&state, args),
    }?;
    Ok(Outcome::Identical)
}

/// Runs `evensum run`.
pub fn one(command: RunCommand) -> Result<Outcome, Failure> {
    match command {
        RunCommand::Show { run, place } if place.json => show(&place::open(&place)?.state, &run)?,
        RunCommand::Show { run, place } => {
            let run = find(&place::open(&place)?.state, &run)?;
            output::print(&render::run::run(&run))?;
        }
        RunCommand::Stop { run, place } => {
            let state = place::open(&place)?.state;
            let run = find(&state, &run)?;
            if run.arguments.is_none() && run.status == Status::Working {
                let what = format!("the run {} was begun by a command, and not by the service", run.run);
                return Err(Failure::usage(what, "end it where it was begun; Ctrl-C is safe"));
            }
            let who = place::who();
            state.audit(&who, "stop", &run.run, "")?;
            runner::ask_to_stop(&state, &run, &format!("stopped by {who}"))?;
            output::note(&format!("evensum: the run {} is told to stop after the chunk at hand", run.run));
        }
    }
    Ok(Outcome::Identical)
}

/// Runs `evensum table forget`.
pub fn forget(command: TableCommand) -> Result<Outcome, Failure> {
    let TableCommand::Forget { name, place: args } = command;
    let mut place = place::open(&args)?;
    let cluster = place.cluster()?;
    if place.state.table(&cluster, &name)?.is_none() {
        return Err(Failure::usage(format!("nothing is known of a table '{name}'"), "write database.table"));
    }
    place.state.audit(&place::who(), "forget", &name, "")?;
    place.state.forget_table(&cluster, &name)?;
    place.state.end_divergence(&cluster, &name)?;
    if args.json {
        output::print(&render::json::text(
            &json!({ "schema_version": 1, "table": name, "forgotten": true }),
        ))?;
    } else {
        output::print(&format!("{name} is forgotten; the next check that sees it begins anew\n"))?;
    }
    Ok(Outcome::Identical)
}

/// Runs `evensum config check`.
pub fn check_config(args: &PlaceArgs) -> Result<Outcome, Failure> {
    let setup = Setup::read(args.config.as_deref())?;
    setup.check()?;
    let (nodes, schedules, sinks) = (setup.nodes.len(), setup.plans.len(), setup.sinks.len());
    if args.json {
        let document = json!({
            "schema_version": 1, "cluster": setup.cluster, "nodes": nodes, "schedules": schedules, "alerts": sinks,
        });
        output::print(&render::json::text(&document))?;
    } else {
        let file = setup.path.display();
        output::print(&format!(
            "{file}: cluster {}, {nodes} nodes, {schedules} schedules, {sinks} receivers of alerts\n",
            setup.cluster
        ))?;
    }
    if schedules == 0 {
        output::note("evensum: there is no [[schedule]]: nothing would be checked by itself");
    }
    if sinks == 0 {
        output::note("evensum: there is no [[alert]]: nobody would be told");
    }
    Ok(Outcome::Identical)
}

fn find(state: &State, name: &str) -> Result<Run, Failure> {
    state.sweep()?;
    state.find(name)?.ok_or_else(|| {
        Failure::usage(format!("there is no run '{name}'"), "evensum runs lists them; 'last' is the latest")
    })
}

fn list(state: &State, args: &RunsArgs) -> Result<(), Failure> {
    state.sweep()?;
    let runs = state.list(args.limit)?;
    if args.json {
        let runs: Vec<Value> = runs.iter().map(document).collect();
        return output::print(&render::json::text(&json!({ "schema_version": 1, "runs": runs })));
    }
    let mut rows =
        vec![["run", "kind", "started", "status", "begun by", "cluster"].map(str::to_owned).to_vec()];
    rows.extend(runs.into_iter().map(|run| {
        let status = run.word().to_owned();
        vec![run.run, run.kind, rfc3339(run.started), status, run.cause, run.cluster]
    }));
    output::print(&render::text::aligned(&rows, ""))
}

fn show(state: &State, name: &str) -> Result<(), Failure> {
    let run = find(state, name)?;
    // the report was checked when it was written; what is no JSON now is shown as it is
    let report = run.report.as_deref().unwrap_or("null");
    let report = serde_json::from_str(report).unwrap_or_else(|_| Value::String(report.to_owned()));
    let mut whole = document(&run);
    if let Value::Object(fields) = &mut whole {
        fields.insert("report".to_owned(), report);
    }
    output::print(&render::json::text(&whole))
}

fn document(run: &Run) -> Value {
    json!({
        "run": run.run, "kind": run.kind, "cause": run.cause, "cluster": run.cluster, "schedule": run.schedule,
        "planned_at": run.planned_at.map(rfc3339), "status": run.word(), "started": rfc3339(run.started),
        "finished": run.finished.map(rfc3339), "verdict": run.verdict, "summary": run.summary_value(),
    })
}

//! `evensum runs`: the history of this machine's runs.

use crate::cli::RunsArgs;
use crate::clock::rfc3339;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use crate::state::{self, Run, State};
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

fn list(state: &State, args: &RunsArgs) -> Result<(), Failure> {
    let runs = state.list(args.limit)?;
    if args.json {
        let runs: Vec<Value> = runs.iter().map(document).collect();
        return output::print(&render::json::text(&json!({ "schema_version": 1, "runs": runs })));
    }
    let mut rows = vec![["run", "kind", "started", "verdict", "cluster"].map(str::to_owned).to_vec()];
    rows.extend(runs.into_iter().map(|run| {
        let verdict = run.verdict.unwrap_or_else(|| "did not finish".to_owned());
        vec![run.run, run.kind, rfc3339(run.started), verdict, run.cluster]
    }));
    output::print(&render::text::aligned(&rows, ""))
}

fn show(state: &State, name: &str) -> Result<(), Failure> {
    let run = state.find(name)?.ok_or_else(|| {
        Failure::usage(format!("there is no run '{name}'"), "evensum runs lists them; 'last' is the latest")
    })?;
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
        "run": run.run, "kind": run.kind, "cause": run.cause, "cluster": run.cluster,
        "started": rfc3339(run.started), "finished": run.finished.map(rfc3339), "verdict": run.verdict,
    })
}

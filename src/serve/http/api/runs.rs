//! Runs: what was done, what is at work, and what is asked for. Repairs are planned first, and then carried out as planned.

use super::super::Desk;
use super::super::answer::{Answer, Wrong, accepted, here};
use super::super::guard::{Caller, note};
use super::{Asked, Fields, Part, limit};
use crate::clock;
use crate::serve::{command, runner, view};
use crate::state::{Request, Run, Status};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::str::FromStr;
use std::sync::Arc;

/// The most patterns of tables that are taken at once.
const TABLES_MAX: usize = 100;

/// Which runs are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    schedule: Option<String>,
    limit: Option<u32>,
}

/// The latest runs.
pub async fn list(State(desk): State<Arc<Desk>>, Asked(query): Asked<RunsQuery>) -> Answer {
    let state = desk.service.state()?;
    let runs = match &query.schedule {
        Some(schedule) => state.list_of(schedule, limit(query.limit))?,
        None => state.list(limit(query.limit))?,
    };
    here(json!({ "runs": runs.iter().map(view::run).collect::<Vec<_>>() }))
}

fn known(desk: &Desk, run: &str) -> Result<Run, Wrong> {
    desk.service.state()?.find(run)?.ok_or_else(|| Wrong::absent("there is no run of this name"))
}

/// One run with its report.
pub async fn show(State(desk): State<Arc<Desk>>, Part(run): Part) -> Answer {
    let run = known(&desk, &run)?;
    let mut document = view::run(&run);
    let report: Option<Value> = run.report.as_deref().and_then(|text| serde_json::from_str(text).ok());
    document["report"] = json!(report);
    document["command"] = json!(run.arguments.as_deref().map(command::typed));
    here(document)
}

/// Where a run stands.
pub async fn progress(State(desk): State<Arc<Desk>>, Part(run): Part) -> Answer {
    let run = known(&desk, &run)?;
    let progress = desk.service.state()?.progress(&run.run)?;
    let (at, document) =
        progress.map_or((None, None), |(at, document)| (Some(clock::rfc3339(at)), Some(document)));
    here(json!({ "run": run.run, "status": run.word(), "at": at, "progress": document }))
}

/// What is to be checked.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckFields {
    tables: Vec<String>,
}

/// Asks for a check.
pub async fn begin(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Fields(fields): Fields<CheckFields>,
) -> Answer {
    if fields.tables.len() > TABLES_MAX {
        return Err(Wrong::unusable(&format!("at most {TABLES_MAX} patterns are taken")));
    }
    if fields.tables.iter().any(|pattern| pattern.chars().any(char::is_control)) {
        return Err(Wrong::unusable("a pattern of tables holds what cannot be typed"));
    }
    if let Err(error) = checker::Selection::new(&fields.tables, &[]) {
        return Err(Wrong::unusable(&error.to_string()));
    }
    let setup = desk.service.setup();
    let arguments = command::check(&setup.path, &fields.tables);
    ask(&desk, &caller, "check", Wanted { run: clock::run_name(), schedule: None, arguments })
}

/// What somebody wants to be run.
pub(super) struct Wanted {
    /// Its name.
    pub(super) run: String,
    /// The schedule whose check it is.
    pub(super) schedule: Option<String>,
    /// The words after `evensum`.
    pub(super) arguments: Vec<String>,
}

/// Has a run wait, notes who asked, and says where it is to be seen.
pub(super) fn ask(desk: &Desk, caller: &Caller, action: &str, wanted: Wanted) -> Answer {
    let request = Request {
        run: wanted.run,
        kind: wanted.arguments.first().cloned().unwrap_or_default(),
        cause: format!("account {}", caller.name),
        cluster: desk.service.setup().cluster.clone(),
        schedule: wanted.schedule,
        planned_at: None,
        arguments: wanted.arguments,
    };
    note(desk, &caller.name, action, &request.run, &command::typed(&request.arguments))?;
    desk.service.state()?.queue(&request)?;
    desk.service.wake.notify_waiters();
    accepted(&request.run)
}

/// Has a run stop.
pub async fn stop(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(run): Part,
) -> Answer {
    let run = known(&desk, &run)?;
    let state = desk.service.state()?;
    if run.status == Status::Ended {
        return Err(Wrong::new(StatusCode::CONFLICT, "the run has ended", ""));
    }
    if run.arguments.is_none() {
        let what = "the run was begun by a command, and not by this service";
        return Err(Wrong::new(StatusCode::CONFLICT, what, "end it where it was begun"));
    }
    note(&desk, &caller.name, "stop", &run.run, "")?;
    runner::ask_to_stop(&state, &run, &format!("stopped by account {}", caller.name))?;
    desk.service.wake.notify_waiters();
    accepted(&run.run)
}

/// What is to be repaired.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairFields {
    run: String,
    policy: String,
}

/// Asks for the plan of a repair of what a run found.
pub async fn plan_repair(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Fields(fields): Fields<RepairFields>,
) -> Answer {
    if fields.policy.chars().any(char::is_control) {
        return Err(Wrong::unusable("the policy holds what cannot be typed"));
    }
    let found = known(&desk, &fields.run)?;
    match syncer::Policy::from_str(&fields.policy) {
        Ok(syncer::Policy::Ask) => {
            return Err(Wrong::unusable("the policy 'ask' needs a terminal: evensum sync --policy ask"));
        }
        Ok(_) => {}
        Err(why) => return Err(Wrong::unusable(&why)),
    }
    let setup = desk.service.setup();
    let run = clock::run_name();
    let file = desk.service.state()?.plan(&run);
    let arguments = command::plan_of_repair(&setup.path, &found.run, &fields.policy, &file);
    ask(&desk, &caller, "plan", Wanted { run, schedule: None, arguments })
}

/// The word that approves a plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecuteFields {
    confirm: String,
}

/// Asks for a repair exactly as it was planned. Who asks types the names of the tables that it changes.
pub async fn execute_repair(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(run): Part,
    Fields(fields): Fields<ExecuteFields>,
) -> Answer {
    let planned = known(&desk, &run)?;
    let state = desk.service.state()?;
    let path = state.plan(&planned.run);
    if planned.verdict.as_deref() != Some("planned") || !path.is_file() {
        return Err(Wrong::new(
            StatusCode::CONFLICT,
            "this run is no plan that can be carried out",
            "plan a repair first",
        ));
    }
    let tables = approval_word(&planned);
    let summary = planned.summary_value().unwrap_or_default();
    if summary["tables"].as_u64() > summary["repaired"].as_array().map(|named| named.len() as u64) {
        let what = "the plan changes more tables than are named here";
        return Err(Wrong::new(
            StatusCode::CONFLICT,
            what,
            "carry it out by the command, or repair fewer tables at once",
        ));
    }
    if tables.is_empty() {
        return Err(Wrong::new(StatusCode::CONFLICT, "the plan changes nothing", ""));
    }
    if fields.confirm.trim() != tables {
        return Err(Wrong::new(
            StatusCode::CONFLICT,
            "the plan was not approved",
            &format!("confirm with: {tables}"),
        ));
    }
    let bytes = std::fs::read(&path).map_err(|error| {
        Wrong::new(
            StatusCode::CONFLICT,
            &format!("the plan cannot be read: {error}"),
            "plan the repair again",
        )
    })?;
    let run = command::name_of_repair(&planned.run);
    if state.find(&run)?.is_some() {
        let what = "this plan was approved already";
        return Err(Wrong::new(StatusCode::CONFLICT, what, &format!("see /api/v1/runs/{run}")));
    }
    let rows = planned.number("rows").unwrap_or(0);
    let arguments = command::as_planned(&desk.service.setup().path, &path, rows);
    let hash = blake3::hash(&bytes).to_hex();
    note(&desk, &caller.name, "approve", &planned.run, &format!("plan {hash}"))?;
    ask(&desk, &caller, "repair", Wanted { run, schedule: None, arguments })
}

/// What somebody types to approve a plan: the names of its tables.
pub fn approval_word(planned: &Run) -> String {
    let summary = planned.summary_value().unwrap_or_default();
    let tables = summary["repaired"].as_array().into_iter().flatten().filter_map(Value::as_str);
    tables.collect::<Vec<_>>().join(" ")
}

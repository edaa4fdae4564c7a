//! Schedules: when they are due next, and what somebody says about them.

use super::super::Desk;
use super::super::answer::{Answer, Wrong, here};
use super::super::guard::{Caller, note};
use super::runs::{Wanted, ask};
use super::{Fields, Part, text};
use crate::clock;
use crate::config::service::Plan;
use crate::serve::{Setup, command, planner};
use crate::state::ScheduleState;
use axum::Extension;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many times to come are said.
const NEXT: usize = 3;
/// How many times that were left out are said.
const LEFT_OUT: usize = 10;

/// All schedules.
pub async fn list(State(desk): State<Arc<Desk>>) -> Answer {
    let (setup, state) = (desk.service.setup(), desk.service.state()?);
    let known = state.schedules()?;
    let mut all = Vec::new();
    for plan in &setup.plans {
        let name = &*plan.schedule.name;
        let mut one = document(&setup, plan, known.get(name));
        let left = state.left_out(name)?.into_iter().take(LEFT_OUT);
        let left =
            left.map(|left| json!({ "planned_at": clock::rfc3339(left.planned_at), "reason": left.reason }));
        one["left_out"] = left.collect();
        all.push(one);
    }
    here(json!({ "schedules": all }))
}

fn document(setup: &Setup, plan: &Plan, known: Option<&ScheduleState>) -> Value {
    let schedule = &plan.schedule;
    let next = planner::next(plan, &setup.cluster, clock::now_seconds(), NEXT);
    let next = next.into_iter().map(|at| at.to_rfc3339());
    json!({
        "name": schedule.name,
        "cron": plan.said.cron,
        "timezone": schedule.zone.name(),
        "tables": plan.said.tables,
        "next": next.collect::<Vec<_>>(),
        "window": schedule.window.map(|window| window.to_string()),
        "policy": plan.said.policy,
        "repair": format!("{:?}", plan.said.repair).to_lowercase(),
        "missed": known.map_or(0, |known| known.missed),
        "paused_by": known.and_then(|known| known.paused.as_ref()).map(|pause| &pause.by),
        "paused_why": known.and_then(|known| known.paused.as_ref()).map(|pause| &pause.why),
        "command": command::typed(&command::scheduled_check(plan, &setup.path)),
    })
}

fn absent() -> Wrong {
    Wrong::absent("there is no schedule of this name")
}

/// Has a schedule's check run now.
pub async fn run(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(name): Part,
) -> Answer {
    let setup = desk.service.setup();
    let plan = setup.plan(&name).ok_or_else(absent)?;
    let arguments = command::scheduled_check(plan, &setup.path);
    ask(&desk, &caller, "check", Wanted { run: clock::run_name(), schedule: Some(name), arguments })
}

/// Why a schedule is paused.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseFields {
    why: String,
}

/// Pauses a schedule.
pub async fn pause(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(name): Part,
    Fields(fields): Fields<PauseFields>,
) -> Answer {
    let why = text(&fields.why, "why", 500)?;
    known(&desk, &name)?;
    note(&desk, &caller.name, "pause", &format!("schedule {name}"), &why)?;
    desk.service.state()?.pause_schedule(&name, &caller.name, &why)?;
    here(json!({ "schedule": name, "paused": true }))
}

/// Lets a schedule go on.
pub async fn resume(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(name): Part,
) -> Answer {
    known(&desk, &name)?;
    note(&desk, &caller.name, "resume", &format!("schedule {name}"), "")?;
    desk.service.state()?.resume_schedule(&name)?;
    here(json!({ "schedule": name, "paused": false }))
}

/// A schedule that the configuration names, known to the state.
fn known(desk: &Desk, name: &str) -> Result<(), Wrong> {
    desk.service.setup().plan(name).ok_or_else(absent)?;
    Ok(desk.service.state()?.see_schedules(&[name], clock::now_seconds())?)
}

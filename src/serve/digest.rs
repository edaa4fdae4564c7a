//! Takes in what has ended: what it says of tables and schedules becomes alerts, and what is to follow on it waits.
//!
//! Of each run that is one transaction, so that a service that is killed in between tells everything once. Runs by hand are
//! taken in like others: a difference is a difference, whoever found it.

use super::setup::Setup;
use super::{Service, command};
use crate::alerts::findings::{self, DIVERGENCE, Finding};
use crate::clock;
use crate::error::Failure;
use crate::render::text::quoted;
use crate::state::{Request, Run, State};

/// How many runs are taken in at once.
const AT_ONCE: u32 = 50;

/// Takes in all runs that have ended since.
pub fn digest(service: &Service, state: &mut State) -> Result<(), Failure> {
    let setup = service.setup();
    for run in state.undigested(AT_ONCE)?.into_iter().filter(|run| !run.goes_on()) {
        let (findings, next) = match run.cluster == setup.cluster {
            true => take_in(&setup, state, &run)?,
            false => (Vec::new(), None),
        };
        state.digest(&run, &setup.cluster, &findings, next.as_ref(), clock::now_seconds())?;
        service.wake.notify_waiters();
    }
    Ok(())
}

/// What a run says, and what is to follow on it.
fn take_in(setup: &Setup, state: &State, run: &Run) -> Result<(Vec<Finding>, Option<Request>), Failure> {
    if run.kind != "check" {
        return Ok((findings::of_repair(run), check_after(setup, run)));
    }
    let tables = state.tables(&setup.cluster)?;
    let suspected = state.open_alerts()?.into_iter().filter(|alert| alert.notice.name == DIVERGENCE);
    let suspected: Vec<String> =
        suspected.filter_map(|alert| alert.notice.labels.get("table").cloned()).collect();
    let advice = format!("--config {}", quoted(&setup.path.display().to_string()));
    Ok((findings::of_check(run, &tables, &suspected, &advice), repair_after(setup, state, run)))
}

/// The repair that a schedule wants after a check of its own that found something. What a person asked for is what was asked for:
/// a check.
fn repair_after(setup: &Setup, state: &State, run: &Run) -> Option<Request> {
    let schedule = run.schedule.as_deref()?;
    if run.number("rows_different").unwrap_or(0) == 0 || run.planned_at.is_none() {
        return None;
    }
    let name = command::name_of_repair(&run.run);
    let arguments = command::follow_up(setup.plan(schedule)?, &setup.path, &run.run, &state.plan(&name))?;
    Some(Request {
        run: name,
        kind: "sync".to_owned(),
        cause: format!("schedule {schedule}, after {}", run.run),
        cluster: setup.cluster.clone(),
        schedule: Some(schedule.to_owned()),
        planned_at: None,
        arguments,
    })
}

/// The check that shows that a repair of the service did what it was to do: alerts end by a clean check alone.
fn check_after(setup: &Setup, run: &Run) -> Option<Request> {
    run.arguments.as_ref()?;
    let summary = run.summary_value()?;
    let mended = summary["execution"]["mended"].as_u64().unwrap_or(0);
    let repaired = summary["repaired"].as_array()?.iter().filter_map(|name| name.as_str());
    let mut tables: Vec<String> = repaired.map(str::to_owned).collect();
    if mended == 0 || tables.is_empty() {
        return None;
    }
    if summary["tables"].as_u64() > Some(tables.len() as u64) {
        // more than were named: all are checked
        tables.clear();
    }
    Some(Request {
        run: format!("{}-check", run.run),
        kind: "check".to_owned(),
        cause: format!("after the repair {}", run.run),
        cluster: setup.cluster.clone(),
        schedule: None,
        planned_at: None,
        arguments: command::check(&setup.path, &tables),
    })
}

/// Looks which schedules have had no whole check for too long.
pub fn ages(service: &Service, state: &mut State) -> Result<(), Failure> {
    let setup = service.setup();
    let (known, now) = (state.schedules()?, clock::now_seconds());
    let mut findings = Vec::new();
    for plan in &setup.plans {
        let name = &*plan.schedule.name;
        let Some(known) = known.get(name) else { continue };
        let since = state.last_whole(name)?.unwrap_or(0).max(known.first_seen);
        findings.push(findings::of_age(name, since, plan.stale_after.as_secs(), now));
    }
    // a schedule that is no longer there is not overdue, nor is its last check of interest
    for alert in state.open_alerts()? {
        let Some(name) = alert.notice.labels.get("schedule") else { continue };
        if setup.plan(name).is_none() && name != "none" {
            let labels = [("schedule", name.as_str())];
            for gone in [findings::STALE, findings::INCOMPLETE, findings::REPAIR] {
                findings.push(Finding::right(gone, &labels));
            }
        }
    }
    state.observe(&setup.cluster, &findings, now)
}

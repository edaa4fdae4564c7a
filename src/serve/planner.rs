//! From what is due to runs that wait.
//!
//! `schedules::decide` decides; here what is known of each schedule is read from the state, and what was decided is written there,
//! before anything begins. Not here: beginning a run (`runner`).

use super::runner::{self, Runner};
use super::{Service, command};
use crate::clock;
use crate::config::service::Plan;
use crate::error::Failure;
use crate::state::{Request, Run, ScheduleState, State};
use schedules::chrono::{DateTime, Utc};
use schedules::{Decision, LeftOut, Past, Schedule, Stopped};
use std::collections::BTreeMap;

/// Does what is due now.
pub fn plan(service: &Service, state: &mut State, at_work: &Runner) -> Result<(), Failure> {
    let setup = service.setup();
    if setup.plans.is_empty() {
        return Ok(());
    }
    let now = clock::now_seconds();
    let names: Vec<&str> = setup.plans.iter().map(|plan| &*plan.schedule.name).collect();
    state.see_schedules(&names, now)?;
    let (known, open) = (state.schedules()?, state.open_runs()?);
    let mut past = Vec::new();
    for name in &names {
        past.extend(past_of(state, name, &known, &open, at_work)?);
    }
    let schedules: Vec<Schedule> = setup.plans.iter().map(|plan| plan.schedule.clone()).collect();
    for decision in schedules::decide(&schedules, &past, &salt(&setup.cluster), moment(now)) {
        let Some(plan) = setup.plan(decision.schedule()) else { continue };
        match decision {
            Decision::FirstSeen { schedule, seen_at } => state.see_again(&schedule, seconds(seen_at))?,
            Decision::Start { planned_at, missed, .. } => {
                let request = request(plan, &setup.path, &setup.cluster, seconds(planned_at));
                state.start_planned(&request, missed)?;
            }
            Decision::LeaveOut { schedule, planned_at, missed, reason } => {
                state.leave_out(&schedule, seconds(planned_at), missed, word(reason))?;
            }
            Decision::Stop { schedule, reason } => {
                let why = match reason {
                    Stopped::TooLong => "it has taken as long as its schedule allows",
                    Stopped::Replaced => "its schedule's next time has come",
                };
                if let Some(run) = open.iter().find(|run| is_check_of(run, &schedule)) {
                    runner::ask_to_stop(state, run, why)?;
                }
            }
        }
    }
    Ok(())
}

fn is_check_of(run: &Run, schedule: &str) -> bool {
    run.kind == "check" && run.schedule.as_deref() == Some(schedule)
}

/// What is known of a schedule, in the words of `schedules`.
fn past_of(
    state: &State,
    name: &str,
    known: &BTreeMap<String, ScheduleState>,
    open: &[Run],
    at_work: &Runner,
) -> Result<Option<Past>, Failure> {
    let Some(known) = known.get(name) else { return Ok(None) };
    let running = open.iter().find(|run| is_check_of(run, name));
    Ok(Some(Past {
        schedule: name.into(),
        planned_at: moment(known.planned_at),
        // what waits has not taken any time yet
        running_since: running
            .map(|run| moment(at_work.begun_at(&run.run).unwrap_or_else(clock::now_seconds))),
        ended_at: state.last_ended(name)?.map(moment),
        paused: known.paused.is_some(),
    }))
}

/// The run of a planned time.
fn request(plan: &Plan, config: &std::path::Path, cluster: &str, planned_at: u64) -> Request {
    let name = &*plan.schedule.name;
    Request {
        run: clock::run_name(),
        kind: "check".to_owned(),
        cause: format!("schedule {name}"),
        cluster: cluster.to_owned(),
        schedule: Some(name.to_owned()),
        planned_at: Some(planned_at),
        arguments: command::scheduled_check(plan, config),
    }
}

fn word(reason: LeftOut) -> &'static str {
    match reason {
        LeftOut::Overlap => "the run before was still at work",
        LeftOut::Paused => "the schedule was paused",
        LeftOut::Missed => "nobody was awake, and it does not catch up",
        LeftOut::TooLate => "its starting deadline was over",
    }
}

/// When a schedule is due next, with its jitter: so many times from `now` on.
pub fn next(plan: &Plan, cluster: &str, now: u64, count: usize) -> Vec<DateTime<Utc>> {
    let schedule = &plan.schedule;
    // a time that has come may still be put off by the jitter
    let offset = schedule.jitter_offset(&salt(cluster));
    schedule.expression.times(schedule.zone, moment(now) - offset).take(count).map(|at| at + offset).collect()
}

/// What makes the jitter of this machine its own.
fn salt(cluster: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} {cluster}", host.trim())
}

/// A moment as `schedules` takes it.
pub fn moment(seconds: u64) -> DateTime<Utc> {
    i64::try_from(seconds).ok().and_then(|at| DateTime::from_timestamp(at, 0)).unwrap_or_default()
}

fn seconds(moment: DateTime<Utc>) -> u64 {
    u64::try_from(moment.timestamp()).unwrap_or(0)
}

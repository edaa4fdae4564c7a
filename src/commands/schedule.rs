//! `evensum schedule`: when schedules are due, and what a person says about them.
//!
//! `run` does in the foreground what the service would begin: the same words, the same row in the history.

use super::place::{self, Place};
use crate::cli::{Cli, Command, PlaceArgs, ScheduleCommand};
use crate::clock::{self, rfc3339};
use crate::config::service::Plan;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use crate::serve::{Setup, command, planner};
use crate::state::Request;
use clap::Parser;
use schedules::chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// How many times `validate` says.
const VALIDATED: usize = 5;

/// Runs the command.
pub async fn run(command: ScheduleCommand) -> Result<Outcome, Failure> {
    match command {
        ScheduleCommand::List(args) => list(&args),
        ScheduleCommand::Next { name, count, place } => next(&place, name.as_deref(), count.into(), false),
        ScheduleCommand::Validate(args) => next(&args, None, VALIDATED, true),
        ScheduleCommand::Run { name, place } => do_now(&name, &place).await,
        ScheduleCommand::Pause { name, why, place } => pause(&name, Some(&why), &place),
        ScheduleCommand::Resume { name, place } => pause(&name, None, &place),
    }
}

fn due(setup: &Setup, plan: &Plan, count: usize) -> Vec<DateTime<Utc>> {
    planner::next(plan, &setup.cluster, clock::now_seconds(), count)
}

fn on_the_wall(plan: &Plan, at: DateTime<Utc>) -> String {
    at.with_timezone(&plan.schedule.zone).format("%a %F %H:%M:%S %Z").to_string()
}

fn in_utc(at: DateTime<Utc>) -> String {
    at.format("%F %H:%M:%S UTC").to_string()
}

fn list(args: &PlaceArgs) -> Result<Outcome, Failure> {
    let place = place::open(args)?;
    let setup = place.setup()?;
    let known = place.state.schedules()?;
    let mut rows =
        vec![["schedule", "cron", "time zone", "next", "last run", "paused"].map(str::to_owned).to_vec()];
    let mut documents = Vec::new();
    for plan in &setup.plans {
        let name = plan.schedule.name.to_string();
        let next = due(setup, plan, 1).first().copied();
        let last = place.state.list_of(&name, 1)?.pop();
        let paused = known.get(&name).and_then(|known| known.paused.clone());
        let last_word = last
            .as_ref()
            .map_or("none yet".to_owned(), |run| format!("{} at {}", run.word(), rfc3339(run.started)));
        let paused_word =
            paused.as_ref().map_or(String::new(), |pause| format!("by {}: {}", pause.by, pause.why));
        documents.push(json!({
            "name": name, "cron": plan.said.cron, "timezone": plan.schedule.zone.name(),
            "next": next.map(|at| at.to_rfc3339()), "last_run": last.as_ref().map(|run| &run.run),
            "last_status": last.as_ref().map(|run| run.word().to_owned()), "paused": paused.is_some(),
            "paused_by": paused.as_ref().map(|pause| &pause.by), "paused_why": paused.as_ref().map(|pause| &pause.why),
        }));
        rows.push(vec![
            name,
            plan.said.cron.clone(),
            plan.schedule.zone.name().to_owned(),
            next.map_or("never".to_owned(), |at| on_the_wall(plan, at)),
            last_word,
            paused_word,
        ]);
    }
    say(args, &json!({ "schema_version": 1, "schedules": documents }), || render::text::aligned(&rows, ""))?;
    Ok(Outcome::Identical)
}

fn say(args: &PlaceArgs, document: &Value, text: impl Fn() -> String) -> Result<(), Failure> {
    if args.json { output::print(&render::json::text(document)) } else { output::print(&text()) }
}

fn next(args: &PlaceArgs, name: Option<&str>, count: usize, advise: bool) -> Result<Outcome, Failure> {
    // times need no state, so a configuration can be looked at on another machine
    let setup = Setup::read(args.config.as_deref())?;
    let plans: Vec<&Plan> = match name {
        Some(name) => vec![plan(&setup, name)?],
        None => setup.plans.iter().collect(),
    };
    let (mut text, mut documents) = (String::new(), Vec::new());
    for plan in plans {
        let times = due(&setup, plan, count);
        let advice = plan.schedule.advice(planner::moment(clock::now_seconds()));
        text.push_str(&format!(
            "{}  {}  ({})\n",
            plan.schedule.name,
            plan.said.cron,
            plan.schedule.zone.name()
        ));
        for at in &times {
            text.push_str(&format!("  {}   {}\n", on_the_wall(plan, *at), in_utc(*at)));
        }
        if advise {
            advice.iter().for_each(|advice| text.push_str(&format!("  note: {advice}\n")));
        }
        let times = times.iter().map(|at| {
            json!({ "utc": at.to_rfc3339(), "local": at.with_timezone(&plan.schedule.zone).to_rfc3339() })
        });
        documents.push(json!({
            "name": plan.schedule.name, "timezone": plan.schedule.zone.name(),
            "times": times.collect::<Vec<_>>(), "advice": advice,
        }));
    }
    if setup.plans.is_empty() {
        output::note("evensum: the configuration has no [[schedule]]");
    }
    say(args, &json!({ "schema_version": 1, "schedules": documents }), || text.clone())?;
    Ok(Outcome::Identical)
}

/// The plan of this name, or which there are.
fn plan<'a>(setup: &'a Setup, name: &str) -> Result<&'a Plan, Failure> {
    setup.plan(name).ok_or_else(|| {
        let names: Vec<&str> = setup.plans.iter().map(|plan| &*plan.schedule.name).collect();
        Failure::usage(format!("there is no schedule '{name}'"), format!("there are: {}", names.join(", ")))
    })
}

async fn do_now(name: &str, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let Place { setup, state } = place::open(args)?;
    let setup = setup.ok_or_else(|| {
        Failure::usage("no configuration was named", "name that of the service with --config")
    })?;
    let plan = plan(&setup, name)?;
    let arguments = command::scheduled_check(plan, &setup.path);
    let run = clock::run_name();
    state.queue(&Request {
        run: run.clone(),
        kind: "check".to_owned(),
        cause: place::who(),
        cluster: setup.cluster.clone(),
        schedule: Some(name.to_owned()),
        planned_at: None,
        arguments: Vec::new(),
    })?;
    let folder = state.folder().display().to_string();
    let more = ["--name".to_owned(), run.clone(), "--state".to_owned(), folder];
    let json = args.json.then(|| "--json".to_owned());
    let words = std::iter::once("evensum".to_owned()).chain(arguments).chain(more).chain(json);
    let parsed = Cli::try_parse_from(words).map_err(|error| Failure::command_line(&error))?;
    let Command::Check(check) = parsed.command else {
        return Err(Failure::usage("a schedule is a check", ""));
    };
    let ended = super::check::run(check).await;
    // a run that never began must not wait for ever
    ended.inspect_err(|failure| {
        let _ = state.cancel(&run, &failure.what);
    })
}

fn pause(name: &str, why: Option<&str>, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let mut place = place::open(args)?;
    plan(place.setup()?, name)?;
    place.state.see_schedules(&[name], clock::now_seconds())?;
    let who = place::who();
    let subject = format!("schedule {name}");
    match why {
        Some(why) => {
            place.state.audit(&who, "pause", &subject, why)?;
            place.state.pause_schedule(name, &who, why)?;
        }
        None => {
            place.state.audit(&who, "resume", &subject, "")?;
            place.state.resume_schedule(name)?;
        }
    }
    let document = json!({ "schema_version": 1, "schedule": name, "paused": why.is_some() });
    let word = if why.is_some() { "is paused" } else { "goes on" };
    say(args, &document, || format!("schedule {name} {word}\n"))?;
    Ok(Outcome::Identical)
}

//! What is due: a function of the schedules, of what is known of them, and of the clock.
//!
//! A caller looks at its clock, asks [`decide`], writes down what was decided ([`Past::note`]) and does it. Asked again with
//! the same arguments it gives the same answer, so a crash between two steps at worst repeats a step; if it is written down
//! before it is done, a crash can cost a run but never doubles one.
//!
//! How: of all times after the last that was dealt with, the latest that has come decides; the ones before it are dealt
//! with by the same decision, and counted. So whatever the clock does, times are dealt with in order, and once:
//!
//! - *Forward* by two hours, or asleep for three nights: one run, `missed` says how many it makes up for.
//! - *Back* by two hours: nothing, until the clock is past what was dealt with.
//! - *Back from far ahead*, by more than [`AHEAD_MAX`]: what was noted under the wrong clock would keep a schedule silent
//!   for as long, so it counts as seen for the first time.
//!
//! A time that finds the run before at work is left out, or waits; one that waits is simply not dealt with yet, so at most one
//! waits and it is the latest. A run that has taken too long no longer stands in the way of the next: that waits for its end.
//!
//! Invariant: decisions of one schedule name planned times in rising order, all later than `planned_at` of its past, none later
//! than now; each time in between belongs to exactly one of them. A run begins only while none is at work.
//!
//! What it does not verify: the clock. One that is put forward makes a run at work look longer than it is, so that its
//! longest duration may seem over too early; and one that was set forward by up to [`AHEAD_MAX`] and back again leaves a schedule
//! silent until the times that were dealt with have passed.

use crate::Schedule;
use crate::schedule::{CatchUp, Overlap, delta};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Where counting missed times ends. The latest is found nevertheless.
pub const MISSED_MAX: u32 = 1_000;
/// How late a run may begin with [`CatchUp::None`], counted from its planned time with the jitter, or from the end of the run
/// for which it waited: the tick of a busy service, and not a sleep.
pub const GRACE: TimeDelta = TimeDelta::minutes(5);
/// The furthest that a planned time dealt with may lie ahead of the clock, if the clock was only set back.
pub const AHEAD_MAX: TimeDelta = TimeDelta::hours(24);

/// What is known of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// The latest planned time that was dealt with, by a run or by leaving it out; or when the schedule was first seen.
    pub planned_at: DateTime<Utc>,
    /// When the run at work began, if one is at work.
    pub running_since: Option<DateTime<Utc>>,
    /// When the latest run ended, if one has.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether a person has paused it. A caller asks [`decide`] before it changes this, so that each time falls on its side.
    pub paused: bool,
}

/// Why a time was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The run before was still at work.
    Overlap,
    /// A person had paused the schedule. Nothing piles up for the moment when it is resumed.
    Paused,
    /// Nobody was awake, and the schedule does not make up for it.
    Missed,
    /// Its starting deadline was over.
    TooLate,
}

/// Why a run is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It has taken as long as it may.
    TooLong,
    /// The next time has come and replaces it.
    Replaced,
}

/// What is to be done now. Every time named is a planned one, without the jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The schedule is new, or what is known of it was noted under a clock far ahead: times count from now on.
    FirstSeen {
        /// The schedule's name.
        schedule: Box<str>,
        /// Now.
        seen_at: DateTime<Utc>,
    },
    /// Begin a run.
    Start {
        /// The schedule's name.
        schedule: Box<str>,
        /// The time for which it was planned.
        planned_at: DateTime<Utc>,
        /// How many earlier times it makes up for, at most [`MISSED_MAX`].
        missed: u32,
    },
    /// Note as dealt with what does not get a run.
    LeaveOut {
        /// The schedule's name.
        schedule: Box<str>,
        /// The latest time that is left out.
        planned_at: DateTime<Utc>,
        /// How many earlier times are left out with it, at most [`MISSED_MAX`].
        missed: u32,
        /// Why.
        reason: LeftOut,
    },
    /// Stop the run at work. It is said again each time until that run has ended.
    Stop {
        /// The schedule's name.
        schedule: Box<str>,
        /// Why.
        reason: Stopped,
    },
}

impl Decision {
    /// The name of the schedule that it is about.
    #[must_use]
    pub fn schedule(&self) -> &str {
        match self {
            Decision::FirstSeen { schedule, .. }
            | Decision::Start { schedule, .. }
            | Decision::LeaveOut { schedule, .. }
            | Decision::Stop { schedule, .. } => schedule,
        }
    }
}

impl Past {
    /// What is known of a schedule that is first seen at `now`.
    #[must_use]
    pub fn first_seen(schedule: &str, now: DateTime<Utc>) -> Past {
        Past {
            schedule: schedule.into(),
            planned_at: now,
            running_since: None,
            ended_at: None,
            paused: false,
        }
    }

    /// Takes down a decision about this schedule that was made at `now`. A stop is not the end of a run: see [`Past::end`].
    pub fn note(&mut self, decision: &Decision, now: DateTime<Utc>) {
        match decision {
            Decision::FirstSeen { seen_at, .. } => self.planned_at = *seen_at,
            Decision::LeaveOut { planned_at, .. } => self.planned_at = *planned_at,
            Decision::Start { planned_at, .. } => {
                self.planned_at = *planned_at;
                self.running_since = Some(now);
            }
            Decision::Stop { .. } => {}
        }
    }

    /// Takes down that the run at work has ended at `now`, however it ended.
    pub fn end(&mut self, now: DateTime<Utc>) {
        self.running_since = None;
        self.ended_at = Some(now);
    }
}

/// What is to be done at `now`, in the order of the schedules; of each schedule, in the order of its times.
///
/// A schedule without a past is not due: it is first seen now. A past without a schedule is passed over. Of two schedules
/// with one name, only the first is looked at, because they would share a past. `salt` names the host and the cluster and decides, with
/// the name, each schedule's [`jitter_offset`](Schedule::jitter_offset).
#[must_use]
pub fn decide(schedules: &[Schedule], past: &[Past], salt: &str, now: DateTime<Utc>) -> Vec<Decision> {
    let pasts: BTreeMap<&str, &Past> = past.iter().rev().map(|past| (&*past.schedule, past)).collect();
    let mut names = BTreeSet::new();
    let mut decisions = Vec::new();
    for schedule in schedules.iter().filter(|schedule| names.insert(&*schedule.name)) {
        let known = pasts.get(&*schedule.name).filter(|past| past.planned_at - now <= AHEAD_MAX);
        match known {
            Some(past) => decide_one(schedule, past, salt, now, &mut decisions),
            None => {
                decisions.push(Decision::FirstSeen { schedule: schedule.name.clone(), seen_at: now });
            }
        }
    }
    decisions
}

fn decide_one(
    schedule: &Schedule,
    past: &Past,
    salt: &str,
    now: DateTime<Utc>,
    decisions: &mut Vec<Decision>,
) {
    let name = || schedule.name.clone();
    let too_long = |since| schedule.max_duration.is_some_and(|longest| now - since >= delta(longest));
    let overdue = past.running_since.is_some_and(too_long);
    if overdue {
        decisions.push(Decision::Stop { schedule: name(), reason: Stopped::TooLong });
    }
    // planned times up to here have come, with their jitter
    let Some(until) = now.checked_sub_signed(schedule.jitter_offset(salt)) else { return };
    let Some(planned_at) = schedule.expression.latest(schedule.zone, past.planned_at, until) else { return };
    let leave_out = |planned_at, reason| Decision::LeaveOut {
        schedule: name(),
        planned_at,
        missed: missed(schedule, past.planned_at, planned_at),
        reason,
    };
    let too_late = |deadline| until - planned_at > delta(deadline);
    if past.paused {
        decisions.push(leave_out(planned_at, LeftOut::Paused));
    } else if schedule.starting_deadline.is_some_and(too_late) {
        decisions.push(leave_out(planned_at, LeftOut::TooLate));
    } else if past.running_since.is_some() {
        match schedule.overlap {
            // it waits for the end of a run that is being stopped
            _ if overdue => {}
            Overlap::Skip => decisions.push(leave_out(planned_at, LeftOut::Overlap)),
            Overlap::Queue => {}
            Overlap::Replace => {
                decisions.push(Decision::Stop { schedule: name(), reason: Stopped::Replaced });
            }
        }
    } else {
        let given_up = given_up(schedule, past, until, now);
        decisions.extend(given_up.map(|time| leave_out(time, LeftOut::Missed)));
        if given_up != Some(planned_at) {
            let missed = missed(schedule, given_up.unwrap_or(past.planned_at), planned_at);
            decisions.push(Decision::Start { schedule: name(), planned_at, missed });
        }
    }
}

/// The latest time that is too old to be made up for.
fn given_up(
    schedule: &Schedule,
    past: &Past,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // what waited for a run that has just ended was not missed
    let waited = past.ended_at.is_some_and(|ended_at| now - ended_at <= GRACE);
    match schedule.catch_up {
        CatchUp::One => None,
        CatchUp::None if waited => None,
        CatchUp::None => {
            let old = until.checked_sub_signed(GRACE + TimeDelta::nanoseconds(1))?;
            schedule.expression.latest(schedule.zone, past.planned_at, old)
        }
    }
}

/// How many times lie between these two, at most [`MISSED_MAX`].
fn missed(schedule: &Schedule, after: DateTime<Utc>, before: DateTime<Utc>) -> u32 {
    let times = schedule.expression.times(schedule.zone, after).take_while(|time| *time < before);
    (0..MISSED_MAX).zip(times).map(|(earlier, _)| earlier + 1).last().unwrap_or(0)
}

#[cfg(test)]
mod tests;

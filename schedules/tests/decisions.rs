//! Random days of a service: whatever its clock and its runs do, each time is dealt with once.
//!
//! The service ticks, is busy, sleeps, has its clock set two hours either way, is paused and resumed, and its runs end or
//! hang. What must hold is said in terms of planned times alone: those that decisions deal with follow each other
//! without a gap, and none is left that could have been dealt with.

#![allow(clippy::expect_used)] // a test that cannot be set up has failed

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use schedules::chrono::{DateTime, TimeDelta, Utc};
use schedules::{
    CatchUp, Decision, GRACE, LeftOut, MISSED_MAX, Overlap, Past, Schedule, Stopped, Tz, decide,
};
use std::time::Duration;

/// What happens between two looks at the clock.
#[derive(Clone, Debug)]
enum Event {
    Tick { seconds: i64 },
    Sleep { minutes: i64 },
    Ahead,
    Back,
    RunEnds,
    Pause,
    Resume,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1..300_i64).prop_map(|seconds| Event::Tick { seconds }),
        6 => (10..1_000_i64).prop_map(|minutes| Event::Sleep { minutes }),
        1 => (1_000..10_000_i64).prop_map(|minutes| Event::Sleep { minutes }),
        2 => Just(Event::Ahead),
        2 => Just(Event::Back),
        8 => Just(Event::RunEnds),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let expression = prop::sample::select(vec![
        "30 3 * * *",
        "@daily",
        "*/20 * * * *",
        "15 */2 * * *",
        "0,30 1-4 * * *",
        "0 3 13 * Sun",
    ]);
    let zone = prop::sample::select(vec![
        Tz::UTC,
        Tz::Europe__Helsinki,
        Tz::America__Santiago,
        Tz::Australia__Lord_Howe,
    ]);
    let bound =
        || prop::option::weighted(0.3, (1..3_000_u64).prop_map(|minutes| Duration::from_secs(minutes * 60)));
    let overlap = prop::sample::select(vec![Overlap::Skip, Overlap::Queue, Overlap::Replace]);
    let catch_up = prop::sample::select(vec![CatchUp::One, CatchUp::None]);
    (expression, zone, 0..10_000_u64, overlap, catch_up, bound(), bound()).prop_map(
        |(text, zone, jitter, overlap, catch_up, starting_deadline, max_duration)| Schedule {
            jitter: Duration::from_secs(jitter),
            overlap,
            catch_up,
            starting_deadline,
            max_duration,
            ..Schedule::new("random", text.parse().expect("an expression"), zone)
        },
    )
}

/// A service with one schedule.
struct Service {
    schedule: Schedule,
    now: DateTime<Utc>,
    past: Past,
    starts: Vec<DateTime<Utc>>,
}

impl Service {
    /// Asks what is due, checks the answer, and takes it down.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let offset = self.schedule.jitter_offset("db1/shop");
        let ask = |service: &Service| {
            let (schedule, past) =
                (std::slice::from_ref(&service.schedule), std::slice::from_ref(&service.past));
            decide(schedule, past, "db1/shop", service.now)
        };
        let mut stopping = false;
        for decision in ask(self) {
            let dealt_with = match &decision {
                Decision::FirstSeen { .. } => {
                    return Err(TestCaseError::fail("a known schedule was forgotten"));
                }
                Decision::Stop { reason, .. } => {
                    prop_assert!(self.past.running_since.is_some());
                    prop_assert!(*reason == Stopped::TooLong || self.schedule.overlap == Overlap::Replace);
                    stopping = true;
                    continue;
                }
                Decision::Start { planned_at, missed, .. } => {
                    prop_assert!(self.past.running_since.is_none() && !self.past.paused);
                    prop_assert!(
                        self.starts.last().is_none_or(|last| last < planned_at),
                        "twice or out of order"
                    );
                    self.starts.push(*planned_at);
                    (*planned_at, *missed)
                }
                Decision::LeaveOut { planned_at, missed, reason, .. } => {
                    let late = self.now - offset - *planned_at;
                    let allowed = match reason {
                        LeftOut::Overlap => {
                            self.past.running_since.is_some() && self.schedule.overlap == Overlap::Skip
                        }
                        LeftOut::Paused => self.past.paused,
                        LeftOut::Missed => late > GRACE && self.schedule.catch_up == CatchUp::None,
                        LeftOut::TooLate => self.schedule.starting_deadline.is_some(),
                    };
                    prop_assert!(allowed, "left out for {:?}", reason);
                    (*planned_at, *missed)
                }
            };
            let (planned_at, missed) = dealt_with;
            prop_assert!(planned_at + offset <= self.now, "not before its time");
            // all planned times since the last decision, this one included, are dealt with by it
            let all = self.schedule.planned(self.past.planned_at, planned_at, PLANNED_MAX);
            prop_assert_eq!(all.last(), Some(&planned_at));
            prop_assert!(all.len() < PLANNED_MAX);
            prop_assert_eq!(missed as usize, (all.len() - 1).min(MISSED_MAX as usize));
            self.past.note(&decision, self.now);
        }
        let left = self.schedule.planned(self.past.planned_at, self.now - offset, 1);
        let waits =
            self.past.running_since.is_some() && (stopping || self.schedule.overlap == Overlap::Queue);
        prop_assert!(left.is_empty() || waits, "nobody dealt with {:?}", left);
        let again = ask(self);
        let stops = again.iter().all(|decision| matches!(decision, Decision::Stop { .. }));
        prop_assert!(stops, "asked again it says {:?}", again);
        Ok(())
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Tick { seconds } => self.now += TimeDelta::seconds(*seconds),
            Event::Sleep { minutes } => self.now += TimeDelta::minutes(*minutes),
            Event::Ahead => self.now += TimeDelta::hours(2),
            Event::Back => self.now -= TimeDelta::hours(2),
            Event::RunEnds if self.past.running_since.is_some() => self.past.end(self.now),
            Event::RunEnds => {}
            Event::Pause => self.past.paused = true,
            Event::Resume => self.past.paused = false,
        }
    }
}

/// More times than lie between two decisions of these tests.
const PLANNED_MAX: usize = 100_000;
/// How many random cases each test tries.
const CASES: u32 = 300;

/// A failure leaves its seed beside this file, and the next run begins with it.
fn config() -> ProptestConfig {
    let seeds = Box::new(FileFailurePersistence::WithSource("seeds"));
    ProptestConfig { cases: CASES, failure_persistence: Some(seeds), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_time_is_dealt_with_twice_and_none_is_lost(
        schedule in schedule(),
        start in 1_767_225_600_i64..1_798_761_600,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let now = DateTime::from_timestamp(start, 0).expect("a moment");
        let past = Past::first_seen("random", now);
        let mut service = Service { schedule, now, past, starts: Vec::new() };
        // the furthest the clock has been back from where it was is bounded, as `decide` assumes
        let mut highest = now;
        for event in &events {
            if matches!(event, Event::Back) && highest - service.now > TimeDelta::hours(20) {
                continue;
            }
            service.happen(event);
            highest = highest.max(service.now);
            service.look()?;
        }
    }
}

//! Random expressions, held against croner and against counting minutes.
//!
//! croner reads five fields as we do, and is compared in UTC, because it treats changes of the clock by rules of its own.
//! One thing is put the same way for it: where a field of days begins with a star and is more than a star (`*/2`), crontab
//! takes both fields together and croner either, so it is told to take both. Not compared is what it takes and we refuse:
//! seconds, years and the signs of Quartz; nor a range to Sunday by name (`Fri-Sun`, `Sun-Sun`), which is tested beside the parser.
//!
//! Counting minutes needs no cleverness: each minute of some days is looked up on the wall, and the rules of the table in the chapter
//! of the crate are applied to what the wall showed. It covers changes of every kind that zones have.

#![allow(clippy::expect_used)] // a test that cannot be set up has failed

use croner::parser::{CronParser, Seconds, Year};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use schedules::chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use schedules::{Expression, Tz};
use std::collections::BTreeSet;

/// A field as text and as what it means.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    values: BTreeSet<u32>,
}

const MONTHS: [&str; 12] =
    ["jan", "Feb", "MAR", "apr", "May", "JUN", "jul", "Aug", "SEP", "oct", "Nov", "DEC"];
const WEEKDAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "Thu", "FRI", "sat"];

/// One part of a list: a value, a name, a range, a step.
fn part(first: u32, last: u32, names: &'static [&'static str]) -> impl Strategy<Value = Field> {
    let one = move |value: u32, named: bool| match names.get((value - first) as usize).filter(|_| named) {
        Some(name) => (*name).to_owned(),
        None => value.to_string(),
    };
    let most = (last - first + 1).min(31);
    (0..5, first..=last, first..=last, 1..=most, any::<bool>()).prop_map(move |(shape, a, b, step, named)| {
        let (low, high) = (a.min(b), a.max(b));
        let step_by = step as usize;
        match shape {
            0 => Field { text: format!("*/{step}"), values: (first..=last).step_by(step_by).collect() },
            // croner takes sun-sun for the whole week
            1 => Field {
                text: format!("{}-{}", one(low, named && low < high), one(high, named && low < high)),
                values: (low..=high).collect(),
            },
            2 => Field {
                text: format!("{low}-{high}/{step}"),
                values: (low..=high).step_by(step_by).collect(),
            },
            _ => Field { text: one(a, named), values: [a].into() },
        }
    })
}

/// A star, or a list of one to three parts.
fn field(first: u32, last: u32, names: &'static [&'static str]) -> impl Strategy<Value = Field> {
    let star = Just(Field { text: "*".into(), values: (first..=last).collect() });
    let list = prop::collection::vec(part(first, last, names), 1..4).prop_map(|parts| Field {
        text: parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(","),
        values: parts.into_iter().flat_map(|part| part.values).collect(),
    });
    prop_oneof![2 => star, 3 => list]
}

/// Five fields.
#[derive(Clone)]
struct Fields([Field; 5]);

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    // Sunday may be 7, where it is no name and begins no step
    let weekday = (field(0, 6, &WEEKDAYS), any::<bool>()).prop_map(|(mut field, seven)| {
        if seven && field.text == "0" {
            field.text = "7".into();
        }
        field
    });
    let all = (field(0, 59, &[]), field(0, 23, &[]), field(1, 31, &[]), field(1, 12, &MONTHS), weekday);
    all.prop_map(|(minute, hour, day, month, weekday)| Fields([minute, hour, day, month, weekday]))
}

impl Fields {
    fn text(&self) -> String {
        self.0.each_ref().map(|field| field.text.as_str()).join(" ")
    }

    /// Whether both fields of days are to be true, or either.
    fn both_days(&self) -> bool {
        self.0[2].text.starts_with('*') || self.0[4].text.starts_with('*')
    }

    fn every_hour(&self) -> bool {
        self.0[1].text.starts_with('*') && self.0[1].values.len() > 1
    }

    fn mean(&self, wall: NaiveDateTime) -> bool {
        let [minute, hour, day, month, weekday] = self.0.each_ref().map(|field| &field.values);
        let (day, weekday) =
            (day.contains(&wall.day()), weekday.contains(&wall.weekday().num_days_from_sunday()));
        let days = if self.both_days() { day && weekday } else { day || weekday };
        minute.contains(&wall.minute())
            && hour.contains(&wall.hour())
            && month.contains(&wall.month())
            && days
    }

    /// The times in these minutes, by looking at the wall in each.
    fn counted(&self, zone: Tz, from: DateTime<Utc>, minutes: i32) -> Vec<DateTime<Utc>> {
        let minute = TimeDelta::minutes(1);
        let wall = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
        // what was shown in the days before
        let lead = 48 * 60;
        let mut seen = wall(from - minute * lead);
        let mut times = Vec::new();
        for n in -lead + 1..=minutes {
            let at = from + minute * n;
            let shown = wall(at);
            let skipped = std::iter::successors(Some(seen + minute), |wall| Some(*wall + minute));
            let day_skipped = |time: &NaiveDateTime| {
                let day = time.date().and_hms_opt(0, 0, 0).expect("midnight");
                seen < day && day + TimeDelta::days(1) <= shown
            };
            let mut skipped = skipped.take_while(|wall| *wall < shown).filter(|time| !day_skipped(time));
            let due = match self.every_hour() {
                true => self.mean(shown),
                false => (shown > seen && self.mean(shown)) || skipped.any(|wall| self.mean(wall)),
            };
            if due && n > 0 {
                times.push(at);
            }
            seen = seen.max(shown);
        }
        times
    }
}

/// Zones and moments near which their clocks are changed.
const CHANGES: [(Tz, &str); 16] = [
    (Tz::Europe__Helsinki, "2026-03-29T01:00:00Z"),
    (Tz::Europe__Helsinki, "2026-10-25T01:00:00Z"),
    (Tz::America__New_York, "2026-03-08T07:00:00Z"),
    (Tz::America__New_York, "2026-11-01T06:00:00Z"),
    (Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z"),
    (Tz::Australia__Lord_Howe, "2026-04-04T15:00:00Z"),
    (Tz::America__Santiago, "2026-09-06T04:00:00Z"),
    (Tz::America__Santiago, "2026-04-05T03:00:00Z"),
    (Tz::Africa__Cairo, "2026-04-23T22:00:00Z"),
    (Tz::Africa__Cairo, "2026-10-29T21:00:00Z"),
    (Tz::Asia__Beirut, "2026-03-28T22:00:00Z"),
    (Tz::Antarctica__Troll, "2026-03-29T01:00:00Z"),
    (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
    (Tz::Pacific__Kwajalein, "1993-08-21T12:00:00Z"),
    // a station that lives three hours earlier from one day to the next
    (Tz::Antarctica__Casey, "2010-03-04T15:00:00Z"),
    (Tz::Asia__Kolkata, "2026-03-29T00:00:00Z"),
];
/// How many minutes are counted.
const MINUTES: i32 = 4 * 24 * 60;

#[test]
fn from_each_minute_near_a_change_the_next_time_is_the_next_that_is_counted() {
    let all = |values: std::ops::Range<u32>| Field { text: "*".into(), values: values.collect() };
    let minutes = Field { text: "7,37".into(), values: [7, 37].into() };
    let fixed = Field { text: "0-23".into(), values: (0..24).collect() };
    for (zone, at) in CHANGES {
        for hours in [fixed.clone(), all(0..24)] {
            let fields = Fields([minutes.clone(), hours, all(1..32), all(1..13), all(0..7)]);
            let ours: Expression = fields.text().parse().expect("an expression");
            let from = at.parse::<DateTime<Utc>>().expect("a moment") - TimeDelta::days(1);
            let counted = fields.counted(zone, from, MINUTES);
            for minute in 0..MINUTES / 2 {
                let probe = from + TimeDelta::minutes(minute.into());
                let next = counted.iter().find(|time| **time > probe).copied();
                assert_eq!(ours.next_after(zone, probe), next, "{fields:?} in {zone} after {probe}");
            }
        }
    }
}

#[test]
fn daily_is_once_on_each_day_in_every_zone() {
    let daily: Expression = "@daily".parse().expect("an expression");
    for zone in chrono_tz::TZ_VARIANTS {
        let days = daily.times(zone, DateTime::from_timestamp(1_767_268_800, 0).expect("a moment")).take(366);
        let days: Vec<_> = days.map(|time| time.with_timezone(&zone).date_naive()).collect();
        assert!(days.windows(2).all(|two| two[0].succ_opt() == Some(two[1])), "{zone}");
    }
}

/// How many random cases each test tries.
const CASES: u32 = 400;

/// A failure leaves its seed beside this file, and the next run begins with it.
fn config() -> ProptestConfig {
    let seeds = Box::new(FileFailurePersistence::WithSource("seeds"));
    ProptestConfig { cases: CASES, failure_persistence: Some(seeds), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_front_agrees_with_croner_in_utc(fields in fields(), start in 1_600_000_000_i64..2_500_000_000) {
        let starred = [2, 4].map(|n| fields.0[n].text.starts_with('*') && fields.0[n].text != "*");
        let other = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(starred.contains(&true))
            .build()
            .parse(&fields.text())
            .expect("croner takes it");
        let mut after = DateTime::from_timestamp(start, 0).expect("a moment");
        match fields.text().parse::<Expression>() {
            Ok(ours) => for _ in 0..20 {
                let expected = other.find_next_occurrence(&after, false).expect("a next time");
                prop_assert_eq!(ours.next_after(Tz::UTC, after), Some(expected), "{} after {}", fields.text(), after);
                after = expected;
            },
            Err(error) => {
                prop_assert!(error.0.contains("never run"), "{}", error);
                prop_assert!(other.find_next_occurrence(&after, false).is_err());
            }
        }
    }

    #[test]
    fn times_are_those_that_the_wall_shows(
        fields in fields(),
        change in 0..CHANGES.len(),
        lead in 0..3_000_i64,
        probe in 0..i64::from(MINUTES) * 60,
    ) {
        let Ok(ours) = fields.text().parse::<Expression>() else { return Ok(()) };
        let (zone, at) = CHANGES[change];
        let from = at.parse::<DateTime<Utc>>().expect("a moment") - TimeDelta::minutes(lead);
        let until = from + TimeDelta::minutes(MINUTES.into());
        let counted = fields.counted(zone, from, MINUTES);
        let times: Vec<_> = ours.times(zone, from).take_while(|time| *time <= until).collect();
        prop_assert_eq!(&times, &counted, "{} in {} from {}", fields.text(), zone, from);
        prop_assert_eq!(ours.latest(zone, from, until), counted.last().copied());
        // and from between two minutes
        let probe = from + TimeDelta::seconds(probe);
        let next = counted.iter().find(|time| **time > probe).copied();
        prop_assert_eq!(ours.next_after(zone, probe).filter(|time| *time <= until), next);
    }

    #[test]
    fn any_text_is_an_expression_or_refused(text in "[0-9*/,?LW#~HhaJNfri@ +-]{0,24}|\\PC{0,40}") {
        match text.parse::<Expression>() {
            Ok(expression) => {
                let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
                prop_assert!(expression.next_after(Tz::Europe__Helsinki, now).is_some());
            }
            Err(error) => prop_assert!(error.0.contains("is no cron expression: ")),
        }
    }

    #[test]
    fn any_five_words_are_an_expression_or_refused(
        words in prop::collection::vec("(\\*|[0-9]{1,2}|[a-zA-Z]{1,3})([-,/~#]([0-9]{1,2}|[a-zA-Z]{3}|\\*)){0,3}", 5),
    ) {
        if let Ok(expression) = words.join(" ").parse::<Expression>() {
            let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
            prop_assert!(expression.next_after(Tz::Europe__Helsinki, now).is_some());
        }
    }
}

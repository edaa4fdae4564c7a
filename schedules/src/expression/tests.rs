use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn parsed(text: &str) -> Expression {
    text.parse().expect("an expression")
}

fn next(text: &str, zone: Tz, after: &str) -> String {
    let next = parsed(text).next_after(zone, at(after)).expect("a next time");
    next.with_timezone(&zone).format("%a %F %T %:z").to_string()
}

/// The times until `until` as the wall shows them.
fn walls(text: &str, zone: Tz, after: &str, until: &str) -> Vec<String> {
    let expression = parsed(text);
    let times = expression.times(zone, at(after)).take_while(|time| *time <= at(until));
    times.map(|time| time.with_timezone(&zone).format("%d %H:%M").to_string()).collect()
}

#[test]
fn five_fields_mean_what_crontab_says() {
    // 2026-11-20 is a Friday
    for (text, expected) in [
        ("0 3 * * 1-5", "Mon 2026-11-23 03:00:00 +00:00"),
        ("0 3 * * 0", "Sun 2026-11-22 03:00:00 +00:00"),
        ("0 3 * * 7", "Sun 2026-11-22 03:00:00 +00:00"),
        ("0 3 * * Fri-Sun", "Sat 2026-11-21 03:00:00 +00:00"),
        ("0 0 13 * Fri", "Fri 2026-11-27 00:00:00 +00:00"),
        ("*/15 * * * *", "Fri 2026-11-20 12:15:00 +00:00"),
        ("5,10 2-4/2 * Dec *", "Tue 2026-12-01 02:05:00 +00:00"),
        ("@hourly", "Fri 2026-11-20 13:00:00 +00:00"),
        ("@daily", "Sat 2026-11-21 00:00:00 +00:00"),
        (" @Midnight ", "Sat 2026-11-21 00:00:00 +00:00"),
        ("@weekly", "Sun 2026-11-22 00:00:00 +00:00"),
        ("@monthly", "Tue 2026-12-01 00:00:00 +00:00"),
        ("@yearly", "Fri 2027-01-01 00:00:00 +00:00"),
        ("@annually", "Fri 2027-01-01 00:00:00 +00:00"),
        ("0 0 29 2 *", "Tue 2028-02-29 00:00:00 +00:00"),
        ("0 0 31 */2 *", "Sun 2027-01-31 00:00:00 +00:00"),
    ] {
        assert_eq!(next(text, Tz::UTC, "2026-11-20T12:00:00Z"), expected, "{text}");
    }
}

#[test]
fn either_day_is_meant_where_both_are_restricted_and_both_where_one_has_a_star() {
    assert_eq!(next("0 0 13 * Fri", Tz::UTC, "2026-12-11T12:00:00Z"), "Sun 2026-12-13 00:00:00 +00:00");
    assert_eq!(next("0 0 1-31 * Fri", Tz::UTC, "2026-12-11T12:00:00Z"), "Sat 2026-12-12 00:00:00 +00:00");
    // an odd day that is a Friday; the 13th if it is a Sunday, Tuesday, Thursday or Saturday
    assert_eq!(next("0 0 */2 * Fri", Tz::UTC, "2026-12-01T12:00:00Z"), "Fri 2026-12-11 00:00:00 +00:00");
    assert_eq!(next("0 0 13 * */2", Tz::UTC, "2026-10-14T12:00:00Z"), "Sun 2026-12-13 00:00:00 +00:00");
    assert_eq!(next("0 0 30 2 Fri", Tz::UTC, "2026-12-01T12:00:00Z"), "Fri 2027-02-05 00:00:00 +00:00");
}

#[test]
fn what_is_no_expression_is_refused_with_a_reason() {
    for (text, reason) in [
        ("0 0 3 * * *", "remove the first field"),
        ("0 0 3 * * * 2026", "remove the first field"),
        ("0 3 * *", "five fields"),
        ("", "five fields"),
        ("@sometimes", "@hourly"),
        ("@reboot", "@hourly"),
        ("@daily 3 * * *", "@hourly"),
        ("0 3 * * 8", "day of week '8'"),
        ("61 3 * * *", "minute '61'"),
        ("0 3 ? * Fri", "day of month '?': '?' belongs to Quartz; write *"),
        ("0 0 31 2 *", "never run"),
        ("0 0 30,31 feb *", "never run"),
        ("0 0 31 4,6,9,11 */2", "never run"),
        ("0 0 30 2 *,1", "never run"),
    ] {
        let error = text.parse::<Expression>().expect_err(text);
        assert!(error.0.contains(reason), "{error}");
    }
}

#[test]
fn a_change_of_the_clock_neither_skips_nor_repeats_a_nights_job() {
    let helsinki = Tz::Europe__Helsinki;
    // at 03:00 the clock goes to 04:00
    assert_eq!(next("30 3 * * *", helsinki, "2026-03-28T12:00:00Z"), "Sun 2026-03-29 04:00:00 +03:00");
    assert_eq!(next("30 3 * * *", helsinki, "2026-03-29T01:00:00Z"), "Mon 2026-03-30 03:30:00 +03:00");
    // two times of the gap, and one right after it, are one
    let spring = walls("*/30 3,4 * * *", helsinki, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(spring, ["29 04:00", "29 04:30"]);
    // at 04:00 the clock goes back to 03:00
    assert_eq!(next("30 3 * * *", helsinki, "2026-10-24T12:00:00Z"), "Sun 2026-10-25 03:30:00 +03:00");
    assert_eq!(next("30 3 * * *", helsinki, "2026-10-25T00:30:00Z"), "Mon 2026-10-26 03:30:00 +02:00");
    let autumn = walls("*/30 3,4 * * *", helsinki, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, ["25 03:00", "25 03:30", "25 04:00", "25 04:30"]);
}

#[test]
fn a_job_of_every_hour_follows_the_wall() {
    let helsinki = Tz::Europe__Helsinki;
    let autumn = walls("*/30 * * * *", helsinki, "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z");
    assert_eq!(autumn, ["25 03:00", "25 03:30", "25 03:00", "25 03:30", "25 04:00", "25 04:30"]);
    let spring = walls("*/30 * * * *", helsinki, "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z");
    assert_eq!(spring, ["29 02:30", "29 04:00", "29 04:30"]);
    // a single hour is a fixed one
    assert_eq!(
        next("0 */24 * * *", Tz::Africa__Cairo, "2026-04-23T12:00:00Z"),
        "Fri 2026-04-24 01:00:00 +03:00"
    );
}

#[test]
fn daily_is_once_on_each_day_where_the_clock_is_changed_at_midnight() {
    for zone in [Tz::America__Santiago, Tz::Africa__Cairo, Tz::Asia__Beirut, Tz::America__Havana] {
        let daily = parsed("@daily");
        let days: Vec<_> = daily
            .times(zone, at("2026-01-01T12:00:00Z"))
            .take(800)
            .map(|time| time.with_timezone(&zone).date_naive())
            .collect();
        assert!(days.windows(2).all(|two| two[0].succ_opt() == Some(two[1])), "{zone}");
    }
}

#[test]
fn half_an_hour_is_a_change_like_any_other() {
    let zone = Tz::Australia__Lord_Howe;
    // at 02:00 the clock goes to 02:30, and in April from 02:00 back to 01:30
    assert_eq!(next("15 2 * * *", zone, "2026-10-03T12:00:00Z"), "Sun 2026-10-04 02:30:00 +11:00");
    assert_eq!(next("45 1 * * *", zone, "2026-04-04T12:00:00Z"), "Sun 2026-04-05 01:45:00 +11:00");
    assert_eq!(next("45 1 * * *", zone, "2026-04-04T14:45:00Z"), "Mon 2026-04-06 01:45:00 +10:30");
    let autumn = walls("*/15 * * * *", zone, "2026-04-04T14:30:00Z", "2026-04-04T15:30:00Z");
    assert_eq!(autumn, ["05 01:45", "05 01:30", "05 01:45", "05 02:00"]);
}

#[test]
fn a_day_that_is_skipped_has_no_jobs() {
    // Apia crossed the date line at the end of 2011-12-29, Kwajalein on 1993-08-20
    let apia = walls("0 12 * * *", Tz::Pacific__Apia, "2011-12-28T12:00:00Z", "2012-01-01T12:00:00Z");
    assert_eq!(apia, ["28 12:00", "29 12:00", "31 12:00", "01 12:00"]);
    let apia = walls("@daily", Tz::Pacific__Apia, "2011-12-28T12:00:00Z", "2012-01-01T12:00:00Z");
    assert_eq!(apia, ["29 00:00", "31 00:00", "01 00:00", "02 00:00"]);
    let kwajalein = walls("@daily", Tz::Pacific__Kwajalein, "1993-08-18T12:00:00Z", "1993-08-24T00:00:00Z");
    assert_eq!(kwajalein, ["19 00:00", "20 00:00", "22 00:00", "23 00:00", "24 00:00"]);
    // the day itself named, and a job of its every hour
    assert_eq!(
        next("0 12 30 12 *", Tz::Pacific__Apia, "2011-12-01T00:00:00Z"),
        "Sun 2012-12-30 12:00:00 +14:00"
    );
    assert_eq!(
        next("0 * 30 12 *", Tz::Pacific__Apia, "2011-12-01T00:00:00Z"),
        "Sun 2012-12-30 00:00:00 +14:00"
    );
}

#[test]
fn outside_the_years_of_the_crate_there_is_an_answer_and_no_panic() {
    let daily = parsed("@daily");
    for (after, expected) in [
        (DateTime::<Utc>::MIN_UTC, Some("1970-01-01T05:00:00Z")),
        (at("1969-12-31T00:00:00Z"), Some("1970-01-01T05:00:00Z")),
        (at("2100-12-31T12:00:00Z"), None),
        (DateTime::<Utc>::MAX_UTC, None),
    ] {
        assert_eq!(daily.next_after(Tz::America__New_York, after), expected.map(at), "{after}");
    }
}

#[test]
fn the_latest_time_is_found_however_many_lie_between() {
    let (start, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:30Z"));
    let latest = |text: &str, zone| parsed(text).latest(zone, start, end);
    assert_eq!(latest("* * * * *", Tz::UTC), Some(at("2027-01-01T00:00:00Z")));
    assert_eq!(latest("30 2 * * *", Tz::Europe__Helsinki), Some(at("2026-12-31T00:30:00Z")));
    assert_eq!(latest("* * 1 5 *", Tz::UTC), Some(at("2026-05-01T23:59:00Z")));
    assert_eq!(latest("0 0 29 2 *", Tz::UTC), None);
    assert_eq!(parsed("@daily").latest(Tz::UTC, end, start), None);
}

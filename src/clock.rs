//! The time of day as text, and names of runs.
//!
//! RFC 3339 in UTC, to the second. A run's name begins with its start, so that names sort by time, and ends in
//! random digits, so that two machines that begin in the same second do not choose the same one.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// What the tests of the service set to make time run faster: when that began, in seconds since 1970, and how many times as fast.
const FASTER: &str = "EVENSUM_TEST_CLOCK";

/// Time since 1970; zero if the clock is before that.
pub fn now() -> Duration {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    static SPEED: OnceLock<Option<(f64, f64)>> = OnceLock::new();
    let speed = SPEED.get_or_init(|| {
        let said = std::env::var(FASTER).ok()?;
        let (begun, times) = said.split_once(':')?;
        Some((begun.parse().ok()?, times.parse().ok()?))
    });
    match speed {
        Some((begun, times)) => {
            let seconds = begun + (real.as_secs_f64() - begun) * times;
            Duration::try_from_secs_f64(seconds).unwrap_or(real)
        }
        None => real,
    }
}

/// Seconds since 1970; zero if the clock is before that.
pub fn now_seconds() -> u64 {
    now().as_secs()
}

/// `2026-11-20T23:22:40Z`.
pub fn rfc3339(seconds: u64) -> String {
    let (year, month, day) = date(seconds / SECONDS_PER_DAY);
    let rest = seconds % SECONDS_PER_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The name of a run that begins now: `20261120-232240-4f2a9c`.
pub fn run_name() -> String {
    let time: String = rfc3339(now_seconds()).chars().filter(char::is_ascii_alphanumeric).collect();
    let random = RandomState::new().hash_one(std::process::id()) & 0xff_ffff;
    format!("{}-{}-{random:06x}", &time[..8], &time[9..15])
}

/// What a run is called in the ledgers of the nodes: its name, and what no other run in the world has. Names can be chosen,
/// and a ledger that meets one again would refuse its rows and stop replication.
pub fn ledger_run(name: &str) -> String {
    // both keys of the hash come from the system's source of randomness
    let random = RandomState::new().hash_one((std::process::id(), SystemTime::now())) >> 4;
    format!("{name}-{random:015x}")
}

/// Year, month and day of a day counted from 1970-01-01, by the Gregorian calendar.
fn date(day: u64) -> (u64, u64, u64) {
    // years begin in March here, so that the leap day is the last: four hundred of them are one cycle of 146,097 days
    let shifted = day + 719_468;
    let (cycle, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_the_calendar_says() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn the_ledger_never_sees_a_name_twice_and_holds_the_longest() {
        let names: std::collections::BTreeSet<String> =
            (0..50).map(|_| ledger_run(&"x".repeat(48))).collect();
        assert_eq!(names.len(), 50);
        assert!(names.iter().all(|name| name.len() == 64), "{names:?}");
    }

    #[test]
    fn names_of_runs_differ_and_sort_by_time() {
        let names: std::collections::BTreeSet<String> = (0..50).map(|_| run_name()).collect();
        assert!(names.len() > 45);
        assert!(names.iter().all(|name| name.len() == 22), "{names:?}");
    }
}

//! What a sink is to be told now: the difference between what is and what it was told.
//!
//! An alert that fires and was not told, or was told too long ago; an alert that has ended and of which the sink still believes
//! that it fires. Who has acknowledged an alert hears of it again only when it has ended; what is muted is not told while it is,
//! but its end is, if its beginning was. Pure, so that a test moves the clock.
//!
//! Invariant: nothing is told as ended that was not told as firing.

use crate::alerts::notice::Notice;
use crate::state::{Alert, Mute, Told};
use std::time::Duration;

/// How long a receiver that wants to be told again and again is told that an alert has ended.
pub const ENDED_AGAIN: Duration = Duration::from_secs(300);

/// The longest mute: what is longer is a configuration.
pub const MUTE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How a sink wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What lasts is told again after this time.
    pub repeat: Duration,
    /// What lasts, and for a while what has ended, is told again after this time, whoever knows of it: so Alertmanager wants it.
    pub resend: Option<Duration>,
}

/// Alerts that are to be told together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What fires, with the numbers of the alerts.
    pub firing: Vec<(i64, Notice)>,
    /// What has ended.
    pub ended: Vec<(i64, Notice)>,
}

/// What is to be told now, of these alerts with what the sink was told of each.
pub fn due(alerts: &[(Alert, Option<Told>)], mutes: &[Mute], manner: Manner, now: u64) -> Due {
    let mut due = Due::default();
    for (alert, told) in alerts {
        let notice = &alert.notice;
        let passed = |since: u64, time: Duration| now.saturating_sub(since) >= time.as_secs();
        let again = |told: &Told| match manner.resend {
            Some(resend) => passed(told.at, resend),
            None => alert.acknowledged.is_none() && passed(told.at, manner.repeat),
        };
        let wanted = match (notice.firing, told) {
            (true, _) if mutes.iter().any(|mute| silences(mute, notice)) => false,
            (true, None | Some(Told { firing: false, .. })) => true,
            (true, Some(told)) => again(told),
            (false, Some(told)) if told.firing => true,
            // the end is repeated for a receiver that forgets what it is not told
            (false, Some(told)) => {
                manner.resend.is_some() && !passed(told.first_at, ENDED_AGAIN) && again(told)
            }
            (false, None) => false,
        };
        if wanted {
            let list = if notice.firing { &mut due.firing } else { &mut due.ended };
            list.push((alert.id, notice.clone()));
        }
    }
    due
}

/// Whether a mute is about this alert: by its name, or by the value of one of its labels.
pub fn silences(mute: &Mute, notice: &Notice) -> bool {
    let matches = |text: &str| checker::glob(&mute.pattern, text);
    matches(&notice.name) || notice.labels.iter().any(|(label, value)| label != "cluster" && matches(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::notice::examples::{BEGAN_AT, divergence};

    const HOURS: Manner = Manner { repeat: Duration::from_secs(4 * 3_600), resend: None };
    const MINUTES: Manner =
        Manner { repeat: Duration::from_secs(4 * 3_600), resend: Some(Duration::from_secs(60)) };

    fn alert(firing: bool) -> Alert {
        Alert { id: 7, notice: divergence("shop.orders", firing), updated_at: BEGAN_AT, acknowledged: None }
    }

    fn told(firing: bool, ago: u64) -> Option<Told> {
        Some(Told { firing, at: NOW - ago, first_at: NOW - ago })
    }

    const NOW: u64 = BEGAN_AT + 100_000;

    /// How many are told to fire, and to have ended.
    fn count(alert: Alert, told: Option<Told>, mutes: &[Mute], manner: Manner) -> (usize, usize) {
        let due = due(&[(alert, told)], mutes, manner, NOW);
        (due.firing.len(), due.ended.len())
    }

    #[test]
    fn each_is_told_once_and_again_after_a_while() {
        for (firing, before, expected) in [
            (true, None, (1, 0)),
            (true, told(true, 60), (0, 0)),
            (true, told(true, 5 * 3_600), (1, 0)),
            // it was told as ended, and fires once more
            (true, told(false, 60), (1, 0)),
            (false, told(true, 60), (0, 1)),
            (false, told(false, 60), (0, 0)),
            (false, told(false, 99_999), (0, 0)),
            // nothing is told as ended that was never told as firing
            (false, None, (0, 0)),
        ] {
            assert_eq!(count(alert(firing), before, &[], HOURS), expected, "{firing} {before:?}");
        }
    }

    #[test]
    fn alertmanager_is_told_again_and_again() {
        for (firing, before, expected) in [
            (true, told(true, 59), (0, 0)),
            (true, told(true, 60), (1, 0)),
            (false, told(false, 60), (0, 1)),
            (false, told(false, 301), (0, 0)),
        ] {
            assert_eq!(count(alert(firing), before, &[], MINUTES), expected, "{firing} {before:?}");
        }
    }

    #[test]
    fn who_knows_of_it_hears_its_end_and_nothing_before() {
        let known = |firing| Alert { acknowledged: Some((NOW, "on it".into())), ..alert(firing) };
        assert_eq!(count(known(true), told(true, 50_000), &[], HOURS), (0, 0));
        assert_eq!(count(known(false), told(true, 50_000), &[], HOURS), (0, 1));
    }

    #[test]
    fn what_is_muted_is_not_told_but_its_end_is() {
        let mute = |pattern: &str| Mute {
            id: 1,
            pattern: pattern.into(),
            reason: "migration".into(),
            owner: "ann".into(),
            created_at: 0,
            expires_at: NOW + 1,
        };
        for pattern in ["shop.orders", "shop.*", "*", "MasterDataDivergence", "*Divergence"] {
            assert_eq!(count(alert(true), None, &[mute(pattern)], HOURS), (0, 0), "{pattern}");
        }
        for pattern in ["shop.customers", "ConsistencyCheckStale", "shop"] {
            assert_eq!(count(alert(true), None, &[mute(pattern)], HOURS), (1, 0), "{pattern}");
        }
        assert_eq!(count(alert(false), told(true, 60), &[mute("*")], HOURS), (0, 1));
        assert_eq!(count(alert(false), None, &[mute("*")], HOURS), (0, 0));
    }
}

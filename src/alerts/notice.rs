//! The nouns of alerts: how grave, what, since when, and several of them told at once.
//!
//! Invariant: the same name and labels give the same fingerprint on every machine and in every version, and different ones
//! give different ones: texts are hashed with their lengths, so that nothing can move from one to the next.
//! Not here: what the texts are; who makes a notice keeps row values out of it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More notices than this are not told at once: the rest is counted. Who has more tells them by several calls.
pub const NOTICES_MAX: usize = 100;
/// Bytes of the hash that a fingerprint shows.
const FINGERPRINT_BYTES: usize = 8;

/// How grave it is; the gravest is the least in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should come now: masters hold different rows.
    Critical,
    /// Something failed, and will again.
    Error,
    /// Something is to be looked at in working hours.
    Warning,
    /// Nothing is to be done.
    Info,
}

impl Severity {
    /// Its name, as all receivers write it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// One alert, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which alert it is, such as `MasterDataDivergence`.
    pub name: String,
    /// How grave it is.
    pub severity: Severity,
    /// Whether it lasts; false: it is resolved.
    pub firing: bool,
    /// When it began, in seconds since 1970.
    pub started_at: u64,
    /// When it was resolved, in seconds since 1970.
    pub ended_at: Option<u64>,
    /// What it is about (`cluster`, `table`, `node`, `schedule`); with the name this is its identity. The labels
    /// `alertname` and `severity` are added where it is told. Names are letters, digits and `_`.
    pub labels: BTreeMap<String, String>,
    /// What a person should know: `summary`, `description`, `command` (how to see or mend it), `runbook_url`.
    pub annotations: BTreeMap<String, String>,
    /// By whom it was acknowledged.
    pub acknowledged: Option<String>,
}

impl Notice {
    /// What makes it the same alert as an earlier one: 16 hexadecimal digits of its name and labels.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut take = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        take("evensum alert 1");
        take(&self.name);
        for (name, value) in &self.labels {
            take(name);
            take(value);
        }
        hasher.finalize().as_bytes()[..FINGERPRINT_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it ended, for receivers that need a time: never before it began, and `now` if nobody said.
    pub fn end(&self, now: u64) -> u64 {
        self.ended_at.unwrap_or(now).max(self.started_at)
    }
}

/// What is told at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The cluster's name.
    pub cluster: String,
    /// Where a person can look; empty: nowhere.
    pub external_url: String,
    /// All firing, or all resolved; at most [`NOTICES_MAX`] are told.
    pub notices: Vec<Notice>,
    /// How many more there are that are not told.
    pub truncated: u32,
}

impl Notification {
    /// The notices that are told.
    pub fn told(&self) -> &[Notice] {
        &self.notices[..self.notices.len().min(NOTICES_MAX)]
    }

    /// How many are not told, by whoever left them out.
    pub fn untold(&self) -> u32 {
        let left = self.notices.len().saturating_sub(NOTICES_MAX);
        self.truncated.saturating_add(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Whether it tells of alerts that last; of none, it is all well.
    pub fn firing(&self) -> bool {
        self.notices.iter().any(|notice| notice.firing)
    }

    /// `firing` or `resolved`.
    pub fn status(&self) -> &'static str {
        status(self.firing())
    }
}

/// `firing` or `resolved`.
pub fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// A text of at most so many characters, which says with its last one that it was longer.
pub fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The same on one line: control characters, of which a receiver may make something else, are blanks.
pub fn line(text: &str, chars_max: usize) -> String {
    cut(text, chars_max).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
pub mod examples {
    use super::*;

    /// 2026-11-21T00:00:00Z.
    pub const BEGAN_AT: u64 = 1_795_219_200;
    /// An hour later.
    pub const ENDED_AT: u64 = BEGAN_AT + 3600;

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Three rows of a table differ.
    pub fn divergence(table: &str, firing: bool) -> Notice {
        Notice {
            name: "MasterDataDivergence".into(),
            severity: Severity::Critical,
            firing,
            started_at: BEGAN_AT,
            ended_at: (!firing).then_some(ENDED_AT),
            labels: texts(&[("cluster", "shop"), ("table", table)]),
            annotations: texts(&[
                ("command", "evensum sync --config /etc/evensum.toml"),
                ("summary", "3 rows of <orders> & more differ on a and b"),
            ]),
            acknowledged: None,
        }
    }

    /// It is told alone.
    pub fn told(notices: Vec<Notice>) -> Notification {
        Notification {
            cluster: "shop".into(),
            external_url: "http://127.0.0.1:9188".into(),
            notices,
            truncated: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_wherever_and_whenever_it_is_made() {
        let notice = examples::divergence("shop.orders", true);
        assert_eq!(notice.fingerprint(), "a31718364bbb20b1");
        let later = Notice { severity: Severity::Info, firing: false, started_at: 9, ..notice.clone() };
        assert_eq!(later.fingerprint(), notice.fingerprint());
    }

    #[test]
    fn nothing_can_move_from_one_label_to_the_next() {
        let with = |name: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Notice { name: name.into(), labels, ..examples::divergence("t", true) }.fingerprint()
        };
        let all = [
            with("a", &[]),
            with("a", &[("b", "c")]),
            with("a", &[("bc", "")]),
            with("ab", &[("c", "")]),
            with("a", &[("b", ""), ("c", "")]),
            with("a", &[("b", "c"), ("d", "e")]),
            with("a", &[("b", "c\u{1}d=e")]),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|text| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn grave_comes_first_and_a_cut_text_says_so() {
        assert!(Severity::Critical < Severity::Error && Severity::Warning < Severity::Info);
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(line("a\r\nb\u{1b}", 9), "a  b ");
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut told = examples::told(vec![examples::divergence("t", true); NOTICES_MAX + 2]);
        told.truncated = 5;
        assert_eq!((told.told().len(), told.untold(), told.status()), (NOTICES_MAX, 7, "firing"));
        assert_eq!(examples::told(vec![]).status(), "resolved");
    }
}

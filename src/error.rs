//! The one place where what went wrong becomes words for a person, and an exit code.
//!
//! A failure says what, where and why in one sentence, whether anything was changed, and what to do. Each kind has a
//! code that stays the same, so that it can be looked up and alerted on. Messages never hold a password: none of the
//! errors below carries one.

use database::mysql::OUTSIDE_LOG;
use std::fmt;
use std::process::ExitCode;

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well: identical, mended, done.
    Identical,
    /// At least one row is different.
    Different,
    /// Something should be put right before the cluster is relied on.
    Unfit,
    /// It could not be finished: unsettled, skipped, unreachable.
    Incomplete,
    /// The command line or the configuration is wrong.
    Usage,
    /// Refused, because it would not be safe.
    Unsafe,
    /// Another run holds the cluster.
    Running,
    /// Stopped by this signal.
    Signal(u8),
    /// Whatever these bits say, in another program's words.
    Bits(u8),
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Identical => 0,
            Outcome::Different | Outcome::Unfit => 1,
            Outcome::Incomplete => 2,
            Outcome::Usage => 3,
            Outcome::Unsafe => 4,
            Outcome::Running => 5,
            Outcome::Signal(number) => 128_u8.saturating_add(number),
            Outcome::Bits(bits) => bits,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome.code())
    }
}

/// The text, or other words in its place if it may hold a password.
pub fn without_secret(text: &str) -> &str {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let userinfo = authority.rsplit_once('@').map_or("", |(userinfo, _)| userinfo);
    let secret = userinfo.contains(':') || text.contains("p=") || text.contains("assword");
    if secret { "what was given" } else { text }
}

/// What is known of a failure beside the sentence that tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The node at which it happened.
    pub node: String,
    /// Why, in the server's words.
    pub why: String,
}

/// Why a command could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stays the same for the same kind of failure.
    pub code: &'static str,
    /// What, where and why.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    /// Where and why it happened, if that is known apart; both are in `what` too.
    pub cause: Option<Box<Cause>>,
    /// What was changed before it failed; `None`: nothing.
    pub changed: Option<String>,
    /// How the program exits.
    pub outcome: Outcome,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.what.ends_with(['.', '?', '!']) { "" } else { "." };
        write!(f, "evensum: {}: {}{end} ", self.code, self.what)?;
        f.write_str(self.changed.as_deref().unwrap_or("Nothing was changed."))?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "\n  what to do: {}", self.advice) }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    fn new(
        code: &'static str,
        outcome: Outcome,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Failure {
        Failure { code, what: what.into(), advice: advice.into(), cause: None, changed: None, outcome }
    }

    /// A command line that is not one of ours, as the parser says.
    pub fn command_line(error: &clap::Error) -> Failure {
        let text = error.to_string();
        let (what, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
        let what = what.trim().trim_start_matches("error: ");
        Failure::new("E0101", Outcome::Usage, what, advice.trim())
    }

    /// A command line that cannot be meant.
    pub fn usage(what: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure::new("E0101", Outcome::Usage, what, advice)
    }

    /// A node that is named twice.
    pub fn twice(what: impl Into<String>) -> Failure {
        let advice = "name each node once; a node that is compared with itself is always identical";
        Failure::new("E0102", Outcome::Usage, what, advice)
    }

    /// A text that names no node.
    pub fn target(text: &str, why: &dyn fmt::Display) -> Failure {
        let shown = without_secret(text);
        let shown = if shown == text { format!("'{text}'") } else { shown.to_owned() };
        let advice = "for example mysql://root@127.0.0.1:3306 or h=127.0.0.1,P=3306,u=root";
        Failure::new("E0103", Outcome::Usage, format!("{shown} names no node: {why}"), advice)
    }

    /// A configuration file that cannot be used.
    pub fn config(what: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure::new("E0104", Outcome::Usage, what, advice)
    }

    /// A password that cannot be read.
    pub fn password(what: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure::new("E0105", Outcome::Usage, what, advice)
    }

    /// The state folder, or a file in it, cannot be used.
    pub fn state(what: impl Into<String>) -> Failure {
        let advice =
            "move the file away or name another folder with --state; it holds only the history of runs";
        Failure::new("E0301", Outcome::Usage, what, advice)
    }

    /// Another run is at work on the cluster.
    pub fn running(what: impl Into<String>) -> Failure {
        Failure::new("E0302", Outcome::Running, what, "wait for it to end, or end it")
    }

    /// Refused, because it would not be safe.
    pub fn refused(what: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure::new("E0401", Outcome::Unsafe, what, advice)
    }

    /// A bundled node that does not start.
    pub fn node(what: impl Into<String>) -> Failure {
        Failure::new("E0501", Outcome::Incomplete, what, "")
    }

    /// A step of the demonstration that did not go as it must.
    pub fn demo(what: impl Into<String>) -> Failure {
        let advice =
            "this is a fault of evensum or of a very busy machine; run it again, and report it if it stays";
        Failure::new("E0502", Outcome::Incomplete, what, advice)
    }

    /// A copy, or what follows on it, that did not come to its end.
    pub fn cloning(
        what: impl Into<String>,
        changed: impl Into<String>,
        advice: impl Into<String>,
    ) -> Failure {
        let failure = Failure::new("E0503", Outcome::Incomplete, what, advice);
        Failure { changed: Some(changed.into()), ..failure }
    }

    /// Something that the operating system did not let us do.
    pub fn system(what: impl Into<String>) -> Failure {
        Failure::new("E0901", Outcome::Incomplete, what, "")
    }

    /// Output that cannot be written.
    pub fn output(what: &str) -> Failure {
        Failure::new("E0902", Outcome::Incomplete, what, "")
    }
}

impl Failure {
    /// Whether a person may let it pass by another user, a password or a grant.
    pub fn is_right(&self) -> bool {
        self.code == "E0202"
    }

    /// A node that failed while rows were read, perhaps because of the condition that was given.
    pub fn reading(error: database::Error, filter: Option<&str>) -> Failure {
        const UNKNOWN_COLUMN: u16 = 1054;
        const SYNTAX: u16 = 1064;
        let number = match &error {
            database::Error::Refused { reason, .. } | database::Error::Schema { reason, .. } => {
                number(reason)
            }
            _ => None,
        };
        match (number, filter) {
            (Some(UNKNOWN_COLUMN | SYNTAX), Some(filter)) => {
                let cause = Some(Box::new(Cause { node: error.node().to_owned(), why: error.to_string() }));
                let what = format!("--where '{filter}' cannot be used: {error}");
                let advice =
                    "write a condition that is valid for every table of the run, or limit it with --tables";
                Failure { cause, ..Failure::new("E0106", Outcome::Usage, what, advice) }
            }
            _ => error.into(),
        }
    }
}

/// The server's number of an error, which the driver puts at the end of its words.
fn number(reason: &str) -> Option<u16> {
    reason.rsplit_once("(error ")?.1.strip_suffix(')')?.parse().ok()
}

/// Whether the server refused who asks, and not what is asked: no way in, or a right that is missing.
fn is_right(what: &str, reason: &str) -> bool {
    what == "the connection" || matches!(number(reason), Some(1044 | 1045 | 1142 | 1143 | 1227 | 1370))
}

/// Why nothing is mended through the log.
const NO_SAFE_PART: &str = "no part of a plan is safe to write into the log: it would come back to the node that is right, and overwrite what was \
    written there meanwhile or stop replication";

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Failure {
        use database::Error;
        let what = error.to_string();
        let granted = match &error {
            Error::Refused { node, grant: Some(grant), what, .. } => {
                let also = if what == OUTSIDE_LOG {
                    NO_SAFE_PART
                } else {
                    "evensum doctor names every right that is missing"
                };
                Some(format!("let an administrator run on {node}: {grant}\n  ({also})"))
            }
            _ => None,
        };
        let (code, outcome, advice) = match &error {
            Error::Unreachable { .. } => {
                ("E0201", Outcome::Incomplete, "see that the server runs, and that host and port are right")
            }
            Error::Refused { what, .. } if what == OUTSIDE_LOG => ("E0402", Outcome::Unsafe, NO_SAFE_PART),
            Error::Refused { what, reason, .. } if is_right(what, reason) => (
                "E0202",
                Outcome::Usage,
                "give the right user and password (EVENSUM_PASSWORD, --password-file, ~/.my.cnf), or grant the right",
            ),
            Error::Refused { .. } => {
                ("E0206", Outcome::Incomplete, "look the server's error number up in its manual")
            }
            Error::Insecure { .. } => (
                "E0207",
                Outcome::Usage,
                "see ssl-mode, ssl-ca, ssl-cert and ssl-key of the node, in its URL or in an option file",
            ),
            Error::Schema { .. } => {
                ("E0203", Outcome::Incomplete, "let the schema change end, then run it again")
            }
            Error::Bound { .. } => ("E0204", Outcome::Incomplete, "run it again when the node is less busy"),
            Error::Protocol { .. } => (
                "E0205",
                Outcome::Incomplete,
                "see that this is a MySQL or MariaDB server, and report it if it is",
            ),
        };
        let (Error::Unreachable { node, reason }
        | Error::Refused { node, reason, .. }
        | Error::Insecure { node, reason }
        | Error::Schema { node, reason }
        | Error::Bound { node, reason }
        | Error::Protocol { node, reason }) = error;
        Failure {
            cause: Some(Box::new(Cause { node, why: reason })),
            ..Failure::new(code, outcome, what, granted.unwrap_or_else(|| advice.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_that_nothing_changed_and_what_to_do() {
        let failure = Failure::from(database::Error::Unreachable {
            node: "n2".into(),
            reason: "connection refused".into(),
        });
        assert_eq!(
            failure.to_string(),
            "evensum: E0201: n2 is unreachable: connection refused. Nothing was changed.\n  \
             what to do: see that the server runs, and that host and port are right"
        );
        assert_eq!(failure.outcome.code(), 2);
        assert_eq!(Outcome::Signal(15).code(), 143);
    }

    #[test]
    fn a_text_with_a_password_is_not_repeated() {
        for text in ["mysql://u:hunter2@h:3306", "h=a,p=hunter2", "mysql://u@h?password=hunter2"] {
            assert!(!Failure::target(text, &"no").to_string().contains("hunter2"), "{text}");
        }
    }

    fn refused(what: &str, number: u16) -> database::Error {
        let reason = format!("words (error {number})");
        database::Error::Refused { node: "n2".into(), what: what.into(), reason, grant: None }
    }

    #[test]
    fn only_a_missing_right_is_called_one() {
        for number in [1044, 1045, 1142, 1143, 1227, 1370] {
            let failure = Failure::from(refused("reading", number));
            assert_eq!((failure.code, failure.outcome), ("E0202", Outcome::Usage), "{number}");
        }
        assert_eq!(Failure::from(refused("the connection", 1130)).code, "E0202");
        for number in [1064, 1062, 1290, 1317, 9999] {
            let failure = Failure::from(refused("reading", number));
            assert_eq!((failure.code, failure.outcome), ("E0206", Outcome::Incomplete), "{number}");
            assert!(!failure.to_string().contains("password"), "{failure}");
        }
    }

    #[test]
    fn a_condition_that_a_server_does_not_understand_is_named() {
        let syntax = || refused("reading shop.t", 1064);
        let failure = Failure::reading(syntax(), Some("id ="));
        assert_eq!((failure.code, failure.outcome), ("E0106", Outcome::Usage));
        assert!(failure.to_string().contains("--where 'id =' cannot be used: n2 refused"), "{failure}");
        assert_eq!(Failure::reading(syntax(), None).code, "E0206");
        assert_eq!(Failure::reading(refused("reading", 1142), Some("id = 1")).code, "E0202");
        let reason = "reading shop.t: Unknown column 'x' (error 1054)".to_owned();
        let column = database::Error::Schema { node: "n2".into(), reason };
        assert_eq!(Failure::reading(column, Some("x = 1")).code, "E0106");
    }
}

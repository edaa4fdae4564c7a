//! The one place where what went wrong becomes words for a person, and an exit code.
//!
//! A failure says what, where and why in one sentence, whether anything was changed, and what to do. Each kind has a
//! code that stays the same, so that it can be looked up and alerted on. Messages never hold a password: none of the
//! errors below carries one.

use std::fmt;
use std::process::ExitCode;

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well: identical, mended, done.
    Identical,
    /// At least one row is different.
    Different,
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
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Identical => 0,
            Outcome::Different => 1,
            Outcome::Incomplete => 2,
            Outcome::Usage => 3,
            Outcome::Unsafe => 4,
            Outcome::Running => 5,
            Outcome::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome.code())
    }
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
        Failure { code, what: what.into(), advice: advice.into(), changed: None, outcome }
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
        // a text that may hold a password is not repeated
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
        let userinfo = authority.rsplit_once('@').map_or("", |(userinfo, _)| userinfo);
        let secret = userinfo.contains(':') || text.contains("p=") || text.contains("assword");
        let shown = if secret { "what was given".to_owned() } else { format!("'{text}'") };
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

    /// Something that the operating system did not let us do.
    pub fn system(what: impl Into<String>) -> Failure {
        Failure::new("E0901", Outcome::Incomplete, what, "")
    }

    /// Output that cannot be written.
    pub fn output(what: &str) -> Failure {
        Failure::new("E0902", Outcome::Incomplete, what, "")
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Failure {
        use database::Error;
        let what = error.to_string();
        let (code, outcome, advice) = match error {
            Error::Unreachable { .. } => {
                ("E0201", Outcome::Incomplete, "see that the server runs, and that host and port are right")
            }
            Error::Refused { .. } => (
                "E0202",
                Outcome::Usage,
                "give the right user and password (EVENSUM_PASSWORD, --password-file, ~/.my.cnf), or grant the right",
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
        Failure::new(code, outcome, what, advice)
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
}

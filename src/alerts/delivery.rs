//! How a delivery ends that did not arrive, and what bounds every delivery.
//!
//! Invariant: the words of another program or machine are repeated only through [`quoted`]: short, on one line, and with
//! every secret that it was given left out, since a receiver may echo what it was sent.

use super::notice::line;
use std::fmt;
use std::time::Duration;

/// More of what the other side says is not repeated.
pub const WORDS_CHARS_MAX: usize = 300;
/// Longer than this nobody can make us wait by `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Why something was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It may arrive if it is sent again.
    Later {
        /// What happened, where and why.
        why: String,
        /// How long the other side asked us to wait, at most [`RETRY_AFTER_MAX`].
        after: Option<Duration>,
    },
    /// The same would be refused again.
    Never {
        /// What happened, where and why.
        why: String,
    },
}

impl SendError {
    /// To be sent again whenever it suits.
    pub fn later(why: impl Into<String>) -> SendError {
        SendError::Later { why: why.into(), after: None }
    }

    /// Not to be sent again as it is.
    pub fn never(why: impl Into<String>) -> SendError {
        SendError::Never { why: why.into() }
    }

    /// No answer came in time.
    pub fn late(whose: &str, limit: Duration) -> SendError {
        SendError::later(format!("{whose} did not answer within {limit:?}"))
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Later { why, .. } | SendError::Never { why } => f.write_str(why),
        }
    }
}

impl std::error::Error for SendError {}

/// What another program said, fit to be repeated.
pub fn quoted(words: &str, secrets: &[&str]) -> String {
    let mut words = words.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    line(words.trim(), WORDS_CHARS_MAX)
}

/// What the future gives, or `None` if the time is over. It is dropped then, and with it its connections and processes.
///
/// Must not be called on a thread that drives a runtime; a blocking task is what it is for.
pub fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<Option<T>, SendError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| SendError::later(format!("the system has nothing left to work with: {error}")))?;
    let done = runtime.block_on(async { tokio::time::timeout(limit, work).await.ok() });
    // a name that is being looked up cannot be interrupted, and must not be waited for
    runtime.shutdown_background();
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_short_and_holds_no_secret() {
        let words = format!("no\r\nsuch hunter2 {}", "x".repeat(1000));
        let quoted = quoted(&words, &["hunter2", ""]);
        assert!(quoted.starts_with("no  such *** xxx") && quoted.ends_with('…'), "{quoted}");
        assert_eq!(quoted.chars().count(), WORDS_CHARS_MAX);
    }

    #[test]
    fn time_is_over_for_what_never_ends() {
        assert_eq!(within(Duration::from_millis(20), std::future::pending::<()>()).unwrap(), None);
        assert_eq!(within(Duration::from_secs(5), async { 5 }).unwrap(), Some(5));
    }
}

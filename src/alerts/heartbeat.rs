//! Telling a watcher outside that a run began, and how it ended, so that a check that never ran is noticed too.
//!
//! The address is that of a check at healthchecks.io, or of what speaks like it: `/start` is added when a run begins, and its
//! exit code when it ends (0 is well); `?rid=` ties the two together. The address is a secret: whoever knows it can say that all
//! is well.
//!
//! Not here: trying again, and what becomes of a run whose heartbeat fails: nothing, as a check is worth more than its telling.

use super::delivery::SendError;
use super::http::{Address, Call, post};
use super::trust::Trust;
use database::Secret;
use std::time::Duration;

/// A watcher that does not answer is not waited for longer.
const LIMIT: Duration = Duration::from_secs(10);
/// Of the text no more is sent.
const BODY_BYTES_MAX: usize = 10_000;

/// What is told of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It begins.
    Start,
    /// It ended.
    Ended {
        /// With this exit code.
        exit: u8,
    },
}

/// Tells it, once. `run_id_uuid` is the same at the beginning and the end of a run; what is no UUID is left out, as watchers
/// refuse it, and a beat without it is better than none. Of the body the last 10,000 bytes are sent: a log says at its end how
/// it ended. Blocks for at most ten seconds.
pub fn beat(url: &Secret, beat: Beat, run_id_uuid: &str, body: &str) -> Result<(), SendError> {
    let path = match beat {
        Beat::Start => "start".to_owned(),
        Beat::Ended { exit } => exit.to_string(),
    };
    let whole = address(url.reveal(), &path, run_id_uuid);
    let wrong = |why: String| SendError::never(format!("the address of the heartbeat {why}"));
    let mut address = Address::new(&whole, "").map_err(wrong)?;
    if address.encrypted() {
        address = address.trusting(Trust::read(None).map_err(SendError::never)?);
    }
    let secrets = [url.reveal()];
    let body = end_of(body).as_bytes();
    let call = Call { kind: "text/plain; charset=utf-8", body, token: None, headers: &[], secrets: &secrets };
    post(&address, &call, LIMIT)
}

/// The address with the path added, before a query that it may have.
fn address(url: &str, path: &str, run: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let run = Some(format!("rid={run}")).filter(|_| uuid(run));
    let query: Vec<&str> = query.into_iter().chain(run.as_deref()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{path}{mark}{}", base.trim_end_matches('/'), query.join("&"))
}

fn uuid(text: &str) -> bool {
    let dash = |index: usize| [8, 13, 18, 23].contains(&index);
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match dash(index) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

/// The end of a text, as much of it as is sent.
fn end_of(text: &str) -> &str {
    let mut start = text.len().saturating_sub(BODY_BYTES_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::super::receivers::{Answer, Receiver};
    use super::*;

    const RUN: &str = "0192f6b2-7d3c-4a8e-9a53-1f0b5c1d2e3f";

    #[test]
    fn a_run_is_told_at_its_beginning_and_its_end() {
        let receiver = Receiver::start(vec![Answer::ok(), Answer::ok()]);
        let url = Secret::new(receiver.url("/ping/canary-check"));
        beat(&url, Beat::Start, RUN, "").unwrap();
        let log = format!("{}ä{}", "x".repeat(9), "y".repeat(BODY_BYTES_MAX - 1));
        beat(&url, Beat::Ended { exit: 2 }, RUN, &log).unwrap();
        let requests = receiver.requests();
        assert_eq!(requests[0].line, format!("POST /ping/canary-check/start?rid={RUN} HTTP/1.1"));
        assert_eq!(requests[1].line, format!("POST /ping/canary-check/2?rid={RUN} HTTP/1.1"));
        // the letter that would be cut in two is left out
        assert_eq!(requests[1].body, "y".repeat(BODY_BYTES_MAX - 1));
    }

    #[test]
    fn a_failed_heartbeat_does_not_show_its_address() {
        let receiver = Receiver::start(vec![Answer::says(404, "no /ping/canary-check here")]);
        let url = Secret::new(receiver.url("/ping/canary-check"));
        let error = beat(&url, Beat::Ended { exit: 0 }, "no uuid", "").unwrap_err();
        assert!(matches!(error, SendError::Later { .. }) && error.to_string().contains("404"), "{error:?}");
        assert_eq!(receiver.requests()[0].line, "POST /ping/canary-check/0 HTTP/1.1");
        let wrong = beat(&Secret::new("canary-check"), Beat::Start, RUN, "").unwrap_err();
        for error in [error, wrong] {
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn a_query_of_the_address_stays_behind_the_path() {
        let whole = address("https://h/p/?a=1", "start", RUN);
        assert_eq!(whole, format!("https://h/p/start?a=1&rid={RUN}"));
        assert_eq!(address("https://h/p", "0", &"-".repeat(36)), "https://h/p/0");
    }
}

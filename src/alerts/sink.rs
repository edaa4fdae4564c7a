//! Where alerts are told, and the telling.
//!
//! [`Sink::resolve`] makes a sink of an `[[alert]]` table, once; [`send`] tells it a notification, as often as its caller thinks
//! fit. A delivery may happen twice (an answer was lost, and it is tried again) and receivers are made for that: alerts carry
//! fingerprints, incidents carry keys. It never counts as made when it was not.
//!
//! Invariant: a call ends within the sink's time limit as a whole, whatever the other side does.

use super::delivery::within;
use super::http::{Address, Call, post};
use super::mail::Post;
use super::notice::{Notification, Severity};
use super::program::Program;
use super::settings::Reading;
use super::{pagerduty, render, slack};
use crate::error::Failure;
use database::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::path::Path;
use std::time::{Duration, Instant};

pub use super::delivery::SendError;
pub use super::settings::{Kind, SinkConfig};

/// How often Alertmanager is told of an alert, lest it believes it resolved.
const RESEND: Duration = Duration::from_secs(60);
/// For how long after its end Alertmanager is told that an alert is resolved: one of its siblings may have missed it.
pub const RESOLVED_RESENT_FOR: Duration = Duration::from_secs(5 * 60);
/// The header with the signature of a webhook.
const SIGNATURE: &str = "X-Evensum-Signature";

/// A receiver of alerts, ready to be told.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) least: Severity,
    pub(super) repeat: Duration,
    pub(super) timeout: Duration,
    pub(super) way: Way,
}

/// How it is told.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// The body of a webhook, perhaps signed.
    Webhook { address: Address, token: Option<Secret>, secret: Option<Secret> },
    /// Alerts.
    Alertmanager { address: Address, token: Option<Secret> },
    /// A message.
    Slack { address: Address },
    /// An event for each notice.
    PagerDuty { address: Address, key: Secret },
    /// Mail.
    Email(Box<Post>),
    /// A program.
    Command(Program),
}

impl Sink {
    /// Makes a sink of an `[[alert]]` table: sees that its keys belong together, and reads its secrets. Relative paths are
    /// relative to `folder`, that of the configuration; bare names are looked for in `$CREDENTIALS_DIRECTORY` first. Nobody
    /// is called. Fails with a configuration failure that names the table, the key and what to do.
    pub fn resolve(config: &SinkConfig, folder: &Path) -> Result<Sink, Failure> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
        Reading::sink(config, folder, credentials.as_deref().map(Path::new))
    }

    /// What it is called; its type if it has no name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type, as it stands in the configuration.
    pub fn kind(&self) -> &str {
        self.kind.word()
    }

    /// How often an alert that lasts is told; from a minute to a day.
    pub fn repeat(&self) -> Duration {
        self.repeat
    }

    /// Whether it is told what is so grave.
    pub fn wants(&self, severity: Severity) -> bool {
        severity <= self.least
    }

    /// The time after which it must be told the same again, to keep it believing: `Some` for Alertmanager, which is told what
    /// lasts for as long as it lasts, and what is resolved for [`RESOLVED_RESENT_FOR`].
    pub fn resend(&self) -> Option<Duration> {
        (self.kind == Kind::Alertmanager).then_some(RESEND)
    }
}

/// Tells it. `now` is in seconds since 1970. Blocks for at most the sink's time limit; must not be called on a thread that
/// drives asynchronous work. A notification without notices is not told.
pub fn send(sink: &Sink, notification: &Notification, now: u64) -> Result<(), SendError> {
    if notification.told().is_empty() {
        return Ok(());
    }
    let post_json = |address: &Address, body: &Value, token: &Option<Secret>| {
        let body = body.to_string();
        post(address, &json_call(body.as_bytes(), token.as_ref()), sink.timeout)
    };
    match &sink.way {
        Way::Webhook { address, token, secret } => {
            let body = render::webhook(notification, &sink.name).to_string();
            let signature = secret.as_ref().map(|secret| sign(secret, body.as_bytes())).transpose()?;
            let headers: Vec<_> = signature.into_iter().map(|text| (SIGNATURE, text)).collect();
            let secrets: Vec<&str> = secret.iter().map(Secret::reveal).collect();
            let call = json_call(body.as_bytes(), token.as_ref());
            post(address, &Call { headers: &headers, secrets: &secrets, ..call }, sink.timeout)
        }
        Way::Alertmanager { address, token } => {
            post_json(address, &render::alertmanager(notification, now), token)
        }
        Way::Slack { address } => post_json(address, &slack::message(notification), &None),
        Way::PagerDuty { address, key } => send_events(address, key, notification, sink.timeout),
        Way::Email(post) => {
            let message = post.message(notification, now)?;
            finished(post.place(), sink.timeout, within(sink.timeout, post.deliver(&message)))
        }
        Way::Command(program) => {
            let body = render::webhook(notification, &sink.name).to_string();
            let run = program.run(notification, body.as_bytes());
            finished(program.name(), sink.timeout, within(sink.timeout, run))
        }
    }
}

fn json_call<'a>(body: &'a [u8], token: Option<&'a Secret>) -> Call<'a> {
    Call { kind: "application/json", body, token, headers: &[], secrets: &[] }
}

/// What became of something that was given a limit.
fn finished(
    whose: &str,
    limit: Duration,
    end: Result<Option<Result<(), SendError>>, SendError>,
) -> Result<(), SendError> {
    end?.unwrap_or_else(|| Err(SendError::late(whose, limit)))
}

/// Tells PagerDuty each notice, all of them within the limit. One that it refuses does not keep the others from being told.
fn send_events(
    address: &Address,
    key: &Secret,
    notification: &Notification,
    limit: Duration,
) -> Result<(), SendError> {
    let started_at = Instant::now();
    let mut refused = None;
    for notice in notification.told() {
        let left = limit.saturating_sub(started_at.elapsed());
        if left.is_zero() {
            return Err(SendError::late(&address.shown, limit));
        }
        let body = pagerduty::event(notification, notice, key.reveal()).to_string();
        let secrets = [key.reveal()];
        let call = Call { secrets: &secrets, ..json_call(body.as_bytes(), None) };
        match post(address, &call, left) {
            Ok(()) => {}
            // the same events can be sent again: their keys say that they are the same
            Err(error @ SendError::Later { .. }) => return Err(error),
            Err(error @ SendError::Never { .. }) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// `sha256=` and the signature of the body in hexadecimal digits.
fn sign(secret: &Secret, body: &[u8]) -> Result<String, SendError> {
    let signer = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes());
    let mut signer = signer.map_err(|_| SendError::never("the body cannot be signed with this secret"))?;
    signer.update(body);
    let digits = signer.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(format!("sha256={digits}"))
}

#[cfg(test)]
mod tests;

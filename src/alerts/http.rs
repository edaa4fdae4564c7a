//! One call by HTTP: a body is posted, and the answer says whether it was taken.
//!
//! Invariants: an address may itself be a secret, so of an address only scheme, host and port are ever shown; a redirect is
//! not followed, since what is sent is meant for one receiver only; certificates are verified; the whole call, from looking up
//! the name to the last byte that is read, ends within one limit; of an answer at most [`ANSWER_BYTES_MAX`] bytes are read.
//! `Retry-After` is understood in seconds; a date is not. A proxy is taken from the environment (`HTTPS_PROXY`, `NO_PROXY`), as other programs do.

use super::delivery::{RETRY_AFTER_MAX, SendError, quoted};
use super::trust::Trust;
use database::Secret;
use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;
use ureq::http::{Response, Uri};

/// Of an answer no more is read.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Headers of an answer that are longer are not taken for an answer.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// A longer address is a mistake.
const ADDRESS_CHARS_MAX: usize = 2000;
/// A shorter part of an address can be no secret, and would only make words illegible.
const SECRET_PART_BYTES_MIN: usize = 8;

/// Whom to call.
#[derive(Clone, Debug)]
pub struct Address {
    url: Secret,
    /// What may be shown of it: scheme, host and port.
    pub shown: String,
    /// Whether the way there cannot be listened to: it is encrypted, or does not leave this machine.
    pub private: bool,
    trust: Trust,
}

impl Address {
    /// Understands an address, with `path` added to its own unless that ends so; why it cannot be one.
    pub fn new(url: &str, path: &str) -> Result<Address, String> {
        const WRONG: &str = "is no address; it looks like https://host/path";
        if url.len() > ADDRESS_CHARS_MAX {
            return Err("is too long for an address".into());
        }
        let uri: Uri = url.parse().map_err(|_| WRONG)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(WRONG.into());
        };
        if !["http", "https"].contains(&scheme) || authority.host().is_empty() {
            return Err(WRONG.into());
        }
        if authority.as_str().contains('@') {
            return Err("holds a user or a password, which belong in token_file".into());
        }
        let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
        let base = base.trim_end_matches('/');
        let added = if base.ends_with(path) { "" } else { path };
        let whole = match query {
            Some(query) => format!("{base}{added}?{query}"),
            None if path.is_empty() => url.to_owned(),
            None => format!("{base}{added}"),
        };
        Ok(Address {
            url: Secret::new(whole),
            shown: format!("{scheme}://{authority}"),
            private: scheme == "https" || loopback(authority.host()),
            trust: Trust::default(),
        })
    }

    /// The same, believing these authorities.
    pub fn trusting(self, trust: Trust) -> Address {
        Address { trust, ..self }
    }

    /// Whether authorities are needed to call it.
    pub fn encrypted(&self) -> bool {
        self.shown.starts_with("https:")
    }
}

/// Whether a host is this machine.
pub fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What is posted.
pub struct Call<'a> {
    /// What the body is, such as `application/json`.
    pub kind: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Proves who we are.
    pub token: Option<&'a Secret>,
    /// More headers.
    pub headers: &'a [(&'a str, String)],
    /// What else must not be repeated if the other side says it.
    pub secrets: &'a [&'a str],
}

/// Posts it; the whole ends within the limit.
pub fn post(address: &Address, call: &Call<'_>, limit: Duration) -> Result<(), SendError> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEADER_BYTES_MAX)
        // the next call may be hours away
        .max_idle_connections(0)
        .timeout_global(Some(limit))
        .user_agent(concat!("evensum/", env!("CARGO_PKG_VERSION")))
        .tls_config(address.trust.config())
        .build()
        .new_agent();
    let mut request = agent.post(address.url.reveal()).header("Content-Type", call.kind);
    if let Some(token) = call.token {
        request = request.header("Authorization", format!("Bearer {}", token.reveal()));
    }
    for (name, value) in call.headers {
        request = request.header(*name, value);
    }
    let answer = request.send(call.body).map_err(|error| unanswered(&error, address, call, limit))?;
    judge(answer, address, call)
}

/// What an answer means.
fn judge(answer: Response<ureq::Body>, address: &Address, call: &Call<'_>) -> Result<(), SendError> {
    let code = answer.status().as_u16();
    if (200..300).contains(&code) {
        return Ok(());
    }
    let shown = &address.shown;
    if (300..400).contains(&code) {
        let why =
            format!("{shown} answered {code}, a redirect, which is not followed; name the final address");
        // somebody stands in between, for now or until the address is corrected
        return Err(SendError::Later { why, after: None });
    }
    let after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let after = after.map(|wait| wait.min(RETRY_AFTER_MAX));
    let mut words = Vec::new();
    // an answer that breaks off, or does not end in time, has said enough with its code
    let _ = answer.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut words);
    let words = without_secrets(&String::from_utf8_lossy(&words), address, call);
    let why = match words.as_str() {
        "" => format!("{shown} answered {code}"),
        words => format!("{shown} answered {code}: {words}"),
    };
    match code {
        // only who has understood the message and does not want it says so for good; a wrong address, a token that was changed, a
        // proxy in between are put right some time, and an alert that was not told must not count as told
        400 | 413 | 422 => Err(SendError::Never { why }),
        _ => Err(SendError::Later { why, after }),
    }
}

/// Why there is no answer.
fn unanswered(error: &ureq::Error, address: &Address, call: &Call<'_>, limit: Duration) -> SendError {
    let shown = &address.shown;
    match error {
        ureq::Error::Timeout(_) => SendError::late(shown, limit),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            SendError::never(format!("{shown} cannot be called by this address and these headers"))
        }
        ureq::Error::HostNotFound => SendError::later(format!("{shown} is not known by that name")),
        error => {
            let words = without_secrets(&error.to_string(), address, call);
            SendError::later(format!("{shown} cannot be reached: {words}"))
        }
    }
}

fn without_secrets(words: &str, address: &Address, call: &Call<'_>) -> String {
    let url = address.url.reveal();
    let parts = url[address.shown.len().min(url.len())..].split(['/', '?', '&', '=']);
    let mut secrets = vec![url];
    secrets.extend(parts.filter(|part| part.len() >= SECRET_PART_BYTES_MIN));
    secrets.extend(call.token.map(Secret::reveal));
    secrets.extend(call.secrets);
    quoted(words, &secrets)
}

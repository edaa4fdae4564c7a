//! Telling by mail: plain text, by SMTP, to a server that is named.
//!
//! Mails of one incident are one thread: each has an identity of its own, since servers drop what has been seen before, and
//! each refers to an identity made of the alert's fingerprint and beginning, which all of them share.
//!
//! Invariants: no text of a notice can become a header or an address: headers are one line, in the library's encoding; a
//! password goes only to a server whose certificate was verified, or to this machine; a server without STARTTLS is not used
//! unencrypted instead. If a server takes some of the recipients and refuses others, mail goes to those, and that counts as told.
//!
//! What is not bounded by a length, but only by the time limit of the whole: what a server says whose certificate was verified at
//! the first byte (`tls = "tls"`). Of others no more than [`metered`] allows is read.

use self::metered::Metered;
use super::delivery::{SendError, quoted};
use super::http::loopback;
use super::notice::{Notice, Notification, cut, line};
use super::render::{headline, summary};
use super::trust::Trust;
use crate::clock::rfc3339;
use database::Secret;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use serde::Deserialize;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpStream;

mod metered;

/// More recipients than this are a mailing list's business.
const RECIPIENTS_MAX: usize = 50;
/// A longer subject is cut.
const SUBJECT_CHARS_MAX: usize = 200;
/// A longer text of a notice is cut.
const TEXT_CHARS_MAX: usize = 2000;
/// A mail refers to no more incidents than this.
const REFERENCES_MAX: usize = 10;
/// How long saying goodbye may take: the mail is taken by then.
const GOODBYE: Duration = Duration::from_millis(500);

/// How the way to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// After a word in the clear; port 587 if none is named.
    Starttls,
    /// From the first byte; port 465 if none is named.
    Tls,
    /// Not at all, and only to this machine; port 25 if none is named.
    None,
}

/// From whom, to whom, and by which server.
#[derive(Clone, Debug)]
pub struct Post {
    host: String,
    port: u16,
    place: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    user: Option<(String, Secret)>,
    encryption: Encryption,
    trust: Trust,
}

impl Post {
    /// Takes what the configuration says; what is wrong, and what to do.
    pub fn new(
        server: &str,
        (from, to): (&str, &[String]),
        user: Option<(String, Secret)>,
        encryption: Encryption,
        trust: Trust,
    ) -> Result<Post, (String, &'static str)> {
        let wrong = || ("smtp names no server".to_owned(), "write smtp = \"host:port\"");
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => match encryption {
                Encryption::Starttls => (server, 587),
                Encryption::Tls => (server, 465),
                Encryption::None => (server, 25),
            },
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@".contains(c))
        {
            return Err(wrong());
        }
        if encryption == Encryption::None && !loopback(host) {
            let what = "tls = \"none\" is for a server on this machine only".to_owned();
            return Err((what, "use starttls or tls"));
        }
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err((format!("to names no recipient, or more than {RECIPIENTS_MAX}"), "correct to"));
        }
        let from = mailbox("from", from)?;
        let to = to.iter().map(|text| mailbox("to", text)).collect::<Result<_, _>>()?;
        let place = format!("{host}:{port}");
        Ok(Post { host: host.to_owned(), port, place, from, to, user, encryption, trust })
    }

    /// The server, to be shown.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The mail about a notification.
    pub fn message(&self, notification: &Notification, now: u64) -> Result<Message, SendError> {
        let domain = self.from.email.domain();
        let thread =
            |notice: &Notice| format!("<evensum.{}.{}@{domain}>", notice.fingerprint(), notice.started_at);
        let references: Vec<String> = notification.told().iter().take(REFERENCES_MAX).map(thread).collect();
        let first = references.first().cloned().unwrap_or_default();
        let own = first.replacen('@', &format!(".{}.{now}@", notification.status()), 1);
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(headline(notification, SUBJECT_CHARS_MAX))
            .date(UNIX_EPOCH + Duration::from_secs(now))
            .message_id(Some(own))
            .in_reply_to(first)
            .references(references.join(" "))
            // nobody's holiday note is wanted in answer
            .raw_header(raw("Auto-Submitted", "auto-generated"));
        for mailbox in &self.to {
            message = message.to(mailbox.clone());
        }
        let message = message.header(lettre::message::header::ContentType::TEXT_PLAIN);
        message
            .body(text(notification))
            .map_err(|error| SendError::never(format!("no mail can be made of it: {error}")))
    }

    /// Hands it to the server.
    pub async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let failed = |error| self.failed(&error);
        let mut server = self.connect().await?;
        if let Some((user, password)) = &self.user {
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            server.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(|error| self.unwelcome(&error))?;
        }
        let sender = Some(self.from.email.clone());
        server.command(Mail::new(sender, vec![])).await.map_err(failed)?;
        let (mut taken, mut refusal) = (false, None);
        for mailbox in &self.to {
            match server.command(Rcpt::new(mailbox.email.clone(), vec![])).await {
                Ok(_) => taken = true,
                Err(error) if error.status().is_none() => return Err(failed(error)),
                // what may be taken later is worth a try even if another is refused for ever
                Err(error) if refusal.is_none() || error.is_transient() => refusal = Some(error),
                Err(_) => {}
            }
        }
        if let (false, Some(error)) = (taken, refusal) {
            return Err(failed(error));
        }
        server.command(Data).await.map_err(failed)?;
        server.message(&message.formatted()).await.map_err(failed)?;
        // it was taken: however this ends, it must not be sent again
        let _ = tokio::time::timeout(GOODBYE, server.quit()).await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let failed = |error| self.failed(&error);
        let hello = ClientId::default();
        let place = (self.host.as_str(), self.port);
        if self.encryption == Encryption::Tls {
            let tls = Some(self.tls().map_err(failed)?);
            return AsyncSmtpConnection::connect_tokio1(place, None, &hello, tls, None).await.map_err(failed);
        }
        let stream = TcpStream::connect(place).await;
        let stream =
            stream.map_err(|error| SendError::later(format!("{} cannot be reached: {error}", self.place)))?;
        let stream = Box::new(Metered::new(stream));
        let mut server = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(failed)?;
        if self.encryption == Encryption::Starttls {
            server.starttls(self.tls().map_err(failed)?, &hello).await.map_err(failed)?;
        }
        Ok(server)
    }

    fn tls(&self) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let mut builder = TlsParameters::builder(self.host.clone());
        for authority in self.trust.added() {
            builder = builder.add_root_certificate(Certificate::from_der(authority.to_vec())?);
        }
        builder.build_rustls()
    }

    /// The server does not take our user. Its words are left out: they may hold the password in any of its encodings.
    fn unwelcome(&self, error: &lettre::transport::smtp::Error) -> SendError {
        match error.status() {
            Some(code) => {
                ended(error, format!("{}: the user or the password is refused ({code})", self.place))
            }
            None => self.failed(error),
        }
    }

    fn failed(&self, error: &lettre::transport::smtp::Error) -> SendError {
        let secrets: Vec<&str> = self.user.iter().map(|(_, password)| password.reveal()).collect();
        ended(error, format!("{}: {}", self.place, quoted(&error.to_string(), &secrets)))
    }
}

/// Whether to try again: what the server does not offer, or refuses for ever, it will not offer the next time.
fn ended(error: &lettre::transport::smtp::Error, why: String) -> SendError {
    if error.is_permanent() || error.is_client() { SendError::never(why) } else { SendError::later(why) }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, (String, &'static str)> {
    let advice = "write it as name@example.com, or Name <name@example.com>";
    let wrong = || (format!("{key}: '{}' is no mail address", line(text, 100)), advice);
    if text.contains(char::is_control) {
        return Err(wrong());
    }
    let mailbox: Mailbox = text.parse().map_err(|_| wrong())?;
    let address: &str = mailbox.email.as_ref();
    if address.is_ascii() { Ok(mailbox) } else { Err(wrong()) }
}

/// What the mail says.
fn text(notification: &Notification) -> String {
    let short = |text: &str| cut(text, TEXT_CHARS_MAX);
    let mut text = String::new();
    // writing to a text cannot fail
    for notice in notification.told() {
        let since = rfc3339(notice.started_at);
        let _ = writeln!(text, "{} ({}) since {since}", short(&notice.name), notice.severity.word());
        if !notice.firing {
            let _ = writeln!(text, "  resolved {}", rfc3339(notice.end(notice.started_at)));
        }
        let _ = writeln!(text, "  {}", summary(notice, TEXT_CHARS_MAX));
        for (name, value) in notice.labels.iter().chain(&notice.annotations) {
            if name != "summary" {
                let _ = writeln!(text, "  {}: {}", line(name, TEXT_CHARS_MAX), short(value));
            }
        }
        if let Some(person) = &notice.acknowledged {
            let _ = writeln!(text, "  acknowledged by: {}", short(person));
        }
        text.push('\n');
    }
    if notification.untold() > 0 {
        let _ = writeln!(text, "and {} more\n", notification.untold());
    }
    if !notification.external_url.is_empty() {
        let _ = writeln!(text, "{}", short(&notification.external_url));
    }
    text
}

#[cfg(test)]
mod tests;

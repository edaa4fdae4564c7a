//! An `[[alert]]` table of `evensum.toml`, and what becomes of it: a sink that is known to be usable as far as that can be known
//! without calling it.
//!
//! ```toml
//! [[alert]]
//! type = "slack"                        # webhook, alertmanager, slack, pagerduty, email or command
//! name = "dba"                          # in messages; the type if there is none
//! severity = "error"                    # what is less grave is not told; info if there is none
//! repeat = "4h"                         # while it lasts, it is told again
//! timeout = "10s"                       # of one call, as a whole
//! url_file = "/etc/evensum/slack"       # the first line of this file; or url = "https://…" where it is no secret
//! # webhook: url or url_file, and perhaps token_file (a bearer token), secret_file (signs the body), ca_file
//! # alertmanager: url or url_file, and perhaps token_file, ca_file
//! # pagerduty: token_file (the routing key)
//! # email: smtp = "host:port", from, to = ["…"], and perhaps username with password_file, tls, ca_file
//! # command: command = ["/usr/local/bin/tell", "argument"]
//! ```
//!
//! A file with a secret that is named by its bare name is looked for among systemd's credentials first, then beside the
//! configuration. Its first line counts.
//!
//! Invariants: a key that does not belong to the type is refused, as it would be believed to do something; a secret that others
//! could read is refused, as they may have read it already; no secret goes over a network that is not encrypted.

use super::http::Address;
use super::mail::{Encryption, Post};
use super::notice::Severity;
use super::pagerduty;
use super::program::Program;
use super::sink::{Sink, Way};
use super::trust::Trust;
use crate::cli::duration;
use crate::error::Failure;
use crate::option_file::open_to_others;
use database::Secret;
use serde::{Deserialize, Deserializer};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// How long a call may take if nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No call can be done sooner.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// A call that takes longer would hold up the next.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// How often an alert that lasts is told if nobody says.
const REPEAT: Duration = Duration::from_secs(4 * 3600);
/// More often nobody wants to be told.
const REPEAT_MIN: Duration = Duration::from_secs(60);
/// A secret is short; what is longer is another file by mistake.
const SECRET_BYTES_MAX: u64 = 16 << 10;
/// A longer name is a mistake.
const NAME_CHARS_MAX: usize = 64;

/// What kind of receiver it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any address that takes Alertmanager's webhooks.
    Webhook,
    /// Prometheus' Alertmanager.
    Alertmanager,
    /// An incoming webhook of Slack, or of what speaks like it.
    Slack,
    /// PagerDuty.
    PagerDuty,
    /// Mail.
    Email,
    /// A program of the user's own.
    Command,
}

impl Kind {
    /// As it stands in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Webhook => "webhook",
            Kind::Alertmanager => "alertmanager",
            Kind::Slack => "slack",
            Kind::PagerDuty => "pagerduty",
            Kind::Email => "email",
            Kind::Command => "command",
        }
    }

    /// The keys that it needs, and those that it takes.
    fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Kind::Webhook => (&[], &["url", "url_file", "token_file", "secret_file", "ca_file"]),
            Kind::Alertmanager => (&[], &["url", "url_file", "token_file", "ca_file"]),
            Kind::Slack => (&[], &["url", "url_file", "ca_file"]),
            Kind::PagerDuty => (&["token_file"], &["url", "ca_file"]),
            Kind::Email => (&["smtp", "from", "to"], &["username", "password_file", "tls", "ca_file"]),
            Kind::Command => (&["command"], &[]),
        }
    }
}

/// One `[[alert]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// What kind of receiver it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it is called in messages.
    pub name: Option<String>,
    /// Its address. Never printed, since people write secrets into addresses.
    #[serde(default, deserialize_with = "hidden")]
    pub url: Option<Secret>,
    /// The file with its address.
    pub url_file: Option<PathBuf>,
    /// The file with the bearer token, or PagerDuty's routing key.
    pub token_file: Option<PathBuf>,
    /// The file with the secret that signs the body of a webhook.
    pub secret_file: Option<PathBuf>,
    /// Who gets mail.
    pub to: Option<Vec<String>>,
    /// Whom mail is from.
    pub from: Option<String>,
    /// The server that takes mail: `host` or `host:port`.
    pub smtp: Option<String>,
    /// Who we are to that server.
    pub username: Option<String>,
    /// The file with the password of that user.
    pub password_file: Option<PathBuf>,
    /// How the way to that server is encrypted: `starttls` if nobody says.
    pub tls: Option<Encryption>,
    /// A program and its arguments.
    pub command: Option<Vec<String>>,
    /// The least grave that is told.
    pub severity: Option<Severity>,
    /// How often an alert that lasts is told, such as `4h`; from a minute to a day.
    pub repeat: Option<String>,
    /// How long a call may take, such as `10s`; from 100ms to 5m.
    pub timeout: Option<String>,
    /// The file with authorities to believe beside the system's.
    pub ca_file: Option<PathBuf>,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
}

impl SinkConfig {
    /// The keys of the table that not every type has, and whether they are there.
    fn said(&self) -> [(&'static str, bool); 12] {
        [
            ("url", self.url.is_some()),
            ("url_file", self.url_file.is_some()),
            ("token_file", self.token_file.is_some()),
            ("secret_file", self.secret_file.is_some()),
            ("to", self.to.is_some()),
            ("from", self.from.is_some()),
            ("smtp", self.smtp.is_some()),
            ("username", self.username.is_some()),
            ("password_file", self.password_file.is_some()),
            ("tls", self.tls.is_some()),
            ("command", self.command.is_some()),
            ("ca_file", self.ca_file.is_some()),
        ]
    }
}

/// A table on its way to a sink.
pub struct Reading<'a> {
    config: &'a SinkConfig,
    name: &'a str,
    folder: &'a Path,
    credentials: Option<&'a Path>,
}

impl Reading<'_> {
    /// Makes a sink of a table. Relative paths are relative to `folder`; `credentials` is systemd's folder of them.
    pub fn sink(config: &SinkConfig, folder: &Path, credentials: Option<&Path>) -> Result<Sink, Failure> {
        let name = config.name.as_deref().unwrap_or(config.kind.word());
        let reading = Reading { config, name, folder, credentials };
        let simple = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(simple) {
            let reading = Reading { name: config.kind.word(), ..reading };
            return Err(reading
                .wrong("its name", "name it with at most 64 letters, digits, blanks, '-', '_' and '.'"));
        }
        reading.keys()?;
        Ok(Sink {
            name: name.to_owned(),
            kind: config.kind,
            least: config.severity.unwrap_or(Severity::Info),
            repeat: reading.time("repeat", config.repeat.as_deref(), REPEAT, (REPEAT_MIN, Duration::MAX))?,
            timeout: reading.time(
                "timeout",
                config.timeout.as_deref(),
                TIMEOUT,
                (TIMEOUT_MIN, TIMEOUT_MAX),
            )?,
            way: reading.way()?,
        })
    }

    fn wrong(&self, what: impl std::fmt::Display, advice: impl Into<String>) -> Failure {
        let (name, kind) = (self.name, self.config.kind.word());
        let which = if name == kind { format!("of type {kind}") } else { format!("'{name}' of type {kind}") };
        Failure::config(format!("the [[alert]] {which} cannot be used: {what}"), advice)
    }

    /// Sees that the keys are those of the type.
    fn keys(&self) -> Result<(), Failure> {
        let (needed, taken) = self.config.kind.keys();
        let kind = self.config.kind.word();
        let said = self.config.said();
        let of_all = ["name", "severity", "repeat", "timeout"];
        for (key, _) in said.iter().filter(|(_, there)| *there) {
            if !needed.contains(key) && !taken.contains(key) {
                let known: Vec<&str> = needed.iter().chain(taken).chain(&of_all).copied().collect();
                let advice = format!("remove it, or correct the type; {kind} takes {}", known.join(", "));
                return Err(self.wrong(format!("{key} has no meaning for this type"), advice));
            }
        }
        let there = |key: &str| said.contains(&(key, true));
        if let Some(key) = needed.iter().find(|key| !there(key)) {
            return Err(self.wrong(format!("{key} is missing"), format!("add {key}")));
        }
        match (there("url"), there("url_file")) {
            (true, true) => Err(self.wrong("it has both url and url_file", "leave one of them")),
            (false, false) if taken.contains(&"url_file") => {
                Err(self.wrong("url is missing", "add url, or url_file if the address is a secret"))
            }
            _ if there("username") != there("password_file") => {
                Err(self.wrong("username and password_file go together", "add the other, or remove it"))
            }
            _ => Ok(()),
        }
    }

    fn time(
        &self,
        key: &str,
        said: Option<&str>,
        otherwise: Duration,
        (least, most): (Duration, Duration),
    ) -> Result<Duration, Failure> {
        let Some(text) = said else { return Ok(otherwise) };
        let advice = format!("write a time such as {key} = \"{otherwise:?}\"");
        let time = duration(text).map_err(|why| self.wrong(format!("{key}: {why}"), advice))?;
        if time < least {
            return Err(self.wrong(format!("{key} is too short"), format!("{least:?} is the least")));
        }
        if time > most {
            return Err(self.wrong(format!("{key} is too long"), format!("{most:?} is the most")));
        }
        Ok(time)
    }

    /// How it is told.
    fn way(&self) -> Result<Way, Failure> {
        let token = self.config.token_file.as_deref();
        let token = token.map(|file| self.header_secret("token_file", file)).transpose()?;
        match self.config.kind {
            Kind::Webhook => {
                let secret = self.config.secret_file.as_deref();
                let secret = secret.map(|file| self.secret("secret_file", file)).transpose()?;
                Ok(Way::Webhook { address: self.address("", token.is_some())?, token, secret })
            }
            Kind::Alertmanager => {
                Ok(Way::Alertmanager { address: self.address("/api/v2/alerts", token.is_some())?, token })
            }
            Kind::Slack => Ok(Way::Slack { address: self.address("", true)? }),
            Kind::PagerDuty => match token {
                Some(key) => Ok(Way::PagerDuty { address: self.address("", true)?, key }),
                None => Err(self.wrong("token_file is missing", "add token_file")),
            },
            Kind::Email => self.post().map(|post| Way::Email(Box::new(post))),
            Kind::Command => {
                let command = self.config.command.as_deref().unwrap_or_default();
                let program = Program::new(command, self.folder);
                program.map(Way::Command).map_err(|why| {
                    self.wrong(
                        why,
                        "write the program and its arguments: command = [\"/path/program\", \"argument\"]",
                    )
                })
            }
        }
    }

    /// Whom to call; `secret` if a secret goes there.
    fn address(&self, path: &str, secret: bool) -> Result<Address, Failure> {
        let (key, url) = match (&self.config.url, &self.config.url_file) {
            (Some(url), _) => ("url", url.clone()),
            (None, Some(file)) => ("url_file", self.secret("url_file", file)?),
            (None, None) => ("url", Secret::new(pagerduty::ADDRESS)),
        };
        let address = Address::new(url.reveal(), path)
            .map_err(|why| self.wrong(format!("{key} {why}"), format!("correct {key}")))?;
        if secret && !address.private {
            let what = format!("{key} is not encrypted, and a secret would be sent there");
            return Err(self.wrong(what, "use https"));
        }
        if !address.encrypted() {
            return match self.config.ca_file {
                Some(_) => Err(self.wrong("ca_file has no meaning for http", "use https, or remove ca_file")),
                None => Ok(address),
            };
        }
        Ok(address.trusting(self.trust()?))
    }

    fn trust(&self) -> Result<Trust, Failure> {
        let file = self.config.ca_file.as_ref().map(|file| self.folder.join(file));
        Trust::read(file.as_deref()).map_err(|why| self.wrong(why, "name a PEM file with certificates"))
    }

    fn post(&self) -> Result<Post, Failure> {
        let SinkConfig { smtp, from, to, username, password_file, tls, .. } = self.config;
        let password = password_file.as_deref().map(|file| self.secret("password_file", file)).transpose()?;
        let encryption = tls.unwrap_or(Encryption::Starttls);
        let trust = match encryption {
            Encryption::None if self.config.ca_file.is_some() => {
                return Err(self.wrong("ca_file has no meaning without encryption", "remove ca_file, or tls"));
            }
            Encryption::None => Trust::default(),
            Encryption::Starttls | Encryption::Tls => self.trust()?,
        };
        Post::new(
            smtp.as_deref().unwrap_or_default(),
            (from.as_deref().unwrap_or_default(), to.as_deref().unwrap_or_default()),
            username.clone().zip(password),
            encryption,
            trust,
        )
        .map_err(|(what, advice)| self.wrong(what, advice))
    }

    /// A secret that becomes part of a header.
    fn header_secret(&self, key: &str, file: &Path) -> Result<Secret, Failure> {
        let secret = self.secret(key, file)?;
        if secret.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(secret);
        }
        let what = format!("{key} holds what no token holds: blanks, or letters beyond ASCII");
        Err(self.wrong(what, "write the token alone into the first line"))
    }

    /// The first line of a file that only we can read.
    fn secret(&self, key: &str, file: &Path) -> Result<Secret, Failure> {
        let bare = matches!(file.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        let credential = self.credentials.filter(|_| bare).map(|folder| folder.join(file));
        let credential = credential.filter(|path| path.exists());
        // systemd lets nobody else into that folder, and gives us the files in it by an access list, which looks like a group's
        let guarded = credential.is_some();
        let path = credential.unwrap_or_else(|| self.folder.join(file));
        let shown = path.display();
        let unreadable = |why: &dyn std::fmt::Display| {
            self.wrong(format!("{key}: cannot read {shown}: {why}"), format!("write the secret into {shown}"))
        };
        let length = std::fs::metadata(&path).map_err(|error| unreadable(&error))?.len();
        if length > SECRET_BYTES_MAX {
            return Err(unreadable(&"it is too long to be meant"));
        }
        if !guarded && open_to_others(&path) {
            let what = format!("{key}: {shown} holds a secret and can be read by others");
            return Err(self.wrong(what, format!("chmod 600 {shown}")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
        match text.lines().next().map(str::trim_end).filter(|line| !line.is_empty()) {
            Some(line) => Ok(Secret::new(line)),
            None => Err(unreadable(&"its first line is empty")),
        }
    }
}

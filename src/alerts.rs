//! What is told to people when masters diverge, when a check does not run, and when all is well again; and by which way.
//!
//! A [`notice::Notice`] is one alert, a [`notice::Notification`] is what is told of some of them at once, and a
//! [`sink::Sink`] is where it is told: a webhook, Alertmanager, Slack, PagerDuty, mail or a command. [`sink::send`] tells
//! it, once: it either arrived, or is to be tried later, or never will. [`heartbeat::beat`] tells a watcher outside that a
//! run began or ended, so that silence is noticed too.
//!
//! Calls block, and each is bounded as a whole by its sink's time limit, however the other side behaves.
//!
//! Invariants: no row value is ever here, since a notice is made of names, counts and commands only; no password, token or
//! secret address stands in an error, in what `Debug` prints, or in the arguments of a process; whatever the other side
//! answers is read up to a bound, and repeated without control characters and without the secrets it was given.
//!
//! Not here: when an alert opens and closes, what is repeated and retried, and where that is kept. Whether a person read it
//! is not verified either: an answer of success means that the other side took it.

mod delivery;
pub mod due;
pub mod findings;
pub mod heartbeat;
mod http;
mod mail;
pub mod notice;
mod pagerduty;
mod program;
#[cfg(test)]
mod receivers;
mod render;
mod settings;
pub mod sink;
mod slack;
mod trust;

//! What is due, and when. Knows nothing else: no table, no clock, no file.
//!
//! An [`Expression`] is five fields as crontab(5) means them, on top of the crate `cron`, whose own dialect differs (its
//! Sunday is 1, it wants seconds, and it takes day of month *and* day of week where crontab means *or*). A [`Schedule`] is an
//! expression in a time zone, with what is to happen when its times are missed or overlap. [`decide`] says what is to be
//! done, given the schedules, what is known of their past, and what time it is: a function, so that a test moves the clock.
//! A [`Window`] says when a run may work.
//!
//! ```text
//! fields ─> expression ─┐
//!             wall ─────┴─> schedule (jitter, window) ──> due
//! ```
//!
//! # Changes of the clock
//!
//! | the hour's field | hour skipped in spring | hour shown twice in autumn |
//! | --- | --- | --- |
//! | fixed: `3`, `1-5`, `*/24` | once, at the first moment after it | once, the first time |
//! | every hour: `*`, `*/2` | not at all | both times |
//!
//! A job at a fixed hour runs once each night, whatever the clock does; so does `@daily` where the clock is changed at midnight. A
//! job at every hour follows the clock on the wall. Only a field that begins with `*` is one of every hour; `0-23` is a list
//! of fixed hours. Several times within the hour that is skipped are one run.
//!
//! Invariant: nothing here reads a clock, waits, or keeps state between two calls.

pub mod due;
pub mod expression;
mod fields;
mod jitter;
pub mod schedule;
mod wall;
pub mod window;

pub use chrono;
pub use chrono_tz::Tz;
pub use due::{AHEAD_MAX, Decision, GRACE, LeftOut, MISSED_MAX, Past, Stopped, decide};
pub use expression::{Expression, ExpressionError};
pub use schedule::{CatchUp, Overlap, Schedule};
pub use window::{Window, WindowError};

//! The commands that stand beside the buttons, in one place.
//!
//! What the service begins as a process of its own is written by `crate::serve::command`, so that both are the same words. Here is
//! the rest: what changes the state alone. Each names the configuration, so that it speaks of the same state wherever it is typed.
//!
//! Invariant: no password is among the words; who adds an account is asked for it.

use super::frame::Visit;
use crate::render::text::quoted;

/// The words, and by which configuration.
fn with_config(visit: &Visit, words: &str) -> String {
    format!("evensum {words} --config {}", quoted(&visit.setup.path.display().to_string()))
}

/// Has a schedule's check run now.
pub fn schedule_run(visit: &Visit, name: &str) -> String {
    with_config(visit, &format!("schedule run {}", quoted(name)))
}

/// Pauses a schedule.
pub fn schedule_pause(visit: &Visit, name: &str) -> String {
    with_config(visit, &format!("schedule pause {} --why {{why}}", quoted(name)))
}

/// Lets a schedule go on.
pub fn schedule_resume(visit: &Visit, name: &str) -> String {
    with_config(visit, &format!("schedule resume {}", quoted(name)))
}

/// Shows a run with all that it found.
pub fn run_show(visit: &Visit, run: &str) -> String {
    with_config(visit, &format!("run show {} --json", quoted(run)))
}

/// Has a run stop.
pub fn run_stop(visit: &Visit, run: &str) -> String {
    with_config(visit, &format!("run stop {}", quoted(run)))
}

/// Notes that somebody knows of an alert.
pub fn acknowledge(visit: &Visit, id: i64) -> String {
    with_config(visit, &format!("alert acknowledge {id} --why {{why}}"))
}

/// Silences alerts.
pub fn mute(visit: &Visit) -> String {
    with_config(visit, "alert mute {pattern} --for {lasts} --reason {reason}")
}

/// Ends a silence.
pub fn unmute(visit: &Visit, id: i64) -> String {
    with_config(visit, &format!("alert unmute {id}"))
}

/// Tells every receiver a test.
pub fn alert_test(visit: &Visit) -> String {
    with_config(visit, "alert test")
}

/// Adds an account.
pub fn account_add(visit: &Visit) -> String {
    with_config(visit, "account add {name} --role {role}")
}

/// Removes an account.
pub fn account_remove(visit: &Visit, name: &str) -> String {
    with_config(visit, &format!("account remove {}", quoted(name)))
}

/// Makes a token.
pub fn account_token(visit: &Visit, name: &str) -> String {
    with_config(visit, &format!("account token {} --for {{lasts}}", quoted(name)))
}

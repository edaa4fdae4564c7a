//! The commands that stand beside the buttons, in one place.
//!
//! What the service begins as a process of its own is written by `crate::serve::command`, so that both are the same words. Here is
//! the rest: what changes the state alone. Invariant: no password is among the words; who adds an account is asked for it.

use crate::render::text::quoted;

/// Has a schedule's check run now.
pub fn schedule_run(name: &str) -> String {
    format!("evensum schedule run {}", quoted(name))
}

/// Pauses a schedule.
pub fn schedule_pause(name: &str) -> String {
    format!("evensum schedule pause {} --why {{why}}", quoted(name))
}

/// Lets a schedule go on.
pub fn schedule_resume(name: &str) -> String {
    format!("evensum schedule resume {}", quoted(name))
}

/// Shows a run with all that it found.
pub fn run_show(run: &str) -> String {
    format!("evensum run show {} --json", quoted(run))
}

/// Has a run stop.
pub fn run_stop(run: &str) -> String {
    format!("evensum run stop {}", quoted(run))
}

/// Notes that somebody knows of an alert.
pub fn acknowledge(id: i64) -> String {
    format!("evensum alert acknowledge {id} --why {{why}}")
}

/// Silences alerts.
pub fn mute() -> String {
    "evensum alert mute {pattern} --for {lasts} --reason {reason}".to_owned()
}

/// Ends a silence.
pub fn unmute(id: i64) -> String {
    format!("evensum alert unmute {id}")
}

/// Tells every receiver a test.
pub fn alert_test() -> String {
    "evensum alert test".to_owned()
}

/// Adds an account.
pub fn account_add() -> String {
    "evensum account add {name} --role {role}".to_owned()
}

/// Removes an account.
pub fn account_remove(name: &str) -> String {
    format!("evensum account remove {}", quoted(name))
}

/// Makes a token.
pub fn account_token(name: &str) -> String {
    format!("evensum account token {} --lasts {{lasts}}", quoted(name))
}

//! What the service runs, as words after `evensum`: the same that a person would type.
//!
//! Invariant: no password is ever among the words. Runs get what they need to know of nodes from the configuration.

use crate::config::service::{Follow, Plan};
use std::path::Path;

/// Adds `--flag value`; as one word if the value would be taken for a flag itself.
fn add(words: &mut Vec<String>, flag: &str, value: &str) {
    match value.starts_with('-') {
        true => words.push(format!("{flag}={value}")),
        false => words.extend([flag.to_owned(), value.to_owned()]),
    }
}

/// The check of a schedule.
pub fn scheduled_check(plan: &Plan, config: &Path) -> Vec<String> {
    let said = &plan.said;
    let mut words = vec!["check".to_owned()];
    add(&mut words, "--config", &config.display().to_string());
    said.tables.iter().for_each(|pattern| add(&mut words, "--tables", pattern));
    said.ignore_tables.iter().for_each(|pattern| add(&mut words, "--ignore-tables", pattern));
    said.max_load.iter().for_each(|load| add(&mut words, "--max-load", load));
    for (flag, value) in [("--window", &said.window), ("--max-lag", &said.max_lag)] {
        if let Some(value) = value {
            add(&mut words, flag, value);
        }
    }
    if said.window.is_some() {
        add(&mut words, "--timezone", plan.schedule.zone.name());
    }
    if let Some(intensity) = said.intensity {
        add(&mut words, "--intensity", &intensity.to_string());
    }
    words
}

/// A check of these tables; of all that the configuration names if there are none.
pub fn check(config: &Path, tables: &[String]) -> Vec<String> {
    let mut words = vec!["check".to_owned()];
    add(&mut words, "--config", &config.display().to_string());
    tables.iter().for_each(|pattern| add(&mut words, "--tables", pattern));
    words
}

/// What follows on a check of a schedule that found something, if anything does.
pub fn follow_up(plan: &Plan, config: &Path, run: &str, file: &Path) -> Option<Vec<String>> {
    let policy = plan.said.policy.as_deref()?;
    match plan.said.repair {
        Follow::Report => None,
        Follow::Plan => Some(plan_of_repair(config, run, policy, file)),
        Follow::Execute => Some(repair(config, run, policy, Some(plan.max_rows))),
    }
}

/// The repair of what a run found: a plan, or, with a cap, carried out.
pub fn repair(config: &Path, run: &str, policy: &str, max_rows: Option<u64>) -> Vec<String> {
    let mut words = vec!["sync".to_owned()];
    add(&mut words, "--config", &config.display().to_string());
    add(&mut words, "--run", run);
    add(&mut words, "--policy", policy);
    if let Some(rows) = max_rows {
        words.extend(["--execute".to_owned(), "--yes".to_owned()]);
        add(&mut words, "--max-rows", &rows.to_string());
    }
    words
}

/// The plan of the repair of what a run found, kept in a file so that somebody may approve it.
pub fn plan_of_repair(config: &Path, run: &str, policy: &str, file: &Path) -> Vec<String> {
    let mut words = repair(config, run, policy, None);
    add(&mut words, "--plan", &file.display().to_string());
    words
}

/// A repair exactly as it was planned, of so many rows.
pub fn as_planned(config: &Path, file: &Path, rows: u64) -> Vec<String> {
    let mut words = vec!["sync".to_owned()];
    add(&mut words, "--config", &config.display().to_string());
    words.extend([format!("--execute={}", file.display()), "--yes".to_owned()]);
    add(&mut words, "--max-rows", &rows.to_string());
    words
}

/// What the repair after a run is called: the one that follows on a check, or that carries out a plan.
pub fn name_of_repair(run: &str) -> String {
    format!("{run}-repair")
}

/// As one types it.
pub fn typed(words: &[String]) -> String {
    let words = words.iter().map(|word| crate::render::text::quoted(word));
    std::iter::once("evensum".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::service::{Scheduled, plans};

    fn plan(more: &str) -> Plan {
        let said: Scheduled = toml::from_str(&format!("name = 'nightly'\ncron = '@daily'\n{more}")).unwrap();
        plans(&[said]).unwrap().remove(0)
    }

    #[test]
    fn a_schedule_is_a_command_that_a_person_could_type() {
        let plan = plan(
            "tables = ['shop.*', 'b.c d']\nwindow = '01:00-05:00'\ntimezone = 'Europe/Helsinki'\nmax_load = ['Threads_running=25']\n\
             intensity = 0.3\npolicy = 'majority'\nrepair = 'execute'\nmax_rows = 7",
        );
        let config = Path::new("/etc/evensum.toml");
        assert_eq!(
            typed(&scheduled_check(&plan, config)),
            "evensum check --config /etc/evensum.toml --tables 'shop.*' --tables 'b.c d' --max-load Threads_running=25 \
             --window 01:00-05:00 --timezone Europe/Helsinki --intensity 0.3"
        );
        assert_eq!(
            typed(&follow_up(&plan, config, "r1", Path::new("p")).unwrap()),
            "evensum sync --config /etc/evensum.toml --run r1 --policy majority --execute --yes --max-rows 7"
        );
    }

    #[test]
    fn a_plan_is_carried_out_within_its_own_rows() {
        let words = as_planned(Path::new("/etc/evensum.toml"), Path::new("/var/p 1.json"), 7);
        let typed = typed(&words);
        assert_eq!(
            typed,
            "evensum sync --config /etc/evensum.toml '--execute=/var/p 1.json' --yes --max-rows 7"
        );
    }

    #[test]
    fn what_somebody_says_never_becomes_a_flag() {
        let words = check(Path::new("c"), &["--state=/tmp/x.*".to_owned(), "a.*".to_owned()]);
        assert_eq!(words, ["check", "--config", "c", "--tables=--state=/tmp/x.*", "--tables", "a.*"]);
    }

    #[test]
    fn nothing_follows_unless_it_was_asked_for() {
        let config = Path::new("c");
        assert_eq!(follow_up(&plan("policy = 'majority'"), config, "r1", Path::new("p")), None);
        let planned =
            follow_up(&plan("policy = 'majority'\nrepair = 'plan'"), config, "r1", Path::new("p")).unwrap();
        assert!(!planned.contains(&"--execute".to_owned()), "{planned:?}");
        assert!(planned.ends_with(&["--plan".to_owned(), "p".to_owned()]), "{planned:?}");
    }
}

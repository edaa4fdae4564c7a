//! What a person says before a repair: yes to the plan, and who is right where the policy is to ask.
//!
//! Invariant: where nobody can be asked, the answer is no.

use crate::error::Failure;
use crate::output;
use crate::render;
use checker::Divergence;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use syncer::{Decision, Plan};

/// How often a person may mistype.
const TRIES: u32 = 3;

/// Goes on only if the plan is approved.
pub fn ask(plan: &Plan, yes: bool, no_input: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if no_input || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::refused(
            "the plan was not approved, and there is nobody to ask",
            "add --yes if this plan is what you want",
        ));
    }
    let word = approval_word(plan);
    output::note(&format!("\nThis changes {} rows. Type {word} to do it:", plan.steps.len()));
    match read_line() {
        Some(answer) if answer == word => Ok(()),
        _ => Err(Failure::refused("the plan was not approved", "")),
    }
}

/// What to type: the name of the table, or of all of them.
fn approval_word(plan: &Plan) -> String {
    let tables: BTreeSet<String> = plan.steps.iter().map(|step| step.table.to_string()).collect();
    tables.into_iter().collect::<Vec<_>>().join(" ")
}

/// Asks which version of a row is right.
pub fn choose(divergence: &Divergence) -> Decision {
    output::note(&format!("\n{}", render::text::divergence(divergence)));
    for (n, version) in divergence.versions.iter().enumerate() {
        let what = if version.row.is_some() { "the row" } else { "no row" };
        output::note(&format!("  {}: {what} as on {}", n + 1, version.nodes.join(", ")));
    }
    for _ in 0..TRIES {
        output::note("which one is right? (a number, or s to leave the row as it is)");
        match read_line().as_deref() {
            None | Some("s") => break,
            Some(answer) => match answer.parse::<usize>() {
                Ok(n) if (1..=divergence.versions.len()).contains(&n) => return Decision::Winner(n - 1),
                _ => {}
            },
        }
    }
    Decision::Undecided("it was left when asked".to_owned())
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    let bytes = std::io::stdin().read_line(&mut line).ok()?;
    (bytes > 0).then(|| line.trim().to_owned())
}

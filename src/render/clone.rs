//! What a clone did, or would do, as text and as JSON.

use crate::commands::clone::{Cloned, Step};
use crate::render::json::SCHEMA_VERSION;
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};
use std::fmt::Write;

/// As text.
pub fn text(cloned: &Cloned) -> String {
    let [source, target, ..] = &cloned.nodes[..] else { return String::new() };
    let Some(copied) = &cloned.copied else {
        let mut text = format!("would be done, and nothing was changed:\n  {target}: {}\n", cloned.plan.copy);
        list(&mut text, &cloned.plan.steps);
        return text;
    };
    let copying = &copied.copying;
    let mut text = format!(
        "{target} is a copy of {source}: {} table{}, {} row{}, {} in {:.1} s\n",
        HumanCount(copying.tables),
        plural(copying.tables),
        HumanCount(copying.rows),
        plural(copying.rows),
        HumanBytes(copying.bytes),
        copied.took.as_secs_f64()
    );
    if let Some((file, pos)) = &copying.place {
        let _ = writeln!(text, "  as of {file}:{pos} of {source}");
    }
    if let Some(executed) = &copying.executed {
        let _ = writeln!(text, "  gtid_purged on {target}: {executed}");
    }
    if cloned.joined {
        text.push_str("it has joined:\n");
        list(&mut text, &cloned.plan.steps);
        let _ = writeln!(text, "compare all rows: {}", cloned.check);
    } else {
        text.push_str("it has not joined; this lets it follow, with the password in its place:\n");
        list(&mut text, &cloned.plan.steps);
    }
    text
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn list(text: &mut String, steps: &[Step]) {
    for step in steps {
        let _ = writeln!(text, "  {step}");
    }
}

/// As JSON.
pub fn document(cloned: &Cloned) -> Value {
    let step = |step: &Step| json!({ "node": step.node, "step": step.words });
    let copied = cloned.copied.as_ref().map(|copied| {
        let copying = &copied.copying;
        json!({
            "tables": copying.tables,
            "rows": copying.rows,
            "bytes": copying.bytes,
            "seconds": copied.took.as_secs_f64(),
            "log_file": copying.place.as_ref().map(|(file, _)| file),
            "log_position": copying.place.as_ref().map(|(_, pos)| pos),
            "gtid_purged": copying.executed.as_ref().map(ToString::to_string),
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "source": cloned.nodes.first(),
        "target": cloned.nodes.get(1),
        "ring_next": cloned.nodes.get(2),
        "warnings": cloned.plan.warnings,
        "copy": cloned.plan.copy.to_string(),
        "copied": copied,
        "joined": cloned.joined,
        "steps": cloned.plan.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

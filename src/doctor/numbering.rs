//! Whether masters that are written to at once give new rows different numbers.
//!
//! A master gives the numbers `offset + n * increment`. Two such sequences meet if and only if their offsets are equal modulo the
//! greatest common divisor of their increments. An offset that is larger than its increment is ignored by the server, as if it were 1.

use super::{Chart, Node, Severity, spread};

const CHECK: &str = "auto_increment";

pub(super) fn examine(nodes: &[Node], chart: &mut Chart) {
    let masters: Vec<(&Node, (u64, u64))> =
        nodes.iter().filter(|node| node.writable()).filter_map(|node| Some((node, numbers(node)?))).collect();
    if masters.len() < 2 {
        return;
    }
    for (node, (increment, offset)) in masters.iter().filter(|(_, (increment, offset))| offset > increment) {
        let advice = (
            "an offset that is larger than the increment is ignored, so it keeps nothing apart",
            "an auto_increment_offset from 1 to auto_increment_increment",
        );
        chart.add(Severity::Warning, CHECK, &[node], &told(*increment, *offset), advice);
    }
    let meets = |a: (u64, u64), b: (u64, u64)| {
        let divisor = gcd(a.0, b.0).max(1);
        effective(a) % divisor == effective(b) % divisor
    };
    let colliding: Vec<&Node> = masters
        .iter()
        .enumerate()
        .filter(|(n, (_, own))| {
            masters.iter().enumerate().any(|(other, (_, numbers))| *n != other && meets(*own, *numbers))
        })
        .map(|(_, (node, _))| *node)
        .collect();
    let seen = spread(nodes, |node| numbers(node).map(|(increment, offset)| told(increment, offset)));
    if !colliding.is_empty() {
        let each = masters.iter().enumerate().map(|(n, (node, _))| {
            format!(
                "auto_increment_increment = {} and auto_increment_offset = {} on {}",
                masters.len(),
                n + 1,
                node.name
            )
        });
        let remedy = format!("SET GLOBAL and in the option file: {}", each.collect::<Vec<_>>().join("; "));
        let why = "these masters give new rows the same numbers: the second of two such rows stops replication (error 1062), or \
                   overwrites the first";
        chart.add(Severity::Critical, CHECK, &colliding, seen.as_deref().unwrap_or_default(), (why, &remedy));
    }
    chart.else_fine(CHECK, nodes, seen);
}

fn told(increment: u64, offset: u64) -> String {
    format!("increment {increment}, offset {offset}")
}

fn effective((increment, offset): (u64, u64)) -> u64 {
    if offset > increment { 1 } else { offset }
}

fn numbers(node: &Node) -> Option<(u64, u64)> {
    let number = |name: &str| node.variable(&[name])?.parse().ok();
    Some((number("auto_increment_increment")?, number("auto_increment_offset")?))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

//! The nodes and their links: a card for each node with what feeds it, and the ring as a picture.
//!
//! The picture says nothing that the cards do not say, so readers of screens are spared it. A link that does not run is dashed and a
//! node that does not answer is drawn thick, so that both are seen without colour.

use super::forms::command;
use super::frame::{Visit, when};
use crate::serve::looks::{Look, NodeLook};
use maud::{Markup, html};
use std::f64::consts::TAU;

/// The most nodes that are drawn.
const DRAWN: usize = 9;
/// The picture's side, the ring's radius and that of a node.
const SIDE: f64 = 200.0;
const RING: f64 = 70.0;
const NODE: f64 = 22.0;
/// By how much a link bends, as a share of its length: two links between two nodes lie apart.
const BEND: f64 = 0.18;
/// The most characters of a name in the picture.
const NAME: usize = 6;

/// The nodes, what feeds them, and the same as a picture.
pub fn nodes(visit: &Visit, look: Option<&Look>) -> Markup {
    html! {
        section aria-labelledby="nodes" {
            h2 #nodes { "Nodes and links" }
            @match look {
                None => p.empty { "The nodes have not been looked at yet; that takes a few seconds after the start." },
                Some(look) => {
                    div.topology {
                        ul.nodes { @for node in &look.nodes { (node_card(node)) } }
                        (picture(look))
                    }
                    p.quiet { "Looked at " (when(look.at, visit.now)) "." }
                    (command(&format!("evensum status --config {}", crate::render::text::quoted(&visit.setup.path.display().to_string()))))
                }
            }
        }
    }
}

fn node_card(node: &NodeLook) -> Markup {
    let (class, sign, said) = match (&node.answer, node.is_well()) {
        (Err(_), _) => ("bad", "!", "does not answer"),
        (Ok(_), true) => ("good", "✓", "well"),
        (Ok(_), false) => ("bad", "!", "a link does not run"),
    };
    html! {
        li.node.(class) {
            h3 { (node.name) " " span.word.(class) { span.sign aria-hidden="true" { (sign) } " " (said) } }
            p.quiet { (node.address) }
            @match &node.answer {
                Err(why) => p { (why) },
                Ok(answer) => {
                    p.quiet { (answer.version) ", server id " (answer.server_id) @if answer.read_only { ", read only" } }
                    @match answer.links.as_deref() {
                        None => p.quiet { "It does not tell its links: the user may not see them." },
                        Some([]) => p { "No link feeds it." },
                        Some(links) => ul.links {
                            @for link in links {
                                li {
                                    span.arrow { (link.from) " " span aria-hidden="true" { "→" } span.unseen { " feeds " } " " (node.name) } " "
                                    @if link.running {
                                        span.word.good { span.sign aria-hidden="true" { "✓" } " running" }
                                    } @else {
                                        span.word.bad { span.sign aria-hidden="true" { "!" } " stopped" }
                                    }
                                    @match link.lag_seconds {
                                        Some(lag) => { " " (lag) " s behind" },
                                        None => " lag not known",
                                    }
                                    @if !link.last_error.is_empty() { p.error { (link.last_error) } }
                                }
                            }
                        },
                    }
                }
            }
        }
    }
}

/// The nodes on a circle, and an arrow for each link.
fn picture(look: &Look) -> Markup {
    if look.nodes.len() < 2 || look.nodes.len() > DRAWN {
        return html! {};
    }
    let at = |n: usize| {
        let angle = TAU * (n as f64 / look.nodes.len() as f64) - TAU / 2.0;
        (SIDE / 2.0 + RING * angle.cos(), SIDE / 2.0 + RING * angle.sin())
    };
    let place = |name: &str| look.nodes.iter().position(|node| node.name == name);
    let links = look.nodes.iter().enumerate().flat_map(|(to, node)| {
        let links = node.answer.as_ref().ok().and_then(|answer| answer.links.as_ref());
        links.into_iter().flatten().filter_map(move |link| Some((place(&link.from)?, to, link.running)))
    });
    html! {
        // two nodes lie on a line
        @let (top, high) = if look.nodes.len() == 2 { (SIDE * 0.3, SIDE * 0.4) } else { (0.0, SIDE) };
        svg.ring viewBox={ "0 " (top) " " (SIDE) " " (high) } aria-hidden="true" focusable="false" {
            defs {
                marker #tip viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                    path.ring-tip d="M0 0L8 4L0 8Z" {}
                }
            }
            @for (from, to, running) in links.filter(|(from, to, _)| from != to) {
                path class=[(!running).then_some("bad")] d=(curve(at(from), at(to))) marker-end="url(#tip)" {}
            }
            @for (n, node) in look.nodes.iter().enumerate() {
                @let (x, y) = at(n);
                circle class=(if node.is_well() { "good" } else { "bad" }) cx=(round(x)) cy=(round(y)) r=(NODE) {}
                text x=(round(x)) y=(round(y)) { (node.name.chars().take(NAME).collect::<String>()) }
            }
        }
    }
}

fn round(length: f64) -> String {
    format!("{length:.1}")
}

/// A bent line from the rim of one node to the rim of another.
fn curve(from: (f64, f64), to: (f64, f64)) -> String {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let middle = ((from.0 + to.0) / 2.0 - dy * BEND, (from.1 + to.1) / 2.0 + dx * BEND);
    let rim = |centre: (f64, f64)| {
        let (dx, dy) = (middle.0 - centre.0, middle.1 - centre.1);
        let length = dx.hypot(dy).max(1.0);
        (centre.0 + dx / length * (NODE + 2.0), centre.1 + dy / length * (NODE + 2.0))
    };
    let ((a, b), (c, d)) = (rim(from), rim(to));
    format!("M{a:.1} {b:.1}Q{:.1} {:.1} {c:.1} {d:.1}", middle.0, middle.1)
}

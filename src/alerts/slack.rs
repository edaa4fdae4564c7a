//! A notification as a message of Slack: a line for the phone, and blocks for the channel.
//!
//! Invariant: nothing that a notice says can mention a person or a channel, or make a link: `&`, `<` and `>` are escaped, after
//! texts are cut, so that no escape is cut in two; a message is never longer than Slack takes.

use super::notice::{Notice, Notification, cut, line};
use super::render::{headline, summary};
use crate::clock::rfc3339;
use serde_json::{Value, json};

/// More notices than this are counted only; Slack takes 50 blocks.
const SHOWN_MAX: usize = 10;
/// A longer text is cut; escaped it may be five times as long.
const TEXT_CHARS_MAX: usize = 250;
/// Slack refuses longer blocks.
const BLOCK_CHARS_MAX: usize = 3000;
/// The headline alone may be longer than that.
const HEADLINE_CHARS_MAX: usize = 300;

/// The body of an incoming webhook.
pub fn message(notification: &Notification) -> Value {
    let headline = escaped(&headline(notification, HEADLINE_CHARS_MAX));
    let told = notification.told();
    let mut blocks = vec![section(&format!("*{headline}*"))];
    blocks.extend(told.iter().take(SHOWN_MAX).map(|notice| section(&words(notice))));
    let more = told.len().saturating_sub(SHOWN_MAX) + notification.untold() as usize;
    let mut rest = Vec::new();
    if more > 0 {
        rest.push(format!("and {more} more"));
    }
    if !notification.external_url.is_empty() {
        rest.push(escaped(&line(&notification.external_url, TEXT_CHARS_MAX)));
    }
    if !rest.is_empty() {
        blocks.push(json!({
            "type": "context",
            "elements": [{ "type": "mrkdwn", "text": rest.join(" · ") }],
        }));
    }
    json!({ "text": headline, "blocks": blocks })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// What is said of one notice: as many lines of it as a block takes.
fn words(notice: &Notice) -> String {
    let short = |text: &str| escaped(&line(text, TEXT_CHARS_MAX));
    let mut first = format!("*{}* ({})", short(&notice.name), notice.severity.word());
    first += &format!(" since {}", rfc3339(notice.started_at));
    if !notice.firing {
        first += &format!(", resolved {}", rfc3339(notice.end(notice.started_at)));
    }
    let annotation = |name: &str| notice.annotations.get(name);
    let lines = [
        Some(escaped(&summary(notice, TEXT_CHARS_MAX))),
        notice.labels.get("table").map(|table| format!("table {}", short(table))),
        // a backtick would end the code
        annotation("command").map(|command| format!("`{}`", short(command).replace('`', "'"))),
        notice.acknowledged.as_ref().map(|person| format!("acknowledged by {}", short(person))),
        annotation("runbook_url").map(|link| short(link)),
        annotation("description").map(|text| escaped(&cut(text, TEXT_CHARS_MAX))),
    ];
    let mut left = BLOCK_CHARS_MAX.saturating_sub(first.chars().count());
    let fits = |line: &String| {
        let chars = line.chars().count() + 1;
        let fits = chars <= left;
        left = left.saturating_sub(if fits { chars } else { 0 });
        fits
    };
    let rest: Vec<String> = lines.into_iter().flatten().filter(fits).collect();
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::notice::examples::{divergence, told};
    use super::*;

    #[test]
    fn a_message_says_what_where_since_when_and_what_to_do() {
        let mut one = told(vec![divergence("shop.orders", true)]);
        one.truncated = 2;
        let mrkdwn = |text: &str| json!({ "type": "mrkdwn", "text": text });
        let expected = json!({
            "text": "[FIRING:3] shop: MasterDataDivergence shop.orders",
            "blocks": [
                { "type": "section", "text": mrkdwn("*[FIRING:3] shop: MasterDataDivergence shop.orders*") },
                { "type": "section", "text": mrkdwn(
                    "*MasterDataDivergence* (critical) since 2026-11-21T00:00:00Z\n\
                     3 rows of &lt;orders&gt; &amp; more differ on a and b\n\
                     table shop.orders\n`evensum sync --config /etc/evensum.toml`"
                ) },
                { "type": "context", "elements": [mrkdwn("and 2 more · http://127.0.0.1:9188")] },
            ],
        });
        assert_eq!(message(&one), expected);
    }

    #[test]
    fn nothing_is_mentioned_and_no_block_is_too_long() {
        let mut notice = divergence("<!channel>", false);
        let long = "<".repeat(5000);
        for name in ["summary", "description", "command", "runbook_url"] {
            notice.annotations.insert(name.into(), long.clone());
        }
        notice.name = long.clone();
        notice.acknowledged = Some(long);
        let body = message(&told(vec![notice; 60]));
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), SHOWN_MAX + 2);
        for block in blocks {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            // Slack counts the characters of the text as it is sent
            assert!(text.chars().count() <= BLOCK_CHARS_MAX, "{}", text.chars().count());
            assert!(!text.contains('<'), "{text}");
        }
        assert!(
            body["blocks"][1]["text"]["text"].as_str().unwrap().contains(", resolved 2026-11-21T01:00:00Z")
        );
    }
}

//! A notice as an event of PagerDuty, version 2.
//!
//! Invariant: the same alert has the same key for as long as it lasts, and its end has that key too, so that PagerDuty opens one
//! incident, and closes that one.

use super::notice::{Notice, Notification, cut};
use super::render::{annotations, labels, summary};
use serde_json::{Value, json};

/// Where events go if nobody says otherwise.
pub const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";
/// PagerDuty refuses longer summaries.
const SUMMARY_CHARS_MAX: usize = 1024;
/// PagerDuty refuses keys of more than 255 characters; this is the part of it that may be long.
const CLUSTER_CHARS_MAX: usize = 200;
/// Longer names are cut.
const NAME_CHARS_MAX: usize = 255;

/// The event of one notice. It holds the routing key, which is a secret.
pub fn event(notification: &Notification, notice: &Notice, routing_key: &str) -> Value {
    let cluster = cut(&notification.cluster, CLUSTER_CHARS_MAX);
    let action = match (notice.firing, &notice.acknowledged) {
        (true, None) => "trigger",
        (true, Some(_)) => "acknowledge",
        (false, _) => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": format!("evensum/{cluster}/{}", notice.fingerprint()),
    });
    if action == "trigger" {
        let about = |label: &str| notice.labels.get(label).map(|text| cut(text, NAME_CHARS_MAX));
        let mut details = labels(&notification.cluster, notice);
        details.extend(annotations(notice));
        event["payload"] = json!({
            "summary": summary(notice, SUMMARY_CHARS_MAX),
            "source": about("node").unwrap_or_else(|| cluster.clone()),
            "severity": notice.severity.word(),
            "component": about("table").unwrap_or_else(|| "cluster".into()),
            "group": cluster,
            "class": cut(&notice.name, NAME_CHARS_MAX),
            "custom_details": details,
        });
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::notice::examples::{divergence, told};
    use super::*;

    #[test]
    fn an_event_opens_an_incident_and_its_end_closes_the_same() {
        let notification = told(vec![divergence("shop.orders", true)]);
        let notice = &notification.notices[0];
        let key = format!("evensum/shop/{}", notice.fingerprint());
        let expected = json!({
            "routing_key": "R0",
            "event_action": "trigger",
            "dedup_key": key,
            "payload": {
                "summary": "3 rows of <orders> & more differ on a and b",
                "source": "shop",
                "severity": "critical",
                "component": "shop.orders",
                "group": "shop",
                "class": "MasterDataDivergence",
                "custom_details": {
                    "alertname": "MasterDataDivergence",
                    "cluster": "shop",
                    "command": "evensum sync --config /etc/evensum.toml",
                    "severity": "critical",
                    "summary": "3 rows of <orders> & more differ on a and b",
                    "table": "shop.orders",
                },
            },
        });
        assert_eq!(event(&notification, notice, "R0"), expected);
        let over = json!({ "routing_key": "R0", "event_action": "resolve", "dedup_key": key });
        assert_eq!(event(&notification, &divergence("shop.orders", false), "R0"), over);
        let known = Notice { acknowledged: Some("ann".into()), ..notice.clone() };
        let known = event(&notification, &known, "R0");
        assert_eq!((known["event_action"].as_str(), &known["dedup_key"]), (Some("acknowledge"), &json!(key)));
    }

    #[test]
    fn what_pagerduty_bounds_is_bounded() {
        let mut notice = divergence(&"ö".repeat(9999), true);
        notice.annotations.insert("summary".into(), "ü".repeat(9999));
        let mut notification = told(vec![]);
        notification.cluster = "ä".repeat(9999);
        let event = event(&notification, &notice, "R0");
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        assert!(chars(&event["dedup_key"]) <= 255 && chars(&event["payload"]["summary"]) <= 1024);
    }
}

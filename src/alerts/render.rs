//! A notification as JSON for programs: the body of Alertmanager's webhooks, and the alerts of its interface.
//!
//! The webhook body is Alertmanager's, version 4, so that whatever understands Alertmanager understands evensum. Texts are
//! cut to a bound each, and so is their number, and with them the whole body. Nothing here verifies that names of labels are
//! such as Prometheus takes.

use super::notice::{Notice, Notification, cut, line, status};
use crate::clock::rfc3339;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A longer value of a label is cut.
const LABEL_CHARS_MAX: usize = 1024;
/// A longer annotation is cut.
const ANNOTATION_CHARS_MAX: usize = 4096;
/// More labels, or annotations, of one notice are left out.
const TEXTS_MAX: usize = 32;
/// When an alert ended that lasts, in Alertmanager's words.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// For how long Alertmanager believes that an alert lasts which nobody speaks of any more. Without this it is its
/// `resolve_timeout` of five minutes, and evensum restarting slowly, or its machine, would look like masters that agree again.
const BELIEVED_SECONDS: u64 = 3600;

/// What it is about, with what receivers expect to find there too.
pub fn labels(cluster: &str, notice: &Notice) -> BTreeMap<String, String> {
    let mut labels = texts(&notice.labels, LABEL_CHARS_MAX);
    labels.entry("cluster".into()).or_insert_with(|| cut(cluster, LABEL_CHARS_MAX));
    labels.insert("alertname".into(), cut(&notice.name, LABEL_CHARS_MAX));
    labels.insert("severity".into(), notice.severity.word().into());
    labels
}

/// What a person should know, and who knows already.
pub fn annotations(notice: &Notice) -> BTreeMap<String, String> {
    let mut annotations = texts(&notice.annotations, ANNOTATION_CHARS_MAX);
    if let Some(person) = &notice.acknowledged {
        annotations.insert("acknowledged_by".into(), cut(person, ANNOTATION_CHARS_MAX));
    }
    annotations
}

/// What is said of a notice in one line.
pub fn summary(notice: &Notice, chars_max: usize) -> String {
    line(notice.annotations.get("summary").unwrap_or(&notice.name), chars_max)
}

/// What all of it is about in one line: `[FIRING:2] shop: MasterDataDivergence`.
pub fn headline(notification: &Notification, chars_max: usize) -> String {
    let told = notification.told();
    let count = told.len() + notification.untold() as usize;
    let mut names: Vec<&str> = told.iter().map(|notice| notice.name.as_str()).collect();
    names.dedup();
    let about = match told {
        [one] => one.labels.get("table").or(one.labels.get("node")).map_or("", String::as_str),
        _ => "",
    };
    let status = notification.status().to_uppercase();
    let text = format!("[{status}:{count}] {}: {} {about}", notification.cluster, names.join(", "));
    line(text.trim_end(), chars_max)
}

/// The body of a webhook.
pub fn webhook(notification: &Notification, receiver: &str) -> Value {
    let cluster = notification.cluster.as_str();
    let told = notification.told();
    let all_labels: Vec<_> = told.iter().map(|notice| labels(cluster, notice)).collect();
    let all_annotations: Vec<_> = told.iter().map(annotations).collect();
    let alerts: Vec<Value> = (told.iter().zip(&all_labels).zip(&all_annotations))
        .map(|((notice, labels), annotations)| {
            let ended = if notice.firing { NEVER.into() } else { rfc3339(notice.end(notice.started_at)) };
            json!({
                "status": status(notice.firing),
                "labels": labels,
                "annotations": annotations,
                "startsAt": rfc3339(notice.started_at),
                "endsAt": ended,
                "generatorURL": notification.external_url,
                "fingerprint": notice.fingerprint(),
            })
        })
        .collect();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{cluster={}}}", Value::from(cluster)),
        "truncatedAlerts": notification.untold(),
        "status": notification.status(),
        "receiver": receiver,
        "groupLabels": { "cluster": cluster },
        "commonLabels": common(&all_labels),
        "commonAnnotations": common(&all_annotations),
        "externalURL": notification.external_url,
        "alerts": alerts,
    })
}

/// What Alertmanager is told: the alerts, each with the time until which it is to be believed.
pub fn alertmanager(notification: &Notification, now: u64) -> Value {
    let alert = |notice: &Notice| {
        let end = if notice.firing { now.saturating_add(BELIEVED_SECONDS) } else { notice.end(now) };
        let mut alert = json!({
            "labels": labels(&notification.cluster, notice),
            "annotations": annotations(notice),
            "startsAt": rfc3339(notice.started_at),
            "endsAt": rfc3339(end),
        });
        // an empty address is refused
        if !notification.external_url.is_empty() {
            alert["generatorURL"] = json!(notification.external_url);
        }
        alert
    };
    notification.told().iter().map(alert).collect()
}

fn texts(from: &BTreeMap<String, String>, chars_max: usize) -> BTreeMap<String, String> {
    from.iter().take(TEXTS_MAX).map(|(name, text)| (name.clone(), cut(text, chars_max))).collect()
}

/// What is the same in all of them.
fn common(all: &[BTreeMap<String, String>]) -> BTreeMap<&str, &str> {
    let Some((first, rest)) = all.split_first() else { return BTreeMap::new() };
    let same = first.iter().filter(|(name, text)| rest.iter().all(|one| one.get(*name) == Some(text)));
    same.map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::notice::examples::{BEGAN_AT, ENDED_AT, divergence, told};
    use super::*;

    #[test]
    fn a_webhook_is_told_what_alertmanager_would_tell_it() {
        let mut both = told(vec![divergence("shop.orders", true), divergence("shop.items", true)]);
        both.truncated = 3;
        both.notices[1].acknowledged = Some("ann".into());
        let summary = "3 rows of <orders> & more differ on a and b";
        let command = "evensum sync --config /etc/evensum.toml";
        let expected = json!({
            "version": "4",
            "groupKey": "{}:{cluster=\"shop\"}",
            "truncatedAlerts": 3,
            "status": "firing",
            "receiver": "ops",
            "groupLabels": { "cluster": "shop" },
            "commonLabels": { "alertname": "MasterDataDivergence", "cluster": "shop", "severity": "critical" },
            "commonAnnotations": { "command": command, "summary": summary },
            "externalURL": "http://127.0.0.1:9188",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {
                        "alertname": "MasterDataDivergence", "cluster": "shop", "severity": "critical",
                        "table": "shop.orders",
                    },
                    "annotations": { "command": command, "summary": summary },
                    "startsAt": "2026-11-21T00:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://127.0.0.1:9188",
                    "fingerprint": both.notices[0].fingerprint(),
                },
                {
                    "status": "firing",
                    "labels": {
                        "alertname": "MasterDataDivergence", "cluster": "shop", "severity": "critical",
                        "table": "shop.items",
                    },
                    "annotations": { "acknowledged_by": "ann", "command": command, "summary": summary },
                    "startsAt": "2026-11-21T00:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://127.0.0.1:9188",
                    "fingerprint": both.notices[1].fingerprint(),
                },
            ],
        });
        assert_eq!(webhook(&both, "ops"), expected);
    }

    #[test]
    fn a_resolved_alert_has_an_end_that_is_not_before_its_beginning() {
        let mut one = told(vec![divergence("shop.orders", false)]);
        let body = webhook(&one, "ops");
        assert_eq!((&body["status"], &body["alerts"][0]["status"]), (&json!("resolved"), &json!("resolved")));
        assert_eq!(body["alerts"][0]["endsAt"], "2026-11-21T01:00:00Z");
        one.notices[0].ended_at = Some(5);
        assert_eq!(webhook(&one, "ops")["alerts"][0]["endsAt"], "2026-11-21T00:00:00Z");
        assert_eq!(alertmanager(&one, ENDED_AT)[0]["endsAt"], "2026-11-21T00:00:00Z");
        one.notices[0].ended_at = None;
        assert_eq!(alertmanager(&one, ENDED_AT)[0]["endsAt"], "2026-11-21T01:00:00Z");
    }

    #[test]
    fn alertmanager_is_told_alerts_and_until_when_to_believe_them() {
        let mut one = told(vec![divergence("shop.orders", true)]);
        let expected = json!([{
            "labels": {
                "alertname": "MasterDataDivergence", "cluster": "shop", "severity": "critical", "table": "shop.orders",
            },
            "annotations": {
                "command": "evensum sync --config /etc/evensum.toml",
                "summary": "3 rows of <orders> & more differ on a and b",
            },
            "startsAt": "2026-11-21T00:00:00Z",
            "endsAt": "2026-11-21T01:01:00Z",
            "generatorURL": "http://127.0.0.1:9188",
        }]);
        assert_eq!(alertmanager(&one, BEGAN_AT + 60), expected);
        one.external_url.clear();
        assert!(alertmanager(&one, BEGAN_AT)[0].get("generatorURL").is_none());
    }

    #[test]
    fn long_texts_and_many_alerts_are_cut() {
        let mut notice = divergence("shop.orders", true);
        notice.annotations.insert("description".into(), "x".repeat(1 << 20));
        for number in 0..500 {
            notice.labels.insert(format!("label{number}"), "y".repeat(1 << 12));
        }
        let body = webhook(&told(vec![notice; 200]), "ops").to_string();
        assert!(body.len() < 5 << 20, "{}", body.len());
        assert!(body.contains("\"truncatedAlerts\":100"));
    }

    #[test]
    fn a_headline_is_one_line_that_says_what_where_and_how_many() {
        let mut one = told(vec![divergence("shop.orders", true)]);
        assert_eq!(headline(&one, 100), "[FIRING:1] shop: MasterDataDivergence shop.orders");
        one.cluster = "shop\r\nBcc: all@example.com".into();
        assert_eq!(headline(&one, 32), "[FIRING:1] shop  Bcc: all@examp…");
        let two = told(vec![divergence("a", false), divergence("b", false)]);
        assert_eq!(headline(&two, 100), "[RESOLVED:2] shop: MasterDataDivergence");
    }
}

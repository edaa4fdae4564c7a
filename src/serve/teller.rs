//! Tells the sinks what is to be told: one task for each, so that one that is away holds up neither a check nor another sink.
//!
//! A message that was not taken is made again from what is so then, after a pause that doubles up to [`PAUSE_MAX`]; nothing is kept in
//! between but the state. What a sink will never take is noted as told, and said in the log and on the page.
//!
//! Invariant: what was told is noted after it was taken, so that a service that is killed in between tells it twice and never
//! forgets it. Receivers know the same alert by its fingerprint.

use super::{Service, Setup};
use crate::alerts::due::{Manner, due};
use crate::alerts::findings;
use crate::alerts::notice::{NOTICES_MAX, Notice, Notification, Severity};
use crate::alerts::sink::{RESOLVED_RESENT_FOR, SendError, Sink, send};
use crate::clock;
use crate::error::Failure;
use crate::output;
use crate::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it is looked whether something is to be told, if nothing says so before.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The first pause after a message that was not taken, and the longest.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Tells until the service ends, whoever the configuration names.
pub async fn tell(service: Arc<Service>) {
    let mut tasks: Vec<(String, JoinHandle<()>)> = Vec::new();
    while !service.stopping() {
        let setup = service.setup();
        tasks.retain(|(_, task)| !task.is_finished());
        for sink in &setup.sinks {
            if !tasks.iter().any(|(name, _)| name == sink.name()) {
                tasks.push((sink.name().to_owned(), tokio::spawn(tell_one(service.clone(), sink.clone()))));
            }
        }
        service.sleep(LOOK_EVERY).await;
    }
    for (_, task) in tasks {
        let _ = task.await;
    }
}

/// Tells one sink, as long as the configuration names it so.
async fn tell_one(service: Arc<Service>, sink: Arc<Sink>) {
    while !service.stopping() && service.setup().sinks.iter().any(|known| Arc::ptr_eq(known, &sink)) {
        if let Err(failure) = tell_once(&service, &sink).await {
            output::complain(&failure);
            service.sleep(PAUSE).await;
        }
        tokio::select! {
            () = service.sleep(LOOK_EVERY) => {}
            () = service.wake.notified() => {}
        }
    }
}

/// Tells what is to be told now.
async fn tell_once(service: &Arc<Service>, sink: &Arc<Sink>) -> Result<(), Failure> {
    let mut state = service.state()?;
    let now = clock::now_seconds();
    // what lies further ahead was noted before the clock was set back
    if (now + 1..=now + PAUSE_MAX.as_secs()).contains(&state.sink(sink.name())?.next_at) {
        return Ok(());
    }
    let mut alerts = state.tellable(sink.name(), now.saturating_sub(RESOLVED_RESENT_FOR.as_secs()))?;
    alerts.retain(|(alert, told)| told.is_some() || sink.wants(alert.notice.severity));
    let manner = Manner { repeat: sink.repeat(), resend: sink.resend() };
    let due = due(&alerts, &state.mutes(now)?, manner, now);
    for (firing, notices) in [(true, due.firing), (false, due.ended)] {
        for some in notices.chunks(NOTICES_MAX) {
            if !tell_some(service, &mut state, sink, firing, some).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Tells some alerts; whether the sink can take more now.
async fn tell_some(
    service: &Service,
    state: &mut State,
    sink: &Arc<Sink>,
    firing: bool,
    notices: &[(i64, Notice)],
) -> Result<bool, Failure> {
    let setup = service.setup();
    let ids: Vec<i64> = notices.iter().map(|(id, _)| *id).collect();
    let notification = Notification {
        cluster: setup.cluster.clone(),
        external_url: setup.external_url(),
        notices: notices.iter().map(|(_, notice)| notice.clone()).collect(),
        truncated: 0,
    };
    let to = sink.clone();
    let sent = tokio::task::spawn_blocking(move || send(&to, &notification, clock::now_seconds())).await;
    let sent =
        sent.unwrap_or_else(|error| Err(SendError::Never { why: format!("it failed within: {error}") }));
    let now = clock::now_seconds();
    match sent {
        Ok(()) => {
            state.note_told(sink.name(), &ids, firing, now)?;
            state.note_sink(sink.name(), Ok(()))?;
            Ok(true)
        }
        Err(SendError::Never { why }) => {
            output::note(&format!("evensum: {} does not take alerts: {why}", sink.name()));
            state.note_told(sink.name(), &ids, firing, now)?;
            state.note_sink(sink.name(), Err((&why, 0)))?;
            Ok(true)
        }
        Err(SendError::Later { why, after }) => {
            let pause =
                pause(state.sink(sink.name())?.failures).max(after.unwrap_or_default()).min(PAUSE_MAX);
            output::note(&format!(
                "evensum: {} did not take alerts, it is tried again in {} s: {why}",
                sink.name(),
                pause.as_secs()
            ));
            state.note_sink(sink.name(), Err((&why, now + pause.as_secs())))?;
            Ok(false)
        }
    }
}

/// How long a sink is left alone that has failed so often before.
fn pause(failures: u32) -> Duration {
    PAUSE.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX)
}

/// Tells every sink a test, and then that it is over; why each could not be told, if it could not.
pub async fn test(setup: &Setup) -> Vec<(Arc<Sink>, Option<String>)> {
    let mut results = Vec::new();
    for sink in &setup.sinks {
        let (to, cluster, url) = (sink.clone(), setup.cluster.clone(), setup.external_url());
        let told = move || {
            let tell = |firing| send(&to, &test_notification(&cluster, &url, firing), clock::now_seconds());
            tell(true).and_then(|()| tell(false))
        };
        let error = match tokio::task::spawn_blocking(told).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it failed within".to_owned()),
        };
        results.push((sink.clone(), error));
    }
    results
}

/// An alert that says it is none.
fn test_notification(cluster: &str, external_url: &str, firing: bool) -> Notification {
    let now = clock::now_seconds();
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let notice = Notice {
        name: findings::DIVERGENCE.to_owned(),
        severity: Severity::Info,
        firing,
        started_at: now,
        ended_at: (!firing).then_some(now),
        labels: text(&[("cluster", cluster), ("table", "evensum.test"), ("test", "true")]),
        annotations: text(&[
            ("summary", "this is a test of evensum's alerts: no masters have diverged"),
            ("description", "Somebody ran evensum alert test. Nothing is to be done."),
            ("command", "evensum alert test"),
        ]),
        acknowledged: None,
    };
    Notification {
        cluster: cluster.to_owned(),
        external_url: external_url.to_owned(),
        notices: vec![notice],
        truncated: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_and_has_a_bound() {
        let seconds: Vec<u64> = [0, 1, 2, 8, 9, 4_000_000].map(|failures| pause(failures).as_secs()).to_vec();
        assert_eq!(seconds, [2, 4, 8, 512, 600, 600]);
    }
}

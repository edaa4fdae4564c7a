//! The watch: asks the nodes how they are, once in a while, and opens and closes the gate that a run passes.
//!
//! It has a connection of its own to each node, so that no chunk waits for its questions. The first look is made before the run
//! begins, and tells a person at once what cannot be asked; later a node that does not answer is left out of the sight, because
//! the run itself meets it and ends with its error.
//!
//! Invariant: the watch ends when it is dropped. Not here: deciding (`checker::throttle`).

use crate::clock;
use crate::cluster::Connected;
use crate::error::Failure;
use crate::gentle::{Gentle, MaxLoad};
use crate::output;
use checker::{Gate, LinkSight, LoadSight, Sight, Throttle};
use database::mysql::{Connection, Options};
use futures_util::future::{join_all, try_join_all};
use schedules::chrono::DateTime;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often the nodes are asked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A node, and what is asked of it.
struct Gauge {
    name: Box<str>,
    connection: Connection,
    /// Whether it can tell how its links stand.
    links: bool,
    /// The status variables with their bounds.
    loads: Vec<(String, u64)>,
}

/// All that is looked at.
struct Outlook {
    gauges: Vec<Gauge>,
    pause_file: Option<PathBuf>,
    window: Option<schedules::Window>,
}

/// Looks at the nodes until it is dropped.
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Looks for the first time, and begins to look again and again.
    pub async fn begin(
        connected: &[Connected],
        options: &Options,
        gentle: &Gentle,
        gate: &Arc<Gate>,
    ) -> Result<Watch, Failure> {
        let options = Options { statement_timeout: ANSWER_TIMEOUT, ..options.clone() };
        let asks = gentle.max_lag.is_some() || !gentle.max_load.is_empty();
        let gauges = connected.iter().filter(|_| asks).map(|node| Gauge::open(node, &options, gentle));
        let mut outlook = Outlook {
            gauges: try_join_all(gauges).await?,
            pause_file: gentle.pause_file.clone(),
            window: gentle.window,
        };
        let mut throttle = Throttle::new(gentle.max_lag);
        outlook.look(&mut throttle, gate).await;
        let gate = gate.clone();
        Ok(Watch(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                outlook.look(&mut throttle, &gate).await;
            }
        })))
    }
}

impl Outlook {
    async fn look(&mut self, throttle: &mut Throttle, gate: &Gate) {
        let mut sight = Sight {
            pause_file: self
                .pause_file
                .as_ref()
                .filter(|path| path.exists())
                .map(|path| path.display().to_string().into()),
            opens_at: self.opens_at(),
            ..Sight::default()
        };
        for (links, loads) in join_all(self.gauges.iter_mut().map(Gauge::ask)).await {
            sight.links.extend(links);
            sight.loads.extend(loads);
        }
        gate.set(throttle.decide(&sight, Instant::now()));
        for note in throttle.take_notes() {
            output::note(&format!("evensum: {note}"));
            gate.note(note);
        }
    }

    fn opens_at(&self) -> Option<Box<str>> {
        let now = DateTime::from_timestamp(i64::try_from(clock::now_seconds()).ok()?, 0)?;
        let opens = self.window?.opens_at(now)?;
        Some(format!("{} ({})", opens.format("%H:%M"), opens.timezone()).into())
    }
}

impl Gauge {
    /// Connects, and finds out what the node can tell.
    async fn open(node: &Connected, options: &Options, gentle: &Gentle) -> Result<Gauge, Failure> {
        let mut connection = node.another(options).await?;
        let name = node.target.name.clone();
        let mut links = gentle.max_lag.is_some();
        if links {
            match connection.replication().await {
                Ok(_) => {}
                // what was not asked for must not be in the way of who may not ask
                Err(database::Error::Refused { reason, .. }) if !gentle.max_lag_said => {
                    output::note(&format!("evensum: the lag of {name} is not minded: {reason}"));
                    links = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let loads = loads(&name, &mut connection, &gentle.max_load).await?;
        Ok(Gauge { name, connection, links, loads })
    }

    /// How its links and its load are; nothing where it does not answer.
    async fn ask(&mut self) -> (Vec<LinkSight>, Vec<LoadSight>) {
        let mut links = Vec::new();
        if self.links {
            let states = self.connection.replication().await.unwrap_or_default();
            links.extend(states.into_iter().map(|link| LinkSight {
                node: self.name.clone(),
                source: link.source.into(),
                lag: link.lag_seconds.map(Duration::from_secs),
            }));
        }
        let mut loads = Vec::new();
        if !self.loads.is_empty() {
            let names: Vec<&str> = self.loads.iter().map(|(variable, _)| variable.as_str()).collect();
            let values = self.connection.load(&names).await.unwrap_or_default();
            for ((variable, most), value) in self.loads.iter().zip(values) {
                let (node, variable, most) = (self.name.clone(), variable.as_str().into(), *most);
                loads.extend(value.map(|value| LoadSight { node, variable, value, most }));
            }
        }
        (links, loads)
    }
}

/// The bounds of a node's load: where no number was said, a fifth more than now.
async fn loads(
    name: &str,
    connection: &mut Connection,
    wanted: &[MaxLoad],
) -> Result<Vec<(String, u64)>, Failure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = wanted.iter().map(|load| load.variable.as_str()).collect();
    let values = connection.load(&names).await?;
    let bounds = wanted.iter().zip(values).map(|(load, value)| match (value, load.most) {
        (None, _) => Err(Failure::usage(
            format!("{name} has no status variable {} that is a number", load.variable),
            "name another one with --max-load, such as Threads_running",
        )),
        (Some(_), Some(most)) => Ok((load.variable.clone(), most)),
        (Some(now), None) => Ok((load.variable.clone(), now.saturating_add((now / 5).max(1)))),
    });
    bounds.collect()
}

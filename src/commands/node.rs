//! `evensum node`: one bundled node, from its configuration until a signal.
//!
//! It prints one line when clients can connect, which is what a starter waits for, and stops cleanly on SIGTERM and
//! Ctrl-C: what was committed stays, what was open is rolled back.

use crate::cli::NodeArgs;
use crate::clock::{now_seconds, rfc3339};
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use crate::signals::Signals;
use node::{Config, StartError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How soon the thread that prints notices sees that the node ends.
const NOTICE_POLL: Duration = Duration::from_millis(200);

/// Runs the command.
pub async fn run(args: NodeArgs) -> Result<Outcome, Failure> {
    let config = read(&args)?;
    let mut signals = Signals::listen()?;
    let (number, port) = (config.server_id, config.port);
    for warning in &config.warnings {
        output::note(&format!("evensum: {warning}"));
    }
    if config.skip_log_bin {
        output::note(
            "evensum: log_bin is not set, so there is no binary log and no node can replicate from this one",
        );
    }
    for key in &config.without_effect {
        output::note(&format!("evensum: {key} is read and changes nothing on this node"));
    }
    let node = node::Node::start(config).map_err(|error| match error {
        StartError::Config(error) => Failure::config(error.to_string(), "correct the node's configuration"),
        error => Failure::node(format!("the node on port {port} does not start: {error}")),
    })?;
    output::print(&match args.json {
        // on one line, for a starter that waits for one
        true => format!("{}\n", render::json::node(number, node.address())),
        false => format!("node {number} ready on {}\n", node.address()),
    })?;
    let node = Arc::new(node);
    let over = Arc::new(AtomicBool::new(false));
    let listener = std::thread::spawn({
        let (node, over) = (Arc::clone(&node), Arc::clone(&over));
        move || pass_on_notices(number, &node, &over)
    });
    if args.until_input_ends {
        tokio::select! {
            _ = signals.next() => {}
            () = input_ends() => {}
        }
    } else {
        signals.next().await;
    }
    over.store(true, Ordering::Relaxed);
    let _ = listener.join(); // one that panicked has nothing more to say
    output::note(&format!("evensum: node {number} stops"));
    node.stop();
    Ok(Outcome::Identical)
}

/// Prints what replication has to say, until the node is to end.
fn pass_on_notices(number: u32, node: &node::Node, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if let Some(notice) = node.next_notice(NOTICE_POLL) {
            output::note(&format!("evensum: {} node {number}: {notice}", rfc3339(now_seconds())));
        }
    }
}

fn read(args: &NodeArgs) -> Result<Config, Failure> {
    let wrong = |error: node::config::ConfigError| {
        Failure::config(error.to_string(), "the keys are those of MySQL, in snake case")
    };
    match (&args.config, &args.defaults_file) {
        (Some(path), _) => Config::read(path).map_err(wrong),
        (None, Some(path)) => read_my_cnf(path).and_then(|text| Config::from_my_cnf(&text).map_err(wrong)),
        (None, None) => Err(Failure::usage("no configuration was named", "evensum node --config node.toml")),
    }
}

fn read_my_cnf(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::config(format!("cannot read {}: {error}", path.display()), "name an existing file")
    })
}

/// Returns when whoever started this process has closed its end of the standard input, or is gone.
async fn input_ends() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // a thread of its own: the runtime must not wait for a read that may never return
    std::thread::spawn(move || {
        let mut sink = [0_u8; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(1..)) {}
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

//! The shipped sample, `share/evensum.toml`, held to the configuration that the program reads: it parses as it is, and with every
//! key taken in; it has every key that there is; and what it calls a default is one.

use super::service::plans;
use super::{Config, DetailedNode, Node};
use crate::alerts::sink::Sink;
use crate::gentle::{Gentle, GentleArgs};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::Duration;

const SAMPLE: &str = include_str!("../../share/evensum.toml");

/// The sample with every key taken in: `#key` is one, `# words` are not.
fn whole() -> String {
    let taken = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[' || c == '"') => rest,
        _ => line,
    };
    SAMPLE.lines().map(|line| format!("{}\n", taken(line))).collect()
}

/// The keys of a table, by what it says of one that it does not know.
fn keys<T: DeserializeOwned>(before: &str) -> BTreeSet<String> {
    let Err(error) = toml::from_str::<T>(&format!("{before}\nno_such_key = 1\n")) else {
        panic!("it takes any key");
    };
    let message = error.message();
    let (_, known) = message.split_once("expected").unwrap_or_else(|| panic!("{message}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys that stand in the sample's tables of this name, taken together.
fn said(path: &[&str]) -> BTreeSet<String> {
    let table: toml::Table = whole().parse().unwrap();
    let mut at = vec![toml::Value::Table(table)];
    for part in path {
        at = at.into_iter().filter_map(|value| value.get(part).cloned()).collect();
        at = at
            .into_iter()
            .flat_map(|value| match value {
                toml::Value::Array(all) => all,
                one => vec![one],
            })
            .collect();
    }
    at.iter().filter_map(toml::Value::as_table).flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn the_sample_is_read_as_it_is() {
    let config = Config::parse(SAMPLE).unwrap();
    assert_eq!(config.cluster.nodes.len(), 2);
    assert!(config.schedules.is_empty() && config.alerts.is_empty());
    // as it is, it says nothing that is not the default
    assert!(config.check.tables.is_empty() && config.sync.policy.is_none() && config.state.is_none());
}

#[test]
fn the_sample_has_every_key() {
    let cluster = "[cluster]\nnodes = []\n";
    let nested = |table: &str| keys::<Config>(&format!("{cluster}[{table}]"));
    for (path, keys) in [
        (&["cluster"][..], keys::<Config>(cluster)),
        (&["check"], nested("check")),
        (&["sync"], nested("sync")),
        (&["serve"], nested("serve")),
        (&["schedule"], nested("[schedule]")),
        (&["alert"], keys::<Config>(&format!("{cluster}[[alert]]\ntype = \"slack\""))),
    ] {
        assert!(keys.len() > 2, "{path:?}: {keys:?}");
        assert_eq!(said(path), keys, "{path:?}");
    }
    // the folder of the state has two places, and the sample shows one of them
    let mut top = keys::<Config>("");
    assert!(top.remove("state"));
    assert_eq!(said(&[]), top);
    for key in keys::<DetailedNode>("url = \"\"") {
        assert!(SAMPLE.contains(&format!("{key} = \"")), "{key}");
    }
}

#[test]
fn every_key_of_the_sample_can_be_meant() {
    let config = Config::parse(&whole()).unwrap_or_else(|(line, why)| panic!("{line:?}: {why}"));
    plans(&config.schedules).unwrap();
    config.serve.address().unwrap();
    config.cluster.encryption().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for mut alert in config.alerts {
        for file in [&alert.url_file, &alert.token_file, &alert.secret_file, &alert.password_file] {
            let Some(file) = file else { continue };
            let path = folder.path().join(file);
            crate::state::private_file(&path).unwrap();
            let text = if alert.url_file.is_some() { "https://hooks.example.org/x" } else { "secret" };
            std::fs::write(&path, text).unwrap();
        }
        alert.ca_file = None;
        Sink::resolve(&alert, folder.path()).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn what_the_sample_calls_a_default_is_one() {
    let config = Config::parse(&whole()).unwrap();
    let nothing = Config::parse("[cluster]\nnodes = []\n").unwrap();
    assert_eq!(config.serve.address().unwrap(), nothing.serve.address().unwrap());
    assert_eq!(config.serve.runs_kept(), nothing.serve.runs_kept());
    assert_eq!(config.serve.look_interval().unwrap(), nothing.serve.look_interval().unwrap());
    assert_eq!(config.serve.lag_told().unwrap(), nothing.serve.lag_told().unwrap());
    // what follows is an example and not a default
    let mut check = config.check;
    check.chunk_rows = None;
    let mean = |check| Gentle::resolve(&GentleArgs::default(), check).unwrap();
    let (said, otherwise) = (mean(&check), mean(&nothing.check));
    assert_eq!(
        (said.size, said.max_lag, said.intensity, said.lanes, said.digesting),
        (otherwise.size, otherwise.max_lag, otherwise.intensity, otherwise.lanes, otherwise.digesting)
    );
    assert_eq!(check.no_ledger, nothing.check.no_ledger);
    let said = &plans(&config.schedules).unwrap()[0];
    let least = toml::from_str("name = 'nightly'\ncron = '30 1 * * *'").unwrap();
    let least = &plans(&[least]).unwrap()[0];
    assert_eq!((said.max_rows, said.stale_after), (least.max_rows, least.stale_after));
    let (one, other) = (&said.schedule, &least.schedule);
    assert_eq!((one.zone, one.jitter, one.catch_up), (other.zone, Duration::ZERO, other.catch_up));
    assert_eq!((one.overlap, said.said.repair), (other.overlap, least.said.repair));
}

#[test]
fn a_node_of_the_sample_has_a_name_of_its_own() {
    let config = Config::parse(SAMPLE).unwrap();
    let named = |node: &Node| matches!(node, Node::Detailed(node) if node.name.as_deref() == Some("south"));
    assert!(config.cluster.nodes.iter().any(named));
}

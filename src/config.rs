//! `evensum.toml`: the cluster, what to check, and who is right.
//!
//! ```toml
//! [cluster]
//! name = "shop"
//! ssl_ca = "/etc/evensum/ca.pem"
//! nodes = ["mysql://check@db1:3306", { url = "mysql://check@db2", name = "south", password_file = "/etc/evensum/south" }]
//!
//! [check]
//! tables = ["shop.*"]
//! settle = "30s"
//! max_lag = "1s"                        # or "off"
//! max_load = ["Threads_running=25"]
//! intensity = 0.3
//! chunk_time = "150ms"                  # or chunk_rows = 1000
//! pause_file = "/run/evensum.pause"
//! window = "22:00-06:00"
//! timezone = "Europe/Helsinki"
//! threads = 2
//!
//! [sync]
//! policy = "prefer=db1:3306"
//! max_rows = 1000
//!
//! [sync.tables]
//! "shop.products" = "newest=updated_at"
//! ```
//!
//! Invariant: a key that is not known is refused, with its line and the nearest known key: a misspelt `ignore_tabels`
//! must not silently check other tables. What the command line says wins over what is said here.

#[cfg(test)]
mod sample;
pub mod service;

use self::service::{Scheduled, Serve};
use crate::alerts::sink::SinkConfig;
use crate::error::Failure;
use crate::gentle::Digesting;
use database::target::{Certificates, Said};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The nodes.
    pub cluster: Cluster,
    /// What to check, and how.
    #[serde(default)]
    pub check: Check,
    /// Who is right where rows differ.
    #[serde(default)]
    pub sync: Sync,
    /// What is to be done again and again.
    #[serde(default, rename = "schedule")]
    pub schedules: Vec<Scheduled>,
    /// Who is told when masters diverge.
    #[serde(default, rename = "alert")]
    pub alerts: Vec<SinkConfig>,
    /// How the service serves.
    #[serde(default)]
    pub serve: Serve,
    /// Where runs are kept; the same as `state` of `[serve]`.
    pub state: Option<PathBuf>,
}

/// `[cluster]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What the cluster is called in reports and in the history of runs.
    pub name: Option<String>,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// The password of all nodes that have none of their own.
    pub password_file: Option<PathBuf>,
    /// The option file of all nodes that have none of their own.
    pub defaults_file: Option<PathBuf>,
    /// Whether connections are to be encrypted, in MySQL's words.
    pub ssl_mode: Option<String>,
    /// The authorities that may vouch for the nodes.
    pub ssl_ca: Option<PathBuf>,
    /// The certificate that is shown to the nodes.
    pub ssl_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub ssl_key: Option<PathBuf>,
}

impl Cluster {
    /// What is said of encryption, for nodes of which nothing else is said.
    pub fn encryption(&self) -> Result<Said, Failure> {
        let mut said = Said::default();
        if let Some(mode) = &self.ssl_mode {
            said.set_encryption("ssl-mode", mode).map_err(|error| {
                Failure::config(format!("ssl_mode: {error}"), "correct the configuration")
            })?;
        }
        let (authorities, own, key) = (self.ssl_ca.clone(), self.ssl_cert.clone(), self.ssl_key.clone());
        said.certificates = Certificates { authorities, own, key };
        Ok(said)
    }
}

/// A node: its address alone, or with more.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Node {
    /// `"mysql://user@host:port"`.
    Address(String),
    /// `{ url = …, name = …, password_file = … }`.
    Detailed(DetailedNode),
}

/// A node with its own name or password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailedNode {
    /// `mysql://user@host:port` or `h=host,P=port,u=user`.
    pub url: String,
    /// What it is called.
    pub name: Option<String>,
    /// The first line of this file is its password.
    pub password_file: Option<PathBuf>,
    /// Its option file.
    pub defaults_file: Option<PathBuf>,
}

/// `[check]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Only tables that match.
    pub tables: Vec<String>,
    /// Not the tables that match.
    pub ignore_tables: Vec<String>,
    /// Only rows for which this is true.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// How long rows may take to settle, such as `30s`.
    pub settle: Option<String>,
    /// The database of evensum's own tables.
    pub ledger: Option<String>,
    /// Whether a check writes nothing on the nodes.
    pub no_ledger: bool,
    /// The time that a node should need for a chunk, such as `150ms`.
    pub chunk_time: Option<String>,
    /// Chunks of so many rows instead.
    pub chunk_rows: Option<u64>,
    /// Pause while a replica is further behind, such as `1s`; or `off`.
    pub max_lag: Option<String>,
    /// Pause while a server is as busy as this, such as `Threads_running=25`.
    pub max_load: Vec<String>,
    /// The share of the time in which to work.
    pub intensity: Option<f64>,
    /// Pause while this file exists.
    pub pause_file: Option<PathBuf>,
    /// Pause outside these hours, such as `22:00-06:00`.
    pub window: Option<String>,
    /// The time zone of the window.
    pub timezone: Option<String>,
    /// How many tables, or chunks of one, are read at the same time.
    pub threads: Option<usize>,
    /// Where rows are digested: `auto`, `server` or `stream`.
    pub digest: Option<Digesting>,
}

/// `[sync]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sync {
    /// The policy of all tables that have none of their own.
    pub policy: Option<String>,
    /// More rows than this are not changed.
    pub max_rows: Option<u64>,
    /// The policies of single tables, by patterns.
    pub tables: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Config, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read the configuration {}: {error}", path.display());
            Failure::config(what, "name an existing file with --config")
        })?;
        let mut config = Config::parse(&text).map_err(|(line, what)| {
            let place = line.map_or(String::new(), |line| format!(":{line}"));
            let advice = "correct the file; its keys are listed in the documentation of evensum.toml";
            Failure::config(format!("{}{place}: {what}", path.display()), advice)
        })?;
        if let (Some(one), Some(other)) = (&config.state, &config.serve.state)
            && one != other
        {
            let what = format!("{}: state and [serve] state name two folders", path.display());
            return Err(Failure::config(what, "keep one of them"));
        }
        config.state = config.serve.state.clone().or(config.state);
        if let Some(folder) = path.parent() {
            config.resolve(folder);
        }
        Ok(config)
    }

    /// Takes relative paths as relative to the file that names them, wherever the program is started.
    fn resolve(&mut self, folder: &Path) {
        let Cluster { nodes, password_file, defaults_file, ssl_ca, ssl_cert, ssl_key, .. } =
            &mut self.cluster;
        let nodes = nodes.iter_mut().flat_map(|node| match node {
            Node::Detailed(node) => [node.password_file.as_mut(), node.defaults_file.as_mut()],
            Node::Address(_) => [None, None],
        });
        let pause_file = &mut self.check.pause_file;
        let Serve { tls_cert, tls_key, tls_client_ca, .. } = &mut self.serve;
        let own = [&mut self.state, password_file, defaults_file, ssl_ca, ssl_cert, ssl_key, pause_file];
        let own = own.into_iter().chain([tls_cert, tls_key, tls_client_ca]).map(Option::as_mut);
        own.chain(nodes).flatten().for_each(|path| *path = folder.join(&*path));
    }

    /// Reads the text; the line and the reason if it cannot be.
    fn parse(text: &str) -> Result<Config, (Option<usize>, String)> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| {
                text.as_bytes()[..span.start.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
            });
            (line, explain(error.message()))
        })
    }
}

/// Turns serde's words for an unknown key into ours, with the nearest known key.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return if message.contains("untagged enum Node") {
            "a node is a text, or { url = …, name = …, password_file = … }".to_owned()
        } else if message.contains("untagged enum Word") {
            "this is a word, or true or false".to_owned()
        } else {
            message.to_owned()
        };
    };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    // between backticks stand, in turn, words of the sentence and names of fields
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let nearest = known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(unknown, key), key))
        .min()
        .filter(|(distance, key)| *distance <= 1 + key.len() / 3);
    match nearest {
        Some((_, key)) => format!("unknown key '{unknown}'; did you mean '{key}'?"),
        None => format!("unknown key '{unknown}'; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let config = Config::parse(
            "[cluster]\nname = \"shop\"\nnodes = [\"mysql://a\", { url = \"mysql://b\", name = \"south\" }]\n\
             [check]\nwhere = \"id > 5\"\n[sync.tables]\n\"shop.*\" = \"majority\"\n",
        )
        .unwrap();
        assert_eq!(config.cluster.name.as_deref(), Some("shop"));
        assert!(
            matches!(&config.cluster.nodes[1], Node::Detailed(node) if node.name.as_deref() == Some("south"))
        );
        assert_eq!(config.check.filter.as_deref(), Some("id > 5"));
        assert_eq!(config.sync.tables["shop.*"], "majority");
    }

    #[test]
    fn relative_paths_belong_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evensum.toml");
        let text =
            "state = \"/var/s\"\n[cluster]\nnodes = [{ url = \"mysql://a\", password_file = \"a.txt\" }]\n";
        std::fs::write(&path, text).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.state.as_deref(), Some(Path::new("/var/s")));
        let Node::Detailed(node) = &config.cluster.nodes[0] else { panic!("{config:?}") };
        assert_eq!(node.password_file, Some(folder.path().join("a.txt")));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line_and_the_nearest() {
        let wrong = |text: &str| Config::parse(text).unwrap_err();
        assert_eq!(
            wrong("[cluster]\nnodes = []\n\n[check]\nignore_tabels = []\n"),
            (Some(5), "unknown key 'ignore_tabels'; did you mean 'ignore_tables'?".into())
        );
        assert_eq!(
            wrong("[cluster]\nnodes = []\n[chekc]\n"),
            (Some(3), "unknown key 'chekc'; did you mean 'check'?".into())
        );
        let (line, what) = wrong("[cluster]\nnodes = []\ncolour = 1\n");
        assert_eq!(
            (line, what.as_str()),
            (
                Some(3),
                "unknown key 'colour'; known here: name, nodes, password_file, defaults_file, ssl_mode, ssl_ca, ssl_cert, ssl_key"
            )
        );
        let (_, what) = wrong("[cluster]\nnodes = [{ name = \"x\" }]\n");
        assert!(what.contains("url"), "{what}");
    }
}

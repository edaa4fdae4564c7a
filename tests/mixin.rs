//! What Prometheus and Grafana are given, held to what a real service says: every metric that a rule, a unit test of the rules, or the
//! dashboard names is one; the text is as Prometheus wants it; and each alert has its place in the documentation.
//!
//! `promtool`, where it is installed (`tests/run` sees to it), also reads the metrics, the rules and each expression of the
//! dashboard, and runs the unit tests of the rules. Without it that part is left out, with a word.

use crate::cluster::{Cluster, POLL, WAIT};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What Prometheus itself says of whom it asks.
const OF_PROMETHEUS: [&str; 1] = ["up"];

fn share(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("share").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(share(path)).unwrap()
}

/// A service at work; it ends with this.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(cluster: &Cluster) -> Serving {
        let config = cluster.path("evensum.toml");
        let more = "[[schedule]]\nname = \"nightly\"\ncron = \"0 3 1 1 *\"\n\
                    [[alert]]\ntype = \"command\"\ncommand = [\"/bin/true\"]\n\
                    [serve]\nlisten = \"127.0.0.1:0\"\nlook_every = \"1s\"\n";
        let text = std::fs::read_to_string(&config).unwrap() + more;
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_evensum"))
            .args(["serve", "--config", config.to_str().unwrap()])
            .env("EVENSUM_STATE", cluster.path("state"))
            .env("HOME", cluster.folder())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        // what it says later is nobody's business here, and must not stop it
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = line.trim().rsplit_once(" on http://").map(|(_, address)| address.to_owned());
        Serving { child, address: address.unwrap_or_else(|| panic!("it said: {line}")) }
    }

    /// The body of an answer.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        body.to_owned()
    }

    /// The metrics, once they have all these words in them.
    fn metrics(&self, words: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let text = self.get("/metrics");
            let missing: Vec<&&str> = words.iter().filter(|word| !text.contains(**word)).collect();
            if missing.is_empty() {
                return text;
            }
            assert!(start.elapsed() < WAIT, "{missing:?} never came: {text}");
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Words that look like names of metrics: ours, and those of Prometheus itself.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metric = |word: &&str| word.starts_with("evensum_") || OF_PROMETHEUS.contains(word);
    words.filter(metric).map(str::to_owned).collect()
}

/// All PromQL of the dashboard.
fn dashboard() -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Value::String(text) if key == "expr" || key == "definition" => {
                            found.push(text.clone())
                        }
                        _ => walk(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_str(&read("grafana/evensum.json")).unwrap(), &mut found);
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The lines of a YAML file that are no comment, joined where an expression is folded over several.
fn expressions(yaml: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = None;
    for line in yaml.lines() {
        let depth = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("expr:"), inside) {
            (Some(rest), _) => {
                inside = Some(depth);
                found.push(rest.trim().trim_start_matches('|').to_owned());
            }
            (None, Some(above)) if depth > above => {
                found.last_mut().unwrap().push_str(&format!(" {}", line.trim()));
            }
            (None, _) => inside = None,
        }
    }
    found
}

/// Splits the text into families, and sees that it is as Prometheus wants it.
fn families(text: &str) -> BTreeMap<String, Vec<String>> {
    assert!(text.ends_with('\n'), "{text}");
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut current, mut series) = (String::new(), BTreeSet::new());
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "the help stands before the type");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert!(families.insert(name.to_owned(), Vec::new()).is_none(), "{name} is said twice");
            current = name.to_owned();
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            assert_eq!(name, current, "a sample stands in its family: {line}");
            assert!(key.contains("{cluster=\"test\""), "{line}");
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            assert!(series.insert(key.to_owned()), "{key} is said twice");
            families.get_mut(name).unwrap().push(line.to_owned());
        }
    }
    families
}

/// `promtool`, if it is there.
fn promtool() -> Option<PathBuf> {
    let set = std::env::var_os("EVENSUM_TEST_PROMTOOL").map(PathBuf::from);
    let found = set.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("promtool")).find(|path| path.is_file())
    });
    if found.is_none() {
        eprintln!("LEFT OUT: promtool is not installed, so the rules were not read by Prometheus' own tool");
    }
    found
}

fn runs(program: &Path, arguments: &[&str], input: &str) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "promtool {arguments:?}: {said:?}");
    // it warns on its standard error and succeeds
    assert!(said[1].is_empty(), "promtool {arguments:?}: {said:?}");
}

#[test]
fn every_metric_that_is_named_is_there_and_is_said_well() {
    let cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)");
    cluster.run(1, "INSERT INTO shop.orders VALUES (1, 1), (2, 2)");
    cluster.settle();
    cluster.corrupt(2, &["UPDATE shop.orders SET v = 9 WHERE id = 2"]);
    let serving = Serving::start(&cluster);
    let before = families(&serving.metrics(&["evensum_up{"]));
    assert_eq!(cluster.evensum(&["check"]).status.code(), Some(1));
    let text = serving.metrics(&[
        "evensum_tables_different{cluster=\"test\"} 1\n",
        "evensum_alerts{cluster=\"test\",alertname=\"MasterDataDivergence\"} 1\n",
        "evensum_replication_running{cluster=\"test\",from=\"n1\",to=\"n2\"} 1\n",
        "evensum_alert_messages_total{cluster=\"test\",sink=\"command\",result=\"sent\"} 1\n",
    ]);
    let known = families(&text);
    // nothing is only there once something has happened
    assert_eq!(before.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    let empty: Vec<&String> =
        known.iter().filter(|(_, samples)| samples.is_empty()).map(|(name, _)| name).collect();
    assert!(empty.is_empty(), "these have no sample even after a check: {empty:?}");
    assert!(
        text.contains("evensum_table_rows_different{cluster=\"test\",table=\"shop.orders\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("evensum_check_runs_total{cluster=\"test\",result=\"different\"} 1\n"), "{text}");

    let mut used = named(&dashboard().join(" "));
    let rules = expressions(&read("prometheus/evensum.rules.yml"));
    assert!(rules.len() >= 9, "{rules:?}");
    used.extend(named(&rules.join(" ")));
    let tests = read("prometheus/evensum.test.yml");
    let series = tests.lines().filter_map(|line| line.trim_start().strip_prefix("- series:"));
    used.extend(series.flat_map(named));
    for name in used.iter().filter(|name| !OF_PROMETHEUS.contains(&name.as_str())) {
        assert!(known.contains_key(name), "{name} is no metric of evensum");
    }
    // the dashboard shows all there is
    let shown = named(&dashboard().join(" "));
    let unseen: Vec<&String> = known.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(unseen.is_empty(), "the dashboard does not show {unseen:?}");
    if let Some(promtool) = promtool() {
        runs(&promtool, &["check", "metrics"], &text);
    }
}

#[test]
fn the_rules_do_what_their_unit_tests_say() {
    let Some(promtool) = promtool() else { return };
    let path = |name: &str| share(name).display().to_string();
    runs(&promtool, &["check", "rules", &path("prometheus/evensum.rules.yml")], "");
    runs(&promtool, &["test", "rules", &path("prometheus/evensum.test.yml")], "");
    // the expressions of the dashboard are read as if they were rules
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (n, text) in dashboard().iter().enumerate().filter(|(_, text)| !text.starts_with("label_values(")) {
        let text = Value::String(text.replace("$cluster", ".+"));
        rules.push_str(&format!("  - record: panel\n    expr: {text}\n    labels: {{n: \"{n}\"}}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yml");
    std::fs::write(&file, rules).unwrap();
    runs(&promtool, &["check", "rules", file.to_str().unwrap()], "");
}

#[test]
fn alerts_are_known_documented_and_complete() {
    let rules = read("prometheus/evensum.rules.yml");
    let tests = read("prometheus/evensum.test.yml");
    let manual =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/service.md")).unwrap();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    let names: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.lines().next()).collect();
    assert_eq!(names.len(), alerts.len(), "a name stands for one alert");
    for alert in &alerts {
        let name = alert.lines().next().unwrap();
        for key in ["expr:", "for:", "severity:", "summary:", "description:", "runbook_url:"] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
        let anchor = format!("/service.md#{}\n", name.to_lowercase());
        assert!(alert.contains(&anchor), "{name}: its runbook is {anchor}");
        assert!(
            manual.contains(&format!("\n### {name}\n")),
            "the documentation does not say what to do on {name}"
        );
        let fires =
            tests.split("alertname: ").any(|test| test.starts_with(name) && !test.contains("exp_alerts: []"));
        assert!(fires, "no unit test has {name} fire");
    }
    // what the service tells by itself has the same names
    for name in service_alerts() {
        assert!(names.contains(name.as_str()), "{name} is told by the service and has no rule");
    }
}

/// The names in `alerts::findings`, which this crate cannot import.
fn service_alerts() -> BTreeSet<String> {
    let source = include_str!("../src/alerts/findings.rs");
    let constants =
        source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \""));
    let names: BTreeSet<String> =
        constants.map(|(_, rest)| rest.trim_end_matches("\";").to_owned()).collect();
    assert!(names.len() >= 7, "{names:?}");
    names
}

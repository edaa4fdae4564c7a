//! What is typed, and what is said back: words, streams and exit codes. Needs no server.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `evensum` with these arguments, its state in `folder`, and nothing of the caller's environment that it would read.
pub fn evensum(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(args)
        .env("EVENSUM_STATE", folder.join("state"))
        .env("HOME", folder)
        .env_remove("EVENSUM_CONFIG")
        .env_remove("EVENSUM_PASSWORD")
        .env_remove("EVENSUM_PASSWORD_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The exit code, stdout and stderr.
pub fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn refused(args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = said(&evensum(folder.path(), args));
    assert_eq!(out, "", "{args:?} wrote data");
    assert!(!err.contains("panicked"), "{err}");
    (code, err)
}

#[test]
fn a_wrong_command_line_is_code_3_and_says_what_is_wrong() {
    for (args, part) in [
        (&["check", "--colour", "mysql://a", "mysql://b"][..], "--colour"),
        (&["chekc"], "check"),
        (&[], "Usage"),
        (&["check"], "at least two"),
        (&["check", "mysql://a"], "at least two"),
        (&["check", "mysql://a", "mysql://a:3306"], "listed twice"),
        (&["check", "db1", "db2"], "mysql://user@host:port"),
        (&["check", "mysql://u:hunter2@a", "mysql://b"], "EVENSUM_PASSWORD"),
        (&["check", "--tables", "orders", "mysql://a", "mysql://b"], "database.table"),
        (&["check", "--settle", "5 days", "mysql://a", "mysql://b"], "no unit"),
        (&["check", "--config", "/nowhere.toml"], "/nowhere.toml"),
        (&["check", "--password-file", "/nowhere", "mysql://a", "mysql://b"], "/nowhere"),
        (&["sync", "--policy", "oldest", "mysql://a", "mysql://b"], "majority"),
        (&["sync", "--name", "../x", "mysql://a", "mysql://b"], "name of a run"),
        (&["sync", "--name", &"x".repeat(49), "mysql://a", "mysql://b"], "at most 48"),
        (&["node"], "--config"),
        (&["node", "--config", "/nowhere.toml"], "/nowhere.toml"),
        (&["demo", "--nodes", "1"], "2..=5"),
        (&["runs", "--show", "nobody"], "no run 'nobody'"),
    ] {
        let (code, err) = refused(args);
        assert_eq!(code, 3, "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
        assert!(!err.contains("hunter2"), "{err}");
    }
}

#[test]
fn a_node_that_is_not_there_is_code_2() {
    let (code, err) = refused(&["check", "mysql://root@127.0.0.1:1", "mysql://root@127.0.0.1:2"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("E0201") && err.contains("127.0.0.1:1") && err.contains("Nothing was changed"),
        "{err}"
    );
}

#[test]
fn a_misspelt_key_of_the_configuration_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evensum.toml");
    std::fs::write(&path, "[cluster]\nnodes = [\"mysql://a\", \"mysql://b\"]\n[check]\ntabels = []\n")
        .unwrap();
    let (code, _, err) = said(&evensum(folder.path(), &["check", "--config", path.to_str().unwrap()]));
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("evensum.toml:4: unknown key 'tabels'; did you mean 'tables'?"), "{err}");
}

#[test]
fn a_broken_state_file_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let path = folder.path().join("state/runs.sqlite");
    let broken = "no database at all, and long enough not to be taken for an empty one";
    std::fs::write(&path, broken).unwrap();
    for args in [
        &["runs"][..],
        &["check", "mysql://root@127.0.0.1:1", "mysql://root@127.0.0.1:2"],
        &["sync", "mysql://root@127.0.0.1:1", "mysql://root@127.0.0.1:2"],
    ] {
        let (code, out, err) = said(&evensum(folder.path(), args));
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(err.contains("E0301") && err.contains("runs.sqlite"), "{err}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    }
}

#[test]
fn help_is_data_and_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["check", "sync", "repair", "node", "status", "doctor", "runs", "demo"] {
        let (code, out, err) = said(&evensum(folder.path(), &[command, "--help"]));
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.matches("\n  evensum ").count() >= 2, "{command}: {out}");
    }
    let (code, out, _) = said(&evensum(folder.path(), &["--version"]));
    assert_eq!((code, out.starts_with("evensum ")), (0, true));
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(["runs", "--json", "--state"])
        .arg(folder.path().join("state"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn a_failure_is_a_document_where_one_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (args, code, name, node) in [
        (&["check", "--json", "mysql://root@127.0.0.1:1", "mysql://root@127.0.0.1:2"][..], 2, "E0201", true),
        (&["sync", "--json", "mysql://a"], 3, "E0101", false),
        (&["node", "--json", "--config", "/nowhere.toml"], 3, "E0104", false),
        (&["runs", "--json", "--limit", "many"], 3, "E0101", false),
        (&["demo", "--json", "--policy", "prefer=mysql://u:hunter2@h"], 3, "E0101", false),
    ] {
        let (found, out, err) = said(&evensum(folder.path(), args));
        assert_eq!(found, code, "{err}");
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["schema_version"], 1, "{out}");
        assert_eq!(document["error"]["code"], name, "{out}");
        assert_eq!(document["error"]["where"].is_string(), node, "{out}");
        assert_eq!(document["error"]["why"].is_string(), node, "{out}");
        assert!(document["error"]["hint"].is_string() && !err.is_empty(), "{out}{err}");
        assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
    }
}

#[test]
fn a_node_says_its_address_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("n.toml");
    let text = format!("datadir = \"{}\"\nport = 0\nserver_id = 7\n", folder.path().join("n").display());
    std::fs::write(&config, text).unwrap();
    // its input has ended already, so it stops as soon as it is ready
    let args = ["node", "--json", "--until-input-ends", "--config", config.to_str().unwrap()];
    let (code, out, err) = said(&evensum(folder.path(), &args));
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["schema_version"], &document["node"]), (&1.into(), &7.into()), "{out}");
    assert!(document["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{out}");
}

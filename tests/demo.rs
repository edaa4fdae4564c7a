//! The demonstration, as a person runs it: it must go through, and leave nothing behind.

use crate::commands::{evensum, said};

/// What it wrote to stdout and to stderr.
fn demo(args: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = said(&evensum(folder.path(), args));
    assert_eq!(code, 0, "{out}{err}");
    let story = if args.contains(&"--json") { &err } else { &out };
    let process = story.lines().find_map(|line| line.split("evensum-demo-").nth(1)).expect("a folder");
    let process: String = process.chars().take_while(char::is_ascii_digit).collect();
    let left = std::env::temp_dir().join(format!("evensum-demo-{process}"));
    assert!(!left.exists(), "{} was left behind", left.display());
    (out, err)
}

#[test]
fn two_masters_come_apart_and_together() {
    let (out, _) = demo(&["demo"]);
    for part in
        ["Last_SQL_Errno: 1062", "found: all 9 rows", "\ndifferent: 9 rows", "\nidentical: ", "done in "]
    {
        assert!(out.contains(part), "no '{part}' in {out}");
    }
}

#[test]
fn a_ring_of_three_is_mended_by_its_majority() {
    let (out, err) = demo(&["demo", "--nodes", "3", "--policy", "majority", "--json"]);
    assert!(err.contains("found: all 9 rows") && err.contains("\nidentical: "), "{err}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["schema_version"], &told["verdict"]), (&1.into(), &"identical".into()), "{out}");
    assert_eq!((&told["found"], told["planted"].as_array().unwrap().len()), (&9.into(), 9), "{out}");
    assert!(told["mended"].as_u64().unwrap() >= 9 && told["elapsed_ms"].as_u64().unwrap() > 0, "{out}");
    assert!(told["nodes"][2]["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{out}");
    let writers = told["writers"].as_array().unwrap();
    assert_eq!(writers.len(), 3);
    assert!(writers.iter().all(|writer| writer["transactions"].as_u64().unwrap() > 0), "{out}");
}

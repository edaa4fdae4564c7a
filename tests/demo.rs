//! The demonstration, as a person runs it: it must go through, and leave nothing behind.

use crate::commands::{evensum, said};

fn demo(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = said(&evensum(folder.path(), args));
    assert_eq!(code, 0, "{out}{err}");
    let process = out.lines().find_map(|line| line.split("evensum-demo-").nth(1)).expect("a folder");
    let process: String = process.chars().take_while(char::is_ascii_digit).collect();
    let left = std::env::temp_dir().join(format!("evensum-demo-{process}"));
    assert!(!left.exists(), "{} was left behind", left.display());
    out
}

#[test]
fn two_masters_come_apart_and_together() {
    let out = demo(&["demo"]);
    for part in
        ["Last_SQL_Errno: 1062", "found: all 9 rows", "\ndifferent: 9 rows", "\nidentical: ", "done in "]
    {
        assert!(out.contains(part), "no '{part}' in {out}");
    }
}

#[test]
fn a_ring_of_three_is_mended_by_its_majority() {
    let out = demo(&["demo", "--nodes", "3", "--policy", "majority"]);
    assert!(out.contains("found: all 9 rows") && out.contains("\nidentical: "), "{out}");
}

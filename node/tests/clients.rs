//! Clients that others wrote, on bundled nodes: what a reader of the articles has at hand.
//!
//! `dumps` carries data from node to node, and from and to a real MariaDB, with the stock programs; `python` writes with
//! mysql-connector-python, as the application of the second article does. Where a program is not
//! installed a test says so and checks nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;
#[path = "clients/dumps.rs"]
mod dumps;
#[path = "clients/python.rs"]
mod python;

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Whether a program is there; if not, says so.
fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: {program} is not installed; nothing was checked");
    }
    found
}

/// Runs a stock program as root on a node, with this on its standard input.
fn run(program: &str, port: u16, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--default-character-set=utf8mb4"])
        .arg(format!("--port={port}"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // a client that stopped at an error does not read on; its own words tell
    drop(writer.join().unwrap());
    output
}

/// What the stock client prints for a text of statements, which have to succeed.
fn mariadb(port: u16, args: &[&str], statements: &str) -> String {
    let output = run("mariadb", port, args, statements.as_bytes());
    assert!(output.status.success(), "{statements}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

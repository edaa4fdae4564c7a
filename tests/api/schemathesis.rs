//! The OpenAPI document against the server: schemathesis makes up requests from it, right ones and wrong ones, and sees whether each
//! answer is one that the document says.
//!
//! It is a Python program, pinned in requirements.txt, and installed once into a folder beside the build. Where that cannot be done
//! the test says so and passes: the document is still held against the table of endpoints, and the matrix against the server.
//!
//! It is run several times. By and by some operations end the door by which they came, and then all the rest would be tested as nobody:
//! [`APART`] says which, and they come last, each by itself.

use crate::cluster::Cluster;
use crate::served::{PASSWORD, Said, Served};
use serde_json::json;
use std::path::Path;
use std::process::Command;

const REQUIREMENTS: &str = "tests/api/requirements.txt";

/// How many requests are made up for each operation, and the number from which they come: the same each time. With all the time in
/// the world, more and other ones.
fn extent() -> (&'static str, String) {
    match std::env::var_os("EVENSUM_TEST_FULL") {
        None => ("10", "1".to_owned()),
        Some(_) => ("150", std::process::id().to_string()),
    }
}

/// What comes after all else, and why.
const APART: [&str; 4] = [
    // the names of accounts that were listed would be tried, and the asking one is among them
    "removeAccount",
    // an account has so many tokens at most, and the oldest goes first: the one by which all is asked
    "makeToken",
    // ends the token by which it is asked
    "logOut",
    // from the sixth made-up password on nobody is looked at any more
    "logIn",
];

/// Asks with these operations; what it says.
fn fuzz(program: &Path, served: &Served, folder: &Path, operations: &[[&str; 2]]) -> String {
    let url = format!("http://{}", served.host());
    // where the program knows which of several ways to be known is used, it sees that none other opens
    let config = folder.join("schemathesis.toml");
    std::fs::write(&config, format!("[auth.openapi.token]\nbearer = \"{}\"\n", served.token)).unwrap();
    let (examples, seed) = extent();
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("{url}/api/v1/openapi.json"), "--url", &url])
        .args(["--header", "X-Evensum-Request: 1"])
        .args(["--checks", "all", "--max-examples", examples, "--seed", &seed, "--continue-on-failure"])
        .args(operations.as_flattened())
        // minutes of looking for the shortest example
        .args(["--no-shrink", "--suppress-health-check", "all", "--warnings", "off", "--no-color"])
        .current_dir(folder)
        .env("NO_PROXY", "127.0.0.1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let counts = said.lines().find(|line| line.contains(" generated")).unwrap_or_else(|| panic!("{said}"));
    println!("schemathesis: {operations:?}: {}", counts.trim());
    said
}

#[test]
fn the_server_answers_as_its_document_says() {
    let program = match crate::python::installed("schemathesis", REQUIREMENTS) {
        Ok(programs) => programs.join("schemathesis"),
        Err(why) => {
            eprintln!("\n!! NOT TESTED: the server against its OpenAPI document: no schemathesis: {why}\n");
            return;
        }
    };
    let cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.orders (id INT NOT NULL PRIMARY KEY, v VARCHAR(20))");
    cluster.run(1, "INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two')");
    cluster.settle();
    cluster.corrupt(2, &["DELETE FROM shop.orders WHERE id = 2"]);
    let more = "[[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\ncatch_up = \"none\"\n";
    let mut served =
        Served::start(&cluster, Said { serve: "look_every = \"1s\"\n", more, ..Said::default() });
    let run = served.post("/api/v1/runs", &json!({})).accepted();
    served.until_ended(&run);
    served.account("ann", "viewer", PASSWORD);
    let session = served.log_in("admin", PASSWORD).session();
    let without: Vec<[&str; 2]> = APART.iter().map(|name| ["--exclude-operation-id", name]).collect();
    let said = fuzz(&program, &served, cluster.folder(), &without);
    assert!(said.contains("31 selected"), "{said}");
    // it is as well as before, by the same token: what was asked was not asked as nobody
    served.get("/api/v1/status").of(200);
    assert!(served.get("/api/v1/audit").of(200)["broken_at"].is_null());
    for name in APART {
        fuzz(&program, &served, cluster.folder(), &[["--include-operation-id", name]]);
        served.token = match name {
            "removeAccount" => served.token.clone(),
            _ => served.token_of(&session),
        };
    }
    assert!(!served.said().contains("panicked"), "{}", served.said());
}

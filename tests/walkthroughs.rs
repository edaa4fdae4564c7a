//! What five articles about master-master replication have their readers type, typed: against two bundled nodes, and against two
//! MariaDB servers.
//!
//! Each file in `walkthroughs/` is one article: every command of it in its order, and what must be printed. Only addresses, ports and
//! folders are other than in print (`terms` says how). Where MariaDB has other words for a thing, the file says which; what
//! the article shows must be printed by both. `script` reads the files, `stage` holds two servers and types.
//!
//! To write what bundled nodes print into the files anew: `EVENSUM_TEST_WRITE=1`; then read the difference.
//!
//! Not verified: what a graphical client shows, and commands that are not for the database (firewalls, packages, MMM).

mod script;
mod stage;
mod terms;

use script::{Block, Script, Verb};
use stage::{Make, Stage};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The application of the second article wants it, at the version that the node's own tests ask for.
const CONNECTOR: &str = "node/tests/clients/requirements.txt";
/// How long what replication has to carry may take.
const SOON: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/walkthroughs").join(name)
}

/// Types all articles.
fn walk_all(make: Make) {
    let wrong: Vec<String> = ARTICLES.iter().filter_map(|name| walk(name, make).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Types one article; what was other than the article says.
fn walk(name: &str, make: Make) -> Result<(), String> {
    let path = file(name);
    let mut script = Script::read(&path);
    let python = match script.blocks.iter().any(|block| block.verb == Verb::Python) {
        true => match crate::python::installed("mysql-connector", CONNECTOR) {
            Ok(programs) => Some(programs.join("python")),
            Err(why) => {
                eprintln!("\n!! NOT TESTED: {name} on {make:?}: no mysql-connector-python: {why}\n");
                return Ok(());
            }
        },
        false => None,
    };
    let mut stage = Stage::set(make, &script.hosts, script.recorded, python);
    let mut wrong = Vec::new();
    let write = std::env::var_os("EVENSUM_TEST_WRITE").is_some() && make == Make::Bundled;
    for block in &mut script.blocks {
        let Some(body) = block.body_for(make) else { continue };
        let body = body.to_owned();
        // once something is wrong, what follows on it is not waited for
        let patience = if write || !wrong.is_empty() { Duration::from_secs(3) } else { SOON };
        let printed = perform(&mut stage, block, &body, patience);
        if write {
            block.keep(&printed);
        } else if let Err(difference) = block.compare(make, &printed) {
            wrong.push(format!("line {}: {}\n{difference}", block.line, block.title));
        }
    }
    if write {
        std::fs::write(&path, script.text()).unwrap();
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("{name} on {make:?}:\n{}", wrong.join("\n"))),
    }
}

/// Does what a block says. What depends on replication is tried again until it is as expected, or until the time is over.
fn perform(stage: &mut Stage, block: &Block, body: &str, patience: Duration) -> String {
    let begun = Instant::now();
    loop {
        let printed = match block.verb {
            Verb::Options(n) => stage.configure(n, body),
            Verb::Restart(n) => stage.restart(n),
            Verb::Stop(n) => stage.stop(n),
            Verb::Sql(n) => stage.sql(n, body),
            Verb::Shell(n) => stage.shell(n, body),
            Verb::Python => stage.python(body),
            Verb::Evensum => stage.evensum(body),
        };
        if !block.soon || begun.elapsed() > patience || block.compare(stage.make(), &printed).is_ok() {
            return printed;
        }
        std::thread::sleep(POLL);
    }
}

const ARTICLES: [&str; 5] = [
    "1-how-it-works.txt",
    "2-active-active.txt",
    "3-retail.txt",
    "4-introduction.txt",
    "5-redundant-infrastructure.txt",
];

#[test]
fn bundled_nodes_do_what_the_articles_say() {
    walk_all(Make::Bundled);
}

#[test]
fn mariadb_servers_do_the_same() {
    if crate::servers::mariadb_is_missing() {
        return;
    }
    walk_all(Make::MariaDb);
}

#[test]
fn every_file_is_an_article() {
    let mut files: Vec<String> = std::fs::read_dir(file(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".txt"))
        .collect();
    files.sort();
    assert_eq!(files, ARTICLES);
}

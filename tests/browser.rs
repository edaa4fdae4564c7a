//! The page in a real browser: a bundled pair, the service, and a Chromium that is driven without a screen.
//!
//! `browser/page.mjs` says what is done and what is looked at: an account is made, a divergence followed to its columns, its alert
//! acknowledged, its repair planned and carried out; dark and light, narrow and wide. Chromium and node are looked for; the two
//! libraries of `browser/package.json` are installed into a folder that goes away. Where one of them is missing this says so and
//! tests nothing: `tests/run` installs them. `EVENSUM_TEST_SHOTS` names a folder in which the screenshots stay.

use crate::cluster::{Cluster, WAIT};
use crate::commands::said;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// The tables that differ, one for each of the four looks.
const TABLES: [&str; 4] = ["shop.t1", "shop.t2", "shop.t3", "shop.t4"];
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A program of the search path.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The libraries, installed; or why they are not.
fn install(folder: &Path) -> Result<(), String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/package.json");
    std::fs::copy(package, folder.join("package.json")).map_err(|error| error.to_string())?;
    let npm = Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"])
        .current_dir(folder)
        .output()
        .map_err(|error| error.to_string())?;
    match npm.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&npm.stderr).into_owned()),
    }
}

/// The service, ended when this is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Served {
    /// Starts it, and waits until it says where the first account is made.
    fn start(cluster: &Cluster) -> (Served, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_evensum"))
            .args(["serve", "--config"])
            .arg(cluster.path("evensum.toml"))
            .env("EVENSUM_STATE", cluster.path("state"))
            .env("HOME", cluster.folder())
            .env_remove("EVENSUM_CONFIG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let served = Served(child);
        let (sender, receiver) = mpsc::channel();
        // what it says later is read too, lest it wait for a reader
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("make the first one at ") {
                    let _ = sender.send(url.to_owned());
                }
            }
        });
        let url = receiver.recv_timeout(WAIT).expect("the service says where the first account is made");
        (served, url)
    }
}

/// A pair of which four tables differ in one column of one row, with a schedule and what the service needs.
fn diverged() -> Cluster {
    let cluster = Cluster::start(2);
    let config = cluster.path("evensum.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str(
        "[[schedule]]\nname = \"nightly\"\ncron = \"30 1 * * *\"\ntimezone = \"Europe/Helsinki\"\ntables = [\"shop.*\"]\n\
         [serve]\nlisten = \"127.0.0.1:0\"\nlook_every = \"1s\"\n",
    );
    std::fs::write(&config, text).unwrap();
    cluster.run(1, "CREATE DATABASE shop");
    for table in TABLES {
        let columns = "id INT NOT NULL PRIMARY KEY, customer VARCHAR(40), amount DECIMAL(10,2)";
        cluster.run(1, &format!("CREATE TABLE {table} ({columns})"));
        let rows: Vec<String> = (1..=20).map(|id| format!("({id}, 'customer {id}', {id}.50)")).collect();
        cluster.run(1, &format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
    }
    cluster.settle();
    for table in TABLES {
        let sql = format!("UPDATE {table} SET customer = 'somebody <b>else</b>' WHERE id = 7");
        cluster.corrupt(2, &[&sql]);
    }
    cluster
}

#[test]
fn a_divergence_is_followed_and_mended_in_a_browser_and_nothing_is_in_the_way() {
    let chromium = CHROMIUM.into_iter().find_map(program);
    let (Some(chromium), Some(node), Some(_)) = (chromium, program("node"), program("npm")) else {
        eprintln!(
            "SKIPPED: the page was not tested, because there is no chromium, node or npm; tests/run installs them"
        );
        return;
    };
    let modules = tempfile::tempdir().unwrap();
    if let Err(why) = install(modules.path()) {
        eprintln!("SKIPPED: the page was not tested, because npm could not install its libraries: {why}");
        return;
    }
    let cluster = diverged();
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "shop.*"]));
    assert_eq!(code, 1, "{out} {err}");
    let (_served, url) = Served::start(&cluster);
    let shots = std::env::var_os("EVENSUM_TEST_SHOTS").map_or(cluster.path("shots"), PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(modules.path()).arg(chromium).arg(&shots).arg(url).args(TABLES);
    let seen = command.env("HOME", cluster.folder()).output().unwrap();
    let (code, out, err) = said(&seen);
    assert_eq!(code, 0, "{out}\n{err}");
    let taken = std::fs::read_dir(&shots).unwrap().count();
    assert!(taken >= 4 * 12, "only {taken} screenshots");
    for table in TABLES {
        for n in [1, 2] {
            let rows = cluster.ask(n, &format!("SELECT customer FROM {table} WHERE id = 7"));
            assert_eq!(rows, [[Some("customer 7".to_owned())]], "{table} on n{n}");
        }
    }
}

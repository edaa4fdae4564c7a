//! mysql-connector-python from PyPI, with its C extension and without: the application of the second article, and what else an
//! application does.

use super::cluster::{Member, ring, settle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The article's program, with the indentation that the page has lost.
const APPLICATION: &str = include_str!("application.py");
const CONNECTOR: &str = include_str!("connector.py");
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// It is installed once.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A Python that has the connector, made beside the build if need be; says so where it cannot be.
fn python() -> Option<PathBuf> {
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mysql-connector");
    let run = |command: &mut Command| match command.output() {
        Err(error) => Err(format!("{command:?}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    };
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/requirements.txt");
    let done = home.join("installed");
    if std::fs::read_to_string(&done).ok().as_deref() != Some(REQUIREMENTS) {
        let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).and_then(|()| {
            run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(wanted))
        });
        if let Err(why) = made {
            eprintln!("\n!! NOT TESTED: mysql-connector-python: {why}\n");
            return None;
        }
        // what was begun and broken off is no installation
        std::fs::write(&done, REQUIREMENTS).unwrap();
    }
    Some(home.join("bin/python"))
}

/// Runs a program; what it printed.
fn run(python: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(python).args(["-c", program]).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_application_of_the_article_writes_to_either_master() {
    let Some(python) = python() else { return };
    let mut masters = ring(2);
    masters[0].client.run(&[
        "CREATE DATABASE retail_db",
        "CREATE TABLE retail_db.orders (order_id INT AUTO_INCREMENT PRIMARY KEY, customer_id INT, order_date DATE, \
         amount DECIMAL(10,2), region VARCHAR(50))",
    ]);
    settle(&mut masters);
    let place = |n: usize| format!("\"127.0.0.1\", \"port\": {}", masters[n - 1].node.address().port());
    let mut program = APPLICATION
        .replace("\"192.168.1.10\"", &place(1))
        .replace("\"192.168.1.11\"", &place(2))
        .replace("app_user", "root")
        .replace("app_password", "");
    for pure in ["True", "False"] {
        // the article lets the program choose
        program = program.replace("connect(**", &format!("connect(use_pure={pure}, **"));
        run(&python, &program, &[]);
        program = program.replace(&format!("use_pure={pure}, "), "");
    }
    // each master in its turn, so that both were written whatever was chosen above
    for n in [1, 2] {
        run(&python, &program.replace("choice(masters)", &format!("masters[{}]", n - 1)), &[]);
    }
    settle(&mut masters);
    for master in &mut masters {
        let sums = "SELECT COUNT(*), SUM(amount), MIN(region), MIN(order_date) FROM retail_db.orders";
        assert_eq!(master.client.text(sums), "4,399.96,North,2023-06-15");
    }
    // odd on one master, even on the other
    assert_eq!(masters[0].client.text("SELECT COUNT(DISTINCT order_id % 2) FROM retail_db.orders"), "2");
}

#[test]
fn the_connector_finds_what_it_asks_for() {
    let Some(python) = python() else { return };
    let node = Member::new(1, 1);
    let port = node.node.address().port().to_string();
    for how in ["pure", "c"] {
        let said = run(&python, CONNECTOR, &[&port, how]);
        assert_eq!(said, "all is as it should be\n", "{how}");
    }
}

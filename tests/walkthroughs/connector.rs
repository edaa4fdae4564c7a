//! A Python that has mysql-connector-python from PyPI, as the application of the second article wants it.
//!
//! It is made once, beside the build, at the version that the node's own tests ask for. The machine needs python3 and a way to PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

/// That version.
const REQUIREMENTS: &str = "node/tests/clients/requirements.txt";

/// The interpreter.
pub fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mysql-connector");
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join(REQUIREMENTS);
    let wanted_text = std::fs::read_to_string(&wanted).unwrap();
    let done = home.join("installed");
    if std::fs::read_to_string(&done).ok().as_ref() != Some(&wanted_text) {
        let run = |command: &mut Command| {
            let said = command.output().unwrap();
            assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(wanted));
        // what was begun and broken off is no installation
        std::fs::write(&done, wanted_text).unwrap();
    }
    home.join("bin/python")
}

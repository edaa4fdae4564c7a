//! Python programs from PyPI, at the versions that a file pins, each in a folder of its own beside the build.
//!
//! Made once. The machine needs python3 with its venv and a way to PyPI; who finds that it cannot be done says so in its own words.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// One is made at a time.
static MAKING: Mutex<()> = Mutex::new(());

/// The folder of the programs that this folder has, installed if need be by a file of requirements; why it cannot be.
pub fn installed(name: &str, requirements: &str) -> Result<PathBuf, String> {
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join(requirements);
    let text = std::fs::read_to_string(&wanted).unwrap();
    let run = |command: &mut Command| match command.output() {
        Err(error) => Err(format!("{command:?}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    };
    let done = home.join("installed");
    if std::fs::read_to_string(&done).ok().as_ref() != Some(&text) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(wanted))?;
        // what was begun and broken off is no installation
        std::fs::write(&done, text).map_err(|error| error.to_string())?;
    }
    Ok(home.join("bin"))
}

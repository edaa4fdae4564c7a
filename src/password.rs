//! Where passwords come from, in this order: a password file, the environment, an option file, a prompt.
//!
//! Invariant: a file that holds a password and can be read by others is refused, as others may have read it already.
//! A password is a [`Secret`] from here to the driver, and is never an argument of a process.
//! Not here: what option files look like ([`crate::option_file`]), login paths.

use crate::error::Failure;
use crate::option_file::{OptionFile, missing, open_to_others, read, too_open};
use database::Secret;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What the command line and the configuration say about passwords.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--password-file`, or the node's own.
    pub file: Option<PathBuf>,
    /// What the option file of `--defaults-file`, or the node's own, or the user's own says.
    pub options: OptionFile,
}

/// The password by every way but asking; `None` if nobody said one.
pub fn find(sources: &Sources) -> Result<Option<Secret>, Failure> {
    if let Some(path) = &sources.file {
        return first_line(path).map(Some);
    }
    if let Some(path) = std::env::var_os("EVENSUM_PASSWORD_FILE") {
        return first_line(Path::new(&path)).map(Some);
    }
    if let Ok(password) = std::env::var("EVENSUM_PASSWORD") {
        return Ok(Some(Secret::new(password)));
    }
    sources.options.password()
}

/// Asks on the terminal, without showing what is typed; `None` if there is no terminal.
pub fn ask(node: &str, user: &str) -> Result<Option<Secret>, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let answer = rpassword::prompt_password(format!("password of {user} on {node}: "));
    answer
        .map(|password| Some(Secret::new(password)))
        .map_err(|error| Failure::password(format!("cannot read a password from the terminal: {error}"), ""))
}

/// The first line of a file that only its owner may read.
pub fn first_line(path: &Path) -> Result<Secret, Failure> {
    if open_to_others(path) {
        return Err(too_open(path));
    }
    let text = read(path)?.ok_or_else(|| missing(path))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let open = file("open", "hunter2\n", 0o644);
        let refusal = first_line(&open).unwrap_err().to_string();
        assert!(refusal.contains("chmod 600") && !refusal.contains("hunter2"), "{refusal}");
        let closed = file("closed", "hunter2\nmore\n", 0o600);
        assert_eq!(first_line(&closed).unwrap().reveal(), "hunter2");
        assert!(first_line(&folder.path().join("none")).is_err());
    }
}

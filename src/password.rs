//! Where passwords come from, in this order: a password file, the environment, an option file, a prompt.
//!
//! Invariant: a file that holds a password and can be read by others is refused, as others may have read it already.
//! A password is a [`Secret`] from here to the driver, and is never an argument of a process.
//! Not here: `!include` of option files, login paths.

use crate::error::Failure;
use database::Secret;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

/// A password file is a line; what is longer is another file by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the command line and the configuration say about passwords.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--password-file`, or the node's own.
    pub file: Option<PathBuf>,
    /// `--defaults-file`, or the node's own.
    pub option_file: Option<PathBuf>,
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
    match &sources.option_file {
        Some(path) => from_option_file(path, true),
        None => match std::env::home_dir() {
            Some(home) => from_option_file(&home.join(".my.cnf"), false),
            None => Ok(None),
        },
    }
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

fn first_line(path: &Path) -> Result<Secret, Failure> {
    let text = read_private(path)?.ok_or_else(|| missing(path))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Secret::new(line))
}

fn missing(path: &Path) -> Failure {
    let what = format!("the file {} is not there", path.display());
    Failure::password(what, "name an existing file, or use EVENSUM_PASSWORD")
}

/// The password in the groups `[client]`, `[client-mariadb]` and `[evensum]` of an option file; the last one counts.
fn from_option_file(path: &Path, must_exist: bool) -> Result<Option<Secret>, Failure> {
    let unprotected = std::fs::metadata(path).is_ok_and(|metadata| open_to_others(&metadata));
    let text = match read(path) {
        Ok(Some(text)) => text,
        Ok(None) if must_exist => return Err(missing(path)),
        Ok(None) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let password = password_of(&text);
    // an option file without a password may be read by anybody
    if password.is_some() && unprotected { Err(too_open(path)) } else { Ok(password) }
}

fn password_of(text: &str) -> Option<Secret> {
    let (mut ours, mut password) = (false, None);
    for line in text.lines().map(str::trim) {
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            ours = matches!(group, "client" | "client-mariadb" | "evensum");
        } else if let (true, Some((key, value))) = (ours, line.split_once('='))
            && key.trim() == "password"
        {
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q));
            password = Some(Secret::new(quoted.unwrap_or(value)));
        }
    }
    password
}

/// Reads a file that only its owner may read; `None` if there is none.
fn read_private(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) if open_to_others(&metadata) => Err(too_open(path)),
        _ => read(path),
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    let unreadable =
        |why: &dyn std::fmt::Display| Failure::password(format!("cannot read {}: {why}", path.display()), "");
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return Err(unreadable(&"it is too long to be meant"));
        }
        _ => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(|error| unreadable(&error))
}

#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

fn too_open(path: &Path) -> Failure {
    let path = path.display();
    let what = format!("{path} holds a password and can be read by others");
    Failure::password(what, format!("chmod 600 {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = file(folder.path(), "open", "hunter2\n", 0o644);
        let refusal = first_line(&open).unwrap_err().to_string();
        assert!(refusal.contains("chmod 600") && !refusal.contains("hunter2"), "{refusal}");
        let closed = file(folder.path(), "closed", "hunter2\nmore\n", 0o600);
        assert_eq!(first_line(&closed).unwrap().reveal(), "hunter2");
        let options = file(folder.path(), "my.cnf", "[client]\npassword=x\n", 0o640);
        assert!(from_option_file(&options, true).is_err());
        let harmless = file(folder.path(), "other.cnf", "[client]\nuser=x\n", 0o644);
        assert_eq!(from_option_file(&harmless, true).unwrap(), None);
        assert!(from_option_file(&folder.path().join("none"), true).is_err());
        assert_eq!(from_option_file(&folder.path().join("none"), false).unwrap(), None);
    }

    #[test]
    fn the_groups_of_clients_count_and_the_last_wins() {
        let text = "[mysqld]\npassword=server\n# password=no\n[client]\npassword = \"a b\"\n[mysqldump]\npassword=d\n\
                    [evensum]\nuser=u\n";
        assert_eq!(password_of(text).unwrap().reveal(), "a b");
        let text = format!("{text}password='e'\n");
        assert_eq!(password_of(&text).unwrap().reveal(), "e");
        assert_eq!(password_of("[mysqld]\npassword=server\n"), None);
    }
}

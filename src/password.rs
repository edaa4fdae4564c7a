//! Where passwords come from, in this order: a password file, systemd's credentials (`evensum-password.NODE` of one node,
//! `evensum-password` of all), the environment, an option file, a prompt.
//!
//! Invariant: a file that holds a password and can be read by others is refused, as others may have read it already. Credentials
//! are excepted: systemd lets nobody else into their folder, and opens the files in it to us by an access list, which looks like
//! the rights of a group.
//! A password is a [`Secret`] from here to the driver, and is never an argument of a process.
//! Not here: what option files look like ([`crate::option_file`]), login paths.

use crate::error::Failure;
use crate::option_file::{OptionFile, missing, open_to_others, read, too_open};
use database::Secret;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The credential with the password of all nodes that have none of their own; with `.NODE` behind it, of one node.
const CREDENTIAL: &str = "evensum-password";

/// What the command line and the configuration say about passwords.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What the node is called.
    pub node: Box<str>,
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
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY")
        && let Some(secret) = credential(Path::new(&folder), &sources.node)?
    {
        return Ok(Some(secret));
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
    Ok(line_of(&read(path)?.ok_or_else(|| missing(path))?))
}

fn line_of(text: &str) -> Secret {
    Secret::new(text.lines().next().unwrap_or_default())
}

/// The password of a node in systemd's folder of credentials: its own, else that of all.
fn credential(folder: &Path, node: &str) -> Result<Option<Secret>, Failure> {
    let own = format!("{CREDENTIAL}.{}", credential_name(node));
    for name in [own.as_str(), CREDENTIAL] {
        if let Some(text) = read(&folder.join(name))? {
            return Ok(Some(line_of(&text)));
        }
    }
    Ok(None)
}

/// A node's name as it stands in the name of a credential, which is the name of a file.
fn credential_name(node: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    node.chars().map(|c| if plain(c) { c } else { '_' }).collect()
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

    #[test]
    fn a_credential_of_the_node_goes_before_that_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let find = |node: &str| {
            let secret = credential(folder.path(), node).unwrap();
            secret.map(|secret| secret.reveal().to_owned())
        };
        assert_eq!(find("db1"), None);
        std::fs::write(folder.path().join("evensum-password"), "of all\nmore\n").unwrap();
        std::fs::write(folder.path().join("evensum-password.db1_3306"), "of db1").unwrap();
        std::fs::write(folder.path().join("evensum-password..._secret"), "of a strange name").unwrap();
        assert_eq!(find("db1").as_deref(), Some("of all"));
        assert_eq!(find("db1:3306").as_deref(), Some("of db1"));
        // a name is never a path
        assert_eq!(find("../secret").as_deref(), Some("of a strange name"));
        assert_eq!(credential_name("süd [2]"), "s_d__2_");
    }

    #[cfg(unix)]
    #[test]
    fn a_credential_may_look_as_if_others_could_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evensum-password");
        std::fs::write(&path, "hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(credential(folder.path(), "n1").unwrap().unwrap().reveal(), "hunter2");
    }
}

//! Option files: what `~/.my.cnf` and its like say about reaching a server, in the words of MySQL's and MariaDB's clients.
//!
//! The groups `[client]`, `[client-server]`, `[client-mariadb]` and `[evensum]` count, and within the whole the last word on a
//! subject; those of single programs (`[mysql]`, `[mysqldump]`) are not ours. Understood are host, port, user, password, socket,
//! ssl and `ssl-*`; anything else is for other programs. `!include FILE` and `!includedir FOLDER` are followed.
//!
//! Invariant: a password from a file that others can read is never used; see [`OptionFile::password`].
//! Not here: login paths (`~/.mylogin.cnf`), environment, prompts, and the precedence over what was said elsewhere.

use crate::error::Failure;
use database::Secret;
use database::target::{Said, port_number};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An option file is short; what is longer is another file by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How deep files may include each other.
const INCLUDES_DEEP_MAX: u32 = 10;
/// The groups that count.
const GROUPS: [&str; 4] = ["client", "client-server", "client-mariadb", "evensum"];

/// What option files say.
#[derive(Clone, Debug, Default)]
pub struct OptionFile {
    /// The way to the server.
    pub said: Said,
    password: Option<Secret>,
    /// The file that holds the password, if others can read it.
    unprotected: Option<PathBuf>,
}

impl OptionFile {
    /// Reads the file, or the user's own if none is named.
    pub fn open(named: Option<&Path>) -> Result<OptionFile, Failure> {
        let mut file = OptionFile::default();
        match (named, std::env::home_dir()) {
            (Some(path), _) if !file.read(path, 0)? => Err(missing(path)),
            (Some(_), _) | (None, None) => Ok(file),
            (None, Some(home)) => file.read(&home.join(".my.cnf"), 0).map(|_| file),
        }
    }

    /// The password, if one was said.
    pub fn password(&self) -> Result<Option<Secret>, Failure> {
        match &self.unprotected {
            // an option file without a password may be read by anybody
            Some(path) if self.password.is_some() => Err(too_open(path)),
            _ => Ok(self.password.clone()),
        }
    }

    /// Takes in what a file says; false if there is none.
    fn read(&mut self, path: &Path, depth: u32) -> Result<bool, Failure> {
        let Some(text) = read(path)? else { return Ok(false) };
        let mut ours = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let wrong = |why: &dyn std::fmt::Display| {
                let what = format!("{}:{}: {why}", path.display(), index + 1);
                Failure::config(what, "correct the option file, or name another one with --defaults-file")
            };
            if line.is_empty() || line.starts_with(['#', ';']) {
            } else if let Some(rest) = line.strip_prefix('!') {
                if depth >= INCLUDES_DEEP_MAX {
                    return Err(wrong(&"files include each other too deep"));
                }
                self.include(rest, depth + 1)
                    .map_err(|why| why.unwrap_or_else(|| wrong(&"no such include")))?;
            } else if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                ours = GROUPS.contains(&group.trim());
            } else if ours {
                let (key, value) = line.split_once('=').unwrap_or((without_comment(line), ""));
                self.take(key.trim(), &value_of(value), path).map_err(|why| wrong(&why))?;
            }
        }
        Ok(true)
    }

    /// Follows `include FILE` and `includedir FOLDER`; the failure, or none if there is nothing to follow.
    fn include(&mut self, directive: &str, depth: u32) -> Result<(), Option<Failure>> {
        let (word, path) = directive.split_once(char::is_whitespace).ok_or(None)?;
        let path = Path::new(path.trim());
        let files = match word {
            "include" => vec![path.to_owned()],
            "includedir" => {
                let entries = std::fs::read_dir(path).map_err(|_| None)?;
                let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                files.retain(|file| file.extension().is_some_and(|extension| extension == "cnf"));
                files.sort();
                files
            }
            _ => return Err(None),
        };
        for file in files {
            if !self.read(&file, depth).map_err(Some)? {
                return Err(Some(missing(&file)));
            }
        }
        Ok(())
    }

    /// Takes one option.
    fn take(&mut self, key: &str, value: &str, path: &Path) -> Result<(), String> {
        let key = key.replace('_', "-");
        let key = key.strip_prefix("loose-").unwrap_or(&key);
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match key {
            "host" => self.said.host = text(),
            "port" => self.said.port = Some(port_number(value).map_err(|error| error.to_string())?),
            "user" => self.said.user = text(),
            "socket" => self.said.socket = text().map(PathBuf::from),
            // without a value it asks to be asked
            "password" => {
                self.password = text().map(Secret::new);
                self.unprotected = open_to_others(path).then(|| path.to_owned());
            }
            _ => {
                let (key, value) = match key.strip_prefix("skip-").or_else(|| key.strip_prefix("disable-")) {
                    Some(key) => (key, "0"),
                    None => (key, value),
                };
                self.said.set_encryption(key, value).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// A value without what surrounds it: blanks, quotes, a comment; with what its backslashes stand for.
fn value_of(text: &str) -> String {
    let text = text.trim();
    let quote = text.chars().next().filter(|first| ['"', '\''].contains(first));
    let inner = match quote.and_then(|quote| text[1..].rfind(quote)) {
        Some(end) => &text[1..=end],
        None => without_comment(text),
    };
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('b') => value.push('\u{8}'),
                Some('s') => value.push(' '),
                Some(other @ ('\\' | '"' | '\'')) => value.push(other),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    value
}

fn without_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default().trim()
}

/// Reads a file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
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

/// A file that was named and is not there.
pub fn missing(path: &Path) -> Failure {
    let what = format!("the file {} is not there", path.display());
    Failure::password(what, "name an existing file, or use EVENSUM_PASSWORD")
}

/// Whether others than its owner may read a file.
#[cfg(unix)]
pub fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

/// Whether others than its owner may read a file.
#[cfg(not(unix))]
pub fn open_to_others(_: &Path) -> bool {
    false
}

/// A file whose password others may have read already.
pub fn too_open(path: &Path) -> Failure {
    let path = path.display();
    let what = format!("{path} holds a password and can be read by others");
    Failure::password(what, format!("chmod 600 {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::target::Encryption;

    /// Writes a file that nobody else can read.
    fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        open(&path, 0o600);
        path
    }

    #[cfg(unix)]
    fn open(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(text: &str) -> OptionFile {
        let folder = tempfile::tempdir().unwrap();
        OptionFile::open(Some(&file(folder.path(), "my.cnf", text))).unwrap()
    }

    fn password(text: &str) -> Option<String> {
        read(text).password().unwrap().map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn the_groups_of_clients_count_and_the_last_wins() {
        let text = "[mysqld]\npassword=server\nport=9\n# password=no\n[client]\npassword = \"a b\"\n[mysqldump]\npassword=d\n\
                    [evensum]\nuser=u\n";
        assert_eq!(password(text).as_deref(), Some("a b"));
        assert_eq!(read(text).said.port, None);
        assert_eq!(password(&format!("{text}password='e'\n")).as_deref(), Some("e"));
        assert_eq!(password("[mysqld]\npassword=server\n"), None);
        assert_eq!(password("[client-server]\npassword=x # why\n").as_deref(), Some("x"));
        assert_eq!(password("[client]\npassword='x # y'\n").as_deref(), Some("x # y"));
        assert_eq!(password("[client]\npassword = a\\\\b\\s\\x\n").as_deref(), Some("a\\b \\x"));
        assert_eq!(password("[client]\npassword\n"), None);
    }

    #[test]
    fn the_way_to_the_server_is_there_too() {
        let said = read(
            "[client]\nhost=db1\nport=3307\nuser=check\nsocket=/run/s\nssl_ca=/ca.pem\nssl-cert=/c\nssl-key=/k\n\
             default-character-set=utf8mb4\nquick\n[mysql]\nhost=other\n",
        )
        .said;
        assert_eq!(
            (said.host.as_deref(), said.port, said.user.as_deref()),
            (Some("db1"), Some(3307), Some("check"))
        );
        assert_eq!((said.socket, said.certificates.own), (Some("/run/s".into()), Some("/c".into())));
        let mode = |text: &str| read(&format!("[client]\n{text}\n")).said.finish().encryption;
        for (text, encryption) in [
            ("ssl", Encryption::Required),
            ("ssl=0", Encryption::Disabled),
            ("skip-ssl", Encryption::Disabled),
            ("ssl-ca=/ca.pem", Encryption::VerifyCa),
            ("ssl-ca=/ca.pem\nssl-verify-server-cert", Encryption::VerifyIdentity),
            ("ssl-ca=/ca.pem\nssl-verify-server-cert=0", Encryption::VerifyCa),
            ("loose-ssl-mode=REQUIRED # at least", Encryption::Required),
        ] {
            assert_eq!(mode(text), encryption, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for (text, part) in [
            ("[client]\n\nport=70000\n", ":3: '70000' is not a port"),
            ("[client]\nssl-mode=perhaps\n", ":2: 'perhaps' is no ssl-mode"),
            ("!includedir /no/such/folder\n", ":1: no such include"),
            ("!include\n", ":1: no such include"),
        ] {
            let path = file(folder.path(), "wrong.cnf", text);
            let failure = OptionFile::open(Some(&path)).unwrap_err();
            assert_eq!(failure.outcome.code(), 3, "{failure}");
            assert!(failure.to_string().contains(part), "{failure}");
        }
        assert!(OptionFile::open(Some(&folder.path().join("none"))).is_err());
    }

    #[test]
    fn files_include_files_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let parts = folder.path().join("parts");
        std::fs::create_dir(&parts).unwrap();
        file(&parts, "b.cnf", "[client]\nuser=b\n");
        file(&parts, "a.cnf", "[client]\nuser=a\nport=1\n");
        file(&parts, "c.txt", "[client]\nuser=c\n");
        let text = format!("[client]\nhost=db1\n!includedir {}\n", parts.display());
        let said = OptionFile::open(Some(&file(folder.path(), "my.cnf", &text))).unwrap().said;
        assert_eq!(
            (said.user.as_deref(), said.port, said.host.as_deref()),
            (Some("b"), Some(1), Some("db1"))
        );
        let path = folder.path().join("self.cnf");
        let path = file(folder.path(), "self.cnf", &format!("!include {}\n", path.display()));
        assert!(OptionFile::open(Some(&path)).unwrap_err().to_string().contains("too deep"));
        let path = file(folder.path(), "gone.cnf", "!include /no/such/file\n");
        assert!(OptionFile::open(Some(&path)).unwrap_err().to_string().contains("/no/such/file"));
    }

    #[test]
    #[cfg(unix)]
    fn a_password_that_others_can_read_is_refused_and_all_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "my.cnf", "[client]\nuser=u\npassword=hunter2\n");
        open(&path, 0o640);
        let options = OptionFile::open(Some(&path)).unwrap();
        assert_eq!(options.said.user.as_deref(), Some("u"));
        let refusal = options.password().unwrap_err().to_string();
        assert!(refusal.contains("chmod 600") && !refusal.contains("hunter2"), "{refusal}");
        let outer = file(folder.path(), "outer.cnf", &format!("!include {}\n", path.display()));
        assert!(OptionFile::open(Some(&outer)).unwrap().password().is_err());
        let harmless = file(folder.path(), "other.cnf", "[client]\nuser=x\n");
        open(&harmless, 0o644);
        assert_eq!(OptionFile::open(Some(&harmless)).unwrap().password().unwrap(), None);
    }
}

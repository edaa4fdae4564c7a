//! A node as a person names it, on the command line or in a configuration file.
//!
//! Two forms, because users know both: a URL, `mysql://user@host:port/database?name=north&ssl-mode=REQUIRED`, and the DSN of
//! Maatkit and Percona Toolkit, `h=host,P=3306,u=user,S=/socket,F=/path/my.cnf`, with `\,` for a comma.
//!
//! Invariant: a target holds no password, and a text that has one is refused: what stands in argv can be read by
//! every user of the machine. Where the password comes from is said by the hint of the error.
//!
//! Not here: opening files, reading the environment, connecting.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port where nothing else is said.
pub const DEFAULT_PORT: u16 = 3306;
/// The user where nothing else is said.
pub const DEFAULT_USER: &str = "root";
/// The host where nothing else is said. The address and not the name: see what clients make of `localhost`.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// How to reach a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the node is called in reports: what the person said, else `host:port`, else the socket.
    pub name: Box<str>,
    /// A host name or address.
    pub host: Box<str>,
    /// A TCP port.
    pub port: u16,
    /// The account.
    pub user: Box<str>,
    /// A Unix socket to use instead of host and port.
    pub socket: Option<PathBuf>,
    /// The database that was named with it, if any.
    pub database: Option<Box<str>>,
    /// An option file that holds what else is needed, such as the password (`F=`).
    pub option_file: Option<PathBuf>,
    /// Whether the connection is to be encrypted.
    pub encryption: Encryption,
}

/// Whether a connection is encrypted; `ssl-mode` in MySQL's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Never.
    Disabled,
    /// If both sides can.
    #[default]
    Preferred,
    /// Or no connection.
    Required,
    /// And the certificate must come from a known authority.
    VerifyCa,
    /// And it must name this host.
    VerifyIdentity,
}

/// Why a text names no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(String);

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

const NO_PASSWORD: &str = "a password is not taken here, because everybody on this machine could read it: \
     use the environment variable EVENSUM_PASSWORD, a password file or an option file";

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let mut parts = Parts::default();
        if let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) {
            parts.read_url(rest)?;
        } else if text.contains("://") {
            return Err(wrong("only mysql:// is understood"));
        } else if text.contains('=') {
            parts.read_dsn(text)?;
        } else {
            return Err(wrong("write mysql://user@host:port or h=host,P=port,u=user"));
        }
        Ok(parts.finish())
    }
}

fn wrong(reason: impl Into<String>) -> TargetError {
    TargetError(reason.into())
}

/// What was said, before defaults fill the rest.
#[derive(Default)]
struct Parts {
    name: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    socket: Option<PathBuf>,
    database: Option<String>,
    option_file: Option<PathBuf>,
    encryption: Encryption,
}

impl Parts {
    fn read_url(&mut self, rest: &str) -> Result<(), TargetError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let address = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(wrong(NO_PASSWORD)),
            Some((user, address)) => {
                self.user = Some(percent_decoded(user)?);
                address
            }
            None => authority,
        };
        let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) => (host, port.strip_prefix(':').or(Some(port))),
            Some(None) => return Err(wrong(format!("'{address}' has no closing bracket"))),
            None => match address.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(wrong(format!("an IPv6 address stands in brackets: [{address}]")));
                }
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        self.host = Some(percent_decoded(host)?).filter(|host| !host.is_empty());
        self.port = port.map(port_number).transpose()?;
        self.database = Some(percent_decoded(database)?).filter(|name| !name.is_empty());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.set_option(key, percent_decoded(value)?)?;
        }
        Ok(())
    }

    fn set_option(&mut self, key: &str, value: String) -> Result<(), TargetError> {
        match key {
            "name" => self.name = Some(value),
            "socket" => self.socket = Some(value.into()),
            "ssl-mode" | "sslmode" | "ssl_mode" => self.encryption = encryption(&value)?,
            "password" => return Err(wrong(NO_PASSWORD)),
            _ => return Err(wrong(format!("'{key}' is not known; there are name, socket and ssl-mode"))),
        }
        Ok(())
    }

    fn read_dsn(&mut self, text: &str) -> Result<(), TargetError> {
        for part in split_at_commas(text) {
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(format!("'{part}' has no '='")))?;
            let value = value.to_owned();
            match key {
                "h" => self.host = Some(value),
                "P" => self.port = Some(port_number(&value)?),
                "u" => self.user = Some(value),
                "S" | "mysql_socket" => self.socket = Some(value.into()),
                "F" => self.option_file = Some(value.into()),
                "D" => self.database = Some(value),
                "n" => self.name = Some(value),
                "p" => return Err(wrong(NO_PASSWORD)),
                "A" if value.eq_ignore_ascii_case("utf8mb4") || value.eq_ignore_ascii_case("utf8") => {}
                "A" => return Err(wrong("A= is always utf8mb4 here")),
                _ => {
                    return Err(wrong(format!(
                        "'{key}' is not known; there are h (host), P (port), u (user), S (socket), F (option file), \
                         D (database) and n (name); case matters"
                    )));
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Target {
        let host = self.host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let address = match &self.socket {
            Some(socket) => socket.display().to_string(),
            None if host.contains(':') => format!("[{host}]:{port}"),
            None => format!("{host}:{port}"),
        };
        Target {
            name: self.name.filter(|name| !name.is_empty()).unwrap_or(address).into(),
            host: host.into(),
            port,
            user: self.user.unwrap_or_else(|| DEFAULT_USER.to_owned()).into(),
            socket: self.socket,
            database: self.database.map(Into::into),
            option_file: self.option_file,
            encryption: self.encryption,
        }
    }
}

fn port_number(text: &str) -> Result<u16, TargetError> {
    text.parse()
        .ok()
        .filter(|&port| port > 0)
        .ok_or_else(|| wrong(format!("'{text}' is not a port; a port is a number from 1 to 65535")))
}

fn encryption(text: &str) -> Result<Encryption, TargetError> {
    Ok(match text.to_ascii_lowercase().replace('-', "_").as_str() {
        "disabled" => Encryption::Disabled,
        "preferred" => Encryption::Preferred,
        "required" => Encryption::Required,
        "verify_ca" => Encryption::VerifyCa,
        "verify_identity" => Encryption::VerifyIdentity,
        _ => {
            return Err(wrong(format!(
                "'{text}' is no ssl-mode; there are DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY"
            )));
        }
    })
}

/// Splits at commas that no backslash stands before, and takes these backslashes away.
fn split_at_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('\\', Some(part)) if characters.next_if_eq(&',').is_some() => part.push(','),
            (',', _) => parts.push(String::new()),
            (_, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

fn percent_decoded(text: &str) -> Result<String, TargetError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.split_at_checked(2).and_then(|(digits, after)| {
            rest = after;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(digits.ok_or_else(|| wrong(format!("'{text}': after % stand two hex digits")))?);
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("'{text}' is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Target>().unwrap_err().to_string()
    }

    #[test]
    fn a_url_says_all() {
        let url = target("mysql://ev%40x@db1.example:3307/shop?name=north&ssl-mode=VERIFY_IDENTITY");
        assert_eq!((&*url.name, &*url.host, url.port, &*url.user), ("north", "db1.example", 3307, "ev@x"));
        assert_eq!((url.database.as_deref(), url.encryption), (Some("shop"), Encryption::VerifyIdentity));
        let bare = target("mysql://db1");
        assert_eq!((&*bare.name, bare.port, &*bare.user), ("db1:3306", 3306, "root"));
        assert_eq!(&*target("mysql://u@[::1]:3307").name, "[::1]:3307");
        assert_eq!(&*target("mysql://u@[::1]").host, "::1");
        assert_eq!(&*target("mysql://u@/?socket=/run/m.sock").name, "/run/m.sock");
    }

    #[test]
    fn a_dsn_says_the_same() {
        let dsn = target(r"h=db1,P=3307,u=ev\,en,S=/run/a\,b,F=/etc/my.cnf");
        assert_eq!((&*dsn.host, dsn.port, &*dsn.user), ("db1", 3307, "ev,en"));
        assert_eq!(dsn.socket, Some("/run/a,b".into()));
        assert_eq!(dsn.option_file, Some("/etc/my.cnf".into()));
        assert_eq!(&*target("h=db1,P=3307").name, "db1:3307");
    }

    #[test]
    fn a_password_is_refused_in_every_form_and_not_repeated() {
        for text in ["mysql://u:hunter2@h", "h=a,p=hunter2", "mysql://u@h?password=hunter2", "mysql://u:@h"] {
            let refusal = refusal(text);
            assert!(refusal.contains("EVENSUM_PASSWORD") && !refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("db1:3306", "mysql://"),
            ("postgres://x", "only mysql://"),
            ("mysql://h:99999", "99999"),
            ("mysql://h:0", "port"),
            ("mysql://::1", "brackets"),
            ("mysql://[::1", "closing"),
            ("mysql://h?colour=red", "colour"),
            ("mysql://h?ssl-mode=maybe", "maybe"),
            ("h=a,Q=1", "'Q'"),
            ("h=a,b", "'b'"),
            ("mysql://a%zz@h", "hex"),
        ] {
            assert!(refusal(text).contains(part), "{text}: {}", refusal(text));
        }
    }
}

//! A node as a person names it, on the command line or in a configuration file.
//!
//! Two forms, because users know both: a URL, `mysql://user@host:port/database?name=north&ssl-mode=REQUIRED`, and the DSN of
//! Maatkit and Percona Toolkit, `h=host,P=3306,u=user,S=/socket,F=/path/my.cnf`, with `\,` for a comma. What is said of
//! encryption has the names that it has in option files, in both: `ssl-mode`, `ssl-ca`, `ssl-cert`, `ssl-key`.
//!
//! What a person said ([`Said`]) is kept apart from what it comes to ([`Target`]), so that an option file can fill what was
//! left open, and defaults the rest.
//!
//! A file of authorities means that the server's certificate is to be checked, and a certificate of our own that it is to be
//! shown: who names one of them without a mode gets the mode that does so, as with MySQL's clients.
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
    /// The certificates that encryption goes by.
    pub certificates: Certificates,
}

/// Files in PEM form that an encrypted connection goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The authorities that may vouch for the server, beside those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// The certificate that is shown to the server.
    pub own: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

/// Whether a connection is encrypted; `ssl-mode` in MySQL's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
        Ok(text.parse::<Said>()?.finish())
    }
}

impl FromStr for Said {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Said, TargetError> {
        let mut said = Said::default();
        if let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) {
            said.read_url(rest)?;
        } else if text.contains("://") {
            return Err(wrong("only mysql:// is understood"));
        } else if text.contains('=') {
            said.read_dsn(text)?;
        } else {
            return Err(wrong("write mysql://user@host:port or h=host,P=port,u=user"));
        }
        Ok(said)
    }
}

fn wrong(reason: impl Into<String>) -> TargetError {
    TargetError(reason.into())
}

/// What was said of a node, before an option file and defaults fill the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What the node is to be called.
    pub name: Option<String>,
    /// A host name or address.
    pub host: Option<String>,
    /// A TCP port.
    pub port: Option<u16>,
    /// The account.
    pub user: Option<String>,
    /// A Unix socket.
    pub socket: Option<PathBuf>,
    /// A database.
    pub database: Option<String>,
    /// An option file.
    pub option_file: Option<PathBuf>,
    /// Whether the connection is to be encrypted.
    pub encryption: Option<Encryption>,
    /// Whether it is to be encrypted in any case, if no mode was said.
    pub encrypted: bool,
    /// The certificates that encryption goes by.
    pub certificates: Certificates,
}

impl Said {
    /// What is said here, and where it says nothing, what the other says. A socket of the other counts only if no host is
    /// named here: it is a way to one certain server.
    #[must_use]
    pub fn or(self, other: Said) -> Said {
        let local = |host: &str| host.is_empty() || host.eq_ignore_ascii_case("localhost");
        let socket = match &self.host {
            Some(_) => None,
            None => other.socket.filter(|_| other.host.as_deref().is_none_or(local)),
        };
        Said {
            name: self.name.or(other.name),
            socket: self.socket.or(socket),
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            database: self.database.or(other.database),
            option_file: self.option_file.or(other.option_file),
            encryption: self.encryption.or(other.encryption),
            encrypted: self.encrypted || other.encrypted,
            certificates: Certificates {
                authorities: self.certificates.authorities.or(other.certificates.authorities),
                own: self.certificates.own.or(other.certificates.own),
                key: self.certificates.key.or(other.certificates.key),
            },
        }
    }

    /// Takes what options of clients say about encryption, by their names there; false if this is none of them.
    ///
    /// # Errors
    /// If the value cannot be meant.
    pub fn set_encryption(&mut self, key: &str, value: &str) -> Result<bool, TargetError> {
        let path = || Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
        match key.replace('_', "-").as_str() {
            "ssl-mode" | "sslmode" => self.encryption = Some(encryption(value)?),
            "ssl-ca" | "sslca" | "mysql-ssl-ca-file" => self.certificates.authorities = path(),
            "ssl-cert" | "sslcert" | "mysql-ssl-client-cert" => self.certificates.own = path(),
            "ssl-key" | "sslkey" | "mysql-ssl-client-key" => self.certificates.key = path(),
            "ssl" | "mysql-ssl" => {
                self.encrypted = switched_on(value)?;
                if !self.encrypted {
                    self.encryption = Some(Encryption::Disabled);
                } else if self.encryption == Some(Encryption::Disabled) {
                    self.encryption = None;
                }
            }
            "ssl-verify-server-cert" => {
                if switched_on(value)? {
                    self.encryption = Some(Encryption::VerifyIdentity);
                } else if self.encryption == Some(Encryption::VerifyIdentity) {
                    self.encryption = Some(Encryption::Required);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Where and how to connect.
    #[must_use]
    pub fn finish(self) -> Target {
        let host = self.host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let address = match &self.socket {
            Some(socket) => socket.display().to_string(),
            None if host.contains(':') => format!("[{host}]:{port}"),
            None => format!("{host}:{port}"),
        };
        let Certificates { authorities, own, key } = &self.certificates;
        let implied = match (authorities, own.as_ref().or(key.as_ref())) {
            (Some(_), _) => Encryption::VerifyCa,
            (None, Some(_)) => Encryption::Required,
            (None, None) if self.encrypted => Encryption::Required,
            (None, None) => Encryption::Preferred,
        };
        Target {
            name: self.name.filter(|name| !name.is_empty()).unwrap_or(address).into(),
            host: host.into(),
            port,
            user: self.user.unwrap_or_else(|| DEFAULT_USER.to_owned()).into(),
            socket: self.socket,
            database: self.database.map(Into::into),
            option_file: self.option_file,
            encryption: self.encryption.unwrap_or(implied),
            certificates: self.certificates,
        }
    }

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
            "password" => return Err(wrong(NO_PASSWORD)),
            _ if self.set_encryption(key, &value)? => {}
            _ => {
                return Err(wrong(format!(
                    "'{key}' is not known; there are name, socket, ssl-mode, ssl-ca, ssl-cert and ssl-key"
                )));
            }
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
                _ if self.set_encryption(key, &value)? => {}
                _ => {
                    return Err(wrong(format!(
                        "'{key}' is not known; there are h (host), P (port), u (user), S (socket), F (option file), \
                         D (database), n (name), ssl-mode, ssl-ca, ssl-cert and ssl-key; case matters"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A port, from 1 on.
///
/// # Errors
/// If the text is none.
pub fn port_number(text: &str) -> Result<u16, TargetError> {
    text.parse()
        .ok()
        .filter(|&port| port > 0)
        .ok_or_else(|| wrong(format!("'{text}' is not a port; a port is a number from 1 to 65535")))
}

/// A switch of an option file; one without a value is on.
fn switched_on(text: &str) -> Result<bool, TargetError> {
    match text.to_ascii_lowercase().as_str() {
        "" | "1" | "on" | "true" | "yes" => Ok(true),
        "0" | "off" | "false" | "no" => Ok(false),
        _ => Err(wrong(format!("'{text}' is neither on nor off"))),
    }
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
    fn certificates_say_what_encryption_is_meant() {
        let modes = [
            ("mysql://h", Encryption::Preferred),
            ("mysql://h?ssl-ca=/ca.pem", Encryption::VerifyCa),
            ("mysql://h?ssl_cert=/c.pem&ssl_key=/k.pem", Encryption::Required),
            ("mysql://h?ssl-ca=/ca.pem&ssl-mode=required", Encryption::Required),
            ("mysql://h?ssl-ca=/ca.pem&ssl-verify-server-cert=1", Encryption::VerifyIdentity),
            ("mysql://h?ssl", Encryption::Required),
            ("mysql://h?ssl&ssl-ca=/ca.pem", Encryption::VerifyCa),
            ("mysql://h?ssl=0&ssl-ca=/ca.pem", Encryption::Disabled),
            ("h=a,mysql_ssl=1", Encryption::Required),
            ("h=a,ssl-mode=VERIFY_IDENTITY,ssl=1", Encryption::VerifyIdentity),
            ("h=a,ssl-mode=DISABLED,ssl-ca=/ca.pem", Encryption::Disabled),
        ];
        for (text, mode) in modes {
            assert_eq!(target(text).encryption, mode, "{text}");
        }
        let files = target("h=a,ssl-ca=/ca.pem,ssl-cert=/c.pem,ssl-key=/k.pem").certificates;
        assert_eq!(files.authorities, Some("/ca.pem".into()));
        assert_eq!((files.own, files.key), (Some("/c.pem".into()), Some("/k.pem".into())));
        assert!(refusal("mysql://h?ssl=perhaps").contains("perhaps"));
    }

    #[test]
    fn what_one_leaves_open_the_other_fills() {
        let said = |text: &str| text.parse::<Said>().unwrap();
        let file = Said { socket: Some("/run/s".into()), ..said("P=3307,u=file") };
        let own = said("mysql://own@db1").or(file.clone()).finish();
        assert_eq!((&*own.user, own.port, &*own.name), ("own", 3307, "db1:3307"));
        // a host that is named is not the server behind a socket that is not
        assert_eq!(own.socket, None);
        assert_eq!(said("F=/x").or(file.clone()).finish().socket, Some("/run/s".into()));
        let elsewhere = Said { host: Some("db9".into()), ..file };
        let filled = said("F=/x").or(elsewhere).finish();
        assert_eq!((filled.socket, &*filled.host), (None, "db9"));
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

//! Encrypted connections: which certificates they go by, and what it means that one is refused.
//!
//! Modes are MySQL's. `VERIFY_CA` takes any server that one of the authorities vouches for; only `VERIFY_IDENTITY` knows one server
//! from another. Authorities that the system trusts count beside those of `ssl-ca`, so `VERIFY_CA` says little on a host that
//! trusts public ones.
//!
//! Invariant: with a mode from `REQUIRED` on nothing is sent in clear, the password least of all; and no mode sends a password in
//! clear over a connection that is not encrypted. Not here: revocation lists, folders of authorities (`ssl-capath`), login methods
//! other than those of MySQL's own accounts.

use super::fault::Fault;
use crate::target::{Encryption, Target};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use std::error::Error as _;
use std::io::ErrorKind;
use std::path::Path;

/// A file of certificates is shorter than this; what is longer is another file by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// "Access denied".
const DENIED: u16 = 1045;

/// Adds what a target says of encryption.
pub(super) async fn encrypted(
    options: MySqlConnectOptions,
    target: &Target,
) -> Result<MySqlConnectOptions, Fault> {
    let mode = match target.encryption {
        Encryption::Disabled => return Ok(options.ssl_mode(MySqlSslMode::Disabled)),
        Encryption::Preferred => MySqlSslMode::Preferred,
        Encryption::Required => MySqlSslMode::Required,
        Encryption::VerifyCa => MySqlSslMode::VerifyCa,
        Encryption::VerifyIdentity => MySqlSslMode::VerifyIdentity,
    };
    let mut options = options.ssl_mode(mode);
    let files = &target.certificates;
    if let Some(path) = &files.authorities {
        options = options.ssl_ca_from_pem(read(path, "ssl-ca", "CERTIFICATE").await?);
    }
    match (&files.own, &files.key) {
        (Some(own), Some(key)) => {
            options = options
                .ssl_client_cert_from_pem(read(own, "ssl-cert", "CERTIFICATE").await?)
                .ssl_client_key_from_pem(read(key, "ssl-key", "PRIVATE KEY").await?);
        }
        (None, None) => {}
        _ => return Err(Fault::Insecure("ssl-cert and ssl-key are named together or not at all".into())),
    }
    Ok(options)
}

/// Reads a file in PEM form.
async fn read(path: &Path, option: &str, what: &str) -> Result<Vec<u8>, Fault> {
    let wrong = |why: &dyn std::fmt::Display| {
        Fault::Insecure(format!("the {option} file {} cannot be used: {why}", path.display()))
    };
    let metadata = tokio::fs::metadata(path).await.map_err(|error| wrong(&error))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(wrong(&"it is too long to be meant"));
    }
    let bytes = tokio::fs::read(path).await.map_err(|error| wrong(&error))?;
    let mark = format!("{what}-----");
    match bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
        true => Ok(bytes),
        false => Err(wrong(&format!("it holds no {what} in PEM form"))),
    }
}

/// What it means that a connection was not made.
pub(super) fn refusal(error: sqlx::Error, target: &Target) -> Fault {
    let words = error.to_string();
    let insecure = |why: String| Fault::Insecure(why);
    match &error {
        sqlx::Error::Io(inner) if inner.kind() == ErrorKind::InvalidData => {
            insecure(explained(&inner.to_string(), target))
        }
        sqlx::Error::Tls(inner) if inner.to_string().contains("does not support TLS") => {
            insecure("encryption is required, and the server offers none".into())
        }
        sqlx::Error::Tls(inner) => insecure(explained(&inner.to_string(), target)),
        sqlx::Error::Configuration(inner) if inner.to_string().contains("RSA") => insecure(format!(
            "the password of {} may be sent over an encrypted connection only, and this one is not; \
             say ssl-mode=REQUIRED, or let the server offer encryption",
            target.user
        )),
        sqlx::Error::Configuration(inner) => insecure(inner.to_string()),
        sqlx::Error::Protocol(why) if why.contains("cleartext") => insecure(format!(
            "the account {} would have its password sent in clear, which is not done here",
            target.user
        )),
        sqlx::Error::Protocol(why) if why.contains("plugin") => {
            insecure(format!("the account {} logs in by a way that is not known here: {why}", target.user))
        }
        sqlx::Error::Database(_) if target.encryption == Encryption::Disabled => match error.into() {
            // a server says the same of a wrong password and of an account that must not log in in clear
            Fault::Server { number: DENIED, message } => Fault::Server {
                number: DENIED,
                message: format!(
                    "{message}; nor is the connection encrypted, which server or account may demand"
                ),
            },
            fault => fault,
        },
        _ if error.source().is_some_and(|source| source.to_string().contains("peer certificate")) => {
            insecure(explained(&words, target))
        }
        _ => error.into(),
    }
}

/// What the library says of certificates, in a sentence.
fn explained(words: &str, target: &Target) -> String {
    let sentence = if words.contains("UnknownIssuer") {
        "no known authority vouches for the server's certificate".to_owned()
    } else if words.contains("not valid for name") || words.contains("NotValidForName") {
        format!("the server's certificate is not one of host {}", target.host)
    } else if words.to_ascii_lowercase().contains("expired") {
        "a certificate has expired".to_owned()
    } else if words.contains("CertificateRequired") || words.contains("certificate required") {
        "the server demands a certificate of ours".to_owned()
    } else if words.contains("BadSignature") {
        "an authority of that name is known, and it did not sign the server's certificate".to_owned()
    } else {
        "the server and this program do not agree about encryption".to_owned()
    };
    format!("{sentence} ({words})")
}

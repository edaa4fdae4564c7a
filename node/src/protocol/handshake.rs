//! The login: the server's greeting, the client's answer, and the proof of the password.
//!
//! `mysql_native_password`: the client proves that it knows the password by
//! `SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))`, over a salt that is new for each connection. A client
//! that begins with another method is asked to switch. The same functions serve the client side of a
//! replication link. Not here: TLS, so the proof is safe to overhear but the session is not.

use super::capability;
use super::wire::{Fields, Malformed, put_bytes, put_terminated};
use database::Secret;
use sha1::{Digest, Sha1};

/// The one authentication method.
pub const NATIVE_PASSWORD: &str = "mysql_native_password";
/// The salt's length; fixed by the method.
pub const SALT_BYTES: usize = 20;
/// The first part of the salt in a greeting; the rest comes later in it.
const SALT_HEAD_BYTES: usize = 8;
/// utf8mb4_general_ci, the collation that a greeting announces.
const COLLATION: u8 = 45;
/// An ERR packet's first byte, which a greeting may be too.
const ERROR_MARK: u8 = 0xff;

/// The greeting's payload.
#[must_use]
pub fn greeting(version: &str, connection_id: u32, salt: &[u8; SALT_BYTES], status: u16) -> Vec<u8> {
    let [c0, c1, c2, c3] = capability::OFFERED.to_le_bytes();
    let mut out = vec![10];
    put_terminated(&mut out, version.as_bytes());
    out.extend_from_slice(&connection_id.to_le_bytes());
    put_terminated(&mut out, &salt[..SALT_HEAD_BYTES]);
    out.extend_from_slice(&[c0, c1, COLLATION]);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&[c2, c3, 21]);
    out.extend_from_slice(&[0; 10]);
    put_terminated(&mut out, &salt[SALT_HEAD_BYTES..]);
    put_terminated(&mut out, NATIVE_PASSWORD.as_bytes());
    out
}

/// What a server says of itself when a client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its version text.
    pub version: String,
    /// The salt for the proof.
    pub salt: Vec<u8>,
    /// The authentication method that it would like.
    pub plugin: Vec<u8>,
}

/// Reads a greeting on the client's side. An ERR packet is not a greeting: look for it first.
pub fn read_greeting(payload: &[u8]) -> Result<Greeting, Malformed> {
    let mut fields = Fields::new(payload);
    if fields.u8()? != 10 {
        return Err(Malformed);
    }
    let version = String::from_utf8_lossy(fields.terminated()?).into_owned();
    fields.u32()?;
    let mut salt = fields.bytes(SALT_HEAD_BYTES)?.to_vec();
    fields.bytes(1 + 2 + 1 + 2 + 2 + 1 + 10)?;
    salt.extend_from_slice(fields.bytes(SALT_BYTES - SALT_HEAD_BYTES)?);
    fields.u8()?;
    let plugin = fields.terminated().unwrap_or(NATIVE_PASSWORD.as_bytes()).to_vec();
    Ok(Greeting { version, salt, plugin })
}

/// What a client answers to the greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The capabilities that it wants, limited to what was offered.
    pub capabilities: u32,
    /// Who it is.
    pub user: String,
    /// The proof of the password (empty if it has none).
    pub proof: Vec<u8>,
    /// The database to begin with.
    pub database: Option<String>,
    /// The method that made the proof.
    pub plugin: Option<Vec<u8>>,
}

/// Why a login cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// It is no login packet of protocol 4.1.
    Malformed,
    /// The client wants TLS, which is not offered.
    WantsTls,
}

impl From<Malformed> for LoginError {
    fn from(_: Malformed) -> LoginError {
        LoginError::Malformed
    }
}

/// Reads the client's answer.
pub fn read_login(payload: &[u8]) -> Result<Login, LoginError> {
    let mut fields = Fields::new(payload);
    let wanted = fields.u32()?;
    if wanted & capability::PROTOCOL_41 == 0 {
        return Err(LoginError::Malformed);
    }
    fields.bytes(4 + 1 + 23)?;
    if wanted & capability::SSL != 0 {
        return Err(LoginError::WantsTls);
    }
    let user = String::from_utf8_lossy(fields.terminated()?).into_owned();
    let proof = if wanted & capability::PLUGIN_AUTH_LENENC != 0 {
        fields.counted()?.to_vec()
    } else if wanted & capability::SECURE_CONNECTION != 0 {
        let count = usize::from(fields.u8()?);
        fields.bytes(count)?.to_vec()
    } else {
        fields.terminated()?.to_vec()
    };
    let mut database = None;
    if wanted & capability::CONNECT_WITH_DB != 0 && !fields.is_empty() {
        let name = String::from_utf8_lossy(fields.terminated()?).into_owned();
        database = Some(name).filter(|name| !name.is_empty());
    }
    let mut plugin = None;
    if wanted & capability::PLUGIN_AUTH != 0 && !fields.is_empty() {
        plugin = Some(fields.terminated()?.to_vec());
    }
    Ok(Login { capabilities: wanted & capability::OFFERED, user, proof, database, plugin })
}

/// The login that a replication link sends.
#[must_use]
pub fn login(user: &str, proof: &[u8]) -> Vec<u8> {
    let wanted = capability::LONG_PASSWORD
        | capability::PROTOCOL_41
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH
        | capability::PLUGIN_AUTH_LENENC;
    let mut out = wanted.to_le_bytes().to_vec();
    out.extend_from_slice(&u32::MAX.to_le_bytes());
    out.push(COLLATION);
    out.extend_from_slice(&[0; 23]);
    put_terminated(&mut out, user.as_bytes());
    put_bytes(&mut out, proof);
    put_terminated(&mut out, NATIVE_PASSWORD.as_bytes());
    out
}

/// Asks the client to prove its password by the native method.
#[must_use]
pub fn switch_request(salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let mut out = vec![0xfe];
    put_terminated(&mut out, NATIVE_PASSWORD.as_bytes());
    put_terminated(&mut out, salt);
    out
}

/// Whether a payload is an ERR packet; then its number and message.
#[must_use]
pub fn read_error(payload: &[u8]) -> Option<(u16, String)> {
    let mut fields = Fields::new(payload);
    if fields.u8() != Ok(ERROR_MARK) {
        return None;
    }
    let code = fields.u16().ok()?;
    let rest = fields.remaining();
    let message = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
    Some((code, String::from_utf8_lossy(message).into_owned()))
}

/// The proof that a client sends: empty for the empty password.
#[must_use]
pub fn proof(password: &Secret, salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.reveal().as_bytes());
    let twice = Sha1::digest(once);
    let salted = Sha1::new().chain_update(salt).chain_update(twice).finalize();
    once.iter().zip(salted).map(|(a, b)| a ^ b).collect()
}

/// Whether `given` proves `password`. All bytes are looked at, so that the time tells nothing.
#[must_use]
pub fn proves(password: &Secret, salt: &[u8], given: &[u8]) -> bool {
    let expected = proof(password, salt);
    expected.len() == given.len() && expected.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = *b"abcdefghijklmnopqrst";

    #[test]
    fn the_proof_is_the_one_of_the_formula() {
        // SHA1("secret") XOR SHA1(salt + SHA1(SHA1("secret"))), computed with Python's hashlib.
        let secret = Secret::new("secret");
        let made = proof(&secret, &SALT);
        let hex: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "8817c50fa779daef010ee7577825b0847df9842e");
        assert!(proves(&secret, &SALT, &made));
        assert!(!proves(&Secret::new("Secret"), &SALT, &made));
        assert!(!proves(&secret, b"abcdefghijklmnopqrsu", &made));
        assert!(!proves(&secret, &SALT, b""));
        assert!(proves(&Secret::default(), &SALT, b""));
        assert!(!proves(&Secret::default(), &SALT, &made));
    }

    #[test]
    fn a_greeting_and_a_login_come_back() {
        let greeted = read_greeting(&greeting("8.0.99", 7, &SALT, 2)).unwrap();
        assert_eq!((greeted.version.as_str(), greeted.salt.as_slice()), ("8.0.99", &SALT[..]));
        assert_eq!(greeted.plugin, NATIVE_PASSWORD.as_bytes());
        let read = read_login(&login("repl", &[1, 2, 3])).unwrap();
        assert_eq!((read.user.as_str(), read.proof.as_slice()), ("repl", &[1, 2, 3][..]));
        assert_eq!(read.database, None);
    }

    #[test]
    fn a_login_that_is_cut_off_is_refused() {
        let whole = login("repl", &[1, 2, 3]);
        for cut in 0..whole.len() - NATIVE_PASSWORD.len() - 1 {
            assert!(read_login(&whole[..cut]).is_err(), "{cut} bytes were taken");
        }
    }

    #[test]
    fn an_error_is_told_from_a_greeting() {
        assert_eq!(
            read_error(b"\xff\x10\x04#08004Too many connections"),
            Some((1040, "Too many connections".into()))
        );
        assert_eq!(read_error(b"\x0a8.0"), None);
    }
}

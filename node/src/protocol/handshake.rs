//! The login: the server's greeting, the client's answer, and the proof of the password.
//!
//! `mysql_native_password`: the client proves that it knows the password by
//! `SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))`, over a salt that is new for each connection. A client
//! that begins with another method is asked to switch. The same functions serve the client side of a
//! replication link. A client that wants TLS says so before its login (`wants_tls`); what follows travels encrypted.

use super::capability;
use super::wire::{Fields, Malformed, put_bytes, put_terminated};
use database::Secret;
use sha1::{Digest, Sha1};

/// The authentication method that a greeting offers.
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
pub fn greeting(
    version: &str,
    connection_id: u32,
    salt: &[u8; SALT_BYTES],
    status: u16,
    tls: bool,
) -> Vec<u8> {
    let offered = if tls { capability::OFFERED | capability::SSL } else { capability::OFFERED };
    let [c0, c1, c2, c3] = offered.to_le_bytes();
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
    /// Whether it offers TLS.
    pub tls: bool,
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
    fields.u8()?;
    let tls = u32::from(fields.u16()?) & capability::SSL != 0;
    fields.bytes(1 + 2 + 2 + 1 + 10)?;
    salt.extend_from_slice(fields.bytes(SALT_BYTES - SALT_HEAD_BYTES)?);
    fields.u8()?;
    let plugin = fields.terminated().unwrap_or(NATIVE_PASSWORD.as_bytes()).to_vec();
    Ok(Greeting { version, salt, plugin, tls })
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

/// Whether the client's first answer asks to go on encrypted; its login then follows.
#[must_use]
pub fn wants_tls(payload: &[u8]) -> bool {
    Fields::new(payload).u32().is_ok_and(|wanted| wanted & capability::SSL != 0)
}

/// Reads the client's answer.
pub fn read_login(payload: &[u8]) -> Result<Login, Malformed> {
    let mut fields = Fields::new(payload);
    let wanted = fields.u32()?;
    if wanted & capability::PROTOCOL_41 == 0 {
        return Err(Malformed);
    }
    fields.bytes(4 + 1 + 23)?;
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

/// Reads what follows the command's byte of COM_CHANGE_USER, from a client with these capabilities.
pub fn read_change_user(payload: &[u8], capabilities: u32) -> Result<Login, Malformed> {
    let mut fields = Fields::new(payload);
    let user = String::from_utf8_lossy(fields.terminated()?).into_owned();
    let proof = if capabilities & capability::SECURE_CONNECTION != 0 {
        let count = usize::from(fields.u8()?);
        fields.bytes(count)?.to_vec()
    } else {
        fields.terminated()?.to_vec()
    };
    let name = String::from_utf8_lossy(fields.terminated()?).into_owned();
    let database = Some(name).filter(|name| !name.is_empty());
    let mut plugin = None;
    if !fields.is_empty() {
        fields.u16()?; // the character set, which is utf8mb4 here in any case
        if capabilities & capability::PLUGIN_AUTH != 0 && !fields.is_empty() {
            plugin = Some(fields.terminated()?.to_vec());
        }
    }
    Ok(Login { capabilities, user, proof, database, plugin })
}

/// What a replication link wants.
const WANTED_BY_LINKS: u32 = capability::LONG_PASSWORD
    | capability::PROTOCOL_41
    | capability::SECURE_CONNECTION
    | capability::PLUGIN_AUTH
    | capability::PLUGIN_AUTH_LENENC;

/// The beginning of every answer to a greeting; alone, with the capability SSL, it asks for TLS.
fn answer_head(wanted: u32) -> Vec<u8> {
    let mut out = wanted.to_le_bytes().to_vec();
    out.extend_from_slice(&u32::MAX.to_le_bytes());
    out.push(COLLATION);
    out.extend_from_slice(&[0; 23]);
    out
}

/// Asks the source to go on encrypted.
#[must_use]
pub fn tls_request() -> Vec<u8> {
    answer_head(WANTED_BY_LINKS | capability::SSL)
}

/// The login that a replication link sends.
#[must_use]
pub fn login(user: &str, proof: &[u8]) -> Vec<u8> {
    let mut out = answer_head(WANTED_BY_LINKS);
    put_terminated(&mut out, user.as_bytes());
    put_bytes(&mut out, proof);
    put_terminated(&mut out, NATIVE_PASSWORD.as_bytes());
    out
}

/// Asks the client to prove its password by that method.
#[must_use]
pub fn switch_request(plugin: &str, salt: &[u8]) -> Vec<u8> {
    let mut out = vec![0xfe];
    put_terminated(&mut out, plugin.as_bytes());
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
        assert!(proof(&Secret::default(), &SALT).is_empty());
    }

    #[test]
    fn a_greeting_and_a_login_come_back() {
        let greeted = read_greeting(&greeting("8.0.99", 7, &SALT, 2, true)).unwrap();
        assert_eq!((greeted.version.as_str(), greeted.salt.as_slice()), ("8.0.99", &SALT[..]));
        assert_eq!(greeted.plugin, NATIVE_PASSWORD.as_bytes());
        assert!(greeted.tls && !read_greeting(&greeting("8", 7, &SALT, 2, false)).unwrap().tls);
        assert!(wants_tls(&tls_request()) && !wants_tls(&login("repl", b"")) && !wants_tls(b"\x00\x08"));
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
    fn a_change_of_user_is_read_and_refused_where_it_is_cut_off() {
        let all = capability::SECURE_CONNECTION | capability::PLUGIN_AUTH;
        let whole = b"app\0\x03abcshop\0\x2d\0mysql_native_password\0attributes";
        let read = read_change_user(whole, all).unwrap();
        assert_eq!((read.user.as_str(), &read.proof[..]), ("app", &b"abc"[..]));
        assert_eq!(
            (read.database.as_deref(), read.plugin.as_deref()),
            (Some("shop"), Some(NATIVE_PASSWORD.as_bytes()))
        );
        // What comes behind the database is up to the client.
        let short = read_change_user(&whole[..13], all).unwrap();
        assert_eq!((short.database.as_deref(), short.plugin), (Some("shop"), None));
        let to_the_plugin = whole.len() - "\0attributes".len();
        for cut in (0..13).chain([14]).chain(16..=to_the_plugin) {
            assert!(read_change_user(&whole[..cut], all).is_err(), "{cut} bytes were taken");
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

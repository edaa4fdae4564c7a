//! Passwords as they are kept, and the proofs of them.
//!
//! `mysql_native_password` keeps `*` and SHA1(SHA1(password)) in hex. `caching_sha2_password` keeps a salt and 5000 rounds
//! of SHA-crypt (`$A$005$…`), as MySQL does, and can check a client's short proof only after it has once seen the password
//! itself, which a client sends over TLS alone. What it needs for the short proof, SHA256(SHA256(password)), is kept in
//! memory under the kept form, so that a new password makes the old entry useless. Neither form lets anybody log in who
//! has read it. Invariant: a password in clear is in a [`Secret`] or gone.

use crate::SqlError;
use database::Secret;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The length of a kept form's salt, in bytes.
pub const SALT_BYTES: usize = 20;
/// The longest password, in bytes, as in MySQL: its hash takes a time that grows with the square of its length.
pub const MAX_PASSWORD_BYTES: usize = 256;
/// The rounds of SHA-crypt, in thousands, as the kept form says it.
const ROUNDS: &str = "005";
/// The same number, as it is run.
const ROUND_COUNT: usize = 5000;
/// The most short proofs that are remembered; beyond that all are forgotten and learnt again.
const MAX_REMEMBERED: usize = 4096;
/// The length of SHA-crypt's result, in characters.
const DIGEST_CHARACTERS: usize = 43;

/// A method to prove a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plugin {
    /// The one that every client and link can speak without TLS, so the one that a new account gets.
    #[default]
    #[serde(rename = "mysql_native_password")]
    Native,
    /// MySQL 8's.
    #[serde(rename = "caching_sha2_password")]
    CachingSha2,
}

impl Plugin {
    /// Its name in the protocol and in statements.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Plugin::Native => "mysql_native_password",
            Plugin::CachingSha2 => "caching_sha2_password",
        }
    }

    /// The plugin of that name, or error 1524.
    pub fn of_name(name: &str) -> Result<Plugin, SqlError> {
        [Plugin::Native, Plugin::CachingSha2]
            .into_iter()
            .find(|plugin| plugin.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| SqlError::new(1524, "HY000", format!("Plugin '{name}' is not loaded")))
    }

    /// The kept form of a password; empty for the empty one. Error 1819 if it is too long.
    pub fn keep(self, password: &Secret, random: &[u8; SALT_BYTES]) -> Result<String, SqlError> {
        if password.is_empty() {
            return Ok(String::new());
        }
        if password.reveal().len() > MAX_PASSWORD_BYTES {
            let message = "Your password does not satisfy the current policy requirements";
            return Err(SqlError::new(1819, "HY000", message));
        }
        Ok(match self {
            Plugin::Native => native(password),
            Plugin::CachingSha2 => {
                let salt: Vec<u8> = random.iter().map(|byte| BASE64[usize::from(byte % 64)]).collect();
                let digest = sha_crypt(password.reveal().as_bytes(), &salt);
                format!("$A${ROUNDS}${}{digest}", String::from_utf8_lossy(&salt))
            }
        })
    }

    /// A kept form that no password has, for a user that there is not: its proof is asked for and checked like any other.
    #[must_use]
    pub fn of_nobody(self) -> String {
        match self {
            Plugin::Native => format!("*{}", "0".repeat(40)),
            Plugin::CachingSha2 => format!("$A${ROUNDS}${}", ".".repeat(SALT_BYTES + DIGEST_CHARACTERS)),
        }
    }

    /// Refuses what is no kept form of this plugin (1827).
    pub fn check_form(self, kept: &str) -> Result<(), SqlError> {
        let fits = match self {
            Plugin::Native => twice(kept).is_some(),
            Plugin::CachingSha2 => parts(kept).is_some(),
        };
        if fits || kept.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(1827, "HY000", "The password hash doesn't have the expected format."))
    }
}

/// `*` and SHA1(SHA1(password)).
#[must_use]
pub fn native(password: &Secret) -> String {
    let twice = Sha1::digest(Sha1::digest(password.reveal().as_bytes()));
    twice.iter().fold("*".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

/// The 20 bytes of a native kept form.
fn twice(kept: &str) -> Option<Vec<u8>> {
    let digits = kept.strip_prefix('*').filter(|digits| digits.len() == 40 && digits.is_ascii())?;
    (0..20).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()).collect()
}

/// Whether a native proof over that salt proves the password that is kept so.
#[must_use]
pub fn native_proves(kept: &str, salt: &[u8], proof: &[u8]) -> bool {
    if kept.is_empty() {
        return proof.is_empty();
    }
    let Some(twice) = twice(kept).filter(|twice| twice.len() == proof.len()) else { return false };
    let salted = Sha1::new().chain_update(salt).chain_update(&twice).finalize();
    let once: Vec<u8> = proof.iter().zip(salted).map(|(a, b)| a ^ b).collect();
    same(&Sha1::digest(once), &twice)
}

/// Compares all bytes, so that the time tells nothing.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The proof of caching_sha2_password: SHA256(p) XOR SHA256(SHA256(SHA256(p)) + salt); empty for the empty password.
#[must_use]
pub fn sha2_proof(password: &Secret, salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password.reveal().as_bytes());
    let salted = Sha256::new().chain_update(Sha256::digest(once)).chain_update(salt).finalize();
    once.iter().zip(salted).map(|(a, b)| a ^ b).collect()
}

/// Salt and digest of a kept form of caching_sha2_password.
fn parts(kept: &str) -> Option<(&str, &str)> {
    let rest = kept.strip_prefix("$A$")?.strip_prefix(ROUNDS)?.strip_prefix('$')?;
    if !rest.is_ascii() || rest.len() != SALT_BYTES + DIGEST_CHARACTERS {
        return None;
    }
    Some(rest.split_at(SALT_BYTES))
}

/// The short proofs that can be checked: SHA256(SHA256(password)) by kept form.
#[derive(Default)]
pub struct Remembered(Mutex<HashMap<String, [u8; 32]>>);

impl Remembered {
    /// Whether a short proof proves the password; none if that cannot be told yet.
    #[must_use]
    pub fn proves(&self, kept: &str, salt: &[u8], proof: &[u8]) -> Option<bool> {
        let twice = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(kept)?;
        if proof.len() != twice.len() {
            return Some(false);
        }
        let salted = Sha256::new().chain_update(twice).chain_update(salt).finalize();
        let once: Vec<u8> = proof.iter().zip(salted).map(|(a, b)| a ^ b).collect();
        Some(same(&Sha256::digest(once), &twice))
    }

    /// Whether this is the password itself; if so, its short proofs are known from now on.
    #[must_use]
    pub fn learn(&self, kept: &str, password: &Secret) -> bool {
        let Some((salt, digest)) = parts(kept) else { return false };
        if password.reveal().len() > MAX_PASSWORD_BYTES {
            return false;
        }
        let right =
            same(sha_crypt(password.reveal().as_bytes(), salt.as_bytes()).as_bytes(), digest.as_bytes());
        if right {
            let twice = Sha256::digest(Sha256::digest(password.reveal().as_bytes()));
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_REMEMBERED {
                known.clear();
            }
            known.insert(kept.to_owned(), twice.into());
        }
        right
    }

    /// Forgets all (FLUSH PRIVILEGES).
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The alphabet of crypt.
const BASE64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SHA-crypt with SHA-256 (Drepper's specification), without its bound of 16 bytes on the salt, which MySQL does not
/// keep either. Written here because the crates of that name keep the bound.
fn sha_crypt(password: &[u8], salt: &[u8]) -> String {
    let b = Sha256::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let repeated =
        |block: &[u8], length: usize| block.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let mut a = Sha256::new().chain_update(password).chain_update(salt);
    a.update(repeated(&b, password.len()));
    let mut length = password.len();
    while length > 0 {
        if length & 1 == 1 {
            a.update(b)
        } else {
            a.update(password)
        }
        length >>= 1;
    }
    let a = a.finalize();
    let dp = (0..password.len()).fold(Sha256::new(), |hash, _| hash.chain_update(password)).finalize();
    let p = repeated(&dp, password.len());
    let ds = (0..16 + usize::from(a[0])).fold(Sha256::new(), |hash, _| hash.chain_update(salt)).finalize();
    let s = repeated(&ds, salt.len());
    let mut c = a;
    for round in 0..ROUND_COUNT {
        let mut hash = Sha256::new();
        if round % 2 == 1 {
            hash.update(&p)
        } else {
            hash.update(c)
        }
        if round % 3 != 0 {
            hash.update(&s);
        }
        if round % 7 != 0 {
            hash.update(&p);
        }
        if round % 2 == 1 {
            hash.update(c)
        } else {
            hash.update(&p)
        }
        c = hash.finalize();
    }
    let mut text = String::with_capacity(DIGEST_CHARACTERS);
    let mut put = |bytes: [u8; 3], count: usize| {
        let mut bits = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        for _ in 0..count {
            text.push(char::from(BASE64[usize::try_from(bits & 63).unwrap_or(0)]));
            bits >>= 6;
        }
    };
    let (mut x, mut y, mut z) = (0, 10, 20);
    for _ in 0..10 {
        put([c[x], c[y], c[z]], 4);
        (x, y, z) = (z + 1, x + 1, y + 1);
    }
    put([0, c[31], c[30]], 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = *b"abcdefghijklmnopqrst";

    #[test]
    fn sha_crypt_gives_the_digest_that_openssl_gives() {
        assert_eq!(sha_crypt(b"Hello world!", b"saltstring"), "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
        // Longer than one block of SHA-256.
        assert_eq!(sha_crypt(&[b'x'; 100], b"saltstring").len(), DIGEST_CHARACTERS);
    }

    #[test]
    fn a_native_proof_is_checked_against_the_kept_form() {
        let kept = native(&Secret::new("secret"));
        assert_eq!(kept, "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
        let proof = crate::protocol::handshake::proof(&Secret::new("secret"), &SALT);
        assert!(native_proves(&kept, &SALT, &proof));
        assert!(!native_proves(&kept, b"abcdefghijklmnopqrsu", &proof));
        assert!(!native_proves(&kept, &SALT, b"") && !native_proves("", &SALT, &proof));
        assert!(native_proves("", &SALT, b""));
        assert!(!native_proves("*nothex", &SALT, &proof));
    }

    #[test]
    fn the_short_proof_waits_for_the_password() {
        let remembered = Remembered::default();
        let secret = Secret::new("Grüße");
        let kept = Plugin::CachingSha2.keep(&secret, &SALT).unwrap();
        assert!(kept.starts_with("$A$005$") && Plugin::CachingSha2.check_form(&kept).is_ok());
        let proof = sha2_proof(&secret, &SALT);
        assert_eq!(remembered.proves(&kept, &SALT, &proof), None);
        assert!(!remembered.learn(&kept, &Secret::new("Grusse")));
        assert!(remembered.learn(&kept, &secret));
        assert_eq!(remembered.proves(&kept, &SALT, &proof), Some(true));
        assert_eq!(remembered.proves(&kept, b"abcdefghijklmnopqrsu", &proof), Some(false));
        assert_eq!(remembered.proves(&kept, &SALT, b"short"), Some(false));
        remembered.clear();
        assert_eq!(remembered.proves(&kept, &SALT, &proof), None);
    }

    #[test]
    fn a_long_password_is_refused_before_it_is_hashed() {
        let remembered = Remembered::default();
        for plugin in [Plugin::Native, Plugin::CachingSha2] {
            assert!(plugin.check_form(&plugin.of_nobody()).is_ok());
            assert!(plugin.keep(&Secret::from("x".repeat(256)), &SALT).is_ok());
            assert_eq!(plugin.keep(&Secret::from("x".repeat(257)), &SALT).unwrap_err().code, 1819);
        }
        let began = std::time::Instant::now();
        assert!(!remembered.learn(&Plugin::CachingSha2.of_nobody(), &Secret::from("x".repeat(2_000_000))));
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "it was hashed");
    }

    #[test]
    fn what_is_no_kept_form_is_refused() {
        assert_eq!(Plugin::Native.check_form("*12").unwrap_err().code, 1827);
        assert_eq!(Plugin::CachingSha2.check_form("*12").unwrap_err().code, 1827);
        assert_eq!(Plugin::of_name("sha256_password").unwrap_err().code, 1524);
    }
}

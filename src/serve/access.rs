//! Who may do what by HTTP: the list of all endpoints with what each needs, and the secrets by which somebody is known.
//!
//! One table says every endpoint; the router serves what is in it, the guard (`http::guard`) demands what it says, and the shipped
//! OpenAPI document is compared with it. Invariant: what changes something is never reached by GET, and needs more than a viewer,
//! but for one's own session.

use crate::error::Failure;
use crate::state::Role;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use database::Secret;

/// The shortest and the longest password of an account, in characters.
const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 10..=200;
/// argon2id as OWASP advises: 19 MiB, two passes, one lane.
const ARGON2: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Bytes of randomness in a token or a session.
const RANDOM_BYTES: usize = 32;

/// What an endpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it says no more than whether all is well.
    Open,
    /// Somebody with this role or a greater one.
    Role(Role),
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Its path; parts in braces stand for any one part.
    pub path: &'static str,
    /// Who may use it.
    pub need: Need,
}

const fn endpoint(method: &'static str, path: &'static str, need: Need) -> Endpoint {
    Endpoint { method, path, need }
}

const OPEN: Need = Need::Open;
const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);

/// All endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/healthz", OPEN),
    endpoint("GET", "/readyz", OPEN),
    endpoint("GET", "/ping", OPEN),
    endpoint("GET", "/health/{node}", OPEN),
    endpoint("GET", "/metrics", OPEN),
    endpoint("GET", "/api/v1/openapi.json", OPEN),
    endpoint("POST", "/api/v1/setup", OPEN),
    endpoint("POST", "/api/v1/session", OPEN),
    endpoint("GET", "/api/v1/session", VIEWER),
    endpoint("DELETE", "/api/v1/session", VIEWER),
    endpoint("POST", "/api/v1/tokens", VIEWER),
    endpoint("GET", "/api/v1/status", VIEWER),
    endpoint("GET", "/api/v1/nodes", VIEWER),
    endpoint("GET", "/api/v1/tables", VIEWER),
    endpoint("GET", "/api/v1/tables/{name}", VIEWER),
    endpoint("GET", "/api/v1/runs", VIEWER),
    endpoint("POST", "/api/v1/runs", OPERATOR),
    endpoint("GET", "/api/v1/runs/{run}", VIEWER),
    endpoint("GET", "/api/v1/runs/{run}/progress", VIEWER),
    endpoint("POST", "/api/v1/runs/{run}/stop", OPERATOR),
    endpoint("GET", "/api/v1/schedules", VIEWER),
    endpoint("POST", "/api/v1/schedules/{name}/run", OPERATOR),
    endpoint("POST", "/api/v1/schedules/{name}/pause", OPERATOR),
    endpoint("POST", "/api/v1/schedules/{name}/resume", OPERATOR),
    endpoint("GET", "/api/v1/alerts", VIEWER),
    endpoint("POST", "/api/v1/alerts/test", OPERATOR),
    endpoint("POST", "/api/v1/alerts/{id}/acknowledge", OPERATOR),
    endpoint("GET", "/api/v1/mutes", VIEWER),
    endpoint("POST", "/api/v1/mutes", OPERATOR),
    endpoint("DELETE", "/api/v1/mutes/{id}", OPERATOR),
    endpoint("POST", "/api/v1/repairs", OPERATOR),
    endpoint("POST", "/api/v1/repairs/{run}/execute", OPERATOR),
    endpoint("GET", "/api/v1/audit", ADMIN),
    endpoint("GET", "/api/v1/accounts", ADMIN),
    endpoint("POST", "/api/v1/accounts", ADMIN),
    endpoint("DELETE", "/api/v1/accounts/{name}", ADMIN),
    endpoint("GET", "/", VIEWER),
    endpoint("GET", "/tables", VIEWER),
    endpoint("GET", "/tables/{name}", VIEWER),
    endpoint("GET", "/runs", VIEWER),
    endpoint("GET", "/runs/{run}", VIEWER),
    endpoint("GET", "/schedules", VIEWER),
    endpoint("GET", "/alerts", VIEWER),
    endpoint("GET", "/account", VIEWER),
    endpoint("GET", "/audit", ADMIN),
    endpoint("GET", "/setup", OPEN),
    endpoint("GET", "/assets/{file}", OPEN),
];

/// What was found at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something, but not for this method; these are there.
    Other(Vec<&'static str>),
    /// An endpoint that needs this.
    Endpoint(Need),
}

/// What a request asks for. HEAD is a GET without its body.
pub fn find(method: &str, path: &str) -> Found {
    let method = if method == "HEAD" { "GET" } else { method };
    let here: Vec<&Endpoint> = ENDPOINTS.iter().filter(|endpoint| fits(endpoint.path, path)).collect();
    // a literal part goes before one that stands for any
    let exact = here
        .iter()
        .filter(|endpoint| endpoint.method == method)
        .min_by_key(|endpoint| endpoint.path.contains('{'));
    match (exact, here.is_empty()) {
        (Some(endpoint), _) => Found::Endpoint(endpoint.need),
        (None, true) => Found::Nothing,
        (None, false) => Found::Other(here.iter().map(|endpoint| endpoint.method).collect()),
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || (wanted.starts_with('{') && !part.is_empty()) => {
            }
            _ => return false,
        }
    }
}

/// A secret that nobody can guess, as hexadecimal digits.
pub fn random() -> Result<Secret, Failure> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::system(format!("the system gives no randomness: {error}")))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn argon2() -> Result<Argon2<'static>, Failure> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None);
    let params = params.map_err(|error| Failure::system(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What is kept of a password. Takes tens of milliseconds.
pub fn hash_password(password: &Secret) -> Result<String, Failure> {
    let characters = password.reveal().chars().count();
    if !PASSWORD_CHARACTERS.contains(&characters) {
        let (least, most) = (PASSWORD_CHARACTERS.start(), PASSWORD_CHARACTERS.end());
        return Err(Failure::usage(
            format!("a password has between {least} and {most} characters"),
            "choose a longer one; a sentence is easy to keep in mind",
        ));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| Failure::system(format!("the system gives no randomness: {error}")))?;
    let wrong = |error: argon2::password_hash::Error| Failure::system(format!("argon2: {error}"));
    let salt = SaltString::encode_b64(&salt).map_err(wrong)?;
    Ok(argon2()?.hash_password(password.reveal().as_bytes(), &salt).map_err(wrong)?.to_string())
}

/// Whether it is the password of which `kept` is kept; where there is no account, the same work is done for nothing, so that time does
/// not tell which accounts there are.
pub fn is_password(password: &Secret, kept: Option<&str>) -> bool {
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let (Ok(hash), Ok(argon2)) = (PasswordHash::new(kept.unwrap_or(NOBODY)), argon2()) else { return false };
    argon2.verify_password(password.reveal().as_bytes(), &hash).is_ok() && kept.is_some()
}

/// Whether a text can be the name of an account.
pub fn account_name(name: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    match !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        true => Ok(name),
        false => Err(Failure::usage(
            "this is no name of an account",
            "letters, digits, '.', '_', '-' and '@', at most 64",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_never_reached_by_get_and_needs_a_role() {
        for endpoint in ENDPOINTS {
            let own = ["/api/v1/session", "/api/v1/setup", "/api/v1/tokens"].contains(&endpoint.path);
            if endpoint.method != "GET" && !own {
                assert!(matches!(endpoint.need, Need::Role(Role::Operator | Role::Admin)), "{endpoint:?}");
            }
            assert_eq!(find(endpoint.method, endpoint.path), Found::Endpoint(endpoint.need), "{endpoint:?}");
        }
    }

    #[test]
    fn a_path_is_found_by_its_parts() {
        assert_eq!(find("HEAD", "/health/n1"), Found::Endpoint(OPEN));
        assert_eq!(find("GET", "/api/v1/runs/a/stop"), Found::Other(vec!["POST"]));
        assert_eq!(find("POST", "/api/v1/alerts/test"), Found::Endpoint(OPERATOR));
        assert_eq!(find("PUT", "/api/v1/mutes"), Found::Other(vec!["GET", "POST"]));
        for path in ["/nothing", "/health/", "/health/a/b", "/api/v1/runs/a/b", "//", "/api/v1/"] {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn a_password_is_known_again_and_nothing_else_is() {
        let secret = |text: &str| Secret::new(text);
        let kept = hash_password(&secret("correct horse")).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_password(&secret("correct horse"), Some(&kept)));
        assert!(!is_password(&secret("correct horsE"), Some(&kept)));
        assert!(!is_password(&secret("correct horse"), None));
        assert!(!is_password(&secret("x"), Some("no hash")));
        assert!(hash_password(&secret("short")).is_err());
        assert_ne!(random().unwrap().reveal(), random().unwrap().reveal());
    }
}

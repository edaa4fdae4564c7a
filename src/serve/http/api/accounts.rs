//! Accounts, sessions and tokens, and the audit log.
//!
//! Invariant: what a password was is never said, logged or compared where time could tell; wrong names and wrong passwords are one answer.

use super::super::answer::{Answer, Wrong, document, here};
use super::super::guard::{COOKIE, Caller, note, session, token as token_of};
use super::super::{Desk, Visitor};
use super::{Asked, Fields, Part, limit, time};
use crate::clock;
use crate::output;
use crate::serve::access::{account_name, hash_password, is_password, random};
use crate::state::{Pass, Role};
use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use database::Secret;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(12 * 3_600);
/// How long a token lasts unless said otherwise, and the longest.
const TOKEN: Duration = Duration::from_secs(90 * 86_400);
const TOKEN_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Who logs in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginFields {
    name: String,
    #[serde(deserialize_with = "super::secret")]
    password: Secret,
}

/// Logs somebody in.
pub async fn login(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(Visitor(from)): ConnectInfo<Visitor>,
    Fields(fields): Fields<LoginFields>,
) -> Answer {
    // of visitors by way of a proxy on this machine the address says nothing: one must not lock out all
    let proxied = from.ip().is_loopback() && !desk.service.setup().external_url().is_empty();
    let mut names: Vec<String> = (!proxied).then(|| format!("address {}", from.ip())).into_iter().collect();
    // what can be no name is not remembered: it may be a password in the wrong place, and as long as a body
    names.extend(account_name(&fields.name).map(|name| format!("account {name}")).ok());
    let Ok(_turn) = desk.logins.turns.acquire().await else { return Err(refused()) };
    if let Some(wait) = desk.logins.wait(&names, Instant::now()) {
        let what = "there were too many wrong passwords";
        return Err(Wrong::later(StatusCode::TOO_MANY_REQUESTS, what, wait.as_secs() + 1));
    }
    let kept = desk.service.state()?.password(&fields.name)?;
    let (password, known) = (fields.password, kept.is_some());
    let right =
        tokio::task::spawn_blocking(move || is_password(&password, kept.as_deref())).await.unwrap_or(false);
    if !right {
        desk.logins.note_wrong(&names, Instant::now());
        if known {
            // a name that is none may be a password in the wrong place
            output::note(&format!("evensum: {}: wrong password from {}", fields.name, from.ip()));
        }
        return Err(refused());
    }
    desk.logins.note_right(&names);
    note(&desk, &fields.name, "log in", "page", &format!("from {}", from.ip()))?;
    admit(&desk, &fields.name, StatusCode::OK)
}

fn refused() -> Wrong {
    Wrong::new(StatusCode::UNAUTHORIZED, "name or password is wrong", "")
}

/// Begins a session.
fn admit(desk: &Desk, name: &str, status: StatusCode) -> Answer {
    let secret = random()?;
    desk.service.state()?.admit(&secret, name, Pass::Session, SESSION)?;
    let mut response = document(status, &json!({ "schema_version": 1, "name": name }));
    set_cookie(desk, &mut response, secret.reveal(), SESSION.as_secs());
    Ok(response)
}

fn set_cookie(desk: &Desk, response: &mut Response, value: &str, seconds: u64) {
    let encrypted = desk.encrypted || desk.service.setup().external_url().starts_with("https://");
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// Ends the session; for a script, its token.
pub async fn logout(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Answer {
    for secret in [token_of(&headers), session(&headers)].into_iter().flatten() {
        desk.service.state()?.dismiss(secret)?;
    }
    let mut response = document(StatusCode::OK, &json!({ "schema_version": 1 }));
    set_cookie(&desk, &mut response, "", 0);
    Ok(response)
}

/// Who asks.
pub async fn who(Extension(caller): Extension<Caller>) -> Answer {
    here(json!({ "name": caller.name, "role": caller.role.word() }))
}

/// Who makes the first account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstFields {
    #[serde(deserialize_with = "super::secret")]
    token: Secret,
    name: String,
    #[serde(deserialize_with = "super::secret")]
    password: Secret,
}

/// Makes the first account, for who has the token of the first start.
pub async fn first(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(Visitor(from)): ConnectInfo<Visitor>,
    Fields(fields): Fields<FirstFields>,
) -> Answer {
    let names = [format!("first token from {}", from.ip())];
    let Ok(_turn) = desk.logins.turns.acquire().await else { return Err(refused()) };
    if let Some(wait) = desk.logins.wait(&names, Instant::now()) {
        return Err(Wrong::later(
            StatusCode::TOO_MANY_REQUESTS,
            "there were too many wrong tokens",
            wait.as_secs() + 1,
        ));
    }
    let unknown = || {
        let hint = "the service says a new one when it begins without an account";
        Wrong::new(StatusCode::FORBIDDEN, "this is not the token of the first start", hint)
    };
    let state = desk.service.state()?;
    if !state.is_first_token(fields.token.reveal())? {
        desk.logins.note_wrong(&names, Instant::now());
        return Err(unknown());
    }
    let kept = keepable(&fields.name, fields.password).await?;
    note(&desk, &fields.name, "make account", &fields.name, "the first, by the token of the first start")?;
    // of two who come with the token at once, one is too late
    if !state.add_first_account(fields.token.reveal(), &fields.name, &kept)? {
        return Err(unknown());
    }
    admit(&desk, &fields.name, StatusCode::CREATED)
}

/// What is kept of the password of a new account.
async fn keepable(name: &str, password: Secret) -> Result<String, Wrong> {
    account_name(name)?;
    let kept = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    Ok(kept.map_err(|_| Wrong::new(StatusCode::INTERNAL_SERVER_ERROR, "the password was not kept", ""))??)
}

/// All accounts.
pub async fn list(State(desk): State<Arc<Desk>>) -> Answer {
    let accounts = desk.service.state()?.accounts()?;
    let accounts = accounts.iter().map(|account| {
        json!({ "name": account.name, "role": account.role.word(), "created_at": clock::rfc3339(account.created_at) })
    });
    here(json!({ "accounts": accounts.collect::<Vec<_>>() }))
}

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFields {
    name: String,
    role: Role,
    #[serde(deserialize_with = "super::secret")]
    password: Secret,
}

/// Makes an account.
pub async fn add(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Fields(fields): Fields<AccountFields>,
) -> Answer {
    let role = fields.role.word();
    let state = desk.service.state()?;
    let Ok(_turn) = desk.logins.turns.acquire().await else { return Err(refused()) };
    let kept = keepable(&fields.name, fields.password).await?;
    if state.password(&fields.name)?.is_some() {
        let what = "there is already an account of this name";
        return Err(Wrong::new(StatusCode::CONFLICT, what, "choose another name"));
    }
    note(&desk, &caller.name, "make account", &fields.name, role)?;
    state.add_account(&fields.name, fields.role, &kept)?;
    let body = json!({ "schema_version": 1, "name": fields.name, "role": role });
    Ok(document(StatusCode::CREATED, &body))
}

/// Removes an account, but not the last that may make others.
pub async fn remove(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(name): Part,
) -> Answer {
    let last = || {
        let what = "this is the last account that may make others";
        Wrong::new(StatusCode::CONFLICT, what, "make another admin first")
    };
    let state = desk.service.state()?;
    let accounts = state.accounts()?;
    let mut admins = accounts.iter().filter(|account| account.role == Role::Admin);
    if admins.all(|account| account.name == name) && accounts.iter().any(|account| account.name == name) {
        return Err(last());
    }
    if !accounts.iter().any(|account| account.name == name) {
        return Err(Wrong::absent("there is no account of this name"));
    }
    note(&desk, &caller.name, "remove account", &name, "")?;
    // two who remove each other at once: one is too late
    if !state.remove_account(&name)? {
        return Err(last());
    }
    here(json!({ "name": name, "removed": true }))
}

/// How long a token is to last.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenFields {
    lasts: Option<String>,
}

/// Makes a token for scripts, which may what the account may. It is said once.
pub async fn token(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Fields(fields): Fields<TokenFields>,
) -> Answer {
    let lasts = fields.lasts.as_deref().map(|lasts| time(lasts, TOKEN_MAX)).transpose()?.unwrap_or(TOKEN);
    let secret = random()?;
    note(&desk, &caller.name, "make token", &caller.name, &format!("for {} s", lasts.as_secs()))?;
    desk.service.state()?.admit(&secret, &caller.name, Pass::Token, lasts)?;
    let expires_at = clock::rfc3339(clock::now_seconds() + lasts.as_secs());
    let body = json!({ "schema_version": 1, "token": secret.reveal(), "expires_at": expires_at });
    Ok(document(StatusCode::CREATED, &body))
}

/// How many lines are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    limit: Option<u32>,
}

/// The audit log, and whether its chain holds.
pub async fn audit(State(desk): State<Arc<Desk>>, Asked(query): Asked<AuditQuery>) -> Answer {
    let state = desk.service.state()?;
    let lines = state.audit_lines(limit(query.limit))?;
    let lines = lines.iter().map(|line| {
        json!({
            "id": line.id, "at": clock::rfc3339(line.at), "who": line.who, "action": line.action,
            "subject": line.subject, "detail": line.detail, "hash": line.hash,
        })
    });
    here(json!({ "broken_at": state.audit_break()?, "lines": lines.collect::<Vec<_>>() }))
}

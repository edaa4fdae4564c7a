//! The guard: what every request must show before anything answers it.
//!
//! In this order: the page is asked for by one of its own names (a foreign name points here by DNS rebinding); there is such an
//! endpoint, for this method; what changes something does not come from another page; somebody is known by a session or a token;
//! what changes something carries our header, which no other page can send; and the role is enough. Every answer says what a
//! browser may do with it.
//!
//! Invariant: a request that is refused changed nothing, and is refused alike whether or not its subject exists.

use super::answer::Wrong;
use super::{BODY_BYTES_MAX, Desk, hosts, pages};
use crate::output;
use crate::serve::access::{Found, Need, find};
use crate::state::{Pass, Role};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The header that a page of ours sends with what changes something, and that scripts send too.
pub const OURS: &str = "x-evensum-request";
/// The cookie of a session.
pub const COOKIE: &str = "evensum_session";
/// How long the body of a request may be on its way.
const BODY_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Nothing but our own files, no script in a page, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// Whether it may what needs this role.
    pub fn may(&self, role: Role) -> bool {
        self.role >= role
    }
}

/// Lets a request pass, or answers it. Whatever asks the state waits for who writes there, for seconds if need be, and so it waits on
/// a thread of its own: neither other visitors nor the parts of the service wait with it. Threads are few, so a request is whole
/// before it takes one: visitors who send slowly hold up themselves.
pub async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let (request, inside) = (whole(request).await, desk.clone());
    let work = async move {
        tokio::task::block_in_place(|| Handle::current().block_on(answer(&inside, request, next)))
    };
    let response = tokio::spawn(work).await.unwrap_or_else(|_| {
        Wrong::new(StatusCode::INTERNAL_SERVER_ERROR, "it went wrong within", "").into_response()
    });
    with_policy(&desk, response)
}

/// The request with all of its body, as much of it as came in time and is not too much; who takes it sees that it is too long or
/// broken off.
async fn whole(request: Request) -> Request {
    let (parts, body) = request.into_parts();
    let (mut bytes, mut stream) = (Vec::new(), body.into_data_stream());
    let read = async {
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BODY_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_MAX, read).await;
    Request::from_parts(parts, Body::from(bytes))
}

async fn answer(desk: &Desk, mut request: Request, next: Next) -> Response {
    let page = !request.uri().path().starts_with("/api/");
    match admit(desk, &mut request) {
        Ok(()) => match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                Wrong::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long", "").into_response()
            }
        },
        Err(wrong) if page && wrong.status() == StatusCode::UNAUTHORIZED => {
            pages::login(desk).into_response()
        }
        Err(wrong) => wrong.into_response(),
    }
}

/// What a browser may do with an answer.
fn with_policy(desk: &Desk, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if desk.encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

fn admit(desk: &Desk, request: &mut Request) -> Result<(), Wrong> {
    let refuse = |what: &str, hint: &str| Wrong::new(StatusCode::FORBIDDEN, what, hint);
    if !asked_by_name(desk, request) {
        return Err(refuse(
            "the page is not asked for by one of its names",
            "add the name to hosts in [serve]",
        ));
    }
    let need = match find(request.method().as_str(), request.uri().path()) {
        Found::Nothing => return Err(Wrong::absent("there is nothing here")),
        Found::Other(methods) => {
            return Err(Wrong::other_method(&methods));
        }
        Found::Endpoint(need) => need,
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !comes_from_here(desk, request.headers()) {
        return Err(refuse("the request comes from another page", ""));
    }
    let caller = caller(desk, request.headers())?;
    match (need, &caller) {
        (Need::Role(_), None) => {
            let hint = "log in, or send a token as Authorization: Bearer";
            return Err(Wrong::new(StatusCode::UNAUTHORIZED, "nobody is known by this request", hint));
        }
        (Need::Role(role), Some(caller)) if !caller.may(role) => {
            let what = format!("this needs the role {}", role.word());
            return Err(refuse(&what, ""));
        }
        _ => {}
    }
    if changes && !request.headers().contains_key(OURS) {
        return Err(refuse("the header X-Evensum-Request is missing", "send X-Evensum-Request: 1"));
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

/// Whether the page is asked for by its names alone. A request may say a host more than once, in its first line and in headers, and
/// what stands before us may have heeded another of them than we would: so all must be ours.
fn asked_by_name(desk: &Desk, request: &Request) -> bool {
    let line = request.uri().authority().map(|authority| Some(authority.as_str()));
    let headers = request.headers().get_all(header::HOST).iter().map(|value| value.to_str().ok());
    let mut said = line.into_iter().chain(headers).peekable();
    let names = hosts(&desk.service.setup(), desk.address);
    let ours = |host: Option<&str>| host.is_some_and(|host| names.contains(&host.to_ascii_lowercase()));
    said.peek().is_some() && said.all(ours)
}

/// Whether a browser that says from where a request comes says: from here. Scripts do not say.
fn comes_from_here(desk: &Desk, headers: &HeaderMap) -> bool {
    let sites = headers.get_all("sec-fetch-site").iter();
    let origins = headers.get_all(header::ORIGIN).iter();
    let names = hosts(&desk.service.setup(), desk.address);
    let ours = |origin: &HeaderValue| {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        host.is_some_and(|(_, host)| names.contains(&host.to_ascii_lowercase()))
    };
    sites.into_iter().all(|site| site == "same-origin" || site == "none") && origins.into_iter().all(ours)
}

/// Who is known by a token or a session.
fn caller(desk: &Desk, headers: &HeaderMap) -> Result<Option<Caller>, Wrong> {
    let known = match (token(headers), session(headers)) {
        (Some(token), _) => desk.service.state()?.admitted(token, Pass::Token)?,
        (None, Some(session)) => desk.service.state()?.admitted(session, Pass::Session)?,
        (None, None) => None,
    };
    Ok(known.map(|account| Caller { name: account.name, role: account.role }))
}

/// The token of a script.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The session of a cookie.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|all| all.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Notes what somebody did.
pub fn note(desk: &Desk, who: &str, action: &str, subject: &str, detail: &str) -> Result<(), Wrong> {
    output::note(&format!("evensum: {who}: {action} {subject}"));
    Ok(desk.service.state()?.audit(who, action, subject, detail)?)
}

//! The page and the API by HTTP: the door that listens, and which function answers what.
//!
//! Every request passes the guard, which knows all endpoints (`super::access`); a route that is not in its table is never reached.
//! Bounds: a request's body, its time, and how many visitors are connected at once.

mod answer;
mod api;
mod bounds;
mod guard;
mod health;
#[cfg(test)]
mod openapi;
mod pages;

use self::bounds::Bounded;
use super::logins::Logins;
use super::setup::Setup;
use super::{Service, tls};
use crate::error::Failure;
use crate::output;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest body of a request.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1_024;
/// How long a visitor may take to agree on TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How many visitors are agreed with at once.
const HANDSHAKES_MAX: usize = 64;
/// How long answers that were begun may take when the service ends.
const GRACE: Duration = Duration::from_secs(5);

/// What the answers to requests need.
pub(super) struct Desk {
    pub(super) service: Arc<Service>,
    pub(super) logins: Logins,
    /// Where the page is.
    pub(super) address: SocketAddr,
    /// Whether visitors come by TLS.
    pub(super) encrypted: bool,
}

/// The OpenAPI document.
pub fn openapi() -> &'static str {
    include_str!("http/openapi.json")
}

/// Where visitors come in.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    encryption: Option<TlsAcceptor>,
}

impl Door {
    /// Opens it where the configuration says.
    pub async fn open(setup: &Setup) -> Result<Door, Failure> {
        let wanted = setup.config.serve.address()?;
        let encryption = tls::config(&setup.config.serve, wanted)?.map(TlsAcceptor::from);
        let taken = |error: std::io::Error| {
            Failure::config(
                format!("cannot listen on {wanted}: {error}"),
                "choose another port with listen in [serve], or end who listens there",
            )
        };
        let listener = TcpListener::bind(wanted).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        Ok(Door { listener, address, encryption })
    }

    /// Its URL.
    pub fn address(&self) -> String {
        let scheme = if self.encryption.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers until the service ends.
    pub async fn serve(self, service: Arc<Service>) {
        let (encrypted, logins) = (self.encryption.is_some(), Logins::default());
        let desk = Arc::new(Desk { service: service.clone(), logins, address: self.address, encrypted });
        let app = router(desk).into_make_service_with_connect_info::<Visitor>();
        let ending = service.clone();
        let end = async move {
            while !ending.stopping() {
                ending.sleep(Duration::from_secs(3_600)).await;
            }
        };
        let served = async {
            match self.encryption {
                None => axum::serve(Bounded::new(self.listener), app).with_graceful_shutdown(end).await,
                Some(acceptor) => {
                    let listener = Encrypted::new(self.listener, self.address, acceptor);
                    axum::serve(Bounded::new(listener), app).with_graceful_shutdown(end).await
                }
            }
        };
        let late = async {
            while !service.stopping() {
                service.sleep(Duration::from_secs(3_600)).await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = served => if let Err(error) = served {
                output::note(&format!("evensum: the page is no longer served: {error}"));
            },
            () = late => {}
        }
    }
}

/// The names by which this page may be asked for, with its port: others are asked for by a page that means us no good.
fn hosts(setup: &Setup, address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let mut hosts = vec![address.to_string()];
    if address.ip().is_loopback() {
        hosts.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    }
    let external = setup.external_url();
    if let Some((_, rest)) = external.split_once("://") {
        hosts.extend(rest.split('/').next().map(str::to_ascii_lowercase));
    }
    for host in &setup.config.serve.hosts {
        hosts.extend([host.to_ascii_lowercase(), format!("{}:{port}", host.to_ascii_lowercase())]);
    }
    hosts
}

fn router(desk: Arc<Desk>) -> Router {
    let pages = Router::new()
        .route("/", get(pages::home))
        .route("/tables", get(pages::tables))
        .route("/tables/{name}", get(pages::table))
        .route("/runs", get(pages::runs))
        .route("/runs/{run}", get(pages::run))
        .route("/schedules", get(pages::schedules))
        .route("/alerts", get(pages::alerts))
        .route("/account", get(pages::account))
        .route("/audit", get(pages::audit))
        .route("/setup", get(pages::setup))
        .route("/assets/{file}", get(pages::asset));
    let api = Router::new()
        .route("/openapi.json", get(health::openapi))
        .route("/setup", post(api::accounts::first))
        .route("/session", post(api::accounts::login).get(api::accounts::who).delete(api::accounts::logout))
        .route("/tokens", post(api::accounts::token))
        .route("/accounts", get(api::accounts::list).post(api::accounts::add))
        .route("/accounts/{name}", delete(api::accounts::remove))
        .route("/audit", get(api::accounts::audit))
        .route("/status", get(api::state::status))
        .route("/nodes", get(api::state::nodes))
        .route("/tables", get(api::state::tables))
        .route("/tables/{name}", get(api::state::table))
        .route("/runs", get(api::runs::list).post(api::runs::begin))
        .route("/runs/{run}", get(api::runs::show))
        .route("/runs/{run}/progress", get(api::runs::progress))
        .route("/runs/{run}/stop", post(api::runs::stop))
        .route("/repairs", post(api::runs::plan_repair))
        .route("/repairs/{run}/execute", post(api::runs::execute_repair))
        .route("/schedules", get(api::schedules::list))
        .route("/schedules/{name}/run", post(api::schedules::run))
        .route("/schedules/{name}/pause", post(api::schedules::pause))
        .route("/schedules/{name}/resume", post(api::schedules::resume))
        .route("/alerts", get(api::alerts::list))
        .route("/alerts/test", post(api::alerts::test))
        .route("/alerts/{id}/acknowledge", post(api::alerts::acknowledge))
        .route("/mutes", get(api::alerts::mutes).post(api::alerts::mute))
        .route("/mutes/{id}", delete(api::alerts::unmute));
    Router::new()
        .route("/healthz", get(health::live))
        .route("/ping", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/health/{node}", get(health::node))
        .route("/metrics", get(health::metrics))
        .merge(pages)
        .nest("/api/v1", api)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(desk.clone(), guard::guard))
        .with_state(desk)
}

/// A listener whose visitors come by TLS. They agree beside each other, so that one who is slow keeps nobody waiting.
struct Encrypted {
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Encrypted {
    fn new(listener: TcpListener, address: SocketAddr, acceptor: TlsAcceptor) -> Encrypted {
        let (sender, agreed) = mpsc::channel(HANDSHAKES_MAX);
        let turns = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES_MAX));
        let task = tokio::spawn(async move {
            while let Ok(turn) = turns.clone().acquire_owned().await {
                let Ok((stream, from)) = listener.accept().await else {
                    // too many open files, most often: what is open ends some time
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await
                    {
                        let _ = sender.send((stream, from)).await;
                    }
                    drop(turn);
                });
            }
        });
        Encrypted { agreed, address, task }
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.agreed.recv().await {
            Some(visitor) => visitor,
            // the task that sends ends with this listener alone
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Bounded<Encrypted>>> for Visitor {
    fn connect_info(stream: axum::serve::IncomingStream<'_, Bounded<Encrypted>>) -> Visitor {
        Visitor(*stream.remote_addr())
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Bounded<TcpListener>>>
    for Visitor
{
    fn connect_info(stream: axum::serve::IncomingStream<'_, Bounded<TcpListener>>) -> Visitor {
        Visitor(*stream.remote_addr())
    }
}

/// From where a request comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor(pub(super) SocketAddr);

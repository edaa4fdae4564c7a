//! Where visitors come in: TLS, TLS by which visitors show who they are too, and what is not opened without it.

use crate::commands::said;
use crate::served::{Answer, Ask, NOWHERE, Said, Served};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An authority, and who it vouches for: files in a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn vouch(&self, folder: &Path, name: &str) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Asks by TLS; why it could not.
fn ask(
    served: &Served,
    authority: &Authority,
    shown: Option<(&Path, &str)>,
    path: &str,
) -> Result<Answer, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((folder, name)) => {
            let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let host = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), host).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let ask = Ask::new("GET", path).header("Host", &format!("localhost:{}", served.port()));
    stream.write_all(&ask.bytes()).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if all.is_empty() => Err(error.to_string()),
        _ => Ok(Answer::parse(&all)),
    }
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.vouch(folder.path(), "server");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let serve = format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", file("server.crt"), file("server.key"));
    let served = Served::begin(folder.path(), NOWHERE, Said { serve: &serve, ..Said::default() });
    assert!(served.said().contains(&format!("https://127.0.0.1:{}", served.port())), "{}", served.said());
    let answer = ask(&served, &authority, None, "/healthz").unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{answer:?}");
    // who comes without is told nothing, and keeps nobody waiting
    assert_eq!(served.ask(&Ask::new("GET", "/healthz")).status, 0, "plain HTTP was answered");
    let silent: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(("127.0.0.1", served.port())).unwrap()).collect();
    assert_eq!(ask(&served, &authority, None, "/healthz").unwrap().status, 200);
    assert_eq!(silent.len(), 20);
    let other = Authority::new();
    assert!(ask(&served, &other, None, "/healthz").is_err(), "it is known by its authority alone");
}

#[test]
fn where_visitors_must_show_a_certificate_nobody_else_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    for name in ["server", "visitor"] {
        authority.vouch(folder.path(), name);
    }
    other.vouch(folder.path(), "stranger");
    std::fs::write(folder.path().join("ca.crt"), &authority.pem).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let serve = format!(
        "tls_cert = \"{}\"\ntls_key = \"{}\"\ntls_client_ca = \"{}\"\n",
        file("server.crt"),
        file("server.key"),
        file("ca.crt")
    );
    let served = Served::begin(folder.path(), NOWHERE, Said { serve: &serve, ..Said::default() });
    let shown = |name| ask(&served, &authority, Some((folder.path(), name)), "/healthz");
    assert_eq!(shown("visitor").unwrap().status, 200);
    assert!(shown("stranger").is_err(), "of an authority that we do not know");
    assert!(ask(&served, &authority, None, "/healthz").is_err(), "without a certificate");
    // it opens the way to the login, and is no account
    let status = ask(&served, &authority, Some((folder.path(), "visitor")), "/api/v1/status");
    assert_eq!(status.unwrap().status, 401);
}

#[test]
fn others_are_let_in_by_tls_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |lines: &str| {
        let path = folder.path().join("serve.toml");
        std::fs::write(&path, format!("{NOWHERE}\n[serve]\n{lines}\n")).unwrap();
        said(&crate::commands::evensum(folder.path(), &["serve", "--config", path.to_str().unwrap()]))
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let (code, out, err) = serve(&format!("listen = \"{listen}\""));
        assert_eq!((code, out.as_str()), (4, ""), "{listen}: {err}");
        assert!(err.contains("E0401") && err.contains("tls_cert"), "{err}");
    }
    for (lines, part) in [
        ("tls_cert = \"x\"", "belong together"),
        ("tls_client_ca = \"x\"", "needs tls_cert"),
        ("tls_cert = \"/nowhere.crt\"\ntls_key = \"/nowhere.key\"", "/nowhere.crt"),
        ("listen = \"localhost\"", "is no address"),
    ] {
        let (code, _, err) = serve(lines);
        assert_eq!(code, 3, "{err}");
        assert!(err.contains(part), "{err}");
    }
}

//! TLS of the page: the certificate that is shown, and, if it is demanded, the one that a visitor shows.
//!
//! Invariant: anything but the loopback is served with TLS or not at all. Not here: who a visitor is; a certificate opens the way to
//! the login and stands in for no account.

use crate::config::service::Serve;
use crate::error::Failure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What to serve with; `None` is without encryption, which only the loopback may have.
pub fn config(serve: &Serve, address: SocketAddr) -> Result<Option<Arc<ServerConfig>>, Failure> {
    let (Some(certificate), Some(key)) = (&serve.tls_cert, &serve.tls_key) else {
        if serve.tls_cert.is_some() || serve.tls_key.is_some() {
            return Err(Failure::config("[serve] tls_cert and tls_key belong together", "name both"));
        }
        if serve.tls_client_ca.is_some() {
            return Err(Failure::config(
                "[serve] tls_client_ca needs tls_cert and tls_key",
                "name all three",
            ));
        }
        if !address.ip().is_loopback() {
            return Err(Failure::refused(
                format!("[serve] listen = \"{address}\" is open to others, and there is no TLS"),
                "name tls_cert and tls_key, or listen on 127.0.0.1 behind a proxy that encrypts",
            ));
        }
        return Ok(None);
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, &error))?;
    let builder = match &serve.tls_client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| unusable(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(path, &error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let all = read().map_err(|error: rustls::pki_types::pem::Error| unusable(path, &error))?;
    if all.is_empty() { Err(unusable(path, &"there is no certificate in it")) } else { Ok(all) }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::config(format!("{} cannot be used for TLS: {why}", path.display()), "name files in PEM form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_served_without_tls() {
        let at = |text: &str| config(&Serve::default(), text.parse().unwrap());
        assert!(at("127.0.0.1:1").unwrap().is_none() && at("[::1]:1").unwrap().is_none());
        for open in ["0.0.0.0:1", "10.1.2.3:1", "[::]:1"] {
            let failure = at(open).unwrap_err();
            assert!(failure.outcome.code() == 4 && failure.what.contains("no TLS"), "{failure}");
        }
        let half = Serve { tls_cert: Some("c".into()), ..Serve::default() };
        assert_eq!(config(&half, "127.0.0.1:1".parse().unwrap()).unwrap_err().outcome.code(), 3);
    }
}

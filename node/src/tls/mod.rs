//! TLS on the client port and on links, by rustls.
//!
//! `server` has the node's certificate: one that the configuration names, or one that the node made itself, as MySQL 8 does.
//! `link` decides what a link demands of its source. `stream` is the connection that both become. Not here: who has to
//! be encrypted (`accounts`, `require_secure_transport`), old versions of TLS, revocation lists.

pub mod link;
pub mod server;
pub mod stream;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

pub use self::stream::{Agreed, Stream};

/// The cryptography: ring, as everywhere in the program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a file; an error is a sentence that names it.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("cannot read the certificates in {}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let found = read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(format!("there is no certificate in {}", path.display()));
    }
    Ok(found)
}

/// The key of a file.
fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| format!("cannot read the key in {}: {error}", path.display()))
}

/// The authorities of a file.
fn authorities(path: &Path) -> Result<rustls::RootCertStore, String> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in certificates(path)? {
        let unfit = |error| format!("{} has a certificate that cannot vouch: {error}", path.display());
        store.add(certificate).map_err(unfit)?;
    }
    Ok(store)
}

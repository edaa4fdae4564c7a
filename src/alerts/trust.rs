//! Who may vouch for the receivers of alerts: the authorities that the system trusts, and those of `ca_file`.
//!
//! Invariant: certificates and host names are always verified; nothing here can turn that off.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A file of authorities is short; what is longer is another file by mistake.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The authorities.
#[derive(Clone, Default)]
pub struct Trust {
    all: Arc<Vec<Certificate<'static>>>,
    added: Vec<Certificate<'static>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} authorities, {} of them added)", self.all.len(), self.added.len())
    }
}

impl Trust {
    /// Those of the system, and those of the file; what is wrong if there are none.
    pub fn read(file: Option<&Path>) -> Result<Trust, String> {
        let added = file.map(authorities).transpose()?.unwrap_or_default();
        // what cannot be read among the system's own is as good as absent: nothing is trusted because of it
        let system = rustls_native_certs::load_native_certs().certs;
        let system = system.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned());
        let all: Vec<_> = system.chain(added.iter().cloned()).collect();
        if all.is_empty() {
            return Err("this system trusts no certificate authority: install its package ca-certificates, or name a ca_file".into());
        }
        Ok(Trust { all: Arc::new(all), added })
    }

    /// For calls by HTTP.
    pub fn config(&self) -> TlsConfig {
        TlsConfig::builder().root_certs(RootCerts::Specific(Arc::clone(&self.all))).build()
    }

    /// Those of the file alone, in DER, for who knows the system's.
    pub fn added(&self) -> impl Iterator<Item = &[u8]> {
        self.added.iter().map(Certificate::der)
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let wrong = |why: &dyn fmt::Display| format!("ca_file {} cannot be used: {why}", path.display());
    let length = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(wrong(&"it is too long to be meant"));
    }
    let text = std::fs::read(path).map_err(|error| wrong(&error))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            // a key has no place in it, and does no harm
            Ok(_) => {}
            Err(_) => return Err(wrong(&"it is no PEM file")),
        }
    }
    if found.is_empty() { Err(wrong(&"it holds no certificate")) } else { Ok(found) }
}

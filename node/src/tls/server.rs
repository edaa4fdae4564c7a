//! The node's own certificate.
//!
//! Where the configuration names none, the node makes an authority and a certificate that it signs, once, in its data
//! directory (`ca.pem`, `server-cert.pem`, `server-key.pem`, as MySQL 8 names them). The authority's key is thrown away, so nobody
//! can make a second certificate of it. Clients that are to verify the node get `ca.pem`. Invariant: a certificate whose
//! key is there is used and never replaced.

use super::{authorities, certificates, key, provider};
use crate::Config;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The authority's certificate.
const CA: &str = "ca.pem";
/// The node's certificate.
const CERT: &str = "server-cert.pem";
/// The node's key.
const KEY: &str = "server-key.pem";

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, with those between it and the authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that clients' certificates have to be signed by.
    pub ca: Option<PathBuf>,
}

/// The files of a node; they are made if the configuration names none and there are none. A path that is not absolute begins in the
/// data directory. An error is a sentence.
pub fn files(config: &Config, dir: &Path) -> Result<Files, String> {
    let ca = config.ssl_ca.as_ref().map(|path| dir.join(path));
    match (&config.ssl_cert, &config.ssl_key) {
        (Some(cert), Some(key)) => Ok(Files { cert: dir.join(cert), key: dir.join(key), ca }),
        (None, None) => {
            let (cert, key) = (dir.join(CERT), dir.join(KEY));
            if !cert.exists() || !key.exists() {
                make(config, dir).map_err(|error| format!("cannot make a certificate: {error}"))?;
            }
            Ok(Files { cert, key, ca })
        }
        _ => Err("ssl_cert and ssl_key belong together: give both, or neither".to_owned()),
    }
}

/// What the port offers.
pub fn config(files: &Files) -> Result<Arc<ServerConfig>, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &files.ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(authorities(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .allow_unauthenticated()
                .build()
                .map_err(|error| format!("{}: {error}", ca.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(certificates(&files.cert)?, key(&files.key)?)
        .map_err(|error| format!("{} and {}: {error}", files.cert.display(), files.key.display()))?;
    Ok(Arc::new(config))
}

fn make(config: &Config, dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "evensum_node_Auto_Generated_CA_Certificate");
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !config.bind_address.is_unspecified() && !config.bind_address.is_loopback() {
        names.push(config.bind_address.to_string());
    }
    let mut own = CertificateParams::new(names)?;
    own.distinguished_name.push(DnType::CommonName, "evensum_node_Auto_Generated_Server_Certificate");
    let own_key = KeyPair::generate()?;
    let own_cert = own.signed_by(&own_key, &issuer)?;

    // The certificate comes last: a node that is killed in between makes all of them again.
    put(&dir.join(KEY), own_key.serialize_pem().as_bytes(), true)?;
    put(&dir.join(CA), ca_cert.pem().as_bytes(), false)?;
    put(&dir.join(CERT), own_cert.pem().as_bytes(), false)?;
    Ok(())
}

/// Writes a file wholly or not at all; a secret one for its owner's eyes alone, from its first byte on.
fn put(path: &Path, bytes: &[u8], secret: bool) -> std::io::Result<()> {
    use std::io::Write as _;
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = secret; // the folder's own protection has to do
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_secret() {
        let dir = tempfile::tempdir().unwrap();
        let made = files(&Config::default(), dir.path()).unwrap();
        config(&made).unwrap();
        let first = fs::read(&made.cert).unwrap();
        assert_eq!(files(&Config::default(), dir.path()).unwrap(), made);
        assert_eq!(fs::read(&made.cert).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&made.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Killed between the key and the certificate.
        fs::remove_file(&made.cert).unwrap();
        config(&files(&Config::default(), dir.path()).unwrap()).unwrap();
        assert_ne!(fs::read(&made.cert).unwrap(), first);
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let one = Config { ssl_cert: Some("x.pem".into()), ..Config::default() };
        assert!(files(&one, dir.path()).unwrap_err().contains("belong together"));
        let both = Config { ssl_key: Some("y.pem".into()), ..one };
        let error = config(&files(&both, dir.path()).unwrap()).unwrap_err();
        assert!(error.contains("x.pem"), "{error}");
        fs::write(dir.path().join("x.pem"), "no certificate").unwrap();
        let error = config(&files(&both, dir.path()).unwrap()).unwrap_err();
        assert!(error.contains("x.pem"), "{error}");
    }
}

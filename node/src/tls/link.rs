//! What a link demands of its source's certificate: MASTER_SSL and its kin.
//!
//! As in MySQL: MASTER_SSL alone encrypts and trusts whoever answers; MASTER_SSL_CA makes the source's certificate one of that
//! authority; MASTER_SSL_VERIFY_SERVER_CERT makes it one for MASTER_HOST too, and needs an authority. MASTER_SSL_CERT and MASTER_SSL_KEY
//! are what the link shows of itself.

use super::{authorities, certificates, key, provider};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// A link's settings of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkTls {
    /// Whether the link is encrypted.
    pub on: bool,
    /// The file of the authority, or empty.
    pub ca: String,
    /// The file of the link's certificate, or empty.
    pub cert: String,
    /// The file of its key, or empty.
    pub key: String,
    /// Whether the source's certificate has to be one for the host.
    pub verify: bool,
}

impl LinkTls {
    /// The configuration for a connection; the files are read anew for each, so that they can be renewed. An error is a
    /// sentence.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let inner = match self.ca.as_str() {
            "" if self.verify => {
                return Err(
                    "MASTER_SSL_VERIFY_SERVER_CERT needs MASTER_SSL_CA, the authority to trust".to_owned()
                );
            }
            "" => None,
            ca => {
                let roots = Arc::new(authorities(Path::new(ca))?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
                Some(verifier.map_err(|error| format!("{ca}: {error}"))?)
            }
        };
        let verifier = Verifier { inner, of_host: self.verify, provider: provider() };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (self.cert.as_str(), self.key.as_str()) {
            ("", "") => builder.with_no_client_auth(),
            (cert, own) => builder
                .with_client_auth_cert(certificates(Path::new(cert))?, key(Path::new(own))?)
                .map_err(|error| format!("{cert} and {own}: {error}"))?,
        };
        Ok(Arc::new(config))
    }

    /// The host as a name that certificates know.
    pub fn name(host: &str) -> Result<ServerName<'static>, String> {
        ServerName::try_from(host.to_owned()).map_err(|_| format!("'{host}' is no name of a server"))
    }
}

/// Checks as much as the settings demand. That the other side holds its certificate's key is checked always.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    of_host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is verified before the name.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.of_host => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! A connection that can become an encrypted one on its way.
//!
//! The two halves of the protocol (a reader and a writer) each hold a [`Stream`] of the same connection. An encrypted one is used by one
//! thread, in turn, so the state of TLS that they share behind a mutex is never waited for. Whoever wants to end the
//! connection from outside closes its socket, which wakes a read or a write in either form.
//!
//! A login has a moment at which it has to be over: with it set, no read waits beyond it, however slowly the bytes drop in.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Until when reads may wait; shared by all handles of a connection.
type Deadline = Arc<Mutex<Option<Instant>>>;

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// What was agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// The cipher, by the name that OpenSSL has for it.
    pub cipher: String,
    /// Whether the other side has shown a certificate, which then was verified.
    pub certified: bool,
}

struct Tls {
    agreed: Agreed,
    bytes: Mutex<Box<dyn Duplex>>,
}

/// One handle of a connection.
pub struct Stream {
    tcp: TcpStream,
    deadline: Deadline,
    tls: Option<Arc<Tls>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("tcp", &self.tcp).field("tls", &self.agreed()).finish()
    }
}

/// The socket below TLS, with what was read from it before TLS began.
struct Raw {
    tcp: TcpStream,
    deadline: Deadline,
    ahead: io::Cursor<Vec<u8>>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.ahead.read(buffer)? {
            0 => read_in_time(&self.tcp, &self.deadline, buffer),
            count => Ok(count),
        }
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

fn read_in_time(mut tcp: &TcpStream, deadline: &Deadline, buffer: &mut [u8]) -> io::Result<usize> {
    let until = *deadline.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(until) = until {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        tcp.set_read_timeout(Some(left))?;
    }
    tcp.read(buffer)
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream { tcp, deadline: Deadline::default(), tls: None }
    }
}

impl Stream {
    /// Another handle of the same connection.
    pub fn try_clone(&self) -> io::Result<Stream> {
        let tls = self.tls.clone();
        Ok(Stream { tcp: self.tcp.try_clone()?, deadline: Arc::clone(&self.deadline), tls })
    }

    /// The socket.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads wait until this moment and no longer; without one, for as long as the socket's own time-out says.
    pub fn set_deadline(&self, until: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// How long a read waits.
    pub fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(time)
    }

    /// How long a write waits.
    pub fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        self.tcp.set_write_timeout(time)
    }

    /// What was agreed on, if the connection is encrypted.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        self.tls.as_ref().map(|tls| &tls.agreed)
    }

    /// Goes on encrypted, as the server. `ahead` is what has been read already and belongs to TLS.
    pub fn accept(&self, config: Arc<ServerConfig>, ahead: Vec<u8>) -> io::Result<Stream> {
        let mut raw = self.raw(ahead)?;
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut raw)?;
        }
        let agreed = agreed(&tls);
        self.encrypted(agreed, Box::new(StreamOwned::new(tls, raw)))
    }

    /// Goes on encrypted, as the client of a server of this name.
    pub fn connect(
        &self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        ahead: Vec<u8>,
    ) -> io::Result<Stream> {
        let mut raw = self.raw(ahead)?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut raw)?;
        }
        let agreed = agreed(&tls);
        self.encrypted(agreed, Box::new(StreamOwned::new(tls, raw)))
    }

    fn raw(&self, ahead: Vec<u8>) -> io::Result<Raw> {
        let deadline = Arc::clone(&self.deadline);
        Ok(Raw { tcp: self.tcp.try_clone()?, deadline, ahead: io::Cursor::new(ahead) })
    }

    fn encrypted(&self, agreed: Agreed, bytes: Box<dyn Duplex>) -> io::Result<Stream> {
        let tls = Some(Arc::new(Tls { agreed, bytes: Mutex::new(bytes) }));
        Ok(Stream { tcp: self.tcp.try_clone()?, deadline: Arc::clone(&self.deadline), tls })
    }
}

impl Tls {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Duplex>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.lock().read(buffer),
            None => read_in_time(&self.tcp, &self.deadline, buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.lock().write(bytes),
            None => self.tcp.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.tls {
            Some(tls) => tls.lock().flush(),
            None => self.tcp.flush(),
        }
    }
}

fn agreed(tls: &rustls::CommonState) -> Agreed {
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "",
    };
    let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    Agreed {
        version: version.to_owned(),
        cipher: openssl_name(suite),
        certified: tls.peer_certificates().is_some_and(|chain| !chain.is_empty()),
    }
}

/// `TLS13_AES_256_GCM_SHA384` and `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` as OpenSSL, and so MySQL, name them.
fn openssl_name(suite: &str) -> String {
    if let Some(rest) = suite.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = suite.strip_prefix("TLS_").unwrap_or(suite).replace("_WITH_", "-").replace("AES_", "AES");
    name.replace('_', "-").replace("POLY1305-SHA256", "POLY1305")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_have_the_names_that_people_know() {
        assert_eq!(openssl_name("TLS13_AES_256_GCM_SHA384"), "TLS_AES_256_GCM_SHA384");
        assert_eq!(openssl_name("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"), "ECDHE-ECDSA-AES128-GCM-SHA256");
        assert_eq!(
            openssl_name("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            "ECDHE-RSA-CHACHA20-POLY1305"
        );
    }
}

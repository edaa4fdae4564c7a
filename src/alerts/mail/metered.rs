//! A connection from which only so much is read.
//!
//! Why: the library reads a line of an answer to its end before it looks at its length, and a server of which nothing is verified
//! yet could send a line without one.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A mail server that says more than this about one mail is none.
const BYTES_MAX: usize = 256 << 10;

/// The connection.
#[derive(Debug)]
pub struct Metered {
    stream: TcpStream,
    left: usize,
}

impl Metered {
    /// Counts from now on.
    pub fn new(stream: TcpStream) -> Metered {
        Metered { stream, left: BYTES_MAX }
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let metered = self.get_mut();
        let before = buffer.filled().len();
        let poll = Pin::new(&mut metered.stream).poll_read(cx, buffer);
        match metered.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => {
                metered.left = left;
                poll
            }
            None => Poll::Ready(Err(Error::new(ErrorKind::InvalidData, "the answers have no end"))),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl lettre::transport::smtp::client::AsyncTokioStream for Metered {
    fn peer_addr(&self) -> Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

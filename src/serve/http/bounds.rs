//! What a visitor can take of us by being slow, or by being many: so many connections, and on each so much time from one answer to
//! the next.
//!
//! Who sends a request byte by byte, or never reads the answer, is hung up on, and so makes room for others. The time counts from the
//! last byte that was written to the visitor, so that a trickle of bytes from there does not lengthen it. Not here: how long an answer
//! may take to make (`super::guard`), and how long a body may be.

use axum::serve::Listener;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// How many visitors are connected at once; a process often may open 1,024 files, and the state needs some.
const CONNECTIONS_MAX: usize = 512;
/// From one answer to the next: longer than an answer takes to make, with some time to ask.
const EXCHANGE_MAX: Duration = Duration::from_secs(45);

/// A listener with these bounds.
pub struct Bounded<L> {
    listener: L,
    turns: Arc<Semaphore>,
}

impl<L> Bounded<L> {
    /// Bounds the visitors of a listener.
    pub fn new(listener: L) -> Bounded<L> {
        Bounded { listener, turns: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Patient<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // nobody closes it, so there is always a turn some time
        let turn = self.turns.clone().acquire_owned().await.ok();
        let (io, from) = self.listener.accept().await;
        (Patient::new(io, EXCHANGE_MAX, turn), from)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that is waited for so long and no longer.
pub struct Patient<Io> {
    io: Io,
    most: Duration,
    patience: Pin<Box<Sleep>>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl<Io> Patient<Io> {
    fn new(io: Io, most: Duration, turn: Option<OwnedSemaphorePermit>) -> Patient<Io> {
        Patient { io, most, patience: Box::pin(sleep(most)), _turn: turn }
    }

    /// Whether the time is over.
    fn over(&mut self, cx: &mut Context<'_>) -> bool {
        self.patience.as_mut().poll(cx).is_ready()
    }

    /// Takes in how a writing went: what was written begins the time anew.
    fn wrote(&mut self, cx: &mut Context<'_>, end: Poll<Result<usize, Error>>) -> Poll<Result<usize, Error>> {
        match end {
            Poll::Ready(Ok(1..)) => self.patience.as_mut().reset(Instant::now() + self.most),
            Poll::Pending if self.over(cx) => return Poll::Ready(Err(ErrorKind::TimedOut.into())),
            _ => {}
        }
        end
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Patient<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        match self.over(cx) {
            true => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            false => Pin::new(&mut self.io).poll_read(cx, buffer),
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Patient<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let end = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(cx, end)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let end = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.wrote(cx, end)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn who_trickles_and_who_does_not_read_are_hung_up_on() {
        const MOST: Duration = Duration::from_millis(200);
        let (mut visitor, io) = duplex(8);
        let mut ours = Patient::new(io, MOST, None);
        let trickle = tokio::spawn(async move {
            let mut sent = 0;
            while visitor.write_all(b"x").await.is_ok() {
                sent += 1;
                sleep(MOST / 10).await;
            }
            sent
        });
        let mut all = Vec::new();
        assert_eq!(ours.read_to_end(&mut all).await.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(ours);
        assert!(trickle.await.unwrap() >= 1 && !all.is_empty(), "nothing was on its way");

        let (_silent, io) = duplex(8);
        let mut ours = Patient::new(io, MOST, None);
        assert_eq!(ours.write_all(&[0; 64]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn each_answer_begins_the_time_anew() {
        const MOST: Duration = Duration::from_secs(2);
        let (mut visitor, io) = duplex(8);
        let mut ours = Patient::new(io, MOST, None);
        let before = ours.patience.deadline();
        sleep(Duration::from_millis(20)).await;
        ours.write_all(b"answer").await.unwrap();
        assert!(ours.patience.deadline() > before);
        visitor.read_exact(&mut [0; 6]).await.unwrap();
    }
}

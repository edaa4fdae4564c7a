//! A client of bytes: it sends whatever it is given and reads what comes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use database::Secret;
use node::protocol::handshake;

/// No input may take longer than this to be answered or cut off.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// More than this is no answer to a test's input.
const ANSWER_BYTES: usize = 96 << 20;

pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// A packet around a payload.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let mut out = vec![a, b, c, sequence];
    out.extend_from_slice(payload);
    out
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, buffer: Vec::new() }
    }

    /// Logs in, with the capability to send several statements at once.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Raw {
        let mut raw = Raw::connect(address);
        let greeting = handshake::read_greeting(&raw.read_packet().unwrap()).unwrap();
        let proof = handshake::proof(&Secret::new(password), &greeting.salt);
        let mut login = handshake::login(user, &proof);
        login[2] |= 1; // MULTI_STATEMENTS
        raw.send(&packet(1, &login));
        let answer = raw.read_packet().unwrap();
        assert_eq!(answer[0], 0, "{}", String::from_utf8_lossy(&answer));
        raw
    }

    /// Whether the other side still takes it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next payload; none if the connection is over. The deadline is a failure.
    pub fn read_packet(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 4];
        self.fill(&mut header)?;
        let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
        let mut payload = vec![0; length];
        self.fill(&mut payload)?;
        Some(payload)
    }

    fn fill(&mut self, out: &mut [u8]) -> Option<()> {
        let mut chunk = [0; 16 << 10];
        while self.buffer.len() < out.len() {
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if hung(&error) => panic!("no answer within {DEADLINE:?}"),
                Err(_) => return None,
            }
        }
        out.copy_from_slice(&self.buffer[..out.len()]);
        self.buffer.drain(..out.len());
        Some(())
    }

    /// Says that nothing more will come, and gives all that the other side says until it ends the connection.
    pub fn finish(mut self) -> Vec<u8> {
        let _ = self.stream.shutdown(Shutdown::Write); // it may be closed already
        let mut all = std::mem::take(&mut self.buffer);
        let mut chunk = [0; 16 << 10];
        let begun = Instant::now();
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return all,
                Ok(count) => all.extend_from_slice(&chunk[..count]),
                Err(error) if hung(&error) => panic!("the connection is not ended within {DEADLINE:?}"),
                Err(_) => return all,
            }
            assert!(all.len() < ANSWER_BYTES && begun.elapsed() < DEADLINE, "an answer without end");
        }
    }
}

fn hung(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

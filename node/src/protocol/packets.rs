//! Packets: three bytes of length, one of sequence, then the payload.
//!
//! A payload of 16 MiB - 1 or more travels in several packets; the last one is shorter (maybe empty). The
//! writer builds packets in one buffer that is kept for the life of the connection, so that a row costs no
//! allocation. Invariant: a reader never holds more than its `limit` of one payload, and of that not more than a
//! small multiple of what has arrived.

use super::wire::Malformed;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

/// The longest payload of one packet.
const PACKET_BYTES: usize = 0xff_ffff;
/// The header of a packet.
const HEADER_BYTES: usize = 4;
/// A writer's buffer goes to the socket when it is this full.
const FLUSH_BYTES: usize = 128 * 1024;
/// A reader's buffer.
const READ_BYTES: usize = 64 * 1024;
/// A buffer that grew beyond this is given back after use.
const KEEP_BYTES: usize = 4 * 1024 * 1024;

/// Why no packet could be read.
#[derive(Debug)]
pub enum PacketError {
    /// The other side is gone, or silent for too long.
    Io(io::Error),
    /// The payload is longer than the limit (in bytes).
    TooLarge(usize),
    /// The sequence number is not the next one, or a packet is damaged.
    OutOfOrder,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketError::Io(error) => write!(f, "{error}"),
            PacketError::TooLarge(limit) => write!(f, "got a packet bigger than {limit} bytes"),
            PacketError::OutOfOrder => f.write_str("got packets out of order"),
        }
    }
}

impl std::error::Error for PacketError {}

impl From<io::Error> for PacketError {
    fn from(error: io::Error) -> PacketError {
        PacketError::Io(error)
    }
}

impl From<Malformed> for PacketError {
    fn from(_: Malformed) -> PacketError {
        PacketError::OutOfOrder
    }
}

/// Reads whole payloads.
#[derive(Debug)]
pub struct PacketReader<R> {
    inner: BufReader<R>,
    payload: Vec<u8>,
    limit: usize,
    sequence: u8,
}

impl<R: Read> PacketReader<R> {
    /// A reader that refuses payloads of more than `limit` bytes.
    pub fn new(inner: R, limit: usize) -> PacketReader<R> {
        let inner = BufReader::with_capacity(READ_BYTES, inner);
        PacketReader { inner, payload: Vec::new(), limit, sequence: 0 }
    }

    /// The next packet has to carry this sequence number: 0 for a new command.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// The sequence number that the answer has to begin with.
    #[must_use]
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The stream below, to set its time-outs.
    pub fn inner(&self) -> &R {
        self.inner.get_ref()
    }

    /// What has arrived and is not read yet.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        self.inner.buffer()
    }

    /// Goes on reading from another stream; what has arrived on the old one and is not read is forgotten.
    pub fn replace(&mut self, inner: R) {
        self.inner = BufReader::with_capacity(READ_BYTES, inner);
    }

    /// Whether the next packet (or a part of it) has already arrived.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        !self.inner.buffer().is_empty()
    }

    /// The next command (a payload that begins a new exchange), with the sequence number that its answer has to
    /// begin with; `None` if the client is gone.
    pub fn command(&mut self) -> Result<Option<(u8, &[u8])>, PacketError> {
        self.sequence = 0;
        if self.read()?.is_none() {
            return Ok(None);
        }
        Ok(Some((self.sequence, &self.payload)))
    }

    /// From now on a payload may have this many bytes.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next payload; `None` if the stream ended between two packets.
    pub fn read(&mut self) -> Result<Option<&[u8]>, PacketError> {
        self.payload.clear();
        self.payload.shrink_to(KEEP_BYTES);
        loop {
            let mut header = [0; HEADER_BYTES];
            if !self.read_header(&mut header)? {
                return match self.payload.is_empty() {
                    true => Ok(None),
                    false => Err(PacketError::Io(io::ErrorKind::UnexpectedEof.into())),
                };
            }
            let [a, b, c, sequence] = header;
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            if sequence != self.sequence {
                return Err(PacketError::OutOfOrder);
            }
            self.sequence = self.sequence.wrapping_add(1);
            if self.payload.len() + length > self.limit {
                return Err(PacketError::TooLarge(self.limit));
            }
            self.read_part(length)?;
            if length < PACKET_BYTES {
                return Ok(Some(&self.payload));
            }
        }
    }

    /// The next bytes of the payload. A length is only a promise: memory is taken as the bytes come.
    fn read_part(&mut self, length: usize) -> io::Result<()> {
        let mut missing = length;
        while missing > 0 {
            let arrived = match self.inner.fill_buf() {
                Ok(arrived) => &arrived[..arrived.len().min(missing)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if arrived.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.payload.extend_from_slice(arrived);
            let count = arrived.len();
            self.inner.consume(count);
            missing -= count;
        }
        Ok(())
    }

    /// False if the stream ended before the first byte.
    fn read_header(&mut self, header: &mut [u8; HEADER_BYTES]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < HEADER_BYTES {
            match self.inner.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// What has to be over before anything is sent. Its error ends the connection.
pub type Barrier = Box<dyn Fn() -> io::Result<()> + Send>;

/// Builds packets in a buffer and sends it when it is full or flushed.
pub struct PacketWriter<W> {
    inner: W,
    hold: Option<Barrier>,
    buffer: Vec<u8>,
    start: usize,
    sequence: u8,
    sent: u64,
}

impl<W: fmt::Debug> fmt::Debug for PacketWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketWriter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<W: Write> PacketWriter<W> {
    /// A writer to `inner`, which needs no buffer of its own.
    pub fn new(inner: W) -> PacketWriter<W> {
        PacketWriter {
            inner,
            hold: None,
            buffer: Vec::with_capacity(FLUSH_BYTES + READ_BYTES),
            start: 0,
            sequence: 0,
            sent: 0,
        }
    }

    /// From now on `hold` is waited for before each send, so that no byte goes out while it says no.
    pub fn hold(&mut self, hold: Barrier) {
        self.hold = Some(hold);
    }

    /// The next packet carries this sequence number.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// The sequence number of the next packet.
    #[must_use]
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The stream below.
    pub fn inner(&self) -> &W {
        &self.inner
    }

    /// Goes on writing to another stream. What was written has to be flushed before.
    pub fn replace(&mut self, inner: W) {
        self.inner = inner;
    }

    /// Opens a packet: what is appended to the answer is its payload, until [`PacketWriter::finish`].
    pub fn open(&mut self) -> &mut Vec<u8> {
        self.start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
        &mut self.buffer
    }

    /// Closes the packet that [`PacketWriter::open`] opened.
    pub fn finish(&mut self) -> io::Result<()> {
        let payload = self.buffer.len() - self.start - HEADER_BYTES;
        if payload < PACKET_BYTES {
            self.put_header(payload);
        } else {
            self.split()?;
        }
        if self.buffer.len() >= FLUSH_BYTES { self.send() } else { Ok(()) }
    }

    /// Gives up the packet that was opened and is not finished.
    pub fn abandon(&mut self) {
        self.buffer.truncate(self.start);
    }

    /// One whole packet.
    pub fn packet(&mut self, payload: &[u8]) -> io::Result<()> {
        self.open().extend_from_slice(payload);
        self.finish()
    }

    /// Everything goes to the other side now.
    pub fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        self.inner.flush()
    }

    fn put_header(&mut self, payload: usize) {
        let [a, b, c, ..] = payload.to_le_bytes();
        self.buffer[self.start..self.start + HEADER_BYTES].copy_from_slice(&[a, b, c, self.sequence]);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// How many bytes went out so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn send(&mut self) -> io::Result<()> {
        if let Some(hold) = self.hold.as_ref().filter(|_| !self.buffer.is_empty()) {
            hold()?;
        }
        self.sent += self.buffer.len() as u64;
        let result = self.inner.write_all(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_BYTES);
        result
    }

    /// Forgets what was written and not sent; the next packet carries this sequence number.
    pub fn restart(&mut self, sequence: u8) {
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_BYTES);
        self.sequence = sequence;
    }

    /// Sends what `send` takes of the buffer, at one go. True if nothing is left.
    pub fn send_with(&mut self, send: impl FnOnce(&W, &[u8]) -> io::Result<usize>) -> io::Result<bool> {
        if let Some(hold) = self.hold.as_ref().filter(|_| !self.buffer.is_empty()) {
            hold()?;
        }
        let count = send(&self.inner, &self.buffer)?;
        self.sent += count as u64;
        self.buffer.drain(..count);
        self.buffer.shrink_to(KEEP_BYTES);
        Ok(self.buffer.is_empty())
    }

    /// Sends a payload that one packet cannot carry; what is in the buffer before it goes first.
    fn split(&mut self) -> io::Result<()> {
        let payload = self.buffer.split_off(self.start + HEADER_BYTES);
        self.buffer.truncate(self.start);
        self.send()?;
        if let Some(hold) = &self.hold {
            hold()?;
        }
        let full = payload.chunks_exact(PACKET_BYTES);
        let last = full.remainder();
        for part in full.chain([last]) {
            let [a, b, c, ..] = part.len().to_le_bytes();
            self.inner.write_all(&[a, b, c, self.sequence])?;
            self.inner.write_all(part)?;
            self.sent += (HEADER_BYTES + part.len()) as u64;
            self.sequence = self.sequence.wrapping_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = PacketWriter::new(Vec::new());
        for payload in payloads {
            writer.packet(payload).unwrap();
        }
        writer.flush().unwrap();
        writer.inner
    }

    #[test]
    fn payloads_come_back_whatever_their_length() {
        let payloads: Vec<Vec<u8>> =
            [0, 1, 70_000, PACKET_BYTES - 1, PACKET_BYTES, PACKET_BYTES + 1, 2 * PACKET_BYTES]
                .iter()
                .map(|&length| (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect())
                .collect();
        let bytes = sent(&payloads);
        let mut reader = PacketReader::new(&bytes[..], 64 << 20);
        for payload in &payloads {
            assert!(reader.read().unwrap().unwrap() == payload.as_slice(), "{} bytes", payload.len());
        }
        assert!(reader.read().unwrap().is_none());
    }

    #[test]
    fn the_limit_holds_across_the_parts_of_a_payload() {
        let bytes = sent(&[vec![7; PACKET_BYTES + 10]]);
        let mut reader = PacketReader::new(&bytes[..], PACKET_BYTES + 9);
        assert!(matches!(reader.read(), Err(PacketError::TooLarge(_))));
    }

    #[test]
    fn a_wrong_sequence_number_and_a_cut_packet_are_refused() {
        let mut bytes = sent(&[vec![1, 2, 3]]);
        assert!(matches!(PacketReader::new(&bytes[..6], 100).read(), Err(PacketError::Io(_))));
        bytes[3] = 1;
        assert!(matches!(PacketReader::new(&bytes[..], 100).read(), Err(PacketError::OutOfOrder)));
    }
}

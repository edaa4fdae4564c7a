//! A transaction as it lies in a log and travels on a link: its place, its identity, its bytes.
//!
//! The payload stays encoded until somebody applies it, so that a node passes on exactly what it was given. On
//! the link a message is one packet: a mark, then fixed little-endian fields. The format's number is
//! [`LINK_VERSION`]; a source and a replica with different numbers do not talk.

use super::encoding;
use super::position::LogPosition;
use crate::change::Transaction;
use crate::protocol::wire::{Fields, Malformed, put_bytes};
use database::Gtid;

/// The format's number.
pub const LINK_VERSION: u64 = 1;

const TRANSACTION: u8 = 1;
const HEARTBEAT: u8 = 2;

/// One transaction of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins in the log that it was read from.
    pub position: LogPosition,
    /// Where it ends there.
    pub end_pos: u64,
    /// Its identity.
    pub gtid: Gtid,
    /// The `server_id` of the node where it began.
    pub server_id: u32,
    /// When it was committed there.
    pub committed_at_ms: u64,
    /// Its body, encoded.
    pub payload: Vec<u8>,
}

impl Record {
    /// The place behind it.
    #[must_use]
    pub fn end(&self) -> LogPosition {
        LogPosition { file: self.position.file, pos: self.end_pos }
    }

    /// The transaction, decoded.
    pub fn transaction(&self) -> Result<Transaction, Malformed> {
        Ok(Transaction {
            gtid: self.gtid.clone(),
            server_id: self.server_id,
            committed_at_ms: self.committed_at_ms,
            body: encoding::decode(&self.payload)?,
        })
    }
}

/// What a source sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The next transaction.
    Transaction(Record),
    /// There is nothing to send: everything before this place has been sent or is known to the replica.
    Heartbeat(LogPosition),
}

/// Appends a message.
pub fn put_message(out: &mut Vec<u8>, message: &Message) {
    match message {
        Message::Transaction(record) => put_transaction(out, record),
        Message::Heartbeat(place) => put_heartbeat(out, *place),
    }
}

fn put_transaction(out: &mut Vec<u8>, record: &Record) {
    out.push(TRANSACTION);
    put_position(out, record.position);
    out.extend_from_slice(&record.end_pos.to_le_bytes());
    out.extend_from_slice(&record.gtid.sequence.to_le_bytes());
    out.extend_from_slice(&record.server_id.to_le_bytes());
    out.extend_from_slice(&record.committed_at_ms.to_le_bytes());
    put_bytes(out, record.gtid.origin.as_bytes());
    out.extend_from_slice(&record.payload);
}

fn put_heartbeat(out: &mut Vec<u8>, position: LogPosition) {
    out.push(HEARTBEAT);
    put_position(out, position);
}

fn put_position(out: &mut Vec<u8>, position: LogPosition) {
    out.extend_from_slice(&position.file.to_le_bytes());
    out.extend_from_slice(&position.pos.to_le_bytes());
}

/// Reads a message.
pub fn read_message(packet: &[u8]) -> Result<Message, Malformed> {
    let mut fields = Fields::new(packet);
    let kind = fields.u8()?;
    let position = LogPosition { file: fields.u64()?, pos: fields.u64()? };
    match kind {
        HEARTBEAT => Ok(Message::Heartbeat(position)),
        TRANSACTION => {
            let (end_pos, sequence) = (fields.u64()?, fields.u64()?);
            let (server_id, committed_at_ms) = (fields.u32()?, fields.u64()?);
            let origin = std::str::from_utf8(fields.counted()?).map_err(|_| Malformed)?;
            Ok(Message::Transaction(Record {
                position,
                end_pos,
                gtid: Gtid { origin: origin.into(), sequence },
                server_id,
                committed_at_ms,
                payload: fields.remaining().to_vec(),
            }))
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        let record = Record {
            position: LogPosition { file: 2, pos: 77 },
            end_pos: 190,
            gtid: Gtid { origin: "0b7c".into(), sequence: 12 },
            server_id: 3,
            committed_at_ms: 1_700_000_000_123,
            payload: vec![1, 1, 9],
        };
        let mut packet = Vec::new();
        put_transaction(&mut packet, &record);
        assert_eq!(read_message(&packet), Ok(Message::Transaction(record)));
        assert!(read_message(&packet[..40]).is_err());
        let mut packet = Vec::new();
        put_heartbeat(&mut packet, LogPosition::START);
        assert_eq!(read_message(&packet), Ok(Message::Heartbeat(LogPosition::START)));
    }
}

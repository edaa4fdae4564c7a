//! What a node asks of another one as its client: the log, and a snapshot of all data.
//!
//! Both are streams, and the last command of their connection. Invariant: who has not the privilege gets no byte of either.
//! Not here: what is sent (`dump`, `clone::source`).

use super::Client;
use crate::SqlError;
use crate::accounts::privileges::Privilege;
use crate::protocol::packets::PacketError;
use crate::replication::client::LogRequest;
use crate::replication::clone::source;
use crate::replication::dump;
use rusqlite::Connection;
use std::io;

impl Client {
    /// A connection of its own to the node's file, for who has one of these privileges. None if the client was told why not.
    fn reads_file(&mut self, privileges: &[Privilege]) -> io::Result<Option<Connection>> {
        let allowed = self.session.rights().any(privileges);
        match allowed.and_then(|()| self.shared.engine.store.connect()) {
            Ok(conn) => Ok(Some(conn)),
            Err(error) => {
                self.error(&error)?;
                self.packets.flush()?;
                Ok(None)
            }
        }
    }

    /// Sends the log until the replica goes away.
    pub(super) fn dump(&mut self, rest: &[u8]) -> Result<(), PacketError> {
        let Some(request) = LogRequest::read(rest) else {
            self.error(&SqlError::new(1236, "HY000", "the request for the log cannot be read"))?;
            return Ok(self.packets.flush()?);
        };
        let Some(conn) = self.reads_file(&[Privilege::ReplicationSlave])? else { return Ok(()) };
        self.shared.clients.replicates(self.id, request.server_id, request.replica.clone());
        let command = if request.from.is_none() { "Binlog Dump GTID" } else { "Binlog Dump" };
        self.does(command, "Source has sent all binlog to replica; waiting for more updates", b"");
        let stopping = || self.shared.is_stopping();
        Ok(dump::serve(&conn, &self.shared.log, request, &mut self.packets, &stopping)?)
    }

    /// Sends a snapshot of all data to a new node.
    pub(super) fn send_snapshot(&mut self, rest: &[u8]) -> Result<(), PacketError> {
        let Some(conn) = self.reads_file(&[Privilege::Super, Privilege::BackupAdmin])? else { return Ok(()) };
        self.does("Clone", "Sending a snapshot to a new node", b"");
        self.packets.inner().set_write_timeout(Some(source::STALL))?;
        let stopping = || self.shared.is_stopping();
        let (log, own) = (&self.shared.log, self.shared.engine.server_id);
        let request = source::Request::read(rest);
        Ok(source::serve(&conn, log, own, request, &mut self.packets, &stopping)?)
    }
}

//! The commands of prepared statements: prepare, send a long value, execute, reset, close.
//!
//! The session knows the statements; the connection keeps what the client has sent of their parameters. Invariant: how
//! many statements a client has, and how many bytes of long values, is bounded.

use super::Client;
use crate::SqlError;
use crate::protocol::packets::PacketError;
use crate::protocol::parameters::Parameters;
use crate::protocol::results::{ResultWriter, put_column, put_eof};
use crate::protocol::split;
use crate::protocol::wire::Fields;
use crate::results::{ColumnMeta, WireType};
use std::io;
use std::net::TcpStream;

/// The most prepared statements of one client.
const MAX_PREPARED: usize = 16_382;

impl Client {
    pub(super) fn prepare(&mut self, text: &[u8]) -> io::Result<()> {
        let statements = split::statements(text);
        let [statement] = statements[..] else {
            return self.error(&SqlError::syntax(
                "You have an error in your SQL syntax: one statement is prepared at a time",
            ));
        };
        if self.prepared.len() >= MAX_PREPARED {
            let message = format!(
                "Can't create more than max_prepared_stmt_count statements (current value: {MAX_PREPARED})"
            );
            return self.error(&SqlError::new(1461, "42000", message));
        }
        let prepared = match self.session.prepare(statement) {
            Ok(prepared) => prepared,
            Err(error) => return self.error(&error),
        };
        let columns = u16::try_from(prepared.columns.len()).unwrap_or(u16::MAX);
        let out = self.packets.open();
        out.push(0);
        out.extend_from_slice(&prepared.id.to_le_bytes());
        out.extend_from_slice(&columns.to_le_bytes());
        out.extend_from_slice(&prepared.params.to_le_bytes());
        out.extend_from_slice(&[0, 0, 0]);
        self.packets.finish()?;
        let placeholders = vec![placeholder(); usize::from(prepared.params)];
        self.definitions(&placeholders)?;
        self.definitions(&prepared.columns)?;
        self.prepared.insert(prepared.id, Parameters::new(usize::from(prepared.params)));
        Ok(())
    }

    /// Column definitions and the EOF behind them; nothing for none.
    fn definitions(&mut self, columns: &[ColumnMeta]) -> io::Result<()> {
        for column in columns {
            put_column(self.packets.open(), column);
            self.packets.finish()?;
        }
        if !columns.is_empty() {
            put_eof(self.packets.open(), 0, self.session.status());
            self.packets.finish()?;
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, rest: &[u8]) -> Result<(), PacketError> {
        let mut fields = Fields::new(rest);
        let id = fields.u32()?;
        fields.bytes(1 + 4)?;
        let Some(parameters) = self.prepared.get_mut(&id) else {
            return Ok(self.error(&unknown_statement(id, "mysqld_stmt_execute"))?);
        };
        let values = parameters.read(&mut fields);
        parameters.reset();
        let Ok(values) = values else {
            return Ok(self.error(&SqlError::new(1835, "HY000", "Malformed communication packet."))?);
        };
        self.session.ready();
        self.does("Execute", "executing", b"");
        self.may_leave(true);
        let mut result = ResultWriter::new(&mut self.packets, true, false);
        let outcome = self.session.execute_prepared(id, &values, &mut result);
        self.ended(outcome)?;
        Ok(())
    }

    /// This command has no answer; what it gets wrong shows when the statement is executed.
    pub(super) fn long_data(&mut self, rest: &[u8]) -> Result<(), PacketError> {
        let mut fields = Fields::new(rest);
        let (id, parameter) = (fields.u32()?, fields.u16()?);
        let limit = self.shared.max_packet_bytes;
        // all statements of a client together hold no more than one could
        let all: usize = self.prepared.values().map(Parameters::long_bytes).sum();
        let Some(parameters) = self.prepared.get_mut(&id) else { return Ok(()) };
        let free = limit.saturating_sub(all.saturating_sub(parameters.long_bytes()));
        match parameters.append_long(parameter, fields.remaining(), free) {
            true => Ok(()),
            false => Err(PacketError::TooLarge(limit)),
        }
    }

    /// This command has no answer.
    pub(super) fn close_statement(&mut self, id: u32) {
        self.prepared.remove(&id);
        self.session.close_prepared(id);
        acknowledge(self.packets.inner().tcp());
    }

    /// Forgets the long values.
    pub(super) fn reset_statement(&mut self, id: u32) -> io::Result<()> {
        let known = self.prepared.get_mut(&id).map(Parameters::reset);
        self.answer(known.ok_or_else(|| unknown_statement(id, "mysqld_stmt_reset")))
    }
}

fn unknown_statement(id: u32, function: &str) -> SqlError {
    SqlError::new(1243, "HY000", format!("Unknown prepared statement handler ({id}) given to {function}"))
}

/// What a client is told of a parameter, whose type is its own choice.
fn placeholder() -> ColumnMeta {
    ColumnMeta {
        database: String::new(),
        table: String::new(),
        original_table: String::new(),
        name: "?".to_owned(),
        original_name: String::new(),
        wire: WireType::VarString,
        collation: 63,
        length: 0,
        flags: 128,
        decimals: 0,
    }
}

/// Tells the client at once that a command without an answer has arrived. A client that waits for that before it sends its next
/// command (Nagle's algorithm) would else stand still for the 40 ms of a delayed acknowledgement.
#[cfg(target_os = "linux")]
fn acknowledge(stream: &TcpStream) {
    // where it fails the client is late, and nothing else is wrong
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

/// Elsewhere the system's own pace has to do.
#[cfg(not(target_os = "linux"))]
fn acknowledge(_: &TcpStream) {}

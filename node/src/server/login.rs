//! Lets a client in: greets it, reads who it says it is, and checks the proof of its password.
//!
//! An unknown user and a wrong password get the same answer, after the same exchange. Not here: rights. Who is
//! let in may do everything.

use super::Shared;
use crate::SqlError;
use crate::protocol::handshake::{self, Login, LoginError, SALT_BYTES};
use crate::protocol::packets::{PacketError, PacketReader, PacketWriter};
use crate::protocol::results::put_error;
use crate::protocol::status;
use std::io;
use std::net::{SocketAddr, TcpStream};

/// Exchanges the login. `None` if the client was refused (it has been told).
pub(super) fn login(
    shared: &Shared,
    reader: &mut PacketReader<TcpStream>,
    packets: &mut PacketWriter<TcpStream>,
    peer: SocketAddr,
    id: u32,
) -> Result<Option<Login>, PacketError> {
    let salt = salt(shared).map_err(|error| io::Error::other(error.message))?;
    packets.packet(&handshake::greeting(crate::VERSION, id, &salt, status::AUTOCOMMIT))?;
    packets.flush()?;
    reader.set_sequence(1);
    let Some(answer) = reader.read()? else { return Ok(None) };
    let login = match handshake::read_login(answer) {
        Ok(login) => login,
        Err(why) => {
            let message = match why {
                LoginError::WantsTls => "TLS was asked for, and this node does not offer it",
                LoginError::Malformed => "Bad handshake",
            };
            packets.set_sequence(reader.sequence());
            refuse(packets, &SqlError::new(1043, "08S01", message))?;
            return Ok(None);
        }
    };
    let native = login.plugin.as_deref().is_none_or(|plugin| plugin == handshake::NATIVE_PASSWORD.as_bytes());
    let mut proof = login.proof.clone();
    packets.set_sequence(reader.sequence());
    if !native {
        packets.packet(&handshake::switch_request(&salt))?;
        packets.flush()?;
        reader.set_sequence(packets.sequence());
        let Some(answer) = reader.read()? else { return Ok(None) };
        proof = answer.strip_suffix(&[0]).unwrap_or(answer).to_vec();
        if proof.len() != SALT_BYTES && !proof.is_empty() {
            proof = answer.to_vec();
        }
        packets.set_sequence(reader.sequence());
    }
    let account = shared.users.iter().find(|user| user.name == login.user);
    if account.is_some_and(|user| handshake::proves(&user.password, &salt, &proof)) {
        return Ok(Some(login));
    }
    let using = if proof.is_empty() { "NO" } else { "YES" };
    let message =
        format!("Access denied for user '{}'@'{}' (using password: {using})", login.user, peer.ip());
    refuse(packets, &SqlError::new(1045, "28000", message))?;
    Ok(None)
}

fn refuse(packets: &mut PacketWriter<TcpStream>, error: &SqlError) -> io::Result<()> {
    put_error(packets.open(), error);
    packets.finish()?;
    packets.flush()
}

/// Random bytes without a zero, which would end the salt in a client's eyes.
fn salt(shared: &Shared) -> Result<[u8; SALT_BYTES], SqlError> {
    let mut salt = [0; SALT_BYTES];
    let random = shared.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bytes: Vec<u8> = random.query_row("SELECT randomblob(20)", [], |row| row.get(0))?;
    for (to, from) in salt.iter_mut().zip(bytes) {
        *to = from % 127 + 1;
    }
    Ok(salt)
}

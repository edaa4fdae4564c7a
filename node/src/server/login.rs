//! Lets a client in: greets it, reads who it says it is, and checks the proof of its password.
//!
//! The account is the closest one of that name for the place that the client comes from; its plugin decides about the
//! exchange. An unknown user and a wrong password go through the same exchange to the same answer. `caching_sha2_password`
//! needs to see the password itself once, which is asked for over an encrypted connection alone: a key of RSA, with which MySQL does it otherwise, is
//! not offered. A client may change its user later (COM_CHANGE_USER); the proof is then over the salt of the greeting again, as
//! in MySQL, and whoever fails loses the connection. Not here: what who is let in may do.

use super::Shared;
use crate::SqlError;
use crate::accounts::password::{MAX_PASSWORD_BYTES, Plugin, native_proves};
use crate::accounts::rights::Client;
use crate::accounts::{Account, Requirement, USER_CHARACTERS, host};
use crate::protocol::handshake::{self, Login, SALT_BYTES};
use crate::protocol::packets::{PacketError, PacketReader, PacketWriter};
use crate::protocol::results::put_error;
use crate::protocol::status;
use crate::tls::{Agreed, Stream};
use database::Secret;
use sha2::{Digest as _, Sha256};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// In the exchange of caching_sha2_password: the short proof was enough.
const FAST_AUTH_DONE: [u8; 2] = [1, 3];
/// In the exchange of caching_sha2_password: send the password itself.
const SEND_THE_PASSWORD: [u8; 2] = [1, 4];

/// A client that was let in.
pub(super) struct Entered {
    /// What it said of itself.
    pub(super) login: Login,
    /// Who it is.
    pub(super) who: Client,
    /// What its greeting gave it to prove its password over.
    pub(super) salt: [u8; SALT_BYTES],
}

/// The two halves of a client's connection while it logs in.
pub(super) struct Door<'a> {
    pub(super) shared: &'a Shared,
    pub(super) reader: &'a mut PacketReader<Stream>,
    pub(super) packets: &'a mut PacketWriter<Stream>,
    pub(super) peer: SocketAddr,
}

impl Door<'_> {
    /// Exchanges the login. `None` if the client was refused (it has been told).
    pub(super) fn login(&mut self, id: u32) -> Result<Option<Entered>, PacketError> {
        let salt = salt(self.shared).map_err(|error| io::Error::other(error.message))?;
        self.packets.packet(&handshake::greeting(crate::VERSION, id, &salt, status::AUTOCOMMIT, true))?;
        self.packets.flush()?;
        self.reader.set_sequence(1);
        let Some(mut answer) = self.reader.read()?.map(<[u8]>::to_vec) else { return Ok(None) };
        if handshake::wants_tls(&answer) {
            self.go_on_encrypted()?;
            answer = match self.reader.read()? {
                Some(answer) => answer.to_vec(),
                None => return Ok(None),
            };
        }
        let Ok(login) = handshake::read_login(&answer) else {
            return self.refuse(&SqlError::new(1043, "08S01", "Bad handshake")).map(|()| None);
        };
        if self.shared.only_tls && self.agreed().is_none() {
            let message =
                "Connections using insecure transport are prohibited while --require_secure_transport=ON.";
            return self.refuse(&SqlError::new(3159, "HY000", message)).map(|()| None);
        }
        let who = self.admit(&login, &salt)?;
        Ok(who.map(|who| Entered { login, who, salt }))
    }

    /// Lets in who proves its password, over this salt. `None` if the client was refused (it has been told).
    pub(super) fn admit(
        &mut self,
        login: &Login,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Option<Client>, PacketError> {
        let host = host::name_of(self.peer.ip());
        let account = self.shared.engine.accounts.of_client(&login.user, self.peer.ip());
        let account = account.filter(|_| login.user.chars().count() <= USER_CHARACTERS);
        let asked = account.clone().unwrap_or_else(|| self.nobody(&login.user));
        let Some(proof) = self.proof(login, asked.plugin, salt)? else { return Ok(None) };
        let Some(proved) = self.proves(&asked, salt, &proof)? else { return Ok(None) };
        let let_in = proved && self.meets(asked.requires);
        let Some(account) = account.filter(|_| let_in) else {
            let using = if proof.is_empty() { "NO" } else { "YES" };
            let user: String = login.user.chars().take(USER_CHARACTERS).collect();
            let message = format!("Access denied for user '{user}'@'{host}' (using password: {using})");
            return self.refuse(&SqlError::new(1045, "28000", message)).map(|()| None);
        };
        if account.locked {
            let message = format!("Access denied for user '{}'@'{host}'. Account is locked.", login.user);
            return self.refuse(&SqlError::new(3118, "HY000", message)).map(|()| None);
        }
        self.packets.set_sequence(self.reader.sequence());
        Ok(Some(Client { account: account.name.clone(), user: login.user.clone(), host }))
    }

    /// An account for a name that there is not. The name decides about the exchange, so that asking again tells nothing; how,
    /// only this node knows. While nobody logs in with `caching_sha2_password`, nobody who is not there does.
    fn nobody(&self, user: &str) -> Arc<Account> {
        let digest = Sha256::new().chain_update(self.shared.key).chain_update(user).finalize();
        let roster = self.shared.engine.accounts.roster();
        let used = roster.values().any(|account| account.plugin == Plugin::CachingSha2);
        let plugin = if used && digest[0] & 1 == 1 { Plugin::CachingSha2 } else { Plugin::Native };
        Arc::new(Account { plugin, kept: plugin.of_nobody(), ..Account::default() })
    }

    /// The proof by the account's plugin; the client is asked for it if it began with another. `None` if it is gone.
    fn proof(&mut self, login: &Login, plugin: Plugin, salt: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
        let begun = login.plugin.as_deref().unwrap_or(Plugin::Native.name().as_bytes());
        // Who changes the user by caching_sha2_password sends no proof, and waits to be given the salt again.
        let waits = plugin == Plugin::CachingSha2 && login.proof.is_empty();
        let proof = if begun == plugin.name().as_bytes() && !waits {
            login.proof.clone()
        } else {
            match self.ask(&handshake::switch_request(plugin.name(), salt))? {
                Some(proof) => proof,
                None => return Ok(None),
            }
        };
        // Some clients end even an empty proof with a zero.
        Ok(Some(if proof == [0] { Vec::new() } else { proof }))
    }

    /// Sends a packet of the exchange and reads the answer. `None` if the client is gone.
    fn ask(&mut self, packet: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
        self.say(packet)?;
        self.packets.flush()?;
        self.reader.set_sequence(self.packets.sequence());
        Ok(self.reader.read()?.map(<[u8]>::to_vec))
    }

    fn say(&mut self, packet: &[u8]) -> io::Result<()> {
        self.packets.set_sequence(self.reader.sequence());
        self.packets.packet(packet)?;
        self.reader.set_sequence(self.packets.sequence());
        Ok(())
    }

    /// Whether the proof is right. `None` if the client is gone or was told what is wrong.
    fn proves(&mut self, account: &Account, salt: &[u8], proof: &[u8]) -> Result<Option<bool>, PacketError> {
        let kept = account.kept.as_str();
        if account.plugin == Plugin::Native {
            return Ok(Some(native_proves(kept, salt, proof)));
        }
        if kept.is_empty() || proof.is_empty() {
            return Ok(Some(kept.is_empty() && proof.is_empty()));
        }
        let remembered = &self.shared.engine.accounts.remembered;
        if remembered.proves(kept, salt, proof) == Some(true) {
            self.say(&FAST_AUTH_DONE)?;
            return Ok(Some(true));
        }
        // A proof that is wrong is answered like one that cannot be checked yet, and like a user's that there is not.
        let Some(answer) = self.ask(&SEND_THE_PASSWORD)? else { return Ok(None) };
        if self.agreed().is_none() {
            // What a client sends now is a request for a key, or a password that nobody may use.
            let message = "Authentication plugin 'caching_sha2_password' reported error: Authentication requires secure \
                           connection.";
            return self.refuse(&SqlError::new(2061, "HY000", message)).map(|()| None);
        }
        if answer.len() > MAX_PASSWORD_BYTES + 1 {
            return Ok(Some(false));
        }
        let password = String::from_utf8_lossy(answer.strip_suffix(&[0]).unwrap_or(&answer)).into_owned();
        Ok(Some(remembered.learn(kept, &Secret::from(password))))
    }

    /// Goes on encrypted. What came behind the request belongs to TLS already, so nothing that was sent in clear is
    /// ever taken for something that was sent encrypted.
    fn go_on_encrypted(&mut self) -> io::Result<()> {
        let ahead = self.reader.buffered().to_vec();
        let stream = self.packets.inner().accept(Arc::clone(&self.shared.tls), ahead)?;
        self.reader.replace(stream.try_clone()?);
        self.packets.replace(stream);
        Ok(())
    }

    fn agreed(&self) -> Option<&Agreed> {
        self.packets.inner().agreed()
    }

    fn meets(&self, requires: Requirement) -> bool {
        match requires {
            Requirement::None => true,
            Requirement::Ssl => self.agreed().is_some(),
            Requirement::X509 => self.agreed().is_some_and(|agreed| agreed.certified),
        }
    }

    fn refuse(&mut self, error: &SqlError) -> Result<(), PacketError> {
        self.packets.set_sequence(self.reader.sequence());
        put_error(self.packets.open(), error);
        self.packets.finish()?;
        Ok(self.packets.flush()?)
    }
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

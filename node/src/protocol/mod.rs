//! MySQL's client/server protocol: packets, login, results, parameters.
//!
//! Bytes in, bytes out: nothing here knows a statement. `packets` frames, `wire` has the integers and strings
//! of the protocol, `handshake` logs a client in, `results` turns a [`crate::results::Sink`]'s rows into text or
//! binary rows, `parameters` reads what a prepared statement is executed with, `split` cuts a text with several
//! statements. Not here: TLS, compression, `CLIENT_DEPRECATE_EOF` (not offered, so no client uses it).

pub mod handshake;
pub mod packets;
pub mod parameters;
pub mod results;
pub mod split;
pub mod temporal;
pub mod wire;

/// The commands of a client, by their first byte.
pub mod command {
    #![allow(missing_docs)] // the names are the protocol's own
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const REFRESH: u8 = 0x07;
    pub const STATISTICS: u8 = 0x09;
    pub const PROCESS_KILL: u8 = 0x0c;
    pub const PING: u8 = 0x0e;
    pub const CHANGE_USER: u8 = 0x11;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
    pub const SET_OPTION: u8 = 0x1b;
    pub const BINLOG_DUMP_GTID: u8 = 0x1e;
    pub const RESET_CONNECTION: u8 = 0x1f;
    pub const CLONE: u8 = 0x20;
}

/// Capability flags of the login.
pub mod capability {
    #![allow(missing_docs)] // the names are the protocol's own
    pub const LONG_PASSWORD: u32 = 1;
    pub const FOUND_ROWS: u32 = 1 << 1;
    pub const LONG_FLAG: u32 = 1 << 2;
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const TRANSACTIONS: u32 = 1 << 13;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const MULTI_STATEMENTS: u32 = 1 << 16;
    pub const MULTI_RESULTS: u32 = 1 << 17;
    pub const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;

    /// What this server offers.
    pub const OFFERED: u32 = LONG_PASSWORD
        | FOUND_ROWS
        | LONG_FLAG
        | CONNECT_WITH_DB
        | PROTOCOL_41
        | TRANSACTIONS
        | SECURE_CONNECTION
        | MULTI_STATEMENTS
        | MULTI_RESULTS
        | PS_MULTI_RESULTS
        | PLUGIN_AUTH
        | CONNECT_ATTRS
        | PLUGIN_AUTH_LENENC;
}

/// Status flags of OK and EOF packets.
pub mod status {
    /// Another result follows.
    pub const MORE_RESULTS: u16 = 8;
    /// The session commits each statement.
    pub const AUTOCOMMIT: u16 = 2;
}

//! The bundled node: a small honest master-master database.
//!
//! SQLite underneath, MySQL's protocol and words in front. A client connects to one port (`protocol`,
//! `server`); its `session` turns MySQL's SQL into SQLite's (`sql`) and writes rows itself, one by one, so
//! that it knows each row before and after without any hook. A commit writes the changes and their GTID to the
//! binary log in the same SQLite transaction as the data (`replication`). Other nodes pull that log.
//!
//! Invariant: a change is in the binary log if and only if it is in the tables, except where a client
//! switched the log off with `sql_log_bin=0`, as in MySQL.

pub mod accounts;
pub mod change;
pub mod config;
mod datadir;
pub mod error;
mod live;
pub mod node;
pub mod protocol;
pub mod replication;
pub mod results;
pub mod server;
pub mod session;
pub mod sql;
pub mod storage;
pub mod tls;

pub use config::Config;
pub use error::SqlError;
pub use node::{Node, StartError};
pub use session::variables::VERSION;

//! The settings of a link: what CHANGE MASTER says, and what is to run.
//!
//! They are values; `links` keeps them. Invariant: what was received or noted under other settings of the source has
//! another epoch, and is void.

use crate::replication::position::LogPosition;
use crate::tls::link::LinkTls;
use database::Secret;

/// How many tries in a row a link makes unless it is told otherwise, as in MySQL.
const RETRY_COUNT: u64 = 86_400;

/// How a source is reached, and from where its log is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account there.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether GTIDs decide what is fetched, and not a place.
    pub auto_position: bool,
    /// The place to begin at, where GTIDs do not decide.
    pub from: Option<LogPosition>,
    /// Which CHANGE MASTER or RESET SLAVE these settings are of. What was received or noted under another one is void.
    pub epoch: i64,
    /// The wait before connecting again.
    pub connect_retry_s: u64,
    /// How much later than its origin this link applies.
    pub delay_s: u64,
    /// How many tries in a row to reach the source; 0 for without end.
    pub retry_count: u64,
    /// What began on these servers is not taken.
    pub ignore_server_ids: Vec<u32>,
    /// Whether and how it is encrypted.
    pub tls: LinkTls,
    /// Whether the receiver is to run.
    pub run_receiver: bool,
    /// Whether the applier is to run.
    pub run_applier: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            host: String::new(),
            port: 3306,
            user: String::new(),
            password: Secret::default(),
            auto_position: false,
            from: None,
            epoch: 0,
            connect_retry_s: 1,
            delay_s: 0,
            retry_count: RETRY_COUNT,
            ignore_server_ids: Vec::new(),
            tls: LinkTls::default(),
            run_receiver: false,
            run_applier: false,
        }
    }
}

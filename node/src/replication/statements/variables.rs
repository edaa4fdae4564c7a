//! The system variables that belong to the log and the links.
//!
//! They are read when they are asked for, on a connection of their own, so they tell what is committed now and not
//! what the session's transaction sees (as in MySQL). Two can be set: how many transactions the applier skips,
//! and a delay of every transaction, which makes lag for tests.

use super::Admin;
use crate::SqlError;
use crate::replication::gtids::{EXECUTED, PURGED, read};
use crate::replication::record::LINK_VERSION;
use crate::session::variables::MoreVariables;
use std::sync::atomic::Ordering;

/// The longest delay that a test may ask for.
const MAX_DELAY_MS: u64 = 10_000;

const NAMES: [&str; 8] = [
    "evensum_link_delay_ms",
    "evensum_link_version",
    "gtid_executed",
    "gtid_purged",
    "server_id",
    "server_uuid",
    "sql_replica_skip_counter",
    "sql_slave_skip_counter",
];

impl MoreVariables for Admin {
    fn value(&self, name: &str) -> Option<String> {
        if !NAMES.contains(&name) {
            return None;
        }
        let set = |table| {
            let conn = (self.context().connect)().ok()?;
            read(&conn, table).ok().map(|set| set.to_string())
        };
        match name {
            "gtid_executed" => set(EXECUTED),
            "gtid_purged" => set(PURGED),
            "server_uuid" => Some(self.log().server_uuid().to_owned()),
            "server_id" => Some(self.context().server_id.to_string()),
            "evensum_link_version" => Some(LINK_VERSION.to_string()),
            "evensum_link_delay_ms" => {
                let delay = &self.context().delay_ms;
                let (least, most) = (delay.0.load(Ordering::Relaxed), delay.1.load(Ordering::Relaxed));
                Some(if least == most { least.to_string() } else { format!("{least}:{most}") })
            }
            _ => Some(self.links.get("").map_or(0, |link| link.state().skip_counter).to_string()),
        }
    }

    fn set(&self, name: &str, value: &str) -> Option<Result<(), SqlError>> {
        match name {
            "evensum_link_delay_ms" => Some(self.set_delay(value)),
            "sql_slave_skip_counter" | "sql_replica_skip_counter" => Some(self.set_skip_counter(value)),
            _ if NAMES.contains(&name) => {
                Some(Err(SqlError::new(1238, "HY000", format!("Variable '{name}' is a read only variable"))))
            }
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }
}

impl Admin {
    /// One number of milliseconds, or `least:most`, which gives each transaction a random one between them.
    fn set_delay(&self, value: &str) -> Result<(), SqlError> {
        let (least, most) = value.split_once(':').unwrap_or((value, value));
        let number = |text: &str| text.trim().parse().ok().filter(|&ms: &u64| ms <= MAX_DELAY_MS);
        match (number(least), number(most)) {
            (Some(least), Some(most)) if least <= most => {
                let delay = &self.context().delay_ms;
                delay.0.store(least, Ordering::Relaxed);
                delay.1.store(most, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(wrong("evensum_link_delay_ms", value)),
        }
    }

    fn set_skip_counter(&self, value: &str) -> Result<(), SqlError> {
        let count = value.trim().parse().map_err(|_| wrong("sql_slave_skip_counter", value))?;
        let link = self.links.get("")?;
        if link.state().applying {
            return Err(crate::replication::links::must_stop());
        }
        link.update(|state| state.skip_counter = count);
        Ok(())
    }
}

fn wrong(name: &str, value: &str) -> SqlError {
    SqlError::new(1231, "42000", format!("Variable '{name}' can't be set to the value of '{value}'"))
}

//! System variables, global and of a session, and user variables.
//!
//! Every variable here is text; what acts on one reads it when it acts. A variable that this node does not have
//! is error 1193, and one that has no effect here is not pretended to be settable beyond its own value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::types::Value as Stored;

use super::isolation;
use super::user_variables::UserVariables;
use crate::SqlError;
use crate::change::BinlogFormat;
use crate::sql::collation::{Collation, known_collation, of_connection};
use crate::sql::temporal;
use crate::sql::types::Kind;

/// The version that clients are told.
pub const VERSION: &str = "8.0.99-evensum";

const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// `sql_select_limit` where there is none.
const NO_LIMIT: &str = "18446744073709551615";

/// Name, first value, and whether SET may change it.
const DEFAULTS: &[(&str, &str, bool)] = &[
    ("auto_increment_increment", "1", true),
    ("auto_increment_offset", "1", true),
    ("autocommit", "ON", true),
    ("bind_address", "127.0.0.1", false),
    ("binlog_expire_logs_seconds", "2592000", true),
    ("binlog_format", "ROW", true),
    ("binlog_row_image", "FULL", false),
    ("character_set_client", "utf8mb4", true),
    ("character_set_connection", "utf8mb4", true),
    ("character_set_database", "utf8mb4", true),
    ("character_set_results", "utf8mb4", true),
    ("character_set_server", "utf8mb4", true),
    ("character_set_system", "utf8mb3", false),
    ("collation_connection", "utf8mb4_general_ci", true),
    ("collation_database", "utf8mb4_general_ci", true),
    ("collation_server", "utf8mb4_general_ci", true),
    ("datadir", "", false),
    ("default_storage_engine", "InnoDB", true),
    ("enforce_gtid_consistency", "ON", false),
    ("error_count", "0", false),
    ("expire_logs_days", "30", true),
    ("foreign_key_checks", "ON", true),
    ("group_concat_max_len", "1048576", true),
    ("gtid_mode", "ON", false),
    ("hostname", "localhost", false),
    ("init_connect", "", false),
    ("innodb_flush_log_at_trx_commit", "1", true),
    ("innodb_lock_wait_timeout", "5", true),
    ("insert_id", "0", true),
    ("interactive_timeout", "28800", true),
    ("lc_messages", "en_US", true),
    ("license", "MIT OR Apache-2.0", false),
    ("lock_wait_timeout", "31536000", true),
    ("log_bin", "ON", false),
    ("log_bin_basename", "", false),
    ("log_replica_updates", "ON", false),
    ("log_slave_updates", "ON", false),
    ("lower_case_table_names", "0", false),
    ("max_allowed_packet", "67108864", false),
    ("max_binlog_size", "1073741824", true),
    ("max_connections", "151", false),
    ("max_error_count", "64", true),
    ("max_execution_time", "0", true),
    ("net_buffer_length", "16384", true),
    ("net_read_timeout", "30", true),
    ("net_write_timeout", "60", true),
    ("performance_schema", "OFF", false),
    ("port", "3306", false),
    ("protocol_version", "10", false),
    ("query_cache_size", "0", false),
    ("query_cache_type", "OFF", false),
    ("read_only", "OFF", true),
    ("relay_log", "relay-bin", false),
    ("relay_log_space_limit", "0", false),
    ("replica_net_timeout", "10", true),
    ("replica_skip_errors", "OFF", false),
    ("replicate_do_db", "", false),
    ("replicate_do_table", "", false),
    ("replicate_ignore_db", "", false),
    ("replicate_ignore_table", "", false),
    ("replicate_wild_do_table", "", false),
    ("replicate_wild_ignore_table", "", false),
    ("report_host", "", false),
    ("report_port", "0", false),
    ("server_id", "0", false),
    ("server_uuid", "", false),
    ("session_track_system_variables", "", true),
    ("slave_net_timeout", "10", true),
    ("slave_skip_errors", "OFF", false),
    ("socket", "", false),
    ("sql_auto_is_null", "OFF", true),
    ("sql_log_bin", "ON", true),
    ("sql_mode", SQL_MODE, true),
    ("sql_notes", "ON", true),
    ("sql_quote_show_create", "ON", true),
    ("sql_safe_updates", "OFF", true),
    ("sql_select_limit", NO_LIMIT, true),
    ("super_read_only", "OFF", true),
    ("sync_binlog", "1", true),
    ("system_time_zone", "UTC", false),
    ("time_zone", "SYSTEM", true),
    ("timestamp", "0", true),
    ("transaction_isolation", "REPEATABLE-READ", true),
    ("transaction_read_only", "OFF", true),
    ("tx_isolation", "REPEATABLE-READ", true),
    ("unique_checks", "ON", true),
    ("version", VERSION, false),
    ("version_comment", "evensum's bundled node (SQLite underneath, no MySQL server)", false),
    ("wait_timeout", "28800", true),
    ("warning_count", "0", false),
];

/// Variables that are ON or OFF, and 1 or 0 in a SELECT.
const SWITCHES: &[&str] = &[
    "autocommit",
    "enforce_gtid_consistency",
    "foreign_key_checks",
    "log_bin",
    "log_replica_updates",
    "log_slave_updates",
    "performance_schema",
    "query_cache_type",
    "read_only",
    "sql_auto_is_null",
    "sql_log_bin",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "super_read_only",
    "transaction_read_only",
    "unique_checks",
];

/// Variables of the server only.
const GLOBAL_ONLY: &[&str] = &[
    "binlog_expire_logs_seconds",
    "expire_logs_days",
    "innodb_flush_log_at_trx_commit",
    "max_binlog_size",
    "max_connections",
    "read_only",
    "replica_net_timeout",
    "slave_net_timeout",
    "super_read_only",
    "sync_binlog",
];

/// Variables of a session only.
const SESSION_ONLY: &[&str] = &["error_count", "insert_id", "sql_log_bin", "timestamp", "warning_count"];

/// The latest `timestamp`, in seconds since 1970, as in MySQL.
const MAX_TIMESTAMP: f64 = 2_147_483_647.0;

/// The whole numbers that a variable takes. What MySQL would cut to fit is refused here.
const RANGES: &[(&str, u64, u64)] = &[
    ("auto_increment_increment", 1, 65_535),
    ("auto_increment_offset", 1, 65_535),
    ("binlog_expire_logs_seconds", 0, 4_294_967_295),
    ("expire_logs_days", 0, 49_710),
    ("innodb_flush_log_at_trx_commit", 0, 2),
    ("innodb_lock_wait_timeout", 1, 1_073_741_824),
    ("lock_wait_timeout", 1, 31_536_000),
    ("max_binlog_size", 4096, 1_073_741_824),
    ("max_error_count", 0, 65_535),
    ("replica_net_timeout", 1, 31_536_000),
    ("slave_net_timeout", 1, 31_536_000),
    ("sync_binlog", 0, 4_294_967_295),
];

/// The values that new sessions begin with. Shared by all.
pub struct GlobalVariables {
    values: Mutex<BTreeMap<String, String>>,
    observer: OnceLock<Box<Observer>>,
}

/// Told the name of a variable that a client has set globally.
pub type Observer = dyn Fn(&GlobalVariables, &str) + Send + Sync;

impl Default for GlobalVariables {
    fn default() -> GlobalVariables {
        let values =
            DEFAULTS.iter().map(|(name, value, _)| ((*name).to_owned(), (*value).to_owned())).collect();
        GlobalVariables { values: Mutex::new(values), observer: OnceLock::new() }
    }
}

impl GlobalVariables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Sets a variable without asking whether clients may: for the configuration.
    pub fn set(&self, name: &str, value: &str) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
    }

    /// Tells this one of each variable that a client sets; only the first observer counts.
    pub fn observe(&self, observer: Box<Observer>) {
        self.observer.get_or_init(|| observer);
    }

    fn set_by_client(&self, name: &str, value: &str) {
        self.set(name, value);
        if let Some(observer) = self.observer.get() {
            observer(self, name);
        }
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where variables live that others keep: `gtid_executed`, replication's own.
pub trait MoreVariables: Send + Sync {
    /// The value, if it is one of these.
    fn value(&self, name: &str) -> Option<String>;
    /// Sets it, if it is one of these.
    fn set(&self, name: &str, value: &str) -> Option<Result<(), SqlError>>;
    /// The names of all of them.
    fn names(&self) -> Vec<String>;
}

/// The variables of one session.
pub struct Variables {
    global: Arc<GlobalVariables>,
    more: Arc<dyn MoreVariables>,
    session: BTreeMap<String, String>,
    users: UserVariables,
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(1193, "HY000", format!("Unknown system variable '{name}'"))
}

fn bare(name: &str) -> (Option<bool>, String) {
    let name = name.to_ascii_lowercase();
    match name.split_once('.') {
        Some(("global", rest)) => (Some(true), rest.to_owned()),
        Some(("session" | "local", rest)) => (Some(false), rest.to_owned()),
        _ => (None, name),
    }
}

impl Variables {
    /// The variables of a new session.
    #[must_use]
    pub fn new(global: Arc<GlobalVariables>, more: Arc<dyn MoreVariables>) -> Variables {
        let session = global.all();
        Variables { global, more, session, users: UserVariables::default() }
    }

    /// Says who the node is.
    pub fn identify(&mut self, server_id: u32, server_uuid: &str) {
        self.session.insert("server_id".to_owned(), server_id.to_string());
        self.session.insert("server_uuid".to_owned(), server_uuid.to_owned());
    }

    /// Forgets what the session has set.
    pub fn reset(&mut self) {
        self.session = self.global.all();
        self.users.clear();
    }

    /// The value of `name`, `session.name` or `global.name`, as SHOW VARIABLES prints it.
    pub fn get(&self, name: &str) -> Result<String, SqlError> {
        let (scope, name) = bare(name);
        // that of the origin, while a statement of another node is run
        let own = name == "server_id" && scope != Some(true);
        if let Some(value) =
            self.session.get(&name).filter(|_| own).cloned().or_else(|| self.more.value(&name))
        {
            return Ok(value);
        }
        if name == "timestamp" {
            let micros = self.timestamp_us().unwrap_or_else(|| temporal::DateTime::now().micros());
            return Ok(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
        }
        let global = scope == Some(true) || GLOBAL_ONLY.contains(&name.as_str());
        let found = if global { self.global.get(&name) } else { self.session.get(&name).cloned() };
        found.or_else(|| self.global.get(&name)).ok_or_else(|| unknown(&name))
    }

    /// The value as `SELECT @@name` gives it: switches are 1 or 0.
    pub fn select(&self, name: &str) -> Result<String, SqlError> {
        let value = self.get(name)?;
        let switch = SWITCHES.contains(&bare(name).1.as_str());
        Ok(match (switch, value.as_str()) {
            (true, "ON") => "1".to_owned(),
            (true, "OFF") => "0".to_owned(),
            _ => value,
        })
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_ok_and(|value| value == "ON")
    }

    /// A variable as a number, or 0.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// In which form the session's writes are logged.
    #[must_use]
    pub fn binlog_format(&self) -> BinlogFormat {
        self.session.get("binlog_format").and_then(|word| BinlogFormat::of(word)).unwrap_or_default()
    }

    /// How many rows a SELECT without a LIMIT gives at most, if the session has set that.
    #[must_use]
    pub fn select_limit(&self) -> Option<i64> {
        let limit = self.session.get("sql_select_limit").filter(|limit| *limit != NO_LIMIT)?;
        Some(limit.parse::<u64>().ok().and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX))
    }

    /// Whether `sql_mode` has this word.
    #[must_use]
    pub fn mode(&self, word: &str) -> bool {
        self.session.get("sql_mode").is_some_and(|mode| mode.split(',').any(|part| part == word))
    }

    /// The moment that the session's statements are to take for now, if it has set one (microseconds since 1970).
    #[must_use]
    pub fn timestamp_us(&self) -> Option<i64> {
        self.session.get("timestamp")?.parse().ok().filter(|&micros| micros != 0)
    }

    /// The automatic key that the next INSERT is to begin with, if the session has set one.
    #[must_use]
    pub fn insert_id(&self) -> Option<u64> {
        self.session.get("insert_id")?.parse().ok().filter(|&id| id != 0)
    }

    /// An INSERT has used the key that was set for it.
    pub fn forget_insert_id(&mut self) {
        self.session.insert("insert_id".to_owned(), "0".to_owned());
    }

    /// Seconds east of UTC of `time_zone`.
    #[must_use]
    pub fn zone_offset(&self) -> i64 {
        self.session.get("time_zone").and_then(|zone| temporal::zone_offset(zone)).unwrap_or(0)
    }

    /// How literals are ordered.
    #[must_use]
    pub fn connection_collation(&self) -> Collation {
        let name = self.session.get("collation_connection");
        name.and_then(|name| Collation::of_name(name)).unwrap_or(Collation::GeneralCi)
    }

    /// Sets a variable, checked.
    pub fn set(&mut self, name: &str, global: bool, value: &str) -> Result<(), SqlError> {
        let (scope, name) = bare(name);
        let global = global || scope == Some(true);
        if let Some(done) = self.more.set(&name, value) {
            return done;
        }
        let (_, default, settable) =
            *DEFAULTS.iter().find(|(known, ..)| *known == name).ok_or_else(|| unknown(&name))?;
        if !settable {
            let message = format!("Variable '{name}' is a read only variable");
            return Err(SqlError::new(1238, "HY000", message));
        }
        if GLOBAL_ONLY.contains(&name.as_str()) && !global {
            let message = format!("Variable '{name}' is a GLOBAL variable and should be set with SET GLOBAL");
            return Err(SqlError::new(1229, "HY000", message));
        }
        if SESSION_ONLY.contains(&name.as_str()) && global {
            let message =
                format!("Variable '{name}' is a SESSION variable and can't be used with SET GLOBAL");
            return Err(SqlError::new(1228, "HY000", message));
        }
        let value = match value.eq_ignore_ascii_case("default") {
            // of this one a session's default is what the server has now
            true if name == "binlog_format" && !global => {
                &self.global.get(&name).unwrap_or_else(|| default.to_owned())
            }
            true => default,
            false => value,
        };
        let value = checked(&name, default, value)?;
        if isolation::NAMES.contains(&name.as_str()) {
            isolation::NAMES.iter().for_each(|name| self.keep(name, global, value.clone()));
            return Ok(());
        }
        self.keep(&name, global, value);
        Ok(())
    }

    fn keep(&mut self, name: &str, global: bool, value: String) {
        if global {
            self.global.set_by_client(name, &value);
        } else {
            self.session.insert(name.to_owned(), value);
        }
    }

    /// A user variable.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<(Stored, Kind)> {
        self.users.get(name).cloned()
    }

    /// Sets a user variable.
    pub fn set_user(&mut self, name: &str, value: Stored, kind: Kind) -> Result<(), SqlError> {
        self.users.set(name, value, kind)
    }

    /// All system variables, for SHOW VARIABLES.
    #[must_use]
    pub fn all(&self, global: bool) -> BTreeMap<String, String> {
        let mut all = self.global.all();
        all.retain(|name, _| !global || !SESSION_ONLY.contains(&name.as_str()));
        if !global {
            all.extend(self.session.clone());
            all.extend(self.get("timestamp").map(|now| ("timestamp".to_owned(), now)));
        }
        for name in self.more.names() {
            if let Some(value) = self.more.value(&name) {
                all.insert(name, value);
            }
        }
        all
    }
}

/// Microseconds of seconds that may have a fraction.
fn micros(seconds: &str) -> Option<u64> {
    let exact: f64 = seconds.parse().ok().filter(|seconds| (0.0..=MAX_TIMESTAMP).contains(seconds))?;
    let nanos = std::time::Duration::try_from_secs_f64(exact).ok()?.as_nanos();
    u64::try_from((nanos + 500) / 1000).ok()
}

/// The value in the form in which the variable keeps it, or error 1231.
fn checked(name: &str, default: &str, value: &str) -> Result<String, SqlError> {
    let wrong = || {
        let message = format!("Variable '{name}' can't be set to the value of '{value}'");
        SqlError::new(1231, "42000", message)
    };
    if SWITCHES.contains(&name) {
        return match value.to_ascii_uppercase().as_str() {
            "1" | "ON" | "TRUE" => Ok("ON".to_owned()),
            "0" | "OFF" | "FALSE" => Ok("OFF".to_owned()),
            _ => Err(wrong()),
        };
    }
    if let Some((_, least, most)) = RANGES.iter().find(|(ranged, ..)| *ranged == name) {
        let number = value.parse::<u64>().ok().filter(|number| (least..=most).contains(&number));
        return number.map(|number| number.to_string()).ok_or_else(wrong);
    }
    match name {
        // there are no other words here than English ones
        "transaction_isolation" | "tx_isolation" => isolation::level(value).map(str::to_owned),
        "lc_messages" if value == "en_US" => Ok(value.to_owned()),
        "lc_messages" => Err(SqlError::new(1649, "HY000", format!("Unknown locale: '{value}'"))),
        "timestamp" => micros(value).map(|micros| micros.to_string()).ok_or_else(wrong),
        "binlog_format" => BinlogFormat::of(value).map(|format| format.name().to_owned()).ok_or_else(wrong),
        "collation_connection" => of_connection(value).map(|(known, _)| known),
        "collation_database" | "collation_server" => known_collation(value),
        "time_zone" => {
            let message = format!("Unknown or incorrect time zone: '{value}'");
            temporal::zone_offset(value)
                .map(|_| value.to_owned())
                .ok_or_else(|| SqlError::new(1298, "HY000", message))
        }
        "sql_mode" => {
            let mut words: Vec<String> = Vec::new();
            for word in value.split(',').map(|w| w.trim().to_ascii_uppercase()).filter(|w| !w.is_empty()) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            if words.iter().any(|word| word == "ANSI_QUOTES" || word == "NO_BACKSLASH_ESCAPES") {
                return Err(wrong());
            }
            Ok(words.join(","))
        }
        _ if default.parse::<u64>().is_ok() => {
            value.parse::<u64>().map(|n| n.to_string()).map_err(|_| wrong())
        }
        _ => Ok(value.to_owned()),
    }
}

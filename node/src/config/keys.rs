//! The names of the keys: which there are, which change nothing, what else MySQL calls them, and which is nearest.
//!
//! MySQL 8 has a new name for many an old key (`log_replica_updates`); both mean the same key of the configuration.
//! Not here: what a key means.

use super::ConfigError;
use serde::{Deserialize, Deserializer};

/// The key that counts [`SECONDS`] in days.
pub(super) const DAYS: &str = "expire_logs_days";
/// The age of a log file at which it goes.
pub(super) const SECONDS: &str = "binlog_expire_logs_seconds";

/// Keys of MySQL that this node reads and that change nothing, because it always works that way.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "basedir",
    "binlog_cache_size",
    "binlog_checksum",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "general_log",
    "general_log_file",
    "innodb_buffer_pool_size",
    "innodb_file_per_table",
    "innodb_log_buffer_size",
    "innodb_log_file_size",
    "key_buffer_size",
    "lc_messages",
    "lc_messages_dir",
    "log_error",
    "log_queries_not_using_indexes",
    "long_query_time",
    "master_info_repository",
    "myisam_recover_options",
    "mysqlx_bind_address",
    "pid_file",
    "query_cache_limit",
    "query_cache_size",
    "query_cache_type",
    "relay_log_index",
    "relay_log_info_repository",
    "relay_log_purge",
    "relay_log_recovery",
    "skip_external_locking",
    "skip_name_resolve",
    "slave_parallel_workers",
    "slow_query_log",
    "slow_query_log_file",
    "socket",
    "symbolic_links",
    "table_open_cache",
    "thread_cache_size",
    "thread_stack",
    "tmpdir",
    "user",
];

/// Every key of [`super::Config`].
pub(super) const KEYS: &[&str] = &[
    "auto_increment_increment",
    "auto_increment_offset",
    "bind_address",
    "binlog_do_db",
    SECONDS,
    "binlog_format",
    "binlog_ignore_db",
    "datadir",
    "enforce_gtid_consistency",
    "gtid_mode",
    "innodb_flush_log_at_trx_commit",
    "innodb_lock_wait_timeout",
    "lock_wait_timeout",
    "log_bin",
    "log_slave_updates",
    "max_allowed_packet",
    "max_binlog_size",
    "max_connections",
    "port",
    "read_only",
    "relay_log",
    "relay_log_space_limit",
    "replicate_do_db",
    "replicate_do_table",
    "replicate_ignore_db",
    "replicate_ignore_table",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
    "report_host",
    "report_port",
    "require_secure_transport",
    "server_id",
    "skip_log_bin",
    "skip_slave_start",
    "slave_net_timeout",
    "slave_skip_errors",
    "sources",
    "ssl_ca",
    "ssl_cert",
    "ssl_key",
    "super_read_only",
    "sync_binlog",
    "users",
];

/// The name under which the configuration knows a key.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "log_bin_basename" => "log_bin",
        "log_replica_updates" => "log_slave_updates",
        "replica_net_timeout" => "slave_net_timeout",
        "replica_parallel_workers" => "slave_parallel_workers",
        "replica_skip_errors" => "slave_skip_errors",
        "skip_replica_start" => "skip_slave_start",
        "disable_log_bin" => "skip_log_bin",
        other => other,
    }
}

/// Keys that may be given several times, each time with one more value.
pub(super) fn is_list(key: &str) -> bool {
    matches!(key, "binlog_do_db" | "binlog_ignore_db") || key.starts_with("replicate_")
}

/// Keys that are on or off.
pub(super) fn is_switch(key: &str) -> bool {
    matches!(
        key,
        "enforce_gtid_consistency"
            | "gtid_mode"
            | "log_slave_updates"
            | "read_only"
            | "require_secure_transport"
            | "skip_log_bin"
            | "skip_slave_start"
            | "super_read_only"
    )
}

/// On or off, in MySQL's words.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Ok(true),
        "0" | "off" | "false" | "no" => Ok(false),
        _ => Err(format!("'{text}' is neither on nor off")),
    }
}

/// A switch as TOML may write it: `true`, `1` or `"ON"`.
pub(super) fn switch<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Switch(bool),
        Number(u8),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Switch(on) => Ok(on),
        Written::Number(number) => on_or_off(&number.to_string()).map_err(serde::de::Error::custom),
        Written::Text(text) => on_or_off(&text).map_err(serde::de::Error::custom),
    }
}

/// The refusal of a key that nobody knows.
pub(super) fn unknown_key(name: &str, line: Option<usize>) -> ConfigError {
    let place = line.map_or(String::new(), |line| format!("line {line}: "));
    let nearest = KEYS
        .iter()
        .min_by_key(|key| distance(name, key))
        .filter(|key| distance(name, key) <= 1 + name.len() / 3);
    let hint = nearest.map_or(String::new(), |key| format!("; did you mean '{key}'?"));
    ConfigError(format!("{place}unknown key '{name}'{hint}"))
}

/// How many letters have to be changed, added or removed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

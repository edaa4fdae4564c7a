//! What a node is told when it starts: `node.toml`, or the `[mysqld]` section of a my.cnf.
//!
//! The keys are MySQL's names. A key that this node does not know is refused with its line and the nearest key
//! that it knows: a misspelt `auto_increment_ofset` must not make two masters count alike. Keys of MySQL that
//! change nothing here are listed as *without effect*, so that the caller can say so. Not here: the defaults of a session.

mod my_cnf;

use database::Secret;
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The port that MySQL has.
const DEFAULT_PORT: u16 = 3306;
/// 64 MiB, as in MySQL 8.
const DEFAULT_PACKET_BYTES: usize = 64 << 20;
/// 1 GiB, the protocol's own bound.
const MAX_PACKET_BYTES: usize = 1 << 30;
/// 1 GiB, as in MySQL.
const DEFAULT_BINLOG_BYTES: u64 = 1 << 30;
/// The smallest log file, as in MySQL.
const MIN_BINLOG_BYTES: u64 = 4096;
/// What a link may hold that is received and not applied.
const DEFAULT_RELAY_BYTES: u64 = 256 << 20;

/// Keys of MySQL that this node reads and that change nothing, because it always works that way.
const WITHOUT_EFFECT: &[&str] = &[
    "basedir",
    "binlog_checksum",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "enforce_gtid_consistency",
    "expire_logs_days",
    "gtid_mode",
    "innodb_buffer_pool_size",
    "log_error",
    "log_replica_updates",
    "log_slave_updates",
    "master_info_repository",
    "pid_file",
    "relay_log",
    "relay_log_info_repository",
    "relay_log_recovery",
    "skip_name_resolve",
    "skip_slave_start",
    "socket",
    "symbolic_links",
    "tmpdir",
    "user",
];

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password; empty for none, which is allowed on a loopback address only.
    #[serde(default)]
    pub password: Secret,
}

/// A node to replicate from as soon as this node starts, with auto position.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The account there.
    #[serde(default = "default_user")]
    pub user: String,
    /// Its password.
    #[serde(default)]
    pub password: Secret,
}

/// A node's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of its files.
    pub datadir: PathBuf,
    /// The address to listen on.
    pub bind_address: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// Which node of a replication this is; no two may have the same.
    pub server_id: u32,
    /// The base name of the log's files.
    pub log_bin: String,
    /// The step of automatic keys.
    pub auto_increment_increment: u16,
    /// The first automatic key.
    pub auto_increment_offset: u16,
    /// 1: a commit is on the disk when it is answered. 0 or 2: it survives the node's end, not the machine's.
    pub innodb_flush_log_at_trx_commit: u8,
    /// As `innodb_flush_log_at_trx_commit`: the log and the data are one file here. 0 means that it need not be on the disk.
    pub sync_binlog: u32,
    /// Error numbers at which an applier goes on instead of stopping.
    pub slave_skip_errors: Vec<u16>,
    /// The longest packet (and statement) in bytes.
    pub max_allowed_packet: usize,
    /// A log file ends when it is this long (bytes).
    pub max_binlog_size: u64,
    /// What a link may hold that is received and not applied (bytes).
    pub relay_log_space_limit: u64,
    /// Clients may not write.
    pub read_only: bool,
    /// Seconds to wait for a lock.
    pub innodb_lock_wait_timeout: u32,
    /// How many clients at once.
    pub max_connections: u32,
    /// The accounts.
    pub users: Vec<User>,
    /// The nodes to replicate from.
    pub sources: Vec<Source>,
    /// Keys that were read and change nothing.
    #[serde(skip)]
    pub without_effect: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            datadir: PathBuf::from("evensum-node"),
            bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: DEFAULT_PORT,
            server_id: 1,
            log_bin: "mysql-bin".to_owned(),
            auto_increment_increment: 1,
            auto_increment_offset: 1,
            innodb_flush_log_at_trx_commit: 1,
            sync_binlog: 1,
            slave_skip_errors: Vec::new(),
            max_allowed_packet: DEFAULT_PACKET_BYTES,
            max_binlog_size: DEFAULT_BINLOG_BYTES,
            relay_log_space_limit: DEFAULT_RELAY_BYTES,
            read_only: false,
            innodb_lock_wait_timeout: 5,
            max_connections: 151,
            users: vec![User { name: default_user(), password: Secret::default() }],
            sources: Vec::new(),
            without_effect: Vec::new(),
        }
    }
}

fn default_port() -> u16 {
    DEFAULT_PORT
}

fn default_user() -> String {
    "root".to_owned()
}

/// Why a configuration is refused: one sentence that names the key, and the line where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file: a my.cnf if its name ends in `.cnf` or `.ini`, else TOML.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        let my_cnf = path.extension().is_some_and(|kind| kind == "cnf" || kind == "ini");
        let config = if my_cnf { Config::from_my_cnf(&text) } else { Config::from_toml(&text) };
        config.map_err(|error| ConfigError(format!("{}: {error}", path.display())))
    }

    /// Reads TOML.
    pub fn from_toml(text: &str) -> Result<Config, ConfigError> {
        let mut table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError(error.to_string().trim_end().to_owned()))?;
        let names: Vec<String> = table.keys().cloned().collect();
        let mut without_effect = Vec::new();
        for name in names {
            if WITHOUT_EFFECT.contains(&name.as_str()) {
                table.remove(&name);
                without_effect.push(name);
            } else if !KEYS.contains(&name.as_str()) {
                let line =
                    text.lines().position(|line| line.trim_start().starts_with(&name)).map(|at| at + 1);
                return Err(unknown_key(&name, line));
            }
        }
        Config::from_table(table, without_effect)
    }

    /// Reads the `[mysqld]` section of a my.cnf; other sections are for other programs.
    pub fn from_my_cnf(text: &str) -> Result<Config, ConfigError> {
        let (table, without_effect) = my_cnf::table(text)?;
        Config::from_table(table, without_effect)
    }

    fn from_table(table: toml::Table, without_effect: Vec<String>) -> Result<Config, ConfigError> {
        let mut config: Config = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError(error.to_string().trim_end().to_owned()))?;
        config.without_effect = without_effect;
        config.validate()?;
        Ok(config)
    }

    /// Whether a commit has to be on the disk before it is answered.
    #[must_use]
    pub fn durable(&self) -> bool {
        self.innodb_flush_log_at_trx_commit == 1 && self.sync_binlog != 0
    }

    /// Refuses what cannot work or is not safe.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |text: String| Err(ConfigError(text));
        if self.server_id == 0 {
            return refuse(
                "server_id is 0: give each node of a replication its own number from 1".to_owned(),
            );
        }
        if self.auto_increment_increment == 0 || self.auto_increment_offset == 0 {
            return refuse("auto_increment_increment and auto_increment_offset begin at 1".to_owned());
        }
        if self.auto_increment_offset > self.auto_increment_increment {
            return refuse(format!(
                "auto_increment_offset {} is greater than auto_increment_increment {}, so it would be ignored",
                self.auto_increment_offset, self.auto_increment_increment
            ));
        }
        if self.log_bin.is_empty() || self.log_bin.contains(['/', '\\', '\'']) {
            return refuse(format!("log_bin '{}' is no base name of files", self.log_bin));
        }
        if !(1024..=MAX_PACKET_BYTES).contains(&self.max_allowed_packet) {
            return refuse(format!(
                "max_allowed_packet {} is not between 1024 and 1073741824",
                self.max_allowed_packet
            ));
        }
        if self.max_binlog_size < MIN_BINLOG_BYTES {
            return refuse(format!(
                "max_binlog_size {} is less than {MIN_BINLOG_BYTES}",
                self.max_binlog_size
            ));
        }
        if self.innodb_flush_log_at_trx_commit > 2 {
            return refuse("innodb_flush_log_at_trx_commit is 0, 1 or 2".to_owned());
        }
        match self.users.iter().find(|user| user.password.is_empty()) {
            Some(user) if !self.bind_address.is_loopback() => refuse(format!(
                "user '{}' has no password, so the node listens on a loopback address only, and not on {}: \
                 give the user a password, or set bind_address = \"127.0.0.1\"",
                user.name, self.bind_address
            )),
            _ => Ok(()),
        }
    }
}

/// Every key of [`Config`].
const KEYS: &[&str] = &[
    "auto_increment_increment",
    "auto_increment_offset",
    "bind_address",
    "datadir",
    "innodb_flush_log_at_trx_commit",
    "innodb_lock_wait_timeout",
    "log_bin",
    "max_allowed_packet",
    "max_binlog_size",
    "max_connections",
    "port",
    "read_only",
    "relay_log_space_limit",
    "server_id",
    "slave_skip_errors",
    "sources",
    "sync_binlog",
    "users",
];

fn unknown_key(name: &str, line: Option<usize>) -> ConfigError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_struct() {
        // serde names every field that it knows when it meets one that it does not know.
        let error = toml::from_str::<Config>("nonsense = 1").unwrap_err().to_string();
        for key in KEYS {
            assert!(error.contains(&format!("`{key}`")), "{key} is not in: {error}");
        }
        assert_eq!(error.matches('`').count() / 2, KEYS.len() + 1, "{error}");
    }

    #[test]
    fn toml_is_read() {
        let text = "port = 3307\nserver_id = 2\nlog_slave_updates = true\n[[users]]\nname = \"app\"\npassword = \"x\"\n\
                    [[sources]]\nhost = \"10.0.0.1\"\n";
        let config = Config::from_toml(text).unwrap();
        assert_eq!((config.port, config.server_id), (3307, 2));
        assert_eq!(config.sources[0].port, DEFAULT_PORT);
        assert_eq!(config.without_effect, ["log_slave_updates"]);
        assert!(!format!("{config:?}").contains("\"x\""));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line_and_the_nearest() {
        let error = Config::from_toml("port = 1\nauto_increment_ofset = 2\n").unwrap_err();
        assert_eq!(
            error.0,
            "line 2: unknown key 'auto_increment_ofset'; did you mean 'auto_increment_offset'?"
        );
        let error = Config::from_my_cnf("[mysqld]\n\nservr-id = 2\n").unwrap_err();
        assert_eq!(error.0, "line 3: unknown key 'servr_id'; did you mean 'server_id'?");
    }

    #[test]
    fn an_empty_password_stays_at_home() {
        let error = Config::from_toml("bind_address = \"0.0.0.0\"").unwrap_err();
        assert!(error.0.starts_with("user 'root' has no password"), "{error}");
        assert!(Config::from_toml("bind_address = \"::1\"").is_ok());
    }

    #[test]
    fn an_offset_beyond_the_increment_is_refused() {
        assert!(Config::from_toml("auto_increment_offset = 2").is_err());
        assert!(Config::from_toml("auto_increment_offset = 2\nauto_increment_increment = 2").is_ok());
    }
}

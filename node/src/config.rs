//! What a node is told when it starts: `node.toml`, or the `[mysqld]` section of a my.cnf.
//!
//! The keys are MySQL's names. A key that this node does not know is refused with its line and the nearest key
//! that it knows: a misspelt `auto_increment_ofset` must not make two masters count alike. Keys of MySQL that
//! change nothing here are listed as *without effect*, so that the caller can say so. Not here: the defaults of a session.
//!
//! Two defaults are this node's own. `gtid_mode` is ON: every transaction has its GTID here anyway, and a link by file
//! and position works beside it, so nobody has to ask for it first; whoever writes OFF gets what MySQL says
//! of auto position then. And in a my.cnf the binary log is off until `log_bin` is there, as in MySQL 5.7 and
//! MariaDB; a `node.toml` has it on.

mod keys;
mod my_cnf;

use self::keys::{KEYS, WITHOUT_EFFECT, canonical, unknown_key};
use crate::change::BinlogFormat;
use crate::replication::filters::Filters;
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
/// 30 days, as in MySQL 8.
const DEFAULT_EXPIRE_SECONDS: u64 = 30 * 86_400;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password; empty for none, which lets in from this machine only.
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
    /// In which form the log holds what is written.
    pub binlog_format: BinlogFormat,
    /// The base name of the log's files.
    pub log_bin: String,
    /// No binary log at all: nothing is offered to replicas, and own transactions get no GTID.
    #[serde(deserialize_with = "keys::switch")]
    pub skip_log_bin: bool,
    /// The databases that are logged; none means all.
    pub binlog_do_db: Vec<String>,
    /// The databases that are not logged.
    pub binlog_ignore_db: Vec<String>,
    /// Log files older than this are purged when a new one begins (seconds); 0 keeps them for ever.
    pub binlog_expire_logs_seconds: u64,
    /// The base name of the relay logs, as SHOW SLAVE STATUS shows it.
    pub relay_log: String,
    /// Whether what was applied from a source goes into this node's own log, for its own replicas.
    #[serde(deserialize_with = "keys::switch")]
    pub log_slave_updates: bool,
    /// Whether links may follow GTIDs (auto position).
    #[serde(deserialize_with = "keys::switch")]
    pub gtid_mode: bool,
    /// As in MySQL, `gtid_mode` needs it.
    #[serde(deserialize_with = "keys::switch")]
    pub enforce_gtid_consistency: bool,
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
    /// The databases whose changes are applied; none means all.
    pub replicate_do_db: Vec<String>,
    /// The databases whose changes are passed over.
    pub replicate_ignore_db: Vec<String>,
    /// The tables (`db.table`) whose changes are applied; none means all.
    pub replicate_do_table: Vec<String>,
    /// The tables whose changes are passed over.
    pub replicate_ignore_table: Vec<String>,
    /// Patterns (`db%.t_`) of tables whose changes are applied.
    pub replicate_wild_do_table: Vec<String>,
    /// Patterns of tables whose changes are passed over.
    pub replicate_wild_ignore_table: Vec<String>,
    /// Links that ran when the node ended do not start with it.
    #[serde(deserialize_with = "keys::switch")]
    pub skip_slave_start: bool,
    /// Seconds of silence after which a link takes its source for gone. A source of this kind is never silent for longer
    /// than a second, so ten are enough, where MySQL waits for 60.
    pub slave_net_timeout: u32,
    /// The name under which a source lists this node; empty for the address that it sees.
    pub report_host: String,
    /// The port that a source lists; 0 for the port that this node listens on.
    pub report_port: u16,
    /// The longest packet (and statement) in bytes.
    pub max_allowed_packet: usize,
    /// A log file ends when it is this long (bytes).
    pub max_binlog_size: u64,
    /// What a link may hold that is received and not applied (bytes).
    pub relay_log_space_limit: u64,
    /// Clients may not write, but for those with SUPER or CONNECTION_ADMIN.
    #[serde(deserialize_with = "keys::switch")]
    pub read_only: bool,
    /// As `read_only`, for those too who could write in spite of it.
    #[serde(deserialize_with = "keys::switch")]
    pub super_read_only: bool,
    /// Seconds to wait for a lock.
    pub innodb_lock_wait_timeout: u32,
    /// Seconds to wait until nobody holds the tables (FLUSH TABLES WITH READ LOCK).
    pub lock_wait_timeout: u32,
    /// How many clients at once.
    pub max_connections: u32,
    /// The file of the certificate that the port shows; without one the node makes its own.
    pub ssl_cert: Option<PathBuf>,
    /// The file of its key.
    pub ssl_key: Option<PathBuf>,
    /// The file of the authority that clients' certificates have to be signed by, where clients show one.
    pub ssl_ca: Option<PathBuf>,
    /// Clients have to use TLS.
    #[serde(deserialize_with = "keys::switch")]
    pub require_secure_transport: bool,
    /// The accounts.
    pub users: Vec<User>,
    /// The nodes to replicate from.
    pub sources: Vec<Source>,
    /// Keys that were read and change nothing.
    #[serde(skip)]
    pub without_effect: Vec<String>,
    /// What else was odd and not refused, such as an unknown key behind `loose_`.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            datadir: PathBuf::from("evensum-node"),
            bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: DEFAULT_PORT,
            server_id: 1,
            binlog_format: BinlogFormat::Row,
            log_bin: "mysql-bin".to_owned(),
            skip_log_bin: false,
            binlog_do_db: Vec::new(),
            binlog_ignore_db: Vec::new(),
            binlog_expire_logs_seconds: DEFAULT_EXPIRE_SECONDS,
            relay_log: "relay-bin".to_owned(),
            log_slave_updates: true,
            gtid_mode: true,
            enforce_gtid_consistency: true,
            auto_increment_increment: 1,
            auto_increment_offset: 1,
            innodb_flush_log_at_trx_commit: 1,
            sync_binlog: 1,
            slave_skip_errors: Vec::new(),
            replicate_do_db: Vec::new(),
            replicate_ignore_db: Vec::new(),
            replicate_do_table: Vec::new(),
            replicate_ignore_table: Vec::new(),
            replicate_wild_do_table: Vec::new(),
            replicate_wild_ignore_table: Vec::new(),
            skip_slave_start: false,
            slave_net_timeout: 10,
            report_host: String::new(),
            report_port: 0,
            max_allowed_packet: DEFAULT_PACKET_BYTES,
            max_binlog_size: DEFAULT_BINLOG_BYTES,
            relay_log_space_limit: DEFAULT_RELAY_BYTES,
            read_only: false,
            super_read_only: false,
            innodb_lock_wait_timeout: 5,
            lock_wait_timeout: 31_536_000,
            max_connections: 151,
            ssl_cert: None,
            ssl_key: None,
            ssl_ca: None,
            require_secure_transport: false,
            users: vec![User { name: default_user(), password: Secret::default() }],
            sources: Vec::new(),
            without_effect: Vec::new(),
            warnings: Vec::new(),
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
            let key = canonical(&name);
            if WITHOUT_EFFECT.contains(&key) {
                table.remove(&name);
                without_effect.push(name);
            } else if !KEYS.contains(&key) && key != keys::DAYS {
                let line =
                    text.lines().position(|line| line.trim_start().starts_with(&name)).map(|at| at + 1);
                return Err(unknown_key(&name, line));
            } else if key != name
                && let Some(value) = table.remove(&name)
            {
                table.insert(key.to_owned(), value);
            }
        }
        Config::from_table(table, without_effect, Vec::new())
    }

    /// Reads the `[mysqld]` section of a my.cnf; other sections are for other programs. Without `log_bin` there the
    /// binary log is off.
    pub fn from_my_cnf(text: &str) -> Result<Config, ConfigError> {
        let my_cnf::Section { mut table, without_effect, warnings, log_bin } = my_cnf::read(text)?;
        if !log_bin {
            table.insert("skip_log_bin".to_owned(), toml::Value::Boolean(true));
        }
        Config::from_table(table, without_effect, warnings)
    }

    fn from_table(
        mut table: toml::Table,
        without_effect: Vec<String>,
        warnings: Vec<String>,
    ) -> Result<Config, ConfigError> {
        if let Some(days) = table.remove(keys::DAYS).and_then(|days| days.as_integer()) {
            table.insert(keys::SECONDS.to_owned(), toml::Value::Integer(days.saturating_mul(86_400)));
        }
        let mut config: Config = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError(error.to_string().trim_end().to_owned()))?;
        config.without_effect = without_effect;
        config.warnings = warnings;
        let open = config.users.iter().find(|user| user.password.is_empty());
        if let Some(user) = open.filter(|_| !config.bind_address.is_loopback()) {
            config.warnings.push(format!(
                "user '{}' has no password and is let in from this machine only, though the node listens on {}",
                user.name, config.bind_address
            ));
        }
        config.validate()?;
        Ok(config)
    }

    /// Whether a commit has to be on the disk before it is answered.
    #[must_use]
    pub fn durable(&self) -> bool {
        self.innodb_flush_log_at_trx_commit == 1 && self.sync_binlog != 0
    }

    /// What a link passes over of what its source sends, or the rule that is no `db.table`.
    pub fn filters(&self) -> Result<Filters, String> {
        Filters::new(
            (&self.replicate_do_db, &self.replicate_ignore_db),
            (&self.replicate_do_table, &self.replicate_ignore_table),
            (&self.replicate_wild_do_table, &self.replicate_wild_ignore_table),
        )
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
        for (key, base) in [("log_bin", &self.log_bin), ("relay_log", &self.relay_log)] {
            if base.is_empty() || base.contains(['/', '\\', '\'']) {
                return refuse(format!("{key} '{base}' is no base name of files"));
            }
        }
        if self.gtid_mode && !self.enforce_gtid_consistency {
            return refuse("gtid_mode = ON requires enforce_gtid_consistency = ON".to_owned());
        }
        self.filters().map_err(ConfigError)?;
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
        Ok(())
    }
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
        assert!(config.log_slave_updates && !config.skip_log_bin);
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
        let config = Config::from_my_cnf("[mysqld]\nbind-address = 0.0.0.0\n").unwrap();
        assert!(config.warnings[0].starts_with("user 'root' has no password and is let in"), "{config:?}");
        let text = "bind_address = \"0.0.0.0\"\n[[users]]\nname = \"root\"\npassword = \"x\"\n";
        assert!(Config::from_toml(text).unwrap().warnings.is_empty());
        assert!(Config::from_toml("bind_address = \"::1\"").unwrap().warnings.is_empty());
    }

    #[test]
    fn an_offset_beyond_the_increment_is_refused() {
        assert!(Config::from_toml("auto_increment_offset = 2").is_err());
        assert!(Config::from_toml("auto_increment_offset = 2\nauto_increment_increment = 2").is_ok());
    }
}

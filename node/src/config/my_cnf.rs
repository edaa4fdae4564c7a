//! The `[mysqld]` section of a my.cnf, as the table that `node.toml` would be.
//!
//! Only the text is understood here (sections, comments, `-` for `_`, sizes such as `16M`, switches without a
//! value, keys that may come several times, the prefix `loose_`); what the keys mean stays with
//! [`super::Config`]. Accounts and sources have no place in a my.cnf.

use super::ConfigError;
use super::keys::{DAYS, KEYS, WITHOUT_EFFECT, canonical, is_list, is_switch, on_or_off, unknown_key};
use toml::{Table, Value};

/// What MySQL means by `slave_skip_errors = ddl_exist_errors`.
const DDL_EXIST_ERRORS: [i64; 10] = [1007, 1008, 1050, 1051, 1054, 1060, 1061, 1068, 1094, 1146];

/// What the section says.
#[derive(Default)]
pub(super) struct Section {
    /// The keys.
    pub table: Table,
    /// Those that change nothing.
    pub without_effect: Vec<String>,
    /// What is odd and not refused.
    pub warnings: Vec<String>,
    /// Whether `log_bin` is there.
    pub log_bin: bool,
}

/// Reads the sections of the server.
pub(super) fn read(text: &str) -> Result<Section, ConfigError> {
    let mut section = Section::default();
    let mut ours = false;
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('!') {
            return Err(ConfigError(format!("line {number}: '{line}': other files are not included")));
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ours = is_ours(name.trim());
            continue;
        }
        if ours {
            section.read_line(number, line)?;
        }
    }
    Ok(section)
}

/// `[mysqld]`, `[server]`, `[mariadb]`, and those of one version of them, such as `[mysqld-8.0]`.
fn is_ours(section: &str) -> bool {
    let base = section.split_once('-').map_or(section, |(base, _)| base);
    matches!(base, "mysqld" | "server" | "mariadb" | "mariadbd")
}

impl Section {
    fn read_line(&mut self, number: usize, line: &str) -> Result<(), ConfigError> {
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(plain(value.trim()))),
            None => (plain(line), None),
        };
        let written = name.to_ascii_lowercase().replace('-', "_");
        let loose = written.strip_prefix("loose_");
        let name = canonical(loose.unwrap_or(&written));
        if WITHOUT_EFFECT.contains(&name) {
            self.without_effect.push(name.to_owned());
            return Ok(());
        }
        if !KEYS.contains(&name) && name != DAYS || name == "users" || name == "sources" {
            let unknown = unknown_key(name, Some(number));
            if loose.is_none() {
                return Err(unknown);
            }
            self.warnings.push(unknown.0);
            return Ok(());
        }
        let value = typed(name, value).map_err(|why| ConfigError(format!("line {number}: {name}: {why}")))?;
        self.log_bin |= name == "log_bin";
        let Some(value) = value else { return Ok(()) };
        let list = self.table.get_mut(name).filter(|_| is_list(name)).and_then(Value::as_array_mut);
        match (list, value) {
            (Some(list), Value::Array(more)) => list.extend(more),
            (_, value) => drop(self.table.insert(name.to_owned(), value)),
        }
        Ok(())
    }
}

/// A value without its quotes, or without the comment behind it.
fn plain(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside;
        }
    }
    value.split(['#']).next().unwrap_or(value).trim()
}

fn typed(name: &str, value: Option<&str>) -> Result<Option<Value>, String> {
    let Some(text) = value else {
        return match name {
            "log_bin" | "relay_log" => Ok(None),
            _ if is_switch(name) => Ok(Some(Value::Boolean(true))),
            _ => Err("a value is missing".to_owned()),
        };
    };
    let value = match name {
        "bind_address" => Value::String(
            match text {
                "*" => "0.0.0.0",
                "localhost" => "127.0.0.1",
                address => address,
            }
            .to_owned(),
        ),
        "datadir" | "binlog_format" | "report_host" | "ssl_ca" | "ssl_cert" | "ssl_key" => {
            Value::String(text.to_owned())
        }
        "log_bin" | "relay_log" => Value::String(base_name(text).to_owned()),
        _ if is_list(name) => Value::Array(vec![Value::String(text.to_owned())]),
        _ if is_switch(name) => Value::Boolean(on_or_off(text)?),
        "slave_skip_errors" => Value::Array(skip_errors(text)?.into_iter().map(Value::Integer).collect()),
        _ => Value::Integer(number(text)?),
    };
    Ok(Some(value))
}

/// The name of a log without its folder and, as in MySQL, without an extension: the files' numbers take its place.
fn base_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((base, _)) if !base.is_empty() => base,
        _ => name,
    }
}

fn skip_errors(text: &str) -> Result<Vec<i64>, String> {
    let mut codes = Vec::new();
    for word in text.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "off" => {}
            // Every number that an error can have.
            "all" => codes = (1..=i64::from(u16::MAX)).collect(),
            "ddl_exist_errors" => codes.extend(DDL_EXIST_ERRORS),
            _ => codes.push(number(word)?),
        }
    }
    Ok(codes)
}

/// A whole number, maybe with K, M or G behind it.
fn number(text: &str) -> Result<i64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<i64> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(factor)).ok_or_else(|| format!("'{text}' is not a number"))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn the_section_of_the_server_is_read() {
        let text = "[client]\nport=1\n[mysqld]\n# a comment\nserver-id = 3\nlog-bin=/var/log/mysql/mysql-bin\n\
                    max_allowed_packet=16M\ngtid_mode=ON\nslave-skip-errors = 1062,1032\nread_only\n\
                    auto_increment_increment = 2 # two masters\nskip-name-resolve\n";
        let config = Config::from_my_cnf(text).unwrap();
        assert_eq!((config.server_id, config.port), (3, 3306));
        assert_eq!(config.log_bin, "mysql-bin");
        assert!(!config.skip_log_bin);
        assert_eq!(config.max_allowed_packet, 16 << 20);
        assert_eq!(config.slave_skip_errors, [1062, 1032]);
        assert!(config.read_only && config.gtid_mode);
        assert_eq!(config.auto_increment_increment, 2);
        assert_eq!(config.without_effect, ["skip_name_resolve"]);
    }

    #[test]
    fn the_files_of_the_walkthroughs_are_read() {
        let bidirectional = "[mysqld]\nserver-id                = 2\n\
            log_bin                  = /var/log/mysql/mysql-bin.log\nbinlog_format            = ROW\n\
            relay_log                = /var/log/mysql/relay-bin.log\nlog_slave_updates        = ON\n\
            auto_increment_increment = 2\nauto_increment_offset    = 2\n";
        let config = Config::from_my_cnf(bidirectional).unwrap();
        assert_eq!((config.log_bin.as_str(), config.relay_log.as_str()), ("mysql-bin", "relay-bin"));
        assert!(config.log_slave_updates && !config.skip_log_bin && config.without_effect.is_empty());
        let retail = "[mysqld]\nserver-id = 1\nlog_bin = mysql-bin\nauto_increment_increment = 2\n\
            auto_increment_offset = 1\nbinlog_do_db = retail_db\nbinlog_do_db = other\n";
        assert_eq!(Config::from_my_cnf(retail).unwrap().binlog_do_db, ["retail_db", "other"]);
    }

    #[test]
    fn without_log_bin_the_log_is_off() {
        assert!(Config::from_my_cnf("[mysqld]\nserver-id = 1\n").unwrap().skip_log_bin);
        assert!(!Config::from_my_cnf("[mariadb-10.11]\nlog-bin\n").unwrap().skip_log_bin);
        assert!(Config::from_my_cnf("[mysqld]\nlog-bin\nskip-log-bin\n").unwrap().skip_log_bin);
        assert!(!Config::from_toml("").unwrap().skip_log_bin);
    }

    #[test]
    fn new_names_words_and_loose_keys_are_known() {
        let text = "[mysqld]\nlog_replica_updates = OFF\nreplica_skip_errors = all\nexpire_logs_days = 2\n\
                    loose_group_replication_group_name = x\ngtid_mode = OFF\n";
        let config = Config::from_my_cnf(text).unwrap();
        assert!(!config.log_slave_updates && !config.gtid_mode);
        assert!(config.slave_skip_errors.contains(&1062) && config.slave_skip_errors.contains(&1));
        assert_eq!(config.binlog_expire_logs_seconds, 2 * 86_400);
        assert_eq!(config.warnings, ["line 5: unknown key 'group_replication_group_name'"]);
        let ddl = Config::from_my_cnf("[mysqld]\nslave_skip_errors = ddl_exist_errors,1062\n").unwrap();
        assert!(ddl.slave_skip_errors.contains(&1050) && ddl.slave_skip_errors.contains(&1062));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (text, why) in [
            ("[mysqld]\nenforce_gtid_consistency = OFF\n", "gtid_mode = ON requires"),
            ("[mysqld]\nbinlog_format = ROWS\n", "binlog_format 'ROWS' is not ROW"),
            ("[mysqld]\nlog_slave_updates = maybe\n", "line 2: log_slave_updates: 'maybe' is neither"),
            ("[mysqld]\nreplicate_do_table = orders\n", "'orders' is no db.table"),
        ] {
            let error = Config::from_my_cnf(text).unwrap_err().0;
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_refused() {
        let error = Config::from_my_cnf("[mysqld]\nport = many\n").unwrap_err();
        assert_eq!(error.0, "line 2: port: 'many' is not a number");
    }
}

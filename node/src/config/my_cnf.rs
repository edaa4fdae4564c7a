//! The `[mysqld]` section of a my.cnf, as the table that `node.toml` would be.
//!
//! Only the text is understood here (sections, comments, `-` for `_`, sizes such as `16M`, switches without a
//! value); what the keys mean stays with [`super::Config`]. Accounts and sources have no place in a my.cnf.

use super::{ConfigError, KEYS, WITHOUT_EFFECT, unknown_key};
use toml::{Table, Value};

/// The keys of the section, and those that change nothing.
pub(super) fn table(text: &str) -> Result<(Table, Vec<String>), ConfigError> {
    let (mut table, mut without_effect) = (Table::new(), Vec::new());
    let mut ours = false;
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('!') {
            return Err(ConfigError(format!("line {number}: '{line}': other files are not included")));
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ours = matches!(section.trim(), "mysqld" | "server" | "mariadb");
            continue;
        }
        if !ours {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(plain(value.trim()))),
            None => (line, None),
        };
        let name = name.to_ascii_lowercase().replace('-', "_");
        let name = if name == "log_bin_basename" { "log_bin".to_owned() } else { name };
        if WITHOUT_EFFECT.contains(&name.as_str()) {
            without_effect.push(name);
        } else if !KEYS.contains(&name.as_str()) || name == "users" || name == "sources" {
            return Err(unknown_key(&name, Some(number)));
        } else if let Some(value) =
            typed(&name, value).map_err(|why| ConfigError(format!("line {number}: {name}: {why}")))?
        {
            table.insert(name, value);
        }
    }
    Ok((table, without_effect))
}

/// A value without its quotes, or without the comment behind it.
fn plain(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside;
        }
    }
    value.split(" #").next().unwrap_or(value).trim()
}

fn typed(name: &str, value: Option<&str>) -> Result<Option<Value>, String> {
    let Some(text) = value else {
        return match name {
            "log_bin" => Ok(None),
            "read_only" => Ok(Some(Value::Boolean(true))),
            _ => Err("a value is missing".to_owned()),
        };
    };
    let value = match name {
        "datadir" | "bind_address" => {
            Value::String(if text == "*" { "0.0.0.0".to_owned() } else { text.to_owned() })
        }
        "log_bin" => Value::String(text.rsplit('/').next().unwrap_or(text).to_owned()),
        "read_only" => match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "true" => Value::Boolean(true),
            "0" | "off" | "false" => Value::Boolean(false),
            _ => return Err(format!("'{text}' is neither on nor off")),
        },
        "slave_skip_errors" if text.eq_ignore_ascii_case("off") => Value::Array(Vec::new()),
        "slave_skip_errors" => Value::Array(
            text.split(',').map(|code| number(code.trim()).map(Value::Integer)).collect::<Result<_, _>>()?,
        ),
        _ => Value::Integer(number(text)?),
    };
    Ok(Some(value))
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
        assert_eq!(config.max_allowed_packet, 16 << 20);
        assert_eq!(config.slave_skip_errors, [1062, 1032]);
        assert!(config.read_only);
        assert_eq!(config.auto_increment_increment, 2);
        assert_eq!(config.without_effect, ["gtid_mode", "skip_name_resolve"]);
    }

    #[test]
    fn a_value_that_is_no_number_is_refused() {
        let error = Config::from_my_cnf("[mysqld]\nport = many\n").unwrap_err();
        assert_eq!(error.0, "line 2: port: 'many' is not a number");
    }
}

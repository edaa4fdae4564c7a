//! The names of collations and character sets, and which of them this node has.
//!
//! A name is accepted only where text is ordered exactly as MariaDB orders it under that name. Every other one,
//! also one that MySQL knows (`utf8mb4_0900_ai_ci`, `latin1_swedish_ci`, all that do not pad), is error 1273 with
//! the names that there are: a definition that was taken under a foreign name would order otherwise than it says.
//!
//! A connection is the exception. Drivers of MySQL 8 say `SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci` without
//! being asked, and what they say there is only how two literals compare. The node's default takes the place of
//! such a name, as MySQL's does for the number in a handshake that it does not know, and the variable and a
//! warning say so.

use super::Collation;
use crate::SqlError;

/// Character sets that a connection may name; text is UTF-8 in every one of them.
pub const CHARSETS: [&str; 6] = ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "binary"];

/// Name, character set, MySQL's number, whether it is the default of the set, and how it orders.
pub const COLLATIONS: [(&str, &str, u16, bool, Collation); 8] = [
    ("utf8mb4_general_ci", "utf8mb4", 45, true, Collation::GeneralCi),
    ("utf8mb4_bin", "utf8mb4", 46, false, Collation::Bin),
    ("utf8mb4_unicode_ci", "utf8mb4", 224, false, Collation::UnicodeCi),
    ("utf8mb3_general_ci", "utf8mb3", 33, true, Collation::GeneralCi),
    ("utf8mb3_bin", "utf8mb3", 83, false, Collation::Bin),
    ("utf8mb3_unicode_ci", "utf8mb3", 192, false, Collation::UnicodeCi),
    ("ascii_general_ci", "ascii", 11, true, Collation::GeneralCi),
    ("ascii_bin", "ascii", 65, false, Collation::Bin),
];

/// Character sets that MySQL has besides those that this node orders.
const FOREIGN: [&str; 8] = ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "latin2", "cp1250", "uca1400"];

/// A name without quotes, in the form in which it is kept: `utf8` is MySQL's older word for utf8mb3.
fn plain(name: &str) -> String {
    let name = name.trim_matches(['`', '\'', '"']).to_ascii_lowercase();
    match name.strip_prefix("utf8").filter(|rest| rest.is_empty() || rest.starts_with('_')) {
        Some(rest) => format!("utf8mb3{rest}"),
        None => name,
    }
}

fn find(name: &str) -> Option<(&'static str, Collation)> {
    let name = plain(name);
    COLLATIONS.iter().find(|(known, ..)| *known == name).map(|(known, _, _, _, order)| (*known, *order))
}

/// Error 1273.
#[must_use]
pub fn unknown(name: &str) -> SqlError {
    let name = name.trim_matches(['`', '\'', '"']);
    let message = format!(
        "Unknown collation: '{name}' (text is ordered here as utf8mb4_general_ci, utf8mb4_unicode_ci or utf8mb4_bin)"
    );
    SqlError::new(1273, "HY000", message)
}

impl Collation {
    /// How the collation of this name orders, if this node has it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Collation> {
        find(name).map(|(_, order)| order)
    }
}

/// The name in the form in which definitions keep it, or error 1273.
pub fn known_collation(name: &str) -> Result<String, SqlError> {
    find(name).map(|(known, _)| known.to_owned()).ok_or_else(|| unknown(name))
}

/// The collation that a column has that names only this character set.
pub fn of_charset(name: &str) -> Result<String, SqlError> {
    let charset = plain(name);
    let default = COLLATIONS.iter().find(|(_, of, _, default, _)| *default && *of == charset);
    default.map(|(known, ..)| (*known).to_owned()).ok_or_else(|| {
        let name = name.trim_matches(['`', '\'', '"']);
        let message =
            format!("Unknown character set: '{name}' (columns hold utf8mb4, utf8mb3 or ascii text here)");
        SqlError::new(1115, "42000", message)
    })
}

/// The collation that a connection gets that asks for this one, and the warning that it is another.
pub fn of_connection(name: &str) -> Result<(String, Option<SqlError>), SqlError> {
    let bare = plain(name);
    if let Some((known, _)) = find(&bare) {
        return Ok((known.to_owned(), None));
    }
    let charset = bare.split('_').next().unwrap_or_default();
    if bare == "binary" || (FOREIGN.contains(&charset) && bare.contains('_')) {
        let default = Collation::GeneralCi.name();
        let message = format!("Collation '{bare}' is not supported here; literals compare as {default}");
        return Ok((default.to_owned(), Some(SqlError::new(1273, "HY000", message))));
    }
    Err(unknown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_takes_only_what_is_ordered_exactly() {
        for (given, kept) in [
            ("utf8mb4_general_ci", "utf8mb4_general_ci"),
            ("`UTF8_unicode_ci`", "utf8mb3_unicode_ci"),
            ("utf8mb3_bin", "utf8mb3_bin"),
        ] {
            assert_eq!(known_collation(given).unwrap(), kept);
        }
        for name in [
            "utf8mb4_0900_ai_ci",
            "uca1400_ai_ci",
            "utf8mb4_nopad_bin",
            "utf8mb4_general_nopad_ci",
            "utf8mb4_unicode_520_ci",
            "latin1_swedish_ci",
            "utf8mb4_turkish_ci",
            "utf8mb4_0900_bin",
            "binary",
            "utf8",
            "",
        ] {
            let error = known_collation(name).unwrap_err();
            assert_eq!(error.code, 1273, "{name}");
            assert!(error.message.starts_with(&format!("Unknown collation: '{name}'")), "{error:?}");
        }
    }

    #[test]
    fn a_character_set_brings_its_default() {
        assert_eq!(of_charset("utf8").unwrap(), "utf8mb3_general_ci");
        assert_eq!(of_charset("utf8mb4").unwrap(), "utf8mb4_general_ci");
        for name in ["latin1", "binary", "klingon"] {
            assert_eq!(of_charset(name).unwrap_err().code, 1115, "{name}");
        }
    }

    #[test]
    fn a_connection_is_told_what_it_got() {
        assert_eq!(of_connection("utf8mb4_bin").unwrap(), ("utf8mb4_bin".to_owned(), None));
        let (name, warning) = of_connection("utf8mb4_0900_ai_ci").unwrap();
        assert_eq!(name, "utf8mb4_general_ci");
        assert!(warning.unwrap().message.contains("utf8mb4_0900_ai_ci"));
        for name in ["klingon_ci", "", "utf8mb4"] {
            assert_eq!(of_connection(name).unwrap_err().code, 1273, "{name}");
        }
    }
}

//! Takes passwords out of a statement's text before anybody else is shown it.
//!
//! The text is not parsed, because a statement with a mistake in it is shown too, and a quote in a comment would lead
//! a parser astray: where a string follows a word that has to do with passwords, the text ends at that word. That
//! hides more than passwords (a literal compared with a column `password`), and never less.

use std::borrow::Cow;

/// What stands in place of the rest.
const MASK: &str = " <secret>";
/// The words behind which nothing is shown.
const WORDS: [&str; 2] = ["PASSWORD", "IDENTIFIED"];

/// The statement with its passwords hidden.
#[must_use]
pub fn hidden(statement: &str) -> Cow<'_, str> {
    let bytes = statement.as_bytes();
    let end_of = |word: &&str| {
        let found = bytes.windows(word.len()).position(|part| part.eq_ignore_ascii_case(word.as_bytes()));
        found.map(|at| at + word.len())
    };
    match WORDS.iter().filter_map(end_of).min() {
        Some(end) if statement[end..].contains(['\'', '"']) => Cow::Owned(statement[..end].to_owned() + MASK),
        _ => Cow::Borrowed(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left() {
        for (statement, shown) in [
            ("CREATE USER 'a'@'%' IDENTIFIED BY 'pw'", "CREATE USER 'a'@'%' IDENTIFIED <secret>"),
            ("CREATE USER 'password'@'%' IDENTIFIED BY 'pw'", "CREATE USER 'password <secret>"),
            ("/* it's */ create user a identified by 'pw'", "/* it's */ create user a identified <secret>"),
            ("SET PASSWORD = 'pw", "SET PASSWORD <secret>"),
            ("CHANGE MASTER TO MASTER_PASSWORD=\"pw\"", "CHANGE MASTER TO MASTER_PASSWORD <secret>"),
        ] {
            assert_eq!(hidden(statement), shown);
        }
    }

    #[test]
    fn what_has_none_is_shown_whole() {
        for statement in ["SELECT 'x' FROM t", "SELECT password FROM t", "", "CREATE USER 'x' REQUIRE SSL"] {
            assert_eq!(hidden(statement), statement);
        }
    }
}

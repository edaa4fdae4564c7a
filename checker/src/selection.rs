//! Which tables a run is about: globs over `database.table`.
//!
//! `*` stands for any run of characters, also across the dot, and `?` for one. A table is selected if any pattern of
//! `only` matches (or there is none) and no pattern of `not` does. Case counts, as table names do.

use serde::Serialize;
use std::fmt;

/// Which tables to compare, and which rows of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    only: Vec<String>,
    not: Vec<String>,
    /// If any, the only tables, by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    among: Option<Vec<String>>,
    /// A condition in SQL, for every table.
    pub filter: Option<Box<str>>,
}

/// A pattern that cannot match any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionError(pub String);

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no table pattern; write database.table, for example shop.* or shop.orders", self.0)
    }
}

impl std::error::Error for SelectionError {}

impl Selection {
    /// A selection by these patterns.
    ///
    /// # Errors
    /// If a pattern has no dot and no `*`, so that it could never match `database.table`.
    pub fn new(only: &[String], not: &[String]) -> Result<Selection, SelectionError> {
        for pattern in only.iter().chain(not) {
            if !pattern.contains(['.', '*']) {
                return Err(SelectionError(pattern.clone()));
            }
        }
        Ok(Selection { only: only.to_vec(), not: not.to_vec(), among: None, filter: None })
    }

    /// The same, but of these tables alone, each as `database.table`.
    #[must_use]
    pub fn among(self, tables: Vec<String>) -> Selection {
        Selection { among: Some(tables), ..self }
    }

    /// Whether the table of this name is selected.
    #[must_use]
    pub fn contains(&self, database: &str, table: &str) -> bool {
        let name = format!("{database}.{table}");
        let any = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, &name));
        let named = self.among.as_ref().is_none_or(|among| among.contains(&name));
        named && (self.only.is_empty() || any(&self.only)) && !any(&self.not)
    }

    /// The patterns that had to match something.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.only
    }
}

/// Whether `text` matches `pattern`. Keeps one place to come back to, so it takes at most pattern × text steps.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(only: &[&str], not: &[&str]) -> Selection {
        let own = |patterns: &[&str]| patterns.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
        Selection::new(&own(only), &own(not)).unwrap()
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, name, matches) in [
            ("shop.*", "shop.orders", true),
            ("shop.*", "shopping.orders", false),
            ("*.orders", "shop.orders", true),
            ("*.order?", "shop.orders", true),
            ("s*p.o*s", "shop.orders", true),
            ("shop.orders", "shop.orders2", false),
            ("*", "shop.orders", true),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_left_out_wins() {
        let selection = selection(&["shop.*"], &["*.log"]);
        assert!(selection.contains("shop", "orders"));
        assert!(!selection.contains("shop", "log"));
        assert!(!selection.contains("bank", "orders"));
        assert!(Selection::new(&["orders".into()], &[]).is_err());
        let one = selection.among(vec!["shop.o*".into()]);
        assert!(one.contains("shop", "o*") && !one.contains("shop", "orders"));
    }
}

//! Replication filters: which tables a node keeps out of its log, or does not apply.
//!
//! Judged by the name of the table, as it is where rows are logged; where statements are logged, a server goes by the database
//! that was in use, which nobody can tell afterwards.
//!
//! The rules of one link are asked in the servers' order: databases first; then tables by name, then by pattern; and if there
//! is any rule that lets tables in, what none of them names stays out.

use std::fmt;

/// What one link leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFilter {
    /// `replicate_do_db`
    pub do_db: Vec<String>,
    /// `replicate_ignore_db`
    pub ignore_db: Vec<String>,
    /// `replicate_do_table`, as `database.table`
    pub do_table: Vec<String>,
    /// `replicate_ignore_table`
    pub ignore_table: Vec<String>,
    /// `replicate_wild_do_table`, with `%` and `_`
    pub wild_do_table: Vec<String>,
    /// `replicate_wild_ignore_table`
    pub wild_ignore_table: Vec<String>,
}

/// What a node leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// `binlog_do_db`
    pub log_do_db: Vec<String>,
    /// `binlog_ignore_db`
    pub log_ignore_db: Vec<String>,
    /// One for each link by which the node is fed.
    pub links: Vec<LinkFilter>,
}

/// The filter that hits a table: an option, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    option: &'static str,
    value: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.option, self.value)
    }
}

fn hit(option: &'static str, values: &[String]) -> Option<Hit> {
    Some(Hit { option, value: values.join(",") })
}

fn lists(values: &[String], name: &str) -> bool {
    values.iter().any(|value| value == name)
}

impl Filters {
    /// The filter that keeps the changes of a table out of this node's log, or this node from applying them.
    #[must_use]
    pub fn hit(&self, database: &str, table: &str) -> Option<Hit> {
        if !self.log_do_db.is_empty() && !lists(&self.log_do_db, database) {
            return hit("binlog_do_db", &self.log_do_db);
        }
        if self.log_do_db.is_empty() && lists(&self.log_ignore_db, database) {
            return hit("binlog_ignore_db", &self.log_ignore_db);
        }
        self.links.iter().find_map(|link| link.hit(database, table))
    }
}

impl LinkFilter {
    fn hit(&self, database: &str, table: &str) -> Option<Hit> {
        if !self.do_db.is_empty() && !lists(&self.do_db, database) {
            return hit("replicate_do_db", &self.do_db);
        }
        if self.do_db.is_empty() && lists(&self.ignore_db, database) {
            return hit("replicate_ignore_db", &self.ignore_db);
        }
        let name = format!("{database}.{table}");
        let wild = |patterns: &[String]| patterns.iter().any(|pattern| like(pattern, &name));
        if lists(&self.do_table, &name) {
            return None;
        }
        if lists(&self.ignore_table, &name) {
            return hit("replicate_ignore_table", &self.ignore_table);
        }
        if wild(&self.wild_do_table) {
            return None;
        }
        if wild(&self.wild_ignore_table) {
            return hit("replicate_wild_ignore_table", &self.wild_ignore_table);
        }
        match (self.do_table.is_empty(), self.wild_do_table.is_empty()) {
            (false, _) => hit("replicate_do_table", &self.do_table),
            (true, false) => hit("replicate_wild_do_table", &self.wild_do_table),
            (true, true) => None,
        }
    }
}

/// SQL's LIKE with a backslash before what stands for itself. Keeps one place to come back to, so it takes at most
/// pattern × text steps.
fn like(pattern: &str, text: &str) -> bool {
    let mut tokens: Vec<Option<(char, bool)>> = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '%' => None,
            '_' => Some(('_', true)),
            '\\' => Some((characters.next().unwrap_or('\\'), false)),
            other => Some((other, false)),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match tokens.get(p) {
            Some(None) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Some((character, any))) if *any || *character == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = back else { return false };
                back = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    tokens[p..].iter().all(Option::is_none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn said(filters: &Filters, name: &str) -> String {
        let (database, table) = name.split_once('.').unwrap();
        filters.hit(database, table).map_or_else(|| "-".to_owned(), |hit| hit.to_string())
    }

    #[test]
    fn the_log_leaves_databases_out() {
        let only = Filters { log_do_db: names(&["retail_db", "b"]), ..Filters::default() };
        assert_eq!(said(&only, "retail_db.orders"), "-");
        assert_eq!(said(&only, "shop.orders"), "binlog_do_db=retail_db,b");
        let not = Filters { log_ignore_db: names(&["tmp"]), ..Filters::default() };
        assert_eq!(said(&not, "tmp.t"), "binlog_ignore_db=tmp");
        assert_eq!(said(&not, "shop.t"), "-");
    }

    #[test]
    fn a_link_asks_its_rules_in_order() {
        let link =
            |link: LinkFilter| Filters { links: vec![LinkFilter::default(), link], ..Filters::default() };
        let some = LinkFilter {
            ignore_db: names(&["tmp"]),
            do_table: names(&["shop.orders"]),
            ignore_table: names(&["shop.log"]),
            wild_do_table: names(&["shop.p%", "sh_p.x\\_%"]),
            wild_ignore_table: names(&["shop.pr%"]),
            ..LinkFilter::default()
        };
        for (table, must) in [
            ("tmp.orders", "replicate_ignore_db=tmp"),
            ("shop.orders", "-"),
            ("shop.log", "replicate_ignore_table=shop.log"),
            ("shop.products", "-"),
            ("shop.x_1", "-"),
            ("shop.xy1", "replicate_do_table=shop.orders"),
            ("bank.accounts", "replicate_do_table=shop.orders"),
        ] {
            assert_eq!(said(&link(some.clone()), table), must, "{table}");
        }
        let ignore = LinkFilter { wild_ignore_table: names(&["%.tmp%"]), ..LinkFilter::default() };
        assert_eq!(said(&link(ignore.clone()), "a.tmp1"), "replicate_wild_ignore_table=%.tmp%");
        assert_eq!(said(&link(ignore), "a.t"), "-");
        let only = LinkFilter { do_db: names(&["a"]), ..LinkFilter::default() };
        assert_eq!(said(&link(only.clone()), "b.t"), "replicate_do_db=a");
        assert_eq!(said(&link(only), "a.t"), "-");
    }
}

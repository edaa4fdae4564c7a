//! What a link passes over, and what the log leaves out: MySQL's rules, as pure functions.
//!
//! `replicate_*` decide what an applier applies, `binlog_*` what a node logs. A row counts by the database of its
//! table. A statement counts by the session's default database, whatever tables it names (that is MySQL's old
//! trap, and it is kept); only CREATE, ALTER and DROP DATABASE count by the database that they are about. The
//! table rules come after the database rules: do, ignore, wild do, wild ignore, and the first that fits decides.
//!
//! Invariant: a transaction that is passed over stays a transaction: it is executed as an empty one and never
//! comes again. Not here: `replicate_rewrite_db`.

use crate::change::{Body, Change, Part, Query};
use crate::sql::name_like;
use crate::sql::parse::Text;
use sqlparser::ast::{ObjectName, ObjectType, Statement};

/// A table: its database and its name.
type Table = (String, String);

/// What an applier passes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    databases: Databases,
    do_table: Vec<Table>,
    ignore_table: Vec<Table>,
    wild_do_table: Vec<Table>,
    wild_ignore_table: Vec<Table>,
}

/// Rules about whole databases; the log has only these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Databases {
    wanted: Vec<String>,
    ignored: Vec<String>,
}

impl Databases {
    /// The databases that count, none for all; and those that do not.
    #[must_use]
    pub fn new(wanted: &[String], ignored: &[String]) -> Databases {
        Databases { wanted: wanted.to_vec(), ignored: ignored.to_vec() }
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.ignored.is_empty()
    }

    /// Whether this database counts.
    #[must_use]
    pub fn allow(&self, database: &str) -> bool {
        match self.wanted.is_empty() {
            false => self.wanted.iter().any(|name| name == database),
            true => !self.ignored.iter().any(|name| name == database),
        }
    }

    /// The rules as SHOW MASTER STATUS prints them: do, ignore.
    #[must_use]
    pub fn shown(&self) -> [String; 2] {
        [self.wanted.join(","), self.ignored.join(",")]
    }

    /// Whether a statement of the body, which counts by its default database, does not count although the table that it
    /// writes would.
    #[must_use]
    pub fn hides(&self, body: &Body) -> bool {
        let hidden = |default: &str, table: &str| !self.allow(default) && self.allow(table);
        match body {
            Body::Rows(_) => false,
            Body::Statement { database, sql } => {
                let subject = Subject::of(sql, database);
                subject.tables.iter().any(|(database, _)| hidden(&subject.database, database))
            }
            Body::Parts(parts) => parts.iter().any(|part| match part {
                Part::Rows(_) => false,
                Part::Query(query) => hidden(&query.database, &query.table.0),
            }),
        }
    }

    /// What is left of a body; none if nothing is.
    #[must_use]
    pub fn leave(&self, body: &Body) -> Option<Body> {
        match body {
            Body::Rows(changes) => {
                let left: Vec<_> =
                    changes.iter().filter(|change| self.allow(&change.database)).cloned().collect();
                (!left.is_empty()).then_some(Body::Rows(left))
            }
            Body::Statement { database, sql } => {
                let subject = Subject::of(sql, database);
                self.allow(&subject.database).then(|| body.clone())
            }
            Body::Parts(parts) => {
                let mut left = parts.clone();
                keep_parts(
                    &mut left,
                    |change| self.allow(&change.database),
                    |query| self.allow(&query.database),
                );
                (!left.is_empty()).then_some(Body::Parts(left))
            }
        }
    }
}

impl Filters {
    /// The rules: databases, tables (`db.table`) and patterns of them, of each kind what to do and what to ignore.
    /// The error is the rule that is no `db.table`.
    pub fn new(
        databases: (&[String], &[String]),
        tables: (&[String], &[String]),
        wild: (&[String], &[String]),
    ) -> Result<Filters, String> {
        let cut = |rules: &[String]| {
            let cut = |rule: &String| {
                let (database, table) =
                    rule.split_once('.').ok_or_else(|| format!("'{rule}' is no db.table"))?;
                Ok((database.to_owned(), table.to_owned()))
            };
            rules.iter().map(cut).collect::<Result<Vec<Table>, String>>()
        };
        Ok(Filters {
            databases: Databases::new(databases.0, databases.1),
            do_table: cut(tables.0)?,
            ignore_table: cut(tables.1)?,
            wild_do_table: cut(wild.0)?,
            wild_ignore_table: cut(wild.1)?,
        })
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Filters::default()
    }

    /// Takes out of a body what is passed over; nothing may be left.
    pub fn take_out(&self, body: &mut Body) {
        if self.is_empty() {
            return;
        }
        match body {
            Body::Rows(changes) => changes.retain(|change| self.allow_change(change)),
            Body::Parts(parts) => {
                keep_parts(
                    parts,
                    |change| self.allow_change(change),
                    |query| {
                        let table = (query.table.0.to_string(), query.table.1.to_string());
                        self.databases.allow(&query.database) && self.allow_tables(&[table])
                    },
                );
                if parts.is_empty() {
                    *body = Body::Rows(Vec::new());
                }
            }
            Body::Statement { database, sql } => {
                let subject = Subject::of(sql, database);
                let tables = subject.tables.is_empty() || self.allow_tables(&subject.tables);
                if !(self.databases.allow(&subject.database) && tables) {
                    *body = Body::Rows(Vec::new());
                }
            }
        }
    }

    fn allow_change(&self, change: &Change) -> bool {
        self.databases.allow(&change.database)
            && self.allow_tables(&[(change.database.to_string(), change.table.to_string())])
    }

    /// The table rules: the first table that a rule fits decides.
    fn allow_tables(&self, tables: &[Table]) -> bool {
        for table in tables {
            let wild = |patterns: &[Table]| {
                patterns
                    .iter()
                    .any(|pattern| name_like(&pattern.0, &table.0) && name_like(&pattern.1, &table.1))
            };
            if self.do_table.contains(table) {
                return true;
            }
            if self.ignore_table.contains(table) {
                return false;
            }
            if wild(&self.wild_do_table) {
                return true;
            }
            if wild(&self.wild_ignore_table) {
                return false;
            }
        }
        self.do_table.is_empty() && self.wild_do_table.is_empty()
    }

    /// The six rules as SHOW SLAVE STATUS prints them, with the names of their columns.
    #[must_use]
    pub fn shown(&self) -> [(&'static str, String); 6] {
        let [wanted, ignored] = self.databases.shown();
        let tables = |rules: &[Table]| {
            rules.iter().map(|(database, table)| format!("{database}.{table}")).collect::<Vec<_>>().join(",")
        };
        [
            ("Replicate_Do_DB", wanted),
            ("Replicate_Ignore_DB", ignored),
            ("Replicate_Do_Table", tables(&self.do_table)),
            ("Replicate_Ignore_Table", tables(&self.ignore_table)),
            ("Replicate_Wild_Do_Table", tables(&self.wild_do_table)),
            ("Replicate_Wild_Ignore_Table", tables(&self.wild_ignore_table)),
        ]
    }
}

/// Keeps of the parts what is allowed, and no part without anything in it.
fn keep_parts(parts: &mut Vec<Part>, change: impl Fn(&Change) -> bool, query: impl Fn(&Query) -> bool) {
    parts.retain_mut(|part| match part {
        Part::Rows(changes) => {
            changes.retain(&change);
            !changes.is_empty()
        }
        Part::Query(text) => query(text),
    });
}

/// What a statement is about, as far as the rules ask.
struct Subject {
    database: String,
    tables: Vec<Table>,
}

impl Subject {
    fn of(sql: &str, default: &str) -> Subject {
        let mut subject = Subject { database: default.to_owned(), tables: Vec::new() };
        // What this node cannot parse it did not log either; by its default database it still counts.
        let Ok(statement) = Text::new(sql.as_bytes()).and_then(|text| text.statement()) else {
            return subject;
        };
        let mut names: Vec<&ObjectName> = Vec::new();
        match &statement {
            Statement::CreateDatabase { db_name, .. } => subject.database = parts(db_name).1,
            Statement::CreateTable(create) => names.push(&create.name),
            Statement::CreateIndex(create) => names.push(&create.table_name),
            Statement::AlterTable(alter) => names.push(&alter.name),
            Statement::Truncate(truncate) => {
                names.extend(truncate.table_names.iter().map(|target| &target.name));
            }
            Statement::Drop {
                object_type: ObjectType::Database | ObjectType::Schema,
                names: dropped,
                ..
            } => {
                if let Some(name) = dropped.first() {
                    subject.database = parts(name).1;
                }
            }
            Statement::Drop { table: Some(table), .. } => names.push(table),
            Statement::Drop { names: dropped, .. } => names.extend(dropped),
            Statement::RenameTable(renames) => names.extend(renames.iter().map(|rename| &rename.old_name)),
            _ => {}
        }
        subject.tables = names
            .into_iter()
            .map(|name| {
                let (database, table) = parts(name);
                (database.unwrap_or_else(|| default.to_owned()), table)
            })
            .collect();
        subject
    }
}

/// The database, if it is named, and the last part of a name.
fn parts(name: &ObjectName) -> (Option<String>, String) {
    let mut parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
    let last = parts.pop().unwrap_or_default();
    (parts.pop(), last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn rows(tables: &[(&str, &str)]) -> Body {
        let change = |&(database, table): &(&str, &str)| Change {
            database: database.into(),
            table: table.into(),
            before: None,
            after: Some(Vec::new()),
        };
        Body::Rows(tables.iter().map(change).collect())
    }

    fn statement(database: &str, sql: &str) -> Body {
        Body::Statement { database: database.into(), sql: sql.into() }
    }

    fn passes(filters: &Filters, body: &Body) -> bool {
        let mut left = body.clone();
        filters.take_out(&mut left);
        left == *body
    }

    #[test]
    fn rows_count_by_their_table_and_statements_by_the_default_database() {
        let none: [String; 0] = [];
        let filters = Filters::new((&names(&["shop"]), &none), (&none, &none), (&none, &none)).unwrap();
        let mut body = rows(&[("shop", "a"), ("other", "a"), ("shop", "b")]);
        filters.take_out(&mut body);
        assert_eq!(body, rows(&[("shop", "a"), ("shop", "b")]));
        assert!(passes(&filters, &statement("shop", "CREATE TABLE other.t (id INT)")));
        assert!(!passes(&filters, &statement("other", "CREATE TABLE shop.t (id INT)")));
        assert!(passes(&filters, &statement("", "CREATE DATABASE shop")));
        assert!(!passes(&filters, &statement("shop", "DROP DATABASE other")));
    }

    #[test]
    fn what_a_default_database_hides_of_a_table_that_counts_is_known() {
        let rules = Databases::new(&names(&["shop"]), &[]);
        assert!(rules.hides(&statement("other", "ALTER TABLE shop.t ADD c INT")));
        assert!(!rules.hides(&statement("other", "ALTER TABLE t ADD c INT")));
        assert!(!rules.hides(&statement("shop", "ALTER TABLE other.t ADD c INT")));
        assert!(!rules.hides(&rows(&[("shop", "a"), ("other", "a")])));
    }

    #[test]
    fn table_rules_are_asked_in_mysqls_order() {
        let none: [String; 0] = [];
        let filters = Filters::new(
            (&none, &names(&["secret"])),
            (&names(&["shop.keep"]), &names(&["shop.log"])),
            (&names(&["shop.%"]), &names(&["shop.log\\_%"])),
        )
        .unwrap();
        for (database, table, passed) in [
            ("shop", "keep", true),
            ("shop", "log", false),
            ("shop", "log_1", true),
            ("elsewhere", "x", false),
            ("secret", "keep", false),
        ] {
            assert_eq!(passes(&filters, &rows(&[(database, table)])), passed, "{database}.{table}");
        }
        assert!(!passes(&filters, &statement("shop", "TRUNCATE TABLE log")));
        assert!(!passes(&filters, &statement("", "DROP TABLE `shop`.log, shop.keep")));
        assert!(passes(&filters, &statement("shop", "CREATE INDEX i ON orders (a)")));
        assert_eq!(filters.shown()[3], ("Replicate_Ignore_Table", "shop.log".to_owned()));
    }

    #[test]
    fn a_body_that_is_not_logged_at_all_is_none() {
        let log = Databases::new(&names(&["shop"]), &[]);
        assert_eq!(log.leave(&rows(&[("other", "t")])), None);
        assert_eq!(log.leave(&rows(&[("other", "t"), ("shop", "t")])), Some(rows(&[("shop", "t")])));
        assert_eq!(log.leave(&statement("other", "CREATE TABLE shop.t (id INT)")), None);
        assert!(Databases::new(&[], &names(&["shop"])).leave(&rows(&[("shop", "t")])).is_none());
    }

    #[test]
    fn a_statement_that_writes_rows_counts_by_the_default_database_and_its_rows_by_their_table() {
        let query = |database: &str| {
            Part::Query(Query {
                database: database.into(),
                sql: "UPDATE shop.t SET a = 1".into(),
                table: ("shop".into(), "t".into()),
                context: crate::change::Context::default(),
            })
        };
        let Body::Rows(changes) = rows(&[("other", "t"), ("shop", "t")]) else { return };
        let body = Body::Parts(vec![query("shop"), Part::Rows(changes.clone()), query("other")]);
        let left = Body::Parts(vec![query("shop"), Part::Rows(changes[1..].to_vec())]);
        assert_eq!(Databases::new(&names(&["shop"]), &[]).leave(&body), Some(left.clone()));
        let none: [String; 0] = [];
        let filters = Filters::new((&names(&["shop"]), &none), (&none, &none), (&none, &none)).unwrap();
        let mut filtered = body.clone();
        filters.take_out(&mut filtered);
        assert_eq!(filtered, left);
        let nothing = Filters::new((&none, &none), (&names(&["shop.u"]), &none), (&none, &none)).unwrap();
        filtered = body;
        nothing.take_out(&mut filtered);
        assert_eq!(filtered, Body::Rows(Vec::new()));
    }

    #[test]
    fn patterns_are_those_of_like() {
        for (pattern, text, fits) in [
            ("%", "", true),
            ("a%c", "abcbc", true),
            ("a%c", "abcb", false),
            ("a_c", "abc", true),
            ("a\\_c", "abc", false),
            ("a\\_c", "a_c", true),
            ("", "a", false),
            ("%%b%", "aab", true),
        ] {
            assert_eq!(name_like(pattern, text), fits, "{pattern} {text}");
        }
    }
}

//! SHOW and DESCRIBE: the catalog, the session's variables and the server's state as results, with LIKE and WHERE.
//!
//! Each is a view as those of `information_schema`, and filtered as any query is. How a definition is written out is in
//! [`create`]; what lists databases, tables, columns and keys in `tables`; here is the rest, and which word means what.

pub mod create;
mod tables;

use std::collections::BTreeMap;

use serde_json::json;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::conditions::NOTE;
use super::expression::{Environment, Translator};
use super::information_schema::{View, privileges, server};
use super::parse::{Text, expect_end, syntax};
use super::safety;
use super::scope::{Scope, Source, SourceColumn};
use super::select::{Compiled, Output};
use crate::SqlError;
use crate::storage::definition::quote;

type Bound = (Compiled, Vec<rusqlite::types::Value>);

/// What the statement before left for SHOW WARNINGS and SHOW ERRORS.
pub struct Diagnostics<'d> {
    /// Its warnings and notes.
    pub warnings: &'d [SqlError],
    /// How many more there were.
    pub unkept: u64,
    /// Its error, if it failed.
    pub error: Option<&'d SqlError>,
}

/// One SHOW on its way.
struct Show<'p, 'e> {
    parser: Parser<'p>,
    env: &'e Environment<'e>,
    full: bool,
    global: bool,
}

/// Translates a SHOW or DESCRIBE.
pub fn translate(env: &Environment<'_>, text: &Text, left: &Diagnostics<'_>) -> Result<Bound, SqlError> {
    let dialect = MySqlDialect {};
    let mut show = Show { parser: text.parser(&dialect, 1), env, full: false, global: false };
    if text.words(1) != ["SHOW"] {
        let view = show.described()?;
        return show.end(view, None);
    }
    loop {
        match show.word().as_str() {
            "FULL" => show.full = true,
            "GLOBAL" => show.global = true,
            "SESSION" | "LOCAL" | "EXTENDED" | "STORAGE" => {}
            what => return show.run(what, left),
        }
    }
}

/// What SHOW PROCESSLIST without FULL shows of a statement.
const SHOWN_CHARACTERS: usize = 100;
const COLLATION: &str = "Collation Charset +Id Default Compiled +Sortlen Pad_attribute";
const CHARACTER_SET: &str = "Charset Description Default~collation +Maxlen";
const ENGINES: &str = "Engine Support Comment Transactions XA Savepoints";
const PROCESSLIST: &str = "+Id User Host db Command +Time State Info";
const TRIGGERS: &str = "Trigger Event Table Statement Timing Created sql_mode Definer character_set_client \
    collation_connection Database~Collation";
const EVENTS: &str = "Db Name Definer Time~zone Type Execute~at Interval~value Interval~field Starts Ends Status \
    +Originator character_set_client collation_connection Database~Collation";
const ROUTINES: &str = "Db Name Type Definer Modified Created Security_type Comment character_set_client \
    collation_connection Database~Collation";

impl Show<'_, '_> {
    fn word(&mut self) -> String {
        match self.parser.next_token().token {
            Token::Word(word) => word.value.to_ascii_uppercase(),
            other => other.to_string(),
        }
    }

    fn accepts(&mut self, words: &[&str]) -> bool {
        let next = match self.parser.peek_token().token {
            Token::Word(word) => word.value.to_ascii_uppercase(),
            _ => return false,
        };
        let found = words.contains(&next.as_str());
        if found {
            self.parser.next_token();
        }
        found
    }

    fn run(mut self, what: &str, left: &Diagnostics<'_>) -> Result<Bound, SqlError> {
        let view = match what {
            "DATABASES" | "SCHEMAS" => self.databases(),
            "TABLES" => return self.tables(),
            "TABLE" if self.accepts(&["STATUS"]) => return self.table_status(),
            "COLUMNS" | "FIELDS" => {
                self.accepts(&["FROM", "IN"]);
                self.columns_of_next()?
            }
            "INDEX" | "INDEXES" | "KEYS" => self.indexes()?,
            "CREATE" => self.create()?,
            "VARIABLES" => View::of("Variable_name Value", server::pairs(self.variables(), false)),
            "STATUS" => {
                View::of("Variable_name Value", server::pairs(self.env.server.status(self.global), false))
            }
            "WARNINGS" => warnings(left, false),
            "ERRORS" => warnings(left, true),
            "COUNT" => return self.count(left),
            "ENGINES" => View::of(ENGINES, server::engines(self.env)),
            "COLLATION" => View::of(COLLATION, server::collations()),
            "CHARACTER" | "CHARSET" => {
                self.accepts(&["SET"]);
                let rows = server::character_sets();
                let rows = rows.iter().map(|row| json!([row[0], row[2], row[1], row[3]])).collect();
                View::of(CHARACTER_SET, rows)
            }
            "PROCESSLIST" => View::of(PROCESSLIST, self.processes()),
            "TRIGGERS" => {
                self.chosen_database()?;
                View::of(TRIGGERS, Vec::new())
            }
            "EVENTS" => {
                self.chosen_database()?;
                View::of(EVENTS, Vec::new())
            }
            "FUNCTION" | "PROCEDURE" if self.accepts(&["STATUS"]) => View::of(ROUTINES, Vec::new()),
            "PRIVILEGES" => View::of("Privilege Context Comment", privileges::shown()),
            "PLUGINS" => View::of("Name Status Type Library License", Vec::new()),
            other => return Err(SqlError::unsupported(format_args!("SHOW {other}"))),
        };
        let like = view.columns.first().map(|(name, _)| name.clone());
        self.end(view, like)
    }

    /// Adds LIKE, WHERE or LIMIT, and makes the query.
    fn end(mut self, view: View, like: Option<String>) -> Result<Bound, SqlError> {
        let mut translator = Translator::new(self.env);
        translator.binds.push(view.json.clone().into());
        let derived = view.derived(1, "shown");
        let columns: Vec<SourceColumn> =
            view.columns.iter().map(|(name, kind)| SourceColumn::new(name.clone(), *kind, false)).collect();
        translator.scopes.push(Scope {
            sources: vec![Source { alias: "shown".into(), database: String::new(), columns }],
        });
        let names: Vec<String> = view.columns.iter().map(|(name, _)| quote(name)).collect();
        let mut sql = format!("SELECT {} FROM {derived}", names.join(", "));
        if self.accepts(&["LIKE"]) {
            let pattern = self.parser.parse_expr().map_err(|e| syntax(&e))?;
            let pattern = translator.text_of(&pattern)?;
            sql += &format!(" WHERE my_like({}, {pattern}, '\\', 1)", quote(&like.unwrap_or_default()));
        } else if self.accepts(&["WHERE"]) {
            let test = self.parser.parse_expr().map_err(|e| syntax(&e))?;
            sql += &format!(" WHERE {}", translator.text_of(&test)?);
        } else if self.accepts(&["LIMIT"]) {
            let mut count = self.parser.parse_expr().map_err(|e| syntax(&e))?;
            let mut offset = String::new();
            if self.parser.consume_token(&Token::Comma) {
                let limit = self.parser.parse_expr().map_err(|e| syntax(&e))?;
                offset = format!(" OFFSET {}", translator.count(&count)?);
                count = limit;
            }
            sql += &format!(" LIMIT {}{offset}", translator.count(&count)?);
        }
        expect_end(&mut self.parser)?;
        let columns = view
            .columns
            .into_iter()
            .map(|(name, kind)| Output { name, kind, origin: None, beyond: false })
            .collect();
        Ok((Compiled { sql, columns }, translator.binds))
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let mut all = self.env.variables.all(self.global);
        if !self.global {
            let (warnings, errors) = self.env.facts.left;
            all.insert("error_count".to_owned(), errors.to_string());
            all.insert("warning_count".to_owned(), (warnings + errors).to_string());
        }
        all
    }

    /// Without FULL, only the beginning of a statement.
    fn processes(&self) -> Vec<serde_json::Value> {
        let mut rows = server::processes(self.env);
        for row in rows.iter_mut().filter(|_| !self.full) {
            if let Some(statement) = row[7].as_str() {
                row[7] = statement.chars().take(SHOWN_CHARACTERS).collect::<String>().into();
            }
        }
        rows
    }

    /// `COUNT(*) WARNINGS` or `COUNT(*) ERRORS`.
    fn count(mut self, left: &Diagnostics<'_>) -> Result<Bound, SqlError> {
        for sign in [Token::LParen, Token::Mul, Token::RParen] {
            self.parser.expect_token(&sign).map_err(|e| syntax(&e))?;
        }
        let errors = u64::from(left.error.is_some());
        let warnings = u64::try_from(left.warnings.len()).unwrap_or(u64::MAX).saturating_add(left.unkept);
        let (title, count) = match self.word().as_str() {
            "WARNINGS" => ("+@@session.warning_count", warnings + errors),
            "ERRORS" => ("+@@session.error_count", errors),
            other => return Err(SqlError::unsupported(format_args!("SHOW COUNT(*) {other}"))),
        };
        self.end(View::of(title, vec![json!([count])]), None)
    }
}

/// Errors that MySQL calls notes where they do not stop a statement: IF EXISTS, IF NOT EXISTS, what an engine lacks, what is
/// unsafe in the log.
const NOTES: [u16; 6] = [1007, 1008, 1031, 1050, 1051, safety::UNSAFE];

fn warnings(left: &Diagnostics<'_>, errors_only: bool) -> View {
    let mut rows = Vec::new();
    if !errors_only {
        let level = |w: &SqlError| match NOTES.contains(&w.code) || w.state == NOTE {
            true => "Note",
            false => "Warning",
        };
        rows.extend(left.warnings.iter().map(|w| json!([level(w), w.code, w.message])));
    }
    rows.extend(left.error.map(|error| json!(["Error", error.code, error.message])));
    View::of("Level +Code Message", rows)
}

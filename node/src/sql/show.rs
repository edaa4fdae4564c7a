//! SHOW and DESCRIBE: the catalog and the session's variables as results, with LIKE and WHERE.

use serde_json::json;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::expression::{Environment, Translator};
use super::from::table_name;
use super::information_schema::{self, View, default_text, extra, key_mark};
use super::parse::{Text, expect_end, syntax};
use super::scope::{Scope, Source, SourceColumn};
use super::select::{Compiled, Output};
use super::types::{ColumnType, Kind};
use crate::SqlError;
use crate::storage::definition::{ColumnDef, DefaultValue, TableDef, backtick, quote};

const T: Kind = Kind::TEXT;
const I: Kind = Kind::INT;

type Bound = (Compiled, Vec<rusqlite::types::Value>);

/// One SHOW on its way.
struct Show<'p, 'e> {
    parser: Parser<'p>,
    env: &'e Environment<'e>,
    full: bool,
    global: bool,
}

/// Translates a SHOW or DESCRIBE.
pub fn translate(env: &Environment<'_>, text: &Text, warnings: &[SqlError]) -> Result<Bound, SqlError> {
    let dialect = MySqlDialect {};
    let mut show = Show { parser: text.parser(&dialect, 1), env, full: false, global: false };
    if text.words(1) != ["SHOW"] {
        let view = show.columns_of_next()?;
        return show.end(view, None);
    }
    loop {
        match show.word().as_str() {
            "FULL" => show.full = true,
            "GLOBAL" => show.global = true,
            "SESSION" | "LOCAL" | "EXTENDED" | "STORAGE" => {}
            what => return show.run(what, warnings),
        }
    }
}

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

    fn run(mut self, what: &str, warnings: &[SqlError]) -> Result<Bound, SqlError> {
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
            "VARIABLES" => self.variables(),
            "STATUS" => self.status(),
            "WARNINGS" => warnings_view(warnings),
            "ERRORS" => warnings_view(&[]),
            "ENGINES" => information_schema::engines(),
            "COLLATION" => {
                let view = information_schema::collations();
                renamed(view, &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"])
            }
            "CHARACTER" | "CHARSET" => {
                self.accepts(&["SET"]);
                let rows = vec![json!(["utf8mb4", "UTF-8 Unicode", "utf8mb4_general_ci", 4])];
                View::new(
                    &[("Charset", T), ("Description", T), ("Default collation", T), ("Maxlen", I)],
                    rows,
                )
            }
            "PROCESSLIST" => self.processlist(),
            "TRIGGERS" => View::new(&[("Trigger", T), ("Event", T), ("Table", T), ("Statement", T)], vec![]),
            "PLUGINS" => View::new(&[("Name", T), ("Status", T), ("Type", T)], vec![]),
            "GRANTS" => {
                let row = json!([format!("GRANT ALL PRIVILEGES ON *.* TO {}", self.env.facts.user)]);
                View::new(&[(&format!("Grants for {}", self.env.facts.user), T)], vec![row])
            }
            other => return Err(SqlError::unsupported(format_args!("SHOW {other}"))),
        };
        let like = view.columns.first().map(|(name, _)| name.clone());
        self.end(view, like)
    }

    /// Adds LIKE or WHERE, and makes the query.
    fn end(mut self, view: View, like: Option<String>) -> Result<Bound, SqlError> {
        let mut translator = Translator::new(self.env);
        translator.binds.push(view.json.clone().into());
        let derived = view.derived(1, "shown");
        let columns: Vec<SourceColumn> = view
            .columns
            .iter()
            .map(|(name, kind)| SourceColumn { name: name.clone(), kind: *kind, origin: None, merged: false })
            .collect();
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
            let count = self.parser.parse_expr().map_err(|e| syntax(&e))?;
            sql += &format!(" LIMIT {}", translator.count(&count)?);
        }
        expect_end(&mut self.parser)?;
        let columns =
            view.columns.into_iter().map(|(name, kind)| Output { name, kind, origin: None }).collect();
        Ok((Compiled { sql, columns }, translator.binds))
    }

    fn database(&mut self) -> Result<String, SqlError> {
        let name = match self.accepts(&["FROM", "IN"]) {
            true => self.parser.parse_identifier().map_err(|e| syntax(&e))?.value,
            false => self.env.database.to_owned(),
        };
        if name.is_empty() {
            return Err(SqlError::new(1046, "3D000", "No database selected"));
        }
        if !self.env.catalog.has_database(&name) && !name.eq_ignore_ascii_case("information_schema") {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{name}'")));
        }
        Ok(name)
    }

    fn databases(&self) -> View {
        let mut names: Vec<&str> = self.env.catalog.databases.keys().map(String::as_str).collect();
        names.push("information_schema");
        names.sort_unstable();
        View::new(&[("Database", T)], names.into_iter().map(|name| json!([name])).collect())
    }

    fn tables(mut self) -> Result<Bound, SqlError> {
        let database = self.database()?;
        let name = format!("Tables_in_{database}");
        let full = self.full;
        let tables = self.env.catalog.tables_of(&database);
        let view = match full {
            true => {
                let rows = tables.map(|t| json!([t.name, "BASE TABLE"])).collect();
                View::new(&[(&name, T), ("Table_type", T)], rows)
            }
            false => View::new(&[(&name, T)], tables.map(|t| json!([t.name])).collect()),
        };
        self.end(view, Some(name))
    }

    fn table_status(mut self) -> Result<Bound, SqlError> {
        let database = self.database()?;
        let rows = self
            .env
            .catalog
            .tables_of(&database)
            .map(|t| json!([t.name, "InnoDB", 10, "Dynamic", null, null, null, t.collation, t.comment]))
            .collect();
        let columns = [
            ("Name", T),
            ("Engine", T),
            ("Version", I),
            ("Row_format", T),
            ("Rows", I),
            ("Data_length", I),
            ("Auto_increment", I),
            ("Collation", T),
            ("Comment", T),
        ];
        self.end(View::new(&columns, rows), Some("Name".to_owned()))
    }

    fn next_table(&mut self) -> Result<std::sync::Arc<TableDef>, SqlError> {
        let name = self.parser.parse_object_name(false).map_err(|e| syntax(&e))?;
        let database = if self.accepts(&["FROM", "IN"]) {
            self.parser.parse_identifier().map_err(|e| syntax(&e))?.value
        } else {
            self.env.database.to_owned()
        };
        let (database, table) = table_name(&name, &database)?;
        self.env.catalog.require(database, table).cloned()
    }

    fn columns_of_next(&mut self) -> Result<View, SqlError> {
        let table = self.next_table()?;
        let full = self.full;
        let rows = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let may_be_null = if column.nullable { "YES" } else { "NO" };
                let (default, extra) = (default_text(column), extra(column));
                let (ty, key) = (column.ty.sql(), key_mark(&table, at));
                let collation = column.ty.is_text().then_some(&column.collation);
                match full {
                    true => json!([
                        column.name,
                        ty,
                        collation,
                        null,
                        key,
                        default,
                        extra,
                        "select,insert,update,references",
                        column.comment
                    ]),
                    false => json!([column.name, ty, may_be_null, key, default, extra]),
                }
            })
            .collect();
        let plain = [("Field", T), ("Type", T), ("Null", T), ("Key", T), ("Default", T), ("Extra", T)];
        let all = [
            ("Field", T),
            ("Type", T),
            ("Collation", T),
            ("Null", T),
            ("Key", T),
            ("Default", T),
            ("Extra", T),
            ("Privileges", T),
            ("Comment", T),
        ];
        Ok(if full { View::new(&all, rows) } else { View::new(&plain, rows) })
    }

    fn indexes(&mut self) -> Result<View, SqlError> {
        self.accepts(&["FROM", "IN"]);
        let table = self.next_table()?;
        let mut rows = Vec::new();
        for key in &table.keys {
            for (n, (at, prefix)) in key.parts.iter().enumerate() {
                let column = &table.columns[*at];
                let may_be_null = if column.nullable { "YES" } else { "" };
                rows.push(json!([
                    table.name,
                    i32::from(!key.unique),
                    key.name,
                    n + 1,
                    column.name,
                    "A",
                    null,
                    prefix,
                    null,
                    may_be_null,
                    "BTREE",
                    "",
                    "",
                    "YES",
                    null
                ]));
            }
        }
        let columns = [
            ("Table", T),
            ("Non_unique", I),
            ("Key_name", T),
            ("Seq_in_index", I),
            ("Column_name", T),
            ("Collation", T),
            ("Cardinality", I),
            ("Sub_part", I),
            ("Packed", T),
            ("Null", T),
            ("Index_type", T),
            ("Comment", T),
            ("Index_comment", T),
            ("Visible", T),
            ("Expression", T),
        ];
        Ok(View::new(&columns, rows))
    }

    fn create(&mut self) -> Result<View, SqlError> {
        match self.word().as_str() {
            "TABLE" => {
                let table = self.next_table()?;
                let text = create_table_text(&table);
                Ok(View::new(&[("Table", T), ("Create Table", T)], vec![json!([table.name, text])]))
            }
            "DATABASE" | "SCHEMA" => {
                let name = self.parser.parse_identifier().map_err(|e| syntax(&e))?.value;
                let Some(collation) = self.env.catalog.databases.get(&name) else {
                    return Err(SqlError::new(1049, "42000", format!("Unknown database '{name}'")));
                };
                let quoted = backtick(&name);
                let text = format!(
                    "CREATE DATABASE {quoted} /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE {collation} */"
                );
                Ok(View::new(&[("Database", T), ("Create Database", T)], vec![json!([name, text])]))
            }
            other => Err(SqlError::unsupported(format_args!("SHOW CREATE {other}"))),
        }
    }

    fn variables(&self) -> View {
        let rows = self
            .env
            .variables
            .all(self.global)
            .into_iter()
            .map(|(name, value)| json!([name, value]))
            .collect();
        View::new(&[("Variable_name", T), ("Value", T)], rows)
    }

    fn status(&self) -> View {
        // Only what is measured: this node keeps no other counters.
        let rows = vec![json!(["Threads_connected", "1"])];
        let rows = if self.global { Vec::new() } else { rows };
        View::new(&[("Variable_name", T), ("Value", T)], rows)
    }

    fn processlist(&self) -> View {
        let facts = self.env.facts;
        let (user, host) = facts.user.split_once('@').unwrap_or((&facts.user, ""));
        let database = (!self.env.database.is_empty()).then_some(self.env.database);
        let row =
            json!([facts.connection_id, user, host, database, "Query", 0, "executing", "SHOW PROCESSLIST"]);
        let columns = [
            ("Id", I),
            ("User", T),
            ("Host", T),
            ("db", T),
            ("Command", T),
            ("Time", I),
            ("State", T),
            ("Info", T),
        ];
        View::new(&columns, vec![row])
    }
}

fn renamed(view: View, names: &[&str]) -> View {
    let columns =
        names.iter().zip(view.columns).map(|(name, (_, kind))| ((*name).to_owned(), kind)).collect();
    View { columns, ..view }
}

fn warnings_view(warnings: &[SqlError]) -> View {
    let rows = warnings.iter().map(|w| json!(["Warning", w.code, w.message])).collect();
    View::new(&[("Level", T), ("Code", I), ("Message", T)], rows)
}

fn column_text(table: &TableDef, column: &ColumnDef) -> String {
    let mut text = format!("  {} {}", backtick(&column.name), column.ty.sql());
    if column.ty.is_text() && column.collation != table.collation {
        let charset = column.collation.split('_').next().unwrap_or("utf8mb4");
        text += &format!(" CHARACTER SET {charset} COLLATE {}", column.collation);
    }
    let is_timestamp = matches!(column.ty, ColumnType::Timestamp(_));
    match (column.nullable, is_timestamp) {
        (false, _) => text += " NOT NULL",
        (true, true) => text += " NULL",
        _ => {}
    }
    let bare = matches!(column.ty, ColumnType::Text(_) | ColumnType::Blob(_) | ColumnType::Json);
    match &column.default {
        DefaultValue::Text(value) => {
            text += &format!(" DEFAULT '{}'", value.replace('\\', "\\\\").replace('\'', "''"))
        }
        DefaultValue::Now => text += &format!(" DEFAULT {}", default_text(column).unwrap_or_default()),
        DefaultValue::None if column.nullable && !bare => text += " DEFAULT NULL",
        DefaultValue::None => {}
    }
    if column.auto_increment {
        text += " AUTO_INCREMENT";
    }
    if column.on_update_now {
        let digits = match column.ty {
            ColumnType::DateTime(f) | ColumnType::Timestamp(f) if f > 0 => format!("({f})"),
            _ => String::new(),
        };
        text += &format!(" ON UPDATE CURRENT_TIMESTAMP{digits}");
    }
    if !column.comment.is_empty() {
        text += &format!(" COMMENT '{}'", column.comment.replace('\'', "''"));
    }
    text
}

/// The CREATE TABLE that makes this table again.
#[must_use]
pub fn create_table_text(table: &TableDef) -> String {
    let mut parts: Vec<String> = table.columns.iter().map(|column| column_text(table, column)).collect();
    for key in &table.keys {
        let columns: Vec<String> = key
            .parts
            .iter()
            .map(|(at, prefix)| {
                let prefix = prefix.map_or(String::new(), |length| format!("({length})"));
                format!("{}{prefix}", backtick(&table.columns[*at].name))
            })
            .collect();
        let columns = columns.join(",");
        parts.push(match (key.is_primary(), key.unique) {
            (true, _) => format!("  PRIMARY KEY ({columns})"),
            (false, true) => format!("  UNIQUE KEY {} ({columns})", backtick(&key.name)),
            (false, false) => format!("  KEY {} ({columns})", backtick(&key.name)),
        });
    }
    let charset = table.collation.split('_').next().unwrap_or("utf8mb4");
    let comment = match table.comment.is_empty() {
        true => String::new(),
        false => format!(" COMMENT='{}'", table.comment.replace('\'', "''")),
    };
    format!(
        "CREATE TABLE {} (\n{}\n) ENGINE=InnoDB DEFAULT CHARSET={charset} COLLATE={}{comment}",
        backtick(&table.name),
        parts.join(",\n"),
        table.collation
    )
}

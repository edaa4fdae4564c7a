//! SHOW DATABASES, TABLES, TABLE STATUS, COLUMNS, INDEX and CREATE; DESCRIBE.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::create::create_table_text;
use super::{Bound, Show};
use crate::SqlError;
use crate::sql::from::table_name;
use crate::sql::information_schema::catalog::{
    KeyPart, default_text, extra, key_mark, key_part_row, parts_of, status_row,
};
use crate::sql::information_schema::{self, View};
use crate::sql::parse::syntax;
use crate::sql::types::Kind;
use crate::storage::definition::{TableDef, backtick};
use sqlparser::tokenizer::Token;

const T: Kind = Kind::TEXT;
const OWN: &str = "information_schema";
const TABLE_STATUS: &str = "Name Engine +Version Row_format +Rows +Avg_row_length +Data_length +Max_data_length \
    +Index_length +Data_free +Auto_increment Create_time Update_time Check_time Collation +Checksum Create_options \
    Comment";
const COLUMNS: &str = "Field Type Null Key Default Extra";
const FULL_COLUMNS: &str = "Field Type Collation Null Key Default Extra Privileges Comment";
const INDEX: &str = "Table +Non_unique Key_name +Seq_in_index Column_name Collation +Cardinality +Sub_part Packed Null \
    Index_type Comment Index_comment Visible Expression";

impl Show<'_, '_> {
    /// `FROM database` where it may be left out, checked.
    pub(super) fn chosen_database(&mut self) -> Result<String, SqlError> {
        let name = match self.accepts(&["FROM", "IN"]) {
            true => self.parser.parse_identifier().map_err(|e| syntax(&e))?.value,
            false => self.env.database.to_owned(),
        };
        if name.is_empty() {
            return Err(SqlError::new(1046, "3D000", "No database selected"));
        }
        self.env.facts.rights.use_database(&name)?;
        if !self.env.catalog.has_database(&name) && !name.eq_ignore_ascii_case(OWN) {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{name}'")));
        }
        Ok(name)
    }

    pub(super) fn databases(&self) -> View {
        let rights = &self.env.facts.rights;
        let seen = self.env.catalog.databases.keys().filter(|name| rights.sees_database(name));
        let mut names: Vec<&str> = seen.map(String::as_str).collect();
        names.push(OWN);
        names.sort_unstable();
        View::of("Database", names.into_iter().map(|name| json!([name])).collect())
    }

    pub(super) fn tables(mut self) -> Result<Bound, SqlError> {
        let database = self.chosen_database()?;
        let title = format!("Tables_in_{database}");
        let rights = &self.env.facts.rights;
        let seen = self.env.catalog.tables_of(&database).filter(|t| rights.sees_table(&t.database, &t.name));
        let mut names: Vec<(&str, &str)> = seen.map(|t| (t.name.as_str(), "BASE TABLE")).collect();
        if database.eq_ignore_ascii_case(OWN) {
            names = information_schema::all().into_iter().map(|table| (table.name, "SYSTEM VIEW")).collect();
        }
        let view = match self.full {
            true => {
                let rows = names.into_iter().map(|(name, kind)| json!([name, kind])).collect();
                View::new(&[(&title, T), ("Table_type", T)], rows)
            }
            false => View::new(&[(&title, T)], names.into_iter().map(|(name, _)| json!([name])).collect()),
        };
        self.end(view, Some(title))
    }

    pub(super) fn table_status(mut self) -> Result<Bound, SqlError> {
        let database = self.chosen_database()?;
        let rights = &self.env.facts.rights;
        let seen = self.env.catalog.tables_of(&database).filter(|t| rights.sees_table(&t.database, &t.name));
        let rows = seen.map(|t| status_row(self.env, t, &[&t.name])).collect();
        self.end(View::of(TABLE_STATUS, rows), Some("Name".to_owned()))
    }

    /// Database and name of the table that comes next, `t FROM d` or `d.t`.
    fn next_name(&mut self) -> Result<(String, String), SqlError> {
        let name = self.parser.parse_object_name(false).map_err(|e| syntax(&e))?;
        let database = if self.accepts(&["FROM", "IN"]) {
            self.parser.parse_identifier().map_err(|e| syntax(&e))?.value
        } else {
            self.env.database.to_owned()
        };
        let (database, table) = table_name(&name, &database)?;
        let own = database.eq_ignore_ascii_case(OWN);
        if !own && !self.env.facts.rights.sees_table(database, table) {
            return Err(self.env.facts.rights.no_table("SELECT", table));
        }
        Ok((database.to_owned(), table.to_owned()))
    }

    fn next_table(&mut self) -> Result<Arc<TableDef>, SqlError> {
        let (database, table) = self.next_name()?;
        self.env.catalog.require(&database, &table).cloned()
    }

    /// DESCRIBE: the columns of a table, or the one that is named behind it.
    pub(super) fn described(&mut self) -> Result<View, SqlError> {
        let mut view = self.columns_of_next()?;
        let wanted = match self.parser.peek_token().token {
            Token::Word(word) => word.value,
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => text,
            _ => return Ok(view),
        };
        self.parser.next_token();
        let rows: Vec<Json> = serde_json::from_str(&view.json).map_err(SqlError::internal)?;
        let rows: Vec<Json> = rows
            .into_iter()
            .filter(|row| row[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&wanted)))
            .collect();
        view.json = Json::Array(rows).to_string();
        Ok(view)
    }

    pub(super) fn columns_of_next(&mut self) -> Result<View, SqlError> {
        let (database, name) = self.next_name()?;
        let full = self.full;
        let columns = if full { FULL_COLUMNS } else { COLUMNS };
        if database.eq_ignore_ascii_case(OWN) {
            return Ok(View::of(columns, own_columns(information_schema::table(&name)?, full)));
        }
        let table = self.env.catalog.require(&database, &name)?;
        let row = |(at, column): (usize, &crate::storage::definition::ColumnDef)| {
            let may_be_null = if column.nullable { "YES" } else { "NO" };
            let (default, extra) = (default_text(column), extra(column));
            let (ty, key) = (column.ty.sql(), key_mark(table, at));
            if !full {
                return json!([column.name, ty, may_be_null, key, default, extra]);
            }
            let collation = column.ty.is_text().then_some(&column.collation);
            let privileges = "select,insert,update,references";
            json!([column.name, ty, collation, may_be_null, key, default, extra, privileges, column.comment])
        };
        Ok(View::of(columns, table.columns.iter().enumerate().map(row).collect()))
    }

    pub(super) fn indexes(&mut self) -> Result<View, SqlError> {
        self.accepts(&["FROM", "IN"]);
        let table = self.next_table()?;
        let row = |part: KeyPart<'_>| {
            let (table, key, ..) = part;
            key_part_row([json!(table.name), json!(i32::from(!key.unique)), json!(key.name)], part)
        };
        Ok(View::of(INDEX, parts_of(&table).map(row).collect()))
    }

    pub(super) fn create(&mut self) -> Result<View, SqlError> {
        match self.word().as_str() {
            "TABLE" => {
                let table = self.next_table()?;
                let text = create_table_text(&table, self.env.server.next_key(&table));
                Ok(View::of("Table Create~Table", vec![json!([table.name, text])]))
            }
            "DATABASE" | "SCHEMA" => {
                let careful = self.accepts(&["IF"]) && self.accepts(&["NOT"]) && self.accepts(&["EXISTS"]);
                let name = self.parser.parse_identifier().map_err(|e| syntax(&e))?.value;
                self.env.facts.rights.use_database(&name)?;
                let Some(collation) = self.env.catalog.databases.get(&name) else {
                    return Err(SqlError::new(1049, "42000", format!("Unknown database '{name}'")));
                };
                let (quoted, charset) = (backtick(&name), collation.split('_').next().unwrap_or("utf8mb4"));
                let careful = if careful { "/*!32312 IF NOT EXISTS*/ " } else { "" };
                let text = format!(
                    "CREATE DATABASE {careful}{quoted} /*!40100 DEFAULT CHARACTER SET {charset} COLLATE {collation} */"
                );
                Ok(View::of("Database Create~Database", vec![json!([name, text])]))
            }
            other => Err(SqlError::unsupported(format_args!("SHOW CREATE {other}"))),
        }
    }
}

/// The columns of a table of `information_schema`.
fn own_columns(table: &information_schema::Table, full: bool) -> Vec<Json> {
    let row = |(name, kind): (String, Kind)| {
        let number = matches!(kind, Kind::Int { .. });
        let ty = if number { "bigint unsigned" } else { "longtext" };
        match full {
            true => {
                let collation = (!number).then_some("utf8mb3_general_ci");
                json!([name, ty, collation, "YES", "", null, "", "select", ""])
            }
            false => json!([name, ty, "YES", "", null, ""]),
        }
    };
    View::of(table.columns, Vec::new()).columns.into_iter().map(row).collect()
}

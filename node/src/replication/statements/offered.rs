//! The seam to the session: it offers a statement, and gets rows in stored form back.

use super::{Admin, Answer, Asking};
use crate::SqlError;
use crate::replication::status::Listing;
use crate::results::ColumnMeta;
use crate::session::{self, AdminStatements, SessionView};
use crate::sql::surroundings::Process;
use crate::storage::catalog::Catalog;
use crate::storage::definition::TableDef;
use rusqlite::types::Value;

impl AdminStatements for Admin {
    fn run(&self, session: &SessionView<'_>, sql: &str) -> Option<Result<session::Answer, SqlError>> {
        let key_of = |database: &str, table: &str| {
            session.rights.read(database, table)?;
            let table = session.catalog.require(database, table)?;
            Ok(key(table)?.collect())
        };
        let asking = Asking {
            conn: session.conn,
            database: session.database,
            key_of: &key_of,
            connection_id: session.connection_id,
            stopped: session.stopped,
            leave: session.leave,
            holds_tables: session.holds_tables,
            rights: session.rights,
        };
        let answer = Admin::run(self, sql, &asking)?;
        Some(answer.and_then(|answer| in_stored_form(answer, session.catalog)))
    }

    fn processes(&self) -> Vec<Process> {
        Admin::processes(self)
    }
}

/// The places of the primary key's columns.
fn key(table: &TableDef) -> Result<impl Iterator<Item = usize> + '_, SqlError> {
    let key = table.primary().ok_or_else(|| {
        SqlError::internal(format!(
            "{}.{} has no primary key that could name its rows",
            table.database, table.name
        ))
    })?;
    Ok(key.columns())
}

fn in_stored_form(answer: Answer, catalog: &Catalog) -> Result<session::Answer, SqlError> {
    match answer {
        Answer::Done => Ok(session::Answer::Ok),
        Answer::Listing(listing) => Ok(table_of(listing)),
        Answer::Keys { database, table, rows } => {
            let table = catalog.require(&database, &table)?;
            let columns = key(table)?.filter_map(|at| table.column_meta(at)).collect();
            Ok(session::Answer::Table { columns, rows })
        }
    }
}

fn table_of(listing: Listing) -> session::Answer {
    let numeric: Vec<bool> = listing.columns.iter().map(|(_, numeric)| *numeric).collect();
    let columns = listing.columns.iter().map(|(name, numeric)| match numeric {
        true => ColumnMeta::integer(name),
        false => ColumnMeta::text(name),
    });
    let value = |(value, numeric): (Option<String>, &bool)| match value {
        None => Value::Null,
        Some(text) if *numeric => text.parse().map_or(Value::Text(text), Value::Integer),
        Some(text) => Value::Text(text),
    };
    let rows = listing.rows.into_iter().map(|row| row.into_iter().zip(&numeric).map(value).collect());
    session::Answer::Table { columns: columns.collect(), rows: rows.collect() }
}

//! A client of a node, as an application has one: SQL text in, rows of text out.
//!
//! Every wait has a bound. Not here: retries; what an application does about an error is its own business.

use crate::error::Failure;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Executor, Row as _};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(20);

/// Why a statement failed.
#[derive(Debug)]
pub struct SqlFailure {
    /// MySQL's number; zero if it was not the server that spoke.
    pub number: u16,
    /// In the server's words.
    pub message: String,
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR {}: {}", self.number, self.message)
    }
}

impl From<sqlx::Error> for SqlFailure {
    fn from(error: sqlx::Error) -> SqlFailure {
        let server = match &error {
            sqlx::Error::Database(inner) => inner.try_downcast_ref::<MySqlDatabaseError>(),
            _ => None,
        };
        match server {
            Some(server) => SqlFailure { number: server.number(), message: server.message().to_owned() },
            None => SqlFailure { number: 0, message: error.to_string() },
        }
    }
}

impl From<SqlFailure> for Failure {
    fn from(failure: SqlFailure) -> Failure {
        Failure::demo(failure.to_string())
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client(MySqlConnection);

/// A row: each column's name and text.
pub type TextRow = Vec<(String, Option<String>)>;

impl Client {
    /// Connects as root, without a password, which the bundled node allows on a loopback address only.
    pub async fn connect(address: SocketAddr) -> Result<Client, SqlFailure> {
        let options = MySqlConnectOptions::new()
            .host(&address.ip().to_string())
            .port(address.port())
            .username("root")
            .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled)
            .disable_statement_logging();
        Ok(Client(bounded("connect", options.connect()).await?))
    }

    /// Runs a statement; how many rows it changed.
    pub async fn run(&mut self, sql: &str) -> Result<u64, SqlFailure> {
        let done = self.0.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        Ok(bounded(sql, done).await?.rows_affected())
    }

    /// Runs a statement; the key that the server gave to the row.
    pub async fn insert(&mut self, sql: &str) -> Result<u64, SqlFailure> {
        let done = self.0.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        Ok(bounded(sql, done).await?.last_insert_id())
    }

    /// Runs a query.
    pub async fn ask(&mut self, sql: &str) -> Result<Vec<TextRow>, SqlFailure> {
        let rows = self.0.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        let text = |row: &sqlx::mysql::MySqlRow, n: usize| -> Option<String> {
            let raw = row.try_get_raw(n).ok()?;
            // results of plain text statements are text, whatever the column's type
            let bytes = <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(raw).ok()?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let names = |row: &sqlx::mysql::MySqlRow| row.columns().iter().map(|c| c.name().to_owned()).collect();
        Ok(bounded(sql, rows)
            .await?
            .iter()
            .map(|row| {
                let names: Vec<String> = names(row);
                names.into_iter().enumerate().map(|(n, name)| (name, text(row, n))).collect()
            })
            .collect())
    }

    /// The first value of the first row.
    pub async fn value(&mut self, sql: &str) -> Result<Option<String>, SqlFailure> {
        let rows = self.ask(sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).and_then(|(_, value)| value))
    }
}

/// The value of a column; empty if there is none.
pub fn column<'a>(row: &'a TextRow, name: &str) -> &'a str {
    let found = row.iter().find(|(column, _)| column == name);
    found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
}

async fn bounded<T>(what: &str, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, SqlFailure> {
    let Ok(result) = timeout(ANSWER_BOUND, work).await else {
        let start: String = what.chars().take(80).collect();
        let message = format!("no answer within {} s: {start}", ANSWER_BOUND.as_secs());
        return Err(SqlFailure { number: 0, message });
    };
    Ok(result?)
}

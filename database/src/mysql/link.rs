//! One connection to a server: made when it is needed, bounded in every wait, and never used again after a doubt.
//!
//! A statement that takes too long is not stopped by ceasing to wait for it: its answer would be read as the
//! answer of the next one. So the connection is taken out of its place for each call and put back only after an
//! answer was read to its end; a time-out, a broken stream or a caller that drops the future leaves the place empty,
//! the server rolls back what was open, and the next call connects anew.
//!
//! Invariant: a transaction never spans two connections: within one every call is followed by `?`, and who holds
//! a transaction between calls remembers [`Link::generation`].

use super::Options;
use super::fault::Fault;
use super::secure;
use super::wire::{Field, encode};
use crate::row::Rows;
use crate::secret::Secret;
use crate::table::Column;
use crate::target::Target;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Connection as _, Either, Executor, Row as _};
use std::future::{Future, poll_fn};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What every session must have, or values would be read or written otherwise than they are.
const SESSION: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION time_zone='+00:00'",
    // what is there is stored as it is: strictly, zero dates and zero numbers included, and backslashes escape
    "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES,ALLOW_INVALID_DATES'",
];

/// A result of a statement about the server, all as text.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The names of the columns; empty where there is no row.
    pub(super) names: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Answer {
    /// The value in a row under any of these names.
    pub(super) fn of<'a>(&self, row: &'a [Option<String>], names: &[&str]) -> Option<&'a str> {
        let index = self.names.iter().position(|name| names.contains(&name.as_str()))?;
        row.get(index)?.as_deref()
    }
}

/// A connection, or the place for one.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    secret: Option<Secret>,
    options: Options,
    lock_wait: Duration,
    connection: Option<MySqlConnection>,
    /// Whether the server waits for locks for longer than it was told to.
    waits_anyway: bool,
    generation: u64,
    /// Who the server takes this user for; empty before it was asked.
    account: String,
    /// How many statements were prepared on this connection.
    prepared: usize,
    /// When the connection was last used.
    used: Instant,
}

/// After how long a connection that nobody used is asked whether it still is one: a paused run leaves it alone for hours.
const IDLE_TRUSTED: Duration = Duration::from_secs(2);
/// By how much longer an answer is waited for than a statement may take, so that it is the server that ends the statement.
const ANSWER_GRACE: Duration = Duration::from_secs(3);
/// How many prepared statements a connection keeps, if it is not used up before.
const PREPARED_KEPT: usize = 1_000;
/// After how many prepared statements a connection is used up: each is memory of the server.
const PREPARED_MOST: usize = 200;

impl Link {
    pub(super) fn new(
        target: &Target,
        secret: Option<&Secret>,
        options: &Options,
        lock_wait: Duration,
    ) -> Link {
        Link {
            target: target.clone(),
            secret: secret.cloned(),
            options: options.clone(),
            lock_wait,
            connection: None,
            waits_anyway: false,
            generation: 0,
            account: String::new(),
            prepared: 0,
            used: Instant::now(),
        }
    }

    /// Ends a connection that has prepared many statements, or that a server or something on the way has ended while nobody
    /// used it; for the beginning of what needs no open transaction.
    pub(super) async fn refresh(&mut self) {
        if self.prepared >= PREPARED_MOST {
            self.close();
        }
        let idle = self.used.elapsed() >= IDLE_TRUSTED;
        if let Some(mut connection) = self.connection.take_if(|_| idle)
            && matches!(timeout(self.options.connect_timeout, connection.ping()).await, Ok(Ok(())))
        {
            self.connection = Some(connection);
            self.used = Instant::now();
        }
    }

    /// Changes with each connection; zero before the first.
    pub(super) fn generation(&self) -> u64 {
        if self.connection.is_some() { self.generation } else { 0 }
    }

    /// The server's number of this connection.
    pub(super) async fn number(&mut self) -> Result<u64, Fault> {
        let answer = self.ask("SELECT CONNECTION_ID()").await?;
        let number = answer.rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        number.ok_or_else(|| Fault::Odd("a connection without a number".into()))
    }

    /// Whether this connection waits for locks although it was told not to, so that statements must say so themselves.
    pub(super) fn waits_anyway(&self) -> bool {
        self.waits_anyway
    }

    /// Asks the server by which account it judges this user, and remembers it for [`Link::account`].
    pub(super) async fn find_account(&mut self) -> Result<String, Fault> {
        let answer = self.ask("SELECT CURRENT_USER()").await?;
        self.account = answer.rows.into_iter().flatten().flatten().next().unwrap_or_default();
        Ok(self.account.clone())
    }

    /// Remembers what another link to the same server with the same user was told.
    pub(super) fn know_account(&mut self, account: &str) {
        account.clone_into(&mut self.account);
    }

    /// The account by which the server judges this user, as far as it was asked.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// Ends the connection, and with it whatever it held.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    async fn take(&mut self) -> Result<MySqlConnection, Fault> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let bound = self.options.connect_timeout;
        let (connection, waits) = match timeout(bound, self.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(Fault::Lost(format!("no connection within {} s", bound.as_secs()))),
        };
        self.generation += 1;
        self.waits_anyway = waits;
        self.prepared = 0;
        Ok(connection)
    }

    /// A connection, and whether it waits for locks although it was told not to.
    async fn connect(&self) -> Result<(MySqlConnection, bool), Fault> {
        let target = &self.target;
        let mut options = MySqlConnectOptions::new()
            .host(&target.host)
            .port(target.port)
            .username(&target.user)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .statement_cache_capacity(PREPARED_KEPT)
            .disable_statement_logging();
        if let Some(secret) = self.secret.as_ref().filter(|secret| !secret.is_empty()) {
            options = options.password(secret.reveal());
        }
        if let Some(socket) = &target.socket {
            options = options.socket(socket);
        }
        let options = secure::encrypted(options, target).await?;
        let mut connection = options.connect().await.map_err(|error| secure::refusal(error, target))?;
        for statement in SESSION {
            connection.execute(sqlx::raw_sql(statement)).await?;
        }
        let bound_ms = self.options.statement_timeout.as_millis();
        for statement in [
            // shared locks must hold gaps too
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
            format!("SET SESSION innodb_lock_wait_timeout={}", self.lock_wait.as_secs().max(1)),
            // where it can be zero
            format!("SET SESSION innodb_lock_wait_timeout={}", self.lock_wait.as_secs()),
            format!("SET SESSION lock_wait_timeout={}", self.lock_wait.as_secs().max(1)),
            // what is not waited for any more shall not run any more: MariaDB's name, MySQL's name
            format!("SET SESSION max_statement_time={}", self.options.statement_timeout.as_secs().max(1)),
            format!("SET SESSION max_execution_time={bound_ms}"),
            // what a digest is made of
            format!("SET SESSION group_concat_max_len={}", super::digest::CHUNK_BYTES),
            // Galera: what was committed anywhere is seen
            "SET SESSION wsrep_sync_wait=1".to_owned(),
        ] {
            // each of them exists on some servers only
            match connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
                Ok(_) | Err(sqlx::Error::Database(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.lock_wait.is_zero() {
            return Ok((connection, false));
        }
        let waits = match connection.fetch_one(sqlx::raw_sql("SELECT @@innodb_lock_wait_timeout <> 0")).await
        {
            Ok(row) => answer(&[row])?.rows.iter().flatten().flatten().any(|waits| waits == "1"),
            // a server without InnoDB
            Err(sqlx::Error::Database(_)) => false,
            Err(error) => return Err(error.into()),
        };
        Ok((connection, waits))
    }

    /// Runs `work` with the connection, within the bound, and puts the connection back if it is in good order.
    async fn with<T, W, F>(&mut self, work: W) -> Result<T, Fault>
    where
        W: FnOnce(MySqlConnection) -> F,
        F: Future<Output = (MySqlConnection, Result<T, Fault>)>,
    {
        let connection = self.take().await?;
        let bound = self.options.statement_timeout;
        let Ok((connection, result)) = timeout(bound + ANSWER_GRACE, work(connection)).await else {
            return Err(Fault::Slow(bound));
        };
        self.used = Instant::now();
        if result.as_ref().err().is_none_or(Fault::is_server) {
            self.connection = Some(connection);
        }
        result
    }

    /// Runs a statement; how many rows it affected.
    pub(super) async fn run(&mut self, sql: &str) -> Result<u64, Fault> {
        let sql = sql.to_owned();
        self.with(async move |mut connection: MySqlConnection| {
            let result = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
            (connection, result.map(|done| done.rows_affected()).map_err(Fault::from))
        })
        .await
    }

    /// Runs a statement about the server; its answer as text.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer, Fault> {
        let sql = sql.to_owned();
        self.with(async move |mut connection: MySqlConnection| {
            let result = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await;
            (connection, result.map_err(Fault::from).and_then(|rows| answer(&rows)))
        })
        .await
    }

    /// Reads rows in the binary protocol straight into the buffer of `rows`; at most `most` of them.
    pub(super) async fn read(&mut self, sql: &str, columns: &[&Column], most: u64) -> Result<Rows, Fault> {
        Ok(self.read_bounded(sql, columns, most, usize::MAX).await?.0)
    }

    /// The same, but ends early once there are two rows or more, of `bytes` together, and another one follows. Then the
    /// connection is closed, since the rest of the answer is still on its way. What ended early is marked as cut, and
    /// so is what has as many rows as were asked for.
    pub(super) async fn read_some(
        &mut self,
        sql: &str,
        columns: &[&Column],
        most: u64,
        bytes: usize,
    ) -> Result<Rows, Fault> {
        let (mut rows, whole) = self.read_bounded(sql, columns, most, bytes).await?;
        if !whole {
            self.close();
        }
        if !whole || rows.len() as u64 == most {
            rows.mark_cut();
        }
        Ok(rows)
    }

    /// Shows each row to `take`, one after the other, until there is none or it wants no more. In the latter case the
    /// connection is closed.
    pub(super) async fn each_row(
        &mut self,
        sql: &str,
        columns: &[&Column],
        mut take: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), Fault> {
        let sql = sql.to_owned();
        self.prepared += 1;
        let whole = self
            .with(async move |mut connection: MySqlConnection| {
                let result = show(&mut connection, sql, columns, &mut take).await;
                (connection, result)
            })
            .await?;
        if !whole {
            self.close();
        }
        Ok(())
    }

    async fn read_bounded(
        &mut self,
        sql: &str,
        columns: &[&Column],
        most: u64,
        bytes: usize,
    ) -> Result<(Rows, bool), Fault> {
        let sql = sql.to_owned();
        self.prepared += 1;
        self.with(async move |mut connection: MySqlConnection| {
            let result = stream(&mut connection, sql, columns, most, bytes).await;
            (connection, result)
        })
        .await
    }
}

fn answer(rows: &[sqlx::mysql::MySqlRow]) -> Result<Answer, Fault> {
    let mut answer = Answer::default();
    if let Some(row) = rows.first() {
        answer.names = row.columns().iter().map(|column| column.name().to_owned()).collect();
    }
    for row in rows {
        let mut values = Vec::with_capacity(row.len());
        for index in 0..row.len() {
            let value = row.try_get_raw(index)?;
            // in the text protocol all is text, whatever the type; NULL alone has no bytes
            let bytes = <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(value).ok();
            values.push(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        }
        answer.rows.push(values);
    }
    Ok(answer)
}

async fn stream(
    connection: &mut MySqlConnection,
    sql: String,
    columns: &[&Column],
    most: u64,
    bytes: usize,
) -> Result<(Rows, bool), Fault> {
    let mut rows = Rows::new();
    let mut fields: Option<Vec<Field>> = None;
    // prepared, because the text protocol rounds FLOAT; kept, because a statement that is closed is a message without an
    // answer, and what follows it waits for the network's delayed acknowledgement of it: 40 ms
    let query = sqlx::query(AssertSqlSafe(sql));
    let mut stream = connection.fetch_many(query);
    while let Some(item) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let Either::Right(row) = item? else { continue };
        if rows.len() > 1 && rows.bytes().len() >= bytes {
            return Ok((rows, false));
        }
        let fields = match &mut fields {
            Some(fields) => fields,
            None => fields.insert(Field::all(columns.iter().copied(), &row)?),
        };
        encode(fields, &row, rows.buffer())?;
        rows.end_row();
        if rows.len() as u64 > most {
            return Err(Fault::Odd(format!("more than the {most} rows that were asked for")));
        }
    }
    Ok((rows, true))
}

/// Whether all rows were shown.
async fn show(
    connection: &mut MySqlConnection,
    sql: String,
    columns: &[&Column],
    take: &mut (impl FnMut(&[u8]) -> bool + Send),
) -> Result<bool, Fault> {
    let (mut buffer, mut fields) = (Vec::new(), None);
    let mut stream = connection.fetch_many(sqlx::query(AssertSqlSafe(sql)));
    while let Some(item) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let Either::Right(row) = item? else { continue };
        let fields = match &mut fields {
            Some(fields) => fields,
            None => fields.insert(Field::all(columns.iter().copied(), &row)?),
        };
        buffer.clear();
        encode(fields, &row, &mut buffer)?;
        if !take(&buffer) {
            return Ok(false);
        }
    }
    Ok(true)
}

//! The fixture for servers behind MySQL's protocol: its own connection is the application.

use super::Fixture;
use crate::dialect;
use crate::edit::Edit;
use crate::mysql::{Connection, Options};
use crate::row::Row;
use crate::secret::Secret;
use crate::table::{Column, Table};
use crate::target::Target;
use crate::value::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// A server, by the driver that is tested and by a connection that plays the application.
#[derive(Debug)]
pub struct SqlFixture {
    node: Connection,
    application: MySqlConnection,
}

impl SqlFixture {
    /// Connects both.
    ///
    /// # Errors
    /// If the server does not let one of them in.
    pub async fn connect(target: &Target, secret: Option<&Secret>) -> Result<SqlFixture, String> {
        let node = Connection::connect(target, secret, &Options::default())
            .await
            .map_err(|error| error.to_string())?;
        let mut options = MySqlConnectOptions::new()
            .host(&target.host)
            .port(target.port)
            .username(&target.user)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        if let Some(secret) = secret {
            options = options.password(secret.reveal());
        }
        if let Some(socket) = &target.socket {
            options = options.socket(socket);
        }
        let application = options.connect().await.map_err(|error| error.to_string())?;
        let mut fixture = SqlFixture { node, application };
        for sql in [
            "SET NAMES utf8mb4",
            "SET SESSION time_zone='+00:00'",
            "SET SESSION sql_mode='STRICT_ALL_TABLES,ALLOW_INVALID_DATES'",
            // a write to a row that is watched by locks shall give up soon
            "SET SESSION innodb_lock_wait_timeout=1",
        ] {
            fixture.run(sql).await?;
        }
        Ok(fixture)
    }

    /// Runs a statement as the application.
    ///
    /// # Errors
    /// In the server's words.
    pub async fn run(&mut self, sql: &str) -> Result<(), String> {
        self.try_run(sql).await.map_err(|error| format!("{sql}: {error}"))
    }

    /// The first value of an answer, as text.
    ///
    /// # Errors
    /// In the server's words.
    pub async fn ask(&mut self, sql: &str) -> Result<String, String> {
        let row = self.application.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        let row = row.map_err(|error| format!("{sql}: {error}"))?;
        let value = sqlx::Row::try_get_raw(&row, 0).map_err(|error| error.to_string())?;
        let bytes = <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(value).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Makes as many copies of a content as the edit says.
    async fn write_copies(&mut self, edit: &Edit) -> Result<(), String> {
        let values = edit.key.values();
        let same: Vec<String> = edit
            .table
            .stored_columns()
            .iter()
            .zip(&values)
            .map(|(column, value)| {
                let name = dialect::identifier(&column.name);
                match value {
                    Value::Null => format!("{name} IS NULL"),
                    value => format!("BINARY {name} = {}", dialect::literal(value, column)),
                }
            })
            .collect();
        self.run("START TRANSACTION").await?;
        self.run(&format!("DELETE FROM {} WHERE {}", dialect::table_name(&edit.table), same.join(" AND ")))
            .await?;
        if let Some(row) = &edit.wanted {
            let copies = match row.values().last() {
                Some(Value::Int(copies)) => *copies,
                _ => 0,
            };
            for _ in 0..copies {
                self.run(&dialect::insert(&edit.table, row)).await?;
            }
        }
        self.run("COMMIT").await
    }

    async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.application.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map(|_| ())
    }
}

/// `CREATE TABLE`, with the definitions of the columns as a `Table` has them.
fn create(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} {}", dialect::identifier(&column.name), typed(column)))
        .collect();
    if table.key.is_empty() {
        return format!("CREATE TABLE {} ({}) ENGINE=InnoDB", dialect::table_name(table), columns.join(", "));
    }
    let key: Vec<String> = table.key_columns().map(|column| dialect::identifier(&column.name)).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) ENGINE=InnoDB",
        dialect::table_name(table),
        columns.join(", "),
        key.join(", ")
    )
}

/// `varchar(9) utf8mb4 utf8mb4_bin NULL` has two bare words that SQL wants named.
fn typed(column: &Column) -> String {
    let mut words: Vec<String> = column.definition.split(' ').map(str::to_owned).collect();
    if let Some(place) = words.iter().position(|word| word.contains('_')).filter(|&place| place > 0) {
        words[place].insert_str(0, "COLLATE ");
        words[place - 1].insert_str(0, "CHARACTER SET ");
    }
    words.join(" ")
}

impl Fixture for SqlFixture {
    type Node = Connection;

    fn node(&mut self) -> &mut Connection {
        &mut self.node
    }

    fn digests(&self) -> bool {
        // the bundled node lists its log and does not digest; the servers with row locks digest
        self.node.watch() == crate::mysql::Watch::Locks
    }

    async fn load(&mut self, tables: &[(Table, Vec<Row>)]) -> Result<(), String> {
        self.run("DROP DATABASE IF EXISTS shop").await?;
        self.run("CREATE DATABASE shop").await?;
        for (table, rows) in tables {
            self.run(&create(table)).await?;
            for row in rows {
                self.run(&dialect::insert(table, row)).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, edit: &Edit) -> Result<bool, String> {
        if edit.table.counted() {
            return self.write_copies(edit).await.map(|()| true);
        }
        let sql = match &edit.wanted {
            Some(row) => dialect::insert(&edit.table, row).replacen("INSERT", "REPLACE", 1),
            None => dialect::delete(&edit.table, &edit.key),
        };
        match self.try_run(&sql).await {
            Ok(()) => Ok(true),
            Err(sqlx::Error::Database(error))
                if error.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|e| e.number() == 1205) =>
            {
                Ok(false)
            }
            Err(error) => Err(format!("{sql}: {error}")),
        }
    }
}

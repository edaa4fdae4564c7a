//! Two MariaDB masters that replicate each other, in different time zones, and an application on each.
//!
//! An application writes through the log, as applications do; what is written `hidden` stays on its node, as the mistakes
//! do that a check is there to find.

use crate::server::Server;
use checker::{
    Checkpoint, ChunkSize, Crew, Forgetful, Gate, Manners, Member, Options, Report, Selection, Silent, Stop,
};
use database::mysql::{Connection, LedgerConnection, Options as Bounds};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::time::Duration;

/// How long one node may need to catch up with the other.
const CATCH_UP_S: u64 = 60;
/// How long marks may travel.
const SETTLE: Duration = Duration::from_secs(20);

pub struct Pair {
    pub servers: Vec<Server>,
    applications: Vec<MySqlConnection>,
    hidden: Vec<MySqlConnection>,
    runs: u32,
}

async fn application(server: &Server, logged: bool) -> MySqlConnection {
    let options = MySqlConnectOptions::new()
        .host(&server.target.host)
        .port(server.target.port)
        .username("root")
        .ssl_mode(MySqlSslMode::Disabled)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    for sql in [
        "SET NAMES utf8mb4",
        "SET SESSION time_zone='+00:00'",
        // as little refused as can be: what got in somehow must be compared too
        "SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
        "SET SESSION check_constraint_checks=1",
        if logged { "DO 0" } else { "SET SESSION sql_log_bin=0" },
    ] {
        connection.execute(sqlx::raw_sql(sql)).await.unwrap();
    }
    connection
}

impl Pair {
    /// Starts both, or nothing if there is no MariaDB here.
    pub async fn start(options: &[&str]) -> Option<Pair> {
        let mut servers = Vec::new();
        for (number, zone, charset) in [(1, "-08:00", "utf8mb4"), (2, "+05:45", "latin1")] {
            let (domain, own) = (
                format!("--gtid-domain-id={number}"),
                [format!("--default-time-zone={zone}"), format!("--character-set-server={charset}")],
            );
            let mut all = vec![
                "--log-slave-updates",
                "--max-allowed-packet=128M",
                "--lower-case-table-names=0",
                &domain,
            ];
            all.extend(own.iter().map(String::as_str));
            all.extend(options);
            servers.push(Server::start(number, &all).await?);
        }
        let (mut applications, mut hidden) = (Vec::new(), Vec::new());
        for server in &servers {
            applications.push(application(server, true).await);
            hidden.push(application(server, false).await);
        }
        let mut pair = Pair { servers, applications, hidden, runs: 0 };
        for node in 0..2 {
            let source = pair.servers[1 - node].target.port;
            pair.run(
                node,
                &format!(
                    "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={source}, MASTER_USER='root', \
                     MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"
                ),
            )
            .await;
            pair.run(node, "START SLAVE").await;
        }
        Some(pair)
    }

    /// The application of a node runs a statement.
    pub async fn run(&mut self, node: usize, sql: &str) {
        let done = self.applications[node].execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The same outside the log; how many rows it found.
    pub async fn hide(&mut self, node: usize, sql: &str) -> u64 {
        let done = self.hidden[node].execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    /// The first value of an answer.
    pub async fn ask(&mut self, node: usize, sql: &str) -> String {
        let row = self.applications[node].fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let value = row.try_get_raw(0).unwrap();
        let bytes = <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(value).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Waits until each node has applied what the other one has written until now.
    pub async fn catch_up(&mut self) {
        for node in 0..2 {
            let position = self.ask(1 - node, "SELECT @@gtid_binlog_pos").await;
            let wait = format!("SELECT MASTER_GTID_WAIT('{position}', {CATCH_UP_S})");
            let answer = self.ask(node, &wait).await;
            assert_eq!(answer, "0", "node {node} does not catch up with {position}");
        }
    }

    /// Checks these tables; with digests made by the servers, or by reading every row.
    pub async fn check(&mut self, only: &[&str], digests: bool) -> Report {
        let only: Vec<String> = only.iter().map(|&pattern| pattern.to_owned()).collect();
        self.runs += 1;
        let bounds = Bounds::default();
        let (mut members, mut scout) = (Vec::new(), None);
        for server in &self.servers {
            let target = &server.target;
            scout.get_or_insert(Connection::connect(target, None, &bounds).await.unwrap());
            members.push(Member {
                name: target.name.to_string().into(),
                reader: Connection::connect(target, None, &bounds).await.unwrap(),
                ledger: LedgerConnection::connect(target, None, &bounds).await.unwrap(),
            });
        }
        let options = Options {
            run: format!("run {}", self.runs).into(),
            selection: Selection::new(&only, &[]).unwrap(),
            settle_bound: SETTLE,
        };
        let crew = Crew { members, scout: scout.unwrap(), lanes: Vec::new() };
        let gate = Gate::new();
        let manners = Manners {
            size: ChunkSize::default(),
            intensity: 1.0,
            digests,
            gate: &gate,
            keeper: &Forgetful,
            checkpoint: Checkpoint::default(),
        };
        checker::check_gently(crew, &options, manners, &Silent, &Stop::new()).await.unwrap()
    }
}

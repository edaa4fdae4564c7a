//! Real clusters for scenarios: bundled nodes as processes, in a folder that goes away, with verbs for what goes wrong in life.
//!
//! Invariant: every process started here is killed by its own handle when its cluster is dropped.

use crate::commands::{evensum, said};
use crate::ports::free_port;
use serde_json::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long a node may take to be ready, or a cluster to catch up, on a machine that does much else.
pub const WAIT: Duration = Duration::from_secs(60);
/// How often a waiting loop looks again.
pub const POLL: Duration = Duration::from_millis(30);

/// What takes a session out of replication, but on Galera.
const OUTSIDE: &str = "SET sql_log_bin = 0";

/// Rows of text; NULL is None.
pub type TextRows = Vec<Vec<Option<String>>>;

/// A connection that stays open, for transactions and session variables.
pub struct Session {
    runtime: Runtime,
    connection: MySqlConnection,
}

impl Session {
    pub fn open(port: u16, user: &str, password: &str) -> Result<Session, sqlx::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut options = MySqlConnectOptions::new()
            .host("127.0.0.1")
            .port(port)
            .username(user)
            .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled)
            .disable_statement_logging();
        if !password.is_empty() {
            options = options.password(password);
        }
        let connection = runtime.block_on(options.connect())?;
        Ok(Session { runtime, connection })
    }

    /// Runs a statement; how many rows it changed.
    pub fn run(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(self.runtime.block_on(self.connection.execute(sqlx::raw_sql(sql)))?.rows_affected())
    }

    /// Runs a query.
    pub fn ask(&mut self, sql: &str) -> Result<TextRows, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let rows = self.runtime.block_on(self.connection.fetch_all(sqlx::raw_sql(sql)))?;
        let text = |row: &sqlx::mysql::MySqlRow, n| {
            let raw = row.try_get_raw(n).ok()?;
            let bytes = <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(raw).ok()?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        Ok(rows.iter().map(|row| (0..row.len()).map(|n| text(row, n)).collect()).collect())
    }
}

impl Session {
    /// The named column in the first row of an answer.
    pub fn column(&mut self, sql: &str, column: &str) -> Result<String, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let row = self.runtime.block_on(self.connection.fetch_one(sqlx::raw_sql(sql)))?;
        let bytes =
            <&[u8] as sqlx::Decode<sqlx::MySql>>::decode(row.try_get_raw(column)?).unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

struct Node {
    port: u16,
    config: PathBuf,
    child: Option<Child>,
}

/// A ring of nodes: `n1`, `n2`, …
pub struct Cluster {
    folder: TempDir,
    nodes: Vec<Node>,
    password: &'static str,
    /// What takes a session out of replication.
    pub outside: &'static str,
}

/// Starts a bundled node that finds its settings by this argument, and waits until it is ready; what it says goes into the log.
pub fn start_node(configured: &str, log: &Path) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(["node", configured, "--until-input-ends"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(log).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    assert!(line.contains("ready on"), "{configured} said '{line}': {}", said());
    child
}

impl Cluster {
    /// Starts a ring of so many nodes.
    pub fn start(count: usize) -> Cluster {
        Cluster::with(count, "")
    }

    /// The same, with this password for root.
    pub fn with(count: usize, password: &'static str) -> Cluster {
        let cluster = Cluster::apart(count, password, "innodb_flush_log_at_trx_commit = 2");
        for n in 1..=count {
            let source = if n == 1 { count } else { n - 1 };
            cluster.link_to(n, cluster.nodes[source - 1].port);
        }
        cluster.settle();
        cluster
    }

    /// Nodes that know nothing of each other, with these lines in their configuration.
    pub fn apart(count: usize, password: &'static str, more: &str) -> Cluster {
        let mut cluster =
            Cluster { folder: tempfile::tempdir().unwrap(), nodes: Vec::new(), password, outside: OUTSIDE };
        for number in 1..=count {
            let (config, port) = (cluster.path(&format!("n{number}.toml")), free_port());
            let text = format!(
                "datadir = \"{}\"\nport = {port}\nserver_id = {number}\nauto_increment_increment = {count}\n\
                 auto_increment_offset = {number}\n{more}\n[[users]]\nname = \"root\"\npassword = \"{password}\"\n",
                cluster.path(&format!("n{number}")).display()
            );
            std::fs::write(&config, text).unwrap();
            cluster.nodes.push(Node { port, config, child: None });
            cluster.restart(number);
        }
        cluster.configure();
        cluster
    }

    /// Starts one node more, which is empty and replicates from nobody; its number.
    pub fn add(&mut self) -> usize {
        let number = self.len() + 1;
        let (config, port) = (self.path(&format!("n{number}.toml")), free_port());
        let first = std::fs::read_to_string(self.path("n1.toml")).unwrap();
        let text = first
            .replace(&format!("port = {}\n", self.port(1)), &format!("port = {port}\n"))
            .replace("server_id = 1\n", &format!("server_id = {number}\n"))
            .replace("increment = ", "increment = 1") // there are numbers for ten and more
            .replace("auto_increment_offset = 1\n", &format!("auto_increment_offset = {number}\n"))
            .replace(
                &self.path("n1").display().to_string(),
                &self.path(&format!("n{number}")).display().to_string(),
            );
        std::fs::write(&config, text).unwrap();
        self.nodes.push(Node { port, config, child: None });
        self.restart(number);
        self.configure();
        number
    }

    /// Has a node replicate from whoever answers on this port.
    pub fn link_to(&self, n: usize, port: u16) {
        let password = self.password;
        self.run(
            n,
            &format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', \
                 MASTER_PASSWORD='{password}', MASTER_AUTO_POSITION=1"
            ),
        );
        self.run(n, "START SLAVE");
    }

    /// Servers that somebody else has started on these ports: all verbs but those that are about processes work on them too.
    pub fn beside(folder: TempDir, ports: &[u16]) -> Cluster {
        let nodes = ports.iter().map(|&port| Node { port, config: PathBuf::new(), child: None }).collect();
        let cluster = Cluster { folder, nodes, password: "", outside: OUTSIDE };
        cluster.configure();
        cluster
    }

    /// Writes `evensum.toml`.
    fn configure(&self) {
        let nodes: Vec<String> =
            (1..=self.len()).map(|n| format!("{{ url = \"{}\", name = \"n{n}\" }}", self.url(n))).collect();
        let text = format!("[cluster]\nname = \"test\"\nnodes = [{}]\n", nodes.join(", "));
        std::fs::write(self.path("evensum.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn port(&self, n: usize) -> u16 {
        self.nodes[n - 1].port
    }

    pub fn url(&self, n: usize) -> String {
        format!("mysql://root@127.0.0.1:{}", self.nodes[n - 1].port)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn session(&self, n: usize) -> Session {
        Session::open(self.nodes[n - 1].port, "root", self.password).unwrap()
    }

    /// Runs a statement on a node, and expects it to work.
    pub fn run(&self, n: usize, sql: &str) -> u64 {
        self.session(n).run(sql).unwrap_or_else(|error| panic!("n{n}: {sql}: {error}"))
    }

    /// Asks a node, and expects an answer.
    pub fn ask(&self, n: usize, sql: &str) -> TextRows {
        self.session(n).ask(sql).unwrap_or_else(|error| panic!("n{n}: {sql}: {error}"))
    }

    /// Writes behind replication's back.
    pub fn corrupt(&self, n: usize, statements: &[&str]) {
        let mut session = self.session(n);
        session.run(self.outside).unwrap();
        for sql in statements {
            assert_eq!(session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}")), 1, "{sql}");
        }
    }

    /// What the link that feeds a node delays each transaction by, at random.
    pub fn delay(&self, n: usize, millis: &str) {
        self.run(n, &format!("SET GLOBAL evensum_link_delay_ms = '{millis}'"));
    }

    /// Cuts the link that feeds a node.
    pub fn partition(&self, n: usize) {
        self.run(n, "STOP SLAVE IO_THREAD");
    }

    /// Joins it again.
    pub fn heal(&self, n: usize) {
        self.run(n, "START SLAVE IO_THREAD");
    }

    /// kill -9.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.nodes[n - 1].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a node that does not run, and waits until it is ready.
    pub fn restart(&mut self, n: usize) {
        let node = &mut self.nodes[n - 1];
        let configured = format!("--config={}", node.config.display());
        node.child = Some(start_node(&configured, &node.config.with_extension("log")));
    }

    /// One column of `SHOW SLAVE STATUS` of a node.
    pub fn link(&self, n: usize, column: &str) -> String {
        self.session(n).column("SHOW SLAVE STATUS", column).unwrap()
    }

    /// Skips the transaction at which the link that feeds a node has stopped.
    pub fn skip(&self, n: usize) {
        for sql in ["STOP SLAVE", "SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1", "START SLAVE"] {
            self.run(n, sql);
        }
    }

    /// Waits until a column of `SHOW SLAVE STATUS` of a node is this.
    pub fn until_link(&self, n: usize, column: &str, expected: &str) {
        let start = Instant::now();
        while self.link(n, column) != expected {
            assert!(
                start.elapsed() < WAIT,
                "n{n}: {column} is {} and never {expected}",
                self.link(n, column)
            );
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a statement gives this answer on a node.
    pub fn until(&self, n: usize, sql: &str, expected: &str) {
        let start = Instant::now();
        loop {
            let rows = self.session(n).ask(sql);
            let first = rows.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next()?);
            if first.as_deref() == Some(expected) {
                return;
            }
            assert!(start.elapsed() < WAIT, "n{n}: {sql} is {first:?} and never {expected}");
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a marker written on each node has reached all of them: nothing is on its way any more.
    pub fn settle(&self) {
        self.settle_from(self.len());
    }

    /// The same where only the first `writers` nodes are written.
    pub fn settle_from(&self, writers: usize) {
        let mark = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        self.run(1, "CREATE DATABASE IF NOT EXISTS harness");
        self.run(1, "CREATE TABLE IF NOT EXISTS harness.marks (node INT NOT NULL PRIMARY KEY, mark BIGINT)");
        for n in 1..=self.len() {
            self.until(
                n,
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'harness'",
                "1",
            );
        }
        for n in 1..=writers {
            self.run(n, &format!("REPLACE INTO harness.marks VALUES ({n}, {mark})"));
        }
        let (sql, all) =
            (format!("SELECT COUNT(*) FROM harness.marks WHERE mark = {mark}"), writers.to_string());
        (1..=self.len()).for_each(|n| self.until(n, &sql, &all));
    }

    /// Runs `evensum` on this cluster.
    pub fn evensum(&self, args: &[&str]) -> Output {
        let config = self.path("evensum.toml");
        let mut all: Vec<&str> = args.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        evensum(self.folder(), &all)
    }

    /// Carries out a repair, of whatever `more` says; its document.
    pub fn repair(&self, more: &[&str]) -> Value {
        let bounds = ["sync", "--execute", "--yes", "--json", "--max-rows", "100000"];
        let arguments: Vec<&str> = bounds.iter().chain(more).copied().collect();
        let (code, out, err) = said(&self.evensum(&arguments));
        assert!(matches!(code, 0..=2), "{code} {out} {err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out} {err}"))
    }
}

impl Cluster {
    /// Runs `evensum` beside this cluster, with its state folder and without its configuration.
    pub fn evensum_plain(&self, args: &[&str]) -> Output {
        evensum(self.folder(), args)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (1..=self.nodes.len()).for_each(|n| self.kill(n));
    }
}

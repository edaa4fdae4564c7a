//! Real servers wired into a topology, with verbs for what goes wrong between them.
//!
//! The servers stand in a [`Cluster`], so what is said there of bundled nodes (`corrupt`, `partition`, `skip`, `until`) is said
//! here of real ones.

use super::server::{Make, Program, Server};
use crate::cluster::{Cluster, POLL, WAIT};
use crate::ports::free_port;
use std::ops::Deref;
use std::time::Instant;

/// Who feeds whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two masters.
    Pair,
    /// Three masters, each fed by the one before.
    Ring,
    /// Two masters, and a read-only replica of the second.
    ThirdTier,
}

impl Shape {
    /// For each node the one that feeds it.
    fn sources(self) -> &'static [usize] {
        match self {
            Shape::Pair => &[2, 1],
            Shape::Ring => &[3, 1, 2],
            Shape::ThirdTier => &[2, 1, 2],
        }
    }
}

/// How a replica knows where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// By global transaction ids.
    Gtid,
    /// By file and offset of the source's log.
    File,
}

/// Servers that replicate each other.
pub struct Masters {
    // first, so that nobody writes in the folder when it goes away
    servers: Vec<Server>,
    cluster: Cluster,
    shape: Shape,
    make: Make,
}

impl Deref for Masters {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Masters {
    /// Starts servers of this kind, with ROW logs and GTIDs.
    pub fn start(program: &Program, shape: Shape) -> Masters {
        let folder = tempfile::tempdir().unwrap();
        let count = shape.sources().len();
        let mut servers: Vec<Server> = (1..=count)
            .map(|n| {
                let mut more = vec![
                    format!("--server-id={n}"),
                    format!("--auto-increment-increment={count}"),
                    format!("--auto-increment-offset={n}"),
                    "--log-bin=bin".into(),
                    "--relay-log=relay".into(),
                    "--binlog-format=ROW".into(),
                ];
                more.extend(match program.make {
                    Make::MariaDb => vec!["--log-slave-updates".into(), format!("--gtid-domain-id={n}")],
                    Make::MySql => {
                        ["--log-replica-updates", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"]
                            .map(str::to_owned)
                            .to_vec()
                    }
                });
                Server::start(program, folder.path(), &format!("n{n}"), free_port(), &more)
            })
            .collect();
        servers.iter_mut().for_each(Server::ready);
        let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
        let cluster = Cluster::beside(folder, &ports);
        let masters = Masters { servers, cluster, shape, make: program.make };
        for n in 1..=count {
            let port = masters.port(shape.sources()[n - 1]);
            masters.run(n, &masters.link_to(port));
            masters.start_link(n, "");
        }
        if shape == Shape::ThirdTier {
            masters.run(count, "SET GLOBAL read_only = 1");
        }
        masters.settle();
        masters
    }

    /// kill -9.
    pub fn crash(&mut self, n: usize) {
        self.servers[n - 1].kill();
    }

    /// Starts a server that was killed, with all that it had on disk, and waits until its link runs.
    pub fn restart(&mut self, n: usize) {
        self.servers[n - 1].start_again();
        self.servers[n - 1].ready();
        let start = Instant::now();
        while self.link(n, "Slave_IO_Running") != "Yes" {
            assert!(start.elapsed() < WAIT, "n{n}: {}", self.link(n, "Last_IO_Error"));
            std::thread::sleep(POLL);
        }
    }

    fn link_to(&self, port: u16) -> String {
        match self.make {
            Make::MariaDb => format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', \
                 MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos"
            ),
            Make::MySql => format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='root', \
                 SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1"
            ),
        }
    }

    /// Starts the link that feeds a node, or one thread of it.
    pub fn start_link(&self, n: usize, thread: &str) {
        self.run(n, &format!("START {} {thread}", self.replica()));
    }

    /// Stops it.
    pub fn stop_link(&self, n: usize, thread: &str) {
        self.run(n, &format!("STOP {} {thread}", self.replica()));
    }

    fn replica(&self) -> &'static str {
        match self.make {
            Make::MariaDb => "SLAVE",
            Make::MySql => "REPLICA",
        }
    }

    /// What asks a node where its log ends.
    pub fn log_status(&self) -> &'static str {
        match self.make {
            Make::MariaDb => "SHOW MASTER STATUS",
            Make::MySql => "SHOW BINARY LOG STATUS",
        }
    }

    /// One column of the state of the link that feeds a node, by the name that MariaDB has for it.
    pub fn link(&self, n: usize, column: &str) -> String {
        if self.make == Make::MariaDb {
            return self.cluster.link(n, column);
        }
        let column = column.replace("Slave", "Replica").replace("Master", "Source");
        self.session(n).column("SHOW REPLICA STATUS", &column).unwrap()
    }

    /// How many nodes an application may write.
    pub fn writers(&self) -> usize {
        if self.shape == Shape::ThirdTier { self.len() - 1 } else { self.len() }
    }

    /// Waits until nothing is on its way.
    pub fn settle(&self) {
        self.cluster.settle_from(self.writers());
    }

    /// Ends the link that feeds a node, changes it, and begins it again; in words of MariaDB.
    pub fn relink(&self, n: usize, words: &str) {
        self.stop_link(n, "");
        let change = format!("CHANGE MASTER TO {words}");
        self.run(
            n,
            &match self.make {
                Make::MariaDb => change,
                Make::MySql => {
                    change.replace("MASTER TO", "REPLICATION SOURCE TO").replace("MASTER_", "SOURCE_")
                }
            },
        );
        self.start_link(n, "");
        let start = Instant::now();
        while self.link(n, "Slave_IO_Running") != "Yes" {
            assert!(start.elapsed() < WAIT, "n{n}: {}", self.link(n, "Last_IO_Error"));
            std::thread::sleep(POLL);
        }
    }

    /// From now on the servers log in this format, and the links go by these positions.
    pub fn tune(&self, format: &str, positions: Positions) {
        self.settle();
        for n in 1..=self.len() {
            self.stop_link(n, "");
            self.run(n, &format!("SET GLOBAL binlog_format = '{format}'"));
        }
        let words = match (self.make, positions) {
            (Make::MariaDb, Positions::Gtid) => "MASTER_USE_GTID=slave_pos",
            (Make::MariaDb, Positions::File) => "MASTER_USE_GTID=no",
            (Make::MySql, Positions::Gtid) => "MASTER_AUTO_POSITION=1",
            (Make::MySql, Positions::File) => "MASTER_AUTO_POSITION=0",
        };
        (1..=self.len()).for_each(|n| self.relink(n, words));
        self.settle();
    }

    /// Every transaction of the link that feeds a node waits until it is so many seconds old.
    pub fn delay(&self, n: usize, seconds: u32) {
        self.relink(n, &format!("MASTER_DELAY={seconds}"));
    }

    /// Writes on node `on` what the link that feeds node `n` then leaves out.
    pub fn leave_out(&self, on: usize, n: usize, sql: &str) {
        self.settle();
        self.stop_link(n, "");
        let executed = || self.ask(on, "SELECT @@global.gtid_executed")[0][0].clone().unwrap_or_default();
        let before = if self.make == Make::MySql { executed() } else { String::new() };
        assert_eq!(self.run(on, sql), 1, "{sql}");
        match self.make {
            Make::MariaDb => _ = self.run(n, "SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1"),
            Make::MySql => {
                // an empty transaction of the same id stands in for it
                let written = format!("SELECT GTID_SUBTRACT('{}', '{before}')", executed());
                let gtid = self.ask(on, &written)[0][0].clone().unwrap_or_default();
                let mut session = self.session(n);
                for sql in [&*format!("SET gtid_next = '{gtid}'"), "BEGIN", "COMMIT"] {
                    session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                }
            }
        }
        self.start_link(n, "");
        self.settle();
    }

    /// Writes on the first two nodes before either has heard of the other.
    pub fn cross(&self, first: &str, second: &str) {
        self.settle();
        (1..=2).for_each(|n| self.stop_link(n, "SQL_THREAD"));
        for (n, sql) in [(1, first), (2, second)] {
            assert_eq!(self.run(n, sql), 1, "{sql}");
        }
        (1..=2).for_each(|n| self.start_link(n, "SQL_THREAD"));
        self.settle();
    }
}

//! Real servers wired into a topology, with verbs for what goes wrong between them.
//!
//! The servers stand in a [`Cluster`], so what is said there of bundled nodes (`corrupt`, `partition`, `skip`, `until`) is said
//! here of real ones.

use super::server::{Program, Server, free_port};
use crate::cluster::Cluster;
use std::ops::Deref;

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
    _servers: Vec<Server>,
    cluster: Cluster,
    shape: Shape,
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
                let more = [
                    format!("--server-id={n}"),
                    format!("--auto-increment-increment={count}"),
                    format!("--auto-increment-offset={n}"),
                    "--log-bin=bin".into(),
                    "--relay-log=relay".into(),
                    "--log-slave-updates".into(),
                    "--binlog-format=ROW".into(),
                    format!("--gtid-domain-id={n}"),
                ];
                Server::start(program, folder.path(), &format!("n{n}"), free_port(), &more)
            })
            .collect();
        servers.iter_mut().for_each(Server::ready);
        let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
        let masters = Masters { _servers: servers, cluster: Cluster::beside(folder, &ports), shape };
        for n in 1..=count {
            let port = masters.port(shape.sources()[n - 1]);
            let link = format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', \
                 MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos"
            );
            masters.run(n, &link);
            masters.run(n, "START SLAVE");
        }
        if shape == Shape::ThirdTier {
            masters.run(count, "SET GLOBAL read_only = 1");
        }
        masters.settle();
        masters
    }

    /// How many nodes an application may write.
    pub fn writers(&self) -> usize {
        if self.shape == Shape::ThirdTier { self.len() - 1 } else { self.len() }
    }

    /// Waits until nothing is on its way.
    pub fn settle(&self) {
        self.cluster.settle_from(self.writers());
    }

    /// Ends the links, changes what they are by `words`, and begins them again.
    pub fn relink(&self, n: usize, words: &str) {
        self.run(n, "STOP SLAVE");
        self.run(n, &format!("CHANGE MASTER TO {words}"));
        self.run(n, "START SLAVE");
    }

    /// From now on the servers log in this format, and the links go by these positions.
    pub fn tune(&self, format: &str, positions: Positions) {
        self.settle();
        for n in 1..=self.len() {
            self.run(n, &format!("SET GLOBAL binlog_format = '{format}'"));
        }
        let gtid = if positions == Positions::Gtid { "slave_pos" } else { "no" };
        for n in 1..=self.len() {
            self.relink(n, &format!("MASTER_USE_GTID={gtid}"));
            self.until_link(n, "Slave_IO_Running", "Yes");
        }
        self.settle();
    }

    /// Writes on node `on` what the link that feeds node `n` then leaves out.
    pub fn leave_out(&self, on: usize, n: usize, sql: &str) {
        self.settle();
        self.run(n, "STOP SLAVE");
        assert_eq!(self.run(on, sql), 1, "{sql}");
        self.run(n, "SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1");
        self.run(n, "START SLAVE");
        self.settle();
    }

    /// Writes on the first two nodes before either has heard of the other.
    pub fn cross(&self, first: &str, second: &str) {
        self.settle();
        (1..=2).for_each(|n| _ = self.run(n, "STOP SLAVE SQL_THREAD"));
        for (n, sql) in [(1, first), (2, second)] {
            assert_eq!(self.run(n, sql), 1, "{sql}");
        }
        (1..=2).for_each(|n| _ = self.run(n, "START SLAVE SQL_THREAD"));
        self.settle();
    }
}

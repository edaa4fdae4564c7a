//! What a server says about itself and its replication; for status pages and for knowing it again.
//!
//! Servers differ in the statement and in the names of its columns, and keep the old ones for a while: each is
//! tried, and a syntax error means "the next one".

use super::Connection;
use super::fault::{Fault, SYNTAX};
use super::link::Answer;
use crate::error::Result;

/// One link of replication, seen from the replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// The channel or connection name; empty for the only one.
    pub channel: String,
    /// `host:port` of the source.
    pub source: String,
    /// The number of the source in replication; empty if the link has never reached it.
    pub source_id: String,
    /// Whether the thread that fetches the source's log runs and is connected.
    pub io_running: bool,
    /// Whether the thread that applies it runs.
    pub sql_running: bool,
    /// How far the replica is behind, in seconds, if the server can tell.
    pub lag_seconds: Option<u64>,
    /// The last error of either thread, in the server's words; empty if there is none.
    pub last_error: String,
}

/// A server that is fed by this one, as it has registered itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its number in replication.
    pub server_id: String,
    /// `host:port`, as far as it has said so.
    pub address: String,
}

/// By what a server is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number in replication.
    pub server_id: String,
    /// Its UUID, or `hostname:port` where it has none.
    pub server_uuid: String,
    /// Its version, in its own words.
    pub version: String,
    /// Whether ordinary clients may not write.
    pub read_only: bool,
    /// Whether it replicates by Galera, to which a session that is outside the log is not outside.
    pub galera: bool,
}

impl Connection {
    /// The links by which this node is fed.
    pub async fn replication(&mut self) -> Result<Vec<LinkState>> {
        let answer = self.link_status().await;
        let answer = answer.map_err(|fault| self.error(fault, "the state of its replication"))?;
        Ok(answer.rows.iter().map(|row| link_state(&answer, row)).collect())
    }

    /// The servers that are fed by this node now; none if it does not tell this user.
    pub async fn replicas(&mut self) -> Result<Option<Vec<Replica>>> {
        self.main.refresh().await;
        for statement in ["SHOW REPLICAS", "SHOW SLAVE HOSTS"] {
            match self.main.ask(statement).await {
                Ok(answer) => {
                    let of = |row: &[Option<String>], names: &[&str]| {
                        answer.of(row, names).unwrap_or_default().to_owned()
                    };
                    let replica = |row: &Vec<Option<String>>| Replica {
                        server_id: of(row, &["Server_Id", "Server_id"]),
                        address: format!("{}:{}", of(row, &["Host"]), of(row, &["Port"])),
                    };
                    return Ok(Some(answer.rows.iter().map(replica).collect()));
                }
                Err(fault) if matches!(fault.number(), Some(SYNTAX | 1235)) => {}
                Err(fault) if fault.is_server() => return Ok(None),
                Err(fault) => return Err(self.error(fault, "who is fed by it")),
            }
        }
        // the bundled node, which lists nobody
        Ok(Some(Vec::new()))
    }

    /// The server's own account of its links.
    pub(super) async fn link_status(&mut self) -> std::result::Result<Answer, Fault> {
        let statements = ["SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"];
        self.main.refresh().await;
        let mut last = Fault::Odd("no statement to ask for replication".into());
        for statement in statements {
            match self.main.ask(statement).await {
                Ok(answer) => return Ok(answer),
                // 1235: not supported here
                Err(fault) if matches!(fault.number(), Some(SYNTAX | 1235)) => last = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(last)
    }

    /// What these status variables are; `None`: there is no such one, or it is no number.
    pub async fn load(&mut self, names: &[&str]) -> Result<Vec<Option<u64>>> {
        let list: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({})", list.join(", "));
        self.main.refresh().await;
        let answer = self.main.ask(&sql).await.map_err(|fault| self.error(fault, "its load"))?;
        let value = |name: &&str| {
            let named = |row: &&Vec<Option<String>>| {
                row.first().and_then(Option::as_deref).is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            answer.rows.iter().find(named)?.get(1)?.as_deref()?.parse().ok()
        };
        Ok(names.iter().map(value).collect())
    }

    /// Whether what is written here is replicated by Galera.
    pub(super) async fn in_galera(&mut self) -> std::result::Result<bool, Fault> {
        match self.main.ask("SELECT @@wsrep_on").await {
            Ok(answer) => Ok(answer.rows.iter().flatten().flatten().any(|on| on != "0" && on != "OFF")),
            Err(fault) if fault.is_server() => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Whether it is a member of a cluster that replicates without links: Galera and its like, or a replication group.
    pub async fn clustered(&mut self) -> bool {
        for sql in [
            "SHOW STATUS LIKE 'wsrep_cluster_size'",
            "SELECT '', COUNT(*) FROM performance_schema.replication_group_members",
        ] {
            let members = self.main.ask(sql).await.ok().and_then(|answer| {
                answer.rows.into_iter().next()?.into_iter().nth(1).flatten()?.parse::<u32>().ok()
            });
            if members.is_some_and(|members| members > 0) {
                return true;
            }
        }
        false
    }

    /// Who this server is.
    pub async fn identity(&mut self) -> Result<Identity> {
        let what = "its identity";
        let first = |answer: Answer, index: usize| {
            answer.rows.first().and_then(|row| row.get(index).cloned().flatten()).unwrap_or_default()
        };
        let answer = self.main.ask("SELECT @@server_id").await;
        let server_id = first(answer.map_err(|fault| self.error(fault, what))?, 0);
        let answer = self.main.ask("SELECT VERSION()").await;
        let version = first(answer.map_err(|fault| self.error(fault, what))?, 0);
        let server_uuid = match self.main.ask("SELECT @@server_uuid").await {
            Ok(answer) => first(answer, 0),
            Err(fault) if fault.is_server() => {
                let answer = self.main.ask("SELECT CONCAT(@@hostname, ':', @@port)").await;
                first(answer.map_err(|fault| self.error(fault, what))?, 0)
            }
            Err(fault) => return Err(self.error(fault, what)),
        };
        let answer = self.main.ask("SELECT @@global.read_only").await;
        // MariaDB has names for the values, MySQL and older servers have numbers
        let read_only = match answer {
            Ok(answer) => !matches!(first(answer, 0).to_ascii_uppercase().as_str(), "0" | "OFF" | ""),
            Err(fault) if fault.is_server() => false,
            Err(fault) => return Err(self.error(fault, what)),
        };
        let galera = self.in_galera().await.map_err(|fault| self.error(fault, what))?;
        Ok(Identity { server_id, server_uuid, version, read_only, galera })
    }
}

/// One line of that account.
pub(super) fn link_state(answer: &Answer, row: &[Option<String>]) -> LinkState {
    let of = |names: &[&str]| answer.of(row, names).unwrap_or_default().to_owned();
    LinkState {
        channel: of(&["Channel_Name", "Connection_name"]),
        source: format!("{}:{}", of(&["Source_Host", "Master_Host"]), of(&["Source_Port", "Master_Port"])),
        source_id: of(&["Source_Server_Id", "Master_Server_Id"]),
        io_running: of(&["Replica_IO_Running", "Slave_IO_Running"]) == "Yes",
        sql_running: of(&["Replica_SQL_Running", "Slave_SQL_Running"]) == "Yes",
        lag_seconds: of(&["Seconds_Behind_Source", "Seconds_Behind_Master"]).parse().ok(),
        last_error: [of(&["Last_SQL_Error"]), of(&["Last_IO_Error"])]
            .into_iter()
            .find(|error| !error.is_empty())
            .unwrap_or_default(),
    }
}

//! What a server says of its set-up: for the doctor, who judges it.
//!
//! Nothing is assumed by version. Every question is one that some server does not know or some account may not ask, so each is
//! asked by itself; what is refused is a fact too, [`Unknown`], with the line that would grant it where that is the reason. Only a node that
//! cannot be reached any more is an error.
//!
//! Invariants: nothing is changed but `sql_log_bin` of this session, and back. No hash of a password is kept.
//!
//! What is not read: performance_schema (Group Replication, worker threads), option files, the operating system.

mod tables;

pub use tables::SurveyedTable;

use super::Connection;
use super::fault::Fault;
use super::link::Answer;
use super::rights::{Rights, line_for};
use super::status::{LinkState, link_state};
use crate::error::Result;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variables that are looked at; servers know some of them each.
const VARIABLES: [&str; 62] = [
    "auto_increment_increment",
    "auto_increment_offset",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "enforce_gtid_consistency",
    "explicit_defaults_for_timestamp",
    "gtid_binlog_pos",
    "gtid_current_pos",
    "gtid_domain_id",
    "gtid_executed",
    "gtid_mode",
    "gtid_slave_pos",
    "gtid_strict_mode",
    "have_ssl",
    "hostname",
    "innodb_autoinc_lock_mode",
    "innodb_doublewrite",
    "innodb_flush_log_at_trx_commit",
    "log_bin",
    "log_replica_updates",
    "log_slave_updates",
    "lower_case_table_names",
    "max_allowed_packet",
    "port",
    "read_only",
    "relay_log_recovery",
    "replica_exec_mode",
    "replica_max_allowed_packet",
    "replica_skip_errors",
    "replica_type_conversions",
    "replicate_do_db",
    "replicate_do_table",
    "replicate_ignore_db",
    "replicate_ignore_table",
    "replicate_rewrite_db",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
    "require_secure_transport",
    "server_id",
    "server_uuid",
    "slave_exec_mode",
    "slave_max_allowed_packet",
    "slave_run_triggers_for_rbr",
    "slave_skip_errors",
    "slave_type_conversions",
    "sql_mode",
    "super_read_only",
    "sync_binlog",
    "system_time_zone",
    "time_zone",
    "transaction_isolation",
    "tx_isolation",
    "version",
    "version_comment",
    "wsrep_cluster_address",
    "wsrep_on",
    "wsrep_provider",
    "wsrep_sync_wait",
];

/// The filters of a link, by MySQL's names for their columns.
const LINK_FILTERS: [&str; 10] = [
    "Replicate_Do_DB",
    "Replicate_Ignore_DB",
    "Replicate_Do_Table",
    "Replicate_Ignore_Table",
    "Replicate_Wild_Do_Table",
    "Replicate_Wild_Ignore_Table",
    "Replicate_Ignore_Server_Ids",
    "Replicate_Rewrite_DB",
    "Replicate_Do_Domain_Ids",
    "Replicate_Ignore_Domain_Ids",
];

/// What a server said of itself. What it did not is absent, and among the unknown if it refused to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Global variables, by their names in lower case, as SHOW VARIABLES prints them.
    pub variables: BTreeMap<String, String>,
    /// The links by which it is fed.
    pub links: Option<Vec<SurveyedLink>>,
    /// Where its own log ends.
    pub position: Option<String>,
    /// Filters of its own log: name and databases.
    pub log_filters: Vec<(String, String)>,
    /// How this connection is encrypted; empty if it is not.
    pub cipher: Option<String>,
    /// Galera's status, by lower-case names; empty where there is none.
    pub galera: BTreeMap<String, String>,
    /// The tables that this account sees.
    pub tables: Option<Vec<SurveyedTable>>,
    /// This account and its grants.
    pub rights: Option<Rights>,
    /// Whether this account may write outside the log, as tried.
    pub outside_log: Option<bool>,
    /// How far the server's clock is ahead of this machine's, in milliseconds, give or take the way there and back.
    pub clock_ahead_ms: Option<i64>,
    /// What it refused to say.
    pub unknown: Vec<Unknown>,
}

/// A question that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was asked.
    pub what: String,
    /// Why it was refused, in the server's words.
    pub reason: String,
    /// The line that would grant it, if that is what is missing.
    pub grant: Option<String>,
}

/// A link, with how it is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyedLink {
    /// How it stands.
    pub state: LinkState,
    /// Filters that are set: name and value.
    pub filters: Vec<(String, String)>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// Whether it finds its place in the source's log by GTID.
    pub by_gtid: Option<bool>,
    /// For how long it holds back on purpose, in seconds.
    pub delay_seconds: u64,
    /// How many events it is told to skip.
    pub skip_counter: u64,
}

impl SurveyedLink {
    /// The source's number in replication, if this replica has ever heard it.
    #[must_use]
    pub fn source_id(&self) -> Option<&str> {
        Some(self.state.source_id.as_str()).filter(|id| !matches!(*id, "" | "0"))
    }
}

impl Survey {
    /// The value of the first of these variables that the server knows.
    #[must_use]
    pub fn variable(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.variables.get(*name)).map(String::as_str)
    }
}

impl Connection {
    /// Asks the server for all that [`Survey`] holds.
    ///
    /// # Errors
    /// If the node cannot be reached any more.
    pub async fn survey(&mut self) -> Result<Survey> {
        let mut survey = Survey::default();
        let unknown = &mut survey.unknown;
        if let Some(answer) = self.may_ask("its variables", "SHOW GLOBAL VARIABLES", unknown).await? {
            survey.variables = named(&answer, |name| VARIABLES.contains(&name));
        }
        survey.links = self.surveyed_links(unknown).await?;
        survey.clock_ahead_ms = self.clock_ahead(unknown).await?;
        let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        if let Some(answer) = self.may_ask("whether this connection is encrypted", cipher, unknown).await? {
            // a server without that status has no encryption
            survey.cipher = Some(named(&answer, |_| true).into_values().next().unwrap_or_default());
        }
        let galera = "SHOW GLOBAL STATUS LIKE 'wsrep_%'";
        if let Some(answer) = self.may_ask("the state of Galera", galera, unknown).await? {
            survey.galera = named(&answer, |name| name.starts_with("wsrep_"));
        }
        self.survey_log(&mut survey).await?;
        survey.tables = self.surveyed_tables(&mut survey.unknown).await?;
        match self.rights().await {
            Ok(rights) => survey.rights = Some(rights),
            Err(error @ crate::Error::Unreachable { .. }) => return Err(error),
            Err(error) => survey.unknown.push(Unknown {
                what: "its grants".into(),
                reason: error.to_string(),
                grant: None,
            }),
        }
        survey.outside_log = self.try_outside_log().await?;
        Ok(survey)
    }

    /// Asks; what the server refuses is noted.
    async fn may_ask(&mut self, what: &str, sql: &str, unknown: &mut Vec<Unknown>) -> Result<Option<Answer>> {
        match self.main.ask(sql).await {
            Ok(answer) => Ok(Some(answer)),
            Err(fault @ Fault::Lost(_)) => Err(self.error(fault, what)),
            Err(fault) => {
                let grant = line_for(&fault, self.main.account(), None);
                unknown.push(Unknown { what: what.into(), reason: fault.words(), grant });
                Ok(None)
            }
        }
    }

    async fn surveyed_links(&mut self, unknown: &mut Vec<Unknown>) -> Result<Option<Vec<SurveyedLink>>> {
        match self.link_status().await {
            Ok(answer) => Ok(Some(answer.rows.iter().map(|row| surveyed_link(&answer, row)).collect())),
            Err(fault @ Fault::Lost(_)) => Err(self.error(fault, "the state of its replication")),
            Err(fault) => {
                let grant = line_for(&fault, self.main.account(), None);
                let what = "how its links stand".into();
                unknown.push(Unknown { what, reason: fault.words(), grant });
                Ok(None)
            }
        }
    }

    async fn clock_ahead(&mut self, unknown: &mut Vec<Unknown>) -> Result<Option<i64>> {
        let before = unix_ms();
        let sql = "SELECT UNIX_TIMESTAMP(NOW(6))";
        let Some(answer) = self.may_ask("its clock", sql, unknown).await? else { return Ok(None) };
        let here = before + (unix_ms() - before) / 2;
        let there = answer.rows.first().and_then(|row| row.first()?.as_deref()?.split_once('.'));
        let there = there.and_then(|(seconds, fraction)| {
            let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
            format!("{seconds}{millis}").parse::<i64>().ok()
        });
        Ok(there.map(|there| there - here))
    }

    /// The end of the log and its filters, which come in one answer.
    async fn survey_log(&mut self, survey: &mut Survey) -> Result<()> {
        let mut refused = Vec::new();
        for sql in ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"] {
            let asked = self.may_ask("where its log ends, and its filters", sql, &mut refused).await?;
            let Some(answer) = asked else { continue };
            if let Some(row) = answer.rows.first() {
                let of = |name: &str| answer.of(row, &[name]).unwrap_or_default().to_owned();
                survey.position = Some(format!("{}:{}", of("File"), of("Position")));
                let filters =
                    ["Binlog_Do_DB", "Binlog_Ignore_DB"].map(|name| (name.to_lowercase(), of(name)));
                survey.log_filters = filters.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            }
            return Ok(());
        }
        // the refusal that a grant would lift, else the first
        let best = refused.iter().position(|unknown| unknown.grant.is_some()).unwrap_or(0);
        survey.unknown.push(refused.swap_remove(best));
        Ok(())
    }

    /// Whether this account may leave the log: found by trying, since there are several rights that allow it.
    async fn try_outside_log(&mut self) -> Result<Option<bool>> {
        match self.main.run("SET SESSION sql_log_bin=0").await {
            Ok(_) => {
                if self.main.run("SET SESSION sql_log_bin=1").await.is_err() {
                    self.main.close();
                }
                Ok(Some(true))
            }
            Err(fault @ Fault::Lost(_)) => Err(self.error(fault, "its log")),
            Err(fault) if line_for(&fault, "", None).is_some() => Ok(Some(false)),
            Err(_) => Ok(None),
        }
    }
}

fn unix_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Names in lower case and values of a SHOW VARIABLES or SHOW STATUS.
fn named(answer: &Answer, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let pairs = answer.rows.iter().filter_map(|row| match row.as_slice() {
        [Some(name), Some(value), ..] => Some((name.to_lowercase(), value.clone())),
        _ => None,
    });
    pairs.filter(|(name, _)| wanted(name)).collect()
}

fn surveyed_link(answer: &Answer, row: &[Option<String>]) -> SurveyedLink {
    let of = |names: &[&str]| answer.of(row, names).unwrap_or_default().to_owned();
    let yes = |text: &str| matches!(text.to_ascii_uppercase().as_str(), "YES" | "1" | "ON");
    let known = |names: &[&str]| Some(of(names)).filter(|text| !text.is_empty());
    let filters = LINK_FILTERS.iter().filter_map(|name| {
        // no server is filtered out by number
        let value = known(&[name]).filter(|value| value != "0")?;
        Some((name.to_lowercase(), value))
    });
    let by_gtid = known(&["Using_Gtid"])
        .map(|word| word != "No")
        .or_else(|| known(&["Auto_Position"]).map(|word| yes(&word)));
    SurveyedLink {
        state: link_state(answer, row),
        filters: filters.collect(),
        encrypted: known(&["Source_SSL_Allowed", "Master_SSL_Allowed"]).map(|word| yes(&word)),
        by_gtid,
        delay_seconds: of(&["SQL_Delay"]).parse().unwrap_or(0),
        skip_counter: of(&["Skip_Counter"]).parse().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_by_either_server_s_names() {
        let answer = |columns: &[(&str, &str)]| Answer {
            names: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: vec![columns.iter().map(|(_, value)| Some((*value).to_owned())).collect()],
        };
        let mysql = answer(&[
            ("Source_Host", "b"),
            ("Source_Port", "3306"),
            ("Source_Server_Id", "2"),
            ("Source_SSL_Allowed", "Yes"),
            ("Auto_Position", "1"),
            ("Replicate_Do_DB", "shop"),
            ("Replica_IO_Running", "Yes"),
            ("SQL_Delay", "60"),
        ]);
        let link = surveyed_link(&mysql, &mysql.rows[0]);
        assert_eq!((link.source_id(), link.encrypted, link.by_gtid), (Some("2"), Some(true), Some(true)));
        assert_eq!(link.filters, [("replicate_do_db".to_owned(), "shop".to_owned())]);
        assert!(link.state.io_running && !link.state.sql_running && link.delay_seconds == 60);
        let mariadb = answer(&[
            ("Master_Host", "b"),
            ("Master_Server_Id", "0"),
            ("Master_SSL_Allowed", "No"),
            ("Using_Gtid", "Slave_Pos"),
            ("Replicate_Ignore_Server_Ids", ""),
            ("Skip_Counter", "3"),
        ]);
        let link = surveyed_link(&mariadb, &mariadb.rows[0]);
        assert_eq!((link.source_id(), link.encrypted, link.by_gtid), (None, Some(false), Some(true)));
        assert_eq!((link.filters.len(), link.skip_counter), (0, 3));
    }
}

//! What a server's log says about whole tables: whether it holds a change of them since a position.
//!
//! MySQL and MariaDB list the events of their binary log (`SHOW BINLOG EVENTS`). An event of the row format names its
//! table; one of the statement format holds the statement, in which no table is looked for: whatever is neither the
//! beginning nor the end of a transaction, nor a row of evensum's ledger, may have changed anything. So where nothing locks
//! rows (other engines than InnoDB) or nothing names them (tables without a key), a node can still vouch that a table was
//! not written, as long as it was not.
//!
//! # Why it is exact
//!
//! The rows are read after all that stands before the position became visible, which is for who asks to see to: a transaction
//! is written to the log before it is committed in InnoDB, and may wait in between, for a disk or for a replica's answer. A
//! change that is not in what was read stands behind the position, in the log, as soon as it is visible. What was read, on the
//! other hand, is in the log already: InnoDB shows a transaction, and another engine lets go of its table lock, only after that. The latter
//! is so in the row format alone; a statement that changed such a table inside a transaction is written to the log when that ends.
//!
//! # What makes it say no
//!
//! No log; for other engines than InnoDB, one that is not of the row format; one in whose order the server does not commit (`binlog_order_commits=0`), or one that this user may not see (BINLOG MONITOR, REPLICATION CLIENT on MySQL); changes that came by
//! replication and are not in the log (`log_slave_updates=0`); a log that leaves databases out; a new log file; too many
//! events, or, where rows can be locked instead, more than a few: some servers let nobody commit while they list them; a foreign key by which the server changes the table along with another one, which no event says; and anything
//! in the log that this file does not know.

use super::fault::Fault;
use super::filter;
use super::link::Link;
use super::locks::locks_rows;
use super::read::position;
use crate::Position;
use crate::table::Table;

/// How many events are looked through.
const EVENTS_MOST: usize = 100_000;
/// How many bytes of the log, where rows can be locked instead.
const BYTES_MOST: u64 = 256 << 10;

/// Events that change no table by themselves.
const HARMLESS: [&str; 17] = [
    "Gtid",
    "Gtid_list",
    "Anonymous_Gtid",
    "Previous_gtids",
    "Xid",
    "Rotate",
    "Stop",
    "Format_desc",
    "Binlog_checkpoint",
    "Annotate_rows",
    "Rows_query",
    "Intvar",
    "RAND",
    "User var",
    "Start_encryption",
    "Heartbeat",
    "Heartbeat_V2",
];

/// For each table whether it is certain that it was not written since the position.
pub(super) async fn untouched(
    link: &mut Link,
    tables: &[&Table],
    since: &Position,
    ledger: &str,
) -> Result<Vec<bool>, Fault> {
    let nothing = || vec![false; tables.len()];
    let Some((file, offset)) = since.0.rsplit_once(':') else { return Ok(nothing()) };
    if !receives_through_log(link).await? {
        return Ok(nothing());
    }
    let filters = filter::of_log(link).await?;
    let now = position(link).await?;
    let Some((file_now, _)) = now.0.rsplit_once(':') else { return Ok(nothing()) };
    // whether transactions become visible in the order of the log; MariaDB knows no other way
    if file_now != file || !is_or_unknown(link, "binlog_order_commits", &["1", "ON"]).await? {
        return Ok(nothing());
    }
    let by_rows = is_or_unknown(link, "binlog_format", &["ROW"]).await?;
    let (mut lockable, mut logged_in_time) = (Vec::new(), Vec::new());
    for table in tables {
        let transactional = locks_rows(link, table).await?;
        lockable.push(!table.counted() && transactional);
        logged_in_time.push(transactional || by_rows);
    }
    if bytes_between(since, &now) > BYTES_MOST && !lockable.contains(&false) {
        return Ok(nothing());
    }
    let mut seen = Seen { tables: Vec::new(), anything: false };
    if now != *since {
        let sql =
            format!("SHOW BINLOG EVENTS IN '{}' FROM {offset} LIMIT {EVENTS_MOST}", file.replace('\'', "''"));
        let events = link.ask(&sql).await?;
        seen.anything |= events.rows.len() >= EVENTS_MOST;
        for row in &events.rows {
            let kind = events.of(row, &["Event_type"]).unwrap_or_default();
            seen.event(kind, events.of(row, &["Info"]).unwrap_or_default(), ledger);
        }
    }
    let mut untouched = Vec::new();
    for (table, in_time) in tables.iter().zip(logged_in_time) {
        let hidden = filters.hit(&table.database, &table.name).is_some();
        let still = in_time && !seen.anything && !hidden && !seen.names(table);
        untouched.push(still && (seen.tables.is_empty() || !follows_another(link, table).await?));
    }
    Ok(untouched)
}

/// What a piece of the log may have changed.
#[derive(Debug, Default)]
struct Seen {
    /// Tables, as the log writes them, in lower case.
    tables: Vec<String>,
    /// There is something of which it is not known what it changed.
    anything: bool,
}

impl Seen {
    fn event(&mut self, kind: &str, info: &str, ledger: &str) {
        match kind {
            "Table_map" => {
                let name = info.split_once('(').map(|(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
                let name = name.unwrap_or_default().to_lowercase();
                let own = super::ledger::TABLES
                    .iter()
                    .any(|(table, _)| name == format!("{}.{table}", ledger.to_lowercase()));
                if !own {
                    self.tables.push(name);
                }
            }
            "Query" => self.anything |= !harmless(info, ledger),
            // they stand behind the event that names their table
            rows if ["Write_rows", "Update_rows", "Delete_rows"]
                .iter()
                .any(|head| rows.starts_with(head)) => {}
            other => self.anything |= !HARMLESS.contains(&other),
        }
    }

    fn names(&self, table: &Table) -> bool {
        let name = format!("{}.{}", table.database, table.name).to_lowercase();
        self.tables.contains(&name)
    }
}

/// Whether a statement changes nothing but the ledger.
fn harmless(statement: &str, ledger: &str) -> bool {
    let rest = match statement.strip_prefix("use `") {
        Some(used) => used.split_once("`; ").map_or(used, |(_, rest)| rest),
        None => statement,
    };
    let inserts = super::ledger::TABLES.iter().any(|(table, _)| {
        rest.starts_with(&format!("INSERT INTO {}.`{table}` (", crate::dialect::identifier(ledger)))
    });
    inserts || matches!(rest, "BEGIN" | "COMMIT" | "ROLLBACK") || rest.starts_with("SAVEPOINT ")
}

/// How much was written to one log file between two positions.
fn bytes_between(since: &Position, now: &Position) -> u64 {
    let offset = |position: &Position| position.0.rsplit_once(':')?.1.parse::<u64>().ok();
    offset(now).zip(offset(since)).map_or(u64::MAX, |(now, since)| now.saturating_sub(since))
}

/// Whether a variable of the server has one of these values, or the server does not know it.
pub(super) async fn is_or_unknown(link: &mut Link, variable: &str, values: &[&str]) -> Result<bool, Fault> {
    match link.ask(&format!("SELECT @@global.{variable}")).await {
        Ok(answer) => {
            Ok(answer.rows.iter().flatten().flatten().all(|value| values.contains(&value.as_str())))
        }
        Err(fault) if fault.is_server() => Ok(true),
        Err(fault) => Err(fault),
    }
}

/// Whether what comes by replication is written to this server's own log, or nothing comes.
async fn receives_through_log(link: &mut Link) -> Result<bool, Fault> {
    for name in ["log_replica_updates", "log_slave_updates"] {
        if let Ok(answer) = link.ask(&format!("SELECT @@global.{name}")).await
            && answer.rows.iter().flatten().flatten().any(|on| on == "1" || on == "ON")
        {
            return Ok(true);
        }
    }
    for statement in ["SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        match link.ask(statement).await {
            Ok(answer) => return Ok(answer.rows.is_empty()),
            Err(fault) if fault.is_server() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(false)
}

/// Whether a foreign key lets the server change this table along with another one.
async fn follows_another(link: &mut Link, table: &Table) -> Result<bool, Fault> {
    let text = |name: &str| name.replace('\\', "\\\\").replace('\'', "''");
    let answer = link
        .ask(&format!(
            "SELECT 1 FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = '{}' AND TABLE_NAME = '{}' \
             AND (DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION') OR UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION'))",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    Ok(!answer.rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_may_have_changed_anything() {
        for (kind, info, tables, anything) in [
            ("Table_map", "table_id: 33 (shop.Orders)", vec!["shop.orders"], false),
            ("Table_map", "table_id: 33 (evensum.watermarks)", vec![], false),
            ("Table_map", "table_id: 33 (evensum.guests)", vec!["evensum.guests"], false),
            ("Write_rows_v1", "table_id: 33 flags: STMT_END_F", vec![], false),
            ("Gtid", "BEGIN GTID 1-1-5", vec![], false),
            ("Query", "BEGIN", vec![], false),
            ("Query", "use `x`; INSERT INTO `evensum`.`watermarks` (run) VALUES (1)", vec![], false),
            ("Query", "INSERT INTO `evensum`.`guests` (run) VALUES (1)", vec![], true),
            ("Query", "use `x`; UPDATE t SET a = 1", vec![], true),
            ("Query_compressed", "BEGIN", vec![], true),
            ("Transaction_payload", "compression='ZSTD'", vec![], true),
            ("XA_prepare", "XA PREPARE X'', X'', 1", vec![], true),
        ] {
            let mut seen = Seen::default();
            seen.event(kind, info, "evensum");
            assert_eq!(
                (seen.tables, seen.anything),
                (tables.into_iter().map(str::to_owned).collect(), anything),
                "{info}"
            );
        }
    }
}

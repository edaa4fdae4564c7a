//! The ledger in the form of `percona.checksums`, as a view, for monitoring that was written for pt-table-checksum.
//!
//! One row per chunk of the last run of each table. All monitoring asks the same of it: does a count or a checksum differ
//! between `this` and `master`? Here `this` and `master` are two contents of the chunk that nodes of the run hold, the same one twice
//! where all agree; so each node says of a chunk whether it is the same on all nodes. Newer versions of the tool call the second
//! `source`; both names are there. A chunk that stayed unsettled has no row.
//!
//! `ts` is in the time of the server, as there. `chunk_time` and `chunk_index` are not kept, and NULL. Which of the two contents a
//! node holds itself is not said: a view cannot ask its server for its name.
//!
//! Invariant: what is there already, and is no view of this ledger, is left alone.

use super::LedgerConnection;
use super::ledger::text;
use crate::dialect::identifier;
use crate::error::{Error, Result};

impl LedgerConnection {
    /// Creates the view through this node's log, and what it needs; unless it is there.
    pub async fn create_view(&mut self, database: &str, view: &str) -> Result<()> {
        use crate::ledger::Ledger;
        let what = format!("to create the view {database}.{view}");
        self.prepare().await?;
        let checksums = self.table("checksums");
        let sql = format!(
            "SELECT t.TABLE_TYPE, v.VIEW_DEFINITION FROM information_schema.TABLES t LEFT JOIN information_schema.VIEWS v \
             ON v.TABLE_SCHEMA = t.TABLE_SCHEMA AND v.TABLE_NAME = t.TABLE_NAME \
             WHERE t.TABLE_SCHEMA = {} AND t.TABLE_NAME = {}",
            text(database),
            text(view)
        );
        let there = self.ask(&sql, &what).await?;
        if let Some(row) = there.rows.into_iter().next() {
            let definition = row.into_iter().nth(1).flatten().unwrap_or_default();
            return match definition.contains(&checksums) {
                true => Ok(()),
                false => Err(Error::Refused {
                    node: self.name().to_owned(),
                    what,
                    reason: "something of that name is there already, which is no view of this ledger".into(),
                    grant: None,
                }),
            };
        }
        for sql in [
            format!("CREATE DATABASE IF NOT EXISTS {}", identifier(database)),
            format!(
                "CREATE VIEW {}.{} AS {}",
                identifier(database),
                identifier(view),
                definition(&checksums)
            ),
        ] {
            self.run(&sql, &what).await?;
        }
        Ok(())
    }
}

/// Where the run's name begins behind a moment with microseconds.
const RUN_FROM: usize = "2026-01-01 00:00:00.000000".len() + 1;

/// The view over a ledger's checksums. A content is its hash of 64 digits with its row count behind it, so that the least and
/// the greatest of a chunk's contents keep the two together.
fn definition(checksums: &str) -> String {
    let content = "CONCAT(c.hash, c.row_count)";
    let crc = |which: &str| format!("CAST(LEFT({which}({content}), 40) AS CHAR(40))");
    let count = |which: &str| format!("CAST(SUBSTRING({which}({content}), 65) AS UNSIGNED)");
    let (this, other) = ([crc("MIN"), count("MIN")], [crc("MAX"), count("MAX")]);
    format!(
        "SELECT c.db_name AS db, c.table_name AS tbl, c.chunk + 1 AS chunk, NULL + 0e0 AS chunk_time, \
         CAST(NULL AS CHAR(200)) AS chunk_index, MIN(c.lower_key) AS lower_boundary, MIN(c.upper_key) AS upper_boundary, \
         {} AS this_crc, {} AS this_cnt, {} AS master_crc, {} AS master_cnt, {} AS source_crc, {} AS source_cnt, \
         CAST(MAX(c.pushed_at) + INTERVAL TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) SECOND AS DATETIME) AS ts \
         FROM {checksums} c JOIN \
         (SELECT db_name, table_name, MAX(CONCAT(pushed_at, run)) AS latest FROM {checksums} GROUP BY db_name, table_name) l \
         ON l.db_name = c.db_name AND l.table_name = c.table_name AND c.run = SUBSTRING(l.latest, {RUN_FROM}) \
         GROUP BY c.run, c.db_name, c.table_name, c.chunk",
        this[0], this[1], other[0], other[1], other[0], other[1]
    )
}

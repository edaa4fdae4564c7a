//! Replication filters of a server, as it tells them. A user who may not see the state of replication sees no filters.

use super::fault::Fault;
use super::link::{Answer, Link};
use crate::filter::{Filters, LinkFilter};

fn list(answer: &Answer, row: &[Option<String>], name: &str) -> Vec<String> {
    let text = answer.of(row, &[name]).unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// What the server keeps out of its log.
pub(super) async fn of_log(link: &mut Link) -> Result<Filters, Fault> {
    let mut filters = Filters::default();
    for statement in ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"] {
        match link.ask(statement).await {
            Ok(answer) => {
                for row in &answer.rows {
                    filters.log_do_db = list(&answer, row, "Binlog_Do_DB");
                    filters.log_ignore_db = list(&answer, row, "Binlog_Ignore_DB");
                }
                break;
            }
            Err(fault) if fault.is_server() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(filters)
}

/// What it keeps out of its log, and what it does not apply.
pub(super) async fn of_server(link: &mut Link) -> Result<Filters, Fault> {
    let mut filters = of_log(link).await?;
    for statement in ["SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        match link.ask(statement).await {
            Ok(answer) => {
                let of = |row: &Vec<Option<String>>| LinkFilter {
                    do_db: list(&answer, row, "Replicate_Do_DB"),
                    ignore_db: list(&answer, row, "Replicate_Ignore_DB"),
                    do_table: list(&answer, row, "Replicate_Do_Table"),
                    ignore_table: list(&answer, row, "Replicate_Ignore_Table"),
                    wild_do_table: list(&answer, row, "Replicate_Wild_Do_Table"),
                    wild_ignore_table: list(&answer, row, "Replicate_Wild_Ignore_Table"),
                };
                filters.links = answer.rows.iter().map(of).collect();
                return Ok(filters);
            }
            Err(fault) if fault.is_server() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(filters)
}

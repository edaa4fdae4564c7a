//! The links that feed a node, and how far each has come in the log of its source.
//!
//! Names of MySQL 8 and later come first, then those that MariaDB and older servers have for the same. Invariant: a link that cannot be
//! placed (another file's name, another server) has not come as far as any mark.

use super::super::fault::{Fault, SYNTAX};
use super::super::link::{Answer, Link};
use super::Mark;

/// A link by which a node is fed, and how far it has come in the log of its source.
pub(super) struct Feed {
    pub(super) source_id: u32,
    pub(super) file: String,
    pub(super) offset: u64,
}

impl Feed {
    /// Whether the link has come as far as the mark in the log where the mark stands.
    pub(super) fn reaches(&self, mark: &Mark) -> bool {
        let Some((file, offset)) = &mark.log else { return false };
        let split = |name: &str| {
            let (stem, number) = name.rsplit_once('.')?;
            Some((stem.to_owned(), number.parse::<u64>().ok()?))
        };
        match (split(&self.file), split(file)) {
            (Some((here, at)), Some((there, wanted)))
                if here == there && self.source_id == mark.server_id =>
            {
                (at, self.offset) >= (wanted, *offset)
            }
            _ => false,
        }
    }
}

/// The links of this node; none if this user may not look.
pub(super) async fn feeds(link: &mut Link) -> Result<Vec<Feed>, Fault> {
    for statement in ["SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        match link.ask(statement).await {
            Ok(answer) => return Ok(answer.rows.iter().map(|row| feed(&answer, row)).collect()),
            Err(fault) if matches!(fault.number(), Some(SYNTAX | 1235)) => {}
            Err(fault) if fault.is_server() => return Ok(Vec::new()),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Vec::new())
}

fn feed(answer: &Answer, row: &[Option<String>]) -> Feed {
    let of = |names: &[&str]| answer.of(row, names).unwrap_or_default();
    Feed {
        source_id: of(&["Source_Server_Id", "Master_Server_Id"]).parse().unwrap_or(0),
        file: of(&["Relay_Source_Log_File", "Relay_Master_Log_File"]).to_owned(),
        offset: of(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]).parse().unwrap_or(0),
    }
}

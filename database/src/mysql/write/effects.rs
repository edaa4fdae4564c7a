//! What a server would change by itself with an edit: triggers and foreign keys that cascade.
//!
//! Neither is in the plan, and with `sql_log_bin=0` neither would reach another node: each would be a new difference.
//! So an edit that would set one off is refused, with the name of what stands in the way. A deletion that only could,
//! because other rows may follow it by a foreign key, is preceded by the question whether there are such rows.
//!
//! Not here: foreign keys that only refuse; the server does that itself.

use crate::dialect::{identifier, literal};
use crate::edit::Edit;
use crate::mysql::fault::Fault;
use crate::mysql::link::Link;
use crate::table::{Column, Table};

/// The triggers of a table, and the foreign keys of others that follow it.
#[derive(Debug, Default)]
pub(super) struct SideEffects {
    /// Event (`INSERT`, `UPDATE`, `DELETE`) and name.
    triggers: Vec<(String, String)>,
    followers: Vec<Follower>,
}

/// One column of a foreign key of another table.
#[derive(Debug)]
struct Follower {
    name: String,
    database: String,
    child: String,
    on_delete: bool,
    on_update: bool,
    /// The column of the child, and the one of the table itself.
    columns: (String, String),
}

/// A question to ask before an edit: if it has a row as its answer, the edit is refused for this reason.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) sql: String,
    pub(super) refusal: String,
}

impl SideEffects {
    /// Asks the server.
    pub(super) async fn of(link: &mut Link, table: &Table) -> Result<SideEffects, Fault> {
        let text = |name: &str| name.replace('\\', "\\\\").replace('\'', "''");
        let (database, name) = (text(&table.database), text(&table.name));
        let triggers = link
            .ask(&format!(
                "SELECT EVENT_MANIPULATION, TRIGGER_NAME FROM information_schema.TRIGGERS \
                 WHERE EVENT_OBJECT_SCHEMA = '{database}' AND EVENT_OBJECT_TABLE = '{name}'"
            ))
            .await?;
        let followers = link
            .ask(&format!(
                "SELECT r.CONSTRAINT_NAME, r.CONSTRAINT_SCHEMA, r.TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE, \
                 k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME \
                 FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k \
                 ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME \
                 AND k.TABLE_NAME = r.TABLE_NAME \
                 WHERE r.UNIQUE_CONSTRAINT_SCHEMA = '{database}' AND r.REFERENCED_TABLE_NAME = '{name}'"
            ))
            .await?;
        let follows = |rule: &str| !matches!(rule, "RESTRICT" | "NO ACTION");
        Ok(SideEffects {
            triggers: triggers
                .rows
                .into_iter()
                .filter_map(|row| match <[Option<String>; 2]>::try_from(row) {
                    Ok([Some(event), Some(name)]) => Some((event, name)),
                    _ => None,
                })
                .collect(),
            followers: followers
                .rows
                .into_iter()
                .filter_map(|row| match <[Option<String>; 7]>::try_from(row) {
                    Ok(
                        [
                            Some(name),
                            Some(database),
                            Some(child),
                            Some(delete),
                            Some(update),
                            Some(own),
                            Some(column),
                        ],
                    ) => {
                        let (on_delete, on_update) = (follows(&delete), follows(&update));
                        Some(Follower { name, database, child, on_delete, on_update, columns: (own, column) })
                    }
                    _ => None,
                })
                .collect(),
        })
    }

    /// Why this edit cannot be made without changing more than planned; none if it can.
    pub(super) fn refusal(&self, edit: &Edit) -> Option<String> {
        let event = match (&edit.expected, &edit.wanted) {
            (Some(_), None) => "DELETE",
            (Some(_), Some(_)) => "UPDATE",
            (None, Some(_)) => "INSERT",
            (None, None) => return None,
        };
        if let Some((_, name)) = self.triggers.iter().find(|(fires, _)| fires == event) {
            return Some(format!("trigger {name} would fire and change what is not in the plan"));
        }
        let mut followers = self.followers.iter();
        let follower = followers
            .find(|follower| event == "UPDATE" && follower.on_update && changes(edit, &follower.columns.1))?;
        Some(follower.refusal())
    }

    /// What must be asked before a deletion: whether rows of other tables would follow it. Asked in the edit's
    /// transaction and with a lock, so that none can come between.
    pub(super) fn checks(&self, edit: &Edit) -> Vec<Check> {
        let (Some(row), None) = (&edit.expected, &edit.wanted) else { return Vec::new() };
        let values = row.values();
        let mut checks: Vec<(&Follower, Vec<String>)> = Vec::new();
        for follower in self.followers.iter().filter(|follower| follower.on_delete) {
            let own = |column: &Column| column.name.eq_ignore_ascii_case(&follower.columns.1);
            let Some(place) = edit.table.columns.iter().position(own) else { continue };
            let Some(value) = values.get(place) else { continue };
            let condition = format!(
                "{} = {}",
                identifier(&follower.columns.0),
                literal(value, &edit.table.columns[place])
            );
            let key = |known: &Follower| {
                (&known.database, &known.child, &known.name)
                    == (&follower.database, &follower.child, &follower.name)
            };
            match checks.iter_mut().find(|(known, _)| key(known)) {
                Some((_, conditions)) => conditions.push(condition),
                None => checks.push((follower, vec![condition])),
            }
        }
        let each = checks.into_iter().map(|(follower, conditions)| Check {
            sql: format!(
                "SELECT 1 FROM {}.{} WHERE {} LIMIT 1 FOR UPDATE",
                identifier(&follower.database),
                identifier(&follower.child),
                conditions.join(" AND ")
            ),
            refusal: follower.refusal(),
        });
        each.collect()
    }
}

impl Follower {
    fn refusal(&self) -> String {
        format!("foreign key {} would change rows of {}, which are not in the plan", self.name, self.child)
    }
}

/// Whether an update changes the value of a column.
fn changes(edit: &Edit, column: &str) -> bool {
    let (Some(from), Some(to)) = (&edit.expected, &edit.wanted) else { return false };
    let values = from.values().into_iter().zip(to.values());
    let mut columns = edit.table.columns.iter().zip(values);
    columns.any(|(known, (from, to))| known.name.eq_ignore_ascii_case(column) && from != to)
}

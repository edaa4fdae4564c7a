//! What a server would change by itself with an edit: triggers and foreign keys that cascade.
//!
//! Neither is in the plan, and with `sql_log_bin=0` neither would reach another node: each would be a new difference.
//! So an edit that could set one off is refused, with the name of what stands in the way.
//!
//! Not here: foreign keys that only refuse; the server does that itself.

use crate::edit::Edit;
use crate::mysql::fault::Fault;
use crate::mysql::link::Link;
use crate::table::Table;

/// The triggers of a table, and the foreign keys of others that follow it.
#[derive(Debug, Default)]
pub(super) struct SideEffects {
    /// Event (`INSERT`, `UPDATE`, `DELETE`) and name.
    triggers: Vec<(String, String)>,
    /// Name, child table, what follows a deletion, what follows an update, referenced column.
    followers: Vec<Follower>,
}

#[derive(Debug)]
struct Follower {
    name: String,
    child: String,
    on_delete: bool,
    on_update: bool,
    column: String,
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
                "SELECT r.CONSTRAINT_NAME, r.TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE, k.REFERENCED_COLUMN_NAME \
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
                .filter_map(|row| match <[Option<String>; 5]>::try_from(row) {
                    Ok([Some(name), Some(child), Some(delete), Some(update), Some(column)]) => {
                        let (on_delete, on_update) = (follows(&delete), follows(&update));
                        Some(Follower { name, child, on_delete, on_update, column })
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
        let follower = self.followers.iter().find(|follower| match event {
            "DELETE" => follower.on_delete,
            "UPDATE" => follower.on_update && changes(edit, &follower.column),
            _ => false,
        })?;
        Some(format!(
            "foreign key {} would change rows of {}, which are not in the plan",
            follower.name, follower.child
        ))
    }
}

/// Whether an update changes the value of a column.
fn changes(edit: &Edit, column: &str) -> bool {
    let (Some(from), Some(to)) = (&edit.expected, &edit.wanted) else { return false };
    let values = from.values().into_iter().zip(to.values());
    let mut columns = edit.table.columns.iter().zip(values);
    columns.any(|(known, (from, to))| known.name.eq_ignore_ascii_case(column) && from != to)
}

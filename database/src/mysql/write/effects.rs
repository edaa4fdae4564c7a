//! What a server would change by itself with an edit: triggers, foreign keys that cascade, versions of rows.
//!
//! None is in the plan, and with `sql_log_bin=0` none would reach another node: each would be a new difference.
//! So an edit that would set one off is refused, with the name of what stands in the way. A deletion that only could,
//! because other rows may follow it by a foreign key, is preceded by the question whether there are such rows. Where
//! this user might not be shown what there is ([`crate::mysql::grants`]), an edit that could set it off is refused too, with the
//! right that is missing.
//!
//! Not here: foreign keys that only refuse; the server does that itself.

use crate::dialect::{identifier, literal};
use crate::edit::Edit;
use crate::mysql::fault::Fault;
use crate::mysql::grants::Grants;
use crate::mysql::link::Link;
use crate::mysql::rights;
use crate::table::{Column, Table};

/// The triggers of a table, and the foreign keys of others that follow it.
#[derive(Debug, Default)]
pub(super) struct SideEffects {
    /// Event (`INSERT`, `UPDATE`, `DELETE`) and name.
    triggers: Vec<(String, String)>,
    /// If there could be triggers that this user is not shown: the line that would show them.
    hidden_triggers: Option<String>,
    /// Whether the server keeps what a row was before (MariaDB's system versioning).
    versions: bool,
    followers: Vec<Follower>,
    /// If there could be followers that this user is not shown: the columns to which a foreign key can refer, and the line
    /// that would show them.
    unseen: Option<(Vec<String>, String)>,
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
    /// The database that it reads.
    pub(super) database: String,
    pub(super) refusal: String,
}

impl SideEffects {
    /// Asks the server.
    pub(super) async fn of(link: &mut Link, table: &Table) -> Result<SideEffects, Fault> {
        let answer = link.ask("SHOW GRANTS").await?;
        let grants = Grants::new(answer.rows.iter().flatten().flatten().map(String::as_str));
        let followers = followers(link, table).await?;
        let unseen = match all_seen(link, table, &grants, &followers).await? {
            true => None,
            false => Some((indexed(link, table).await?, rights::line_on("REFERENCES", None, link.account()))),
        };
        Ok(SideEffects {
            versions: keeps_versions(link, table).await?,
            triggers: triggers(link, table).await?,
            hidden_triggers: (!grants.show_triggers(table))
                .then(|| rights::line_on("TRIGGER", Some(&table.database), link.account())),
            followers,
            unseen,
        })
    }

    /// Whether nothing at all happens along with an edit, whatever it is, but for foreign keys.
    pub(super) fn none(&self) -> bool {
        self.triggers.is_empty() && self.hidden_triggers.is_none() && !self.versions
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
        if let Some(line) = &self.hidden_triggers {
            return Some(format!("this user does not see triggers of {}; to allow it: {line}", edit.table));
        }
        if self.versions && event != "INSERT" {
            return Some(format!("{} keeps versions of its rows, and would keep one more", edit.table));
        }
        if let Some((indexed, line)) = &self.unseen
            && (event == "DELETE" || indexed.iter().any(|column| changes(edit, column)))
        {
            return Some(format!(
                "foreign keys of tables that this user does not see may follow {}; to allow it: {line} (or PROCESS, if \
                 there are none)",
                edit.table
            ));
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
            database: follower.database.clone(),
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

fn text(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"))
}

async fn keeps_versions(link: &mut Link, table: &Table) -> Result<bool, Fault> {
    let answer = link
        .ask(&format!(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
             AND TABLE_TYPE <> 'BASE TABLE'",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    Ok(!answer.rows.is_empty())
}

async fn triggers(link: &mut Link, table: &Table) -> Result<Vec<(String, String)>, Fault> {
    let triggers = link
        .ask(&format!(
            "SELECT EVENT_MANIPULATION, TRIGGER_NAME FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE = {}",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    let named = triggers.rows.into_iter().filter_map(|row| match <[Option<String>; 2]>::try_from(row) {
        Ok([Some(event), Some(name)]) => Some((event, name)),
        _ => None,
    });
    Ok(named.collect())
}

/// The columns of foreign keys that refer to the table, as far as this user is shown them.
async fn followers(link: &mut Link, table: &Table) -> Result<Vec<Follower>, Fault> {
    let answer = link
        .ask(&format!(
            "SELECT r.CONSTRAINT_NAME, r.CONSTRAINT_SCHEMA, r.TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE, \
             k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME \
             FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k \
             ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME \
             AND k.TABLE_NAME = r.TABLE_NAME \
             WHERE r.UNIQUE_CONSTRAINT_SCHEMA = {} AND r.REFERENCED_TABLE_NAME = {}",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    let follows = |rule: &str| !matches!(rule, "RESTRICT" | "NO ACTION");
    let columns = answer.rows.into_iter().filter_map(|row| {
        let row: Vec<String> = row.into_iter().collect::<Option<_>>()?;
        let [name, database, child, delete, update, own, column] = <[String; 7]>::try_from(row).ok()?;
        let (on_delete, on_update) = (follows(&delete), follows(&update));
        Some(Follower { name, database, child, on_delete, on_update, columns: (own, column) })
    });
    Ok(columns.collect())
}

/// Whether `seen` are provably all columns of foreign keys that refer to the table.
async fn all_seen(link: &mut Link, table: &Table, grants: &Grants, seen: &[Follower]) -> Result<bool, Fault> {
    if grants.show_all_foreign_keys() {
        return Ok(true);
    }
    // InnoDB's own list writes names as file names, so only such are looked for as are written alike
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !grants.show_innodb() || !plain(&table.database) || !plain(&table.name) {
        return Ok(false);
    }
    // MariaDB's name, MySQL's name
    for list in ["INNODB_SYS_FOREIGN", "INNODB_FOREIGN"] {
        let sql = format!(
            "SELECT N_COLS FROM information_schema.{list} WHERE LOWER(REF_NAME) = LOWER('{}/{}')",
            table.database, table.name
        );
        match link.ask(&sql).await {
            Ok(answer) => {
                let mut counts = answer.rows.iter().flatten();
                let count =
                    counts.try_fold(0, |sum, count| Some(sum + count.as_deref()?.parse::<usize>().ok()?));
                return Ok(count == Some(seen.len()));
            }
            Err(fault) if fault.is_server() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(false)
}

/// The columns in any index of the table.
async fn indexed(link: &mut Link, table: &Table) -> Result<Vec<String>, Fault> {
    let answer = link
        .ask(&format!(
            "SELECT DISTINCT COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    Ok(answer.rows.into_iter().flatten().flatten().collect())
}

/// Whether an update changes the value of a column.
fn changes(edit: &Edit, column: &str) -> bool {
    let (Some(from), Some(to)) = (&edit.expected, &edit.wanted) else { return false };
    let values = from.values().into_iter().zip(to.values());
    let mut columns = edit.table.columns.iter().zip(values);
    columns.any(|(known, (from, to))| known.name.eq_ignore_ascii_case(column) && from != to)
}

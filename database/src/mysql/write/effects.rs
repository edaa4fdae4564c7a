//! What a server would change by itself with an edit: triggers, foreign keys that cascade, versions of rows.
//!
//! None is in the plan, and with `sql_log_bin=0` none would reach another node: each would be a new difference.
//! So an edit that would set one off is refused, with the name of what stands in the way, but for triggers that may fire. A
//! deletion that only could, because other rows may follow it by a foreign key, is preceded by the question whether there are such rows. Where
//! this user might not be shown what there is ([`crate::mysql::grants`]), an edit that could set it off is refused too, with the
//! right that is missing.
//!
//! Triggers may be allowed to fire ([`Triggers::Fire`]). Then an edit that is called off is not taken back by another statement, which
//! would fire them once more, but rolled back; what they wrote to tables without transactions stays.
//!
//! A table may have a key that the server does not show (MySQL's `my_row_id`). Changes that arrive by replication find their rows by
//! it, and which value it has for a row on another node is not known here: an insertion would give the row a key of its own, and what
//! arrives for the row would not find it (1032). Its rows are not mended at all.
//!
//! Not here: foreign keys that only refuse; the server does that itself.

use super::edits::Around;
use crate::dialect::{self, identifier, literal};
use crate::edit::Edit;
use crate::mysql::fault::Fault;
use crate::mysql::grants::Grants;
use crate::mysql::link::Link;
use crate::mysql::{Triggers, rights};
use crate::row::Row;
use crate::table::{Column, Table};
use crate::value::Value;

/// The triggers of a table, and the foreign keys of others that follow it.
#[derive(Debug, Default)]
pub(super) struct SideEffects {
    /// Event (`INSERT`, `UPDATE`, `DELETE`) and name.
    triggers: Vec<(String, String)>,
    /// What becomes of an edit that would fire one.
    firing: Triggers,
    /// Whether rows have a key that is not among the columns.
    hidden_key: bool,
    /// If there could be triggers that this user is not shown: the line that would show them.
    hidden_triggers: Option<String>,
    /// Whether the server keeps what a row was before (MariaDB's system versioning).
    versions: bool,
    followers: Vec<Follower>,
    /// The table's own foreign keys.
    own: Vec<Own>,
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

/// One column of a foreign key of the table itself.
#[derive(Debug)]
struct Own {
    name: String,
    /// The table that is referred to.
    database: String,
    parent: String,
    /// The column of the table, and the one that is referred to.
    columns: (String, String),
}

/// A question about an edit: if it has a row as its answer, or has none where it must, the edit is refused for this reason.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) sql: String,
    /// Whether there must be a row, and not none.
    pub(super) must: bool,
    /// The database that it reads.
    pub(super) database: String,
    pub(super) refusal: String,
}

impl SideEffects {
    /// Asks the server.
    pub(super) async fn of(link: &mut Link, table: &Table, firing: Triggers) -> Result<SideEffects, Fault> {
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
            firing,
            hidden_key: has_hidden_key(link, table).await?,
            hidden_triggers: (!grants.show_triggers(table))
                .then(|| rights::line_on("TRIGGER", Some(&table.database), link.account())),
            own: own(link, table).await?,
            followers,
            unseen,
        })
    }

    /// Whether nothing at all happens along with an edit, whatever it is, but for foreign keys, and all of these are known.
    pub(super) fn none(&self) -> bool {
        let triggers = !self.triggers.is_empty() || self.hidden_triggers.is_some();
        !triggers && !self.hidden_key && !self.versions && self.unseen.is_none()
    }

    /// The trigger that an edit would fire, or that this user might not be shown.
    fn fires(&self, edit: &Edit) -> Option<String> {
        let event = event(edit)?;
        if let Some((_, name)) = self.triggers.iter().find(|(fires, _)| fires == event) {
            return Some(match self.firing {
                Triggers::Skip => format!("trigger {name} would fire, and this server cannot pass it over"),
                _ => format!("trigger {name} would fire and change what is not in the plan"),
            });
        }
        let line = self.hidden_triggers.as_ref()?;
        Some(format!("this user does not see triggers of {}; to allow it: {line}", edit.table))
    }

    /// Whether an edit that is called off can be taken back by another one, which changes nothing else either.
    pub(super) fn can_be_taken_back(&self, edit: &Edit, back: &Edit) -> bool {
        self.fires(edit).is_none() && self.fires(back).is_none() && self.refusal(back).is_none()
    }

    /// Why this edit cannot be made without changing more than planned; none if it can.
    pub(super) fn refusal(&self, edit: &Edit) -> Option<String> {
        let event = event(edit)?;
        if self.hidden_key {
            return Some(format!(
                "{} has a key that is hidden ({HIDDEN_KEY}), whose values on other nodes are not known here; give it one of its own",
                edit.table
            ));
        }
        if let Some(reason) = self.fires(edit).filter(|_| self.firing != Triggers::Fire) {
            return Some(reason);
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
        // the row that is deleted is locked by its key; by another unique value somebody could refer to it after it was asked who does
        let key: Vec<&str> = edit.table.key_columns().map(|column| &*column.name).collect();
        let apart = |name: &str| !key.iter().any(|own| own.eq_ignore_ascii_case(name));
        let elsewhere =
            self.followers.iter().find(|follower| follower.on_delete && apart(&follower.columns.1));
        if let Some(follower) = elsewhere.filter(|_| event == "DELETE") {
            let reason = "which refers to it by another column than its key";
            return Some(format!(
                "foreign key {} could change rows of {}, {reason}",
                follower.name, follower.child
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
            match checks.iter_mut().find(|(known, _)| known.key() == follower.key()) {
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
            must: false,
            database: follower.database.clone(),
            refusal: follower.refusal(),
        });
        each.collect()
    }

    /// What surrounds the row of an edit; `hash` is that of a row without a key, which is never deleted to be inserted again.
    pub(super) fn around(&self, edit: &Edit, hash: Option<String>) -> Around {
        let (checks, afterwards) = (self.checks(edit), self.afterwards(edit));
        let fires = self.fires(edit).is_some();
        Around { checks, alone: self.none() && !edit.table.counted(), fires, afterwards, hash }
    }

    /// What must be asked after an edit that was made with foreign keys off: whether they hold all the same, those of other
    /// tables and the table's own.
    pub(super) fn afterwards(&self, edit: &Edit) -> Vec<Check> {
        let value = |row: &Row, name: &str| {
            let place = edit.table.columns.iter().position(|own| own.name.eq_ignore_ascii_case(name))?;
            let value = row.values().into_iter().nth(place)?;
            // NULL refers to nothing, and nothing refers to it
            (value != Value::Null).then(|| literal(&value, &edit.table.columns[place]))
        };
        let equal = |columns: &[(&str, &str)], row: &Row| -> Option<String> {
            let each = columns
                .iter()
                .map(|(own, other)| Some(format!("{} = {}", identifier(other), value(row, own)?)));
            Some(each.collect::<Option<Vec<String>>>()?.join(" AND "))
        };
        let mut checks = Vec::new();
        for columns in self.followers.chunk_by(|a, b| a.key() == b.key()) {
            let (Some(row), [first, ..]) = (&edit.expected, columns) else { continue };
            let theirs: Vec<(&str, &str)> =
                columns.iter().map(|of| (&*of.columns.1, &*of.columns.0)).collect();
            let ours: Vec<(&str, &str)> = columns.iter().map(|of| (&*of.columns.1, &*of.columns.1)).collect();
            let (Some(theirs), Some(ours)) = (equal(&theirs, row), equal(&ours, row)) else { continue };
            let (database, child) = (identifier(&first.database), identifier(&first.child));
            let table = dialect::table_name(&edit.table);
            checks.push(Check {
                sql: format!(
                    "SELECT 1 FROM {database}.{child} WHERE {theirs} AND NOT EXISTS (SELECT 1 FROM {table} WHERE {ours}) LIMIT 1 \
                     FOR UPDATE"
                ),
                must: false,
                database: first.database.clone(),
                refusal: format!("rows of {} would refer to it by foreign key {} in vain", first.child, first.name),
            });
        }
        for columns in self.own.chunk_by(|a, b| a.name == b.name) {
            let (Some(row), [first, ..]) = (&edit.wanted, columns) else { continue };
            let pairs: Vec<(&str, &str)> =
                columns.iter().map(|of| (&*of.columns.0, &*of.columns.1)).collect();
            let Some(parents) = equal(&pairs, row) else { continue };
            let (database, parent) = (identifier(&first.database), identifier(&first.parent));
            checks.push(Check {
                sql: format!("SELECT 1 FROM {database}.{parent} WHERE {parents} LIMIT 1 LOCK IN SHARE MODE"),
                must: true,
                database: first.database.clone(),
                refusal: format!(
                    "it would refer to no row of {} by foreign key {}",
                    first.parent, first.name
                ),
            });
        }
        checks
    }
}

/// What a trigger on an edit would be for.
fn event(edit: &Edit) -> Option<&'static str> {
    match (&edit.expected, &edit.wanted) {
        (Some(_), None) => Some("DELETE"),
        (Some(_), Some(_)) => Some("UPDATE"),
        (None, Some(_)) => Some("INSERT"),
        (None, None) => None,
    }
}

impl Follower {
    /// Which foreign key it is a column of.
    fn key(&self) -> (&str, &str, &str) {
        (&self.database, &self.child, &self.name)
    }

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

/// The name of the key that MySQL gives a table without one, if it was told to.
const HIDDEN_KEY: &str = "my_row_id";
/// Unknown system variable.
const UNKNOWN_VARIABLE: u16 = 1193;

async fn has_hidden_key(link: &mut Link, table: &Table) -> Result<bool, Fault> {
    // a table has one only if it was made without a primary key, whatever unique keys it has
    if &*table.key_name == "PRIMARY" {
        return Ok(false);
    }
    match link.run("SET SESSION show_gipk_in_create_table_and_information_schema=ON").await {
        Ok(_) => {}
        // a server that does not know such keys
        Err(Fault::Server { number: UNKNOWN_VARIABLE, .. }) => return Ok(false),
        Err(fault) => return Err(fault),
    }
    let answer = link
        .ask(&format!(
            "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
             AND COLUMN_NAME = '{HIDDEN_KEY}' AND EXTRA LIKE '%INVISIBLE%'",
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
             WHERE r.UNIQUE_CONSTRAINT_SCHEMA = {} AND r.REFERENCED_TABLE_NAME = {} \
             ORDER BY r.CONSTRAINT_SCHEMA, r.TABLE_NAME, r.CONSTRAINT_NAME, k.ORDINAL_POSITION",
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

/// The columns of the table's own foreign keys.
async fn own(link: &mut Link, table: &Table) -> Result<Vec<Own>, Fault> {
    let answer = link
        .ask(&format!(
            "SELECT CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, COLUMN_NAME, REFERENCED_COLUMN_NAME \
             FROM information_schema.KEY_COLUMN_USAGE \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND REFERENCED_TABLE_NAME IS NOT NULL \
             ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    let columns = answer.rows.into_iter().filter_map(|row| {
        let row: Vec<String> = row.into_iter().collect::<Option<_>>()?;
        let [name, database, parent, column, other] = <[String; 5]>::try_from(row).ok()?;
        Some(Own { name, database, parent, columns: (column, other) })
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

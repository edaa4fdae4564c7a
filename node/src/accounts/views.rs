//! What the accounts look like: SHOW GRANTS, SHOW CREATE USER, and the tables `mysql.user`, `mysql.db` and
//! `mysql.tables_priv`, which can be read and not written.
//!
//! The kept form of a password is shown to those alone who may make accounts: who holds it can try passwords at leisure.

use super::privileges::{Level, Privilege, Privileges};
use super::rights::Rights;
use super::statements::{Object, Options};
use super::{Account, Name, Requirement, Roster, literal, named};
use crate::SqlError;
use crate::results::ColumnMeta;
use crate::session::Answer;
use crate::sql::information_schema::View;
use crate::sql::types::Kind;
use rusqlite::types::Value as Stored;
use serde_json::{Value as Json, json};

const T: Kind = Kind::TEXT;

/// The columns of `mysql.user` that say Y or N, with the privilege that each stands for.
const USER_COLUMNS: &[(&str, Privilege)] = &[
    ("Select_priv", Privilege::Select),
    ("Insert_priv", Privilege::Insert),
    ("Update_priv", Privilege::Update),
    ("Delete_priv", Privilege::Delete),
    ("Create_priv", Privilege::Create),
    ("Drop_priv", Privilege::Drop),
    ("Reload_priv", Privilege::Reload),
    ("Shutdown_priv", Privilege::Shutdown),
    ("Process_priv", Privilege::Process),
    ("File_priv", Privilege::File),
    ("Grant_priv", Privilege::GrantOption),
    ("References_priv", Privilege::References),
    ("Index_priv", Privilege::Index),
    ("Alter_priv", Privilege::Alter),
    ("Show_db_priv", Privilege::ShowDatabases),
    ("Super_priv", Privilege::Super),
    ("Create_tmp_table_priv", Privilege::CreateTemporaryTables),
    ("Lock_tables_priv", Privilege::LockTables),
    ("Execute_priv", Privilege::Execute),
    ("Repl_slave_priv", Privilege::ReplicationSlave),
    ("Repl_client_priv", Privilege::ReplicationClient),
    ("Create_view_priv", Privilege::CreateView),
    ("Show_view_priv", Privilege::ShowView),
    ("Create_routine_priv", Privilege::CreateRoutine),
    ("Alter_routine_priv", Privilege::AlterRoutine),
    ("Create_user_priv", Privilege::CreateUser),
    ("Event_priv", Privilege::Event),
    ("Trigger_priv", Privilege::Trigger),
];

/// One column of text.
fn lines(title: &str, lines: Vec<String>) -> Answer {
    let rows = lines.into_iter().map(|line| vec![Stored::Text(line)]).collect();
    Answer::Table { columns: vec![ColumnMeta::text(title)], rows }
}

/// Error 1141.
#[must_use]
pub fn no_grant(name: &Name) -> SqlError {
    let message = format!("There is no such grant defined for user '{}' on host '{}'", name.user, name.host);
    SqlError::new(1141, "42000", message)
}

/// SHOW GRANTS.
pub fn grants(roster: &Roster, name: &Name) -> Result<Answer, SqlError> {
    let account = named(roster, name).ok_or_else(|| no_grant(name))?;
    let line = |set: Privileges, on: Object| {
        let option = if set.has(Privilege::GrantOption) { " WITH GRANT OPTION" } else { "" };
        format!("GRANT {} ON {on} TO {}{option}", set.text(on.level()), name.ticked())
    };
    let mut all = vec![line(account.global, Object::Everything)];
    for (database, set) in &account.databases {
        all.push(line(*set, Object::Database(database.clone())));
    }
    for (database, tables) in &account.tables {
        for (table, set) in tables {
            all.push(line(*set, Object::Table(database.clone(), table.clone())));
        }
    }
    Ok(lines(&format!("Grants for {}@{}", name.user, name.host), all))
}

/// SHOW CREATE USER.
pub fn create_user(roster: &Roster, name: &Name, rights: &Rights) -> Result<Answer, SqlError> {
    let account = named(roster, name).ok_or_else(|| {
        SqlError::new(1396, "HY000", format!("Operation SHOW CREATE USER failed for {name}"))
    })?;
    let kept = if sees_kept(rights) { format!(" AS {}", literal(&account.kept)) } else { String::new() };
    let options = Options { requires: Some(account.requires), locked: Some(account.locked) };
    let text =
        format!("CREATE USER {} IDENTIFIED WITH '{}'{kept}{options}", name.ticked(), account.plugin.name());
    Ok(lines(&format!("CREATE USER for {}@{}", name.user, name.host), vec![text]))
}

fn sees_kept(rights: &Rights) -> bool {
    rights.global().has_any([Privilege::CreateUser, Privilege::Super].into_iter().collect())
}

/// The table of the database `mysql`, if there is one of that name.
pub fn table(roster: &Roster, rights: &Rights, name: &str) -> Option<View> {
    match name {
        "user" => Some(user(roster, rights)),
        "db" => Some(db(roster)),
        "tables_priv" => Some(tables_priv(roster)),
        _ => None,
    }
}

fn mark(yes: bool) -> Json {
    Json::from(if yes { "Y" } else { "N" })
}

fn user(roster: &Roster, rights: &Rights) -> View {
    let row = |account: &Account| {
        let mut row = vec![json!(account.name.host), json!(account.name.user)];
        row.extend(USER_COLUMNS.iter().map(|(_, privilege)| mark(account.global.has(*privilege))));
        row.push(json!(match account.requires {
            Requirement::None => "",
            Requirement::Ssl => "ANY",
            Requirement::X509 => "X509",
        }));
        row.push(json!(account.plugin.name()));
        row.push(if sees_kept(rights) { json!(account.kept) } else { Json::Null });
        row.extend([mark(false), mark(account.locked)]);
        Json::Array(row)
    };
    let mut columns = vec![("Host", T), ("User", T)];
    columns.extend(USER_COLUMNS.iter().map(|(name, _)| (*name, T)));
    let last = ["ssl_type", "plugin", "authentication_string", "password_expired", "account_locked"];
    columns.extend(last.map(|name| (name, T)));
    View::new(&columns, roster.values().map(|account| row(account)).collect())
}

fn db(roster: &Roster) -> View {
    let of_databases = |(_, privilege): &&(&str, Privilege)| privilege.level() <= Level::Database;
    let shown: Vec<_> = USER_COLUMNS.iter().filter(of_databases).collect();
    let mut rows = Vec::new();
    for account in roster.values() {
        for (database, set) in &account.databases {
            let mut row = vec![json!(account.name.host), json!(database), json!(account.name.user)];
            row.extend(shown.iter().map(|(_, privilege)| mark(set.has(*privilege))));
            rows.push(Json::Array(row));
        }
    }
    let mut columns = vec![("Host", T), ("Db", T), ("User", T)];
    columns.extend(shown.iter().map(|(name, _)| (*name, T)));
    View::new(&columns, rows)
}

fn tables_priv(roster: &Roster) -> View {
    let mut rows = Vec::new();
    for Account { name, tables, .. } in roster.values().map(AsRef::as_ref) {
        for (database, tables) in tables {
            for (table, set) in tables {
                let names: Vec<&str> = set.iter().map(Privilege::name).collect();
                rows.push(json!([name.host, database, name.user, table, names.join(",")]));
            }
        }
    }
    View::new(&[("Host", T), ("Db", T), ("User", T), ("Table_name", T), ("Table_priv", T)], rows)
}

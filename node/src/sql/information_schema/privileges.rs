//! Who may do what, as `information_schema` and SHOW PRIVILEGES tell it to clients that show or hide things by it.
//!
//! Who may read `mysql.user` sees all accounts; everybody else the own one. There are no privileges of columns.

use serde_json::{Value as Json, json};

use super::Table;
use crate::accounts::Account;
use crate::accounts::privileges::{Privilege, Privileges};
use crate::sql::expression::Environment;

/// The tables.
pub const TABLES: &[Table] = &[
    Table {
        name: "USER_PRIVILEGES",
        columns: "GRANTEE TABLE_CATALOG PRIVILEGE_TYPE IS_GRANTABLE",
        rows: of_users,
    },
    Table {
        name: "SCHEMA_PRIVILEGES",
        columns: "GRANTEE TABLE_CATALOG TABLE_SCHEMA PRIVILEGE_TYPE IS_GRANTABLE",
        rows: of_databases,
    },
    Table {
        name: "TABLE_PRIVILEGES",
        columns: "GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PRIVILEGE_TYPE IS_GRANTABLE",
        rows: of_tables,
    },
    Table {
        name: "COLUMN_PRIVILEGES",
        columns: "GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME PRIVILEGE_TYPE IS_GRANTABLE",
        rows: |_| Vec::new(),
    },
];

/// Where a privilege counts and what it is for, in MySQL's words. What is not named here is a later one of the server.
const TOLD: &[(Privilege, &str, &str)] = &[
    (Privilege::Alter, "Tables", "To alter the table"),
    (Privilege::AlterRoutine, "Functions,Procedures", "To alter or drop stored functions/procedures"),
    (Privilege::Create, "Databases,Tables,Indexes", "To create new databases and tables"),
    (Privilege::CreateRoutine, "Databases", "To use CREATE FUNCTION/PROCEDURE"),
    (Privilege::CreateTemporaryTables, "Databases", "To use CREATE TEMPORARY TABLE"),
    (Privilege::CreateView, "Tables", "To create new views"),
    (Privilege::CreateUser, "Server Admin", "To create new users"),
    (Privilege::Delete, "Tables", "To delete existing rows"),
    (Privilege::Drop, "Databases,Tables", "To drop databases, tables, and views"),
    (Privilege::Event, "Server Admin", "To create, alter, drop and execute events"),
    (Privilege::Execute, "Functions,Procedures", "To execute stored routines"),
    (Privilege::File, "File access on server", "To read and write files on the server"),
    (
        Privilege::GrantOption,
        "Databases,Tables,Functions,Procedures",
        "To give to other users those privileges you possess",
    ),
    (Privilege::Index, "Tables", "To create or drop indexes"),
    (Privilege::Insert, "Tables", "To insert data into tables"),
    (Privilege::LockTables, "Databases", "To use LOCK TABLES (together with SELECT privilege)"),
    (Privilege::Process, "Server Admin", "To view the plain text of currently executing queries"),
    (Privilege::References, "Databases,Tables", "To have references on tables"),
    (Privilege::Reload, "Server Admin", "To reload or refresh tables, logs and privileges"),
    (Privilege::ReplicationClient, "Server Admin", "To ask where the slave or master servers are"),
    (Privilege::ReplicationSlave, "Server Admin", "To read binary log events from the master"),
    (Privilege::Select, "Tables", "To retrieve rows from table"),
    (Privilege::ShowDatabases, "Server Admin", "To see all databases with SHOW DATABASES"),
    (Privilege::ShowView, "Tables", "To see views with SHOW CREATE VIEW"),
    (Privilege::Shutdown, "Server Admin", "To shut down the server"),
    (Privilege::Super, "Server Admin", "To use KILL thread, SET GLOBAL, CHANGE MASTER, etc."),
    (Privilege::Trigger, "Tables", "To use triggers"),
    (Privilege::Update, "Tables", "To update existing rows"),
];

/// SHOW PRIVILEGES.
pub fn shown() -> Vec<Json> {
    let capital = |name: &str| match name.split_at_checked(1) {
        Some((first, rest)) => format!("{first}{}", rest.to_lowercase()),
        None => String::new(),
    };
    let told = TOLD.iter().map(|(privilege, place, use_)| json!([capital(privilege.name()), place, use_]));
    let later = Privilege::ALL.iter().filter(|one| TOLD.iter().all(|(told, ..)| told != *one));
    let later = later.map(|privilege| json!([privilege.name(), "Server Admin", ""]));
    let usage = json!(["Usage", "Server Admin", "No privileges - allow connect only"]);
    told.chain([usage]).chain(later).collect()
}

/// The rows of an account's privileges somewhere; `place` stands between the account and the privilege.
fn rows(account: &Account, place: &[&str], set: Privileges) -> Vec<Json> {
    let grantable = if set.has(Privilege::GrantOption) { "YES" } else { "NO" };
    let mut names: Vec<&str> =
        set.iter().filter(|one| *one != Privilege::GrantOption).map(Privilege::name).collect();
    if names.is_empty() && place.is_empty() {
        names.push("USAGE");
    }
    let row = |name: &str| {
        let mut row = vec![json!(account.name.to_string()), json!("def")];
        row.extend(place.iter().map(|part| json!(part)));
        row.extend([json!(name), json!(grantable)]);
        Json::Array(row)
    };
    names.into_iter().map(row).collect()
}

fn each(env: &Environment<'_>, of: impl Fn(&Account) -> Vec<Json>) -> Vec<Json> {
    let rights = &env.facts.rights;
    let (all, own) = (rights.read("mysql", "user").is_ok(), rights.current_user());
    let roster = env.facts.accounts.roster();
    roster.values().filter(|account| all || account.name == own).flat_map(|account| of(account)).collect()
}

fn of_users(env: &Environment<'_>) -> Vec<Json> {
    each(env, |account| rows(account, &[], account.global))
}

fn of_databases(env: &Environment<'_>) -> Vec<Json> {
    each(env, |account| {
        account.databases.iter().flat_map(|(database, set)| rows(account, &[database], *set)).collect()
    })
}

fn of_tables(env: &Environment<'_>) -> Vec<Json> {
    each(env, |account| {
        let tables = account
            .tables
            .iter()
            .flat_map(|(database, tables)| tables.iter().map(move |(table, set)| (database, table, *set)));
        tables.flat_map(|(database, table, set)| rows(account, &[database, table], set)).collect()
    })
}

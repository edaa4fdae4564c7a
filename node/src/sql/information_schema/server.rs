//! Tables of `information_schema` that tell of the server: what it can, who is connected, its variables and counters.

use serde_json::{Value as Json, json};

use super::Table;
use crate::accounts::privileges::Privilege;
use crate::sql::collation::{COLLATIONS, Collation};
use crate::sql::expression::Environment;

/// The tables.
pub const TABLES: &[Table] = &[
    Table { name: "ENGINES", columns: "ENGINE SUPPORT COMMENT TRANSACTIONS XA SAVEPOINTS", rows: engines },
    Table {
        name: "COLLATIONS",
        columns: "COLLATION_NAME CHARACTER_SET_NAME +ID IS_DEFAULT IS_COMPILED +SORTLEN PAD_ATTRIBUTE",
        rows: |_| collations(),
    },
    Table {
        name: "COLLATION_CHARACTER_SET_APPLICABILITY",
        columns: "COLLATION_NAME CHARACTER_SET_NAME",
        rows: |_| collations().iter().map(|row| json!([row[0], row[1]])).collect(),
    },
    Table {
        name: "CHARACTER_SETS",
        columns: "CHARACTER_SET_NAME DEFAULT_COLLATE_NAME DESCRIPTION +MAXLEN",
        rows: |_| character_sets(),
    },
    Table { name: "PLUGINS", columns: PLUGIN_COLUMNS, rows: |_| Vec::new() },
    Table { name: "PROCESSLIST", columns: "+ID USER HOST DB COMMAND +TIME STATE INFO", rows: processes },
    Table {
        name: "GLOBAL_VARIABLES",
        columns: "VARIABLE_NAME VARIABLE_VALUE",
        rows: |env| pairs(env.variables.all(true), true),
    },
    Table {
        name: "SESSION_VARIABLES",
        columns: "VARIABLE_NAME VARIABLE_VALUE",
        rows: |env| pairs(env.variables.all(false), true),
    },
    Table {
        name: "GLOBAL_STATUS",
        columns: "VARIABLE_NAME VARIABLE_VALUE",
        rows: |env| pairs(env.server.status(true), true),
    },
    Table {
        name: "SESSION_STATUS",
        columns: "VARIABLE_NAME VARIABLE_VALUE",
        rows: |env| pairs(env.server.status(false), true),
    },
];

/// The columns of PLUGINS.
const PLUGIN_COLUMNS: &str = "PLUGIN_NAME PLUGIN_VERSION PLUGIN_STATUS PLUGIN_TYPE PLUGIN_TYPE_VERSION PLUGIN_LIBRARY \
     PLUGIN_LIBRARY_VERSION PLUGIN_AUTHOR PLUGIN_DESCRIPTION PLUGIN_LICENSE LOAD_OPTION";

/// ENGINES. Every table is kept by SQLite; the name InnoDB is accepted for it, as its transactions behave alike.
pub fn engines(_: &Environment<'_>) -> Vec<Json> {
    let comment = "SQLite under evensum's bundled node: transactions and savepoints, no foreign keys";
    vec![json!(["InnoDB", "DEFAULT", comment, "YES", "NO", "YES"])]
}

/// COLLATIONS.
#[must_use]
pub fn collations() -> Vec<Json> {
    let known = COLLATIONS.iter().map(|(name, charset, number, default, order)| {
        let sorted = if *order == Collation::UnicodeCi { 8 } else { 1 };
        json!([name, charset, number, if *default { "Yes" } else { "" }, "Yes", sorted, "PAD SPACE"])
    });
    known.chain([json!(["binary", "binary", 63, "Yes", "Yes", 1, "NO PAD"])]).collect()
}

/// CHARACTER_SETS.
#[must_use]
pub fn character_sets() -> Vec<Json> {
    vec![
        json!(["ascii", "ascii_general_ci", "US ASCII", 1]),
        json!(["binary", "binary", "Binary pseudo charset", 1]),
        json!(["utf8mb3", "utf8mb3_general_ci", "UTF-8 Unicode", 3]),
        json!(["utf8mb4", "utf8mb4_general_ci", "UTF-8 Unicode", 4]),
    ]
}

/// Names and values as rows, in the order of the names.
pub fn pairs(pairs: impl IntoIterator<Item = (String, String)>, capitals: bool) -> Vec<Json> {
    let name = |name: String| if capitals { name.to_uppercase() } else { name };
    pairs.into_iter().map(|(key, value)| json!([name(key), value])).collect()
}

/// PROCESSLIST. Without PROCESS a client sees those of its own name.
pub fn processes(env: &Environment<'_>) -> Vec<Json> {
    let row = |p: crate::sql::surroundings::Process| {
        json!([p.id, p.user, p.host, p.database, p.command, p.seconds, p.state, p.statement])
    };
    let rights = &env.facts.rights;
    let all = rights.global().has(Privilege::Process);
    env.server.processes().into_iter().filter(|p| all || p.user == rights.user()).map(row).collect()
}

//! `SHOW SLAVE STATUS`, `SHOW MASTER STATUS` and the lists of the log, as tables of text.
//!
//! The columns of `SHOW SLAVE STATUS` are MySQL 8's in its order; the `SHOW REPLICA STATUS` form has the new words. What this
//! node does not have (TLS) is shown as MySQL shows it when it is not in use. A relay log is one file without an end: its
//! place counts what was applied since the node started. Invariant: a value is read, never assumed.

use super::binlog::{self, Binlog};
use super::gtids::{self, EXECUTED};
use super::link::{LastError, Link, Receiving};
use super::position::{FIRST_POS, LogPosition};
use super::until::Until;
use crate::SqlError;
use crate::tls::link::LinkTls;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A small result of an administrator's statement; none is NULL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The columns, with whether they hold whole numbers.
    pub columns: Vec<(String, bool)>,
    /// The rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// SHOW SLAVE STATUS of these links. `replica` for the words of MySQL 8.0.22 and later.
pub fn replica_status(
    conn: &Connection,
    links: &[std::sync::Arc<Link>],
    replica: bool,
) -> Result<Listing, SqlError> {
    let mut listing = Listing::default();
    for link in links {
        let row = status_row(conn, link)?;
        listing.rows.push(row.iter().map(|(_, value, _)| value.clone()).collect());
    }
    listing.columns = STATUS_COLUMNS
        .iter()
        .map(|&(name, numeric)| {
            let name = if replica {
                name.replace("Master", "Source").replace("Slave", "Replica")
            } else {
                name.to_owned()
            };
            (if replica { name.replace("Get_master", "Get_Source") } else { name }, numeric)
        })
        .collect();
    Ok(listing)
}

/// MySQL 8's columns, in order, with whether they hold numbers.
const STATUS_COLUMNS: &[(&str, bool)] = &[
    ("Slave_IO_State", false),
    ("Master_Host", false),
    ("Master_User", false),
    ("Master_Port", true),
    ("Connect_Retry", true),
    ("Master_Log_File", false),
    ("Read_Master_Log_Pos", true),
    ("Relay_Log_File", false),
    ("Relay_Log_Pos", true),
    ("Relay_Master_Log_File", false),
    ("Slave_IO_Running", false),
    ("Slave_SQL_Running", false),
    ("Replicate_Do_DB", false),
    ("Replicate_Ignore_DB", false),
    ("Replicate_Do_Table", false),
    ("Replicate_Ignore_Table", false),
    ("Replicate_Wild_Do_Table", false),
    ("Replicate_Wild_Ignore_Table", false),
    ("Last_Errno", true),
    ("Last_Error", false),
    ("Skip_Counter", true),
    ("Exec_Master_Log_Pos", true),
    ("Relay_Log_Space", true),
    ("Until_Condition", false),
    ("Until_Log_File", false),
    ("Until_Log_Pos", true),
    ("Master_SSL_Allowed", false),
    ("Master_SSL_CA_File", false),
    ("Master_SSL_CA_Path", false),
    ("Master_SSL_Cert", false),
    ("Master_SSL_Cipher", false),
    ("Master_SSL_Key", false),
    ("Seconds_Behind_Master", true),
    ("Master_SSL_Verify_Server_Cert", false),
    ("Last_IO_Errno", true),
    ("Last_IO_Error", false),
    ("Last_SQL_Errno", true),
    ("Last_SQL_Error", false),
    ("Replicate_Ignore_Server_Ids", false),
    ("Master_Server_Id", true),
    ("Master_UUID", false),
    ("Master_Info_File", false),
    ("SQL_Delay", true),
    ("SQL_Remaining_Delay", true),
    ("Slave_SQL_Running_State", false),
    ("Master_Retry_Count", true),
    ("Master_Bind", false),
    ("Last_IO_Error_Timestamp", false),
    ("Last_SQL_Error_Timestamp", false),
    ("Master_SSL_Crl", false),
    ("Master_SSL_Crlpath", false),
    ("Retrieved_Gtid_Set", false),
    ("Executed_Gtid_Set", false),
    ("Auto_Position", true),
    ("Replicate_Rewrite_DB", false),
    ("Channel_Name", false),
    ("Master_TLS_Version", false),
    ("Master_public_key_path", false),
    ("Get_master_public_key", true),
    ("Network_Namespace", false),
];

type Field = (&'static str, Option<String>, bool);

/// Every column of one link; what is not named below is empty, or 0 for a number.
fn status_row(conn: &Connection, link: &Link) -> Result<Vec<Field>, SqlError> {
    let known = known_fields(conn, link)?;
    Ok(STATUS_COLUMNS
        .iter()
        .map(|&(name, numeric)| {
            let value =
                known.get(name).cloned().unwrap_or_else(|| Some(if numeric { "0" } else { "" }.to_owned()));
            (name, value, numeric)
        })
        .collect())
}
fn tls_fields(tls: &LinkTls) -> [(&'static str, String); 5] {
    let yes = |on: bool| if on { "Yes" } else { "No" }.to_owned();
    [
        ("Master_SSL_Allowed", yes(tls.on)),
        ("Master_SSL_CA_File", tls.ca.clone()),
        ("Master_SSL_Cert", tls.cert.clone()),
        ("Master_SSL_Key", tls.key.clone()),
        ("Master_SSL_Verify_Server_Cert", yes(tls.verify)),
    ]
}

fn known_fields(conn: &Connection, link: &Link) -> Result<BTreeMap<&'static str, Option<String>>, SqlError> {
    let (settings, state) = (link.settings(), link.state());
    let read = state.read;
    // What began on this node is read and not applied, so a link stands before what waits, or where it has read to. What is applied may still
    // lie in the relay log when the node starts.
    let applied = match link.relay.first_waiting()? {
        Some(waiting) => state.applied.max(Some(waiting)),
        None => read.or(state.applied),
    };
    let remaining_s = link.remaining_delay_s()?;
    let file = |place: Option<LogPosition>| place.map_or(String::new(), |place| link.file_name(place));
    let pos = |place: Option<LogPosition>| place.map_or(FIRST_POS, |place| place.pos).to_string();
    let yes = |yes: bool| if yes { "Yes" } else { "No" }.to_owned();
    let receiving = match state.receiving {
        Receiving::No => "No",
        Receiving::Connecting => "Connecting",
        Receiving::Yes => "Yes",
    };
    let until = state.until.as_ref().and_then(Until::place);
    let ignored = settings.ignore_server_ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut fields = BTreeMap::from([
        ("Slave_IO_State", receiver_state(state.receiving).to_owned()),
        ("Master_Host", settings.host),
        ("Master_User", settings.user),
        ("Master_Port", settings.port.to_string()),
        ("Connect_Retry", settings.connect_retry_s.to_string()),
        ("Master_Log_File", file(read)),
        ("Read_Master_Log_Pos", pos(read)),
        ("Relay_Master_Log_File", file(applied)),
        ("Exec_Master_Log_Pos", pos(applied)),
        ("Slave_IO_Running", receiving.to_owned()),
        ("Slave_SQL_Running", yes(state.applying)),
        ("Last_Errno", state.apply_error.code.to_string()),
        ("Last_Error", state.apply_error.message.clone()),
        ("Skip_Counter", state.skip_counter.to_string()),
        ("Relay_Log_Space", link.relay.bytes().to_string()),
        ("Relay_Log_File", relay_file(link)),
        ("Relay_Log_Pos", (FIRST_POS + link.relay.applied_bytes()).to_string()),
        ("Until_Condition", state.until.as_ref().map_or("None", Until::name).to_owned()),
        ("Until_Log_File", file(until)),
        ("Until_Log_Pos", until.map_or(0, |until| until.pos).to_string()),
        ("Replicate_Ignore_Server_Ids", ignored),
        ("Last_IO_Errno", state.receive_error.code.to_string()),
        ("Last_IO_Error", state.receive_error.message.clone()),
        ("Last_SQL_Errno", state.apply_error.code.to_string()),
        ("Last_SQL_Error", state.apply_error.message.clone()),
        ("Last_IO_Error_Timestamp", stamp(conn, &state.receive_error)?),
        ("Last_SQL_Error_Timestamp", stamp(conn, &state.apply_error)?),
        ("Master_Server_Id", state.source.server_id.to_string()),
        ("Master_UUID", state.source.server_uuid.clone()),
        ("SQL_Delay", settings.delay_s.to_string()),
        ("Slave_SQL_Running_State", applier_state(link, remaining_s).to_owned()),
        ("Master_Retry_Count", settings.retry_count.to_string()),
        ("Retrieved_Gtid_Set", state.retrieved.to_string()),
        ("Executed_Gtid_Set", gtids::read(conn, EXECUTED)?.to_string()),
        ("Auto_Position", u8::from(settings.auto_position).to_string()),
        ("Channel_Name", link.name.clone()),
    ])
    .into_iter()
    .chain(link.context.filters.shown())
    .chain(tls_fields(&settings.tls))
    .map(|(name, value)| (name, Some(value)))
    .collect::<BTreeMap<_, _>>();
    fields.insert("Seconds_Behind_Master", link.seconds_behind()?.map(|seconds| seconds.to_string()));
    fields.insert("SQL_Remaining_Delay", remaining_s.map(|seconds| seconds.to_string()));
    Ok(fields)
}

/// What a receiver does, in MySQL's words.
pub(super) fn receiver_state(receiving: Receiving) -> &'static str {
    match receiving {
        Receiving::No => "",
        Receiving::Connecting => "Connecting to source",
        Receiving::Yes => "Waiting for source to send event",
    }
}

/// What an applier does, in MySQL's words, if it waits so long for the delay.
pub(super) fn applier_state(link: &Link, remaining_s: Option<u64>) -> &'static str {
    match (link.state().applying, link.relay.is_drained()) {
        (false, _) => "",
        (true, true) => "Replica has read all relay log; waiting for more updates",
        (true, false) if link.context.read_lock.is_held() => "Waiting for global read lock",
        (true, false) if remaining_s.is_some() => {
            "Waiting until SOURCE_DELAY seconds after source executed event"
        }
        (true, false) => "Applying batch of row changes",
    }
}

/// The name of a link's relay log.
pub(super) fn relay_file(link: &Link) -> String {
    let base = &link.context.relay_log;
    match link.name.as_str() {
        "" => format!("{base}.000001"),
        name => format!("{base}-{name}.000001"),
    }
}

/// When an error happened, as MySQL writes it: `yymmdd hh:mm:ss`.
fn stamp(conn: &Connection, error: &LastError) -> Result<String, SqlError> {
    if error.code == 0 {
        return Ok(String::new());
    }
    let seconds = super::stored(error.at_ms / 1000)?;
    conn.query_row("SELECT substr(strftime('%Y%m%d %H:%M:%S', ?1, 'unixepoch'), 3)", [seconds], |row| {
        row.get(0)
    })
    .map_err(super::failed)
}

/// SHOW MASTER STATUS, in the caller's snapshot; no row where there is no log.
pub fn source_status(conn: &Connection, log: &Binlog) -> Result<Listing, SqlError> {
    let columns = columns(&["File", "+Position", "Binlog_Do_DB", "Binlog_Ignore_DB", "Executed_Gtid_Set"]);
    if !log.is_enabled() {
        return Ok(Listing { columns, rows: Vec::new() });
    }
    let head = binlog::head(conn)?;
    let executed = gtids::read(conn, EXECUTED)?.to_string();
    let [wanted, ignored] = log.databases().shown();
    Ok(Listing {
        columns,
        rows: vec![row([log.file_name(head), head.pos.to_string(), wanted, ignored, executed])],
    })
}

/// SHOW BINARY LOGS.
pub fn log_files(conn: &Connection, log: &Binlog) -> Result<Listing, SqlError> {
    if !log.is_enabled() {
        return Err(SqlError::new(1381, "HY000", "You are not using binary logging"));
    }
    let files = binlog::files(conn)?;
    let name = |file| log.file_name(LogPosition { file, pos: FIRST_POS });
    let rows =
        files.iter().map(|file| row([name(file.file), file.bytes.to_string(), "No".to_owned()])).collect();
    Ok(Listing { columns: columns(&["Log_name", "+File_size", "Encrypted"]), rows })
}

/// Column names; a `+` marks whole numbers.
pub fn columns(names: &[&str]) -> Vec<(String, bool)> {
    names.iter().map(|name| (name.trim_start_matches('+').to_owned(), name.starts_with('+'))).collect()
}

/// A row without NULLs.
pub fn row<const N: usize>(values: [String; N]) -> Vec<Option<String>> {
    values.into_iter().map(Some).collect()
}

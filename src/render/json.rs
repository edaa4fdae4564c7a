//! Results as JSON, one document each, with `schema_version`.
//!
//! Values of rows are strings with their exact text, so that no reader rounds a DECIMAL or a large integer; NULL is
//! null, and bytes are `0x` and hex digits. Counts are integers. Readers must ignore fields that they do not know.

use crate::commands::status::NodeStatus;
use crate::error::Failure;
use crate::marks::GIVEN_UP;
use checker::{Definition, Divergence, Report, TableReport, Unsettled};
use database::{Key, Row, Table, Value as Cell};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// The version of every document here; it grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A document as it is printed.
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// Why a command could not do what was asked. Where and why stand apart only where they are known apart.
pub fn failure(failure: &Failure) -> Value {
    let cause = failure.cause.as_deref();
    json!({
        "schema_version": SCHEMA_VERSION,
        "error": {
            "code": failure.code,
            "what": failure.what,
            "where": cause.map(|cause| &cause.node),
            "why": cause.map(|cause| &cause.why),
            "changed": failure.changed,
            "hint": Some(&failure.advice).filter(|advice| !advice.is_empty()),
        },
    })
}

/// A node that is ready.
pub fn node(number: u32, address: SocketAddr) -> Value {
    json!({ "schema_version": SCHEMA_VERSION, "node": number, "address": address.to_string() })
}

/// A check.
pub fn report(report: &Report) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "run": report.run,
        "verdict": report.verdict().to_string(),
        "nodes": report.nodes,
        "tables": report.tables.iter().map(table).collect::<Vec<_>>(),
        "divergences": report.divergences.iter().map(divergence).collect::<Vec<_>>(),
        "unsettled": report.unsettled.iter().map(unsettled).collect::<Vec<_>>(),
        "unlisted": report.unlisted,
        "interrupted": report.interrupted,
        "elapsed_ms": millis(report.elapsed),
        "throttled": throttled(report),
        "chunks_resumed": report.course.chunks_resumed,
        "chunks_retried": report.course.chunks_retried,
        "notes": report.course.notes,
    })
}

/// Adds to a check what it gave up by writing nothing on the nodes.
pub fn without_ledger(document: &mut Value) {
    if let Value::Object(fields) = document {
        fields.insert("without_ledger".to_owned(), json!(GIVEN_UP));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// For how long a check was held back, by cause, and how often.
fn throttled(report: &Report) -> Map<String, Value> {
    let held = report.course.throttled.iter();
    held.map(|(cause, held)| {
        let name = cause.to_string().replace(' ', "_");
        (name, json!({ "ms": millis(held.time), "pauses": held.pauses }))
    })
    .collect()
}

fn table(table: &TableReport) -> Value {
    let fingerprints: Map<String, Value> = table
        .fingerprints
        .iter()
        .map(|print| (print.node.to_string(), Value::String(hex(&print.root))))
        .collect();
    json!({
        "database": table.table.database,
        "table": table.table.name,
        "verdict": table.verdict.to_string(),
        "rows": table.rows,
        "chunks": table.chunks,
        "chunks_mismatched": table.chunks_mismatched,
        "chunks_different": table.chunks_different,
        "chunks_unsettled": table.chunks_unsettled,
        "rows_lagging": table.rows_lagging,
        "rows_different": table.rows_different,
        "rows_unsettled": table.rows_unsettled,
        "fingerprint": fingerprints,
        "reason": table.reason,
        "definitions": table.definitions.iter().map(definition).collect::<Vec<_>>(),
    })
}

fn definition(definition: &Definition) -> Value {
    json!({ "nodes": definition.nodes, "definition": definition.text })
}

/// A row on which nodes disagree.
pub fn divergence(divergence: &Divergence) -> Value {
    let versions: Vec<Value> = divergence
        .versions
        .iter()
        .map(|version| {
            let row = version.row.as_ref().map(|row| row_of(&divergence.table, row));
            json!({ "nodes": version.nodes, "row": row })
        })
        .collect();
    json!({
        "database": divergence.table.database,
        "table": divergence.table.name,
        "key": key_of(&divergence.table, &divergence.key),
        "columns": divergence.columns(),
        "versions": versions,
    })
}

fn unsettled(unsettled: &Unsettled) -> Value {
    json!({
        "database": unsettled.table.database,
        "table": unsettled.table.name,
        "key": key_of(&unsettled.table, &unsettled.key),
        "reason": &*unsettled.reason,
    })
}

/// The key's columns and values.
pub fn key_of(table: &Table, key: &Key) -> Map<String, Value> {
    let names = table.key_columns().map(|column| column.name.to_string());
    names.zip(key.values().iter().map(cell)).collect()
}

/// A row's columns and values.
pub fn row_of(table: &Table, row: &Row) -> Map<String, Value> {
    let names = table.columns.iter().map(|column| column.name.to_string());
    names.zip(row.values().iter().map(cell)).collect()
}

fn cell(value: &Cell) -> Value {
    let text = match value {
        Cell::Null => return Value::Null,
        Cell::Bytes(bytes) => format!("0x{}", hex(bytes)),
        Cell::Text(text) | Cell::Json(text) | Cell::Decimal(text) | Cell::Date(text) => text.to_string(),
        Cell::DateTime(text) | Cell::Time(text) => text.strip_suffix(".000000").unwrap_or(text).to_owned(),
        number => number.to_string(),
    };
    Value::String(text)
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state of the nodes.
pub fn status(nodes: &[NodeStatus]) -> Value {
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|node| match &node.answer {
            Err(failure) => json!({ "name": node.name, "reachable": false, "error": failure.what }),
            Ok(answer) => {
                let links: Vec<Value> = answer
                    .links
                    .iter()
                    .map(|link| {
                        json!({
                            "channel": link.channel,
                            "source": link.source,
                            "io_running": link.io_running,
                            "sql_running": link.sql_running,
                            "lag_seconds": link.lag_seconds,
                            "last_error": link.last_error,
                        })
                    })
                    .collect();
                json!({
                    "name": node.name, "reachable": true, "server_id": answer.server_id,
                    "identity": answer.identity, "version": answer.version,
                    "read_only": answer.read_only, "links": links,
                })
            }
        })
        .collect();
    json!({ "schema_version": SCHEMA_VERSION, "nodes": nodes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_exact_text() {
        for (value, text) in [
            (Cell::Uint(u64::MAX), json!("18446744073709551615")),
            (Cell::Decimal("0.10".into()), json!("0.10")),
            (Cell::Text("NULL".into()), json!("NULL")),
            (Cell::Text("a'b\n".into()), json!("a'b\n")),
            (Cell::Null, json!(null)),
            (Cell::Bytes([0, 255].into()), json!("0x00ff")),
            (Cell::DateTime("2026-01-02 03:04:05.000000".into()), json!("2026-01-02 03:04:05")),
            (Cell::Time("-01:00:00.500000".into()), json!("-01:00:00.500000")),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}

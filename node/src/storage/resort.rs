//! Sorting a file anew whose indexes were sorted by other orders of text.
//!
//! SQLite trusts that an index is sorted as its collations say now. A file that was written before an order
//! changed would lose rows in searches and take duplicates for keys, so the file keeps the version of the orders
//! (`PRAGMA user_version`), and where it is older every table with text is written anew when the store is opened,
//! all in one transaction. Rows that were two and are one key now end the opening with error 1062: nothing is
//! lost, the version before can still open the file, and one of the rows has to be given another key there.
//!
//! Old definitions may name a collation that this node never had and ordered as one of its own. Invariant: after
//! this, a definition names the order that its rows have.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value as Stored;

use super::catalog::{self, Catalog};
use super::definition::{TableDef, quote};
use super::rows::RowWriter;
use crate::SqlError;
use crate::sql::collation::{Collation, VERSION, known_collation};
use crate::sql::types::Kind;

/// What a table is called while its rows are moved.
const OLD: &str = "\"_evensum_resorted\"";

/// Brings the file to the orders of this version. Runs inside the caller's transaction.
pub(super) fn resort(conn: &Connection) -> Result<(), SqlError> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    if version > VERSION {
        return Err(SqlError::internal(format!(
            "the data directory is of a newer version (orders of text {version}, this one knows {VERSION})"
        )));
    }
    let catalog = Catalog::read(conn)?;
    for (name, collation) in &catalog.databases {
        conn.execute(
            "UPDATE _evensum_databases SET collation = ?2 WHERE name = ?1",
            [name, &kept(collation)],
        )?;
    }
    for table in catalog.tables() {
        let text = |table: &TableDef| table.columns.iter().any(|c| matches!(c.kind(), Kind::Text(_)));
        let mut named = TableDef::clone(table);
        named.collation = kept(&named.collation);
        for column in &mut named.columns {
            column.collation = kept(&column.collation);
        }
        if text(table) {
            rewrite(conn, &named).map_err(|error| explained(&named, error))?;
        }
        catalog::put(conn, &named)?;
    }
    conn.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
    Ok(())
}

/// The name of the collation that text under this name was ordered by before names were checked.
fn kept(name: &str) -> String {
    known_collation(name).unwrap_or_else(|_| {
        let exact = ["_bin", "_cs"].iter().any(|end| name.ends_with(end)) || name == "binary";
        let collation = if exact { Collation::Bin } else { Collation::GeneralCi };
        collation.name().to_owned()
    })
}

/// Writes a table and its indexes anew. The old rows are read as they lie, without any comparison.
fn rewrite(conn: &Connection, table: &TableDef) -> Result<(), SqlError> {
    for key in table.keys.iter().filter(|key| !key.is_primary()) {
        conn.execute_batch(&format!("DROP INDEX IF EXISTS {}", table.physical_index(key)))?;
    }
    conn.execute_batch(&format!("ALTER TABLE {} RENAME TO {OLD}", table.physical()))?;
    conn.execute_batch(&table.create_sql())?;
    for key in table.keys.iter().filter(|key| !key.is_primary()) {
        conn.execute_batch(&table.index_sql(key))?;
    }
    let writer = RowWriter::new(Arc::new(table.clone()));
    let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let mut statement = conn.prepare(&format!("SELECT {} FROM {OLD}", names.join(", ")))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..names.len()).map(|at| row.get(at)).collect::<Result<Vec<Stored>, _>>()?;
        writer.insert(conn, &values)?;
    }
    drop(rows);
    drop(statement);
    Ok(conn.execute_batch(&format!("DROP TABLE {OLD}"))?)
}

fn explained(table: &TableDef, error: SqlError) -> SqlError {
    let SqlError { code, message, .. } = &error;
    let (database, name) = (&table.database, &table.name);
    SqlError::internal(format!(
        "the rows of '{database}.{name}' cannot be sorted by this version's orders of text: {message} ({code}); \
         nothing was changed"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sql::types::ColumnType;
    use crate::storage::definition::{ColumnDef, DefaultValue, KeyDef};
    use crate::storage::{FILE, Store, StoreOptions};

    fn table(name: &str, collation: &str) -> TableDef {
        let column = |name: &str| ColumnDef {
            name: name.into(),
            ty: ColumnType::VarChar(20),
            nullable: false,
            default: DefaultValue::None,
            on_update_now: false,
            auto_increment: false,
            collation: collation.into(),
            comment: String::new(),
        };
        TableDef {
            database: "shop".into(),
            name: name.into(),
            columns: vec![column("k"), column("v")],
            keys: vec![
                KeyDef { name: "PRIMARY".into(), unique: true, parts: vec![(0, None)] },
                KeyDef { name: "v".into(), unique: true, parts: vec![(1, None)] },
            ],
            collation: collation.into(),
            comment: String::new(),
        }
    }

    /// A file as a node wrote it whose general_ci went backwards and whose unicode_ci was that, too.
    fn old_file(dir: &Path, rows: &[&str]) {
        let conn = Connection::open(dir.join(FILE)).unwrap();
        for name in ["utf8mb4_general_ci", "utf8mb4_bin"] {
            conn.create_collation(name, |a: &str, b: &str| b.cmp(a)).unwrap();
        }
        catalog::create(&conn).unwrap();
        conn.execute("INSERT INTO _evensum_databases VALUES ('shop', 'utf8mb4_0900_ai_ci')", []).unwrap();
        for (name, collation) in
            [("a", "utf8mb4_general_ci"), ("b", "utf8mb4_unicode_ci"), ("c", "latin1_bin")]
        {
            let table = table(name, collation);
            let sql = |sql: String| sql.replace("utf8mb4_unicode_ci", "utf8mb4_general_ci");
            conn.execute_batch(&sql(table.create_sql())).unwrap();
            conn.execute_batch(&sql(table.index_sql(&table.keys[1]))).unwrap();
            catalog::put(&conn, &table).unwrap();
            for row in rows {
                let insert = format!("INSERT INTO {} VALUES (?1, ?1)", table.physical());
                conn.execute(&insert, [row]).unwrap();
            }
        }
    }

    fn all(conn: &Connection, sql: &str) -> Vec<String> {
        conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn an_old_file_is_sorted_anew_once() {
        let dir = tempfile::tempdir().unwrap();
        old_file(dir.path(), &["b", "Z", "ä", "ß", "x ", "10", "2"]);
        for _ in 0..2 {
            let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
            let conn = store.connect().unwrap();
            assert_eq!(all(&conn, "PRAGMA integrity_check"), ["ok"]);
            for (name, wanted) in [
                ("a", ["10", "2", "ä", "b", "ß", "x ", "Z"]),
                ("b", ["10", "2", "ä", "b", "ß", "x ", "Z"]),
                ("c", ["10", "2", "Z", "b", "x ", "ß", "ä"]),
            ] {
                for column in ["k", "v"] {
                    let sql = format!("SELECT {column} FROM \"shop.{name}\" ORDER BY {column}");
                    assert_eq!(all(&conn, &sql), wanted, "{name}.{column}");
                    let sql = format!("SELECT k FROM \"shop.{name}\" WHERE {column} = 'x'");
                    assert_eq!(all(&conn, &sql), ["x "]);
                }
            }
            let catalog = store.catalog(&conn).unwrap();
            assert_eq!(catalog.databases["shop"], "utf8mb4_general_ci");
            let names = catalog.tables().map(|table| table.columns[0].collation.as_str());
            assert_eq!(
                names.collect::<Vec<_>>(),
                ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"]
            );
        }
    }

    #[test]
    fn rows_that_are_one_key_now_are_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        old_file(dir.path(), &["😀", "😁"]);
        let error = Store::open(dir.path(), &StoreOptions::default()).err().unwrap();
        assert!(error.message.contains("Duplicate entry '😀' for key 'PRIMARY' (1062)"), "{error:?}");
        let conn = Connection::open(dir.path().join(FILE)).unwrap();
        crate::sql::collation::register(&conn).unwrap();
        assert_eq!(all(&conn, "SELECT k FROM \"shop.a\""), ["😁", "😀"]);
        assert_eq!(all(&conn, "SELECT CAST(user_version AS TEXT) FROM pragma_user_version"), ["0"]);
    }

    #[test]
    fn a_file_of_a_newer_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path(), &StoreOptions::default()).unwrap());
        let conn = Connection::open(dir.path().join(FILE)).unwrap();
        conn.execute_batch(&format!("PRAGMA user_version = {}", VERSION + 1)).unwrap();
        drop(conn);
        let error = Store::open(dir.path(), &StoreOptions::default()).err().unwrap();
        assert!(error.message.contains("newer version"), "{error:?}");
    }
}

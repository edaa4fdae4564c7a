//! The floor of the house: the shared nouns, and the one seam to any database.
//!
//! # What a database is to evensum
//!
//! Tables with keys, rows that can be read by key and by range, and a position that says how far a node has come.
//! [`Reader`] is all that a checker may do to one. [`Writer`] adds the guarded edit, and is handed to the syncer
//! alone. [`Ledger`] writes evensum's own tables and no others. SQL text and drivers live behind these traits
//! (`dialect`, `mysql`); `memory` is the model to which all are held by one conformance kit.
//!
//! # Pins: how a reading becomes firm
//!
//! A plain reading says what a row was at a moment. To call two nodes different, one must know that the row did not
//! move between two moments. [`Reader::pin`] reads rows and begins to watch them; [`Reader::still`] says for each
//! whether it is certain that it was not written since. A server with row locks holds a shared lock between the
//! two; a node that can list what its log holds since a position looks there; a driver that can do neither never
//! says yes.
//!
//! # Invariants
//!
//! * No type here knows of two nodes: comparing is the checker's.
//! * Everything is by value and in canonical encoding; nothing keeps configuration and results together.
//! * Nothing prints, reads the environment or exits.

pub mod conformance;
pub mod dialect;
pub mod digest;
pub mod edit;
pub mod error;
pub mod filter;
pub mod gtid;
pub mod ledger;
pub mod memory;
pub mod mysql;
pub mod number;
pub mod row;
pub mod secret;
pub mod table;
pub mod target;
pub mod value;

pub use digest::Digest;
pub use edit::{Edit, Mending};
pub use error::{Error, Result};
pub use filter::Filters;
pub use gtid::{Gtid, GtidSet};
pub use ledger::{Checksum, Ledger, Watermark};
pub use row::{Key, Row, Rows};
pub use secret::Secret;
pub use table::{Chunk, Column, Kind, Table};
pub use target::Target;
pub use value::Value;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

/// How far a node has come; each engine's own notion, and nobody else's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(pub Box<str>);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Rows of one table, by key.
#[derive(Clone, Copy, Debug)]
pub struct RowsOf<'a> {
    /// The table.
    pub table: &'a Table,
    /// The keys; none twice.
    pub keys: &'a [Key],
}

/// That rows of one table refer to rows of another one, or of the same, by a foreign key; both as `database.table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The table that refers.
    pub child: Box<str>,
    /// The table that is referred to.
    pub parent: Box<str>,
}

/// Rows under watch since a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The rows, in the order in which they were asked for, table after table; `None`: no such row.
    pub rows: Vec<Option<Row>>,
    /// Where the node stood when they were read.
    pub since: Position,
}

/// Reads a database. All that the checker may do to one. Each call sees one consistent state.
pub trait Reader: Send {
    /// The base tables that are not the server's own, in order of name.
    fn tables(&mut self) -> impl Future<Output = Result<Vec<Table>>> + Send;
    /// Where this node stands in its own log.
    fn position(&mut self) -> impl Future<Output = Result<Position>> + Send;
    /// The key that stands `rows` rows after the first key of the chunk, or none if the chunk ends before; of the rows
    /// that meet the table's filter.
    fn boundary(&mut self, chunk: &Chunk, rows: u64) -> impl Future<Output = Result<Option<Key>>> + Send;
    /// The digests of these chunks of one table, made where the rows are, so that the rows need not travel; none if this node
    /// cannot do that (for this table, or for chunks this large), and the rows have to be read instead. Such a digest can only
    /// be compared with what this same call gives on another node.
    fn digests(&mut self, chunks: &[Chunk]) -> impl Future<Output = Result<Option<Vec<Digest>>>> + Send;
    /// How many rows this node believes a chunk to have, without counting them; none if it has no idea. Never more than a guess.
    fn estimate(&mut self, chunk: &Chunk) -> impl Future<Output = Result<Option<u64>>> + Send {
        let _ = chunk;
        std::future::ready(Ok(None))
    }
    /// Whether this node makes digests at all.
    fn makes_digests(&self) -> bool;
    /// The rows of a chunk in key order, at most `limit` of them. The reading may also end where the rows have become
    /// too many bytes to be held at once, though not before the second row, so that a caller who cuts the chunk at the
    /// last one gets on. In both cases [`Rows::cut`] is set; if it is not, these are all rows of the chunk.
    fn rows(&mut self, chunk: &Chunk, limit: u64) -> impl Future<Output = Result<Rows>> + Send;
    /// The rows of several chunks of one table that hold few, for each what [`Reader::rows`] gives; all together they are not more bytes
    /// than one reading. The chunks may be read at different moments.
    fn rows_of(&mut self, chunks: &[Chunk], limit: u64) -> impl Future<Output = Result<Vec<Rows>>> + Send {
        async move {
            let mut rows = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                rows.push(self.rows(chunk, limit).await?);
            }
            Ok(rows)
        }
    }
    /// The rows with these keys, in the order of the keys; `None`: no such row. As with pins and guards, the table's
    /// filter does not matter: a row that meets it on one node only is there on both.
    fn rows_by_key(
        &mut self,
        table: &Table,
        keys: &[Key],
    ) -> impl Future<Output = Result<Vec<Option<Row>>>> + Send;
    /// Reads rows by key and begins to watch them. One pin at a time; the next one ends the former.
    fn pin(&mut self, rows: &[RowsOf<'_>]) -> impl Future<Output = Result<Pin>> + Send;
    /// For each pinned row, whether it is certain that it was not written since; ends the pin. `rows` are those of the
    /// pin, in the same order.
    fn still(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> impl Future<Output = Result<Vec<bool>>> + Send;
    /// For each row, whether it is certain that no transaction that began on this node wrote it since `pin`; what came here by
    /// replication may have. Does not end the pin.
    fn received_only(
        &mut self,
        rows: &[RowsOf<'_>],
        pin: &Pin,
    ) -> impl Future<Output = Result<Vec<bool>>> + Send;
    /// For each row, whether this node's log shows that nothing wrote to its table since a position of the log. Rows must have been
    /// read after all that stands before the position became visible. Costs nobody a wait, and may always say no.
    fn unwritten_since(
        &mut self,
        rows: &[RowsOf<'_>],
        position: &Position,
    ) -> impl Future<Output = Result<Vec<bool>>> + Send {
        let _ = position;
        std::future::ready(Ok(rows.iter().flat_map(|of| of.keys.iter().map(|_| false)).collect()))
    }
    /// Whether a pin makes those wait who write its rows, so that it should be short and of few rows.
    fn pins_lock(&self) -> bool;
    /// Whether somebody waits, or may be waiting, for rows that the pin or the guard of this node holds.
    fn in_the_way(&mut self) -> impl Future<Output = Result<bool>> + Send {
        std::future::ready(Ok(false))
    }
    /// What this node keeps out of its log, or does not apply.
    fn filters(&mut self) -> impl Future<Output = Result<Filters>> + Send {
        async { Ok(Filters::default()) }
    }
    /// Whether this node's log holds rows and no statements, so that what is applied elsewhere does not depend on what is there.
    fn logs_rows(&mut self) -> impl Future<Output = Result<bool>> + Send {
        async { Ok(true) }
    }
    /// Which tables refer to which by foreign keys, as far as this user is shown them: the one that refers, and the other.
    fn references(&mut self) -> impl Future<Output = Result<Vec<Reference>>> + Send {
        async { Ok(Vec::new()) }
    }
    /// Whether this node can count the rows of tables without a key ([`Table::counted`]): the two calls below, and the
    /// others that take keys, for such tables.
    fn counts(&self) -> bool {
        false
    }
    /// Puts every row of a counted table into one of `16^digits` buckets by its content, and digests each bucket that holds
    /// rows. Two nodes put one content into one bucket if they are servers of one kind.
    fn buckets(
        &mut self,
        table: &Table,
        digits: u32,
    ) -> impl Future<Output = Result<BTreeMap<u32, Digest>>> + Send {
        let (table, _) = (table.to_string(), digits);
        async move { Err(uncounted(&table)) }
    }
    /// The contents in these buckets, each once with its copies; [`Rows::cut`] if they are too many to be held at once, and
    /// then they are not all, nor are their copies.
    fn copies(
        &mut self,
        table: &Table,
        digits: u32,
        buckets: &[u32],
    ) -> impl Future<Output = Result<Rows>> + Send {
        let (table, _) = (table.to_string(), (digits, buckets));
        async move { Err(uncounted(&table)) }
    }
}

fn uncounted(table: &str) -> Error {
    let reason = format!("rows of {table} cannot be counted here");
    Error::Schema { node: "this node".into(), reason }
}

/// Changes a database, one guarded edit at a time. Handed to the syncer alone.
///
/// The two calls are the two halves of a guarded repair: between them the caller lets this node's writes reach the
/// winner and reads the winner again.
pub trait Writer: Reader {
    /// Looks at the rows of the edits, and begins to watch them (where the server has row locks: locks them, in a
    /// transaction that stays open). The pin's rows are what is there now. Without edits it only says whether this user
    /// can switch the log off.
    fn guard(&mut self, edits: &[Edit]) -> impl Future<Output = Result<Pin>> + Send;
    /// Makes those edits for which `go` says so, outside the log, in one transaction, and only where the row is as
    /// expected and was not written since the guard. An edit that cannot be made costs only itself.
    fn mend(
        &mut self,
        edits: &[Edit],
        guard: &Pin,
        go: &[bool],
    ) -> impl Future<Output = Result<Vec<Mending>>> + Send;
}

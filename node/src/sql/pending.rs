//! What an open transaction will log: its row changes, and the statements whose texts stand for some of them.
//!
//! Every change is kept row by row, whatever the format of the log is: a statement that is logged by its text
//! covers a run of them. So cutting back to a mark (a failed statement, ROLLBACK TO) cuts both alike, and the log can keep
//! beside a text which rows it changed here. Invariant: runs do not overlap and stand in the order of the list.

use rusqlite::types::Value as Stored;

use crate::SqlError;
use crate::change::{Body, Change, Part, Query};

/// The most memory that the changes of one transaction take.
pub const MAX_TRANSACTION_BYTES: usize = 512 << 20;
/// What a change costs beside its values, and a statement beside its texts.
const OVERHEAD_BYTES: usize = 64;

/// The changes of a transaction, in order.
#[derive(Default)]
pub struct Changes {
    list: Vec<Change>,
    queries: Vec<Covering>,
    bytes: usize,
}

/// A statement that is logged by its text, and the changes that it made: those from `from` on, up to `to`.
struct Covering {
    from: usize,
    to: usize,
    query: Query,
}

/// A place to cut back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    changes: usize,
    queries: usize,
}

/// What goes to the log.
#[derive(Debug, PartialEq)]
pub struct Pending {
    /// What is sent on.
    pub body: Body,
    /// The rows that the statements in it changed here. They stay here.
    pub touched: Vec<Change>,
}

impl Changes {
    /// The place where the next change goes.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { changes: self.list.len(), queries: self.queries.len() }
    }

    /// Forgets what came after a mark.
    pub fn cut(&mut self, mark: Mark) {
        self.list.truncate(mark.changes);
        self.queries.truncate(mark.queries);
        let queries: usize = self.queries.iter().map(|covering| text_weight(&covering.query)).sum();
        self.bytes = self.list.iter().map(weight).sum::<usize>() + queries;
    }

    /// Takes all changes, whatever would have been logged of them.
    pub fn take(&mut self) -> Vec<Change> {
        self.bytes = 0;
        self.queries.clear();
        std::mem::take(&mut self.list)
    }

    /// Takes what is to be logged; none if there is nothing.
    pub fn take_pending(&mut self) -> Option<Pending> {
        let queries = std::mem::take(&mut self.queries);
        let mut list = self.take();
        if queries.is_empty() {
            return (!list.is_empty()).then_some(Pending { body: Body::Rows(list), touched: Vec::new() });
        }
        let (mut parts, mut touched, mut passed) = (Vec::new(), Vec::new(), 0);
        for Covering { from, to, query } in queries {
            let rows: Vec<Change> = list.drain(..from - passed).collect();
            if !rows.is_empty() {
                parts.push(Part::Rows(rows));
            }
            touched.extend(list.drain(..to - from));
            parts.push(Part::Query(query));
            passed = to;
        }
        if !list.is_empty() {
            parts.push(Part::Rows(list));
        }
        Some(Pending { body: Body::Parts(parts), touched })
    }

    /// Remembers a change.
    pub(super) fn push(&mut self, change: Change) -> Result<(), SqlError> {
        self.bytes += weight(&change);
        self.list.push(change);
        self.check_size()
    }

    /// Lets a statement's text stand for the changes since the mark, which it made.
    pub fn cover(&mut self, since: Mark, query: Query) -> Result<(), SqlError> {
        self.bytes += text_weight(&query);
        self.queries.push(Covering { from: since.changes, to: self.list.len(), query });
        self.check_size()
    }

    fn check_size(&self) -> Result<(), SqlError> {
        if self.bytes > MAX_TRANSACTION_BYTES {
            let message = "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage; increase this mysqld variable and try again";
            return Err(SqlError::new(1197, "HY000", message));
        }
        Ok(())
    }
}

fn weight(change: &Change) -> usize {
    let values = [&change.before, &change.after].into_iter().flatten().flatten();
    values.map(value_weight).sum::<usize>() + OVERHEAD_BYTES
}

fn text_weight(query: &Query) -> usize {
    let users: usize =
        query.context.users.iter().map(|user| user.name.len() + value_weight(&user.value)).sum();
    query.sql.len() + users + OVERHEAD_BYTES
}

fn value_weight(value: &Stored) -> usize {
    match value {
        Stored::Text(text) => 32 + text.len(),
        Stored::Blob(bytes) => 32 + bytes.len(),
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Context;

    fn change(id: i64) -> Change {
        let after = Some(vec![Stored::Integer(id)]);
        Change { database: "shop".into(), table: "t".into(), before: None, after }
    }

    fn query(sql: &str) -> Query {
        let table = ("shop".into(), "t".into());
        Query { database: "shop".into(), sql: sql.into(), table, context: Context::default() }
    }

    fn pushed(changes: &mut Changes, ids: &[i64]) {
        ids.iter().for_each(|&id| changes.push(change(id)).unwrap());
    }

    #[test]
    fn a_text_stands_for_its_run_of_changes_and_for_no_other() {
        let mut changes = Changes::default();
        pushed(&mut changes, &[1]);
        let mark = changes.mark();
        pushed(&mut changes, &[2, 3]);
        changes.cover(mark, query("two")).unwrap();
        changes.cover(changes.mark(), query("none")).unwrap();
        pushed(&mut changes, &[4]);
        let rows = |id| Part::Rows(vec![change(id)]);
        let parts = vec![rows(1), Part::Query(query("two")), Part::Query(query("none")), rows(4)];
        let touched = vec![change(2), change(3)];
        assert_eq!(changes.take_pending(), Some(Pending { body: Body::Parts(parts), touched }));
        assert_eq!(changes.take_pending(), None);
    }

    #[test]
    fn a_cut_takes_texts_that_changed_nothing_too() {
        let mut changes = Changes::default();
        changes.cover(changes.mark(), query("before")).unwrap();
        let mark = changes.mark();
        changes.cover(mark, query("after")).unwrap();
        pushed(&mut changes, &[1]);
        changes.cut(mark);
        let body = Body::Parts(vec![Part::Query(query("before"))]);
        assert_eq!(changes.take_pending(), Some(Pending { body, touched: vec![] }));
    }
}

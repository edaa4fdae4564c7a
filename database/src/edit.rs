//! One change to one row of one node, with the row that must be there for it to be made.
//!
//! A change of a row is about the columns in which the two rows differ; the others are no business of it.

use crate::row::{Key, Row};
use crate::table::Table;
use crate::value::Value;
use std::sync::Arc;

/// Puts or deletes one row on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The table.
    pub table: Arc<Table>,
    /// The row's key.
    pub key: Key,
    /// What must be there, byte for byte; `None`: nothing.
    pub expected: Option<Row>,
    /// What will be there; `None`: nothing.
    pub wanted: Option<Row>,
}

impl Edit {
    /// The places of the columns in which expected and wanted differ; none unless there are both.
    fn changed(&self) -> Option<Vec<usize>> {
        let (from, to) = (self.expected.as_ref()?.values(), self.wanted.as_ref()?.values());
        let pairs = from.iter().zip(&to).enumerate();
        Some(pairs.filter(|(_, (from, to))| !from.is(to)).map(|(place, _)| place).collect())
    }

    /// Whether a row agrees with `side` of this edit: of a change in the columns that it changes, else in every byte.
    fn agrees(&self, now: Option<&Row>, side: Option<&Row>) -> bool {
        if now == side {
            return true;
        }
        let (Some(changed), Some(now), Some(side)) = (self.changed(), now, side) else { return false };
        let (now, side) = (now.values(), side.values());
        now.len() == side.len() && changed.into_iter().all(|place| now[place].is(&side[place]))
    }

    /// Whether a row that another node holds is as this edit would make it, as far as the edit is concerned.
    #[must_use]
    pub fn is_met_by(&self, now: Option<&Row>) -> bool {
        self.agrees(now, self.wanted.as_ref())
    }

    /// The same change made to what the row holds now: columns that the edit does not change are as they are. None if the
    /// row is not as expected, or if what is computed from other columns cannot be foretold.
    #[must_use]
    pub fn rebased(&self, now: Option<&Row>) -> Option<Edit> {
        if now == self.expected.as_ref() {
            return Some(self.clone());
        }
        let computed = self.table.columns.iter().any(|column| column.generated);
        if computed || !self.agrees(now, self.expected.as_ref()) {
            return None;
        }
        let (mut values, wanted) = (now?.values(), self.wanted.as_ref()?.values());
        for place in self.changed()? {
            values[place].clone_from(&wanted[place]);
        }
        Some(Edit { expected: now.cloned(), wanted: Some(Row::new(&values)), ..self.clone() })
    }

    /// Of a table without a key: how many copies of the content there are before and after.
    #[must_use]
    pub fn copies(&self) -> (u64, u64) {
        let of = |row: &Option<Row>| match row.as_ref().and_then(|row| row.values().pop()) {
            Some(Value::Uint(copies)) => copies,
            Some(Value::Int(copies)) => copies.unsigned_abs(),
            _ => 0,
        };
        (of(&self.expected), of(&self.wanted))
    }

    /// The edit that undoes this one.
    #[must_use]
    pub fn turned_back(&self) -> Edit {
        Edit { expected: self.wanted.clone(), wanted: self.expected.clone(), ..self.clone() }
    }
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mending {
    /// The row is as wanted.
    Mended,
    /// The row was as wanted before; nothing was changed.
    Already,
    /// The row was not as expected any more, or was written meanwhile; nothing was changed.
    Moved,
    /// The server would not have it (a unique key of another row, a trigger, a right); nothing was changed.
    Refused(String),
    /// It was called off before it was made; nothing was changed.
    CalledOff,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, Kind};

    fn edit(expected: Option<[i64; 3]>, wanted: Option<[i64; 3]>, generated: bool) -> Edit {
        let column = |name: &str, generated| Column {
            name: name.into(),
            definition: "int".into(),
            kind: Kind::Integer,
            generated,
            restamped: false,
        };
        let table = Table {
            database: "shop".into(),
            name: "t".into(),
            columns: vec![column("id", false), column("a", false), column("b", generated)],
            key: vec![0],
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        };
        Edit {
            table: Arc::new(table),
            key: Key::new(&[Value::Int(1)]),
            expected: expected.map(row),
            wanted: wanted.map(row),
        }
    }

    fn row(values: [i64; 3]) -> Row {
        Row::new(&values.map(Value::Int))
    }

    #[test]
    fn a_change_is_about_the_columns_that_it_changes() {
        let change = edit(Some([1, 5, 7]), Some([1, 6, 7]), false);
        let rebased = change.rebased(Some(&row([1, 5, 9]))).unwrap();
        assert_eq!((rebased.expected, rebased.wanted), (Some(row([1, 5, 9])), Some(row([1, 6, 9]))));
        assert_eq!(change.rebased(Some(&row([1, 4, 7]))), None);
        assert_eq!(change.rebased(None), None);
        assert!(change.is_met_by(Some(&row([1, 6, 0]))) && !change.is_met_by(Some(&row([1, 5, 7]))));
        assert!(!change.is_met_by(None));
        let computed = edit(Some([1, 5, 7]), Some([1, 6, 8]), true);
        assert_eq!(computed.rebased(Some(&row([1, 5, 9]))), None);
        assert_eq!(computed.rebased(Some(&row([1, 5, 7]))), Some(computed.clone()));
    }

    #[test]
    fn what_comes_or_goes_is_compared_whole() {
        let gone = edit(Some([1, 5, 7]), None, false);
        assert_eq!(gone.rebased(Some(&row([1, 5, 8]))), None);
        assert!(gone.is_met_by(None) && !gone.is_met_by(Some(&row([1, 5, 7]))));
        let new = edit(None, Some([1, 5, 7]), false);
        assert_eq!(new.rebased(None), Some(new.clone()));
        assert!(!new.is_met_by(Some(&row([1, 5, 8]))));
        assert_eq!(new.turned_back().wanted, None);
    }
}

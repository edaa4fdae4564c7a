//! A table for unit tests, so that each says only what it is about.

use database::{Column, Kind, Table};
use std::sync::Arc;

/// A table of integers, whose first column is its key; names and definitions of the columns.
pub(crate) fn integers(columns: &[(&str, &str)]) -> Arc<Table> {
    let column = |(name, definition): &(&str, &str)| Column {
        name: (*name).into(),
        kind: Kind::Integer,
        definition: (*definition).into(),
        generated: false,
        restamped: false,
    };
    Arc::new(Table {
        database: "shop".into(),
        name: "t".into(),
        columns: columns.iter().map(column).collect(),
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    })
}

//! From MySQL's SQL to SQLite's, and from MySQL's types to stored values and back.
//!
//! A SELECT is translated into one SQLite statement (`select`, `expression`, `calls`), whose every expression
//! carries the kind of its value, so that decimals, times and text compare in MySQL's way. What writes is
//! executed here row by row (`dml`, `ddl`) on top of `storage`.

pub mod aggregates;
pub mod alter;
pub mod calls;
pub mod coerce;
pub mod collation;
pub mod compare;
pub mod ddl;
pub mod decimal;
mod depth;
pub mod dml;
pub mod expression;
pub mod from;
pub mod functions;
pub mod information_schema;
pub mod insert;
pub mod literals;
pub mod number;
pub mod output;
pub mod parse;
mod predicates;
pub mod scope;
pub mod select;
pub mod show;
mod string_functions;
pub mod table_statements;
pub mod temporal;
mod time_calls;
mod time_functions;
pub mod types;

pub use string_functions::{hex, random_uuid};

//! From MySQL's SQL to SQLite's, and from MySQL's types to stored values and back.
//!
//! A SELECT is translated into one SQLite statement (`select`, `expression`, `calls`), whose every expression
//! carries the kind of its value, so that decimals, times and text compare in MySQL's way. What writes is
//! executed here row by row (`dml`, `ddl`) on top of `storage`.

pub mod aggregates;
pub mod agree;
pub mod alter;
pub mod bits;
pub mod calls;
pub mod casts;
mod clauses;
pub mod coerce;
pub mod collation;
pub mod comments;
pub mod compare;
pub mod conditions;
mod date_format;
pub mod ddl;
pub mod decimal;
mod definition_clauses;
mod depth;
pub mod dml;
pub mod environment;
pub mod explain;
pub mod expression;
pub mod from;
mod full_group;
pub mod functions;
mod ids;
pub mod information_schema;
pub mod insert;
pub mod literals;
pub mod locks;
mod members;
pub mod number;
pub mod output;
pub mod parse;
pub mod pending;
mod predicates;
pub mod rand;
pub mod safe_updates;
pub mod safety;
pub mod scope;
pub mod select;
pub mod show;
mod single;
mod spelled;
mod string_functions;
pub mod surroundings;
pub mod table_statements;
pub mod targets;
pub mod temporal;
pub mod text_bytes;
mod time_calls;
mod time_functions;
pub mod titles;
pub mod truth;
pub mod types;

pub use spelled::with_values;
pub use string_functions::{hex, name_like, random_uuid};

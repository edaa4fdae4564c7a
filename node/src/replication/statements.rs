//! The administrator's statements: links, log, positions.
pub mod words;

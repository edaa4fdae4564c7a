//! checker.

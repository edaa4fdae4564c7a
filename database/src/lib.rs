//! The shared nouns, and the one seam to any database.
pub mod gtid;
pub use gtid::{Gtid, GtidSet};

//! The shared nouns, and the one seam to any database.
pub mod gtid;
pub mod secret;
pub use gtid::{Gtid, GtidSet};
pub use secret::Secret;

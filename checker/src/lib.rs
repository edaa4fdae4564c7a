//! The checker: finds the rows on which nodes disagree. It cannot write to a user's table.
//!
//! # The model
//!
//! Replication is asynchronous and the nodes are being written to, so two honest readings of one row on two nodes may
//! differ. A *mismatch* is therefore a question. For each table, chunk by chunk on all nodes at once
//! ([`walk`]), rows are read and digested; digests go into the ledger, through each node's own log. Where digests
//! differ the rows that differ are found in the readings themselves ([`locate`]), and at the end of the table they are
//! *settled* ([`settle`]) with the help of watermarks ([`watermark`]): identical after all, different, or unsettled.
//!
//! # What a verdict says
//!
//! * *identical*: the chunks that were read were equal; and each row that was not, in those readings made at slightly
//!   different moments, was found equal in the same way in which a row is found different.
//! * *different*: the row was the same on each node from before the watermarks were written until after every
//!   node had shown all of them, and yet not the same on all nodes. No write that had been committed anywhere
//!   was still on its way; so nothing that replication does can make these nodes agree.
//! * *unsettled*: neither could be shown within the bounds. *skipped*: not looked at, with the reason. Neither counts
//!   as identical.
//!
//! # Invariants
//!
//! * Nothing here holds a [`database::Writer`]. What is written goes through [`database::Ledger`].
//! * Nothing here knows how a node keeps its rows; keys are compared for equality only.
//! * Every wait and every buffer has a bound; the bounds are constants beside their use.

mod booking;
pub mod checkpoint;
pub mod cut;
pub mod fingerprint;
#[cfg(test)]
mod fixtures;
pub mod lineup;
pub mod locate;
pub mod multiset;
pub mod pace;
pub mod progress;
pub mod report;
pub mod run;
pub mod scout;
pub mod sections;
pub mod selection;
pub mod settle;
pub mod station;
pub mod stop;
pub mod throttle;
pub mod walk;
pub mod watermark;

pub use checkpoint::{Checkpoint, Forgetful, Keeper, KeptLeaf, KeptRows, KeptTable, Part};
pub use pace::ChunkSize;
pub use progress::{Progress, Silent, Step};
pub use report::{
    Course, Definition, Divergence, NodeFingerprint, Report, TableReport, Unsettled, Verdict, Version,
};
pub use run::{Crew, Lane, Manners, Member, Options, check, check_gently, check_keys};
pub use selection::{Selection, SelectionError, glob};
pub use stop::Stop;
pub use throttle::{Cause, Gate, Held, LinkSight, LoadSight, Reason, Sight, Throttle};

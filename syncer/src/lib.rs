//! The syncer: turns disagreement into a plan, and the plan into agreement.
//!
//! A repair is a *plan* before it is a write ([`plan`]): a policy ([`policy`]) names the winner of each divergence, and
//! the plan holds one edit per differing row and node, each with the row that it expects. What the plan prints is what is
//! carried out ([`mod@execute`]), edit by edit and guarded, with the row as it was in the journal ([`journal`]) before
//! anything is written. A journal can be turned round into a plan that undoes it.
//!
//! # Invariants
//!
//! * Nothing is touched that the plan does not name.
//! * An edit whose row is not as expected, or was written meanwhile, is not made.
//! * A repair is not a verification: what was repaired is read again on all nodes, and the summary says what was seen.

mod batch;
pub mod error;
pub mod execute;
pub mod journal;
pub mod plan;
pub mod policy;

pub use error::ExecuteError;
pub use execute::{Manners, Member, Mended, Options, Summary, execute};
pub use journal::{Journal, JournalError};
pub use plan::{Plan, PlanError, PlannedNode, Step, Undecided, make_plan, undo_plan};
pub use policy::{Decision, Policies, Policy};

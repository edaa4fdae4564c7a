//! The conformance kit: what every implementation of [`Reader`], [`Writer`] and [`Ledger`] must do, as cases that run anywhere.
//!
//! An implementation brings a [`Fixture`], which fills tables and writes to them as an application would. The kit never
//! asks how rows are watched: where the implementation holds locks, an application's write to a watched row has to
//! wait and gives up; where it reads the log, the write goes through. Either way the same must follow: a row that
//! was written is not still, and an edit to it is not made.
//!
//! Invariant: each case loads its own tables, and says in its error what it found, so a report can be read without
//! this file. Not here: speed, and how values of every type of every server arrive, which is each driver's own test.

mod counting;
mod ledger;
mod reading;
mod sample;
mod sql;
mod writing;

pub use sql::SqlFixture;

use self::counting::*;
use self::reading::*;
use self::writing::*;
use crate::edit::Edit;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::row::Row;
use crate::table::Table;
use crate::{Reader, Writer};
use std::fmt;
use std::future::Future;

/// One implementation under test, with a way to fill it and to write to it behind the kit's back.
pub trait Fixture {
    /// What is tested.
    type Node: Writer;

    /// What is tested.
    fn node(&mut self) -> &mut Self::Node;

    /// Drops all tables of the database `shop` and makes these, with these rows.
    fn load(&mut self, tables: &[(Table, Vec<Row>)]) -> impl Future<Output = Result<(), String>> + Send;

    /// Puts or deletes a row as an application does: through the log, in a transaction of its own, whatever was there.
    /// False if it had to wait for a lock and gave up.
    fn write(&mut self, edit: &Edit) -> impl Future<Output = Result<bool, String>> + Send;

    /// Whether a condition in SQL can limit what is read ([`Table::filter`]).
    fn knows_conditions(&self) -> bool {
        true
    }

    /// Whether texts in keys are ordered as their collation says; if not, in some other total order.
    fn collates(&self) -> bool {
        true
    }

    /// Whether the node digests chunks itself.
    fn digests(&self) -> bool {
        true
    }

    /// Whether a NULL in a NOT NULL column is refused.
    fn enforces_types(&self) -> bool {
        true
    }
}

/// What became of the cases.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The cases that did as they must.
    pub passed: Vec<&'static str>,
    /// The others, with what was found.
    pub failed: Vec<(&'static str, String)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cases passed", self.passed.len(), self.passed.len() + self.failed.len())?;
        self.failed.iter().try_for_each(|(case, found)| write!(f, "\n{case}: {found}"))
    }
}

/// Why a case failed.
#[derive(Debug)]
struct Failure(String);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure(text)
    }
}

type Case = Result<(), Failure>;

/// Fails unless the two are equal.
fn equal<T: PartialEq + fmt::Debug>(what: &str, found: &T, must: &T) -> Case {
    if found == must { Ok(()) } else { Err(Failure(format!("{what}: found {found:?}, not {must:?}"))) }
}

impl Outcome {
    fn note(&mut self, name: &'static str, case: Case) {
        match case {
            Ok(()) => self.passed.push(name),
            Err(Failure(found)) => self.failed.push((name, found)),
        }
    }
}

/// Runs the cases of a ledger; `node` is the same node's reader.
pub async fn run_ledger<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.note("a_ledger_can_be_prepared_twice", ledger::prepared_twice(node, ledger).await);
    outcome.note("a_mark_is_shown_to_its_run_alone", ledger::marks(node, ledger).await);
    outcome.note("checksums_go_through_the_log_once", ledger::checksums(node, ledger).await);
    outcome
}

/// Runs the cases of a ledger that keeps nothing: what holds of marks there too, and that nothing is written.
pub async fn run_positions<R: Reader, L: Ledger>(node: &mut R, ledger: &mut L) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.note("a_ledger_can_be_prepared_twice", ledger::prepared_twice(node, ledger).await);
    outcome.note("a_position_is_shown_to_its_run_alone", ledger::positions(node, ledger).await);
    outcome
}

/// Runs all cases, one after the other.
pub async fn run<F: Fixture>(fixture: &mut F) -> Outcome {
    let mut outcome = Outcome::default();
    macro_rules! cases {
        ($($case:ident),* $(,)?) => { $(outcome.note(stringify!($case), $case(fixture).await);)* };
    }
    cases![
        tables_are_listed_in_order_with_their_keys,
        boundaries_cover_every_row_exactly_once,
        chunks_are_half_open_and_limited,
        the_filter_limits_what_is_walked,
        a_row_that_left_the_filter_is_found_by_its_key,
        rows_by_key_come_in_the_order_asked,
        values_of_every_kind_come_back_bit_for_bit,
        a_digest_made_by_the_node_tells_rows_apart,
        a_quiet_row_is_still_and_a_written_one_is_not,
        a_row_written_and_written_back_is_not_still,
        a_pinned_gap_is_watched,
        contents_without_a_key_are_counted,
        one_more_copy_changes_the_digest_of_one_bucket,
        a_table_without_a_key_is_still_until_it_is_written,
        edits_of_all_kinds_are_made_outside_the_log,
        an_edit_called_off_changes_nothing,
        an_unexpected_row_is_left,
        a_row_written_since_the_guard_is_left,
        a_row_written_back_since_the_guard_is_left,
        a_refused_edit_costs_only_itself,
        a_unique_key_moves_between_rows,
        a_guard_is_good_for_one_mending,
    ];
    outcome
}

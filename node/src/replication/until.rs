//! START SLAVE UNTIL: where an applier stops by itself.
//!
//! It is asked before each transaction, and again when there is none. A place is one of the source's log. The condition
//! belongs to one start of the applier and is forgotten with the next. Not here: places of a relay log.

use super::position::LogPosition;
use super::record::Record;
use database::GtidSet;

/// The condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing that begins at this place of the source's log, or behind it, is applied.
    Place(LogPosition),
    /// Nothing of this set is applied: the first of it ends the applier.
    Before(GtidSet),
    /// When all of this set is executed the applier ends.
    After(GtidSet),
}

impl Until {
    /// The name that SHOW SLAVE STATUS has for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Until::Place(_) => "Master",
            Until::Before(_) => "SQL_BEFORE_GTIDS",
            Until::After(_) => "SQL_AFTER_GTIDS",
        }
    }

    /// The place, if it is one.
    #[must_use]
    pub fn place(&self) -> Option<LogPosition> {
        match self {
            Until::Place(place) => Some(*place),
            _ => None,
        }
    }

    /// Whether the applier is to stop, if this transaction is the next (none: nothing waits, and the source has been read
    /// up to `read`) and these are executed.
    #[must_use]
    pub fn is_reached(&self, next: Option<&Record>, read: Option<LogPosition>, executed: &GtidSet) -> bool {
        match self {
            Until::Place(place) => next.map(|next| next.position).or(read).is_some_and(|at| at >= *place),
            Until::Before(set) => {
                executed.contains_all(set) || next.is_some_and(|next| set.contains(&next.gtid))
            }
            Until::After(set) => executed.contains_all(set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::Gtid;

    #[test]
    fn each_condition_is_reached_where_mysql_says() {
        let next = |sequence: u64| Record {
            position: LogPosition { file: 1, pos: 100 * sequence },
            end_pos: 100 * sequence + 100,
            gtid: Gtid { origin: "a".into(), sequence },
            server_id: 1,
            committed_at_ms: 0,
            payload: Vec::new(),
        };
        let executed: GtidSet = "a:1-3".parse().unwrap();
        let reached = |until: &Until, sequence| until.is_reached(Some(&next(sequence)), None, &executed);
        let place = Until::Place(LogPosition { file: 1, pos: 500 });
        assert!(!reached(&place, 4) && reached(&place, 5) && reached(&place, 6));
        assert!(place.is_reached(None, Some(LogPosition { file: 2, pos: 4 }), &executed));
        assert!(!place.is_reached(None, None, &executed));
        let before = Until::Before("a:5-6".parse().unwrap());
        assert!(!reached(&before, 4) && reached(&before, 5));
        assert!(!before.is_reached(None, None, &executed));
        assert!(reached(&Until::After("a:2-3".parse().unwrap()), 4));
        assert!(!reached(&Until::After("a:2-4".parse().unwrap()), 4));
    }
}

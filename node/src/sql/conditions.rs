//! What a statement notes about values on its way: a text that is no number, a division by zero, a text that is no date.
//!
//! Values are converted inside SQLite, by functions that know nothing of the session, and literals while a statement is
//! translated. Both happen on the thread of the session whose statement it is, so notes are kept for the thread: [`begin`] before
//! the statement, [`take`] behind it. Where nothing is noted that costs two looks at a flag for each statement, and none for a value: the place
//! of a note is reached only where a value is not what it should be.
//!
//! The words and the numbers are MariaDB's, where a note of a SELECT is an error of a statement that writes if `sql_mode` is strict
//! ([`Noted::refusal`]); what fits no column is refused where it is stored (`coerce`). Of a literal in a condition MariaDB makes an error, a warning or
//! nothing as its optimizer takes it; here it is a warning. Not here: which rows SQLite looks at, so that of a condition on many rows there may be more
//! or fewer notes than MariaDB gives. How many are kept for the client is the session's affair (`max_error_count`); here they have a bound in bytes.

use std::cell::RefCell;

use super::decimal::Decimal;
use super::number::{integer_prefix, text_to_double};
use super::temporal::DateTime;
use crate::SqlError;

/// The state of a warning that is only a note.
pub const NOTE: &str = "00000";
/// The number of a division by zero, which only counts where `sql_mode` says so.
pub const DIVISION: u16 = 1365;
/// What the kept notes of one statement may take together. The others are counted.
const MAX_BYTES: usize = 1 << 20;
/// A literal that is converted again was noted so few notes ago.
const REPEATED: usize = 16;
/// How much of a value is shown, in characters.
const SHOWN: usize = 128;

/// What statements left behind.
#[derive(Debug, Default)]
pub struct Noted {
    /// The notes, the first ones if there are too many.
    pub list: Vec<SqlError>,
    /// How many there were.
    pub count: u64,
    /// How many of them were divisions by zero.
    pub divisions: u64,
    /// The first in spite of which the statement does not write.
    pub refusal: Option<SqlError>,
}

/// What a statement does not write in spite of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refuses {
    /// A text that is not what it is taken for.
    pub values: bool,
    /// A division by zero.
    pub divisions: bool,
}

#[derive(Default)]
struct Area {
    on: bool,
    refuses: Refuses,
    /// Whether what is looked at now are values to be written.
    strict: bool,
    /// Whether what is evaluated now is only a condition.
    lenient: bool,
    noted: Noted,
    bytes: usize,
}

thread_local! {
    static AREA: RefCell<Area> = RefCell::default();
}

/// From now on notes are taken on this thread, and those of before are forgotten.
pub fn begin() {
    AREA.with_borrow_mut(|area| *area = Area { on: true, ..Area::default() });
}

/// The same for a statement that writes.
pub fn begin_writing(refuses: Refuses) {
    AREA.with_borrow_mut(|area| *area = Area { on: true, refuses, ..Area::default() });
}

/// An error once something was noted in spite of which the statement does not write. It is asked before each row is written, so that
/// nothing needs to be undone.
pub fn refused() -> Result<(), SqlError> {
    AREA.with_borrow(|area| area.noted.refusal.clone().map_or(Ok(()), Err))
}

/// Ends it and gives what was noted.
pub fn take() -> Noted {
    AREA.with_borrow_mut(|area| {
        (area.on, area.refuses) = (false, Refuses::default());
        std::mem::take(&mut area.noted)
    })
}

/// Does something of which no notes are to be taken.
pub fn quietly<T>(what: impl FnOnce() -> T) -> T {
    let on = AREA.with_borrow_mut(|area| std::mem::replace(&mut area.on, false));
    let done = what();
    AREA.with_borrow_mut(|area| area.on = on);
    done
}

/// Does something with values that are to be written: then it counts what a literal is, too.
pub fn strictly<T>(what: impl FnOnce() -> T) -> T {
    let strict = AREA.with_borrow_mut(|area| std::mem::replace(&mut area.strict, true));
    let done = what();
    AREA.with_borrow_mut(|area| area.strict = strict);
    done
}

/// Does something with a condition in the midst of what is to be written.
pub fn as_condition<T>(what: impl FnOnce() -> T) -> T {
    let strict = AREA.with_borrow_mut(|area| std::mem::replace(&mut area.strict, false));
    let done = what();
    AREA.with_borrow_mut(|area| area.strict = strict);
    done
}

/// Whether values that are to be written are looked at, and a text among them that is no number refused. Such a one is
/// noted where it is evaluated: it may stand in a branch that is not taken.
#[must_use]
pub fn waits_for_evaluation() -> bool {
    AREA.with_borrow(|area| area.on && area.strict && area.refuses.values)
}

/// Does something that evaluates only a condition, of which MariaDB only warns.
pub fn leniently<T>(what: impl FnOnce() -> T) -> T {
    let lenient = AREA.with_borrow_mut(|area| std::mem::replace(&mut area.lenient, true));
    let done = what();
    AREA.with_borrow_mut(|area| area.lenient = lenient);
    done
}

/// Does something with values that are to be written if there is a row for them; what it notes is [`add`]ed then.
pub fn apart<T>(what: impl FnOnce() -> T) -> (T, Noted) {
    let before = AREA.with_borrow_mut(|area| std::mem::take(&mut area.noted));
    let done = strictly(what);
    (done, AREA.with_borrow_mut(|area| std::mem::replace(&mut area.noted, before)))
}

/// Adds what was noted apart.
pub fn add(mut more: Noted) {
    AREA.with_borrow_mut(|Area { noted, .. }| {
        noted.list.append(&mut more.list);
        noted.count += more.count;
        noted.divisions += more.divisions;
        noted.refusal = noted.refusal.take().or(more.refusal);
    });
}

fn note(once: bool, condition: impl FnOnce() -> SqlError) {
    AREA.with_borrow_mut(|area| {
        if !area.on {
            return;
        }
        let condition = condition();
        let counts = !area.lenient && (area.strict || !once) && condition.state != NOTE;
        let refuses = if condition.code == DIVISION { area.refuses.divisions } else { area.refuses.values };
        if counts && refuses {
            area.noted.refusal.get_or_insert_with(|| condition.clone());
        }
        if once && area.noted.list.iter().rev().take(REPEATED).any(|noted| *noted == condition) {
            return;
        }
        area.noted.count += 1;
        area.noted.divisions += u64::from(condition.code == DIVISION);
        area.bytes += condition.message.len() + size_of::<SqlError>();
        if area.bytes <= MAX_BYTES {
            area.noted.list.push(condition);
        }
    });
}

/// What a text is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenFor {
    /// In arithmetic.
    Double,
    /// Compared with an integer.
    Decimal,
    /// CAST AS SIGNED.
    Integer,
}

impl TakenFor {
    fn name(self) -> &'static str {
        match self {
            TakenFor::Double => "DOUBLE",
            TakenFor::Decimal => "DECIMAL",
            TakenFor::Integer => "INTEGER",
        }
    }

    /// Its number in a call of SQLite's text.
    #[must_use]
    pub fn mark(self) -> i64 {
        match self {
            TakenFor::Double => 0,
            TakenFor::Decimal => 1,
            TakenFor::Integer => 2,
        }
    }

    /// The one of that number.
    #[must_use]
    pub fn of_mark(mark: i64) -> TakenFor {
        [TakenFor::Double, TakenFor::Decimal, TakenFor::Integer]
            .into_iter()
            .find(|number| number.mark() == mark)
            .unwrap_or(TakenFor::Double)
    }
}

/// The text as a double, noted if it is not all of it. A literal, which may be looked at several times, is noted `once`.
pub fn double_of(text: &str, number: TakenFor, once: bool) -> f64 {
    check(text, number, once);
    text_to_double(text)
}

/// Notes a literal that is no such number. False if that is left to who evaluates it.
#[must_use]
pub fn literal(text: &str, number: TakenFor) -> bool {
    let (fits, rest) = beginning(text, number);
    if waits_for_evaluation() && !(fits && rest.is_empty()) {
        return false;
    }
    check(text, number, true);
    true
}

/// Whether a text begins with such a number, and what is behind it.
fn beginning(text: &str, number: TakenFor) -> (bool, &str) {
    match number {
        TakenFor::Integer => {
            let (found, rest) = integer_prefix(text);
            (found.is_some_and(|n| i64::try_from(n).is_ok() || u64::try_from(n).is_ok()), rest)
        }
        _ => {
            let (found, rest) = Decimal::parse_prefix(text.trim_start());
            (found.is_some(), rest)
        }
    }
}

/// Notes a text that is no number, or begins with one; spaces behind it are worth a note only.
pub fn check(text: &str, number: TakenFor, once: bool) {
    let (fits, rest) = beginning(text, number);
    if fits && rest.is_empty() {
        return;
    }
    let only_spaces = fits && rest.trim_end().is_empty();
    note(once, || {
        let message = format!("Truncated incorrect {} value: '{}'", number.name(), shown(text));
        SqlError::new(1292, if only_spaces { NOTE } else { "22007" }, message)
    });
}

/// The moment that a text is, noted if it is none.
#[must_use]
pub fn moment_of(text: &str) -> Option<DateTime> {
    DateTime::parse(text).or_else(|| incorrect("datetime", text))
}

/// Notes that a text is no value of this kind.
pub fn incorrect<T>(kind: &str, text: &str) -> Option<T> {
    note(false, || SqlError::new(1292, "22007", format!("Incorrect {kind} value: '{}'", shown(text))));
    None
}

/// Notes that a moment, or a time, moved beyond what there is.
pub fn overflow<T>(kind: &str) -> Option<T> {
    let message = || format!("Datetime function: {kind} field overflow");
    note(false, || SqlError::new(1441, "22008", message()));
    None
}

/// Notes a division by zero, and what MariaDB takes for one: a logarithm of what has none.
pub fn division_by_zero() {
    note(false, || SqlError::new(DIVISION, "22012", "Division by 0"));
}

/// Notes a number that has more digits than CAST AS DECIMAL leaves it.
pub fn too_many_digits(once: bool) {
    note(once, || SqlError::new(1264, "22003", "Out of range value for column 'CAST' at row 1"));
}

fn shown(text: &str) -> &str {
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<String> {
        take().list.into_iter().map(|one| format!("{} {}", one.state, one.message)).collect()
    }

    #[test]
    fn what_is_no_number_is_noted_and_spaces_behind_one_are_a_note() {
        begin();
        for text in ["1", " 1.5e3", "", "1x", "2 "] {
            let _ = double_of(text, TakenFor::Double, false);
        }
        check("y", TakenFor::Decimal, true);
        check("y", TakenFor::Decimal, true);
        assert_eq!(
            messages(),
            [
                "22007 Truncated incorrect DOUBLE value: ''",
                "22007 Truncated incorrect DOUBLE value: '1x'",
                "00000 Truncated incorrect DOUBLE value: '2 '",
                "22007 Truncated incorrect DECIMAL value: 'y'",
            ]
        );
    }

    #[test]
    fn a_literal_of_a_condition_refuses_nothing_and_a_value_does() {
        let refusal = || take().refusal.map(|error| error.message);
        let (values, all) =
            (Refuses { values: true, divisions: false }, Refuses { values: true, divisions: true });
        begin_writing(values);
        check("x", TakenFor::Decimal, true);
        check("2 ", TakenFor::Double, false);
        division_by_zero();
        leniently(|| check("z", TakenFor::Double, false));
        assert_eq!((refused(), refusal()), (Ok(()), None));
        begin_writing(values);
        strictly(|| check("y", TakenFor::Decimal, true));
        check("z", TakenFor::Double, false);
        assert_eq!(refused().unwrap_err().code, 1292);
        assert_eq!(refusal().as_deref(), Some("Truncated incorrect DECIMAL value: 'y'"));
        begin_writing(all);
        let ((), apart) = apart(|| check("y", TakenFor::Decimal, true));
        check("z", TakenFor::Decimal, true);
        assert_eq!((refused(), AREA.with_borrow(|area| area.noted.count)), (Ok(()), 1));
        add(apart);
        assert_eq!((refused().unwrap_err().code, AREA.with_borrow(|area| area.noted.count)), (1292, 2));
        begin_writing(all);
        division_by_zero();
        assert_eq!(refusal().as_deref(), Some("Division by 0"));
        begin();
        strictly(|| check("y", TakenFor::Decimal, true));
        assert_eq!(refusal(), None);
    }

    #[test]
    fn nothing_is_noted_before_the_beginning_and_behind_the_end_and_all_are_counted() {
        division_by_zero();
        begin();
        quietly(division_by_zero);
        assert_eq!(take().count, 0);
        begin();
        let long = "é".repeat(10_000);
        for _ in 0..20_000 {
            check(&long, TakenFor::Integer, false);
        }
        division_by_zero();
        let noted = take();
        assert_eq!((noted.count, noted.divisions), (20_001, 1));
        assert!(noted.list.len() < 5_000 && noted.list[0].message.len() < 400);
        division_by_zero();
        assert_eq!(take().count, 0);
    }
}

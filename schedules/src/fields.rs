//! The five fields of crontab(5), each as the set of its values.
//!
//! A field is a list of parts separated by commas; a part is a value, or a range `first-last` or `*` with or without a step
//! `/n`. Months and weekdays have names of three letters, in any case. 0 and 7 are Sunday, and Sunday ends a range when
//! it is named (`Fri-Sun`) or is 7. A value with a step (`5/10`) is refused: some crons take it as a range to the end of the
//! field, and some forget the step.
//!
//! How: every part is checked and entered into a bit set, so that nothing of the user's text reaches the crate `cron`,
//! whose dialect reads the same signs differently; it is given plain lists of numbers and names.
//!
//! Invariant: a [`Field`] has at least one value, and each lies within its bounds. What is refused is refused with the field,
//! the part, and what is allowed there; the signs of other dialects (`?`, `L`, `W`, `#` of Quartz, `~` of cronie, `H` of
//! Jenkins) with what to write instead. Not here: whether the fields together ever come true.

/// A field's place, bounds and names.
pub(crate) struct Place {
    name: &'static str,
    first: u32,
    last: u32,
    /// The names of the values from `first` on.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const SUNDAY_AS_END: u32 = 7;

pub(crate) const MINUTE: Place = Place { name: "minute", first: 0, last: 59, names: &[] };
pub(crate) const HOUR: Place = Place { name: "hour", first: 0, last: 23, names: &[] };
pub(crate) const DAY: Place = Place { name: "day of month", first: 1, last: 31, names: &[] };
pub(crate) const MONTH: Place = Place { name: "month", first: 1, last: 12, names: &MONTHS };
pub(crate) const WEEKDAY: Place = Place { name: "day of week", first: 0, last: 6, names: &WEEKDAYS };

/// The values of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Bit `n` stands for the value `n`.
    bits: u64,
    /// Whether its text begins with `*`, which is what cron goes by where a field counts as unrestricted.
    pub(crate) starred: bool,
}

impl Field {
    /// The values, in order.
    pub(crate) fn values(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |value| self.bits >> value & 1 == 1)
    }

    /// How many values there are.
    pub(crate) fn count(self) -> u32 {
        self.bits.count_ones()
    }
}

impl Place {
    /// The field that this text means here.
    ///
    /// # Errors
    /// A sentence that names the field, the part of it that is wrong, and what is allowed.
    pub(crate) fn read(&self, text: &str) -> Result<Field, String> {
        let mut bits = 0;
        for part in text.split(',') {
            let values = self.part(part).map_err(|reason| match part == text {
                true => format!("{} '{text}': {reason}", self.name),
                false => format!("{} '{text}', in '{part}': {reason}", self.name),
            })?;
            bits |= values;
        }
        Ok(Field { bits, starred: text.starts_with('*') })
    }

    /// The values as the crate `cron` reads them: a star, numbers, or names where its numbers differ from ours.
    pub(crate) fn translated(&self, field: Field) -> String {
        if field.count() == self.last - self.first + 1 {
            return "*".into();
        }
        field.values().map(|value| self.named(value)).collect::<Vec<_>>().join(",")
    }

    /// The values of one part, as bits.
    fn part(&self, part: &str) -> Result<u64, String> {
        if part.is_empty() {
            return Err(format!("a value is missing; {}", self.allowed()));
        }
        if let Some(hint) = self.foreign(part) {
            return Err(hint);
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (self.first, self.last),
            (_, Some((first, last))) => self.ends(first, last)?,
            (_, None) if step.is_some() => {
                let end = self.last;
                return Err(format!("a step follows a range; write {range}-{end}, or *, before its '/'"));
            }
            (_, None) => (self.value(range)?, self.value(range)?),
        };
        if last < first {
            return Err(format!(
                "the range ends before it begins; write it as two, such as {}",
                self.two(range)
            ));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        Ok((first..=last).step_by(step).fold(0_u64, |bits, value| bits | 1 << self.folded(value)))
    }

    /// The two parts that say what a range over the end was meant to.
    fn two(&self, range: &str) -> String {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let shown = |value: u32| {
            if number(first).is_some() { value.to_string() } else { self.named(value) }
        };
        format!("{first}-{},{}-{last}", shown(self.last), shown(self.first))
    }

    /// The value by its name, if it has one.
    fn named(&self, value: u32) -> String {
        let named = self.names.iter().zip(self.first..).find(|(_, of)| *of == value);
        named.map_or(value.to_string(), |(name, _)| (*name).to_owned())
    }

    fn weekday(&self) -> bool {
        self.names.len() == WEEKDAYS.len()
    }

    /// Sunday once, however it was written.
    fn folded(&self, value: u32) -> u32 {
        if self.weekday() { value % SUNDAY_AS_END } else { value }
    }

    /// The ends of a range, in which a Sunday by name comes after the other days.
    fn ends(&self, first: &str, last: &str) -> Result<(u32, u32), String> {
        let (from, to) = (self.value(first)?, self.value(last)?);
        let named_sunday = self.weekday() && to == 0 && from > 0 && number(last).is_none();
        Ok((from, if named_sunday { SUNDAY_AS_END } else { to }))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        if let Some((_, value)) =
            self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(text))
        {
            return Ok(value);
        }
        if text.is_empty() {
            return Err(format!("a value is missing; {}", self.allowed()));
        }
        let last = if self.weekday() { SUNDAY_AS_END } else { self.last };
        let value = number(text).filter(|value| (self.first..=last).contains(value));
        value.ok_or_else(|| format!("'{text}' is not allowed; {}", self.allowed()))
    }

    fn step(&self, text: &str) -> Result<u32, String> {
        let most = self.last - self.first + 1;
        let step = number(text).filter(|step| (1..=most).contains(step));
        step.ok_or_else(|| format!("'{text}' is no step; allowed are 1 to {most}"))
    }

    fn allowed(&self) -> String {
        match self.names {
            [first, .., last] if self.weekday() => {
                format!("allowed are 0 to 7 (0 and 7 are Sunday) and {first} to {last}")
            }
            [first, .., last] => format!("allowed are {} to {} and {first} to {last}", self.first, self.last),
            _ => format!("allowed are {} to {}", self.first, self.last),
        }
    }

    /// What to write instead, if the part is in another dialect.
    fn foreign(&self, part: &str) -> Option<String> {
        let upper = part.to_ascii_uppercase();
        // what remains of L, W, LW, 5L, 15W and L-3 without the digits
        let letters: String = upper.chars().filter(|sign| !sign.is_ascii_digit()).collect();
        if upper.contains('?') {
            Some("'?' belongs to Quartz; write *".into())
        } else if upper.contains('#') {
            Some("'#' belongs to Quartz; crontab cannot count the weekdays of a month".into())
        } else if matches!(letters.as_str(), "L" | "W" | "LW" | "L-" | "WL") {
            Some("L and W belong to Quartz; crontab cannot name the last or the nearest day".into())
        } else if upper.contains('~') {
            Some("a random pick with '~' is not known; write the earliest time, and give the schedule a jitter".into())
        } else if upper == "H" || upper.starts_with("H/") || upper.starts_with("H(") {
            Some("'H' belongs to Jenkins; write the earliest time, and give the schedule a jitter".into())
        } else {
            None
        }
    }
}

/// A number of plain digits; a sign is none.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(place: &Place, text: &str) -> Vec<u32> {
        place.read(text).expect(text).values().collect()
    }

    #[test]
    fn lists_ranges_steps_and_names_are_sets() {
        assert_eq!(values(&MINUTE, "5,10,5"), [5, 10]);
        assert_eq!(values(&MINUTE, "0-20/10,59"), [0, 10, 20, 59]);
        assert_eq!(values(&MINUTE, "007"), [7]);
        assert_eq!(values(&HOUR, "*/24"), [0]);
        assert_eq!(values(&MONTH, "jan,MAR-May"), [1, 3, 4, 5]);
        assert_eq!(values(&WEEKDAY, "0,7,Sun"), [0]);
        assert_eq!(values(&WEEKDAY, "Fri-Sun"), [0, 5, 6]);
        assert_eq!(values(&WEEKDAY, "5-7"), [0, 5, 6]);
        assert_eq!(values(&WEEKDAY, "0-7"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(values(&WEEKDAY, "sun-tue"), [0, 1, 2]);
        assert_eq!(values(&WEEKDAY, "Sun-Sun"), [0]);
        assert_eq!(values(&WEEKDAY, "1-5/2"), [1, 3, 5]);
    }

    #[test]
    fn only_a_leading_star_makes_a_field_unrestricted() {
        assert!(DAY.read("*/2").expect("a field").starred);
        assert!(DAY.read("*,5").expect("a field").starred);
        assert!(!DAY.read("5,*").expect("a field").starred);
        assert!(!DAY.read("1-31").expect("a field").starred);
    }

    #[test]
    fn a_part_that_is_wrong_is_refused_with_the_field_and_what_is_allowed() {
        for (place, text, reason) in [
            (&MINUTE, "61", "minute '61': '61' is not allowed; allowed are 0 to 59"),
            (&MINUTE, "-5", "minute '-5': a value is missing"),
            (&MINUTE, "+5", "'+5' is not allowed"),
            (&MINUTE, "1-", "a value is missing"),
            (&MINUTE, "1--3", "'-3' is not allowed"),
            (&MINUTE, "1-2-3", "'2-3' is not allowed"),
            (&MINUTE, "5,,6", "minute '5,,6', in '': a value is missing"),
            (&MINUTE, ",", "a value is missing"),
            (&MINUTE, "*/0", "'0' is no step; allowed are 1 to 60"),
            (&MINUTE, "*/", "'' is no step"),
            (&MINUTE, "*/90", "allowed are 1 to 60"),
            (&MINUTE, "5/10", "write 5-59, or *, before its '/'"),
            (&WEEKDAY, "Mon/2", "write Mon-6, or *"),
            (&MINUTE, "*/5/5", "'5/5' is no step"),
            (&MINUTE, "*-5", "'*' is not allowed"),
            (&MINUTE, "**", "'**' is not allowed"),
            (&MINUTE, "99999999999999999999", "allowed are 0 to 59"),
            (&MINUTE, "٣", "'٣' is not allowed"),
            (&MINUTE, "0~30", "jitter"),
            (&MINUTE, "H/15", "jitter"),
            (&HOUR, "a", "hour 'a': 'a' is not allowed; allowed are 0 to 23"),
            (&HOUR, "24", "allowed are 0 to 23"),
            (&HOUR, "22-2", "write it as two, such as 22-23,0-2"),
            (&DAY, "0", "day of month '0': '0' is not allowed; allowed are 1 to 31"),
            (&DAY, "?", "write *"),
            (&DAY, "L", "Quartz"),
            (&DAY, "15W", "Quartz"),
            (&DAY, "L-3", "Quartz"),
            (&MONTH, "13", "month '13': '13' is not allowed; allowed are 1 to 12 and JAN to DEC"),
            (&MONTH, "Nov-Feb", "write it as two, such as Nov-DEC,JAN-Feb"),
            (&MONTH, "january", "'january' is not allowed"),
            (
                &WEEKDAY,
                "8",
                "day of week '8': '8' is not allowed; allowed are 0 to 7 (0 and 7 are Sunday) and SUN to SAT",
            ),
            (&WEEKDAY, "6-1", "write it as two, such as 6-6,0-1"),
            (&WEEKDAY, "5L", "Quartz"),
            (&WEEKDAY, "5#2", "cannot count"),
            (&WEEKDAY, "friday", "'friday' is not allowed"),
        ] {
            let error = place.read(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}

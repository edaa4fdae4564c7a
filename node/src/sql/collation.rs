//! The orders of text, decimals and times, registered with SQLite as collations.
//!
//! Text is ordered exactly as MariaDB 10.11 orders it under the same name: `utf8mb4_general_ci` by one weight per
//! character, `utf8mb4_unicode_ci` by the weights of Unicode 4.0.0, `utf8mb4_bin` by code points. All three ignore
//! trailing spaces (PAD SPACE): the shorter text goes on as if it ended in spaces, so a tab comes before the end.
//! In the first two all characters beyond the basic plane are equal, two emoji too, as they are in MariaDB; a key
//! that has to tell them apart wants `utf8mb4_bin`.
//!
//! SQLite's indexes are sorted by these functions and are wrong when a function changes. Invariant: whatever
//! changes an order also raises [`VERSION`], which the file keeps, so that the store sorts old indexes anew
//! (`storage::resort`). Not here: which collation a comparison takes, which is `compare`'s.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{decimal, temporal};

mod names;
mod weights;

pub use self::names::{CHARSETS, COLLATIONS, known_collation, of_charset, of_connection, unknown};

/// The version of the orders below. A file says with which one its indexes were sorted.
pub const VERSION: i64 = 1;

/// The weight of a space under unicode_ci.
const UNICODE_SPACE: u16 = 0x0209;

/// How text is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collation {
    /// Case and accents do not matter, letter by letter.
    GeneralCi,
    /// Case and accents do not matter, by Unicode's algorithm.
    UnicodeCi,
    /// Code points.
    Bin,
}

impl Collation {
    /// SQLite's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Collation::GeneralCi => "utf8mb4_general_ci",
            Collation::UnicodeCi => "utf8mb4_unicode_ci",
            Collation::Bin => "utf8mb4_bin",
        }
    }

    /// The protocol's number of it.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Collation::GeneralCi => 45,
            Collation::UnicodeCi => 224,
            Collation::Bin => 46,
        }
    }
}

/// Compares under general_ci with PAD SPACE.
#[must_use]
pub fn compare_ci(a: &str, b: &str) -> Ordering {
    let (a, b) = differing(a, b);
    let weight = |c: char| if c.is_ascii() { ascii(c) } else { weights::general(c) };
    padded(a.chars().map(weight), b.chars().map(weight), u16::from(b' '))
}

/// Compares under unicode_ci with PAD SPACE.
#[must_use]
pub fn compare_unicode(a: &str, b: &str) -> Ordering {
    let (a, b) = differing(a, b);
    let weights = |text: &str| text.chars().flat_map(weights::unicode).copied().collect::<Vec<u16>>();
    // a short text is weighed faster than its weights are followed one by one
    padded(weights(a).into_iter(), weights(b).into_iter(), UNICODE_SPACE)
}

/// Compares code points with PAD SPACE.
#[must_use]
pub fn compare_bin(a: &str, b: &str) -> Ordering {
    // the order of UTF-8's bytes is the order of code points, and a space is one byte
    let (a, b) = differing(a, b);
    padded(a.bytes(), b.bytes(), b' ')
}

/// Compares under the collation.
#[must_use]
pub fn compare(collation: Collation, a: &str, b: &str) -> Ordering {
    match collation {
        Collation::GeneralCi => compare_ci(a, b),
        Collation::UnicodeCi => compare_unicode(a, b),
        Collation::Bin => compare_bin(a, b),
    }
}

/// Whether two characters are the same one to LIKE. As in MariaDB, its unicode_ci tells those apart that lie beyond
/// the basic plane.
#[must_use]
pub fn same_character(collation: Collation, a: char, b: char) -> bool {
    a == b
        || match collation {
            Collation::GeneralCi => weights::general(a) == weights::general(b),
            Collation::UnicodeCi => {
                a <= '\u{ffff}' && b <= '\u{ffff}' && weights::unicode(a) == weights::unicode(b)
            }
            Collation::Bin => false,
        }
}

/// Whether two texts are the same one to LOCATE, where a space counts as any other character does.
#[must_use]
pub fn same_text(collation: Collation, a: &str, b: &str) -> bool {
    match collation {
        Collation::GeneralCi => a.chars().map(weights::general).eq(b.chars().map(weights::general)),
        Collation::UnicodeCi => a.chars().flat_map(weights::unicode).eq(b.chars().flat_map(weights::unicode)),
        Collation::Bin => a == b,
    }
}

/// The weights of a text, as WEIGHT_STRING gives them.
#[must_use]
pub fn weigh(collation: Collation, text: &str) -> Vec<u32> {
    match collation {
        Collation::GeneralCi => text.chars().map(|c| u32::from(weights::general(c))).collect(),
        Collation::UnicodeCi => text.chars().flat_map(weights::unicode).map(|w| u32::from(*w)).collect(),
        Collation::Bin => text.chars().map(u32::from).collect(),
    }
}

fn ascii(c: char) -> u16 {
    u16::try_from(u32::from(c.to_ascii_uppercase())).unwrap_or(0)
}

/// What is left of both from the first character in which they differ.
fn differing<'t>(a: &'t str, b: &'t str) -> (&'t str, &'t str) {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let start = (0..=same).rev().find(|&at| a.is_char_boundary(at) && b.is_char_boundary(at)).unwrap_or(0);
    (a.get(start..).unwrap_or(a), b.get(start..).unwrap_or(b))
}

/// Compares weights one by one; the shorter side goes on with spaces.
fn padded<W: Ord + Copy>(
    mut left: impl Iterator<Item = W>,
    mut right: impl Iterator<Item = W>,
    space: W,
) -> Ordering {
    loop {
        let (x, y) = (left.next(), right.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        match x.unwrap_or(space).cmp(&y.unwrap_or(space)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

/// Registers all collations with a connection.
pub fn register(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    conn.create_collation(Collation::GeneralCi.name(), compare_ci)?;
    conn.create_collation(Collation::UnicodeCi.name(), compare_unicode)?;
    conn.create_collation(Collation::Bin.name(), compare_bin)?;
    conn.create_collation("decimal", decimal::compare_text)?;
    conn.create_collation("time", temporal::compare_time_text)
}

#[cfg(test)]
mod tests;

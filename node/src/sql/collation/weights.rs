//! The weights of characters, as MariaDB has them, for every code point of the basic plane.
//!
//! The two text files beside this one were read from a MariaDB 10.11 with `WEIGHT_STRING`, and a test reads them
//! again wherever there is a MariaDB (`node/tests/collation.rs`, which also writes them). A line is a code point
//! or a range in hex, and its weights: `C0-C5 41` all weigh 41, `61-7A 41+` rise by one each. What no line names
//! has the weight that its collation gives to the rest: in general_ci its own code point, in unicode_ci the two
//! weights that version 4.0.0 of Unicode's algorithm computes for characters without an entry.
//!
//! Invariant: a lookup never fails. Characters beyond the basic plane have the weight of U+FFFD, all of them the
//! same one, in both collations. Not here: the comparison, which is the chapter above.

use std::ops::Range;
use std::sync::OnceLock;

/// The code points of the basic plane.
const PLANE: u32 = 0x1_0000;
/// The weight of what lies beyond it.
const REPLACEMENT: u16 = 0xFFFD;

const GENERAL: &str = include_str!("general_ci.txt");
const UNICODE: &str = include_str!("unicode_ci.txt");

/// The code points of a line, its weights, and whether the last of them rises by one from point to point.
struct Line {
    points: Range<u32>,
    weights: Vec<u16>,
    rising: bool,
}

fn lines(text: &'static str) -> impl Iterator<Item = Line> {
    let hex = |word: &str| u32::from_str_radix(word, 16).unwrap_or(0);
    text.lines().map(move |line| {
        let rising = line.ends_with('+');
        let mut words = line.trim_end_matches('+').split(' ');
        let points = words.next().unwrap_or_default();
        let (first, last) = points.split_once('-').unwrap_or((points, points));
        let weights = words.map(|word| u16::try_from(hex(word)).unwrap_or(0)).collect();
        Line { points: hex(first)..hex(last) + 1, weights, rising }
    })
}

impl Line {
    /// The weights of each of the code points.
    fn each(&self) -> impl Iterator<Item = (u32, Vec<u16>)> {
        self.points.clone().enumerate().map(|(nth, point)| {
            let mut weights = self.weights.clone();
            if let (true, Some(last), Ok(nth)) = (self.rising, weights.last_mut(), u16::try_from(nth)) {
                *last = last.saturating_add(nth);
            }
            (point, weights)
        })
    }
}

fn at<T>(list: &[T], c: char) -> Option<&T> {
    usize::try_from(u32::from(c)).ok().and_then(|at| list.get(at))
}

/// The weight of a character under utf8mb4_general_ci.
#[must_use]
pub fn general(c: char) -> u16 {
    static TABLE: OnceLock<Vec<u16>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: Vec<u16> = (0..=u16::MAX).collect();
        for (point, weights) in lines(GENERAL).flat_map(|line| line.each().collect::<Vec<_>>()) {
            let place = usize::try_from(point).ok().and_then(|at| table.get_mut(at));
            if let (Some(place), Some(weight)) = (place, weights.first()) {
                *place = *weight;
            }
        }
        table
    });
    at(table, c).copied().unwrap_or(REPLACEMENT)
}

/// The weights of all characters, one after the other, and where each one's are.
struct Sequences {
    places: Vec<Range<usize>>,
    weights: Vec<u16>,
}

/// The weights of a character under utf8mb4_unicode_ci; none for one that does not count.
#[must_use]
pub fn unicode(c: char) -> &'static [u16] {
    static TABLE: OnceLock<Sequences> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut all: Vec<Vec<u16>> = (0..PLANE).map(|point| implicit(point).to_vec()).collect();
        for (point, weights) in lines(UNICODE).flat_map(|line| line.each().collect::<Vec<_>>()) {
            if let Some(place) = usize::try_from(point).ok().and_then(|at| all.get_mut(at)) {
                *place = weights;
            }
        }
        let mut table = Sequences { places: Vec::with_capacity(all.len()), weights: Vec::new() };
        for weights in all {
            let start = table.weights.len();
            table.weights.extend(weights);
            table.places.push(start..table.weights.len());
        }
        table
    });
    match at(&table.places, c) {
        Some(place) => table.weights.get(place.clone()).unwrap_or(&[]),
        None => &[REPLACEMENT],
    }
}

/// The weights that Unicode's algorithm gives to a character of which its table says nothing.
fn implicit(point: u32) -> [u16; 2] {
    let base: u16 = match point {
        0x4E00..=0x9FA5 => 0xFB40,
        0x3400..=0x4DB5 => 0xFB80,
        _ => 0xFBC0,
    };
    let high = u16::try_from(point >> 15).unwrap_or(0);
    let low = u16::try_from(point & 0x7FFF).unwrap_or(0);
    [base + high, low | 0x8000]
}

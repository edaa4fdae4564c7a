//! RAND() as MySQL has it: two numbers that are its state, so that a statement can be run again with the same chances.
//!
//! A statement draws its seeds once; each RAND() of its text begins somewhere else in what follows from them, and goes on from
//! row to row. RAND(n) begins with n. The state of a call lives as long as SQLite runs the statement. Not for secrets.

use std::cell::{Cell, OnceCell};
use std::sync::Mutex;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use super::string_functions::random_bits;

/// MySQL's modulus: every state is below it.
const MODULUS: u32 = 0x3fff_ffff;

/// What the RAND() calls of one statement begin with. Drawn when the first is met, or given.
#[derive(Debug, Default)]
pub struct Seeds {
    drawn: OnceCell<(u32, u32)>,
    calls: Cell<u32>,
}

impl Seeds {
    /// Seeds that are not to be drawn.
    #[must_use]
    pub fn given(seeds: Option<(u32, u32)>) -> Seeds {
        Seeds { drawn: seeds.map_or_else(OnceCell::new, OnceCell::from), calls: Cell::new(0) }
    }

    /// The statement's seeds.
    pub fn all(&self) -> (u32, u32) {
        *self.drawn.get_or_init(|| {
            let bits = random_bits();
            (below(bits >> 32), below(bits & 0xffff_ffff))
        })
    }

    /// The seeds of the next call in the text; the first one's are the statement's.
    pub fn next(&self) -> (u32, u32) {
        let (one, two) = self.all();
        let call = self.calls.get();
        self.calls.set(call.wrapping_add(1));
        let step = |seed: u32, factor: u64| below(u64::from(seed) + u64::from(call) * factor);
        (step(one, 0x9e37_79b1), step(two, 0x85eb_ca77))
    }
}

fn below(number: u64) -> u32 {
    u32::try_from(number % u64::from(MODULUS)).unwrap_or(0)
}

/// The state that RAND(n) begins with.
fn seeded(number: i64) -> (u32, u32) {
    let number = u64::from_le_bytes(number.to_le_bytes()) & 0xffff_ffff;
    let low = |product: u64| product & 0xffff_ffff;
    (below(low((number * 0x1_0001).wrapping_add(55_555_555))), below(low(number.wrapping_mul(0x1000_0001))))
}

/// The next number in [0, 1).
fn step(state: &mut (u32, u32)) -> f64 {
    state.0 = below(u64::from(state.0) * 3 + u64::from(state.1));
    state.1 = below(u64::from(state.0) + u64::from(state.1) + 33);
    f64::from(state.0) / f64::from(MODULUS)
}

fn integer(value: ValueRef<'_>) -> i64 {
    value.as_i64_or_null().ok().flatten().unwrap_or(0)
}

/// `my_rand(seed, seed)` and `my_rand_of(n)`. SQLite keeps the state beside an argument that is the same for all rows, and
/// forgets it beside one that is not: so RAND(column) begins anew in each row, as in MySQL.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let impure = FunctionFlags::SQLITE_UTF8;
    conn.create_scalar_function("my_rand", 2, impure, |ctx| {
        let seeds =
            (below(integer(ctx.get_raw(0)).unsigned_abs()), below(integer(ctx.get_raw(1)).unsigned_abs()));
        let state = ctx.get_or_create_aux(0, |_| Ok::<_, rusqlite::Error>(Mutex::new(seeds)))?;
        Ok(state.lock().map(|mut state| step(&mut state)).unwrap_or(0.0))
    })?;
    conn.create_scalar_function("my_rand_of", 1, impure, |ctx| {
        let number = integer(ctx.get_raw(0));
        let state = ctx.get_or_create_aux(0, |_| Ok::<_, rusqlite::Error>(Mutex::new(seeded(number))))?;
        Ok(state.lock().map(|mut state| step(&mut state)).unwrap_or(0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_begins_the_sequence_that_it_begins_in_mysql() {
        let mut state = seeded(3);
        let first: Vec<String> = (0..3).map(|_| step(&mut state).to_string()).collect();
        assert_eq!(first, ["0.9057697559760601", "0.37307905813034536", "0.14808605345719125"]);
        assert_eq!(step(&mut seeded(0)).to_string(), "0.15522042769493574");
    }

    #[test]
    fn the_same_seeds_give_the_same_numbers_and_each_call_its_own() {
        let numbers = |seeds: &Seeds| (0..3).map(|_| step(&mut seeds.next())).collect::<Vec<_>>();
        let drawn = Seeds::default();
        let first = numbers(&drawn);
        assert_eq!(numbers(&Seeds::given(Some(drawn.all()))), first);
        assert!(first[0] != first[1] && first[1] != first[2]);
        assert!(first.iter().all(|number| (0.0..1.0).contains(number)));
    }
}

//! How fast the driver reads a table: rows and bytes per second, with and without the hash.
//!
//! `cargo run --release -p database --example read_speed -- mysql://root@127.0.0.1:3306 shop.orders [rows per chunk]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on ends")]

use database::mysql::{Connection, Options};
use database::{Chunk, Digest, Reader, Target};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let target: Target = words[1].parse().unwrap();
    let step: u64 = words.get(3).map_or(100_000, |rows| rows.parse().unwrap());
    let mut node = Connection::connect(&target, None, &Options::default()).await.unwrap();
    let tables = node.tables().await.unwrap();
    let table = Arc::new(tables.into_iter().find(|table| table.to_string() == words[2]).unwrap());
    let (mut lower, mut rows, mut bytes) = (None, 0, 0);
    let (mut boundaries, mut reading, mut hashing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    loop {
        let start = Instant::now();
        let mut chunk = Chunk { table: table.clone(), lower: lower.take(), upper: None };
        let upper = node.boundary(&chunk, step).await.unwrap();
        boundaries += start.elapsed();
        chunk.upper.clone_from(&upper);
        let start = Instant::now();
        let found = node.rows(&chunk, step + 1).await.unwrap();
        reading += start.elapsed();
        let start = Instant::now();
        let digest = Digest::of(&table, &found);
        hashing += start.elapsed();
        rows += digest.rows;
        bytes += found.bytes().len();
        if upper.is_none() {
            break;
        }
        lower = upper;
    }
    let per_second = |time: Duration| u128::from(rows) * 1_000_000 / time.as_micros().max(1);
    println!("{rows} rows, {bytes} bytes of encoding, in chunks of {step}");
    println!(
        "boundaries {boundaries:?}, reading {reading:?} ({} rows/s), hashing {hashing:?}",
        per_second(reading)
    );
}

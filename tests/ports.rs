//! Ports for servers that are told theirs before they start.
//!
//! A port that the kernel gives for "any" may be given again, to a connection or to the next who asks, before the server that it is for
//! has bound it, or while that is being killed and started again. These lie below those, and a process gives none twice.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first one. The kernel's own begin at 32768.
const FIRST: u32 = 20_000;
/// How many there are.
const COUNT: u32 = 12_000;
/// So far apart processes begin whose numbers follow each other.
const APART: u32 = 97;

/// A port of 127.0.0.1 that nobody listens at.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(APART) % COUNT));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST} on");
}

//! How much memory the process holds.

use node::protocol::handshake::read_error;

use crate::wire::{Raw, packet};
use crate::{PASSWORD, Target, USER, cluster};

/// How much more the process may hold after all inputs than before: caches of a few connections, and what the
/// allocator keeps.
const GROWTH_BYTES: u64 = 512 << 20;
/// A packet's length is announced by three bytes.
const ANNOUNCED: [u8; 4] = [0xff, 0xff, 0xff, 0];

/// The memory of this process, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

pub struct Watch(u64);

impl Watch {
    pub fn begin() -> Watch {
        Watch(resident())
    }

    pub fn bounded(&self, seed: u64, nth: u64) {
        let grown = resident().saturating_sub(self.0);
        assert!(grown < GROWTH_BYTES, "EVENSUM_SEED={seed}, input {nth}: {} MiB more", grown >> 20);
    }
}

/// What a client leaves behind in prepared statements is no more than one packet could hold.
fn prepared_statements_are_bounded() {
    const LIMIT: usize = 100_000;
    let target = Target::with_packets_of(LIMIT);
    let mut user = Raw::login(target.address(), USER, PASSWORD);
    let prepare = |user: &mut Raw| {
        user.send(&packet(0, format!("\x16DO ? /* {} */", "x".repeat(LIMIT * 6 / 10)).as_bytes()));
        let answer = user.read_packet().unwrap();
        if answer[0] == 0 {
            user.read_packet().unwrap();
            user.read_packet().unwrap();
        }
        read_error(&answer).map(|(code, _)| code)
    };
    assert_eq!(prepare(&mut user), None);
    assert_eq!(prepare(&mut user), Some(1461));
    user.send(&packet(0, &[0x19, 1, 0, 0, 0]));
    assert_eq!(prepare(&mut user), None);
    let mut user = Raw::login(target.address(), USER, PASSWORD);
    let long = |id: u8| packet(0, &[&[0x18, id, 0, 0, 0, 0, 0][..], &vec![b'x'; LIMIT * 6 / 10]].concat());
    for id in [1, 2] {
        user.send(&packet(0, b"\x16DO ?"));
        for _ in 0..3 {
            user.read_packet().unwrap();
        }
        user.send(&long(id));
    }
    user.send(&packet(0, &[14]));
    assert_eq!(user.read_packet(), None, "the second value is beyond the limit");
}

/// Lengths are announced by many, and the bytes do not come.
pub fn check() {
    prepared_statements_are_bounded();
    const CLIENTS: usize = 40;
    let target = Target::new();
    let mut users: Vec<Raw> = (0..CLIENTS).map(|_| Raw::login(target.address(), USER, PASSWORD)).collect();
    for user in &mut users {
        user.send(&packet(0, b"\x03SELECT 1"));
        user.read_packet().unwrap();
    }
    let before = resident();
    for user in &mut users {
        user.send(&ANNOUNCED);
        user.send(b"\x03SELECT");
    }
    // whatever the node does about it, it has done when it has served another client for a while
    cluster::wait(
        || (0..200).all(|_| target.client().text("SELECT 1") == "1"),
        || "the node does not serve".into(),
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{CLIENTS} announced packets of 16 MiB took {} MiB", grown >> 20);
    target.is_well();
}

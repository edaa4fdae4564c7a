//! Jitter: a fleet whose schedules all say `0 2 * * *` does not begin at one moment.
//!
//! Every schedule on every host has an offset of its own, between nothing and its jitter. It is a function of a salt (the host
//! and the cluster) and the schedule's name, so that it is the same each night and after each restart, and a run is found at
//! one time of the night.
//!
//! How: an FNV-1a hash of both, mixed so that names which differ in their last letter lie far apart, scaled to the jitter. The
//! standard library's hasher is not used, because it may change with a release.
//!
//! Invariant: all times of a schedule are moved by the same offset. So their order and number stay, even where the jitter is
//! longer than the time between two of them; a run then begins after the next time was planned, which
//! [`Schedule::advice`](crate::Schedule::advice) mentions. Not here: an even spread over few hosts, which chance does not give.

use std::time::Duration;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// A byte that occurs in no text, between two of them.
const SEPARATOR: u8 = 0xff;

/// The offset of the schedule of this name, in whole seconds, at least zero and less than `jitter`.
pub(crate) fn offset(salt: &str, name: &str, jitter: Duration) -> Duration {
    let bytes = salt.bytes().chain([SEPARATOR]).chain(name.bytes());
    let hash = mixed(bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)));
    // the product's upper half is the hash as a fraction of the jitter
    let seconds = (u128::from(hash) * u128::from(jitter.as_secs())) >> u64::BITS;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Spreads every bit over all others (the last step of splitmix64).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_name_never_changes() {
        // a release that gives other numbers moves everybody's night
        let minutes = Duration::from_secs(900);
        assert_eq!(offset("db1/shop", "nightly", minutes), offset("db1/shop", "nightly", minutes));
        let offsets =
            ["db1/shop", "db2/shop", "db3/shop"].map(|salt| offset(salt, "nightly", minutes).as_secs());
        assert_eq!(offsets, [699, 435, 170]);
        assert_ne!(offset("ab", "c", minutes), offset("a", "bc", minutes));
    }

    #[test]
    fn a_fleet_is_spread_over_the_whole_jitter() {
        let jitter = Duration::from_secs(600);
        let mut tenths = [0_u32; 10];
        for host in 0..1_000 {
            let offset = offset(&format!("db{host}/shop"), "nightly", jitter);
            assert!(offset < jitter);
            tenths[usize::try_from(offset.as_secs() / 60).expect("a tenth")] += 1;
        }
        assert!(tenths.iter().all(|hosts| (60..140).contains(hosts)), "{tenths:?}");
    }

    #[test]
    fn less_than_a_second_is_none() {
        for jitter in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(1)] {
            assert_eq!(offset("db1/shop", "nightly", jitter), Duration::ZERO);
        }
        assert!(offset("db1/shop", "nightly", Duration::MAX) < Duration::MAX);
    }
}

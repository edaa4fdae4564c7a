//! The host of an account: whom it lets in, and which of several is the closest.
//!
//! A host is a name, an address, a pattern with `%` and `_`, or an IPv4 network (`10.1.0.0/255.255.0.0`, or with a
//! number of bits). A client on this machine is `localhost` and its address too. Names of other machines are not looked
//! up, as under `skip_name_resolve`: an account of such a name lets nobody in, and never by mistake.

use std::net::{IpAddr, Ipv4Addr};

use crate::sql::name_like;

/// What a client on this machine is called.
pub const LOCALHOST: &str = "localhost";

/// Who a client is in messages, and in `USER()`: `localhost`, or its address.
#[must_use]
pub fn name_of(peer: IpAddr) -> String {
    let peer = peer.to_canonical();
    if peer.is_loopback() { LOCALHOST.to_owned() } else { peer.to_string() }
}

/// Whether the account's host lets this client in.
#[must_use]
pub fn lets_in(host: &str, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    if let Some((network, mask)) = network(host) {
        return matches!(peer, IpAddr::V4(address) if address.to_bits() & mask == network);
    }
    (peer.is_loopback() && like(host, LOCALHOST, false)) || like(host, &peer.to_string(), false)
}

/// `10.1.0.0/255.255.0.0` or `10.1.0.0/16`: the network and its mask. A network with bits outside of its mask is
/// the network of nobody, as in MySQL.
fn network(host: &str) -> Option<(u32, u32)> {
    let (network, mask) = host.split_once('/')?;
    let network: Ipv4Addr = network.parse().ok()?;
    let mask = match mask.parse::<u32>() {
        Ok(bits @ 0..=32) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
        Ok(_) => return None,
        Err(_) => mask.parse::<Ipv4Addr>().ok()?.to_bits(),
    };
    Some((network.to_bits(), mask))
}

/// How close a host (or the pattern of a database) is: of two that fit, the one with the smaller rank counts. First come
/// those without a wildcard, then networks by their length, then patterns by what stands before their first wildcard.
#[must_use]
pub fn rank(host: &str) -> (u8, u32) {
    if let Some((_, mask)) = network(host) {
        return (1, mask.count_zeros());
    }
    match host.find(['%', '_']) {
        None => (0, 0),
        Some(at) => (2, u32::MAX - u32::try_from(at).unwrap_or(u32::MAX)),
    }
}

/// Whether a text fits a pattern of `%` and `_` (`\` makes the next one plain). Names of hosts are compared without
/// case, those of databases with it.
#[must_use]
pub fn like(pattern: &str, text: &str, with_case: bool) -> bool {
    match with_case {
        true => name_like(pattern, text),
        false => name_like(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_let_in_whom_they_mean() {
        for (host, peer, lets) in [
            ("%", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.33", false),
            ("10.1.%", "10.1.2.3", true),
            ("10.1.%", "10.11.2.3", false),
            ("10.1.2._", "10.1.2.3", true),
            ("10.1.2._", "10.1.2.33", false),
            ("10.1.0.0/255.255.0.0", "10.1.200.3", true),
            ("10.1.0.0/16", "10.2.0.1", false),
            ("10.1.0.1/16", "10.1.0.1", false),
            ("0.0.0.0/0", "10.2.0.1", true),
            ("10.1.0.0/16", "::1", false),
            ("localhost", "127.0.0.1", true),
            ("LOCALHOST", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("localhost", "10.1.2.3", false),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("db2.example.com", "10.1.2.3", false),
            ("", "10.1.2.3", false),
        ] {
            assert_eq!(lets_in(host, ip(peer)), lets, "{host} and {peer}");
        }
    }

    #[test]
    fn the_closest_host_comes_first() {
        let mut hosts = ["%", "10.%", "10.1.0.0/16", "10.1.%", "10.1.2.3", "10.1.2.0/24"];
        hosts.sort_by_key(|host| rank(host));
        assert_eq!(hosts, ["10.1.2.3", "10.1.2.0/24", "10.1.0.0/16", "10.1.%", "10.%", "%"]);
    }

    #[test]
    fn patterns_come_back_where_they_went_wrong() {
        assert!(like("a%b%c", "aXbYbZc", true) && !like("a%b%c", "aXbYbZ", true));
        assert!(like("retail\\_db", "retail_db", true) && !like("retail\\_db", "retailXdb", true));
        assert!(like("%", "", true) && like("", "", true) && !like("_", "", true));
        let (pattern, text) = ("%a".repeat(40), "a".repeat(2000) + "b");
        assert!(!like(&pattern, &text, true));
    }
}

//! The address of a sender: the other end of its connection, or, behind trusted proxies, the address that the last of
//! them saw. What a sender itself writes into the header is never trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Header to which each proxy appends the address it saw.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the first address, from here, that is not of a trusted proxy; `None` if a trusted proxy sends no address.
pub fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut address = peer.to_canonical();
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let mut hops = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(&address) {
        let Some(hop) = hops.next() else { break };
        address = parse(hop)?;
    }
    Some(address)
}

/// Parses an address with or without a port.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let trusted: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let of = |peer: &str, headers: &[&str]| {
            let mut map = HeaderMap::new();
            for value in headers {
                map.append(FORWARDED_FOR, value.parse().unwrap());
            }
            address(peer.parse().unwrap(), &map, &trusted).map(|address| address.to_string())
        };
        for (peer, headers, expected) in [
            ("192.0.2.1", &[][..], Some("192.0.2.1")),
            ("192.0.2.1", &["198.51.100.7"], Some("192.0.2.1")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["192.0.2.9, 198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["192.0.2.9", "198.51.100.7,10.0.0.2"], Some("198.51.100.7")),
            ("10.0.0.1", &["192.0.2.9", " 10.0.0.2 "], Some("192.0.2.9")),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            ("10.0.0.1", &["198.51.100.7:4711"], Some("198.51.100.7")),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], Some("198.51.100.7")),
            ("fd00::1", &["[2001:db8::7]:4711"], Some("2001:db8::7")),
            ("fd00::1", &["2001:db8::7"], Some("2001:db8::7")),
            ("10.0.0.1", &["198.51.100.7, unknown"], None),
            ("10.0.0.1", &["198.51.100.7,"], None),
            ("10.0.0.1", &[""], None),
        ] {
            assert_eq!(of(peer, headers).as_deref(), expected, "{peer} {headers:?}");
        }
        let headers: HeaderMap = [(FORWARDED_FOR, "192.0.2.9".parse().unwrap())].into_iter().collect();
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(address(peer, &headers, &[]), Some(peer), "nobody is trusted");
    }
}

use proptest::prelude::*;
use url::{Host, Url};

use super::*;

/// Targets that no destination reaches unless its manifest allows the range, in the notations that
/// have got past other guards. The engine's client sends to each of them, too.
pub(super) const FORBIDDEN: &[&str] = &include!("forbidden.in");

/// Judges the literal address of a URL; `None` if the text is no URL, or the URL holds a name.
fn judge(policy: &Policy, url: &str) -> Option<Result<(), Denied>> {
    match Url::parse(url).ok()?.host()? {
        Host::Ipv4(address) => Some(policy.check(address.into())),
        Host::Ipv6(address) => Some(policy.check(address.into())),
        Host::Domain(_) => None,
    }
}

fn check(policy: &Policy, address: &str) -> Result<(), Reason> {
    policy.check(address.parse().unwrap()).map_err(|denied| denied.reason)
}

fn allow(nets: &[&str]) -> Policy {
    Policy::Allow(nets.iter().map(|net| net.parse().unwrap()).collect())
}

#[test]
fn no_notation_of_a_forbidden_target_gets_through() {
    assert!(FORBIDDEN.len() >= 150, "{}", FORBIDDEN.len());
    for url in FORBIDDEN {
        let is_scoped = url.contains('%') && url.contains('[');
        match judge(&Policy::Public, url) {
            Some(verdict) => assert!(verdict.is_err(), "{url:?} gets through"),
            // A scope is refused by the URL parser, so it cannot even be configured.
            None => assert!(is_scoped && Url::parse(url).is_err(), "{url:?} was taken for a name"),
        }
    }
}

#[test]
fn public_addresses_get_through() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "93.184.215.14",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "203.0.112.255",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80e::200e",
        "3ffe:ffff::1",
    ] {
        for policy in [Policy::Public, allow(&["10.0.0.0/8"]), Policy::Peer] {
            assert_eq!(check(&policy, address), Ok(()), "{address} under {policy:?}");
        }
    }
}

#[test]
fn allowed_ranges_are_open_and_no_others() {
    let policy = allow(&["10.0.0.0/8", "127.0.0.0/8", "fd12::/16", "64:ff9b:1::/48"]);
    for address in [
        "10.1.2.3",
        "127.0.0.1",
        "fd12::1",
        "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "64:ff9b:1::10.1.2.3",
        "64:ff9b:1::8.8.8.8",
    ] {
        assert_eq!(check(&policy, address), Ok(()), "{address}");
    }
    for address in [
        "192.168.0.1",
        "0.0.0.0",
        "::1",
        "fd13::1",
        "::ffff:192.168.0.1",
        "64:ff9b::192.168.0.1",
        "64:ff9b:1::192.168.0.1",
        // The range of the IPv4 inside is open, the IPv6 around it is not.
        "2002:a01:203::1",
        "::10.1.2.3",
    ] {
        assert_eq!(check(&policy, address), Err(Reason::PrivateOrSpecial), "{address}");
    }
}

#[test]
fn nothing_opens_link_local_and_metadata() {
    let everything = allow(&["0.0.0.0/0", "::/0"]);
    for policy in [Policy::Public, everything.clone(), Policy::Peer] {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:42::42",
            "fd00:c1::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:00a9:00fe:a9fe::",
            "64:ff9b:1:0:00a9:fea9:fe00::",
            "2002:a9fe:a9fe::",
            "2001:0:a9fe:a9fe::1",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2606:4700::5efe:a9fe:a9fe",
            "fd12::200:5efe:a9fe:a9fe",
        ] {
            assert_eq!(
                check(&policy, address),
                Err(Reason::LinkLocalOrMetadata),
                "{address} under {policy:?}"
            );
        }
    }
    assert_eq!(check(&everything, "127.0.0.1"), Ok(()));
    assert_eq!(check(&everything, "::1"), Ok(()));
}

#[test]
fn peers_may_be_anywhere_in_the_cluster() {
    for address in ["10.1.2.3", "127.0.0.1", "::1", "100.64.0.1", "198.18.0.1", "240.1.2.3", "fd12::1"] {
        assert_eq!(check(&Policy::Peer, address), Ok(()), "{address}");
    }
}

#[test]
fn denial_names_the_address_that_would_have_been_connected_to() {
    let denied = Policy::Public.check("::ffff:10.0.0.1".parse().unwrap()).unwrap_err();
    assert_eq!(denied.to_string(), "10.0.0.1 is a private or special-purpose address");
}

proptest! {
    /// However an IPv4 address is wrapped, the wrapping opens nothing that it does not open itself.
    #[test]
    fn wrapping_opens_nothing(address in any::<u32>().prop_map(Ipv4Addr::from), prefix in 0x2400_u16..0x3000) {
        let bits = u32::from(address);
        let [a, b, c, d] = address.octets();
        let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        let v6 = |segments: [u16; 8]| IpAddr::from(segments);
        let wrapped = [
            v6([0, 0, 0, 0, 0, 0xffff, high, low]),
            v6([0, 0, 0, 0, 0, 0, high, low]),
            v6([0, 0, 0, 0, 0xffff, 0, high, low]),
            v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
            v6([0x64, 0xff9b, 1, 0, 0, 0, high, low]),
            v6([0x64, 0xff9b, 1, high, low >> 8, low << 8, 0, 0]),
            v6([0x2002, high, low, 0, 0, 0, 0, 1]),
            v6([0x2001, 0, high, low, 0, 0, 0xf7f7, 0xf7f7]),
            v6([0x2001, 0, 0x808, 0x808, 0, 0, !high, !low]),
            v6([prefix, 1, 2, 3, 0, 0x5efe, high, low]),
            v6([prefix, 1, 2, 3, 0x200, 0x5efe, high, low]),
        ];
        for policy in [Policy::Public, allow(&["10.0.0.0/8", "::/0"])] {
            if policy.check(address.into()).is_err() && bits > 0x00ff_ffff {
                for wrapped in wrapped {
                    prop_assert!(policy.check(wrapped).is_err(), "{} in {} under {:?}", address, wrapped, policy);
                }
            }
        }
    }
}

use proptest::prelude::*;
use url::{Host, Url};

use super::*;

/// Targets that no destination reaches unless its manifest allows the range, in the notations that
/// have got past other guards. [`client`](crate::deliver::client) sends to each of them, too.
pub(in crate::deliver) const FORBIDDEN: &[&str] = &[
    // Loopback, in every notation a URL parser takes for an IPv4 address.
    "http://127.0.0.1/",
    "http://127.0.0.1:8443/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://2130706433./",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://0x7f.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://00000177.0.0.1/",
    "http://0177.0x0.0.1/",
    "http://127.0x000001/",
    "http://127.0.0.0x1/",
    "http://127.0.0.1:0x50@127.0.0.1/",
    "http://example.org@127.0.0.1/",
    "http://example.org:80@127.0.0.1/",
    "http://example.org%40@127.0.0.1/",
    "http://127.0.0.1#@example.org/",
    "http://127.0.0.1?@example.org/",
    "http://127.0.0.1\\@example.org/",
    "http:\\\\127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    "http://////127.0.0.1/",
    "\thttp://127.0.0.1/",
    "ht\ntp://127.0.0.1/",
    "http://127.0.\n0.1/",
    "http://127.0.0.1\t/",
    "HTTP://127.0.0.1/",
    "https://127.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://%30x7f.1/",
    "http://１２７.０.０.１/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://127｡0｡0｡1/",
    "http://𝟭𝟮𝟳.𝟬.𝟬.𝟭/",
    "http://𝟙𝟚𝟟.𝟘.𝟘.𝟙/",
    "http://0ｘ7f.1/",
    "http://127.0.0.1\u{ad}/",
    "http://1\u{200b}27.0.0.1/",
    // This network: connects to the machine itself.
    "http://0.0.0.0/",
    "http://0/",
    "http://0./",
    "http://0x0/",
    "http://00/",
    "http://0.0/",
    "http://0.1.2.3/",
    "http://0.255.255.255/",
    // Private.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://10.1/",
    "http://0xa.1/",
    "http://012.1/",
    "http://167772161/",
    "http://0x0a000001/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://172.1048577/",
    "http://0xac.0x10.1/",
    "http://0254.020.0.1/",
    "http://2886729729/",
    "http://192.168.0.1/",
    "http://192.168.255.255/",
    "http://192.168.1/",
    "http://0300.0250.0.1/",
    "http://0xc0a80001/",
    "http://3232235521/",
    "http://１９２.１６８.０.１/",
    // Metadata and link-local.
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254./",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://0251.0376.0251.0376/",
    "http://025177524776/",
    "http://0xa9.254.0251.254/",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
    "http://169。254。169。254/",
    "http://user:pass@169.254.169.254/",
    "http://169.254.0.0/",
    "http://169.254.170.2/",
    "http://169.254.170.23/",
    "http://169.254.255.255/",
    "http://100.100.100.200/",
    "http://1684301000/",
    "http://168.63.129.16/",
    "http://0xa83f8110/",
    "http://192.0.0.192/",
    // The rest of the IPv4 registry.
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://192.0.0.1/",
    "http://192.0.0.8/",
    "http://192.0.0.170/",
    "http://192.0.2.1/",
    "http://192.31.196.1/",
    "http://192.52.193.1/",
    "http://192.88.99.1/",
    "http://192.88.99.2/",
    "http://192.175.48.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://224.0.0.251/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://254.1/",
    "http://255.255.255.254/",
    "http://255.255.255.255/",
    "http://4294967295/",
    "http://0xffffffff/",
    // IPv6: unspecified, loopback, unique local, link-local, site-local, multicast.
    "http://[::]/",
    "http://[::1]/",
    "http://[::1]:8443/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[0::0:1]/",
    "http://user@[::1]/",
    "http://[::1%25lo]/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[febf:ffff::1]/",
    "http://[fe80::a9fe:a9fe]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[ff0e::1]/",
    "http://[fd00:ec2::254]/",
    "http://[FD00:EC2::23]/",
    "http://[fd20:ce::254]/",
    "http://[fd00:42::42]/",
    "http://[fd00:c1::a9fe:a9fe]/",
    // IPv6 that carries an IPv4.
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::FFFF:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:c0a8:1]/",
    "http://[::ffff:0.0.0.0]/",
    "http://[::ffff:100.100.100.200]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::a9fe:a9fe]/",
    "http://[::10.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[::ffff:0:a9fe:a9fe]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b::192.168.0.1]/",
    "http://[64:ff9b::168.63.129.16]/",
    "http://[64:ff9b:1::1]/",
    "http://[64:ff9b:1::169.254.169.254]/",
    "http://[64:ff9b:1:a9fe:a9:fe00::]/",
    "http://[64:ff9b:1:ffff:ffff:ffff:808:808]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2002:a00:1::1]/",
    "http://[2002:c0a8:1::1]/",
    "http://[2002:808:808::1]/",
    "http://[2001::1]/",
    "http://[2001:0:a9fe:a9fe::1]/",
    "http://[2001:0:4136:e378:8000:63bf:5601:5601]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[2606:4700::5efe:127.0.0.1]/",
    "http://[2606:4700::200:5efe:10.0.0.1]/",
    "http://[2606:4700::5efe:a9fe:a9fe]/",
    // The rest of the IPv6 registry, and what is nobody's.
    "http://[100::1]/",
    "http://[100:0:0:1::1]/",
    "http://[2001:1::1]/",
    "http://[2001:2::1]/",
    "http://[2001:3::1]/",
    "http://[2001:4:112::1]/",
    "http://[2001:10::1]/",
    "http://[2001:20::1]/",
    "http://[2001:30::1]/",
    "http://[2001:1ff::1]/",
    "http://[2001:db8::1]/",
    "http://[2620:4f:8000::1]/",
    "http://[3fff::1]/",
    "http://[3fff:fff::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    "http://[200::1]/",
    "http://[1::1]/",
];

/// What the guard makes of a URL's literal; `None` if there is no such URL, or it holds a name.
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

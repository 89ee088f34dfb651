//! The address guard: the addresses that an outgoing connection may go to. A person who may write a manifest, or a name
//! server that answers for a name in it, must not reach what only this machine and its network can reach.
//!
//! A connector asks it about the very address that it is about to connect to, so there is no gap between the look-up and
//! the connection, and an address in a URL is judged as the answer of a name server is.

mod foreseen;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use self::foreseen::warnings;

/// Rule for the addresses that a destination may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Globally reachable addresses only.
    Public,
    /// Globally reachable addresses and these ranges; link-local and metadata addresses stay closed.
    Allow(Vec<IpNet>),
    /// The addresses of a Service, as the operator wrote them, and no others. Link-local and metadata addresses stay
    /// closed.
    Exactly(Vec<IpAddr>),
    /// Every address that the operator wrote for a Collector: clusters use all private and reserved ranges. Link-local
    /// and metadata addresses stay closed.
    Peer,
}

/// Error of an address that the guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {reason} address")]
pub struct Denied {
    /// Address of the refused connection.
    pub address: IpAddr,
    /// Rule that denies the address.
    pub reason: Reason,
}

/// Rule that denies an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The address is link-local, or serves a cloud's metadata and credentials. No setting opens it.
    LinkLocalOrMetadata,
    /// The address is in a private or special-purpose range that the destination does not allow.
    PrivateOrSpecial,
    /// The address is not one of the Service.
    NotOfService,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::LinkLocalOrMetadata => "a link-local or metadata",
            Self::PrivateOrSpecial => "a private or special-purpose",
            Self::NotOfService => "not the Service's",
        })
    }
}

impl Policy {
    /// Returns whether a connection to this address may be made. An IPv6 address that carries an IPv4 address is
    /// judged as that one too; an IPv4-mapped one *is* that one, for the kernel as well.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let address = address.to_canonical();
        let denied = |reason| Err(Denied { address, reason });
        let embedded = match address {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(v6) => embedded_v4(v6),
        };
        let judged = || std::iter::once(address).chain(embedded.iter().copied().map(IpAddr::V4));

        if judged().any(|one| contains(NEVER_V4, NEVER_V6, one)) {
            return denied(Reason::LinkLocalOrMetadata);
        }
        let open = |one: IpAddr| match self {
            Self::Public => is_public(one),
            Self::Allow(nets) => is_public(one) || nets.iter().any(|net| net.contains(&one)),
            Self::Exactly(addresses) => addresses.contains(&one),
            Self::Peer => true,
        };
        if judged().all(open) {
            return Ok(());
        }
        denied(match self {
            Self::Exactly(_) => Reason::NotOfService,
            Self::Public | Self::Allow(_) | Self::Peer => Reason::PrivateOrSpecial,
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

/// Ranges that no setting opens: link-local addresses, and metadata addresses outside of them.
const NEVER_V4: &[Ipv4Net] = &[
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32), // Alibaba Cloud
    v4(168, 63, 129, 16, 32),   // Azure, amid public addresses
    v4(192, 0, 0, 192, 32),     // Oracle Cloud
];
const NEVER_V6: &[Ipv6Net] = &[
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),           // AWS
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),       // Google Cloud
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128),        // Scaleway
    v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), // Oracle Cloud
];

/// The IANA registry of special-purpose IPv4 addresses, with multicast.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),       // this network; 0.0.0.0 connects to the machine itself
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 31, 196, 0, 24), // AS112
    v4(192, 52, 193, 0, 24), // AMT
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // private
    v4(192, 175, 48, 0, 24), // AS112
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, and broadcast
];

/// The range that IANA assigned for global unicast. Every address outside is special or unassigned.
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// NAT64: as reachable as the IPv4 address in it.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
/// The IANA registry of special-purpose IPv6 addresses, as far as it lies within global unicast.
const SPECIAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, ORCHID, benchmarking, ...
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    SIX_TO_FOUR,
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),         // documentation
];

fn contains(nets_v4: &[Ipv4Net], nets_v6: &[Ipv6Net], address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => nets_v4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => nets_v6.iter().any(|net| net.contains(&v6)),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !contains(SPECIAL_V4, SPECIAL_V6, address),
        IpAddr::V6(v6) => {
            NAT64.contains(&v6)
                || (GLOBAL_UNICAST_V6.contains(&v6) && !contains(SPECIAL_V4, SPECIAL_V6, address))
        }
    }
}

/// Returns every IPv4 address that a gateway or tunnel could take this address for.
fn embedded_v4(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let octets = address.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
    let last = at([12, 13, 14, 15]);
    let mut found = Vec::new();

    // Compatible (::a.b.c.d) and translated (::ffff:0:a.b.c.d); unspecified and loopback are themselves.
    let translated = octets[..8] == [0; 8] && octets[8..12] == [0xff, 0xff, 0, 0];
    let compatible = octets[..12] == [0; 12] && u128::from(address) > 1;
    // ISATAP: the interface identifier 0:5efe or 200:5efe under any prefix.
    let isatap = matches!(octets[8..12], [0 | 2, 0, 0x5e, 0xfe]);
    if translated || compatible || isatap || NAT64.contains(&address) {
        found.push(last);
    }
    if NAT64_LOCAL.contains(&address) {
        // RFC 6052 places the address by the length of the prefix, which only the gateway knows.
        // 0.0.0.0/8 is what a wrong guess reads, and no gateway forwards to it.
        let guesses = [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last].into_iter();
        found.extend(guesses.filter(|guess| guess.octets()[0] != 0));
    }
    if SIX_TO_FOUR.contains(&address) {
        found.push(at([2, 3, 4, 5]));
    }
    if TEREDO.contains(&address) {
        found.push(at([4, 5, 6, 7])); // the server
        found.push(Ipv4Addr::from(u32::from(last) ^ u32::MAX)); // the client, inverted
    }
    found
}

#[cfg(test)]
pub(super) mod tests;

//! One loopback address per process under test, so that every test uses the same ports and none
//! takes another's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use rand::RngExt;

/// An address of 127.0.0.0/8 that no other test has while this lives, in this test run or another.
#[derive(Debug)]
pub struct Address {
    ip: Ipv4Addr,
    _reservation: TcpListener,
}

/// Port that is bound while an address is taken. Nothing connects to it.
const RESERVATION_PORT: u16 = 1;

impl Address {
    /// Takes a free address.
    pub fn take() -> Self {
        loop {
            let [a, b, c]: [u8; 3] = rand::rng().random();
            // 127.0.x.y is left to people, 127.x.y.0 and 127.x.y.255 look like networks.
            let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
            if let Ok(reservation) = TcpListener::bind((ip, RESERVATION_PORT)) {
                return Self { ip, _reservation: reservation };
            }
        }
    }

    /// Returns the reserved address.
    pub fn ip(&self) -> IpAddr {
        self.ip.into()
    }

    /// Returns the address with a port.
    pub fn port(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }
}

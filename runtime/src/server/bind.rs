//! Listening on an address. `::` means every address of the machine, of both families, whatever the system's settings
//! are, and on a kernel without IPv6 those of the other family.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Maximum number of connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`, without blocking.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_by(address, bind)
}

fn listen_by<Bound>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> io::Result<Bound>,
) -> io::Result<Bound> {
    let every = address.ip() == Ipv6Addr::UNSPECIFIED;
    match bind(address) {
        Err(error) if every && is_without_ipv6(&error) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            tracing::info!(%address, "this machine has no IPv6: listening on IPv4 alone");
            bind(address)
        }
        bound => bound,
    }
}

/// Returns whether the kernel has no IPv6, or the network namespace has no address of it, not even loopback.
fn is_without_ipv6(error: &io::Error) -> bool {
    let codes = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL];
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // As the standard library does: a restart need not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpStream};

    use super::*;

    fn any(ip: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.into(), 0)
    }

    #[test]
    fn unspecified_address_takes_connections_of_both_families() {
        let port = listen(any(Ipv6Addr::UNSPECIFIED)).unwrap().local_addr().unwrap().port();
        let listener = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        // A machine without IPv6 has only the one.
        if TcpListener::bind(any(Ipv6Addr::LOCALHOST)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
        drop(listener);
    }

    #[test]
    fn kernel_without_ipv6_listens_on_ipv4_where_every_address_is_meant() {
        for code in [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL] {
            let without_ipv6 = |address: SocketAddr| {
                if address.is_ipv6() { Err(io::Error::from(code)) } else { Ok(address) }
            };
            let bound = listen_by(any(Ipv6Addr::UNSPECIFIED), without_ipv6).unwrap();
            assert_eq!(bound, any(Ipv4Addr::UNSPECIFIED));
            // One address that is meant is that address or none.
            assert!(listen_by(any(Ipv6Addr::LOCALHOST), without_ipv6).is_err());
        }
        let in_use = |_| Err::<(), _>(io::Error::from(rustix::io::Errno::ADDRINUSE));
        assert_eq!(
            listen_by(any(Ipv6Addr::UNSPECIFIED), in_use).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}

//! Limits on the resources that the clients of one listener take. Every number is the most that a slow or hostile
//! client can cost; no honest sender reaches one.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. One that stays silent costs 11 KiB (its TLS session), so that all of them cost 45 MiB; one that
    /// speaks has buffers beside it.
    pub connections: usize,
    /// Connections at once from one address: an IPv4 address or an IPv6 /64, which is what one customer
    /// of a provider gets. A quarter of all, because a balancer may stand in front of every sender.
    pub connections_per_address: usize,
    /// Maximum time of a TLS handshake: four round trips on a bad line, and some reserve.
    pub handshake: Duration,
    /// Maximum time from the first byte of an HTTP/1 header to its last, and from connecting to the first request.
    pub header: Duration,
    /// Maximum time of a connection between requests. Longer than the 60 s after which load balancers close theirs:
    /// the client must be the one that closes first, or its next request is lost.
    pub idle: Duration,
    /// Maximum time for which a client may leave an answer unread.
    pub stalled_write: Duration,
    /// Maximum size of a request's header in bytes, HTTP/1 or HTTP/2: twice that of nginx and Apache.
    pub header_size: u32,
    /// Maximum number of requests at once on one HTTP/2 connection: at least what most servers and clients assume.
    pub streams: u32,
    /// Maximum number of HTTP/2 streams that were reset before they were handled: the limit against rapid reset.
    pub pending_resets: usize,
    /// Interval of HTTP/2 pings that check the peer, and its maximum time to answer.
    pub ping: Duration,
    /// Maximum time for requests in flight to finish once the listener has closed.
    pub finish: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled_write: Duration::from_secs(20),
            header_size: 16 * 1024,
            streams: 128,
            pending_resets: 20,
            ping: Duration::from_secs(20),
            finish: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// Cuts the connections to half of the files that the process may have open, so that a flood of connections never
    /// keeps the journal from opening a file or a delivery from connecting.
    #[must_use]
    pub fn within_open_files(self, open_files: u64) -> Self {
        let half = usize::try_from(open_files / 2).unwrap_or(usize::MAX).max(1);
        Self {
            connections: self.connections.min(half),
            connections_per_address: self.connections_per_address.min(half),
            ..self
        }
    }
}

/// Raises the number of files the process may have open as far as the system lets it, and returns it.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A refusal leaves the old limit in force, and that is what is returned.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.or(current).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_bound_the_connections() {
        let limits = Limits::default().within_open_files(1024);
        assert_eq!((limits.connections, limits.connections_per_address), (512, 512));
        assert_eq!(Limits::default().within_open_files(1 << 20), Limits::default());
    }

    #[test]
    fn open_files_are_raised_to_the_hard_limit() {
        let raised = raise_open_files();
        assert_eq!(Some(raised), getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX)));
    }
}

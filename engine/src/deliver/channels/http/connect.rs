//! The one way out: every connection to a destination or peer is made here, and here the address
//! guard judges the address that is about to be connected to, whether it was written in the URL or
//! answered by a name server. There are no redirects and no proxies to lead elsewhere.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use http::{Uri, uri::Scheme};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use visnyk_runtime::guard::{Denied, Policy};

use super::resolver::{LookupError, Resolver};
use crate::deliver::failure::FailureKind;

/// Time that one address has before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// Maximum number of addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Connects for one destination.
#[derive(Clone)]
pub struct Connector {
    /// Addresses that may be connected to.
    pub policy: Arc<Policy>,
    /// Resolver of their names.
    pub resolver: Resolver,
    /// TLS client with the certificates that are trusted.
    pub tls: TlsConnector,
    /// Name that the server's certificate must have. Absent: the URL's host.
    pub server_name: Option<ServerName<'static>>,
}

/// The reason for which there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL has no host to connect to.
    #[error("url has no usable host")]
    Host,
    /// The host name has no address.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The address guard refused every address. This is the first of them.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// None of the addresses took the connection; this is the last that was tried.
    #[error("connection to {address} failed")]
    Tcp {
        /// Address of the server.
        address: SocketAddr,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The destination shows the certificate of an authority as its own, which is what a self-signed one mostly is.
    #[error(
        "tls handshake failed: the destination's certificate is marked as an authority's (CA:TRUE): issue one that is not"
    )]
    AuthorityAsLeaf,
    /// The TLS handshake failed.
    #[error("tls handshake failed")]
    Tls(#[source] io::Error),
}

impl ConnectError {
    /// Returns the kind of failure that it means for a delivery.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Host => FailureKind::Misconfigured,
            Self::Lookup(_) => FailureKind::Dns,
            Self::Denied(_) => FailureKind::Denied,
            Self::Tcp { .. } => FailureKind::Connect,
            Self::AuthorityAsLeaf | Self::Tls(_) => FailureKind::Tls,
        }
    }
}

impl Connector {
    /// Connects to the server of a URL.
    pub async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Host)?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });

        // The brackets of an IPv6 literal belong to the URL and not to the address.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = match host.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => self.resolver.lookup(host).await?,
        };
        let stream = connect_to_any(&permitted(&self.policy, addresses)?, port).await?;
        if !is_tls {
            return Ok(Stream::Plain(TokioIo::new(stream)));
        }
        let server = match &self.server_name {
            Some(name) => name.clone(),
            // The dot that ends an absolute name is no part of what a certificate is for.
            None => {
                ServerName::try_from(host.trim_end_matches('.').to_owned()).map_err(|_| ConnectError::Host)?
            }
        };
        let stream = self.tls.connect(server, stream).await.map_err(handshake_failed)?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }
}

fn handshake_failed(error: io::Error) -> ConnectError {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match reason {
        // webpki's own error, which has no variant in rustls.
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            ConnectError::AuthorityAsLeaf
        }
        _ => ConnectError::Tls(error),
    }
}

/// Returns the addresses that the guard allows. Denied ones are skipped unless there is nothing else.
fn permitted(policy: &Policy, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, ConnectError> {
    let mut seen = HashSet::new();
    let mut first_denied = None;
    let mut permitted = vec![];
    for address in addresses.into_iter().filter(|address| seen.insert(*address)) {
        match policy.check(address) {
            Ok(()) => permitted.push(address),
            Err(denied) => first_denied = first_denied.or(Some(denied)),
        }
    }
    match first_denied {
        Some(denied) if permitted.is_empty() => Err(denied.into()),
        _ => Ok(permitted),
    }
}

/// Connects to the first of these addresses that accepts, each with a head start over the next.
async fn connect_to_any(addresses: &[IpAddr], port: u16) -> Result<TcpStream, ConnectError> {
    let mut waiting = addresses.iter().take(MAX_ADDRESSES);
    let mut racing = FuturesUnordered::new();
    let mut failure = ConnectError::Host;
    loop {
        match waiting.next() {
            Some(address) => racing.push(connect_to(SocketAddr::new(*address, port))),
            None if racing.is_empty() => return Err(failure),
            None => {}
        }
        let patience = if waiting.len() == 0 { Duration::MAX } else { HEAD_START };
        match tokio::time::timeout(patience, racing.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = error,
            Ok(None) | Err(_) => {}
        }
    }
}

/// Connects to an address that the guard allowed.
#[expect(clippy::disallowed_methods, reason = "the address guard judged the address just before")]
async fn connect_to(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let tcp = |source| ConnectError::Tcp { address, source };
    let stream = TcpStream::connect(address).await.map_err(tcp)?;
    stream.set_nodelay(true).map_err(tcp)?;
    Ok(stream)
}

/// A connection, ready for HTTP.
pub enum Stream {
    /// Connection of an `http` URL.
    Plain(TokioIo<TcpStream>),
    /// Connection of an `https` URL.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Stream {
    /// Returns whether the server chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.inner().get_ref().1.alpn_protocol() == Some(b"h2"))
    }
}

/// Hands a call on to whichever stream it is.
macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.poll_read(context, buffer))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write_vectored(context, slices))
    }
}

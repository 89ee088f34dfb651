//! Makes the attempts: one [`Sender`] per destination, with its connections, its trust and its address
//! guard. It holds no opinion on what a failure means; the dispatcher asks the schedule and the breaker.

use std::{error::Error, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{Timestamp, tz::TimeZone};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};
use visnyk_crds::valid::{Destination, Target};

use super::{
    connect::{ConnectError, Connector},
    failure::{Failure, Kind},
    format::{self, Message},
    guard::Policy,
    peer::{self, PeerError, Said},
    resolver::{Resolver, SetUpError},
    retry_after, tls,
};
use crate::event::Event;

/// Of an answer's body no more is read than this: enough for the connection to be used again after
/// any reasonable answer, and no more than a nuisance from an unreasonable one.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Room for an answer's headers.
const LONGEST_HEAD: u32 = 64 * 1024;
const MOST_HEADERS: usize = 128;
/// Below what most servers wait before they close an idle connection, so that few requests meet one
/// that is just being closed.
const IDLE: Duration = Duration::from_secs(30);
/// An HTTP/2 connection is shared by all requests: a dead one must not fail more than these seconds' worth.
const PING_EVERY: Duration = Duration::from_secs(10);

/// What all senders of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    /// Whom to ask for addresses.
    pub resolver: Resolver,
    /// The authorities that vouch for destinations given by URL.
    pub roots: Arc<RootCertStore>,
    /// Where the operator says where Collectors are.
    pub peers_dir: PathBuf,
    /// The time zone that lines are written in.
    pub time_zone: TimeZone,
}

impl Outbound {
    /// As the system is configured: resolver, certificate authorities, and `TZ`.
    pub fn system(peers_dir: PathBuf) -> Result<Self, SetUpError> {
        Ok(Self {
            resolver: Resolver::system()?,
            roots: tls::system_roots(),
            peers_dir,
            time_zone: TimeZone::system(),
        })
    }
}

/// Sends to one destination.
pub struct Sender {
    outbound: Outbound,
    destination: Destination,
    /// What the peers folder said, for a Collector or a Service.
    said: Option<Result<Said, PeerError>>,
    /// Where to and how, or why that cannot be.
    route: Result<Route, Failure>,
}

struct Route {
    uri: Uri,
    client: Client<Connector, Full<Bytes>>,
}

/// An attempt that delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The 2xx it was answered with.
    pub status: u16,
}

impl Sender {
    /// Never fails: where the peers folder lacks something, each attempt says so until
    /// [`Sender::refreshed`] finds it there.
    pub fn new(destination: &Destination, outbound: &Outbound) -> Self {
        let said = peer::read(&outbound.peers_dir, &destination.target);
        let route = match (&destination.target, &said) {
            (Target::Url(url), _) => {
                let policy = if destination.allow.is_empty() {
                    Policy::Public
                } else {
                    Policy::Allow(destination.allow.clone())
                };
                tls::client_of_public(outbound.roots.clone())
                    .map_err(|error| misconfigured(&error))
                    .and_then(|tls| Route::new(url, policy, tls, destination, outbound))
            }
            (Target::Service { url, .. }, Some(Ok(Said::Service(addresses)))) => {
                let policy = Policy::Exactly(addresses.clone());
                no_tls().and_then(|tls| Route::new(url, policy, tls, destination, outbound))
            }
            (Target::Collector { .. }, Some(Ok(Said::Collector(peer)))) => {
                let authorities = peer.authorities.as_deref();
                let tls = match authorities {
                    Some(authorities) => tls::client_of_peer(authorities, peer.identity.as_ref())
                        .map_err(|error| misconfigured(&error)),
                    None => no_tls(),
                };
                tls.and_then(|tls| Route::new(&peer.url, Policy::Peer, tls, destination, outbound))
            }
            (_, Some(Err(error))) => Err(misconfigured(error)),
            (Target::Collector { .. } | Target::Service { .. }, _) => {
                unreachable!("the peers folder says of each target what it is to say")
            }
        };
        Self { outbound: outbound.clone(), destination: destination.clone(), said, route }
    }

    /// A new sender, if the peers folder says something new about this destination. Reads files.
    pub fn refreshed(&self) -> Option<Self> {
        let is_same = match (&self.said, peer::read(&self.outbound.peers_dir, &self.destination.target)) {
            (Some(Ok(old)), Some(Ok(new))) => *old == new,
            (Some(Err(old)), Some(Err(new))) => old.to_string() == new.to_string(),
            (None, None) => true,
            _ => false,
        };
        (!is_same).then(|| Self::new(&self.destination, &self.outbound))
    }

    /// One attempt. `now` is the wall clock, for the headers and for dates in `Retry-After`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it abandons the attempt; the destination may have got the event.
    pub async fn send(&self, event: &Event, now: Timestamp) -> Result<Delivered, Failure> {
        let format = self.destination.format;
        self.attempt(format::message(format, event, now, &self.outbound.time_zone), now).await
    }

    /// One sign of life; never tried again.
    pub async fn send_heartbeat(&self, now: Timestamp) -> Result<Delivered, Failure> {
        let format = self.destination.format;
        self.attempt(format::heartbeat(format, now, &self.outbound.time_zone), now).await
    }

    async fn attempt(&self, message: Message, now: Timestamp) -> Result<Delivered, Failure> {
        let route = self.route.as_ref().map_err(Clone::clone)?;
        let deadline = Instant::now() + self.destination.timeout;
        let late = || {
            let timeout = self.destination.timeout;
            Failure::new(Kind::Timeout, &format!("no complete answer within {timeout:?}"))
        };

        let response = timeout_at(deadline, route.client.request(route.request(message)))
            .await
            .map_err(|_| late())?
            .map_err(|error| failed_exchange(&error))?;
        let status = response.status();
        let retry_after = retry_after_of(&response, now);
        let ended = timeout_at(deadline, read_to_end(response.into_body())).await;
        if !status.is_success() {
            // How its body ended makes no difference.
            let failure =
                Failure::new(Kind::Status(status.as_u16()), &format!("answered {}", status.as_u16()));
            return Err(Failure { retry_after, ..failure });
        }
        ended.map_err(|_| late())?.map_err(|error| failed_exchange(&error))?;
        Ok(Delivered { status: status.as_u16() })
    }
}

impl Route {
    fn new(
        url: &url::Url,
        policy: Policy,
        tls: tokio_rustls::TlsConnector,
        destination: &Destination,
        outbound: &Outbound,
    ) -> Result<Self, Failure> {
        let uri = url.as_str().parse().map_err(|error| misconfigured::<http::uri::InvalidUri>(&error))?;
        let connector = Connector { policy: policy.into(), resolver: outbound.resolver.clone(), tls };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(destination.concurrency)
            .http1_max_buf_size(LONGEST_HEAD as usize)
            .http1_max_headers(MOST_HEADERS)
            .http2_max_header_list_size(LONGEST_HEAD)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_EVERY)
            .build(connector);
        Ok(Self { uri, client })
    }

    fn request(&self, message: Message) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(message.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = message.headers;
        request
    }
}

/// For plain HTTP: no TLS will be spoken, and nobody would be trusted if it were.
fn no_tls() -> Result<tokio_rustls::TlsConnector, Failure> {
    tls::client_of_public(Arc::new(RootCertStore::empty())).map_err(|error| misconfigured(&error))
}

fn misconfigured<E: Error + 'static>(error: &E) -> Failure {
    Failure::new(Kind::Misconfigured, &chain(error))
}

fn retry_after_of(response: &Response<Incoming>, now: Timestamp) -> Option<Duration> {
    retry_after::parse(response.headers().get(RETRY_AFTER)?.as_bytes(), now.into())
}

/// Reads the body so that the connection can be used again, but not for ever.
async fn read_to_end(mut body: Incoming) -> Result<(), hyper::Error> {
    let mut read = 0;
    while read < LONGEST_ANSWER && !body.is_end_stream() {
        match body.frame().await {
            Some(frame) => read += frame?.data_ref().map_or(0, Bytes::len),
            None => break,
        }
    }
    Ok(())
}

/// What kind of failure an exchange ended with: known where the connection was not made, to be looked
/// for among the causes where it broke.
fn failed_exchange<E: Error + 'static>(error: &E) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut kind = Kind::Reset;
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return Failure::new(error.kind(), &chain(error));
        }
        if error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
            kind = Kind::Connect;
        }
        // A server that refuses a client's certificate says so only after the handshake (TLS 1.3).
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && inner.is::<rustls::Error>()
        {
            kind = Kind::Tls;
        }
        cause = error.source();
    }
    Failure::new(kind, &chain(error))
}

/// The error with its causes, as one line. None of our errors, nor of the libraries', carries a query
/// string or a header.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests;

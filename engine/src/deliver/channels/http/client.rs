//! Makes the attempts: one [`HttpChannel`] per destination, with its connections, its trust, its proof and its address
//! guard. It holds no opinion on what a failure means; the dispatcher asks the schedule and the breaker.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use jiff::{Timestamp, tz::TimeZone};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};
use visnyk_crds::valid::{self, Destination};
use visnyk_runtime::blocking::run_blocking_if_large;

use super::{
    authorization::Authorization,
    credentials,
    exchange::{self, failed_exchange},
    peer::{self, PeerError, PeerInfo},
    resolver::{Resolver, SetUpError},
    route::Route,
    tls,
};
use crate::deliver::channels::{Channel, Delivered};
use crate::deliver::failure::{Failure, FailureKind};
use crate::deliver::format::{self, Message};
use crate::deliver::retry_after;
use crate::event::Event;

/// Resources that all channels of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    /// Resolver of host names.
    pub resolver: Resolver,
    /// The authorities that vouch for destinations given by URL.
    pub roots: Arc<RootCertStore>,
    /// The folder in which the operator writes the places of Collectors.
    pub peers_dir: PathBuf,
    /// The folder of the Secrets, as files `<secret>/<key>`.
    pub secrets_dir: PathBuf,
    /// The time zone that lines are written in.
    pub time_zone: TimeZone,
}

impl Outbound {
    /// Makes the resources that the system is configured with: resolver, CA certificates, and the time zone of `TZ`.
    pub fn system(peers_dir: PathBuf, secrets_dir: PathBuf) -> Result<Self, SetUpError> {
        Ok(Self {
            resolver: Resolver::system()?,
            roots: tls::system_roots(),
            peers_dir,
            secrets_dir,
            time_zone: TimeZone::system(),
        })
    }
}

/// Sends to one destination.
pub struct HttpChannel {
    outbound: Outbound,
    destination: Destination,
    /// Content of the peers folder for a Collector or a Service.
    peer: Option<Result<PeerInfo, PeerError>>,
    /// Contents of the files of its Secrets.
    secrets: Vec<Option<Vec<u8>>>,
    /// The address and the credentials; or the reason for which there are none.
    route: Result<Route, Failure>,
}

impl HttpChannel {
    /// Makes a channel. It never fails: where a file is missing, [`Channel::waits_for`] says so until
    /// [`Channel::refreshed`] finds it. Reads files.
    pub fn new(destination: &Destination, outbound: &Outbound) -> Self {
        Self::with(destination, outbound, None)
    }

    /// Returns a channel to the destination as it is now. It uses the connections of this one if nothing that they
    /// depend on has changed: address, addresses that are open, trust, and certificates. Reads files.
    fn with_connections(&self, destination: &Destination) -> Self {
        Self::with(destination, &self.outbound, self.route.as_ref().ok())
    }

    fn with(destination: &Destination, outbound: &Outbound, before: Option<&Route>) -> Self {
        // Read before they are used: what changes in between is found to be new next time.
        let peer = peer::read(&outbound.peers_dir, &destination.target);
        let secrets = credentials::contents(destination, &outbound.secrets_dir);
        let route = Route::of(destination, peer.as_ref(), outbound, before);
        Self { outbound: outbound.clone(), destination: destination.clone(), peer, secrets, route }
    }

    async fn attempt(
        &self,
        message: Message,
        event: Option<&Event>,
        now: Timestamp,
    ) -> Result<Delivered, Failure> {
        let route = self.route.as_ref().map_err(Clone::clone)?;
        let deadline = Instant::now() + self.destination.timeout;
        let mut request =
            run_blocking_if_large(message.body.len(), || self.request(route, message, event, now));
        let tokens = match &route.authorization {
            None => return self.exchange(route, request, deadline, now).await,
            Some(Authorization::Fixed(value)) => {
                request.headers_mut().insert(AUTHORIZATION, value.clone());
                return self.exchange(route, request, deadline, now).await;
            }
            Some(Authorization::Tokens(tokens)) => tokens,
        };
        let mut token = tokens.get(deadline).await?;
        let mut result = self.exchange(route, with(&request, &token.header), deadline, now).await;
        if is_unauthorized(&result) && tokens.refused(&token).await {
            token = tokens.get(deadline).await?;
            result = self.exchange(route, with(&request, &token.header), deadline, now).await;
        }
        if result.is_ok() {
            token.accepted();
        }
        result
    }

    fn request(
        &self,
        route: &Route,
        mut message: Message,
        event: Option<&Event>,
        now: Timestamp,
    ) -> Request<Full<Bytes>> {
        route.headers.set(&mut message.headers, event);
        if let Some(signer) = &route.signer {
            signer.sign(&mut message, now);
        }
        let mut request = Request::new(Full::new(message.body));
        *request.method_mut() = match self.destination.method {
            valid::Method::POST => Method::POST,
            valid::Method::PUT => Method::PUT,
            valid::Method::PATCH => Method::PATCH,
        };
        *request.uri_mut() = route.uri.clone();
        *request.headers_mut() = message.headers;
        request
    }

    async fn exchange(
        &self,
        route: &Route,
        request: Request<Full<Bytes>>,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<Delivered, Failure> {
        let late = || {
            let timeout = self.destination.timeout;
            Failure::new(FailureKind::Timeout, &format!("no answer within {timeout:?}"))
        };
        let answer = timeout_at(deadline, exchange::request(&route.connections, request))
            .await
            .map_err(|_| late())?
            .map_err(|error| failed_exchange(&error))?;
        let status = answer.status.as_u16();
        let retry_after = retry_after_of(&answer.headers, now);
        answer.throw_away(deadline).await;
        if self.destination.success.contains(status) {
            return Ok(Delivered { status });
        }
        let failure = Failure::new(FailureKind::Status(status), &format!("answered {status}"));
        Err(Failure { retry_after, ..failure })
    }
}

impl Channel for HttpChannel {
    fn send<'a>(&'a self, event: &'a Event, now: Timestamp) -> BoxFuture<'a, Result<Delivered, Failure>> {
        let attempt = async move {
            let form = || format::message(self.destination.format, event, now, &self.outbound.time_zone);
            self.attempt(run_blocking_if_large(event.body.len(), form), Some(event), now).await
        };
        attempt.boxed()
    }

    fn send_heartbeat(&self, now: Timestamp) -> BoxFuture<'_, Result<Delivered, Failure>> {
        let message = format::heartbeat(self.destination.format, now, &self.outbound.time_zone);
        self.attempt(message, None, now).boxed()
    }

    /// Names a missing or unusable Secret, or file of a peer.
    fn waits_for(&self) -> Option<&str> {
        self.route.as_ref().err().map(|failure| &failure.detail[..])
    }

    fn changed_to(&self, destination: &Destination) -> Arc<dyn Channel> {
        Arc::new(self.with_connections(destination))
    }

    fn refreshed(&self) -> Option<Arc<dyn Channel>> {
        let is_same_peer = match (&self.peer, peer::read(&self.outbound.peers_dir, &self.destination.target))
        {
            (Some(Ok(old)), Some(Ok(new))) => *old == new,
            (Some(Err(old)), Some(Err(new))) => old.to_string() == new.to_string(),
            (None, None) => true,
            _ => false,
        };
        let secrets = credentials::contents(&self.destination, &self.outbound.secrets_dir);
        let is_same = is_same_peer && secrets == self.secrets;
        (!is_same).then(|| self.changed_to(&self.destination))
    }
}

fn with(request: &Request<Full<Bytes>>, authorization: &HeaderValue) -> Request<Full<Bytes>> {
    let mut request = request.clone();
    request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    request
}

fn is_unauthorized(result: &Result<Delivered, Failure>) -> bool {
    let refused = FailureKind::Status(StatusCode::UNAUTHORIZED.as_u16());
    result.as_ref().is_err_and(|failure| failure.kind == refused)
}

fn retry_after_of(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after::parse(headers.get(RETRY_AFTER)?.as_bytes(), now.into())
}

#[cfg(test)]
mod tests;

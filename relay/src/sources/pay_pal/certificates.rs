//! PayPal's certificates. A message says where its own is: that is believed only if it is at one place of one host,
//! before anything is connected to, and only if authorities vouch for it and for its name.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rustls::RootCertStore;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{info, warn};
use visnyk_crds::valid::PayPalEnvironment;
use visnyk_engine::deliver::channels::http::client::Outbound;
use visnyk_engine::deliver::channels::http::fetch::{Fetch, FetchError};
use visnyk_engine::deliver::channels::http::tls::TlsError;
use visnyk_runtime::crypto::VerifiedPublicKey;
use visnyk_runtime::guard::Policy;
use visnyk_runtime::observe::causes::with_causes;

/// The one place of each host.
const PLACE: &str = "/v1/notifications/certs/";
/// PayPal has one at a time; the last one is good for a while.
const KEPT: usize = 8;
/// Names that led to nothing, which anybody can make up.
const KEPT_IN_VAIN: usize = 256;
const IN_VAIN_FOR: Duration = Duration::from_mins(1);
/// Between two fetches, whoever asks for them.
pub(super) const PACE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A host that could not be reached is not tried again, nor waited for, for as long as an attempt may take: PayPal sends
/// again what was refused.
const UNREACHABLE_FOR: Duration = TIMEOUT;
/// Requests that may wait for a certificate at once. Each holds its place, and what its connection has buffered.
const MOST_WAITING: usize = 32;
/// A chain has a few thousand bytes.
const LARGEST: usize = 64 << 10;

/// The certificates of both environments, kept while configurations come and go.
#[derive(Clone)]
pub struct PayPalCertificates {
    live: Arc<Certificates>,
    sandbox: Arc<Certificates>,
}

/// The certificates of one environment.
pub struct Certificates {
    source: Option<Source>,
    /// Beginning of the addresses of its certificates.
    prefix: String,
    known: Mutex<Known>,
    /// Held over a fetch; when the last one began.
    fetching: tokio::sync::Mutex<Option<Instant>>,
    waiting: Semaphore,
}

struct Source {
    fetch: Fetch,
    roots: Arc<RootCertStore>,
    /// Name that a certificate must have.
    name: &'static str,
}

#[derive(Default)]
struct Known {
    keys: VecDeque<(String, Arc<VerifiedPublicKey>)>,
    in_vain: VecDeque<(String, Instant)>,
    /// When the host could last not be reached.
    unreachable: Option<Instant>,
}

impl PayPalCertificates {
    /// From PayPal's hosts, as the public knows them.
    pub fn new(outbound: &Outbound) -> Result<Self, TlsError> {
        let fetch = Fetch::new(outbound, Policy::Public)?;
        let of = |host: &str, name| {
            let source = Source { fetch: fetch.clone(), roots: Arc::clone(&outbound.roots), name };
            Arc::new(Certificates::new(Some(source), &format!("https://{host}")))
        };
        Ok(Self {
            live: of("api.paypal.com", "messageverificationcerts.paypal.com"),
            sandbox: of("api.sandbox.paypal.com", "messageverificationcerts.sandbox.paypal.com"),
        })
    }

    /// None, where no request is ever judged.
    pub fn none() -> Self {
        let none = Arc::new(Certificates::new(None, ""));
        Self { live: Arc::clone(&none), sandbox: none }
    }

    /// Those of one environment.
    pub fn of(&self, environment: PayPalEnvironment) -> Arc<Certificates> {
        Arc::clone(match environment {
            PayPalEnvironment::Live => &self.live,
            PayPalEnvironment::Sandbox => &self.sandbox,
        })
    }
}

impl Certificates {
    fn new(source: Option<Source>, origin: &str) -> Self {
        Self {
            source,
            prefix: format!("{origin}{PLACE}"),
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// From a server of a test, on an address that no public host has.
    #[cfg(test)]
    pub(super) fn of_test(
        outbound: &Outbound,
        policy: Policy,
        roots: Arc<RootCertStore>,
        origin: &str,
    ) -> Self {
        let fetch = Fetch::new(outbound, policy).unwrap();
        let name = "messageverificationcerts.paypal.com";
        Self::new(Some(Source { fetch, roots, name }), origin)
    }

    /// Returns whether PayPal could have a certificate at this address. Compared as text: nothing is read into it.
    pub fn may_be(&self, url: &str) -> bool {
        let name = url.strip_prefix(&self.prefix).unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=128).contains(&name.len()) && name.bytes().all(is_plain)
    }

    /// The key of the certificate at this address, if it was fetched and is still valid.
    pub fn known(&self, url: &str, now: Timestamp) -> Option<Arc<VerifiedPublicKey>> {
        let known = self.lock();
        let (_, key) = known.keys.iter().find(|(known, _)| known == url)?;
        key.is_valid_at(now).then(|| Arc::clone(key))
    }

    /// Fetches the certificate at this address, unless it is known, or was looked for in vain just now, or its host could not
    /// be reached just now, or too many wait already.
    pub fn fetch_if_missing<'a>(&'a self, url: &'a str, now: Timestamp) -> Option<BoxFuture<'a, ()>> {
        let source = self.source.as_ref().filter(|_| self.may_be(url) && !self.is_settled(url, now))?;
        let waiting = self.waiting.try_acquire().ok()?;
        let fetching = async move {
            let _waiting = waiting;
            self.fetch(source, url, now).await;
        };
        Some(fetching.boxed())
    }

    /// One at a time, and no more than one a second: strangers can ask for as many as they like.
    async fn fetch(&self, source: &Source, url: &str, now: Timestamp) {
        let mut began = self.fetching.lock().await;
        // Whoever held the lock may have fetched this very one.
        if self.is_settled(url, now) || began.is_some_and(|began| began.elapsed() < PACE) {
            return;
        }
        *began = Some(Instant::now());
        let Ok(uri) = url.parse() else { return };
        let document = source.fetch.get(uri, LARGEST, TIMEOUT).await;
        let is_unreachable = matches!(document, Err(FetchError::Late(_) | FetchError::Request(_)));
        let key = match document {
            Ok(pem) => VerifiedPublicKey::check(&pem, &source.roots, source.name, now)
                .map_err(|error| with_causes(&error)),
            Err(error) => Err(with_causes(&error)),
        };
        let mut known = self.lock();
        match key {
            Ok(key) => {
                info!(url, "certificate of PayPal fetched");
                known.keys.retain(|(known, _)| known != url);
                known.keys.push_back((url.to_owned(), Arc::new(key)));
                keep_newest(&mut known.keys, KEPT);
            }
            Err(error) => {
                warn!(url, error, "certificate of PayPal cannot be had");
                known.unreachable = is_unreachable.then(Instant::now).or(known.unreachable);
                known.in_vain.push_back((url.to_owned(), Instant::now()));
                keep_newest(&mut known.in_vain, KEPT_IN_VAIN);
            }
        }
    }

    fn is_settled(&self, url: &str, now: Timestamp) -> bool {
        if self.known(url, now).is_some() {
            return true;
        }
        let known = self.lock();
        known.unreachable.is_some_and(|at| at.elapsed() < UNREACHABLE_FOR)
            || known.in_vain.iter().any(|(one, at)| one == url && at.elapsed() < IN_VAIN_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_newest<T>(queue: &mut VecDeque<T>, most: usize) {
    queue.drain(..queue.len().saturating_sub(most));
}

//! PayPal's certificates. A message names the URL of its own. It is fetched only from one folder of one host, and
//! trusted only if a known CA issued it for PayPal's name.

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

/// The folder of the certificates on each host.
const PLACE: &str = "/v1/notifications/certs/";
/// Maximum number of kept certificates. PayPal uses one at a time, and the last one stays valid for a while.
const KEPT: usize = 8;
/// Maximum number of kept names without a certificate, which any sender can make up.
const KEPT_IN_VAIN: usize = 256;
const IN_VAIN_FOR: Duration = Duration::from_mins(1);
/// Minimum time between two fetches, for all senders together.
pub(super) const PACE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a host that could not be reached is not tried again. PayPal repeats refused requests.
const UNREACHABLE_FOR: Duration = TIMEOUT;
/// Maximum number of requests that wait for a certificate at once. Each holds its slot and the buffers of its
/// connection.
const MAX_WAITING: usize = 32;
/// Maximum size of a chain in bytes. A usual chain has a few thousand.
const LARGEST: usize = 64 << 10;

/// The certificates of both environments. They are kept over changes of the configuration.
#[derive(Clone)]
pub struct PayPalCertificates {
    live: Arc<Certificates>,
    sandbox: Arc<Certificates>,
}

/// The certificates of one environment.
pub struct Certificates {
    source: Option<Source>,
    /// Prefix of the URLs of its certificates.
    prefix: String,
    known: Mutex<Known>,
    /// Time at which the last fetch began. It is locked during a fetch.
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
    /// Time at which the host could last not be reached.
    unreachable: Option<Instant>,
}

impl PayPalCertificates {
    /// Makes the certificates of PayPal's public hosts.
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

    /// Makes certificates that are never fetched, for a process that verifies no request.
    pub fn none() -> Self {
        let none = Arc::new(Certificates::new(None, ""));
        Self { live: Arc::clone(&none), sandbox: none }
    }

    /// Returns the certificates of one environment.
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
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Makes the certificates of a test's server, at an address that no public host has.
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

    /// Returns the key of the certificate at this URL, if it was fetched and is still valid.
    pub fn known(&self, url: &str, now: Timestamp) -> Option<Arc<VerifiedPublicKey>> {
        let known = self.lock();
        let (_, key) = known.keys.iter().find(|(known, _)| known == url)?;
        key.is_valid_at(now).then(|| Arc::clone(key))
    }

    /// Fetches the certificate at this URL, unless it is known, a fetch of it or of its host just failed, or too many
    /// requests wait already.
    pub fn fetch_if_missing<'a>(&'a self, url: &'a str, now: Timestamp) -> Option<BoxFuture<'a, ()>> {
        let source = self.source.as_ref().filter(|_| self.may_be(url) && !self.is_settled(url, now))?;
        let waiting = self.waiting.try_acquire().ok()?;
        let fetching = async move {
            let _waiting = waiting;
            self.fetch(source, url, now).await;
        };
        Some(fetching.boxed())
    }

    /// Fetches one certificate at a time, and at most one a second, because any sender can name a URL.
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

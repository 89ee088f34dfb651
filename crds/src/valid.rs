//! A resource after validation: plain numbers, addresses and durations. A value of one of these types is proof that
//! validation ran; the binaries take nothing else.

mod outgoing;
mod signed_header;
mod verify;

use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

use crate::contract::paths;
use crate::problem::Problem;

pub use outgoing::{
    Authorization, ClientCredentials, CloudEventsMode, DestinationTls, Header, HeaderContent, Method, Sign,
    Statuses, TemplatePart,
};
pub use signed_header::{HmacAlgorithm, Part, SignatureEncoding, SignedHeader};
pub use verify::{PayPalEnvironment, Verify};
pub use visnyk_rules::{Priority, Rules, Selector};

/// A `WebhookRelay` that passed every check. Only this crate makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedRelay {
    /// Name and revision of the resource.
    pub identity: Identity,
    /// Settings of the HTTP server.
    pub listener: Listener,
    /// Proxies whose header for the sender's address is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Storage for accepted events.
    pub spool: Spool,
    /// Senders that may send, by path. Never empty; paths are unique.
    pub sources: Vec<Source>,
    /// Rules, compiled.
    pub rules: Rules,
    /// Receivers of the events. Names are unique.
    pub destinations: Vec<Destination>,
    /// Settings of heartbeats to destinations.
    pub heartbeat: Option<Heartbeat>,
    /// Parts of the manifest that will not have the effect that they seem to have. They do not keep the relay from
    /// running.
    pub warnings: Vec<Problem>,
}

impl ValidatedRelay {
    /// Returns every secret of its listener, sources and destinations.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let of_sources = self.sources.iter().flat_map(|source| source.verify.secrets());
        let of_destinations = self.destinations.iter().flat_map(Destination::secrets);
        of_sources.chain(of_destinations).cloned().chain(self.listener.secrets()).collect()
    }
}

/// A `Collector` that passed every check. Only this crate makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedCollector {
    /// Name and revision of the resource.
    pub identity: Identity,
    /// Settings of the HTTP server.
    pub listener: Listener,
    /// The log file, with a line for each body.
    pub log: Log,
    /// Senders that may send.
    pub access: Access,
    /// Parts of the manifest that will not have the effect that they seem to have. They do not keep the collector
    /// from running.
    pub warnings: Vec<Problem>,
}

/// Senders that may send to a collector, besides relays of its own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Namespaces whose relays may send, as their certificates prove.
    pub namespaces: Vec<String>,
    /// Permission for every sender.
    pub anonymous: bool,
}

/// Name and revision of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.namespace`, `default` where the file names none.
    pub namespace: String,
    /// Name of the resource: `metadata.name`.
    pub name: String,
    /// `metadata.generation`, 0 in a file that no API server has seen.
    pub generation: i64,
    /// Hex SHA-256 over the spec as canonical JSON, without what only the operator reads: the same
    /// for the same meaning.
    pub configuration_hash: String,
}

/// Settings of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Largest request body, in bytes.
    pub max_body_size: u64,
    /// Certificate of the server.
    pub tls: ListenerTls,
    /// PEM bundle of the CAs of client certificates; `None`: clients are not asked for a certificate.
    pub client_ca: Option<SecretRef>,
}

impl Listener {
    /// Returns the secrets of its certificate, and the bundle of CAs for client certificates.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let certificate = match &self.tls {
            ListenerTls::Secret { name } => [paths::CERTIFICATE, paths::KEY]
                .map(|key| SecretRef { name: name.clone(), key: key.into() })
                .into(),
            ListenerTls::SelfSigned { .. } | ListenerTls::None => Vec::new(),
        };
        certificate.into_iter().chain(self.client_ca.clone()).collect()
    }
}

/// The certificate of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// A certificate of a CA of its own, made in the data folder, for these names besides `localhost`
    /// and the loopback addresses.
    SelfSigned {
        /// DNS names, in lowercase; a name may begin with a wildcard.
        dns_names: Vec<String>,
    },
    /// A certificate in the files `<secrets-dir>/<secret>/tls.crt` and `tls.key`.
    Secret {
        /// Name of the Secret.
        name: String,
    },
    /// Plain HTTP, which the manifest sets explicitly.
    None,
}

/// Storage for accepted events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// Lifetime and size of the data folder.
    pub kind: SpoolKind,
    /// Duration for which a removed destination keeps its undelivered events.
    pub retain_removed: Duration,
    /// Maximum duration of draining an unused spool.
    pub drain_timeout: Duration,
}

/// Lifetime and size of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolKind {
    /// As long as the volume.
    Persistent {
        /// Journal and state together, in bytes.
        size: u64,
    },
    /// As long as the pod: undelivered events are lost with it.
    Ephemeral {
        /// Journal and state together, in bytes; absent: what the file system has.
        size: Option<u64>,
    },
}

/// A kind of sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Unique within the relay.
    pub name: String,
    /// The exact request path, starting with `/`.
    pub path: String,
    /// Proof that a sender must give.
    pub verify: Verify,
    /// Address ranges of senders; empty: any address.
    pub allow_from: Vec<IpNet>,
    /// Rule for repeats; `None`: no event is a repeat.
    pub deduplicate: Option<Deduplicate>,
    /// Priority of events that no rule classifies.
    pub priority: Priority,
    /// Exceptions from the rule which headers are kept.
    pub forward_headers: ForwardHeaders,
}

/// Exceptions from the rule which headers of a request are kept with its event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardHeaders {
    /// Headers kept besides those that are kept by default.
    pub allow: Vec<HeaderName>,
    /// Names of headers that are never kept.
    pub deny: Vec<HeaderName>,
}

/// Rule by which repeats of an event are recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplicate {
    /// Duration for which an id is remembered.
    pub window: Duration,
    /// Place of the id; `None`: where the provider puts it.
    pub id: Option<IdAt>,
}

/// Place of an event's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdAt {
    /// The header of this name.
    Header(HeaderName),
    /// This path of fields in the JSON body. Never empty.
    Body(Vec<String>),
}

/// Reference to a file `<secrets-dir>/<name>/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret.
    pub key: String,
}

/// A receiver of events.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Unique within the relay.
    pub name: String,
    /// Address of the receiver.
    pub target: Target,
    /// Condition for its events, compiled.
    pub selector: Selector,
    /// Form of the request body.
    pub format: Format,
    /// HTTP method of the requests.
    pub method: Method,
    /// Headers added to each request. Names are unique, and none is set by `sign` or `authorization`.
    pub headers: Vec<Header>,
    /// Signature of each request.
    pub sign: Option<Sign>,
    /// Credentials sent with each request.
    pub authorization: Option<Authorization>,
    /// TLS settings of the connection; only an `https` [`Target::Url`] has any.
    pub tls: DestinationTls,
    /// Statuses that mean "delivered".
    pub success: Statuses,
    /// Statuses after which no further attempt is made.
    pub final_statuses: Statuses,
    /// Times of the attempts for an event.
    pub retry: Retry,
    /// Maximum duration of an attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Maximum number of requests in flight at once, 1 to 1,024.
    pub concurrency: usize,
    /// Maximum number of attempts per span of time; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Private and special address ranges that the address guard allows for this destination.
    pub allow: Vec<IpNet>,
    /// Maximum bytes of undelivered events; beyond it the oldest are dropped. `None`: no limit but the spool.
    pub backlog: Option<u64>,
}

/// Address of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `http` or `https`, without user information or fragment.
    Url(Url),
    /// A Service of the cluster, by plain HTTP. Connections are made only to its addresses in the peers folder.
    Service {
        /// Namespace of the Service; the relay's where the resource names none.
        namespace: String,
        /// Name of the Service.
        name: String,
        /// URL of the Service: `http://<name>.<namespace>.svc:<port><path>`.
        url: Url,
    },
    /// A Collector, whose address and certificates are files in the peers folder.
    Collector {
        /// Namespace of the Collector; the relay's where the resource names none.
        namespace: String,
        /// Name of the Collector.
        name: String,
    },
}

/// Form of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The body as received, with the headers that were kept.
    Original,
    /// A log line of the old system.
    Line,
    /// A CloudEvents 1.0 event.
    CloudEvents(CloudEventsMode),
}

/// Times of the attempts for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Waits before each attempt, the first included: as many attempts as entries, 1 to 32.
    pub schedule: Vec<Duration>,
    /// Maximum random variation of each wait, 0 to 100 percent.
    pub jitter_percent: u8,
}

/// Maximum number of attempts per span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of attempts, at least 1.
    pub events: u32,
    /// Length of the span, longer than zero.
    pub per: Duration,
}

/// Settings of heartbeats to destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Interval between two heartbeats.
    pub every: Duration,
    /// Names of the destinations that get heartbeats.
    pub to: Vec<String>,
}

/// The log file of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Path relative to the data folder, without `..`.
    pub path: String,
    /// Rotation of the log; `None`: never.
    pub rotate: Option<Rotate>,
}

/// Rotation of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Maximum bytes of a file.
    pub size: u64,
    /// Number of closed files that are kept besides the open one.
    pub keep: u32,
}

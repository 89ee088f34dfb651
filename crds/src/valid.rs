//! What a resource means once it has been checked: plain numbers, addresses and durations.
//! Holding one of these is proof that validation ran; the binaries take nothing else.

mod outgoing;
mod signed_header;
mod verify;

use std::collections::BTreeSet;
use std::time::Duration;

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

/// A `WebhookRelay` that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedRelay {
    /// Where the resource lives and which revision of it this is.
    pub identity: Identity,
    /// Where requests come in.
    pub listener: Listener,
    /// Proxies that are believed when they say who sends.
    pub trusted_proxies: Vec<IpNet>,
    /// Where accepted events are kept.
    pub spool: Spool,
    /// Who may send, by path. Never empty; paths are unique.
    pub sources: Vec<Source>,
    /// Who gets every accepted event. Names are unique.
    pub destinations: Vec<Destination>,
    /// The sign of life, if one is wanted.
    pub heartbeat: Option<Heartbeat>,
    /// Parts of the manifest that will not do what they seem to; nothing that keeps the relay from running.
    pub warnings: Vec<Problem>,
}

impl ValidatedRelay {
    /// Every secret of its listener, sources and destinations.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let of_sources = self.sources.iter().flat_map(|source| source.verify.secrets());
        let of_destinations = self.destinations.iter().flat_map(Destination::secrets);
        of_sources.chain(of_destinations).cloned().chain(self.listener.secrets()).collect()
    }
}

/// A `Collector` that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedCollector {
    /// Where the resource lives and which revision of it this is.
    pub identity: Identity,
    /// Where requests come in.
    pub listener: Listener,
    /// The file that gets a line per body.
    pub log: Log,
    /// Who may send.
    pub access: Access,
    /// Parts of the manifest that will not do what they seem to; nothing that keeps the collector from running.
    pub warnings: Vec<Problem>,
}

/// Who may send to a collector, besides relays of its own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Relays of these namespaces, as their certificates say.
    pub namespaces: Vec<String>,
    /// Everyone.
    pub anonymous: bool,
}

/// Name and revision of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.namespace`, `default` where the file names none.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.generation`, 0 in a file that no API server has seen.
    pub generation: i64,
    /// Hex SHA-256 over the spec as canonical JSON, without what only the operator reads: the same
    /// for the same meaning.
    pub configuration_hash: String,
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Largest request body, in bytes.
    pub max_body_size: u64,
    /// Who the server proves to be.
    pub tls: ListenerTls,
    /// The PEM bundle of those who vouch for clients; absent: clients are not asked who they are.
    pub client_ca: Option<SecretRef>,
}

impl Listener {
    /// The secrets of its certificate, and the bundle of those who vouch for clients.
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

/// Who a server proves to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// A certificate of a CA of its own, made in the data folder, for these names besides `localhost`
    /// and the loopback addresses.
    SelfSigned {
        /// DNS names, in small letters; a wildcard may stand first.
        dns_names: Vec<String>,
    },
    /// `<secrets-dir>/<secret>/tls.crt` and `tls.key`.
    Secret {
        /// Name of the Secret.
        name: String,
    },
    /// Plain HTTP, because the manifest says so aloud.
    None,
}

/// Where accepted events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// How long the data folder lives.
    pub kind: SpoolKind,
    /// How long a removed destination keeps its undelivered events.
    pub retain_removed: Duration,
    /// How long a spool that no pod uses any more is drained, if it is.
    pub drain_timeout: Duration,
}

/// How long the data folder lives, and how much it may hold.
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

/// One kind of sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Unique within the relay.
    pub name: String,
    /// The exact request path, starting with `/`.
    pub path: String,
    /// How a sender proves who it is.
    pub verify: Verify,
    /// Ranges that senders must be in; empty: all.
    pub allow_from: Vec<IpNet>,
    /// Which events are repeats; absent: none.
    pub deduplicate: Option<Deduplicate>,
    /// Exceptions to which headers are kept.
    pub forward_headers: ForwardHeaders,
}

/// Exceptions to which headers of a request are kept with its event; names in lowercase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardHeaders {
    /// Kept beside those that are by default.
    pub allow: Vec<String>,
    /// Not kept, whatever else says so.
    pub deny: Vec<String>,
}

/// Which events are repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplicate {
    /// How long an id is remembered.
    pub window: Duration,
    /// Where the id is; absent: where the provider puts it.
    pub id: Option<IdAt>,
}

/// Where the id of an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdAt {
    /// In this header, its name in small letters.
    Header(String),
    /// In the JSON body, down these fields. Never empty.
    Body(Vec<String>),
}

/// A file `<secrets-dir>/<name>/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    /// The Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// Who gets every accepted event.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Unique within the relay.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// What it is sent.
    pub format: Format,
    /// How it is sent.
    pub method: Method,
    /// What is sent beside it. Names are unique, and none is one that `sign` or `authorization` sets.
    pub headers: Vec<Header>,
    /// How it is proven who sent it.
    pub sign: Option<Sign>,
    /// What it lets the relay in by.
    pub authorization: Option<Authorization>,
    /// Whom it has to prove to be; only an `https` [`Target::Url`] has more than nothing here.
    pub tls: DestinationTls,
    /// The answers that say that it has the event.
    pub success: Statuses,
    /// The answers that no further attempt can change.
    pub final_statuses: Statuses,
    /// When a failed delivery is tried again.
    pub retry: Retry,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Requests in flight at once, 1 to 1,024.
    pub concurrency: usize,
    /// Most attempts begun per span of time; absent: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Private and special ranges that the address guard lets through for this destination.
    pub allow: Vec<IpNet>,
    /// Most bytes of undelivered events; beyond it the oldest are dropped, by name. Absent: no limit but the spool.
    pub backlog: Option<u64>,
}

/// Where a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `http` or `https`, without user information or fragment.
    Url(Url),
    /// A Service of the cluster, by plain HTTP: only its addresses in the peers folder may be connected to.
    Service {
        /// Its namespace, the relay's where the resource names none.
        namespace: String,
        /// Its name.
        name: String,
        /// `http://<name>.<namespace>.svc:<port><path>`.
        url: Url,
    },
    /// A Collector, whose address and certificates are files in the peers folder.
    Collector {
        /// Its namespace, the relay's where the resource names none.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What a destination is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The body as it came, with the headers that came with it.
    Original,
    /// The log line of the old system.
    Line,
    /// CloudEvents 1.0.
    CloudEvents(CloudEventsMode),
}

/// When a delivery is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait before each attempt, the first included: as many attempts as entries, 1 to 32.
    pub schedule: Vec<Duration>,
    /// Each wait is lengthened or shortened by up to this share, 0 to 100.
    pub jitter_percent: u8,
}

/// Most attempts begun per span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At least 1.
    pub events: u32,
    /// Longer than zero.
    pub per: Duration,
}

/// The sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The time between two.
    pub every: Duration,
    /// Names of destinations.
    pub to: Vec<String>,
}

/// The collector's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Relative to the data folder, without `..`.
    pub path: String,
    /// When the file is closed and a new one begun; absent: never.
    pub rotate: Option<Rotate>,
}

/// When the log is closed and a new one begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Bytes a file may hold.
    pub size: u64,
    /// Closed files kept besides the open one.
    pub keep: u32,
}

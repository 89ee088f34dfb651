//! Receivers of the events, and how each one is sent to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::destination_tls::{NO_TLS_HERE, TLS_RULE};
use super::exchange::{MODE_OF_OTHER, MODE_RULE, forwards};
use super::{Authorization, CloudEvents, DestinationTls, Header, Method, OnError, Sign, each, exactly_one};
use crate::bounds;
use crate::text::{
    Cidr, Expression, GoDuration, HttpUrl, Name, Namespace, Quantity, ServiceName, Statuses, UrlPath,
};

/// The fields of which [`Destination`] holds exactly one.
pub(crate) const TARGETS: &[&str] = &["collectorRef", "service", "url"];

/// A receiver of every accepted event: exactly one of `collectorRef`, `service`, `url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = rules()))]
pub struct Destination {
    /// Name of the destination, unique in this relay. It identifies the stored state: with a new name it is another
    /// destination, which gets only events accepted from then on; with the same name and a new address it continues
    /// where it was.
    pub name: Name,
    /// A Collector as the receiver. The operator gives the relay its address and the certificates for mutual TLS.
    /// Exactly one of `collectorRef`, `service`, `url`. Outside a cluster the peers folder has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector_ref: Option<CollectorRef>,
    /// A Service of the cluster as the receiver, by plain HTTP. It needs no `network.allow`: the relay connects to
    /// the addresses of this Service only. Headless Services and those of type `ExternalName` are refused. Exactly
    /// one of `collectorRef`, `service`, `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// An http or https URL as the receiver, without user information and fragment, for example
    /// `https://hooks.example.org/in`. A host with a private address needs `network.allow`. Exactly one of
    /// `collectorRef`, `service`, `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// Condition for the events that it gets, an expression in CEL that is true or false, for example `priority in
    /// ['Critical', 'Major']`; variables and functions are in docs/rules.md. A field that is missing is no match. Absent:
    /// it gets every event that no rule drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// Treatment of an event when `when` or a rule fails, for example because a text is no number. `Deliver`: the
    /// destination gets the event. `DeadLetter`: the event becomes a dead letter. Default `Deliver`. A missing field is
    /// no failure.
    #[serde(default)]
    pub on_error: OnError,
    /// Form of the request body. `Original`: the body as received, with the headers that were kept. `Line`: one line
    /// of text, `<local time> - Received data: <body>`. `CloudEvents`: a CloudEvents 1.0 event. Default `Original`.
    #[serde(default)]
    pub format: Format,
    /// Settings for `format: CloudEvents`. Absent: binary mode. An error with any other format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_events: Option<CloudEvents>,
    /// HTTP method of each request: `POST`, `PUT` or `PATCH`. Default `POST`.
    #[serde(default)]
    pub method: Method,
    /// Headers added to every request, beside those of the format. A header of the event with the same name is
    /// replaced. Absent: none is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    pub headers: Vec<Header>,
    /// Signature of each request, by which the receiver verifies the sender. Needs exactly one of `hmac`,
    /// `standardWebhooks`. Absent: requests are not signed. While a secret is missing, nothing is sent and the events
    /// wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<Sign>,
    /// Credentials sent in the header `Authorization` of each request. Needs exactly one of `basic`, `bearer`,
    /// `oauth2ClientCredentials`. Absent: none are sent. While a secret is missing, nothing is sent and the events
    /// wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// TLS settings of the connection to the destination; only for a `url` that begins with `https://`. Absent: the
    /// certificate must be valid for the host of `url` and signed by a CA that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Statuses that mean "delivered": quoted strings, for example `["200-299", "409"]`. The list replaces the
    /// default, so include 200-299 if these still count. Absent: 200-299. A status in both `success` and `final`
    /// counts as success. A status in neither list is a failed attempt and is retried, except 410, which disables the
    /// destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), transform = each(forwards()))]
    pub success: Vec<Statuses>,
    /// Statuses after which no further attempt is made: quoted strings, for example `["400", "422"]`. The event
    /// becomes a dead letter at once. A status that is also in `success` counts as success. Absent: none.
    #[serde(rename = "final", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), transform = each(forwards()))]
    pub final_statuses: Vec<Statuses>,
    /// Times of the attempts for an event. Absent: 10 attempts within 75 h 35 m. After the last failed attempt the
    /// event becomes a dead letter, which `redrive` can send again.
    #[serde(default)]
    pub retry: Retry,
    /// Maximum duration of one attempt, from connecting to the last byte of the answer, a token request included. A
    /// slower attempt has failed and is retried. Default 15s.
    #[serde(default = "timeout")]
    #[schemars(extend("x-kubernetes-validations" = bounds::TIMEOUT.rules()))]
    pub timeout: GoDuration,
    /// Maximum number of requests in flight to this destination at once, per pod. Default 64. The relay begins with 8 and
    /// finds by measuring how many the destination takes well, up to this number. Events are not kept in order, not even
    /// with 1, because a retried event is overtaken.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u16,
    /// Maximum number of attempts per time span, per pod. Retries count. Absent: no limit. Events above the limit
    /// wait in the spool and are not dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Private networks to which this destination may connect. Absent: public addresses only; an attempt to a private
    /// address fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Limit for undelivered events of this destination. Absent: no own limit; undelivered events are kept until the
    /// spool is full, and then senders get 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
}

/// A reference to a Collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CollectorRef {
    /// `metadata.name` of the Collector. While it does not exist, the events for it wait.
    pub name: Name,
    /// Namespace of the Collector. In another namespace the Collector must list the relay's namespace in
    /// `access.namespaces`. Absent: the relay's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

/// A reference to a Service of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ServiceRef {
    /// `metadata.name` of the Service. While it does not exist, the events for it wait.
    pub name: ServiceName,
    /// Namespace of the Service. Absent: the relay's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Port number of the Service, as in its `spec.ports[].port`.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Path and query of each request, beginning with a slash. Default `/`.
    #[serde(default = "root")]
    pub path: UrlPath,
}

/// Form of the request body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Format {
    /// The body as received, with the headers that were kept.
    #[default]
    Original,
    /// One line of text: local time, ` - Received data: ` and the body.
    Line,
    /// A CloudEvents 1.0 event. Its attributes are those of the sender where it sets them.
    CloudEvents,
}

/// Error text for a schedule whose first entry is not 0s.
pub(crate) const FIRST_AT_ONCE: &str = "must begin with 0s: the first attempt is made at once";

/// Times of the attempts for an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Retry {
    /// Waits before each attempt, as durations. Each entry is the time to wait after the previous attempt failed; the
    /// number of entries is the number of attempts. The first must be `0s`: the first attempt is made at once. The
    /// sum of the entries is how long an event is tried; then it becomes a dead letter. Default `0s, 5s, 5m, 30m, 2h,
    /// 5h, 10h, 14h, 20h, 24h`: 10 attempts in 75 h 35 m, as Standard Webhooks recommends. `["0s"]` means no retries.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(transform = each(bounds::RETRY_WAIT.rules()), extend("x-kubernetes-validations" = [{
        "rule": "self.size() == 0 || duration(self[0]) == duration('0s')",
        "message": FIRST_AT_ONCE,
    }]))]
    pub schedule: Vec<GoDuration>,
    /// Random variation of each wait, in percent: with 20 a wait of 10m takes 8 to 12 minutes. It keeps the events
    /// that failed together from being retried together, and makes the total of `schedule` approximate. Default 20; 0
    /// switches it off.
    #[schemars(range(min = 0, max = 100))]
    pub jitter_percent: u8,
}

impl Default for Retry {
    fn default() -> Self {
        let standard = ["0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"];
        Self { schedule: standard.map(GoDuration::from).to_vec(), jitter_percent: 20 }
    }
}

/// Maximum number of attempts per time span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RateLimit {
    /// Maximum number of attempts that begin within any span of length `per`. Retries count.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub events: u32,
    /// Length of the span, as a duration, for example `1s`. It slides: no span of this length has more than `events`
    /// attempts.
    #[schemars(extend("x-kubernetes-validations" = bounds::RATE_PER.rules()))]
    pub per: GoDuration,
}

/// Private networks to which this destination may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Network {
    /// Address ranges (CIDR) that are allowed although they are private, loopback or otherwise special, for example
    /// `["10.0.0.0/8"]`. Link-local addresses and those of cloud metadata services are always refused. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.error_text }])))]
    pub allow: Vec<Cidr>,
}

/// Limit for undelivered events of a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Backlog {
    /// Maximum bytes of undelivered events of this destination, per pod. Must not be larger than the spool.
    #[schemars(extend("x-kubernetes-validations" = bounds::BACKLOG_SIZE.rules()))]
    pub size: Quantity,
    /// Action beyond `size`. `Drop`: when more than `size` is undelivered, the oldest undelivered events of this
    /// destination are dropped until the rest fits, and counted as dropped.
    pub then: Overflow,
}

/// Action beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Overflow {
    /// The oldest undelivered events of the destination are dropped until the rest fits, and counted as dropped.
    Drop,
}

fn rules() -> Value {
    let mut rules = exactly_one(TARGETS);
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "rule": TLS_RULE, "message": NO_TLS_HERE }));
        rules.push(json!({ "rule": MODE_RULE, "message": MODE_OF_OTHER }));
    }
    rules
}

fn timeout() -> GoDuration {
    GoDuration::from("15s")
}

fn concurrency() -> u16 {
    64
}

fn root() -> UrlPath {
    UrlPath::from("/")
}

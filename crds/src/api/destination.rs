//! Who gets every accepted event, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::destination_tls::{NO_TLS_HERE, TLS_RULE};
use super::exchange::{MODE_OF_OTHER, MODE_RULE, forwards};
use super::{Authorization, CloudEvents, DestinationTls, Header, Method, Sign, each, exactly_one};
use crate::bounds;
use crate::text::{Cidr, GoDuration, HttpUrl, Name, Namespace, Quantity, ServiceName, Statuses, UrlPath};

/// The fields of which [`Destination`] holds exactly one.
pub(crate) const TARGETS: &[&str] = &["collectorRef", "service", "url"];

/// Who gets every accepted event: exactly one of `collectorRef`, `service`, `url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = rules()))]
pub struct Destination {
    /// Unique in this relay. The name is the identity: under another name it is another destination,
    /// which gets new events only; with another address it goes on where it was.
    pub name: Name,
    /// A Collector, whose address and certificates the relay is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector_ref: Option<CollectorRef>,
    /// A Service of the cluster, by plain HTTP. It needs no `network`: its address is opened by its name, and
    /// no other. Headless Services and those of type `ExternalName` are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Where to send, by http or https, without user information and fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// What is sent.
    #[serde(default)]
    pub format: Format,
    /// How `format: CloudEvents` sends them; absent: in binary mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_events: Option<CloudEvents>,
    /// The method of the requests.
    #[serde(default)]
    pub method: Method,
    /// Headers of every request, beside those of the format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    pub headers: Vec<Header>,
    /// How each request proves who sent it; absent: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<Sign>,
    /// What the destination lets the relay in by; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Whom the destination has to prove to be; absent: the host of `url`, vouched for by the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// The statuses, and ranges such as `200-299`, that say that the destination has the event; absent: 200-299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), transform = each(forwards()))]
    pub success: Vec<Statuses>,
    /// The statuses, and ranges, that no further attempt can change: the event is a dead letter at once. Of a
    /// status that is in `success`, too, `success` counts. Absent: none.
    #[serde(rename = "final", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), transform = each(forwards()))]
    pub final_statuses: Vec<Statuses>,
    /// When a delivery is tried, and tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Longest wait for one attempt, from connecting to the last byte of the answer.
    #[serde(default = "timeout")]
    #[schemars(extend("x-kubernetes-validations" = bounds::TIMEOUT.rules()))]
    pub timeout: GoDuration,
    /// Most requests in flight at once.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u16,
    /// Most attempts begun in a span of time; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Which private networks the destination may be in; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What happens when undelivered events pile up; absent: they are kept, as far as the spool reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
}

/// A Collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CollectorRef {
    /// Name of the Collector.
    pub name: Name,
    /// Namespace of the Collector; absent: the relay's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

/// A Service of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ServiceRef {
    /// Name of the Service.
    pub name: ServiceName,
    /// Namespace of the Service; absent: the relay's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Path and query of the request.
    #[serde(default = "root")]
    pub path: UrlPath,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Format {
    /// The body as it came, with the headers that came with it.
    #[default]
    Original,
    /// One line of the old system's log: local time, `Received data:` and the payload.
    Line,
    /// CloudEvents 1.0, with attributes derived from what the sender says.
    CloudEvents,
}

/// What is wrong with a schedule whose first attempt waits.
pub(crate) const FIRST_AT_ONCE: &str = "must begin with 0s: the first attempt is made at once";

/// When a delivery is tried, and tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Retry {
    /// The wait before each attempt: as many attempts as entries, the first at once (`0s`). After the last the
    /// event is a dead letter. The default is that of Standard Webhooks: 10 attempts in 75 h 35 m.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(transform = each(bounds::RETRY_WAIT.rules()), extend("x-kubernetes-validations" = [{
        "rule": "self.size() == 0 || duration(self[0]) == duration('0s')",
        "message": FIRST_AT_ONCE,
    }]))]
    pub schedule: Vec<GoDuration>,
    /// By how much each wait is lengthened or shortened at random, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub jitter_percent: u8,
}

impl Default for Retry {
    fn default() -> Self {
        let standard = ["0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"];
        Self { schedule: standard.map(GoDuration::from).to_vec(), jitter_percent: 20 }
    }
}

/// Most attempts begun in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RateLimit {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub events: u32,
    /// In how long.
    #[schemars(extend("x-kubernetes-validations" = bounds::RATE_PER.rules()))]
    pub per: GoDuration,
}

/// Which private networks the destination may be in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Network {
    /// Ranges such as `10.0.0.0/8` that are let through although they are private, loopback or otherwise
    /// special. Link-local ranges and those of cloud metadata stay closed whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.says }])))]
    pub allow: Vec<Cidr>,
}

/// What happens when undelivered events pile up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Backlog {
    /// Most bytes of undelivered events; at most the size of the spool.
    #[schemars(extend("x-kubernetes-validations" = bounds::BACKLOG_SIZE.rules()))]
    pub size: Quantity,
    /// What is done beyond it.
    pub then: Overflow,
}

/// What is done beyond a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Overflow {
    /// The oldest undelivered events are dropped and counted under the destination's name.
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
    16
}

fn root() -> UrlPath {
    UrlPath::from("/")
}

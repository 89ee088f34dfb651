//! The resources as users write them. Their doc comments become the descriptions of the schema, so they address the
//! user. An object that needs exactly one of its fields has optional fields and a CEL rule.

mod authorization;
mod autoscaling;
mod collector;
mod destination;
mod destination_tls;
mod exchange;
mod heartbeat;
mod listener;
mod log;
mod pod;
mod relay;
mod rule;
mod service;
mod sign;
mod signed_header;
mod source;
mod spool;
mod status;
mod storage;
mod verbatim;
mod verify;

pub use authorization::{Authorization, BearerToken, ClientCredentials};
pub use autoscaling::Autoscaling;
pub use collector::{Access, Collector, CollectorSpec};
pub use destination::{
    Backlog, CollectorRef, Destination, Format, Network, Overflow, RateLimit, Retry, ServiceRef,
};
pub use destination_tls::{CertificateRef, DestinationTls};
pub use exchange::{CloudEvents, CloudEventsMode, Header, Method};
pub use heartbeat::Heartbeat;
pub use listener::{
    CertManager, ClientCa, IssuerRef, Listener, RelayListener, RelayTls, SelfSigned, ServiceNames, Tls,
};
pub use log::{Log, Rotate};
pub use pod::{ImagePullSecret, Pod, Resources};
pub use relay::{WebhookRelay, WebhookRelaySpec};
pub use rule::{OnError, Priority, Rule, Score, Threshold};
pub use service::{GatewayRef, HttpRoute, Ingress, Monitoring, Service, ServiceKind, TrafficPolicy};
pub use sign::{Sign, SignHmac, SignStandardWebhooks};
pub use signed_header::{HmacAlgorithm, SignatureEncoding, SignedHeader};
pub use source::{Deduplicate, ForwardHeaders, SecretRef, Source};
pub use spool::{OnDelete, Spool};
pub use status::Status;
pub use storage::{Ephemeral, Persistent, Storage};
pub use verbatim::{Amount, Verbatim};
pub use verify::{
    Basic, ClientCertificate, Hmac, Meta, PayPal, PayPalEnvironment, Secrets, TimedSecrets, Twilio, Verify,
};

pub(crate) use authorization::WAYS as AUTHORIZATION_WAYS;
pub(crate) use autoscaling::AT_LEAST_MIN;
pub(crate) use collector::{BEHIND_A_PROXY, NOBODY};
pub(crate) use destination::{FIRST_AT_ONCE, TARGETS};
pub(crate) use destination_tls::NO_TLS_HERE;
pub(crate) use exchange::{BACKWARDS, CONTENTS, IS_RESERVED, MODE_OF_OTHER, RESERVED};
pub(crate) use listener::{CLIENT_CA_BY_TLS, HEALTH_PORT_TAKEN, NEEDS_A_NAME, NO_ADDRESS, TLS};
pub(crate) use service::NEEDS_OUTSIDE;
pub(crate) use sign::WAYS as SIGN_WAYS;
pub(crate) use signed_header::{NO_BODY, TIME};
pub(crate) use source::{NEVER_KEPT, NO_CERTIFICATE_BEHIND_A_GATEWAY, NO_CLIENT_CA, ONE_REPLICA};
pub(crate) use spool::NOTHING_TO_DRAIN;
pub(crate) use storage::KINDS as STORAGE_KINDS;
pub(crate) use verify::WAYS as VERIFY_WAYS;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Returns whether a value is the default. Then it is left out where a resource is written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// API group of both kinds.
pub const GROUP: &str = "visnyk.dev";
/// API version of both kinds.
pub const VERSION: &str = "v1alpha1";

/// An empty object. Its presence is the setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Explicit {}

/// Returns the CEL rule and message of an object that holds exactly one of `fields`.
fn exactly_one(fields: &[&str]) -> Value {
    let present: Vec<String> = fields.iter().map(|field| format!("has(self.{field})")).collect();
    json!([{
        "rule": format!("[{}].filter(present, present).size() == 1", present.join(", ")),
        "message": needs_exactly_one(fields),
    }])
}

/// Returns a transform that puts CEL rules on each item of a list.
fn each(rules: Value) -> impl FnMut(&mut Schema) {
    move |list| {
        if let Some(items) = list.get_mut("items").and_then(Value::as_object_mut) {
            items.insert("x-kubernetes-validations".into(), rules.clone());
        }
    }
}

/// Returns a transform that limits a map to `most` entries.
fn map_of(most: u32) -> impl FnMut(&mut Schema) {
    move |map| {
        map.insert("maxProperties".into(), most.into());
    }
}

/// Returns the error text for an object that should hold exactly one of `fields`.
pub(crate) fn needs_exactly_one(fields: &[&str]) -> String {
    format!("needs exactly one of {}", fields.join(", "))
}

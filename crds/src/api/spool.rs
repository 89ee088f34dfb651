//! Where accepted events are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::storage::one_kind_for_ever;
use super::{Ephemeral, Persistent};
use crate::bounds;
use crate::text::GoDuration;

/// Where accepted events are kept: exactly one of `persistent`, `ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = rules()))]
pub struct Spool {
    /// On a volume that outlives the process and the pod. When it is full new events are refused with 503,
    /// and none is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    /// In a folder that lives as long as the pod: **undelivered events are lost with it**.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
    /// How long a destination that was removed keeps its undelivered events. Added again by the same
    /// name in that time it goes on; after it they are dropped, by name.
    #[serde(default = "retain_removed")]
    #[schemars(extend("x-kubernetes-validations" = bounds::RETAIN_REMOVED.rules()))]
    pub retain_removed: GoDuration,
    /// What becomes of a persistent spool that no pod uses any more, because the relay was deleted or scaled
    /// down.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// How long `onDelete: Drain` tries to deliver what is left. After it the volume is kept with the rest.
    #[serde(default = "drain_timeout")]
    #[schemars(extend("x-kubernetes-validations" = bounds::DRAIN_TIMEOUT.rules()))]
    pub drain_timeout: GoDuration,
}

/// What becomes of a spool that no pod uses any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OnDelete {
    /// Its volume is kept, undelivered events and all; a relay of the same name uses it again.
    #[default]
    Retain,
    /// A Job delivers its events, then its volume is deleted. One with events that could not be delivered is
    /// kept. For persistent spools only. A relay that is deleted goes when that is done, or after `drainTimeout`.
    Drain,
    /// Its volume is deleted, **and undelivered events with it**.
    Discard,
}

/// What is wrong with draining a spool that is gone with its pod.
pub(crate) const NOTHING_TO_DRAIN: &str =
    "Drain needs a persistent spool: an ephemeral one is lost with its pod, and with it what is undelivered";

fn rules() -> Value {
    let mut rules = one_kind_for_ever();
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "rule": "!has(self.ephemeral) || self.onDelete != 'Drain'",
            "message": NOTHING_TO_DRAIN,
        }));
    }
    rules
}

fn retain_removed() -> GoDuration {
    GoDuration::from("24h")
}

fn drain_timeout() -> GoDuration {
    GoDuration::from("1h")
}

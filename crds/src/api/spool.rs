//! Storage for accepted events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::storage::one_kind_for_ever;
use super::{Ephemeral, Persistent};
use crate::bounds;
use crate::text::GoDuration;

/// Storage for accepted events: exactly one of `persistent`, `ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = rules()))]
pub struct Spool {
    /// A volume for each pod, which outlives the pod. When it is full, new events are refused with 503 and none is
    /// lost. Exactly one of `persistent`, `ephemeral`; one cannot replace the other later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    /// A folder that is deleted with the pod: **undelivered events are lost with it**. Exactly one of `persistent`,
    /// `ephemeral`; one cannot replace the other later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
    /// Duration for which the undelivered events of a removed destination are kept. If a destination with the same
    /// name is added within it, delivery continues; afterwards the events are dropped and counted as dropped. Default
    /// 24h.
    #[serde(default = "retain_removed")]
    #[schemars(extend("x-kubernetes-validations" = bounds::RETAIN_REMOVED.rules()))]
    pub retain_removed: GoDuration,
    /// Handling of the volumes that no pod uses any more, after the relay was deleted or scaled down. `Retain`: they
    /// are kept, with undelivered events; a relay of the same name uses them again. `Drain`: a Job delivers the
    /// events, then each volume is deleted. `Discard`: they are deleted, **undelivered events included**. Default
    /// `Retain`.
    #[serde(default)]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub on_delete: OnDelete,
    /// Maximum duration of the delivery with `onDelete: Drain`. Events that failed are tried again at the times of
    /// `retry.schedule`, which by default goes on for 75 h 35 m: it may be longer than this. A volume that still has
    /// events after this duration is kept. Default 1h.
    #[serde(default = "drain_timeout")]
    #[schemars(extend("x-kubernetes-validations" = bounds::DRAIN_TIMEOUT.rules()))]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub drain_timeout: GoDuration,
}

/// Handling of a volume that no pod uses any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OnDelete {
    /// The volume is kept, with undelivered events; a relay of the same name uses it again.
    #[default]
    Retain,
    /// A Job delivers the events, then the volume is deleted. A volume with events that could not be delivered is
    /// kept. For persistent spools only. A deleted relay stays until that is done, or until `drainTimeout`.
    Drain,
    /// The volume is deleted, **undelivered events included**.
    Discard,
}

/// Error text for draining a spool that is deleted with its pod.
pub(crate) const NOTHING_TO_DRAIN: &str =
    "onDelete: Drain needs a persistent spool: an ephemeral one is deleted with its pod";

fn rules() -> Value {
    let mut rules = one_kind_for_ever();
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "rule": "!has(self.ephemeral) || !has(self.onDelete) || self.onDelete != 'Drain'",
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

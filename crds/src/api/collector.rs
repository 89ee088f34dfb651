//! The collector: writes down what relays and old senders bring.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aloud, Listener, Log};
use crate::text::{RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS};

/// Collects what relays deliver and appends each body to a log, synced before it answers.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "visnyk.dev",
    version = "v1alpha1",
    kind = "Collector",
    shortname = "vcol",
    category = "visnyk",
    namespaced,
    derive = "PartialEq",
    doc = "Collects what relays deliver and appends each body to a log, synced before it answers.",
    validation = (RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS),
)]
#[serde(rename_all = "camelCase")]
pub struct CollectorSpec {
    /// Where relays and other senders connect.
    pub listener: Listener<8080>,
    /// The file that gets a line per body.
    pub log: Log,
    /// Who may send.
    pub access: Access,
}

/// Who may send to a collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Access {
    /// Anyone who can reach the port may send; it has to be said aloud.
    pub anonymous_ingest: Aloud,
}

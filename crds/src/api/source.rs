//! Who may send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Verify, each};
use crate::text::{Cidr, Name, RequestPath, SecretKey, SecretName};

/// One kind of sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Source {
    /// Unique in this relay.
    pub name: Name,
    /// The exact path of its requests; a query is no part of it. Unique in this relay.
    pub path: RequestPath,
    /// How a sender proves who it is: exactly one of these.
    pub verify: Verify,
    /// Ranges that senders must be in, beside the proof. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.says }])))]
    pub allow_from: Vec<Cidr>,
}

/// One key of a Secret in the resource's namespace. Beside a cluster: the file `<name>/<key>` in the
/// secrets folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: SecretName,
    /// Key in it.
    pub key: SecretKey,
}

//! Who may send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aloud, exactly_one};
use crate::text::{Name, RequestPath, SecretKey, SecretName};

/// The objects of which [`Verify`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["none", "bearer"];

/// One kind of sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Source {
    /// Unique in this relay.
    pub name: Name,
    /// The exact path of its requests; a query is no part of it. Unique in this relay.
    pub path: RequestPath,
    /// How a sender proves who it is: exactly one of `none`, `bearer`.
    pub verify: Verify,
}

/// How a sender proves who it is: exactly one of `none`, `bearer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Verify {
    /// Not at all: anyone who can reach the port may send. It has to be said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Aloud>,
    /// By the header `Authorization: Bearer <token>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
}

/// By the header `Authorization: Bearer <token>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Bearer {
    /// The tokens that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
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

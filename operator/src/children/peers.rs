//! The Secret that tells a relay where Collectors and Services are: always mounted, so that a new peer reaches
//! the pods without a restart.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::json;

use crate::children::SecretData;
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the Secret with these files of the peers folder.
pub fn peers(owner: &Owner, files: SecretData) -> Child {
    let data: BTreeMap<String, ByteString> =
        files.into_iter().map(|(name, content)| (name, ByteString(content))).collect();
    Child::new(owner, Kind::Secret, owner.child("peers"), json!({ "type": "Opaque", "data": data }))
}

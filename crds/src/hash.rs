//! The hash by which a pod says which configuration it runs.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Hex SHA-256 over the spec with its defaults, as JSON with sorted keys.
pub(crate) fn configuration_hash(spec: &impl Serialize) -> String {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    value.sort_all_objects();
    format!("{:x}", Sha256::digest(value.to_string()))
}

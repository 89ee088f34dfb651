//! Validates a resource together with its spec as an API server returned it. That spec may have fields that only a newer
//! definition knows: they are passed on to the pods, which may be of that version.

use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde_json::Value;

use super::{collector, relay};
use crate::api::{CollectorSpec, WebhookRelaySpec};
use crate::hash::hash_with;
use crate::problem::{FieldPath, Problem};
use crate::schema;
use crate::valid::{Identity, ValidatedCollector, ValidatedRelay};
use crate::{Collector, WebhookRelay};

/// Validates a relay. `spec` is its spec as it was written. Fields that this version does not know are warned of, and
/// are part of the configuration hash.
///
/// # Errors
/// Every mistake in the fields that this version knows.
pub fn written_relay(resource: &WebhookRelay, spec: &Value) -> Result<ValidatedRelay, Vec<Problem>> {
    let mut valid = relay(resource)?;
    consider::<WebhookRelay, WebhookRelaySpec>(spec, &mut valid.identity, &mut valid.warnings);
    Ok(valid)
}

/// Validates a collector, as [`written_relay`] does a relay.
///
/// # Errors
/// Every mistake in the fields that this version knows.
pub fn written_collector(resource: &Collector, spec: &Value) -> Result<ValidatedCollector, Vec<Problem>> {
    let mut valid = collector(resource)?;
    consider::<Collector, CollectorSpec>(spec, &mut valid.identity, &mut valid.warnings);
    Ok(valid)
}

fn consider<K: CustomResourceExt, S: JsonSchema>(
    spec: &Value,
    identity: &mut Identity,
    warnings: &mut Vec<Problem>,
) {
    let unknown = schema::unknown(schema::spec_schema::<K>(), spec, &FieldPath::of("spec"));
    identity.configuration_hash = hash_with::<S>(&identity.configuration_hash, &unknown);
    let reason = "is not known to this version of the operator: it is passed on to the pods unchecked";
    warnings.extend(unknown.into_iter().map(|(place, _)| Problem { place, reason: reason.to_owned() }));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_of_a_newer_version_is_part_of_the_hash_unless_no_pod_reads_it() {
        let resource = json!({
            "metadata": { "name": "logbook" },
            "spec": { "listener": { "tls": { "none": {} } }, "log": {}, "access": { "anonymousIngest": {} } },
        });
        let read: Collector = serde_json::from_value(resource.clone()).unwrap();
        let validated = |pointer: &str, value: Value| {
            let mut spec = resource["spec"].clone();
            spec[pointer] = value;
            written_collector(&read, &spec).unwrap()
        };
        let hash = |pointer: &str, value: Value| validated(pointer, value).identity.configuration_hash;
        let known = collector(&read).unwrap();
        assert_eq!(written_collector(&read, &resource["spec"]).unwrap(), known);
        let [high, low] = ["high", "low"].map(|tide| hash("tide", json!({ "is": tide })));
        assert!(high != low && high != known.identity.configuration_hash);
        assert_eq!(hash("pod", json!({ "tide": "high" })), known.identity.configuration_hash);
        let warnings = validated("tide", json!(1)).warnings;
        assert!(
            warnings[0].to_string().starts_with("spec.tide: is not known to this version"),
            "{warnings:?}"
        );
    }
}

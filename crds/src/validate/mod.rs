//! Validates a resource: the schema first, then the rules that a schema cannot express. Pure, and it finds every
//! mistake, not just the first.
//!
//! A missing or wrongly typed field hides mistakes that depend on it.

mod collector;
mod destination;
mod listener;
mod outgoing;
mod pod;
mod relay;
mod rule;
mod signed_header;
mod source;
mod spool;
mod template;
#[cfg(test)]
mod tests;
mod verify;
mod written;

use http::HeaderName;
use kube::{CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::Serialize;

use crate::hash::configuration_hash;
use crate::problem::{FieldPath, Problems};
use crate::schema;
use crate::text::{Form, Name, Namespace};
use crate::valid::Identity;

pub use collector::collector;
pub use relay::relay;
pub use written::{written_collector, written_relay};

/// Adds the violations of the schema of kind `K` by the spec.
fn check_schema<K: CustomResourceExt>(spec: &impl Serialize, problems: &mut Problems) {
    let value = serde_json::to_value(spec).unwrap_or_default();
    schema::check(schema::spec_schema::<K>(), &value, &FieldPath::of("spec"), problems);
}

/// Returns name and revision of the resource.
fn identity<S: Serialize + JsonSchema>(
    resource: &impl ResourceExt,
    spec: &S,
    problems: &mut Problems,
) -> Identity {
    let place = FieldPath::of("metadata");
    let name = resource.name_any();
    if name.is_empty() {
        problems.add(place.field("name"), "is required");
    } else {
        check_form(Name::FORMAT, &name, &place.field("name"), problems);
    }
    let namespace = resource.namespace().unwrap_or_else(|| "default".to_owned());
    check_form(Namespace::FORMAT, &namespace, &place.field("namespace"), problems);
    Identity {
        namespace,
        name,
        generation: resource.meta().generation.unwrap_or(0),
        configuration_hash: configuration_hash(spec),
    }
}

/// Returns the name of a header. The schema has reported a name of another form already; its stand-in is never used.
fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).unwrap_or(HeaderName::from_static("invalid"))
}

fn check_form(form: Form, text: &str, place: &FieldPath, problems: &mut Problems) {
    if !form.fits(text) {
        problems.add(place.clone(), form.error_text);
    }
}

/// Returns the field that is set, of an object's exactly-one fields; `None`, with the mistake noted, if it is not
/// exactly one.
fn exactly_one<T, const N: usize>(
    fields: &[&str],
    given: [Option<T>; N],
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<T> {
    let mut given = given.into_iter().flatten();
    let one = given.next();
    if one.is_some() && given.next().is_none() {
        return one;
    }
    problems.add(place.clone(), crate::api::needs_exactly_one(fields));
    None
}

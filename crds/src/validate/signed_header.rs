//! Validates an HMAC in a header, for sources and destinations.

use super::{header_name, template};
use crate::api;
use crate::problem::{FieldPath, Problems};
use crate::text::SignedPayload;
use crate::valid::{Part, SignedHeader};

/// Validates header and content of a signature: the body once, and a time if there is a header for it.
pub(super) fn signed_header(
    signed: &api::SignedHeader,
    place: &FieldPath,
    problems: &mut Problems,
) -> SignedHeader {
    let payload = parts(&signed.payload);
    let count = |wanted: &Part| payload.iter().filter(|part| *part == wanted).count();
    if count(&Part::Body) != 1 {
        problems.add(place.field("payload"), api::NO_BODY);
    }
    if (count(&Part::Timestamp) > 0) != signed.timestamp_header.is_some() {
        problems.add(place.clone(), api::TIME);
    }
    SignedHeader {
        header: header_name(&signed.header),
        algorithm: signed.algorithm,
        encoding: signed.encoding,
        prefix: signed.prefix.as_ref().map(ToString::to_string).unwrap_or_default(),
        payload,
        timestamp_header: signed.timestamp_header.as_ref().map(|name| header_name(name)),
    }
}

fn parts(payload: &SignedPayload) -> Vec<Part> {
    let parts = template::parts(payload).into_iter().map(|part| match part {
        template::Part::Text(text) => Part::Text(text.to_owned()),
        template::Part::Name("body") => Part::Body,
        template::Part::Name("timestamp") => Part::Timestamp,
        template::Part::Name(other) => Part::Text(format!("{{{other}}}")), // refused by the schema
    });
    parts.collect()
}

//! Validates the sources of a relay.

use std::collections::HashMap;

use ipnet::IpNet;

use super::{header_name, verify};
use crate::api;
use crate::bounds;
use crate::headers;
use crate::problem::{FieldPath, Problems};
use crate::text::{Cidr, HeaderName, IdExpression};
use crate::valid::{Deduplicate, ForwardHeaders, IdAt, SecretRef, Source, Verify};

/// Validates all sources. The CA certificates of clients are the same for all of them.
pub(super) fn sources(
    sources: &[api::Source],
    client_ca: Option<&SecretRef>,
    place: &FieldPath,
    problems: &mut Problems,
) -> Vec<Source> {
    let mut paths = HashMap::new();
    for (index, source) in sources.iter().enumerate() {
        if let Some(first) = paths.get(&source.path) {
            let at = place.item(index).field("path");
            problems.add(at, format!("repeats {:?} of {}", source.path.0, place.item(*first)));
        } else {
            paths.insert(&source.path, index);
        }
    }
    let each = sources.iter().enumerate();
    each.filter_map(|(index, source)| self::source(source, client_ca, &place.item(index), problems)).collect()
}

fn source(
    source: &api::Source,
    client_ca: Option<&SecretRef>,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Source> {
    let verify = verify::verify(&source.verify, client_ca, &place.field("verify"), problems);
    let allow_from = ranges(&source.allow_from, &place.field("allowFrom"), problems);
    let deduplicate = source
        .deduplicate
        .as_ref()
        .map(|deduplicate| self::deduplicate(deduplicate, &place.field("deduplicate"), problems));
    let forward_headers = forward_headers(
        source.forward_headers.as_ref(),
        verify.as_ref(),
        &place.field("forwardHeaders"),
        problems,
    );
    Some(Source {
        name: source.name.to_string(),
        path: source.path.to_string(),
        verify: verify?,
        allow_from,
        deduplicate: match deduplicate {
            Some(deduplicate) => Some(deduplicate?),
            None => None,
        },
        priority: source.priority.into(),
        forward_headers,
    })
}

fn forward_headers(
    exceptions: Option<&api::ForwardHeaders>,
    verify: Option<&Verify>,
    place: &FieldPath,
    problems: &mut Problems,
) -> ForwardHeaders {
    let Some(exceptions) = exceptions else { return ForwardHeaders::default() };
    let names = |list: &[HeaderName]| list.iter().map(|name| header_name(name)).collect::<Vec<_>>();
    let valid = ForwardHeaders { allow: names(&exceptions.allow), deny: names(&exceptions.deny) };
    let proofs = verify.map(Verify::proof_headers).unwrap_or_default();
    for (index, name) in valid.allow.iter().enumerate() {
        if proofs.contains(name) || headers::is_never_kept(name.as_str()) {
            problems.add(place.field("allow").item(index), api::NEVER_KEPT);
        }
    }
    valid
}

fn deduplicate(
    deduplicate: &api::Deduplicate,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Deduplicate> {
    let window = bounds::DEDUPLICATE_WINDOW.check(&deduplicate.window);
    let window = problems.note(place.field("window"), window)?;
    Some(Deduplicate { window, id: deduplicate.id.as_ref().map(id_at) })
}

/// Reads an id in the form of [`IdExpression`], which has refused everything else.
fn id_at(expression: &IdExpression) -> IdAt {
    let mut parts = Vec::new();
    let mut rest = expression.strip_prefix("headers").or(expression.strip_prefix("body")).unwrap_or_default();
    while !rest.is_empty() {
        let (part, tail) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']").unwrap_or((quoted, ""))
        } else {
            let field = &rest[1..];
            field.split_at(field.find(['.', '[']).unwrap_or(field.len()))
        };
        parts.push(part.to_owned());
        rest = tail;
    }
    if expression.starts_with("headers") {
        IdAt::Header(header_name(&parts.concat()))
    } else {
        IdAt::Body(parts)
    }
}

/// Parses address ranges and notes malformed ones.
pub(super) fn ranges(ranges: &[Cidr], place: &FieldPath, problems: &mut Problems) -> Vec<IpNet> {
    let mut valid = Vec::with_capacity(ranges.len());
    for (index, range) in ranges.iter().enumerate() {
        match range.parse::<IpNet>() {
            Ok(range) => valid.push(range),
            Err(_) if Cidr::FORMAT.fits(range) => problems.add(place.item(index), Cidr::FORMAT.error_text),
            Err(_) => {} // reported by the schema
        }
    }
    valid
}

/// Returns a list of secrets.
pub(super) fn secret_refs(secrets: &[api::SecretRef]) -> Vec<SecretRef> {
    secrets.iter().map(secret_ref).collect()
}

/// Returns the reference to one secret.
pub(super) fn secret_ref(secret: &api::SecretRef) -> SecretRef {
    SecretRef { name: secret.name.to_string(), key: secret.key.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_in_a_header_or_down_the_fields_of_the_body() {
        let at = |text: &str| {
            assert!(IdExpression::FORMAT.fits(text), "{text}");
            id_at(&IdExpression::from(text))
        };
        let body = |parts: &[&str]| IdAt::Body(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(
            at("headers['x-request-id']"),
            IdAt::Header(http::HeaderName::from_static("x-request-id"))
        );
        assert_eq!(at("body.id"), body(&["id"]));
        assert_eq!(at("body.event.id"), body(&["event", "id"]));
        assert_eq!(at("body['event-id'].of.a['b.c']"), body(&["event-id", "of", "a", "b.c"]));
        for bad in
            ["", "body", "body.", "body..id", "headers.x", "headers['X']", "source", "body.id + body.x"]
        {
            assert!(!IdExpression::FORMAT.fits(bad), "{bad}");
        }
    }
}

//! Who may send.

use std::collections::HashMap;

use ipnet::IpNet;

use super::verify;
use crate::api;
use crate::problem::{Place, Problems};
use crate::text::Cidr;
use crate::valid::{SecretRef, Source};

pub(super) fn sources(sources: &[api::Source], place: &Place, problems: &mut Problems) -> Vec<Source> {
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
    each.filter_map(|(index, source)| self::source(source, &place.item(index), problems)).collect()
}

fn source(source: &api::Source, place: &Place, problems: &mut Problems) -> Option<Source> {
    let verify = verify::verify(&source.verify, &place.field("verify"), problems);
    let allow_from = ranges(&source.allow_from, &place.field("allowFrom"), problems);
    Some(Source { name: source.name.to_string(), path: source.path.to_string(), verify: verify?, allow_from })
}

/// Ranges of addresses.
pub(super) fn ranges(ranges: &[Cidr], place: &Place, problems: &mut Problems) -> Vec<IpNet> {
    let mut valid = Vec::with_capacity(ranges.len());
    for (index, range) in ranges.iter().enumerate() {
        match range.parse::<IpNet>() {
            Ok(range) => valid.push(range),
            Err(_) if Cidr::FORMAT.fits(range) => problems.add(place.item(index), Cidr::FORMAT.says),
            Err(_) => {} // reported by the schema
        }
    }
    valid
}

/// A list of secrets.
pub(super) fn secret_refs(secrets: &[api::SecretRef]) -> Vec<SecretRef> {
    secrets.iter().map(secret_ref).collect()
}

/// One secret.
pub(super) fn secret_ref(secret: &api::SecretRef) -> SecretRef {
    SecretRef { name: secret.name.to_string(), key: secret.key.to_string() }
}

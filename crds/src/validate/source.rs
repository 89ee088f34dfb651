//! Who may send.

use std::collections::HashMap;

use super::the_one;
use crate::api;
use crate::problem::{Place, Problems};
use crate::valid::{SecretRef, Source, Verify};

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
    let none = source.verify.none.as_ref().map(|_| Verify::None);
    let bearer = source
        .verify
        .bearer
        .as_ref()
        .map(|bearer| Verify::Bearer { secrets: bearer.secret_refs.iter().map(secret_ref).collect() });
    let verify = the_one(api::VERIFY_WAYS, [none, bearer], &place.field("verify"), problems)?;
    Some(Source { name: source.name.to_string(), path: source.path.to_string(), verify })
}

fn secret_ref(secret: &api::SecretRef) -> SecretRef {
    SecretRef { name: secret.name.to_string(), key: secret.key.to_string() }
}

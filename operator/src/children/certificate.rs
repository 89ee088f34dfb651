//! A certificate from cert-manager: it writes the Secret that the pods read.

use serde_json::json;
use visnyk_crds::api::{CertManager, ServiceNames};

use super::services::dns_names;
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the Certificate, whose Secret has its name.
pub fn certificate(owner: &Owner, wanted: &CertManager) -> Child {
    let name = owner.child("certificate");
    let mut names = match wanted.service_names {
        ServiceNames::Include => dns_names(owner),
        ServiceNames::Omit => Vec::new(),
    };
    names.extend(wanted.dns_names.iter().map(ToString::to_string));
    let issuer = &wanted.issuer_ref;
    let body = json!({ "spec": {
        "secretName": name,
        "dnsNames": names,
        "issuerRef": { "name": issuer.name, "kind": issuer.kind, "group": issuer.group },
        "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
        "usages": ["digital signature", "server auth"],
    } });
    Child::new(owner, Kind::Certificate, name, body)
}

/// Adds the Certificate of a spec that does not run yet, since its pods need what cert-manager makes of it.
pub fn ask_for_certificate(children: &mut Vec<Child>, owner: &Owner, wanted: Option<&CertManager>) {
    if children.iter().all(|child| child.kind != Kind::Certificate) {
        children.extend(wanted.map(|wanted| certificate(owner, wanted)));
    }
}

//! References of a relay.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use kube::core::DeserializeGuard;
use visnyk_crds::Collector;
use visnyk_crds::valid::{Target, ValidatedRelay};

use crate::certificates::{self, StoredCertificates, authorities_name};
use crate::children::SecretData;
use crate::children::meta::{Owner, Role};
use crate::cluster::Cluster;
use crate::cluster::fetch::read;
use crate::cluster::live_children::LiveChildren;
use crate::cluster::references::{Receiver, Reference, Referred};
use crate::error::Error;

/// Namespace and name of an object.
pub type Named = (String, String);

/// Observed objects that a relay refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its own authority and certificate.
    pub kept: StoredCertificates,
    /// The Secret with its peers.
    pub peers: Option<SecretData>,
    /// Collectors that it refers to.
    pub collectors: BTreeMap<Named, Result<Peer, Absence>>,
    /// Services that it refers to.
    pub services: BTreeMap<Named, Result<Service, Absence>>,
}

/// A Collector with its certificate authorities.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Collector as it was read.
    pub collector: Collector,
    /// Secret with its authorities; `None` if it has none yet.
    pub authorities: Option<SecretData>,
}

/// Reason that a referred object is missing. It holds up no other destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// The object does not exist.
    #[error("does not exist: create it")]
    Missing,
    /// The object may exist, for instance in a namespace that this operator does not watch.
    #[error("cannot be read: {0}")]
    Hidden(String),
    /// The object exists and does not have the form of its type.
    #[error("cannot be read; its own conditions say why")]
    Unreadable,
}

/// Looks at all of it. What it reads is noted before: see [`references`].
pub async fn fetch(relay: &ValidatedRelay, live: &LiveChildren<'_>) -> Result<Found, Error> {
    let LiveChildren { cluster, owner, .. } = *live;
    let client = &cluster.client;
    let collector = async |(namespace, name): Named| {
        let found = or_absent(live, peer(cluster, &namespace, &name).await)?.flatten();
        Ok::<_, Error>(((namespace, name), found))
    };
    let service = async |(namespace, name): Named| {
        let found = or_absent(live, read::<Service>(client, &namespace, &name).await)?;
        Ok::<_, Error>(((namespace, name), found))
    };
    let (collectors, services) = targets(relay);
    let peers = owner.child("peers");
    let (kept, peers, collectors, services) = tokio::join!(
        kept(relay, live),
        live.secret(&peers),
        join_all(collectors.into_iter().map(collector)),
        join_all(services.into_iter().map(service)),
    );
    // Of several refusals always the same is told.
    Ok(Found {
        kept: kept?,
        peers: peers?,
        collectors: collectors.into_iter().collect::<Result<_, _>>()?,
        services: services.into_iter().collect::<Result<_, _>>()?,
    })
}

fn or_absent<T>(
    live: &LiveChildren<'_>,
    found: Result<Option<T>, Error>,
) -> Result<Result<T, Absence>, Error> {
    Ok(match live.told(found)? {
        Ok(found) => found.ok_or(Absence::Missing),
        Err(why) => Err(Absence::Hidden(why)),
    })
}

async fn peer(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<Result<Peer, Absence>>, Error> {
    let found = read::<DeserializeGuard<Collector>>(&cluster.client, namespace, name).await?;
    let Some(DeserializeGuard(found)) = found else { return Ok(None) };
    let Ok(collector) = found else { return Ok(Some(Err(Absence::Unreadable))) };
    let owner = Owner::of(Role::Collector, &collector);
    let authorities =
        LiveChildren::new(cluster, &owner).secret(&authorities_name(owner.role, &owner.name)).await?;
    Ok(Some(Ok(Peer { collector, authorities })))
}

/// Reads its own authority and certificate, where it shows one of its own.
async fn kept(relay: &ValidatedRelay, live: &LiveChildren<'_>) -> Result<StoredCertificates, Error> {
    match certificates::own_names(&relay.listener.tls) {
        Some(_) => certificates::fetch(live).await,
        None => Ok(StoredCertificates::default()),
    }
}

/// Returns the Secret with the authorities of a Collector.
fn authorities((namespace, name): &Named) -> Named {
    (namespace.clone(), authorities_name(Role::Collector, name))
}

/// Returns the Collectors and Services among the destinations.
fn targets(relay: &ValidatedRelay) -> (BTreeSet<Named>, BTreeSet<Named>) {
    let (mut collectors, mut services) = (BTreeSet::new(), BTreeSet::new());
    for destination in &relay.destinations {
        match &destination.target {
            Target::Url(_) => {}
            Target::Collector { namespace, name } => {
                collectors.insert((namespace.clone(), name.clone()));
            }
            Target::Service { namespace, name, .. } => {
                services.insert((namespace.clone(), name.clone()));
            }
        }
    }
    (collectors, services)
}

/// Returns the receiver that a target refers to; absent for a URL, which is no object.
pub fn receiver(target: &Target) -> Option<Receiver> {
    let (what, namespace, name, port) = match target {
        Target::Url(_) => return None,
        Target::Collector { namespace, name } => (Referred::Collector, namespace, name, None),
        Target::Service { namespace, name, url } => {
            (Referred::Service, namespace, name, url.port_or_known_default())
        }
    };
    let reference = Reference { what, namespace: namespace.clone(), name: name.clone() };
    Some(Receiver { reference, port })
}

/// Returns the receivers of all destinations.
pub fn receivers(relay: &ValidatedRelay) -> BTreeSet<Receiver> {
    relay.destinations.iter().filter_map(|destination| receiver(&destination.target)).collect()
}

/// Returns every object that a reconcile reads and that is not the relay's own child. A Collector's authorities are
/// among them: they change without the Collector, which need not say so.
pub fn references(relay: &ValidatedRelay) -> BTreeSet<Reference> {
    let (collectors, services) = targets(relay);
    let secrets = relay.secrets().into_iter().map(|secret| (relay.identity.namespace.clone(), secret.name));
    let secrets: BTreeSet<Named> = secrets.chain(collectors.iter().map(authorities)).collect();
    let each =
        [(Referred::Collector, collectors), (Referred::Service, services), (Referred::Secret, secrets)];
    let reference = |what| move |(namespace, name): Named| Reference { what, namespace, name };
    each.into_iter().flat_map(|(what, named)| named.into_iter().map(reference(what))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use visnyk_crds::{WebhookRelay, validate};

    use super::*;

    #[test]
    fn whatever_is_read_of_others_is_noted() {
        let relay: WebhookRelay = serde_json::from_value(json!({
            "apiVersion": "visnyk.dev/v1alpha1", "kind": "WebhookRelay",
            "metadata": { "name": "harbour", "namespace": "ships" },
            "spec": {
                "listener": { "tls": { "secretName": "harbour-certificate" } },
                "spool": { "ephemeral": {} },
                "sources": [{ "name": "buoy", "path": "/", "verify": {
                    "bearer": { "secretRefs": [{ "name": "buoy", "key": "token" }] },
                } }],
                "destinations": [
                    { "name": "quay", "collectorRef": { "name": "logbook", "namespace": "it" } },
                    { "name": "crane", "service": { "name": "crane", "namespace": "dock", "port": 80 } },
                ],
            },
        }))
        .unwrap();
        let noted = references(&validate::relay(&relay).unwrap());
        let noted: Vec<_> = noted.iter().map(|one| (one.what, &one.namespace[..], &one.name[..])).collect();
        let expected = [
            (Referred::Collector, "it", "logbook"),
            (Referred::Service, "dock", "crane"),
            (Referred::Secret, "it", "logbook-collector-ca"),
            (Referred::Secret, "ships", "buoy"),
            (Referred::Secret, "ships", "harbour-certificate"),
        ];
        assert_eq!(noted, expected);
    }
}

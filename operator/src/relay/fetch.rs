//! What a relay refers to.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Service;
use visnyk_crds::Collector;
use visnyk_crds::valid::{Target, ValidatedRelay};

use crate::certificates::{self, Kept, own_secret};
use crate::context::Context;
use crate::error::Error;
use crate::fetch::{missing_secrets, referred};
use crate::meta::{Owner, Role};
use crate::references::{Reference, Referred};
use crate::trust::Data;

/// Namespace and name.
pub type Named = (String, String);

/// What a relay refers to, as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its own authority and certificate.
    pub kept: Kept,
    /// The Secret with its peers.
    pub peers: Option<Data>,
    /// Collectors by name; nothing where one is not there.
    pub collectors: BTreeMap<Named, Option<Peer>>,
    /// Services by name; nothing where one is not there.
    pub services: BTreeMap<Named, Option<Service>>,
    /// Secrets that are not there.
    pub missing_secrets: BTreeSet<String>,
}

/// A Collector, and what it signs with.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// The Collector.
    pub collector: Collector,
    /// Its authorities; nothing where it has none yet.
    pub authorities: Option<Data>,
}

/// Looks at all of it.
pub async fn fetch(relay: &ValidatedRelay, owner: &Owner, context: &Context) -> Result<Found, Error> {
    let client = &context.client;
    context.references.note(&owner.concerned(), references(relay));
    let collector = async |(namespace, name): Named| {
        let peer = match referred::<Collector>(client, &namespace, &name).await? {
            None => None,
            Some(collector) => {
                let owner = Owner::of(Role::Collector, &collector);
                let authorities = own_secret(context, &owner, &owner.child("ca")).await?;
                Some(Peer { collector, authorities })
            }
        };
        Ok::<_, Error>(((namespace, name), peer))
    };
    let service = async |(namespace, name): Named| {
        let found = referred::<Service>(client, &namespace, &name).await?;
        Ok::<_, Error>(((namespace, name), found))
    };
    let (collectors, services) = targets(relay);
    let secrets = relay.secrets();
    let peers = owner.child("peers");
    let (kept, peers, collectors, services, missing_secrets) = tokio::try_join!(
        kept(relay, owner, context),
        own_secret(context, owner, &peers),
        try_join_all(collectors.into_iter().map(collector)),
        try_join_all(services.into_iter().map(service)),
        missing_secrets(client, &owner.namespace, &secrets),
    )?;
    let (collectors, services) = (collectors.into_iter().collect(), services.into_iter().collect());
    Ok(Found { kept, peers, collectors, services, missing_secrets })
}

/// Its own authority and certificate, where it shows one of its own.
async fn kept(relay: &ValidatedRelay, owner: &Owner, context: &Context) -> Result<Kept, Error> {
    match certificates::own_names(&relay.listener.tls) {
        Some(_) => certificates::fetch(context, owner).await,
        None => Ok(Kept::default()),
    }
}

/// The Collectors and Services among the destinations.
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

/// All that a relay refers to.
fn references(relay: &ValidatedRelay) -> BTreeSet<Reference> {
    let (collectors, services) = targets(relay);
    let secrets = relay.secrets().into_iter().map(|secret| (relay.identity.namespace.clone(), secret.name));
    let each = [
        (Referred::Collector, collectors),
        (Referred::Service, services),
        (Referred::Secret, secrets.collect()),
    ];
    let reference = |what| move |(namespace, name): Named| Reference { what, namespace, name };
    each.into_iter().flat_map(|(what, named)| named.into_iter().map(reference(what))).collect()
}

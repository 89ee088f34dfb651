//! Addresses of Collectors and Services, for the peers folder of the pods; and which of them cannot be reached, and
//! why. Pure but for new keys.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use visnyk_crds::contract::peers::{ADDRESSES, URL, prefix};
use visnyk_crds::valid::{Destination, Target};
use visnyk_runtime::pki::SenderName;

use super::fetch::{Absence, Found, Peer, receiver};
use crate::apply::runnable::Unresolved;
use crate::certificates::trust::{Authorities, BUNDLE, decide_sender, insert};
use crate::children::meta::{Owner, Role};
use crate::children::{Scheme, SecretData, service_port, url};
use crate::cluster::references::{Reference, Referred};
use crate::error::Error;
use crate::status::reasons::{COLLECTOR_UNUSABLE, NOT_ISSUED, SERVICE_UNUSABLE};
use crate::status::report::Obstacle;

/// The peers folder, and what is missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Files of the peers folder, by name.
    pub files: SecretData,
    /// Obstacles, one for each destination that is not among them.
    pub obstacles: Vec<Obstacle>,
    /// Time at which the first of its certificates has to be made anew.
    pub look_again: Option<Timestamp>,
}

/// Decides for each of them.
pub fn resolve(owner: &Owner, found: &Found, now: Timestamp) -> Result<Resolved, Error> {
    let mut resolved = Resolved::default();
    for ((namespace, name), peer) in &found.collectors {
        match usable(owner, peer.as_ref(), now) {
            Ok((url, authorities)) => {
                resolved.add_collector(owner, &prefix(namespace, name), found, url, &authorities, now)?;
            }
            Err(Unusable { reason, why }) => {
                resolved.obstacle(reason, format!("Collector {namespace}/{name} {why}"));
            }
        }
    }
    for ((namespace, name), service) in &found.services {
        match addresses(service.as_ref()) {
            Ok(lines) => {
                drop(resolved.files.insert(prefix(namespace, name) + ADDRESSES, lines.into_bytes()));
            }
            Err(why) => resolved.obstacle(SERVICE_UNUSABLE, format!("Service {namespace}/{name} {why}")),
        }
    }
    Ok(resolved)
}

/// Returns an obstacle for each destination whose Service can be used, but not at the destination's port.
pub fn missing_ports(destinations: &[Destination], found: &Found) -> Vec<Obstacle> {
    let messages = destinations.iter().filter_map(|destination| missing_port(destination, found));
    messages.map(|message| Obstacle { reason: SERVICE_UNUSABLE, message }).collect()
}

/// Returns what to say of a destination whose Service can be used, but not at the destination's port.
fn missing_port(destination: &Destination, found: &Found) -> Option<String> {
    let Target::Service { namespace, name, url } = &destination.target else { return None };
    let service = found.services.get(&(namespace.clone(), name.clone()))?.as_ref().ok()?;
    addresses(Ok(service)).ok()?; // told by `resolve`
    let (port, ports) = (url.port_or_known_default()?, ports(service));
    if ports.contains(&i32::from(port)) {
        return None;
    }
    let has: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let has = if has.is_empty() { "none".into() } else { has.join(", ") };
    let of = &destination.name;
    Some(format!(
        "destination {of:?}: Service {namespace}/{name} has no TCP port {port} (it has {has}): change service.port"
    ))
}

/// Returns each receiver that destinations refer to and that nothing can be delivered to yet.
pub fn unresolved(
    owner: &Owner,
    destinations: &[Destination],
    found: &Found,
    now: Timestamp,
) -> Vec<Unresolved> {
    let unresolved = |destination: &Destination| {
        let receiver = receiver(&destination.target)?;
        let Reference { namespace, name, .. } = &receiver.reference;
        let key = (namespace.clone(), name.clone());
        let (reason, message) = match receiver.reference.what {
            Referred::Collector => {
                let Unusable { reason, why } =
                    usable(owner, found.collectors.get(&key)?.as_ref(), now).err()?;
                (reason, format!("Collector {namespace}/{name} {why}"))
            }
            Referred::Service => {
                let why = match addresses(found.services.get(&key)?.as_ref()) {
                    Ok(_) => missing_port(destination, found)?,
                    Err(why) => format!("Service {namespace}/{name} {why}"),
                };
                (SERVICE_UNUSABLE, why)
            }
            Referred::Secret => return None,
        };
        Some(Unresolved { receiver, reason, message })
    };
    destinations.iter().filter_map(unresolved).collect()
}

/// Returns the ports that a Service forwards by TCP.
fn ports(service: &Service) -> Vec<i32> {
    let all = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    all.filter(|port| port.protocol.as_deref().is_none_or(|it| it == "TCP")).map(|port| port.port).collect()
}

impl Resolved {
    /// Adds the files for a Collector: its URL, its CA certificates, and a certificate by which it knows the relay.
    fn add_collector(
        &mut self,
        owner: &Owner,
        prefix: &str,
        found: &Found,
        url: String,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Result<(), Error> {
        let unwritable = |source| Error::Write { what: "a certificate", source: Box::new(source) };
        let sender = SenderName { namespace: owner.namespace.clone(), name: owner.name.clone() };
        let leaf =
            decide_sender(found.peers.as_ref(), prefix, &sender, authorities, now).map_err(unwritable)?;
        self.files.insert(format!("{prefix}{URL}"), url.into_bytes());
        self.files.insert(format!("{prefix}{BUNDLE}"), authorities.bundle().into_bytes());
        insert(&mut self.files, prefix, &leaf.issued);
        let again = leaf.renew_at.min(authorities.look_again(now));
        self.look_again = Some(self.look_again.map_or(again, |first| first.min(again)));
        Ok(())
    }

    fn obstacle(&mut self, reason: &'static str, message: String) {
        self.obstacles.push(Obstacle { reason, message });
    }
}

/// Reason that a relay cannot refer to a Collector.
struct Unusable {
    reason: &'static str,
    why: Cow<'static, str>,
}

impl<T: Into<Cow<'static, str>>> From<T> for Unusable {
    fn from(why: T) -> Self {
        Self { reason: COLLECTOR_UNUSABLE, why: why.into() }
    }
}

/// Returns the URL of a Collector and its authorities, if a relay may refer to it. Events and credentials are never
/// sent in clear text.
fn usable(
    owner: &Owner,
    peer: Result<&Peer, &Absence>,
    now: Timestamp,
) -> Result<(String, Authorities), Unusable> {
    let Peer { collector, authorities } = peer.map_err(ToString::to_string)?;
    let (tls, access) = (&collector.spec.listener.tls, &collector.spec.access);
    if tls.none.is_some() {
        return Err("speaks plain HTTP, which is refused: give it tls.selfSigned".into());
    }
    if tls.self_signed.is_none() {
        return Err("has a certificate that is not of its own authority: refer to it by url".into());
    }
    let itself = Owner::of(Role::Collector, collector);
    let is_let_in = itself.namespace == owner.namespace
        || access.anonymous_ingest.is_some()
        || access.namespaces.iter().any(|namespace| **namespace == *owner.namespace);
    if !is_let_in {
        let namespace = &owner.namespace;
        return Err(
            format!("does not let in relays of {namespace}: add that to its access.namespaces").into()
        );
    }
    // Its own reconcile makes one, within seconds of its creation.
    let not_yet = || Unusable {
        reason: NOT_ISSUED,
        why: "has no certificate authority yet: its operator makes one".into(),
    };
    let signs = authorities.as_ref().ok_or_else(not_yet)?;
    // Only the Collector's own reconcile makes authorities: one made here would be believed by nobody.
    let kept = Authorities::kept(signs, now)
        .ok_or("has no certificate authority that can be used: its Secret is damaged or expired")?;
    Ok((url(&itself, Scheme::Https, service_port(&collector.spec.service, Scheme::Https)), kept))
}

/// Returns the addresses of a Service, one a line. Its name could be made to lead anywhere; these are its own.
fn addresses(service: Result<&Service, &Absence>) -> Result<String, Cow<'static, str>> {
    let service = service.map_err(ToString::to_string)?;
    let spec = service.spec.as_ref().ok_or("has no spec")?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return Err("is of type ExternalName, which may lead anywhere and is refused: use url".into());
    }
    let addresses: Vec<&str> =
        spec.cluster_ips.iter().flatten().map(String::as_str).filter(|address| *address != "None").collect();
    if addresses.is_empty() {
        return Err("is headless and has no address of its own: use one with a cluster IP, or url".into());
    }
    Ok(addresses.join("\n") + "\n")
}

//! Where Collectors and Services are, for the peers folder of the pods; and which of them cannot be reached, and
//! why. Pure.

use k8s_openapi::api::core::v1::Service;
use visnyk_crds::Collector;

use super::fetch::Found;
use crate::build::{Peers, Scheme, service_port, url};
use crate::meta::{Owner, Role};
use crate::report::Obstacle;

/// The peers folder, and what is missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Its files.
    pub files: Peers,
    /// Why a destination is not among them.
    pub obstacles: Vec<Obstacle>,
}

/// Decides for each of them.
pub fn resolve(found: &Found) -> Resolved {
    let mut resolved = Resolved::default();
    for ((namespace, name), collector) in &found.collectors {
        match collector_url(collector.as_ref()) {
            Ok(url) => drop(resolved.files.insert(format!("{namespace}.{name}.url"), url.into_bytes())),
            Err(why) => resolved.obstacle("CollectorUnusable", format!("Collector {namespace}/{name} {why}")),
        }
    }
    for ((namespace, name), service) in &found.services {
        match addresses(service.as_ref()) {
            Ok(lines) => {
                drop(resolved.files.insert(format!("{namespace}.{name}.addresses"), lines.into_bytes()));
            }
            Err(why) => resolved.obstacle("ServiceUnusable", format!("Service {namespace}/{name} {why}")),
        }
    }
    resolved
}

impl Resolved {
    fn obstacle(&mut self, reason: &'static str, message: String) {
        self.obstacles.push(Obstacle { reason, message });
    }
}

/// Where a Collector is. Events, and whose they are, do not go over the wire for all to read.
fn collector_url(collector: Option<&Collector>) -> Result<String, &'static str> {
    let collector = collector.ok_or("is not there")?;
    if collector.spec.listener.tls.none.is_some() {
        return Err("speaks plain HTTP, which is refused");
    }
    let owner = Owner::of(Role::Collector, collector);
    Ok(url(&owner, Scheme::Https, service_port(&collector.spec.service, Scheme::Https)))
}

/// The addresses of a Service, one a line. Its name could be made to lead anywhere; these are its own.
fn addresses(service: Option<&Service>) -> Result<String, &'static str> {
    let spec = service.and_then(|service| service.spec.as_ref()).ok_or("is not there")?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return Err("is of type ExternalName, which is refused: it leads to any name");
    }
    let addresses: Vec<&str> =
        spec.cluster_ips.iter().flatten().map(String::as_str).filter(|address| *address != "None").collect();
    if addresses.is_empty() {
        return Err("is headless: it has no address of its own");
    }
    Ok(addresses.join("\n") + "\n")
}

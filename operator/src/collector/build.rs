//! The children of a collector. Pure.

use visnyk_crds::Collector;
use visnyk_crds::contract::{
    flags::{self, argument},
    paths,
};
use visnyk_crds::text::Quantity;
use visnyk_crds::valid::ListenerTls;

use super::Runnable;
use crate::certificates;
use crate::certificates::trust::{BUNDLE, Wanted};
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;
use crate::children::{self, Data, Scheme, Workload, claim_size};
use crate::error::Error;

/// Returns every child of a collector.
pub fn build(
    runnable: &Runnable,
    owner: &Owner,
    trust: Option<&Wanted>,
    image: &str,
) -> Result<Vec<Child>, Error> {
    let Runnable { resource: collector, valid } = runnable;
    let spec = &collector.spec;
    let workload = workload(runnable, owner, image)?;
    let certificates = trust.into_iter().flat_map(|wanted| certificates::children(owner, wanted));
    let mut children = children::around(&workload, certificates);
    let (ingress, route) = (spec.ingress.as_ref(), spec.http_route.as_ref());
    children.extend(children::ways_in(&workload, ingress, route, &valid.listener.tls));
    children.extend(spec.monitoring.iter().map(|wanted| children::service_monitor(owner, wanted)));
    children.extend(spec.listener.tls.cert_manager.iter().map(|wanted| children::certificate(owner, wanted)));
    Ok(children)
}

/// Returns the workload of its pod.
pub fn pods(runnable: &Runnable, owner: &Owner, image: &str) -> Result<Child, Error> {
    Ok(children::workload(&workload(runnable, owner, image)?))
}

fn workload<'a>(runnable: &'a Runnable, owner: &'a Owner, image: &'a str) -> Result<Workload<'a>, Error> {
    let Runnable { resource: collector, valid } = runnable;
    let spec = &collector.spec;
    let hash = &valid.identity.configuration_hash;
    let manifest = children::manifest::<Collector>(owner, &collector.written_spec(), hash)
        .map_err(|source| Error::Write { what: "the manifest", source: source.into() })?;
    let tls = &valid.listener.tls;
    let has_authority = *tls != ListenerTls::None;
    Ok(Workload {
        owner,
        manifest,
        image,
        // The log has one writer.
        replicas: 1,
        port: valid.listener.port,
        scheme: Scheme::of(tls),
        data: data(collector),
        secrets: valid.listener.secrets(),
        mounts: has_authority.then(|| certificates::mount(owner)).into_iter().collect(),
        args: if has_authority { args(tls) } else { Vec::new() },
        restart: format!("port {}", valid.listener.port),
        pod: &spec.pod,
        service: &spec.service,
    })
}

/// Returns the arguments that name the certificates of the server and of the relays' authority.
fn args(tls: &ListenerTls) -> Vec<String> {
    let folder = paths::TLS_DIR;
    let own = matches!(tls, ListenerTls::SelfSigned { .. }).then(|| argument(flags::TLS_DIR, folder));
    let client_ca = argument(flags::CLIENT_CA, format_args!("{folder}/{BUNDLE}"));
    own.into_iter().chain([client_ca]).collect()
}

/// Returns the kind of the workload.
pub fn kind(runnable: &Runnable) -> Kind {
    data(&runnable.resource).workload()
}

/// Returns the storage of the log. It is not delivered, and stays when the collector goes.
pub fn data(collector: &Collector) -> Data<'_> {
    let bytes = |size: &Quantity| size.bytes().unwrap_or_default();
    if let Some(persistent) = &collector.spec.storage.persistent {
        return Data::Persistent {
            claim: claim_size(bytes(&persistent.size)),
            class: persistent.storage_class_name.as_deref(),
        };
    }
    let size = collector.spec.storage.ephemeral.as_ref().and_then(|ephemeral| ephemeral.size.as_ref());
    Data::Ephemeral { limit: size.map(|size| claim_size(bytes(size))) }
}

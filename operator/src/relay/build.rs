//! The children of a relay. Pure.

use visnyk_crds::WebhookRelay;
use visnyk_crds::contract::{
    flags::{self, argument},
    paths,
};
use visnyk_crds::valid::{SpoolKind, ValidatedRelay};

use super::Runnable;
use super::peers::Resolved;
use super::retained_volumes::RetainedVolume;
use crate::certificates;
use crate::certificates::trust::Wanted;
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;
use crate::children::{self, Data, Mount, Scheme, Workload, claim_size};
use crate::error::Error;

/// Returns every child of a relay.
pub fn build(
    runnable: &Runnable,
    owner: &Owner,
    resolved: &Resolved,
    trust: Option<&Wanted>,
    image: &str,
) -> Result<Vec<Child>, Error> {
    let Runnable { resource: relay, valid } = runnable;
    let spec = &relay.spec;
    let workload = serving(runnable, owner, image)?;
    let certificates = trust.into_iter().flat_map(|wanted| certificates::children(owner, wanted));
    let peers = children::peers(owner, resolved.files.clone());
    let mut children = children::around(&workload, [peers].into_iter().chain(certificates));
    children.extend(spec.autoscaling.iter().map(|bounds| children::autoscaler(owner, bounds)));
    let (ingress, route) = (spec.ingress.as_ref(), spec.http_route.as_ref());
    children.extend(children::ways_in(&workload, ingress, route, &valid.listener.tls));
    children.extend(spec.monitoring.iter().map(|wanted| children::service_monitor(owner, wanted)));
    children.extend(spec.listener.tls.cert_manager.iter().map(|wanted| children::certificate(owner, wanted)));
    Ok(children)
}

/// Returns the workload of its pods.
pub fn pods(runnable: &Runnable, owner: &Owner, image: &str) -> Result<Child, Error> {
    Ok(children::workload(&serving(runnable, owner, image)?))
}

/// Returns the Jobs that drain what is left behind.
pub fn drains(
    runnable: &Runnable,
    owner: &Owner,
    image: &str,
    left: &[RetainedVolume],
) -> Result<Vec<Child>, Error> {
    let workload = workload(runnable, owner, image)?;
    let timeout = runnable.valid.spool.drain_timeout;
    let with_job = left.iter().filter(|left| left.has_job());
    Ok(with_job.map(|left| children::drain(&workload, &left.job(owner), left.name(), timeout)).collect())
}

/// Returns the pods of a relay that accept events.
fn serving<'a>(runnable: &'a Runnable, owner: &'a Owner, image: &'a str) -> Result<Workload<'a>, Error> {
    let mut workload = workload(runnable, owner, image)?;
    if certificates::own_names(&runnable.valid.listener.tls).is_some() {
        workload.mounts.push(certificates::mount(owner));
        workload.args.push(argument(flags::TLS_DIR, paths::TLS_DIR));
    }
    Ok(workload)
}

/// Returns the pods of a relay, for either purpose.
fn workload<'a>(runnable: &'a Runnable, owner: &'a Owner, image: &'a str) -> Result<Workload<'a>, Error> {
    let Runnable { resource: relay, valid } = runnable;
    let spec = &relay.spec;
    let hash = &valid.identity.configuration_hash;
    let manifest = children::manifest::<WebhookRelay>(owner, &relay.written_spec(), hash)
        .map_err(|source| Error::Write { what: "the manifest", source: source.into() })?;
    let peers = Mount { volume: "peers", secret: owner.child("peers"), folder: paths::PEERS_DIR };
    Ok(Workload {
        owner,
        manifest,
        image,
        replicas: spec.replicas,
        port: valid.listener.port,
        scheme: Scheme::of(&valid.listener.tls),
        data: data(relay, valid),
        secrets: valid.secrets(),
        mounts: vec![peers],
        args: Vec::new(),
        restart: restart(valid),
        pod: &spec.pod,
        service: &spec.service,
    })
}

/// Returns the kind of what keeps its pods running.
pub fn kind(runnable: &Runnable) -> Kind {
    data(&runnable.resource, &runnable.valid).workload()
}

/// Returns the storage of the spool.
pub fn data<'a>(relay: &'a WebhookRelay, valid: &ValidatedRelay) -> Data<'a> {
    let persistent = relay.spec.spool.persistent.as_ref();
    match valid.spool.kind {
        SpoolKind::Persistent { size } => Data::Persistent {
            claim: claim_size(size),
            class: persistent.and_then(|persistent| persistent.storage_class_name.as_deref()),
        },
        SpoolKind::Ephemeral { size } => Data::Ephemeral { limit: size.map(claim_size) },
    }
}

/// Returns the values that a running relay cannot take up: its port, its spool, and larger bodies.
fn restart(valid: &ValidatedRelay) -> String {
    let spool = match valid.spool.kind {
        SpoolKind::Persistent { size } => format!("persistent {size}"),
        SpoolKind::Ephemeral { size: Some(size) } => format!("ephemeral {size}"),
        SpoolKind::Ephemeral { size: None } => "ephemeral".to_owned(),
    };
    format!("port {}, spool {spool}, bodies {}", valid.listener.port, valid.listener.max_body_size)
}

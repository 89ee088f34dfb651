//! `Collector`: its spec validated, its children built and applied, and what holds of it reported.

mod build;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use visnyk_crds::valid::{ListenerTls, ValidatedCollector};
use visnyk_crds::{Collector, Problem, validate};

use crate::apply::apply;
use crate::certificates;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::{last_manifest, missing_secrets};
use crate::meta::{Owner, Role};
use crate::pods::nudge;
use crate::report::to_nudge;
use crate::visit::Visit;

pub use build::refers_to;

/// A collector that can run.
struct Runnable {
    collector: Collector,
    valid: ValidatedCollector,
}

/// Brings about what a collector says.
pub async fn reconcile(collector: &Collector, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Collector, collector);
    let (runnable, problems) = judge(collector, &owner, context).await?;
    let Some(runnable) = runnable else {
        return Ok(report::nothing_runs(&owner, &problems));
    };
    let keys = build::secret_keys(&runnable.valid);
    let missing = missing_secrets(&context.client, &owner.namespace, &keys).await?;
    let trust = match &runnable.valid.listener.tls {
        ListenerTls::None => None,
        tls => {
            let kept = certificates::fetch(&context.client, &owner).await?;
            Some(certificates::wanted(&owner, &kept, own_names(tls), now)?)
        }
    };
    let children =
        build::build(&runnable, &owner, trust.as_ref(), &context.images.collector, &context.kinds)?;
    let applied = apply(&context.client, &context.watched, &context.verified, &owner, &children).await?;

    let pods = context.pods.ask(&context.watched.pods_of(&owner)).await;
    let hash = &runnable.valid.identity.configuration_hash;
    for pod in to_nudge(hash, &pods, now) {
        nudge(&context.client, &owner.namespace, pod, hash, now).await?;
    }
    Ok(report::report(&report::Seen {
        owner: &owner,
        runnable: &runnable,
        problems: &problems,
        applied: &applied,
        missing_secrets: &missing,
        kinds: &context.kinds,
        pods: &pods,
        trust: trust.as_ref(),
        now,
    }))
}

/// The names of a certificate by the collector's own authority, besides the Service's; nothing where it shows
/// another's. Relays are known by certificates of that authority either way.
fn own_names(tls: &ListenerTls) -> Option<&[String]> {
    match tls {
        ListenerTls::SelfSigned { dns_names } => Some(dns_names),
        ListenerTls::Secret { .. } | ListenerTls::None => None,
    }
}

/// The collector as it is to run: as its spec says, or, where that is invalid, as the last valid one said.
async fn judge(
    collector: &Collector,
    owner: &Owner,
    context: &Context,
) -> Result<(Option<Runnable>, Vec<Problem>), Error> {
    let problems = match validate::collector(collector) {
        Ok(valid) => return Ok((Some(Runnable { collector: collector.clone(), valid }), Vec::new())),
        Err(problems) => problems,
    };
    let manifest = last_manifest(&context.client, owner).await?;
    let last = manifest.and_then(|manifest| serde_yaml::from_str::<Collector>(&manifest).ok());
    let runnable = last.and_then(|mut last| {
        last.metadata.generation = collector.metadata.generation;
        let valid = validate::collector(&last).ok()?;
        Some(Runnable { collector: last, valid })
    });
    Ok((runnable, problems))
}

//! `WebhookRelay`: what it refers to is fetched, its spec validated, its children built and applied, and what
//! holds of it reported.

mod build;
mod fetch;
mod peers;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use visnyk_crds::valid::{ListenerTls, ValidatedRelay};
use visnyk_crds::{Problem, WebhookRelay, validate};

use crate::apply::apply;
use crate::certificates;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::last_manifest;
use crate::meta::{Owner, Role};
use crate::pods::nudge;
use crate::report::to_nudge;
use crate::visit::Visit;

pub use fetch::{Referred, refers_to};

/// A relay that can run.
struct Runnable {
    relay: WebhookRelay,
    valid: ValidatedRelay,
}

/// Brings about what a relay says.
pub async fn reconcile(relay: &WebhookRelay, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Relay, relay);
    let (runnable, problems) = judge(relay, &owner, context).await?;
    let Some(runnable) = runnable else {
        return Ok(report::nothing_runs(&owner, &problems));
    };
    let found = fetch::fetch(&runnable.valid, &owner, context).await?;
    let resolved = peers::resolve(&owner, &found, now)?;
    let trust = own_names(&runnable.valid)
        .map(|names| certificates::wanted(&owner, &found.kept, Some(names), now))
        .transpose()?;
    let children =
        build::build(&runnable, &owner, &resolved, trust.as_ref(), &context.images.relay, &context.kinds)?;
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
        found: &found,
        resolved: &resolved,
        trust: trust.as_ref(),
        kinds: &context.kinds,
        pods: &pods,
        claims: &context.watched.claims_of(&owner),
        now,
    }))
}

/// The names of a certificate by the relay's own authority, besides the Service's; nothing where it shows none.
fn own_names(valid: &ValidatedRelay) -> Option<&[String]> {
    match &valid.listener.tls {
        ListenerTls::SelfSigned { dns_names } => Some(dns_names),
        ListenerTls::Secret { .. } | ListenerTls::None => None,
    }
}

/// The relay as it is to run: as its spec says, or, where that is invalid, as the last valid one said. How many
/// pods there are is the one thing that is taken from an invalid spec.
async fn judge(
    relay: &WebhookRelay,
    owner: &Owner,
    context: &Context,
) -> Result<(Option<Runnable>, Vec<Problem>), Error> {
    let problems = match validate::relay(relay) {
        Ok(valid) => return Ok((Some(Runnable { relay: relay.clone(), valid }), Vec::new())),
        Err(problems) => problems,
    };
    let manifest = last_manifest(&context.client, owner).await?;
    let last = manifest.and_then(|manifest| serde_yaml::from_str::<WebhookRelay>(&manifest).ok());
    let runnable = last.and_then(|mut last| {
        last.metadata.generation = relay.metadata.generation;
        last.spec.replicas = relay.spec.replicas;
        let valid = validate::relay(&last).ok()?;
        Some(Runnable { relay: last, valid })
    });
    Ok((runnable, problems))
}

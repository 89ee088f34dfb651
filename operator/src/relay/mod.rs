//! `WebhookRelay`: what it refers to is fetched, its spec validated, its children built and applied, and what
//! holds of it reported.

mod build;
mod fetch;
mod peers;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use visnyk_crds::valid::ValidatedRelay;
use visnyk_crds::{WebhookRelay, validate};

use crate::apply::apply;
use crate::certificates;
use crate::context::Context;
use crate::error::Error;
use crate::meta::{Owner, Role};
use crate::pods::take_up;
use crate::report::nothing_runs;
use crate::runnable::{self, judge};
use crate::visit::Visit;

pub use fetch::{Referred, refers_to};

/// A relay that can run.
type Runnable = runnable::Runnable<WebhookRelay, ValidatedRelay>;

/// Brings about what a relay says.
pub async fn reconcile(relay: &WebhookRelay, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Relay, relay);
    // How many pods there are is the one thing that is taken from an invalid spec.
    let (runnable, problems) = judge(relay, &owner, &context.client, validate::relay, |last| {
        last.spec.replicas = relay.spec.replicas;
    })
    .await?;
    let Some(runnable) = runnable else {
        return Ok(nothing_runs(&owner, &problems, &["Delivering"]));
    };
    let found = fetch::fetch(&runnable.valid, &owner, context).await?;
    let resolved = peers::resolve(&owner, &found, now)?;
    let trust = certificates::own_names(&runnable.valid.listener.tls)
        .map(|names| certificates::wanted(&owner, &found.kept, Some(names), now))
        .transpose()?;
    let children =
        build::build(&runnable, &owner, &resolved, trust.as_ref(), &context.images.relay, &context.kinds)?;
    let applied = apply(&context.client, &context.watched, &context.verified, &owner, &children).await?;

    let hash = &runnable.valid.identity.configuration_hash;
    let pods = take_up(context, &owner, hash, now).await?;
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

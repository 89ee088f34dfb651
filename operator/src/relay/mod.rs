//! `WebhookRelay`: what it refers to is fetched, its spec validated, its children built and applied, and what
//! holds of it reported.

mod build;
mod fetch;
mod leave;
mod left;
mod peers;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use visnyk_crds::api::OnDelete;
use visnyk_crds::valid::ValidatedRelay;
use visnyk_crds::{WebhookRelay, validate};

use crate::apply::apply;
use crate::apply::finalizer;
use crate::apply::roll_out::take_up;
use crate::apply::runnable::{self, Rules, Verdict, judge_with_pods};
use crate::certificates;
use crate::children::child::take_unknown;
use crate::children::meta::{Owner, Role, adopts};
use crate::children::{ask_for_certificate, publish_not_ready};
use crate::cluster::pods::only_refuse;
use crate::cluster::present::Present;
use crate::cluster::unmade::why_unmade;
use crate::context::Context;
use crate::error::Error;
use crate::status::report::nothing_runs;
use crate::status::visit::Visit;

/// A relay that can run.
type Runnable = runnable::Runnable<WebhookRelay, ValidatedRelay>;

/// How many pods there are and what becomes of their volumes is taken from a faulty spec too: neither can be wrong, and
/// no pod takes notice.
const RULES: Rules<WebhookRelay, ValidatedRelay> = Rules {
    validate: validate::relay,
    secrets: ValidatedRelay::secrets,
    references: fetch::references,
    take_over: |last, faulty| {
        last.spec.replicas = faulty.spec.replicas;
        last.spec.spool.on_delete = faulty.spec.spool.on_delete;
    },
};

/// Brings about what a relay says.
pub async fn reconcile(relay: &WebhookRelay, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Relay, relay);
    if relay.metadata.deletion_timestamp.is_some() {
        return leave::leave(relay, &owner, context, now).await;
    }
    let image = &context.images.relay;
    let workload = |runnable: &Runnable| build::pods(runnable, &owner, image);
    let present = Present::new(&context.cluster, &owner).adopting(adopts(relay));
    let Verdict { runnable, fault, missing, awaited } =
        judge_with_pods(relay, &present, &RULES, &context.writer, workload).await?;
    let Some(runnable) = runnable else {
        return Ok(nothing_runs(&owner, fault.as_ref()));
    };
    let held = match (runnable.is_held(), finalizer::is_on(&relay.metadata)) {
        (true, false) => finalizer::put_on::<WebhookRelay>(&context.cluster.client, &relay.metadata).await,
        (false, true) => finalizer::take_off::<WebhookRelay>(&context.cluster.client, &relay.metadata).await,
        (true, true) | (false, false) => Ok(()),
    };
    let not_held = present.told(held)?.err();
    let found = fetch::fetch(&runnable.valid, &present).await?;
    let mut resolved = peers::resolve(&owner, &found, now)?;
    resolved.obstacles.extend(peers::missing_ports(&runnable.valid.destinations, &found));
    let trust = certificates::own_names(&runnable.valid.listener.tls)
        .map(|names| certificates::wanted(&owner, &found.kept, Some(names), now))
        .transpose()?;
    let spec = &runnable.resource.spec;
    let left = left::look(&context.cluster, &owner, spec.replicas, spec.spool.on_delete, now).await?;
    let mut children = build::build(&runnable, &owner, &resolved, trust.as_ref(), image)?;
    if only_refuse(&context.cluster, &owner).await {
        publish_not_ready(&mut children, &owner);
    }
    children.extend(build::drains(&runnable, &owner, image, &left)?);
    if !awaited.is_empty() {
        ask_for_certificate(&mut children, &owner, relay.spec.listener.tls.cert_manager.as_ref());
    }
    let unknown = take_unknown(&mut children, &context.kinds);
    let applied = apply(&present, &context.writer, &children).await?.and_refused(not_held);
    leave::delete_claims(&context.cluster.client, &owner, &left).await?;

    let hash = &runnable.valid.identity.configuration_hash;
    let obstacles = report::obstacles(&missing, &awaited, &resolved, &unknown);
    let pods = take_up(&context.cluster, &owner, hash, obstacles.is_empty(), now).await?;
    let unmade =
        why_unmade(&present, build::kind(&runnable), usize::from(spec.replicas), pods.len(), now).await?;
    Ok(report::report(&report::Seen {
        owner: &owner,
        runnable: &runnable,
        fault: fault.as_ref(),
        applied: &applied,
        missing_secrets: &missing,
        resolved: &resolved,
        trust: trust
            .map(|wanted| certificates::standing(&context.writer.verified, &owner, &found.kept, &wanted)),
        obstacles: &obstacles,
        pods: &pods,
        unmade: unmade.as_deref(),
        left: &left,
        now,
    }))
}

impl Runnable {
    /// Whether there is something to be done about its volumes before it goes.
    fn is_held(&self) -> bool {
        let spool = &self.resource.spec.spool;
        spool.persistent.is_some() && spool.on_delete != OnDelete::Retain
    }
}

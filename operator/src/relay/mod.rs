//! `WebhookRelay`: its reconcile, step by step.

mod build;
mod fetch;
mod finalize;
mod peers;
mod report;
mod retained_volumes;
#[cfg(test)]
mod tests;

use self::peers::Resolved;
use self::retained_volumes::RetainedVolume;
use jiff::Timestamp;
use visnyk_crds::api::OnDelete;
use visnyk_crds::valid::ValidatedRelay;
use visnyk_crds::{WebhookRelay, validate};

use crate::apply::finalizer;
use crate::apply::roll_out::{RolledOut, roll_out};
use crate::apply::runnable::{self, Rules, judge, judge_with_pods};
use crate::apply::{Applied, apply};
use crate::certificates;
use crate::certificates::trust::Wanted as Trust;
use crate::children::child::{Child, take_unknown};
use crate::children::meta::{Owner, Role, adopts};
use crate::children::{ask_for_certificate, publish_not_ready};
use crate::cluster::live_children::LiveChildren;
use crate::cluster::pods::{self, Report, only_refuse};
use crate::cluster::written::Written;
use crate::context::Context;
use crate::error::Error;
use crate::status::outcome::Outcome;
use crate::status::report::{Obstacle, nothing_runs};

/// A relay that can run.
type Runnable = runnable::Runnable<Written<WebhookRelay>, ValidatedRelay>;

/// Rules for relays. The number of pods and the fate of their volumes are taken from a faulty spec too: neither can be
/// wrong, and no pod reads them.
const RULES: Rules<Written<WebhookRelay>, ValidatedRelay> = Rules {
    validate: |relay| validate::written_relay(relay, &relay.written_spec()),
    secrets: ValidatedRelay::secrets,
    references: fetch::references,
    receivers: fetch::receivers,
    runs: |relay| relay.spec.replicas > 0,
    take_over: |last, faulty| {
        let spec = &mut last.resource_mut().spec;
        spec.replicas = faulty.spec.replicas;
        spec.spool.on_delete = faulty.spec.spool.on_delete;
    },
};

/// Reconciles a relay: admit, observe, decide, apply, report. Admission comes first, because it tells which spec runs,
/// and what is observed are the objects that this spec refers to. Each step says whether it does IO.
pub async fn reconcile(
    relay: &Written<WebhookRelay>,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let owner = Owner::of(Role::Relay, relay);
    if relay.metadata.deletion_timestamp.is_some() {
        return finalize::finalize(relay, &owner, context, now).await;
    }
    let live = LiveChildren::new(&context.cluster, &owner).adopting(adopts(relay));
    let Admitted { verdict, found, not_held } = admit(relay, &live, context, now).await?;
    let Some(runnable) = &verdict.runnable else {
        return Ok(nothing_runs(&owner, verdict.fault.as_ref()));
    };
    let observed = observe(runnable, found, &live, now).await?;
    let wanted = decide(relay, &owner, &verdict, runnable, &observed, context, now)?;
    let (applied, rolled_out) = carry_out(runnable, &live, &observed, &wanted, context, now).await?;
    let trust = wanted.trust.as_ref();
    Ok(report::report(&report::Inputs {
        owner: &owner,
        runnable,
        fault: verdict.fault.as_ref(),
        applied: &applied.and_refused(not_held),
        missing_secrets: &verdict.missing,
        resolved: &wanted.resolved,
        trust: trust
            .map(|trust| certificates::state(&context.writer.verified, &owner, &observed.found.kept, trust)),
        obstacles: &wanted.obstacles,
        pods: &rolled_out.pods,
        creation_failure: rolled_out.creation_failure.as_deref(),
        left: &observed.left,
        now,
    }))
}

/// Decision on the spec that runs.
type Verdict = runnable::Verdict<Written<WebhookRelay>, ValidatedRelay>;

/// A relay after the decision which spec runs.
struct Admitted {
    /// The decision.
    verdict: Verdict,
    /// Objects that the spec that runs refers to, if they were read for the decision.
    found: Option<fetch::Found>,
    /// Reason that the finalizer could not be put on or taken off.
    not_held: Option<String>,
}

/// Decides which spec runs, and puts the finalizer on a relay that needs it or takes it off. IO: reads the children and
/// what the spec refers to, tries the workload out by a dry run, writes the finalizer.
async fn admit(
    relay: &Written<WebhookRelay>,
    live: &LiveChildren<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<Admitted, Error> {
    let judged = judge(relay, live, &RULES).await?;
    let (mut found, mut unresolved) = (None, Vec::new());
    if let (Some(own), None) = &judged {
        runnable::note(live, &RULES, &[&own.valid]);
        let read = fetch::fetch(&own.valid, live).await?;
        unresolved = peers::unresolved(live.owner, &own.valid.destinations, &read, now);
        found = Some(read);
    }
    let workload = |runnable: &Runnable| build::pods(runnable, live.owner, &context.images.relay);
    let verdict = judge_with_pods(relay, judged, unresolved, live, &RULES, &context.writer, workload).await?;
    let runs_own = verdict.fault.is_none() && verdict.awaited.is_empty();
    let found = found.filter(|_| runs_own);
    let Some(runnable) = &verdict.runnable else { return Ok(Admitted { verdict, found, not_held: None }) };
    let (client, metadata) = (&live.cluster.client, &relay.metadata);
    let held = match (runnable.is_held(), finalizer::is_on(metadata)) {
        (true, false) => finalizer::put_on::<WebhookRelay>(client, metadata).await,
        (false, true) => finalizer::take_off::<WebhookRelay>(client, metadata).await,
        (true, true) | (false, false) => Ok(()),
    };
    let not_held = live.told(held)?.err();
    Ok(Admitted { verdict, found, not_held })
}

/// Observed objects of a relay.
struct Observed {
    /// Objects that the spec refers to, and the relay's own certificates.
    found: fetch::Found,
    /// Volumes that no replica uses.
    left: Vec<RetainedVolume>,
    /// Reports of the pods.
    pods: Vec<Report>,
}

/// Reads the objects around a relay, but those that were `found` before. IO: reads.
async fn observe(
    runnable: &Runnable,
    found: Option<fetch::Found>,
    live: &LiveChildren<'_>,
    now: Timestamp,
) -> Result<Observed, Error> {
    let (cluster, owner, spec) = (live.cluster, live.owner, &runnable.resource.spec);
    let found = match found {
        Some(found) => found,
        None => fetch::fetch(&runnable.valid, live).await?,
    };
    Ok(Observed {
        found,
        left: retained_volumes::look(cluster, owner, spec.replicas, spec.spool.on_delete, now).await?,
        pods: pods::ask(cluster, owner).await,
    })
}

/// Wanted objects of a relay.
struct Wanted {
    /// Children, of kinds that the cluster knows.
    children: Vec<Child>,
    /// Files that lead pods to Collectors and Services.
    resolved: Resolved,
    /// The relay's own certificates.
    trust: Option<Trust>,
    /// Obstacles to the configuration.
    obstacles: Vec<Obstacle>,
}

/// Decides what the children should be. No IO, but new keys are random.
fn decide(
    relay: &WebhookRelay,
    owner: &Owner,
    verdict: &Verdict,
    runnable: &Runnable,
    observed: &Observed,
    context: &Context,
    now: Timestamp,
) -> Result<Wanted, Error> {
    let (found, image) = (&observed.found, &context.images.relay);
    let mut resolved = peers::resolve(owner, found, now)?;
    resolved.obstacles.extend(peers::missing_ports(&runnable.valid.destinations, found));
    let trust = certificates::own_names(&runnable.valid.listener.tls)
        .map(|names| certificates::wanted(owner, &found.kept, Some(names), now))
        .transpose()?;
    let mut children = build::build(runnable, owner, &resolved, trust.as_ref(), image)?;
    if only_refuse(&observed.pods) {
        publish_not_ready(&mut children, owner);
    }
    children.extend(build::drains(runnable, owner, image, &observed.left)?);
    if !verdict.awaited.is_empty() {
        ask_for_certificate(&mut children, owner, relay.spec.listener.tls.cert_manager.as_ref());
    }
    let unknown = take_unknown(&mut children, &context.kinds);
    let obstacles = report::obstacles(&verdict.missing, &verdict.awaited, &resolved, &unknown);
    Ok(Wanted { children, resolved, trust, obstacles })
}

/// Applies the children, deletes volumes that are done with, and makes pods look at their files. IO: writes.
async fn carry_out(
    runnable: &Runnable,
    live: &LiveChildren<'_>,
    observed: &Observed,
    wanted: &Wanted,
    context: &Context,
    now: Timestamp,
) -> Result<(Applied, RolledOut), Error> {
    let (cluster, owner) = (live.cluster, live.owner);
    let applied = apply(live, &context.writer, &wanted.children).await?;
    finalize::delete_claims(&cluster.client, owner, &observed.left).await?;
    let hash = &runnable.valid.identity.configuration_hash;
    let replicas = usize::from(runnable.resource.spec.replicas);
    let are_files_there = wanted.obstacles.is_empty();
    let rolled_out =
        roll_out(live, observed.pods.clone(), hash, are_files_there, build::kind(runnable), replicas, now)
            .await?;
    Ok((applied, rolled_out))
}

impl Runnable {
    /// Returns whether its volumes have to be drained or deleted before it goes.
    fn is_held(&self) -> bool {
        let spool = &self.resource.spec.spool;
        spool.persistent.is_some() && spool.on_delete != OnDelete::Retain
    }
}

//! `Collector`: its reconcile, step by step.

mod build;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use visnyk_crds::valid::{ListenerTls, ValidatedCollector};
use visnyk_crds::{Collector, validate};

use crate::apply::roll_out::{RolledOut, roll_out};
use crate::apply::runnable::{self, Rules, judge, judge_with_pods};
use crate::apply::{Applied, apply};
use crate::certificates::trust::Wanted as Trust;
use crate::certificates::{self, StoredCertificates};
use crate::children::child::{Child, take_unknown};
use crate::children::meta::{Owner, Role, adopts};
use crate::children::{ask_for_certificate, publish_not_ready};
use crate::cluster::live_children::LiveChildren;
use crate::cluster::pods::{self, Report, only_refuse};
use crate::cluster::references::{Reference, Referred};
use crate::cluster::written::Written;
use crate::context::Context;
use crate::error::Error;
use crate::status::outcome::Outcome;
use crate::status::report::{Obstacle, nothing_runs};

/// A collector that can run.
type Runnable = runnable::Runnable<Written<Collector>, ValidatedCollector>;

const RULES: Rules<Written<Collector>, ValidatedCollector> = Rules {
    validate: |collector| validate::written_collector(collector, &collector.written_spec()),
    secrets: |collector| collector.listener.secrets(),
    references,
    receivers: |_| BTreeSet::new(),
    runs: |_| true,
    take_over: |_, _| {},
};

/// Reconciles a collector: admit, observe, decide, apply, report. Admission comes first, because it tells which spec
/// runs. Each step says whether it does IO.
pub async fn reconcile(
    collector: &Written<Collector>,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let owner = Owner::of(Role::Collector, collector);
    let live = LiveChildren::new(&context.cluster, &owner).adopting(adopts(collector));
    let verdict = admit(collector, &live, context).await?;
    let Some(runnable) = &verdict.runnable else {
        return Ok(nothing_runs(&owner, verdict.fault.as_ref()));
    };
    let observed = observe(runnable, &live).await?;
    let wanted = decide(collector, &owner, &verdict, runnable, &observed, context, now)?;
    let (applied, rolled_out) = carry_out(runnable, &live, &observed, &wanted, context, now).await?;
    let trust = wanted.trust.as_ref();
    Ok(report::report(&report::Inputs {
        owner: &owner,
        runnable,
        fault: verdict.fault.as_ref(),
        applied: &applied,
        missing_secrets: &verdict.missing,
        obstacles: &wanted.obstacles,
        pods: &rolled_out.pods,
        creation_failure: rolled_out.creation_failure.as_deref(),
        trust: trust
            .map(|trust| certificates::state(&context.writer.verified, &owner, &observed.kept, trust)),
        now,
    }))
}

/// Decision on the spec that runs.
type Verdict = runnable::Verdict<Written<Collector>, ValidatedCollector>;

/// Decides which spec runs. IO: reads the children, tries the workload out by a dry run.
async fn admit(
    collector: &Written<Collector>,
    live: &LiveChildren<'_>,
    context: &Context,
) -> Result<Verdict, Error> {
    let workload = |runnable: &Runnable| build::pods(runnable, live.owner, &context.images.collector);
    let judged = judge(collector, live, &RULES).await?;
    judge_with_pods(collector, judged, Vec::new(), live, &RULES, &context.writer, workload).await
}

/// Observed objects of a collector.
struct Observed {
    /// Certificates of the collector; none if its listener uses plain HTTP.
    kept: StoredCertificates,
    /// Report of the pod.
    pods: Vec<Report>,
}

/// Reads the objects around a collector. IO: reads.
async fn observe(runnable: &Runnable, live: &LiveChildren<'_>) -> Result<Observed, Error> {
    let kept = match &runnable.valid.listener.tls {
        ListenerTls::None => StoredCertificates::default(),
        ListenerTls::SelfSigned { .. } | ListenerTls::Secret { .. } => certificates::fetch(live).await?,
    };
    Ok(Observed { kept, pods: pods::ask(live.cluster, live.owner).await })
}

/// Wanted objects of a collector.
struct Wanted {
    /// Children, of kinds that the cluster knows.
    children: Vec<Child>,
    /// The collector's own certificates.
    trust: Option<Trust>,
    /// Obstacles to the configuration.
    obstacles: Vec<Obstacle>,
}

/// Decides what the children should be. No IO, but new keys are random.
fn decide(
    collector: &Collector,
    owner: &Owner,
    verdict: &Verdict,
    runnable: &Runnable,
    observed: &Observed,
    context: &Context,
    now: Timestamp,
) -> Result<Wanted, Error> {
    let trust = match &runnable.valid.listener.tls {
        ListenerTls::None => None,
        // Relays are known by certificates of the collector's own authority, whichever certificate it shows itself.
        tls => Some(certificates::wanted(owner, &observed.kept, certificates::own_names(tls), now)?),
    };
    let mut children = build::build(runnable, owner, trust.as_ref(), &context.images.collector)?;
    if only_refuse(&observed.pods) {
        publish_not_ready(&mut children, owner);
    }
    if !verdict.awaited.is_empty() {
        ask_for_certificate(&mut children, owner, collector.spec.listener.tls.cert_manager.as_ref());
    }
    let unknown = take_unknown(&mut children, &context.kinds);
    let obstacles = report::obstacles(&verdict.missing, &verdict.awaited, &unknown);
    Ok(Wanted { children, trust, obstacles })
}

/// Applies the children, and makes the pod look at its files. IO: writes.
async fn carry_out(
    runnable: &Runnable,
    live: &LiveChildren<'_>,
    observed: &Observed,
    wanted: &Wanted,
    context: &Context,
    now: Timestamp,
) -> Result<(Applied, RolledOut), Error> {
    let applied = apply(live, &context.writer, &wanted.children).await?;
    let hash = &runnable.valid.identity.configuration_hash;
    let are_files_there = wanted.obstacles.is_empty();
    let rolled_out =
        roll_out(live, observed.pods.clone(), hash, are_files_there, build::kind(runnable), 1, now).await?;
    Ok((applied, rolled_out))
}

/// Returns every object that a reconcile reads and that is not the collector's own child.
fn references(collector: &ValidatedCollector) -> BTreeSet<Reference> {
    let secrets = collector.listener.secrets().into_iter();
    let reference =
        |name| Reference { what: Referred::Secret, namespace: collector.identity.namespace.clone(), name };
    secrets.map(|secret| reference(secret.name)).collect()
}

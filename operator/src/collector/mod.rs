//! `Collector`: its spec validated, its children built and applied, and what holds of it reported.

mod build;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use visnyk_crds::valid::{ListenerTls, ValidatedCollector};
use visnyk_crds::{Collector, validate};

use crate::apply::apply;
use crate::apply::roll_out::take_up;
use crate::apply::runnable::{self, Rules, Verdict, judge_with_pods};
use crate::certificates::{self, Kept};
use crate::children::child::take_unknown;
use crate::children::meta::{Owner, Role, adopts};
use crate::children::{ask_for_certificate, publish_not_ready};
use crate::cluster::pods::only_refuse;
use crate::cluster::present::Present;
use crate::cluster::references::{Reference, Referred};
use crate::cluster::unmade::why_unmade;
use crate::context::Context;
use crate::error::Error;
use crate::status::report::nothing_runs;
use crate::status::visit::Visit;

/// A collector that can run.
type Runnable = runnable::Runnable<Collector, ValidatedCollector>;

const RULES: Rules<Collector, ValidatedCollector> = Rules {
    validate: validate::collector,
    secrets: |collector| collector.listener.secrets(),
    references,
    take_over: |_, _| {},
};

/// Brings about what a collector says.
pub async fn reconcile(collector: &Collector, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Collector, collector);
    let image = &context.images.collector;
    let workload = |runnable: &Runnable| build::pods(runnable, &owner, image);
    let present = Present::new(&context.cluster, &owner).adopting(adopts(collector));
    let Verdict { runnable, fault, missing, awaited } =
        judge_with_pods(collector, &present, &RULES, &context.writer, workload).await?;
    let Some(runnable) = runnable else {
        return Ok(nothing_runs(&owner, fault.as_ref()));
    };
    let (kept, trust) = match &runnable.valid.listener.tls {
        ListenerTls::None => (Kept::default(), None),
        // Relays are known by certificates of the collector's own authority, whosever it shows itself.
        tls => {
            let kept = certificates::fetch(&present).await?;
            let wanted = certificates::wanted(&owner, &kept, certificates::own_names(tls), now)?;
            (kept, Some(wanted))
        }
    };
    let mut children = build::build(&runnable, &owner, trust.as_ref(), image)?;
    if only_refuse(&context.cluster, &owner).await {
        publish_not_ready(&mut children, &owner);
    }
    if !awaited.is_empty() {
        ask_for_certificate(&mut children, &owner, collector.spec.listener.tls.cert_manager.as_ref());
    }
    let unknown = take_unknown(&mut children, &context.kinds);
    let applied = apply(&present, &context.writer, &children).await?;

    let hash = &runnable.valid.identity.configuration_hash;
    let obstacles = report::obstacles(&missing, &awaited, &unknown);
    let pods = take_up(&context.cluster, &owner, hash, obstacles.is_empty(), now).await?;
    let unmade = why_unmade(&present, build::kind(&runnable), 1, pods.len(), now).await?;
    Ok(report::report(&report::Seen {
        owner: &owner,
        runnable: &runnable,
        fault: fault.as_ref(),
        applied: &applied,
        missing_secrets: &missing,
        obstacles: &obstacles,
        pods: &pods,
        unmade: unmade.as_deref(),
        trust: trust.map(|wanted| certificates::standing(&context.writer.verified, &owner, &kept, &wanted)),
        now,
    }))
}

/// Every object that a visit reads and that is not the collector's own child.
fn references(collector: &ValidatedCollector) -> BTreeSet<Reference> {
    let secrets = collector.listener.secrets().into_iter();
    let reference =
        |name| Reference { what: Referred::Secret, namespace: collector.identity.namespace.clone(), name };
    secrets.map(|secret| reference(secret.name)).collect()
}

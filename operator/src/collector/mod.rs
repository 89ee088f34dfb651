//! `Collector`: its spec validated, its children built and applied, and what holds of it reported.

mod build;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use visnyk_crds::valid::{ListenerTls, SecretRef, ValidatedCollector};
use visnyk_crds::{Collector, validate};

use crate::apply::apply;
use crate::certificates::{self, Kept};
use crate::child::take_unknown;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::missing_secrets;
use crate::meta::{Owner, Role};
use crate::pods::take_up;
use crate::present::Present;
use crate::references::{Reference, Referred};
use crate::report::nothing_runs;
use crate::runnable::{self, Rules, judge_with_pods};
use crate::visit::Visit;

/// A collector that can run.
type Runnable = runnable::Runnable<Collector, ValidatedCollector>;

const RULES: Rules<Collector, ValidatedCollector> =
    Rules { validate: validate::collector, take_over: |_, _| {} };

/// Brings about what a collector says.
pub async fn reconcile(collector: &Collector, context: &Context, now: Timestamp) -> Result<Visit, Error> {
    let owner = Owner::of(Role::Collector, collector);
    let image = &context.images.collector;
    let workload = |runnable: &Runnable| build::pods(runnable, &owner, image);
    let present = Present::new(context, &owner);
    let (runnable, fault) = judge_with_pods(collector, &present, &RULES, workload).await?;
    let Some(runnable) = runnable else {
        return Ok(nothing_runs(&owner, fault.as_ref()));
    };
    let secrets = runnable.valid.listener.secrets();
    let reference = |secret: &SecretRef| Reference {
        what: Referred::Secret,
        namespace: owner.namespace.clone(),
        name: secret.name.clone(),
    };
    context.references.note(&owner.concerned(), secrets.iter().map(reference).collect());
    let missing = missing_secrets(&context.client, &owner.namespace, &secrets).await?;
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
    let unknown = take_unknown(&mut children, &context.kinds);
    let applied = apply(&present, &children).await?;

    let hash = &runnable.valid.identity.configuration_hash;
    let obstacles = report::obstacles(&missing, &unknown);
    let pods = take_up(context, &owner, hash, &obstacles, now).await?;
    Ok(report::report(&report::Seen {
        owner: &owner,
        runnable: &runnable,
        fault: fault.as_ref(),
        applied: &applied,
        missing_secrets: &missing,
        obstacles: &obstacles,
        pods: &pods,
        trust: trust.map(|wanted| certificates::standing(&context.verified, &owner, &kept, &wanted)),
        now,
    }))
}

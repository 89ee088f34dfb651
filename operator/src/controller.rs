//! The controllers: the resources that a change concerns are reconciled, and the outcome is written, published and
//! counted, here and nowhere else.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tracing::{Instrument, info, info_span, warn};
use visnyk_crds::api::Status;
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_runtime::observe::causes::with_causes;

use crate::apply::claim::{self, Claim, claim};
use crate::apply::finalizer;
use crate::children::child::Kind;
use crate::children::meta::{ObjectKey, Owner, Role};
use crate::cluster::references::{Listener, References, Referred};
use crate::cluster::watched::{self, Scope, Watched};
use crate::cluster::written::Written;
use crate::context::Context;
use crate::error::Error;
use crate::process::args::Namespaces;
use crate::process::discovery;
use crate::process::metrics::Certificate;
use crate::process::run::ControllerDeps;
use crate::status::events::publish_changes;
use crate::status::failure::lasting;
use crate::status::outcome::{
    LATER, LastStatus, Outcome, SOON, is_gone, is_paused, pause, paused, read_last_status, write_status,
};
use crate::status::reasons::{REFUSED, UNREADABLE};
use crate::status::report;
use crate::{collector, relay};

/// Maximum number of reconciles at once. Each mostly waits for the API server.
const MAX_CONCURRENT: u16 = 16;

/// Interval of the check whether the other installation that manages a resource is gone.
const OTHERS: Duration = Duration::from_mins(5);

/// Kind of resources that the operator manages.
trait ManagedResource:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Kind of the resource.
    const ROLE: Role;

    /// Returns its last status.
    fn last_status(&self) -> Option<&Status>;

    /// Reconciles the resource.
    fn reconcile(
        &self,
        context: &Context,
        now: Timestamp,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send;
}

impl ManagedResource for Written<WebhookRelay> {
    const ROLE: Role = Role::Relay;

    fn last_status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn reconcile(
        &self,
        context: &Context,
        now: Timestamp,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send {
        relay::reconcile(self, context, now)
    }
}

impl ManagedResource for Written<Collector> {
    const ROLE: Role = Role::Collector;

    fn last_status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn reconcile(
        &self,
        context: &Context,
        now: Timestamp,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send {
        collector::reconcile(self, context, now)
    }
}

type Triggers = UnboundedReceiver<ObjectKey>;

/// Runs the controllers of both kinds, in every watched namespace, for as long as it is polled. They restart when the
/// cluster serves another kind of children.
pub async fn run(deps: ControllerDeps) {
    loop {
        let kinds = match discovery::discover(&deps.client).await {
            Ok(kinds) => kinds,
            Err(error) => {
                warn!(%error, "cannot read which kinds the cluster has");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        info!(?kinds, "controllers start");
        let known: Vec<Kind> = kinds.iter().copied().collect();
        let scopes = scopes(&deps.namespaces);
        let (mut listeners, mut controllers) = (Vec::new(), Vec::new());
        for scope in &scopes {
            controllers
                .push(control::<Written<WebhookRelay>>(&deps, scope, &known, listen(&mut listeners)).boxed());
            controllers
                .push(control::<Written<Collector>>(&deps, scope, &known, listen(&mut listeners)).boxed());
        }
        let watches = scopes.iter().flat_map(|scope| watch_referred(&deps.client, scope, &listeners));
        tokio::select! {
            _ = join_all(controllers) => return,
            _ = join_all(watches) => return,
            () = discovery::changed(&deps.client, &kinds) => {}
        }
    }
}

fn scopes(namespaces: &Namespaces) -> Vec<Scope> {
    match namespaces {
        Namespaces::All => vec![Scope(None)],
        Namespaces::Only(names) => names.iter().map(|name| Scope(Some(name.clone()))).collect(),
    }
}

/// Adds a controller that hears of changes of the objects that its resources refer to.
fn listen(listeners: &mut Vec<Listener>) -> (Listener, Triggers) {
    let (sender, triggers) = unbounded();
    let listener = Listener { references: References::default(), triggers: sender };
    listeners.push(listener.clone());
    (listener, triggers)
}

/// Watches the objects of one scope that resources may refer to, for all controllers: relays of other scopes may refer
/// to them.
fn watch_referred(client: &Client, scope: &Scope, listeners: &[Listener]) -> [BoxFuture<'static, ()>; 3] {
    let (of, all) = (|| scope.clone(), || listeners.to_vec());
    [
        watched::references::<Collector>(scope.api(client), of(), Referred::Collector, all()).boxed(),
        watched::references::<Service>(scope.api(client), of(), Referred::Service, all()).boxed(),
        watched::references::<Secret>(scope.api(client), of(), Referred::Secret, all()).boxed(),
    ]
}

/// Reconciles the resources of one kind in one scope: those that change, and those that its listener triggers.
async fn control<K: ManagedResource>(
    deps: &ControllerDeps,
    scope: &Scope,
    kinds: &[Kind],
    (listener, triggers): (Listener, Triggers),
) {
    let (watched, running) = Watched::start(&deps.client, scope, K::ROLE, kinds, &listener.triggers);
    let (resources, writer) = reflector::store();
    let changed = watcher(scope.api::<DeserializeGuard<K>>(&deps.client), watched::everything())
        .modify(watched::strip)
        .default_backoff()
        .reflect(writer)
        .touched_objects();
    let controller = Controller::for_stream(changed, resources)
        .with_config(controller::Config::default().concurrency(MAX_CONCURRENT))
        .reconcile_on(triggers.map(|ObjectKey { namespace, name }| ObjectRef::new(&name).within(&namespace)));
    let context = Arc::new(Context::new(deps, kinds, watched, listener.references));
    let reconciles = controller.run(reconcile::<K>, again_later::<K>, Arc::clone(&context));
    let work = reconciles.for_each(async |reconciled| {
        if let Err(error) = reconciled {
            failed::<K>(&error, &context);
        }
    });
    tokio::select! {
        _ = join_all(running) => {}
        () = work => {}
    }
}

/// Reconciles a resource. Its log lines have a trace id of their own, besides the object of the controller's span.
async fn reconcile<K: ManagedResource>(
    resource: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    if is_gone(&*resource) {
        return Ok(Action::await_change());
    }
    let resource = match manage(resource, &context).await? {
        Managed::Here(resource) => resource,
        Managed::Not(action) => return Ok(action),
    };
    if is_gone(&*resource) {
        return Ok(Action::await_change());
    }
    if is_paused(&*resource) {
        return report_paused(&resource, &context).await;
    }
    let trace_id = format!("{:032x}", rand::random::<u128>());
    reconcile_counted(&resource, &context).instrument(info_span!("reconcile", trace_id)).await
}

/// Decision whether this installation manages a resource.
enum Managed<K> {
    /// This installation manages the resource, which is the present one.
    Here(Arc<DeserializeGuard<K>>),
    /// This installation does not manage the resource now. The action is the next one.
    Not(Action),
}

/// Makes sure that this installation manages a resource, if no other does.
async fn manage<K: ManagedResource>(
    resource: Arc<DeserializeGuard<K>>,
    context: &Context,
) -> Result<Managed<K>, Error> {
    let (begun, owner) = (Instant::now(), Owner::of(K::ROLE, &*resource));
    let key = owner.key();
    let seen = resource.0.as_ref().ok().and_then(|readable| readable.last_status()?.operator.as_deref());
    match claim(&context.cluster.client, &context.installation, &owner, seen, Timestamp::now()).await {
        Ok(Claim::Ours(fresh)) => {
            context.others.forget(&key);
            let Some(fresh) = fresh else { return Ok(Managed::Here(resource)) };
            let fresh = serde_json::to_value(fresh).and_then(serde_json::from_value);
            let unreadable =
                |source: serde_json::Error| Error::Write { what: "a resource", source: source.into() };
            Ok(Managed::Here(Arc::new(fresh.map_err(unreadable)?)))
        }
        Ok(Claim::Unclear) => Ok(Managed::Not(Action::requeue(SOON))),
        Ok(Claim::Gone) => Ok(Managed::Not(Action::await_change())),
        Ok(Claim::Others(holder)) => {
            context.metrics.certificate_gone(&certificate_of::<K>(&key));
            if context.others.note(&key, &holder) {
                let note = claim::told(&owner, &holder, &context.installation);
                warn!(namespace = owner.namespace, name = owner.name, holder, "managed by another operator");
                context.writer.events.warning(&owner.object_ref(), "Manage", "ManagedElsewhere", &note).await;
            }
            Ok(Managed::Not(Action::requeue(OTHERS)))
        }
        Err(error) => {
            context.metrics.failed(K::ROLE.kind(), error.category(), begun.elapsed());
            warn!(error = with_causes(&error), "cannot read which operator manages a resource, trying again");
            publish_failure(&owner, &error, context).await;
            Err(error)
        }
    }
}

/// Writes into the status that a resource is paused, and does nothing else.
async fn report_paused<K: ManagedResource>(
    resource: &DeserializeGuard<K>,
    context: &Context,
) -> Result<Action, Error> {
    // What cannot be read is left as it is, too.
    let Ok(readable) = &resource.0 else { return Ok(Action::await_change()) };
    let (owner, before) = (Owner::of(K::ROLE, resource), last_status_of(readable));
    let after = pause(resource)
        .map_or_else(|| before.status.clone(), |pause| paused(&before.status, pause, Timestamp::now()));
    let is_written = write_and_publish(&owner, &before, &after, context).await?;
    Ok(if is_written { Action::await_change() } else { Action::requeue(SOON) })
}

/// Returns the last status of a resource.
fn last_status_of<K: ManagedResource>(resource: &K) -> LastStatus {
    LastStatus {
        version: resource.meta().resource_version.clone(),
        status: resource.last_status().cloned().unwrap_or_default(),
    }
}

/// Reconciles a resource, and writes, publishes and counts the outcome.
async fn reconcile_counted<K: ManagedResource>(
    resource: &DeserializeGuard<K>,
    context: &Context,
) -> Result<Action, Error> {
    let begun = Instant::now();
    let kind = K::ROLE.kind();
    let done = match &resource.0 {
        Ok(readable) => reconcile_readable(readable, context).await,
        // It cannot be known how it would be drained.
        Err(error) if error.metadata.deletion_timestamp.is_some() => {
            finalizer::take_off::<K>(&context.cluster.client, &error.metadata).await.map(|()| LATER)
        }
        Err(error) => reconcile_unreadable(resource, &error.error, context).await,
    };
    match &done {
        Ok(_) => {
            context.metrics.succeeded(kind, begun.elapsed());
            context.cluster.backoff.succeeded(&ObjectKey::of(resource));
        }
        Err(error) => {
            context.metrics.failed(kind, error.category(), begun.elapsed());
            warn!(error = with_causes(error), "reconcile failed, trying again");
        }
    }
    done.map(Action::requeue)
}

async fn reconcile_readable<K: ManagedResource>(resource: &K, context: &Context) -> Result<Duration, Error> {
    let now = Timestamp::now();
    let reconciled = match context.cluster.watched.ready().await {
        Ok(()) => resource.reconcile(context, now).await,
        Err(error) => Err(error),
    };
    let before = last_status_of(resource);
    let generation = resource.meta().generation;
    let is_over = context.cluster.backoff.is_over(&ObjectKey::of(resource));
    let after = match &reconciled {
        Ok(outcome) => {
            let findings = outcome.findings.iter().cloned().chain(pause(resource)).collect();
            Some(Outcome { findings, ..outcome.clone() }.status(&before.status, generation, now))
        }
        Err(error) => {
            lasting(error, is_over).map(|why| report::failed(K::ROLE, &before.status, why, generation, now))
        }
    };
    let owner = Owner::of(K::ROLE, resource);
    let said = match &after {
        Some(after) => write_and_publish(&owner, &before, after, context).await,
        None => Ok(true), // it may come to an end next time
    };
    let outcome = reconciled?;
    let is_written = said?;
    show_expiry::<K>(&owner, &outcome, context);
    Ok(if is_written { outcome.next() } else { SOON })
}

/// Writes into the status of an unreadable resource the reason for which it cannot be read.
async fn reconcile_unreadable<K: ManagedResource>(
    resource: &DeserializeGuard<K>,
    why: &str,
    context: &Context,
) -> Result<Duration, Error> {
    let (owner, generation) = (Owner::of(K::ROLE, resource), resource.meta().generation);
    let before = read_last_status(&context.cluster.client, &owner).await?;
    let reason = (UNREADABLE, why.to_owned());
    let failed = report::failed(K::ROLE, &before.status, reason, generation, Timestamp::now());
    // The claim may be in a status that cannot be read, too.
    let after = Status { operator: Some(context.installation.to_string()), ..failed };
    let is_written = write_and_publish(&owner, &before, &after, context).await?;
    Ok(if is_written { LATER } else { SOON })
}

/// Writes down what holds of a resource, and tells what is new of it; returns whether it is written.
async fn write_and_publish(
    owner: &Owner,
    before: &LastStatus,
    after: &Status,
    context: &Context,
) -> Result<bool, Error> {
    let written = write_status(&context.cluster.client, owner, before, after).await;
    match &written {
        Ok(true) => {
            publish_changes(
                &context.writer.events,
                &owner.object_ref(),
                &before.status.conditions,
                &after.conditions,
            )
            .await;
        }
        Ok(false) => {}
        Err(error) => publish_failure(owner, error, context).await,
    }
    written
}

/// Publishes an error as an Event, because the status cannot be written.
async fn publish_failure(owner: &Owner, error: &Error, context: &Context) {
    if let Some(refusal) = error.told(context.cluster.backoff.is_over(&owner.key())) {
        context.writer.events.warning(&owner.object_ref(), "Report", REFUSED, &refusal).await;
    }
}

/// Sets the metric with the time at which its certificate expires.
fn show_expiry<K: ManagedResource>(owner: &Owner, outcome: &Outcome, context: &Context) {
    let certificate = certificate_of::<K>(&owner.key());
    match outcome.certificates.not_after {
        Some(at) => context.metrics.certificate_expires(&certificate, at),
        None => context.metrics.certificate_gone(&certificate),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a controller hands over what it shares")]
fn again_later<K: ManagedResource>(
    resource: Arc<DeserializeGuard<K>>,
    _: &Error,
    context: Arc<Context>,
) -> Action {
    Action::requeue(context.cluster.backoff.next(ObjectKey::of(&*resource)))
}

fn failed<K: ManagedResource>(error: &controller::Error<Error, watcher::Error>, context: &Context) {
    match error {
        // Its deletion is a change, too.
        controller::Error::ObjectNotFound(gone) => {
            let namespace = gone.namespace.clone().unwrap_or_default();
            forget::<K>(&ObjectKey { namespace, name: gone.name.clone() }, context);
        }
        controller::Error::ReconcilerFailed(..) => {} // logged by the reconcile
        other => warn!(error = with_causes(other), "watch of resources broke, trying again"),
    }
}

/// Forgets a resource that is gone.
fn forget<K: ManagedResource>(gone: &ObjectKey, context: &Context) {
    context.cluster.references.forget(gone);
    context.cluster.backoff.forget(gone);
    context.others.forget(gone);
    context.cluster.secret_changes.forget(gone);
    context.metrics.certificate_gone(&certificate_of::<K>(gone));
}

fn certificate_of<K: ManagedResource>(resource: &ObjectKey) -> Certificate {
    let ObjectKey { namespace, name } = resource.clone();
    Certificate { kind: K::ROLE.kind(), namespace, name }
}

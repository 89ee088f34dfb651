//! Watches of the cluster, and the resources that a change concerns. Of children and claims only the metadata are kept:
//! the rest is read when they changed.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodSpec};
use kube::api::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef, Store, reflector};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;

use crate::children::child::Kind;
use crate::children::meta::{INSTANCE, ObjectKey, Owner, Role, controller_of};
use crate::cluster::child_meta::ChildMeta;
use crate::cluster::references::{Listener, Reference, Referred};
use crate::cluster::refusals::Refusals;
use crate::error::Error;

/// Maximum number of objects in one answer to a list. An object has many more fields than are kept of it, and an
/// operator reads some thirty lists at once when it starts.
const PAGE: u32 = 50;

/// The namespaces of one controller: one, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(pub Option<String>);

impl Scope {
    /// Returns the objects of a kind in it.
    pub fn api<K: Resource<Scope = kube::core::NamespaceResourceScope>>(&self, client: &Client) -> Api<K>
    where
        K::DynamicType: Default,
    {
        match &self.0 {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }

    /// Returns whether a namespace is in it.
    fn includes(&self, namespace: &str) -> bool {
        self.0.as_deref().is_none_or(|only| only == namespace)
    }

    /// Returns the objects of a kind of children in it.
    fn children(&self, client: &Client, kind: Kind) -> Api<PartialObjectMeta<DynamicObject>> {
        match &self.0 {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind.resource()),
            None => Api::all_with(client.clone(), &kind.resource()),
        }
    }
}

type Claim = PartialObjectMeta<PersistentVolumeClaim>;

/// Watched children, pods and claims of one kind of resources.
pub struct Watched {
    children: Vec<(Kind, Store<ChildMeta>)>,
    pods: Store<Pod>,
    claims: Store<Claim>,
    /// True once every object that exists has been seen.
    all_seen: watch::Receiver<bool>,
    refusals: Refusals,
}

impl Watched {
    /// Starts the watches. They run as long as the futures are polled, and never all end by themselves.
    pub fn start(
        client: &Client,
        scope: &Scope,
        role: Role,
        kinds: &[Kind],
        triggers: &UnboundedSender<ObjectKey>,
    ) -> (Self, Vec<BoxFuture<'static, ()>>) {
        let selected = everything().labels(&role.selector());
        let mut watches: Vec<BoxFuture<'static, ()>> = Vec::new();
        let refusals = Refusals::default();
        let mut children = Vec::new();
        for &kind in kinds {
            let writer = reflector::store::Writer::new(kind);
            children.push((kind, writer.as_reader()));
            let refused = refusals.of(&kind.gvk().kind);
            let events = watcher(scope.children(client, kind), selected.clone())
                .inspect(refused)
                .map_ok(move |event| ChildMeta::event(event, role));
            watches.push(Box::pin(keep(events, writer, kind, tell(triggers, ChildMeta::owner_key))));
        }
        let (pods, writer) = reflector::store();
        let tell_pods = tell(triggers, |pod: &Pod| instance(&pod.metadata));
        let events =
            watcher(scope.api(client), selected.clone()).inspect(refusals.of("Pod")).modify(strip_pod);
        watches.push(Box::pin(keep(events, writer, (), tell_pods)));
        let (claims, writer) = reflector::store();
        let tell_claims = tell(triggers, |claim: &Claim| instance(&claim.metadata));
        let events = watcher(scope.api(client), selected)
            .inspect(refusals.of("PersistentVolumeClaim"))
            .modify(strip_claim);
        watches.push(Box::pin(keep(events, writer, (), tell_claims)));
        let (seen, all_seen) = watch::channel(false);
        let known = Self { children, pods, claims, all_seen, refusals };
        watches.push(Box::pin(known.first_look(seen)));
        (known, watches)
    }

    /// Waits until everything that is there has been seen: what is not would be taken for missing.
    ///
    /// # Errors
    /// When the API server does not show some of it.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut all_seen = self.all_seen.clone();
        tokio::select! {
            biased;
            _ = all_seen.wait_for(|seen| *seen) => Ok(()),
            refusal = self.refusals.first() => Err(Error::Unseen(refusal)),
        }
    }

    /// Resolves when all present objects have been seen. A store wakes only one of the tasks that wait for it.
    fn first_look(&self, seen: watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
        let (children, pods, claims) = (self.children.clone(), self.pods.clone(), self.claims.clone());
        async move {
            for (_, store) in &children {
                let _ = store.wait_until_ready().await;
            }
            let _ = pods.wait_until_ready().await;
            let _ = claims.wait_until_ready().await;
            seen.send_replace(true);
        }
    }

    /// Returns the children of a resource, as far as they were seen.
    pub fn children_of(&self, owner: &Owner) -> Vec<(Kind, Arc<ChildMeta>)> {
        let of = |store: &Store<ChildMeta>| store.state_filter(|child| child.is_of(owner));
        let each = self.children.iter();
        each.flat_map(|(kind, store)| of(store).into_iter().map(|child| (*kind, child))).collect()
    }

    /// Returns the resource version in which a child was last seen.
    pub fn version_of(&self, namespace: &str, kind: Kind, name: &str) -> Option<String> {
        Some(self.child(namespace, kind, name)?.version().to_owned())
    }

    /// Returns whether a child that is controlled by this resource was seen.
    pub fn has(&self, owner: &Owner, kind: Kind, name: &str) -> bool {
        self.child(&owner.namespace, kind, name).is_some_and(|child| child.is_of(owner))
    }

    fn child(&self, namespace: &str, kind: Kind, name: &str) -> Option<Arc<ChildMeta>> {
        let (_, store) = self.children.iter().find(|(of, _)| *of == kind)?;
        store.get(&ObjectRef::new_with(name, kind).within(namespace))
    }

    /// Returns the number of children of all resources.
    pub fn count(&self) -> usize {
        self.children.iter().map(|(_, store)| store.len()).sum()
    }

    /// Returns the pods of a resource that are not being deleted, in the order of their names.
    pub fn pods_of(&self, owner: &Owner) -> Vec<Arc<Pod>> {
        let is_ours =
            |pod: &Pod| is_pod_of(&pod.metadata, owner) && pod.metadata.deletion_timestamp.is_none();
        let mut pods = self.pods.state_filter(is_ours);
        pods.sort_by_key(|pod| pod.name_any());
        pods
    }

    /// Returns whether a resource has pods, including pods that are being deleted.
    pub fn has_pods(&self, owner: &Owner) -> bool {
        self.pods.find(|pod| is_pod_of(&pod.metadata, owner)).is_some()
    }

    /// Returns whether there is a pod of this name, including one that is being deleted.
    pub fn is_pod_there(&self, owner: &Owner, name: &str) -> bool {
        self.pods.get(&ObjectRef::new(name).within(&owner.namespace)).is_some()
    }

    /// Returns the claims of a resource that are not being deleted.
    pub fn claims_of(&self, owner: &Owner) -> Vec<ObjectMeta> {
        let is_ours =
            |claim: &Claim| is_of(&claim.metadata, owner) && claim.metadata.deletion_timestamp.is_none();
        self.claims.state_filter(is_ours).iter().map(|claim| claim.metadata.clone()).collect()
    }
}

/// Watches the metadata of objects that resources may refer to, and tells every listener of each change.
pub async fn references<K>(
    api: Api<PartialObjectMeta<K>>,
    scope: Scope,
    what: Referred,
    listeners: Vec<Listener>,
) where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let mut events = std::pin::pin!(watcher(api, everything()).default_backoff());
    let mut news = News { scope, what, listeners, listed: BTreeSet::new() };
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => news.hear(event),
            Err(error) => warn!(%error, "watch of {} broke, trying again", std::any::type_name::<K>()),
        }
    }
}

/// Reports the changes of one watch of referred objects to the listeners.
struct News {
    scope: Scope,
    what: Referred,
    listeners: Vec<Listener>,
    /// The referred objects in the list that is being read.
    listed: BTreeSet<Reference>,
}

impl News {
    /// Handles one event of a watch. A list names the present objects only: at its end, a referred object that was not
    /// listed may have been deleted unseen.
    fn hear<K: ResourceExt>(&mut self, event: watcher::Event<K>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(object) => {
                let changed = self.reference(&object);
                if self.tell(&changed) {
                    self.listed.insert(changed);
                }
            }
            watcher::Event::Apply(object) | watcher::Event::Delete(object) => {
                self.tell(&self.reference(&object));
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let is_unlisted = |one: &Reference| {
                    one.what == self.what && self.scope.includes(&one.namespace) && !listed.contains(one)
                };
                self.listeners.iter().for_each(|listener| listener.hear_all(is_unlisted));
            }
        }
    }

    fn reference(&self, object: &impl ResourceExt) -> Reference {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        Reference { what: self.what, namespace, name }
    }

    /// Reports a change to every listener. Returns whether any resource refers to the object.
    fn tell(&self, changed: &Reference) -> bool {
        self.listeners.iter().filter(|listener| listener.hear(changed)).count() > 0
    }
}

/// Returns the configuration of a watch of all objects, which reads them page by page.
pub fn everything() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Keeps a store up to date and triggers the resources that each change concerns. An object that was deleted while the
/// watch was broken is missing from the next list without an event: it is reported at the end of that list.
async fn keep<K>(
    events: impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    writer: reflector::store::Writer<K>,
    kind: K::DynamicType,
    tell: impl Fn(&K) + Send,
) where
    K: reflector::Lookup + Clone + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync,
{
    let store = writer.as_reader();
    let mut before_list = Vec::new();
    let mut events = std::pin::pin!(reflector(writer, events.default_backoff()));
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => before_list = store.state(),
            Ok(
                watcher::Event::InitApply(object)
                | watcher::Event::Apply(object)
                | watcher::Event::Delete(object),
            ) => tell(&object),
            Ok(watcher::Event::InitDone) => {
                let is_gone = |one: &Arc<K>| store.get(&one.to_object_ref(kind.clone())).is_none();
                before_list.drain(..).filter(is_gone).for_each(|gone| tell(&gone));
            }
            Err(error) => warn!(%error, "watch broke, trying again"),
        }
    }
}

fn tell<K>(
    triggers: &UnboundedSender<ObjectKey>,
    map: impl Fn(&K) -> Option<ObjectKey> + Send + 'static,
) -> impl Fn(&K) + Send + 'static {
    let triggers = triggers.clone();
    move |object| map(object).into_iter().for_each(|one| drop(triggers.unbounded_send(one)))
}

/// Returns the resource that a pod or a claim belongs to, by its labels.
fn instance(meta: &ObjectMeta) -> Option<ObjectKey> {
    let name = meta.labels.as_ref()?.get(INSTANCE)?.clone();
    Some(ObjectKey { namespace: meta.namespace.clone()?, name })
}

/// Returns whether an object has the labels of a resource's pods and claims.
fn is_of(meta: &ObjectMeta, owner: &Owner) -> bool {
    instance(meta).is_some_and(|of| of.name == owner.name && of.namespace == owner.namespace)
}

/// Returns whether a pod belongs to a resource's workload, and not to another with its labels: by its controller. While
/// a StatefulSet is made anew around its pods they have only their names.
fn is_pod_of(pod: &ObjectMeta, owner: &Owner) -> bool {
    let base = owner.base();
    let part = |name: &str| name.strip_prefix(&base)?.strip_prefix('-').map(str::to_owned);
    let is_of_workload = match controller_of(pod) {
        Some(set) if set.kind == "StatefulSet" => set.name == base,
        Some(set) if set.kind == "ReplicaSet" => part(&set.name).is_some_and(|hash| !hash.contains('-')),
        Some(_) => false,
        None => pod.name.as_deref().and_then(part).is_some_and(|ordinal| ordinal.parse::<u32>().is_ok()),
    };
    is_of(pod, owner) && is_of_workload
}

/// Removes the managed fields, which nothing reads and which are often larger than all the rest.
pub fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn strip_claim(claim: &mut Claim) {
    strip(claim);
    claim.metadata.annotations = None;
}

fn strip_pod(pod: &mut Pod) {
    strip(pod);
    pod.spec = Some(PodSpec::default());
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::unbounded;
    use futures::stream;
    use k8s_openapi::api::core::v1::Secret;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::cluster::references::References;

    fn concerned(name: &str) -> ObjectKey {
        ObjectKey { namespace: "ships".into(), name: name.into() }
    }

    #[tokio::test]
    async fn deletion_while_a_watch_was_broken_is_told_of_with_the_next_list() {
        let claim = |of: &str| {
            let labels = json!({ INSTANCE: of });
            let metadata =
                json!({ "namespace": "ships", "name": format!("data-{of}-relay-0"), "labels": labels });
            serde_json::from_value::<Claim>(json!({ "metadata": metadata })).unwrap()
        };
        let first = [Event::Init, Event::InitApply(claim("harbour")), Event::InitApply(claim("quay"))];
        let second = [Event::InitDone, Event::Init, Event::InitApply(claim("quay")), Event::InitDone];
        let (sender, told) = unbounded();
        let (_, writer) = reflector::store();
        let tell = tell(&sender, |claim: &Claim| instance(&claim.metadata));
        keep(stream::iter(first.into_iter().chain(second).map(Ok)), writer, (), tell).await;
        drop(sender);
        let told: Vec<ObjectKey> = told.collect().await;
        assert_eq!(told, ["harbour", "quay", "quay", "harbour"].map(concerned));
    }

    #[tokio::test]
    async fn reference_whose_deletion_was_missed_is_told_of_with_the_next_list() {
        let (sender, told) = unbounded();
        let references = References::default();
        let named = |what, namespace: &str, name: &str| Reference {
            what,
            namespace: namespace.into(),
            name: name.into(),
        };
        let secret = |name: &str| named(Referred::Secret, "ships", name);
        references.note(&concerned("harbour"), [secret("gone")].into());
        references.note(&concerned("quay"), [secret("there")].into());
        let other = [named(Referred::Service, "ships", "gone"), named(Referred::Secret, "elsewhere", "gone")];
        references.note(&concerned("skiff"), other.into());
        let listener = Listener { references, triggers: sender };
        let mut news = News {
            scope: Scope(Some("ships".into())),
            what: Referred::Secret,
            listeners: vec![listener],
            listed: BTreeSet::new(),
        };
        let there = json!({ "metadata": { "namespace": "ships", "name": "there" } });
        let there: PartialObjectMeta<Secret> = serde_json::from_value(there).unwrap();
        for event in [Event::Init, Event::InitApply(there), Event::InitDone] {
            news.hear(event);
        }
        drop(news);
        let told: Vec<ObjectKey> = told.collect().await;
        assert_eq!(told, ["quay", "harbour"].map(concerned));
    }

    /// Returns a pod with the labels of `harbour`'s, and this controller.
    fn pod(name: &str, controller: Option<(&str, &str)>) -> ObjectMeta {
        let owners = controller.map(|(kind, name)| {
            json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true }])
        });
        let labels = json!({ INSTANCE: "harbour" });
        serde_json::from_value(json!({
            "namespace": "ships", "name": name, "labels": labels, "ownerReferences": owners,
        }))
        .unwrap()
    }

    #[test]
    fn pod_counts_by_its_workload_and_not_by_labels_that_anybody_may_set() {
        let (namespace, name) = ("ships".to_owned(), "harbour".to_owned());
        let owner = Owner { role: Role::Relay, namespace, name, uid: "u-1".into() };
        let ours = [
            pod("harbour-relay-0", Some(("StatefulSet", "harbour-relay"))),
            pod("harbour-relay-0", None),
            pod("harbour-relay-7cc5d-x2b", Some(("ReplicaSet", "harbour-relay-7cc5d"))),
        ];
        let others = [
            pod("harbour-relay-debugger", None),
            pod("debugger", None),
            pod("harbour-relay-0", Some(("Debugger", "harbour-relay"))),
            pod("harbour-relay-x-0", Some(("StatefulSet", "harbour-relay-x"))),
            pod("harbour-relay-x-7cc5d-x2b", Some(("ReplicaSet", "harbour-relay-x-7cc5d"))),
        ];
        let counts = |pods: &[ObjectMeta]| pods.iter().map(|pod| is_pod_of(pod, &owner)).collect::<Vec<_>>();
        assert_eq!(counts(&ours), [true; 3]);
        assert_eq!(counts(&others), [false; 5]);

        let another = Owner { namespace: "elsewhere".into(), ..owner.clone() };
        assert!(!is_pod_of(&ours[0], &another));
    }
}

//! Metadata of each watched child, so small that thousands of them take little: its identity, the version in which it
//! was last seen, and its controller. The rest is read when it changed.

use std::borrow::Cow;

use kube::api::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::Lookup;
use kube::runtime::watcher::Event;

use crate::children::child::Kind;
use crate::children::meta::{INSTANCE, ObjectKey, Owner, Role, controller_of};

/// Metadata of a child, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildMeta {
    /// Name of the child.
    pub name: Box<str>,
    /// True if it is being deleted.
    pub is_leaving: bool,
    namespace: Box<str>,
    uid: Box<str>,
    version: Box<str>,
    controller: Option<Controller>,
    /// The resource that its labels name, if nothing controls it: it may have been a child a moment ago.
    instance: Option<Box<str>>,
}

/// The resource that controls a child.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Controller {
    name: Box<str>,
    uid: Box<str>,
}

impl ChildMeta {
    /// Returns the metadata to keep of a child of resources of one kind.
    pub fn of(child: &ObjectMeta, role: Role) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let controller = controller_of(child);
        let label = || child.labels.as_ref()?.get(INSTANCE).map(|name| name.as_str().into());
        let instance = if controller.is_none() { label() } else { None };
        let controller = controller.filter(|owner| owner.kind == role.kind());
        Self {
            name: text(&child.name),
            is_leaving: child.deletion_timestamp.is_some(),
            namespace: text(&child.namespace),
            uid: text(&child.uid),
            version: text(&child.resource_version),
            controller: controller
                .map(|owner| Controller { name: owner.name.as_str().into(), uid: owner.uid.as_str().into() }),
            instance,
        }
    }

    /// Returns the event with the metadata to keep.
    pub fn event(event: Event<PartialObjectMeta<DynamicObject>>, role: Role) -> Event<Self> {
        match event {
            Event::Apply(child) => Event::Apply(Self::of(&child.metadata, role)),
            Event::Delete(child) => Event::Delete(Self::of(&child.metadata, role)),
            Event::Init => Event::Init,
            Event::InitApply(child) => Event::InitApply(Self::of(&child.metadata, role)),
            Event::InitDone => Event::InitDone,
        }
    }

    /// Returns whether this resource controls it.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.controller.as_ref().is_some_and(|controller| *controller.uid == *owner.uid)
    }

    /// Returns the resource that controls it, or may have done so before its owner reference was taken away.
    pub fn owner_key(&self) -> Option<ObjectKey> {
        let name = self.controller.as_ref().map(|controller| &controller.name).or(self.instance.as_ref())?;
        Some(ObjectKey { namespace: self.namespace.to_string(), name: name.to_string() })
    }

    /// Returns its resource version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the metadata that tell this version of it from any other.
    pub fn identity(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.to_string()),
            namespace: Some(self.namespace.to_string()),
            uid: Some(self.uid.to_string()),
            resource_version: Some(self.version.to_string()),
            ..ObjectMeta::default()
        }
    }
}

impl Lookup for ChildMeta {
    type DynamicType = Kind;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.gvk().kind.into()
    }

    fn group(kind: &Kind) -> Cow<'_, str> {
        kind.gvk().group.into()
    }

    fn version(kind: &Kind) -> Cow<'_, str> {
        kind.gvk().version.into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.resource().plural.into()
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.namespace))
    }

    // A store would keep these two a second time.
    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn child(controller: &Value) -> ObjectMeta {
        serde_json::from_value(json!({
            "namespace": "ships", "name": "harbour-relay", "uid": "u-2", "resourceVersion": "7",
            "labels": { "color": "red" }, "ownerReferences": [controller],
        }))
        .unwrap()
    }

    #[test]
    fn child_concerns_the_resource_of_its_kind_that_controls_it() {
        let (namespace, name) = ("ships".to_owned(), "harbour".to_owned());
        let owner = Owner { role: Role::Relay, namespace, name, uid: "u-1".into() };
        let ours = ChildMeta::of(&child(&owner.reference()), Role::Relay);
        assert!(ours.is_of(&owner));
        assert_eq!(ours.owner_key(), Some(owner.key()));
        assert!(!ours.is_of(&Owner { uid: "u-3".into(), ..owner.clone() }));

        let is_nobodys =
            |child_meta: ChildMeta| !child_meta.is_of(&owner) && child_meta.owner_key().is_none();
        assert!(is_nobodys(ChildMeta::of(&child(&owner.reference()), Role::Collector)));
        let mut held = owner.reference();
        held["controller"] = false.into();
        assert!(is_nobodys(ChildMeta::of(&child(&held), Role::Relay)));
    }

    #[test]
    fn orphaned_child_concerns_the_resource_that_its_labels_name() {
        let mut child = child(&json!({ "apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-9" }));
        child.owner_references = None;
        assert_eq!(ChildMeta::of(&child, Role::Relay).owner_key(), None);
        child.labels = Some([(INSTANCE.to_owned(), "harbour".to_owned())].into());
        let harbour = ObjectKey { namespace: "ships".into(), name: "harbour".into() };
        assert_eq!(ChildMeta::of(&child, Role::Relay).owner_key(), Some(harbour));
    }

    #[test]
    fn what_tells_a_child_from_another_is_kept() {
        let mut child = child(&json!({ "apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-9" }));
        let child_meta = ChildMeta::of(&child, Role::Relay);
        (child.labels, child.owner_references) = (None, None);
        assert_eq!(child_meta.identity(), child);
    }
}

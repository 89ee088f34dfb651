//! Names, labels and owners of children.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use kube::core::ApiResource;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use visnyk_crds::{Collector, WebhookRelay};

/// Field manager of every field that the operator sets.
pub const MANAGER: &str = "visnyk-operator";
/// On a resource, `"true"` leaves it and its children as they are.
pub const PAUSED: &str = "visnyk.dev/paused";
/// On a resource, `"true"` makes it the owner of objects that the operator made for a resource of its name and that
/// nothing controls any more.
pub const ADOPT: &str = "visnyk.dev/adopt";
/// The label that tells our objects from those of others.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label with the resource's name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the name of the program.
pub const NAME: &str = "app.kubernetes.io/name";
/// Annotation with the wanted state that was last applied to a child.
pub const APPLIED: &str = "visnyk.dev/applied";

/// Namespace and name of a resource to reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
}

impl ObjectKey {
    /// Returns the key of a resource.
    pub fn of(resource: &impl ResourceExt) -> Self {
        Self { namespace: resource.namespace().unwrap_or_default(), name: resource.name_any() }
    }
}

/// Kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A resource of kind `WebhookRelay`.
    Relay,
    /// A resource of kind `Collector`.
    Collector,
}

impl Role {
    /// Returns the end of the names of children, which is also the container's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Collector => "collector",
        }
    }

    /// Returns the kind of the resource.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Relay => "WebhookRelay",
            Self::Collector => "Collector",
        }
    }

    /// Returns the kind as a client needs it.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Relay => ApiResource::erase::<WebhookRelay>(&()),
            Self::Collector => ApiResource::erase::<Collector>(&()),
        }
    }

    /// Returns the value of the label [`NAME`].
    pub fn app(self) -> &'static str {
        match self {
            Self::Relay => "visnyk-relay",
            Self::Collector => "visnyk-collector",
        }
    }

    /// Returns the selector of every child and pod of resources of this kind.
    pub fn selector(self) -> String {
        format!("{MANAGED_BY}={MANAGER},{NAME}={}", self.app())
    }
}

/// The resource that children belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind of the resource.
    pub role: Role,
    /// Namespace of the resource and its children.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Unique id, which differs for a resource of the same name before or after it.
    pub uid: String,
}

impl Owner {
    /// Returns the owner for a resource that an API server has seen.
    pub fn of<K: Resource>(role: Role, resource: &K) -> Self {
        Self {
            role,
            namespace: resource.namespace().unwrap_or_default(),
            name: resource.name_any(),
            uid: resource.uid().unwrap_or_default(),
        }
    }

    /// Returns the key of the resource.
    pub fn key(&self) -> ObjectKey {
        ObjectKey { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Returns the name that children share, `<name>-relay` or `<name>-collector`.
    pub fn base(&self) -> String {
        format!("{}-{}", self.name, self.role.suffix())
    }

    /// Returns the name of a child, `<name>-relay-<part>`.
    pub fn child(&self, part: &str) -> String {
        format!("{}-{part}", self.base())
    }

    /// Returns the replica that a claim belongs to: the name is the one that a StatefulSet gives. Labels alone, which
    /// anybody may put on a claim, do not say so.
    pub fn replica_of(&self, claim: &ObjectMeta) -> Option<u32> {
        claim.name.as_ref()?.strip_prefix(&format!("data-{}-", self.base()))?.parse().ok()
    }

    /// Returns the selector of the resource's pods.
    pub fn pods(&self) -> Value {
        json!({ NAME: self.role.app(), INSTANCE: self.name })
    }

    /// Returns the selector of its pods as text.
    pub fn pods_selector(&self) -> String {
        format!("{NAME}={},{INSTANCE}={}", self.role.app(), self.name)
    }

    /// Returns the labels of every child.
    pub fn labels(&self) -> Value {
        json!({
            NAME: self.role.app(),
            INSTANCE: self.name,
            MANAGED_BY: MANAGER,
            "app.kubernetes.io/part-of": "visnyk",
        })
    }

    /// Makes the resource the owner of a child, which then goes when it goes.
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": "visnyk.dev/v1alpha1",
            "kind": self.role.kind(),
            "name": self.name,
            "uid": self.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }

    /// Returns the resource, as an Event names the object it is about.
    pub fn object_ref(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("visnyk.dev/v1alpha1".into()),
            kind: Some(self.role.kind().into()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// Returns whether the operator made an object for a resource of this name, and nothing controls it any more: a
    /// deletion by `--cascade=orphan` and a restore from a backup leave such objects.
    pub fn may_adopt(&self, object: &ObjectMeta) -> bool {
        let label =
            |name: &str| object.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
        let is_made = object.annotations.as_ref().is_some_and(|all| all.contains_key(APPLIED));
        let is_of_name = label(INSTANCE) == Some(&self.name) && label(NAME) == Some(self.role.app());
        is_made && is_of_name && label(MANAGED_BY) == Some(MANAGER) && controller_of(object).is_none()
    }

    /// Returns whether this resource controls an object.
    pub fn controls(&self, object: &ObjectMeta) -> bool {
        controller_of(object).is_some_and(|owner| owner.uid == self.uid)
    }
}

/// Returns whether a resource asks to own the objects that are left of one of its name.
pub fn adopts(resource: &impl ResourceExt) -> bool {
    resource.annotations().get(ADOPT).is_some_and(|value| value == "true")
}

/// Returns the controller of an object, if it has one.
pub fn controller_of(object: &ObjectMeta) -> Option<&OwnerReference> {
    object.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

//! References to objects that are not the resource's own: noted by each reconcile before it reads, so that later
//! changes reach the resource.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::UnboundedSender;

use crate::children::meta::ObjectKey;

/// Kind of an object that may be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Referred {
    /// An object of kind `Collector`.
    Collector,
    /// An object of kind `Service`.
    Service,
    /// An object of kind `Secret`.
    Secret,
}

/// An object that a resource refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Kind of the object.
    pub what: Referred,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// A receiver of events that a destination refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receiver {
    /// Collector or Service.
    pub reference: Reference,
    /// Port of a Service.
    pub port: Option<u16>,
}

/// The references of all resources of one kind. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct References(Arc<Mutex<Tables>>);

/// The references by resource, and by object.
#[derive(Debug, Default)]
struct Tables {
    of: HashMap<ObjectKey, BTreeSet<Reference>>,
    to: HashMap<Reference, Vec<ObjectKey>>,
}

/// Receiver of changes of the objects that one controller's resources refer to.
#[derive(Clone, Debug)]
pub struct Listener {
    /// References of the controller's resources.
    pub references: References,
    /// Sender of the keys of resources that a change concerns.
    pub triggers: UnboundedSender<ObjectKey>,
}

impl Listener {
    /// Triggers the resources that refer to a changed object. Returns whether there are any.
    pub fn hear(&self, changed: &Reference) -> bool {
        let resources = self.references.to(changed);
        let any = !resources.is_empty();
        for one in resources {
            let _ = self.triggers.unbounded_send(one); // nobody listens any more: it ends soon
        }
        any
    }

    /// Triggers the resources that refer to an object for which `like` is true, because it may have changed.
    pub fn hear_all(&self, like: impl Fn(&Reference) -> bool) {
        for one in self.references.matching(like) {
            self.hear(&one);
        }
    }
}

impl References {
    /// Records that a resource refers to these objects, and to no others.
    pub fn note(&self, resource: &ObjectKey, references: BTreeSet<Reference>) {
        let mut tables = self.tables();
        if tables.of.get(resource) == Some(&references) {
            return;
        }
        tables.forget(resource);
        for reference in &references {
            tables.to.entry(reference.clone()).or_default().push(resource.clone());
        }
        tables.of.insert(resource.clone(), references);
    }

    /// Returns the resources that refer to it.
    pub fn to(&self, reference: &Reference) -> Vec<ObjectKey> {
        self.tables().to.get(reference).cloned().unwrap_or_default()
    }

    /// Returns the objects that any resource refers to and that are `like` this.
    fn matching(&self, like: impl Fn(&Reference) -> bool) -> Vec<Reference> {
        self.tables().to.keys().filter(|one| like(one)).cloned().collect()
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, resource: &ObjectKey) {
        self.tables().forget(resource);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn forget(&mut self, resource: &ObjectKey) {
        for reference in self.of.remove(resource).unwrap_or_default() {
            let Some(resources) = self.to.get_mut(&reference) else { continue };
            resources.retain(|one| one != resource);
            if resources.is_empty() {
                self.to.remove(&reference);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Reference {
        Reference { what: Referred::Secret, namespace: "it".into(), name: name.into() }
    }

    fn resource(name: &str) -> ObjectKey {
        ObjectKey { namespace: "it".into(), name: name.into() }
    }

    #[test]
    fn references_are_those_of_the_last_reconcile() {
        let references = References::default();
        references.note(&resource("harbour"), [secret("a"), secret("b")].into());
        references.note(&resource("quay"), [secret("b")].into());
        assert_eq!(references.to(&secret("b")), [resource("harbour"), resource("quay")]);

        references.note(&resource("harbour"), [secret("a")].into());
        assert_eq!(references.to(&secret("a")), [resource("harbour")]);
        assert_eq!(references.to(&secret("b")), [resource("quay")]);

        references.forget(&resource("quay"));
        assert_eq!(references.to(&secret("b")), []);
        assert_eq!(references.tables().to.len(), 1);
    }
}

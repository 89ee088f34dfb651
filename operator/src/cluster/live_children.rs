//! The live objects that have the children's names. Each is read at most once per reconcile: decisions about
//! certificates, the workload and writes all see the same object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DynamicObject, ObjectMeta};
use serde::de::DeserializeOwned;

use crate::children::SecretData;
use crate::children::child::Kind;
use crate::children::meta::Owner;
use crate::cluster::Cluster;
use crate::error::Error;

/// Object that has the name of a child.
#[derive(Clone, Debug)]
pub enum Existing {
    /// There is no object of this name.
    Nothing,
    /// An object that the resource does not control.
    Foreign,
    /// An object that was made for a resource of the same name, and that nothing controls any more.
    Orphan,
    /// The object is the resource's child.
    Ours(Arc<DynamicObject>),
}

impl Existing {
    /// Returns the object if it is the resource's child.
    pub fn ours(&self) -> Option<&DynamicObject> {
        match self {
            Self::Ours(child) => Some(child),
            Self::Nothing | Self::Foreign | Self::Orphan => None,
        }
    }
}

/// Live objects of one resource's children, as read in one reconcile.
pub struct LiveChildren<'a> {
    /// Cluster that they are read from.
    pub cluster: &'a Cluster,
    /// Resource that the children belong to.
    pub owner: &'a Owner,
    /// True if orphans are taken for children.
    adopts: bool,
    read: Mutex<HashMap<(Kind, String), Existing>>,
}

impl<'a> LiveChildren<'a> {
    /// Returns the live children at the start of a reconcile, of which none is read.
    pub fn new(cluster: &'a Cluster, owner: &'a Owner) -> Self {
        Self { cluster, owner, adopts: false, read: Mutex::default() }
    }

    /// Sets whether orphans are taken for children.
    pub fn adopting(self, adopts: bool) -> Self {
        Self { adopts, ..self }
    }

    /// Makes of an error that will not pass something to tell: the rest of the reconcile goes on.
    ///
    /// # Errors
    /// The error, if it may pass: the reconcile is tried again.
    pub fn told<T>(&self, outcome: Result<T, Error>) -> Result<Result<T, String>, Error> {
        let resource = self.owner.key();
        match outcome {
            Ok(done) => Ok(Ok(done)),
            Err(error) => match error.told(self.cluster.backoff.is_over(&resource)) {
                Some(why) => {
                    self.cluster.backoff.work_around(&resource);
                    Ok(Err(why))
                }
                None => Err(error),
            },
        }
    }

    /// Returns the object of this name, as it was when this reconcile first read it.
    pub async fn under(&self, kind: Kind, name: &str) -> Result<Existing, Error> {
        let key = (kind, name.to_owned());
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let stands = self.look(kind, name).await?;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(key, stands.clone());
        Ok(stands)
    }

    /// Reads an object. Of a Secret that was not seen to be the operator's, the metadata first: the content of
    /// another's Secret is never read.
    async fn look(&self, kind: Kind, name: &str) -> Result<Existing, Error> {
        let Self { cluster, owner, .. } = self;
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client.clone(), &owner.namespace, &kind.resource());
        let doing = || self.doing(kind, name);
        if kind == Kind::Secret && !cluster.watched.has(owner, Kind::Secret, name) {
            match api.get_metadata_opt(name).await.map_err(Error::api(doing()))? {
                None => return Ok(Existing::Nothing),
                Some(found) => {
                    if let Some(not_ours) = self.not_ours(&found.metadata) {
                        return Ok(not_ours);
                    }
                }
            }
        }
        Ok(match api.get_opt(name).await.map_err(Error::api(doing()))? {
            None => Existing::Nothing,
            Some(found) => self.not_ours(&found.metadata).unwrap_or_else(|| Existing::Ours(Arc::new(found))),
        })
    }

    /// Returns the kind of an object that is no child; absent for a child, and for an orphan that is adopted.
    fn not_ours(&self, found: &ObjectMeta) -> Option<Existing> {
        match (self.owner.controls(found), self.owner.may_adopt(found)) {
            (true, _) => None,
            (false, true) => (!self.adopts).then_some(Existing::Orphan),
            (false, false) => Some(Existing::Foreign),
        }
    }

    /// Returns the content of a Secret that is the resource's own.
    pub async fn secret(&self, name: &str) -> Result<Option<SecretData>, Error> {
        let secret: Option<Secret> = self.typed(Kind::Secret, name).await?;
        let data = secret.map(|secret| secret.data.unwrap_or_default());
        Ok(data.map(|data| data.into_iter().map(|(key, ByteString(value))| (key, value)).collect()))
    }

    /// Returns a ConfigMap that is the resource's own.
    pub async fn config_map(&self, name: &str) -> Result<Option<ConfigMap>, Error> {
        self.typed(Kind::ConfigMap, name).await
    }

    /// Returns a child as its type has it.
    pub async fn typed<K: DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<Option<K>, Error> {
        let stands = self.under(kind, name).await?;
        let typed =
            stands.ours().map(|child| serde_json::from_value(serde_json::to_value(child)?)).transpose();
        typed.map_err(|error| Error::api(self.doing(kind, name))(kube::Error::SerdeError(error)))
    }

    fn doing(&self, kind: Kind, name: &str) -> String {
        format!("read {} {}/{name}", kind.gvk().kind, self.owner.namespace)
    }
}

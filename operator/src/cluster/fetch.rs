//! Reading what a resource refers to, the same for both kinds. Of users' Secrets nothing is read but whether
//! they are there.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::cluster::secret_changes::Version;
use crate::error::Error;

/// Looks at the named Secrets, without reading their contents; returns those that are not there, and the version of
/// each.
pub async fn look_at_secrets(
    client: &Client,
    namespace: &str,
    names: &BTreeSet<String>,
) -> Result<(BTreeSet<String>, Vec<Version>), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let look = async |name: &String| {
        let found =
            api.get_metadata_opt(name).await.map_err(Error::api(format!("look for Secret {name}")))?;
        let version = Version::of(name, found.as_ref().map(|found| &found.metadata));
        Ok::<_, Error>((found.is_none().then(|| name.clone()), version))
    };
    // Of several refusals always the same is told.
    let looked: Vec<_> = join_all(names.iter().map(look)).await.into_iter().collect::<Result<_, _>>()?;
    let (missing, versions): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
    Ok((missing.into_iter().flatten().collect(), versions))
}

/// Reads an object of this or another namespace; absent where it does not exist.
pub async fn read<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(Error::api(format!("read {} {namespace}/{name}", K::kind(&()))))
}

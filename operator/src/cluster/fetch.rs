//! Reading what a resource refers to, the same for both kinds. Of users' Secrets only the metadata are read: whether they
//! are there, and the names of their keys.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::secret_changes::Version;
use crate::error::Error;

/// A user's Secret, as its metadata show it.
#[derive(Clone, Debug)]
pub struct SecretMeta {
    /// Name of the Secret.
    pub name: String,
    /// True if there is such a Secret.
    pub exists: bool,
    /// Keys of its content; absent where its metadata do not name them.
    pub keys: Option<BTreeSet<String>>,
    /// Version, which tells this state of it from others.
    pub version: Version,
}

/// Looks at the named Secrets, without reading their contents.
pub async fn look_at_secrets(
    client: &Client,
    namespace: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<SecretMeta>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let look = async |name: &String| {
        let found =
            api.get_metadata_opt(name).await.map_err(Error::api(format!("look for Secret {name}")))?;
        let metadata = found.as_ref().map(|found| &found.metadata);
        Ok::<_, Error>(SecretMeta {
            name: name.clone(),
            exists: metadata.is_some(),
            keys: metadata.and_then(keys),
            version: Version::of(name, metadata),
        })
    };
    // Of several refusals always the same is told.
    join_all(names.iter().map(look)).await.into_iter().collect()
}

/// Returns the keys of a Secret's content. The API server records in the metadata who wrote which field, and so the
/// names of all keys; absent where that record was taken away, as some tools do. Keys that were applied as `stringData`
/// are recorded as such, and stay recorded after they were removed.
fn keys(found: &ObjectMeta) -> Option<BTreeSet<String>> {
    let writers = found.managed_fields.as_ref().filter(|writers| !writers.is_empty())?;
    let fields = writers.iter().filter_map(|writer| writer.fields_v1.as_ref());
    let data = fields.flat_map(|FieldsV1(fields)| ["f:data", "f:stringData"].map(|part| &fields[part]));
    let names = data.filter_map(Value::as_object).flat_map(|data| data.keys());
    Some(names.filter_map(|name| name.strip_prefix("f:")).map(str::to_owned).collect())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys_of(writers: &Value) -> Option<Vec<String>> {
        let metadata = serde_json::from_value(json!({ "managedFields": writers })).unwrap();
        keys(&metadata).map(|keys| keys.into_iter().collect())
    }

    #[test]
    fn keys_of_a_secret_are_those_that_any_writer_has_written() {
        let writers = json!([
            { "manager": "kubectl", "fieldsV1": { "f:data": { ".": {}, "f:tls.crt": {} }, "f:type": {} } },
            { "manager": "argocd", "fieldsV1": { "f:data": { "f:tls.key": {} } } },
            { "manager": "labeller", "fieldsV1": { "f:metadata": { "f:labels": { "f:tide": {} } } } },
        ]);
        assert_eq!(keys_of(&writers), Some(vec!["tls.crt".to_owned(), "tls.key".to_owned()]));
    }

    #[test]
    fn keys_of_a_secret_are_unknown_where_no_writer_is_recorded() {
        assert_eq!(keys_of(&json!([])), None);
        assert_eq!(keys_of(&Value::Null), None);
        let empty = json!([{ "manager": "kubectl", "fieldsV1": { "f:type": {} } }]);
        assert_eq!(keys_of(&empty), Some(Vec::new()));
    }
}

//! The roll-out of a changed configuration: requests a sync of the files of pods that lag behind.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use serde_json::json;

use crate::apply::patch::{merge_params, merge_patch};
use crate::children::child::Kind;
use crate::children::meta::Owner;
use crate::cluster::Cluster;
use crate::cluster::creation_failure::creation_failure;
use crate::cluster::live_children::LiveChildren;
use crate::cluster::pods::{Report, SYNC_ANNOTATION};
use crate::cluster::secret_changes::Version;
use crate::error::Error;

/// The pods after a roll-out.
pub struct RolledOut {
    /// Pods, as they answered before it, with the syncs that it requested.
    pub pods: Vec<Report>,
    /// Reason that pods are missing, in the words of what refuses them.
    pub creation_failure: Option<String>,
}

/// Makes pods that lag behind look at their files, and looks why there are fewer than `replicas`; `workload` is the kind
/// of what creates them. IO: writes, then reads.
pub async fn roll_out(
    live: &LiveChildren<'_>,
    pods: Vec<Report>,
    hash: &str,
    are_files_there: bool,
    workload: Kind,
    replicas: usize,
    now: Timestamp,
) -> Result<RolledOut, Error> {
    let pods = sync(live.cluster, live.owner, pods, hash, are_files_there, now).await?;
    let creation_failure = creation_failure(live, workload, replicas, pods.len(), now).await?;
    Ok(RolledOut { pods, creation_failure })
}

/// Requests a sync of the pods that run another configuration than `hash`, or wait for files although
/// `are_files_there`, as long as that may help; and of all whose Secrets have just changed.
async fn sync(
    cluster: &Cluster,
    owner: &Owner,
    mut pods: Vec<Report>,
    hash: &str,
    are_files_there: bool,
    now: Timestamp,
) -> Result<Vec<Report>, Error> {
    let key = owner.key();
    cluster.secret_changes.note(&key, own_secrets(cluster, owner), now);
    let secrets_changed = cluster.secret_changes.recent(&key, now);
    for pod in &mut pods {
        if let Some(news) = pod.news(hash, are_files_there, secrets_changed, now) {
            request_sync(&cluster.client, &owner.namespace, pod, &news, now).await?;
            pod.is_sync_requested = true;
        }
    }
    Ok(pods)
}

/// Returns the Secrets that the operator itself makes for a resource: its certificates and peers, among others.
fn own_secrets(cluster: &Cluster, owner: &Owner) -> Vec<Version> {
    let children = cluster.watched.children_of(owner).into_iter();
    let secrets = children.filter(|(kind, _)| *kind == Kind::Secret);
    secrets.map(|(_, secret)| Version::of_own(&secret.name, secret.version())).collect()
}

/// Changes the pod's annotation, so that its kubelet updates its files at once.
async fn request_sync(
    client: &Client,
    namespace: &str,
    pod: &Report,
    news: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let since = pod.sync_requested_since(news).unwrap_or(now);
    let value = format!("{news} since {since} at {now}");
    let seen = ObjectMeta { uid: Some(pod.uid.clone()), ..ObjectMeta::default() };
    let patch = merge_patch(&seen, json!({ "metadata": { "annotations": { SYNC_ANNOTATION: value } } }));
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match api.patch(&pod.name, &merge_params(), &patch).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()), // gone, or another
        Err(error) => Err(Error::api(format!("request a sync of pod {}", pod.name))(error)),
    }
}

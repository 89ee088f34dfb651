//! Kinds of children that the cluster knows: some belong to projects that are not everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use tracing::{info, warn};

use crate::children::child::Kind;

/// Time between two looks.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// Returns the kinds that the cluster knows now.
pub async fn discover(client: &Client) -> kube::Result<BTreeSet<Kind>> {
    let mut known = BTreeSet::new();
    for kind in Kind::ALL {
        if !kind.is_optional() || is_served(client, kind).await? {
            known.insert(kind);
        }
    }
    Ok(known)
}

/// Returns once the cluster knows others than these.
pub async fn changed(client: &Client, known: &BTreeSet<Kind>) {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        match discover(client).await {
            Ok(now) if now == *known => {}
            Ok(now) => return info!(?now, "the cluster has other kinds than before"),
            Err(error) => warn!(%error, "cannot read which kinds the cluster has"),
        }
    }
}

async fn is_served(client: &Client, kind: Kind) -> kube::Result<bool> {
    let (gvk, plural) = (kind.gvk(), kind.resource().plural);
    match client.list_api_group_resources(&gvk.api_version()).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

//! Claims: of several operator installations the one that its status names manages a resource. An installation is named
//! by the Lease by which its operators elect their leader, so a claim needs no renewal of its own. It ends when that
//! Lease is gone, or has not been renewed for `ABANDONED`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::json;
use tracing::warn;

use crate::apply::patch::{merge_params, merge_patch};
use crate::children::meta::{ObjectKey, Owner};
use crate::error::Error;
use crate::process::installation::Installation;

/// Time without a renewal of its Lease after which an installation counts as gone. An upgrade, or a node that is lost,
/// takes less.
const ABANDONED: SignedDuration = SignedDuration::from_mins(15);

/// Manager of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// This installation manages the resource. Holds the resource if it was read or written, because the watch may be
    /// late.
    Ours(Option<Box<DynamicObject>>),
    /// Another writer changed the resource at the same time. The next reconcile decides.
    Unclear,
    /// The resource is gone, or another one has its name.
    Gone,
    /// This other installation manages the resource. Nothing is written.
    Others(String),
}

/// Reads which installation manages a resource; `seen` is the one that the watch names. Claims it if none does, or if
/// that one is gone.
pub async fn claim(
    client: &Client,
    installation: &Installation,
    owner: &Owner,
    seen: Option<&str>,
    now: Timestamp,
) -> Result<Claim, Error> {
    let ours = installation.to_string();
    if seen == Some(&ours) {
        return Ok(Claim::Ours(None));
    }
    let resource = owner.role.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &owner.namespace, &resource);
    let doing = || format!("read {} {}", owner.role.kind(), owner.name);
    let found = api.get_opt(&owner.name).await.map_err(Error::api(doing()))?;
    let Some(found) = found.filter(|found| found.metadata.uid.as_ref() == Some(&owner.uid)) else {
        return Ok(Claim::Gone);
    };
    match found.data["status"]["operator"].as_str() {
        Some(holder) if holder == ours => Ok(Claim::Ours(Some(Box::new(found)))),
        Some(holder) if !is_gone(client, holder, now).await? => Ok(Claim::Others(holder.to_owned())),
        _ => ask(&api, owner, &found, &ours).await,
    }
}

/// Writes the claim, if the resource is as it was read: of several installations that try, one succeeds.
async fn ask(
    api: &Api<DynamicObject>,
    owner: &Owner,
    found: &DynamicObject,
    ours: &str,
) -> Result<Claim, Error> {
    let patch = merge_patch(&found.metadata, json!({ "status": { "operator": ours } }));
    match api.patch_status(&owner.name, &merge_params(), &patch).await {
        Ok(written) => {
            if written.data["status"]["operator"] != ours {
                warn!(
                    name = owner.name,
                    "the installed definitions know no status.operator: nothing is claimed"
                );
            }
            Ok(Claim::Ours(Some(Box::new(written))))
        }
        Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(Claim::Unclear),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(Claim::Gone),
        Err(error) => Err(Error::api(format!("claim {} {}", owner.role.kind(), owner.name))(error)),
    }
}

/// Returns whether an installation is gone. Where its Lease may not be read, it counts as present.
async fn is_gone(client: &Client, holder: &str, now: Timestamp) -> Result<bool, Error> {
    let Some(holder) = Installation::parse(holder) else { return Ok(true) };
    let leases: Api<Lease> = Api::namespaced(client.clone(), &holder.namespace);
    match leases.get_opt(&holder.lease).await {
        Ok(found) => Ok(is_abandoned(found.and_then(|lease| lease.spec).as_ref(), now)),
        Err(kube::Error::Api(answer)) if answer.code == 403 => Ok(false),
        Err(error) => Err(Error::api(format!("read Lease {holder}"))(error)),
    }
}

/// Returns whether a Lease has not been renewed for so long that its operators are gone. A Lease without a holder is
/// between two leaders.
fn is_abandoned(lease: Option<&LeaseSpec>, now: Timestamp) -> bool {
    let renewed = lease.and_then(|lease| lease.renew_time.as_ref());
    renewed.is_none_or(|renewed| now.duration_since(renewed.0) > ABANDONED)
}

/// Resources of which it was reported that another installation manages them.
#[derive(Debug, Default)]
pub struct OthersClaims(Mutex<HashMap<ObjectKey, String>>);

impl OthersClaims {
    /// Records the manager of a resource. Returns whether it is another one than before.
    pub fn note(&self, resource: &ObjectKey, holder: &str) -> bool {
        self.all().insert(resource.clone(), holder.to_owned()).is_none_or(|before| before != holder)
    }

    /// Records that this installation manages a resource, or that the resource is gone.
    pub fn forget(&self, resource: &ObjectKey) {
        self.all().remove(resource);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ObjectKey, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what is told of a resource that another installation manages.
pub fn told(owner: &Owner, holder: &str, ours: &Installation) -> String {
    let kind = owner.role.kind().to_lowercase();
    format!(
        "operator {ours} leaves this resource alone: operator {holder} manages it, as status.operator says. If that one is \
         gone, this one takes over 15 minutes after the last renewal of its Lease, if it may read that, and at once \
         after: kubectl patch {kind} {} --namespace {} --subresource status --type merge --patch \
         '{{\"status\":{{\"operator\":null}}}}'",
        owner.name, owner.namespace,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(seconds_ago: i64, holder: Option<&str>) -> LeaseSpec {
        let at = now() - SignedDuration::from_secs(seconds_ago);
        serde_json::from_value(json!({ "renewTime": format!("{at:.6}"), "holderIdentity": holder })).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn lease_is_abandoned_a_quarter_of_an_hour_after_its_last_renewal() {
        let is_abandoned = |lease: LeaseSpec| is_abandoned(Some(&lease), now());
        assert!(!is_abandoned(renewed(1, Some("a"))));
        assert!(!is_abandoned(renewed(20, None)), "given back: the next leader is on its way");
        assert!(!is_abandoned(renewed(900, Some("a"))));
        assert!(is_abandoned(renewed(901, Some("a"))));
        assert!(is_abandoned(LeaseSpec::default()));
        assert!(super::is_abandoned(None, now()));
    }

    #[test]
    fn other_installation_is_told_of_once() {
        let harbour = ObjectKey { namespace: "ships".into(), name: "harbour".into() };
        let claims = OthersClaims::default();
        assert!(claims.note(&harbour, "a/b"));
        assert!(!claims.note(&harbour, "a/b"));
        assert!(claims.note(&harbour, "c/b"));
        claims.forget(&harbour);
        assert!(claims.note(&harbour, "c/b"));
    }
}

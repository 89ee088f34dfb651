//! When the Secrets that pods mount were last seen to change. A kubelet brings a changed Secret to its pods within some
//! ninety seconds by itself. A revoked token must be dead sooner, so for a few seconds after a change the pods are made
//! to sync. Nothing but versions and times is known here, never a content.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::api::ObjectMeta;

use crate::children::meta::ObjectKey;

/// Time after a change for which pods are made to sync. A kubelet may hear of the Secret a little later than of its
/// pod.
const SYNCING: SignedDuration = SignedDuration::from_secs(8);

/// Version of a Secret at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Name of the Secret.
    name: String,
    /// Uid and version, which tell this state of it from any other; empty where there is none.
    seen: String,
    /// Time of its last write, by the API server's clock, as far as its metadata say.
    written: Option<Timestamp>,
}

impl Version {
    /// Returns the version of a user's Secret that is there, or is not.
    pub fn of(name: &str, found: Option<&ObjectMeta>) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let version = found.map(|found| format!("{}/{}", text(&found.uid), text(&found.resource_version)));
        let times = found.into_iter().flat_map(|found| {
            let managed = found.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
            managed.chain(&found.creation_timestamp).map(|time| time.0)
        });
        Self { name: name.to_owned(), seen: version.unwrap_or_default(), written: times.max() }
    }

    /// Returns the version of a Secret of the operator's own. When it was written is not known.
    pub fn of_own(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), seen: version.to_owned(), written: None }
    }
}

/// The Secrets of all resources of one kind.
#[derive(Debug, Default)]
pub struct SecretChanges(Mutex<HashMap<ObjectKey, Known>>);

/// The Secrets of one resource.
#[derive(Debug, Default)]
struct Known {
    /// Versions, by the name of the Secret.
    versions: HashMap<String, String>,
    /// Time at which one was last seen to change.
    changed: Option<Timestamp>,
}

impl SecretChanges {
    /// Records the present versions of a resource's Secrets. One that is seen for the first time, as all are after the
    /// operator's start, has changed if it was written just before.
    pub fn note(&self, resource: &ObjectKey, versions: Vec<Version>, now: Timestamp) {
        let mut all = self.all();
        let known = all.entry(resource.clone()).or_default();
        for Version { name, seen, written } in versions {
            let changed = match known.versions.insert(name, seen.clone()) {
                Some(before) => (before != seen).then_some(now),
                None => written.filter(|at| is_recent(*at, now)),
            };
            known.changed = known.changed.max(changed);
        }
    }

    /// Returns when a resource's Secrets last changed, if that was so short ago that its pods have to be made to sync.
    pub fn recent(&self, resource: &ObjectKey, now: Timestamp) -> Option<Timestamp> {
        self.all().get(resource)?.changed.filter(|at| is_recent(*at, now))
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, resource: &ObjectKey) {
        self.all().remove(resource);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ObjectKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a time is at most [`SYNCING`] ago. The API server's clock may be ahead of ours by as much.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() <= SYNCING
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn secret(version: &str, written: i64) -> Version {
        let fields = [json!({ "time": at(written - 50) }), json!({ "time": at(written) })];
        let found = json!({
            "uid": "u-1", "resourceVersion": version, "creationTimestamp": at(-1000), "managedFields": fields,
        });
        Version::of("door", Some(&serde_json::from_value(found).unwrap()))
    }

    #[test]
    fn change_of_a_secret_is_recent_for_some_seconds_and_no_longer() {
        let harbour = ObjectKey { namespace: "ships".into(), name: "harbour".into() };
        let changes = SecretChanges::default();
        let note = |seen: Version, now: i64| {
            changes.note(&harbour, vec![seen], at(now));
            changes.recent(&harbour, at(now))
        };
        assert_eq!(note(secret("7", -100), 0), None, "it was so before the operator began");
        assert_eq!(note(secret("7", -100), 60), None);
        assert_eq!(note(secret("8", 61), 61), Some(at(61)));
        assert_eq!(note(secret("8", 61), 69), Some(at(61)));
        assert_eq!(note(secret("8", 61), 70), None);
        assert_eq!(note(Version::of("door", None), 80), Some(at(80)), "it is gone");
        assert_eq!(note(Version::of("door", None), 90), None);
        assert_eq!(note(secret("9", 95), 95), Some(at(95)), "it is back");

        let other = ObjectKey { namespace: "ships".into(), name: "quay".into() };
        assert_eq!(changes.recent(&other, at(95)), None);
        changes.forget(&harbour);
        assert_eq!(changes.recent(&harbour, at(95)), None);
    }

    #[test]
    fn secret_that_was_written_just_before_the_operator_began_has_changed() {
        let harbour = ObjectKey { namespace: "ships".into(), name: "harbour".into() };
        let changes = SecretChanges::default();
        changes.note(&harbour, vec![secret("7", -3), Version::of_own("harbour-relay-tls", "8")], at(0));
        assert_eq!(changes.recent(&harbour, at(0)), Some(at(-3)));
        // Of its own Secrets nobody knows when they were written.
        changes.note(&harbour, vec![Version::of_own("harbour-relay-tls", "9")], at(30));
        assert_eq!(changes.recent(&harbour, at(30)), Some(at(30)));
    }
}

//! The life of two relays and of the Collector that they refer to, from creation to deletion: the same story for every
//! trouble that the operator meets on the way.

use std::time::Duration;

use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use visnyk_cluster_harness::DEADLINE;
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::Line;
use crate::snapshot::{Part, Snapshot, delete_claims_until_nothing_is_left, snapshot, wait_for};
use crate::world::{World, bind_claims, growing_class};

/// Time in which a busy operator would have written something, on a busy machine too.
const QUIET: Duration = Duration::from_secs(3);

/// One after the other.
pub const PHASES: [Phase; 4] = [Phase::Creation, Phase::Change, Phase::Growth, Phase::Deletion];

#[derive(Clone, Copy, Debug)]
pub enum Phase {
    Creation,
    Change,
    Growth,
    Deletion,
}

/// A life: `harbour` and the Collector have volumes, which go with it and stay after it; `skiff` has none.
pub struct Life<'a> {
    pub world: &'a mut World,
    classes: Api<StorageClass>,
}

impl<'a> Life<'a> {
    pub async fn new(world: &'a mut World) -> Self {
        let classes = growing_class(world).await;
        Self { world, classes }
    }

    /// Lets a phase begin.
    pub async fn begin(&self, phase: Phase) {
        let world = &self.world;
        match phase {
            Phase::Creation => {
                let mut spool = self.volumes("64Mi");
                spool["onDelete"] = "Discard".into();
                let spec = json!({
                    "spool": spool, "ingress": { "hosts": ["harbour.example.org"] },
                    "listener": { "tls": { "selfSigned": {} } }, "destinations": destinations(),
                });
                world.create_relay("harbour", &spec).await;
                let spec = json!({ "spool": { "ephemeral": {} }, "destinations": destinations() });
                world.create_relay("skiff", &spec).await;
                world.create_collector("logbook", &json!({ "storage": self.volumes("64Mi") })).await;
            }
            Phase::Change => {
                let tls = json!({ "selfSigned": { "dnsNames": ["harbour.example.org"] } });
                let harbour = json!({ "spec": {
                    "replicas": 2, "ingress": null, "autoscaling": { "maxReplicas": 3 },
                    "listener": { "port": 9443, "tls": tls },
                } });
                world.change::<WebhookRelay>("harbour", &harbour).await;
                let elsewhere = json!([{ "name": "pilot", "url": "https://pilot.example.org/hook" }]);
                let skiff =
                    json!({ "spec": { "pod": { "labels": { "team": "net" } }, "destinations": elsewhere } });
                world.change::<WebhookRelay>("skiff", &skiff).await;
                let logbook = json!({ "spec": { "service": { "port": 8443 } } });
                world.change::<Collector>("logbook", &logbook).await;
            }
            Phase::Growth => {
                bind_claims(world).await;
                let harbour = json!({ "spec": { "spool": self.volumes("128Mi") } });
                world.change::<WebhookRelay>("harbour", &harbour).await;
                let logbook = json!({ "spec": { "storage": self.volumes("128Mi") } });
                world.change::<Collector>("logbook", &logbook).await;
            }
            Phase::Deletion => {
                for relay in ["harbour", "skiff"] {
                    world.api::<WebhookRelay>().delete(relay, &DeleteParams::default()).await.unwrap();
                }
                world.api::<Collector>().delete("logbook", &DeleteParams::default()).await.unwrap();
            }
        }
    }

    fn volumes(&self, size: &str) -> Value {
        json!({ "persistent": { "size": size, "storageClassName": self.world.namespace } })
    }

    /// Lives without a fault, and leaves nothing behind. Returns how many writes each phase took, and what it came to.
    pub async fn calm(&mut self) -> Vec<(usize, Snapshot)> {
        let mut phases = Vec::new();
        for phase in PHASES {
            let line = Line::sound();
            self.world.start_on(&line).await;
            self.begin(phase).await;
            let end = self.settled(&line).await;
            self.world.stop().await;
            phases.push((line.writes(), end));
        }
        delete_claims_until_nothing_is_left(self.world).await;
        phases
    }

    /// Returns the objects once nothing has been written for a while, and the cluster has collected those without an
    /// owner: it may need half a minute to hear of kinds that are new to it.
    async fn settled(&self, line: &Line) -> Snapshot {
        let now = async || (line.writes(), snapshot(self.world, Part::All).await);
        let mut before = now().await;
        loop {
            tokio::time::sleep(QUIET).await;
            let after = now().await;
            if before == after && !after.1.values().any(is_garbage) {
                return after.1;
            }
            before = after;
        }
    }

    /// Waits until there is just this.
    pub async fn comes_to(&self, end: &Snapshot, when: &str) {
        wait_for(self.world, Part::All, end, DEADLINE, when).await;
    }

    /// Leaves the cluster as it was.
    pub async fn end(self) {
        delete_claims_until_nothing_is_left(self.world).await;
        self.classes.delete(&self.world.namespace, &DeleteParams::default()).await.unwrap();
    }
}

/// Returns whether an owner is gone: a snapshot has names for those that are there.
fn is_garbage(object: &Value) -> bool {
    let mut owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.any(|owner| !owner["uid"].as_str().unwrap().starts_with("[uid of "))
}

fn destinations() -> Value {
    json!([{ "name": "quay", "collectorRef": { "name": "logbook" } }])
}

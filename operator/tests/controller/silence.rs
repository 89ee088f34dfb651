//! Nothing is written when nothing changed.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use visnyk_cluster_harness::{AuditEvent, AuditLog};
use visnyk_crds::{Collector, WebhookRelay};

use crate::world::{World, in_world};

/// What the controllers wrote: the cluster's own controllers have other names.
fn written(log: &AuditLog, world: &World) -> Vec<String> {
    let ours = |event: &AuditEvent| event.user.username == "admin";
    let writes = log.writes_in(&world.namespace).unwrap();
    let told = |event: &AuditEvent| {
        let object = event.object_ref.clone().unwrap_or_default();
        format!("{} {}/{} {}: {}", event.verb, object.resource, object.subresource, object.name, event.code())
    };
    writes.iter().filter(|event| ours(event)).map(told).collect()
}

async fn settled(world: &World) {
    world.wait_for_condition::<WebhookRelay>("harbour", "Available", "False", "NoPodReady").await;
    world.wait_for_condition::<Collector>("logbook", "Available", "False", "NoPodReady").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes_nor_after_a_restart() {
    in_world(async |mut world| {
        world.start().await;
        let resources = json!({ "requests": { "cpu": "0.5", "memory": "1024Mi" } });
        let spec = json!({
            "pod": { "resources": resources, "tolerations": [{ "key": "spot", "operator": "Exists" }] },
            "autoscaling": { "maxReplicas": 3 }, "ingress": { "hosts": ["harbour.example.org"] },
            "listener": { "tls": { "selfSigned": {} } },
            "destinations": [{ "name": "quay", "collectorRef": { "name": "logbook" } }],
        });
        world.create_relay("harbour", &spec).await;
        world.create_collector("logbook", &json!({})).await;
        settled(&world).await;

        let log = AuditLog::from_now().unwrap();
        // A visit for each, without a change of anything.
        let touch = json!({ "metadata": { "annotations": { "example.org/note": "look" } } });
        let patch = Patch::Merge(&touch);
        world.api::<WebhookRelay>().patch("harbour", &PatchParams::default(), &patch).await.unwrap();
        world.api::<Collector>().patch("logbook", &PatchParams::default(), &patch).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let touches = ["patch webhookrelays/ harbour: 200", "patch collectors/ logbook: 200"];
        assert_eq!(written(&log, &world), touches);

        world.stop().await;
        let log = AuditLog::from_now().unwrap();
        world.start().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(written(&log, &world), Vec::<String>::new());
    })
    .await;
}

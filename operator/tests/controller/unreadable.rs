//! Tests of resources that the API server takes and the operator cannot read: a schema does not know all that a type
//! does.

use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::json;
use visnyk_cluster_harness::{eventually, wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::Line;
use crate::world::{collector, in_world};

/// More than anybody counts in.
const REPLICAS: i64 = 1 << 40;

/// Writes a status to a Collector with which it cannot be read.
async fn spoil(collectors: &Api<DynamicObject>, name: &str) {
    let status = json!({ "status": { "replicas": REPLICAS } });
    collectors.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

fn raw(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Collector>(&()))
}

#[tokio::test]
async fn collector_that_cannot_be_read_holds_up_no_relay() {
    in_world(async |mut world| {
        with_temp_ns(async move |client, elsewhere: String| {
            world.install_kinds().await;
            let collectors: Api<Collector> = Api::namespaced(client.clone(), &elsewhere);
            let logbook = serde_json::from_value(collector("logbook", &json!({}))).unwrap();
            collectors.create(&PostParams::default(), &logbook).await.unwrap();
            spoil(&raw(&client, &elsewhere), "logbook").await;
            // They do not look after the Collector, which thus stays as it is.
            world.start_on(&Line::sound()).await;
            let logbook = json!({ "name": "logbook", "namespace": elsewhere });
            let spec = json!({ "destinations": [{ "name": "quay", "collectorRef": logbook }] });
            world.create_relay("harbour", &spec).await;
            let said = world
                .wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "CollectorUnusable")
                .await;
            let programmed =
                said.conditions.iter().find(|condition| condition.type_ == "Programmed").unwrap();
            let why = format!("Collector {elsewhere}/logbook cannot be read; its own conditions say why");
            assert_eq!(programmed.message, why);
            assert_eq!(world.children().await.len(), 8);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn unreadable_status_is_reported_and_written_anew_unless_paused() {
    in_world(async |mut world| {
        world.start().await;
        let collectors = raw(&world.client, &world.namespace);
        let mut idle = collector("idle", &json!({}));
        idle["metadata"]["annotations"] = json!({ "visnyk.dev/paused": "true" });
        let idle = serde_json::from_value(idle).unwrap();
        world.api::<Collector>().create(&PostParams::default(), &idle).await.unwrap();
        world.create_collector("logbook", &json!({})).await;
        let before = world.wait_for_condition::<Collector>("logbook", "Accepted", "True", "Valid").await;

        wait_until(&world.api::<Collector>(), "idle", |idle| {
            idle.and_then(|idle| idle.status.as_ref()).is_some_and(|said| !said.conditions.is_empty())
        })
        .await;
        for name in ["idle", "logbook"] {
            spoil(&collectors, name).await;
        }
        let spoilt = collectors.get("idle").await.unwrap().data["status"].clone();
        let read = async || world.api::<Collector>().get("logbook").await;
        eventually("it can be read", read, Result::is_ok).await.unwrap();
        let after = world.wait_for_condition::<Collector>("logbook", "Accepted", "True", "Valid").await;
        let about = |status: &visnyk_crds::api::Status| {
            status.conditions.iter().map(|condition| condition.type_.clone()).collect::<Vec<_>>()
        };
        assert_eq!((about(&after), after.url, after.selector), (about(&before), before.url, before.selector));
        let idle = collectors.get("idle").await.unwrap();
        assert_eq!((&idle.data["status"], &idle.data["status"]["replicas"]), (&spoilt, &json!(REPLICAS)));

        let told = async || {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
            let warnings = events.into_iter().filter(|event| event.reason.as_deref() == Some("Unreadable"));
            warnings.map(|event| event.regarding.and_then(|object| object.name)).collect::<Vec<_>>()
        };
        eventually("that is told", told, |told| *told == [Some("logbook".to_owned())]).await;
    })
    .await;
}

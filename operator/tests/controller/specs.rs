//! Tests of specs, valid or not.

use std::time::Duration;

use http::{Method, StatusCode};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, ObjectList, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Resource};
use serde_json::json;
use tokio::time::Instant;
use visnyk_cluster_harness::{DEADLINE, eventually, wait_until};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::{Fate, Line, is_read};
use crate::snapshot::{Part, snapshot, wait_for};
use crate::world::{in_world, message};

/// Returns a spec that no schema and no rule can refuse: only the code that the pods run knows it.
fn invalid() -> serde_json::Value {
    json!({ "spec": { "destinations": [{ "name": "pilot", "url": "https://pilot.example.org:99999/" }] } })
}

#[tokio::test]
async fn invalid_spec_changes_no_config_map_and_the_last_good_one_lives_on() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let maps = world.api::<ConfigMap>();
        let good = maps.get("harbour-relay").await.unwrap();

        world.change::<WebhookRelay>("harbour", &invalid()).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;
        assert!(message(&said, "Accepted").starts_with("spec.destinations[0].url: "), "{said:?}");
        assert_eq!(maps.get("harbour-relay").await.unwrap(), good);

        // Deleted and scaled, it comes back as it was last good.
        let sets = world.api::<StatefulSet>();
        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 2 } })).await;
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(2));
        let old = wait_until(&sets, "harbour-relay", scaled).await.unwrap();
        sets.delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        wait_until(&sets, "harbour-relay", |set| {
            scaled(set) && set.is_some_and(|set| set.metadata.uid != old.metadata.uid)
        })
        .await;
        let manifest = maps.get("harbour-relay").await.unwrap().data.unwrap()["manifest.yaml"].clone();
        assert!(manifest.contains("url: https://pilot.example.org/hook"), "{manifest}");
    })
    .await;
}

/// The ConfigMap is the one place where the last valid spec is kept.
#[tokio::test]
async fn invalid_relay_that_loses_its_config_map_stays_until_valid() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let whole = world.children().await;
        world.change::<WebhookRelay>("harbour", &invalid()).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;

        world.api::<ConfigMap>().delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        world.wait_for_condition::<WebhookRelay>("harbour", "Durable", "Unknown", "NothingValid").await;
        let mut rest = whole.clone();
        rest.retain(|child| child != "ConfigMap harbour-relay");
        assert_eq!(world.children().await, rest);

        let url =
            json!({ "spec": { "destinations": [{ "name": "pilot", "url": "https://pilot.example.org/" }] } });
        world.change::<WebhookRelay>("harbour", &url).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(world.children().await, whole);
    })
    .await;
}

#[tokio::test]
async fn relay_that_was_never_valid_gets_no_children() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &invalid()["spec"]).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;
        assert_eq!((said.url, said.replicas), (None, Some(0)));
        assert_eq!(world.children().await, Vec::<String>::new());
        let url =
            json!({ "spec": { "destinations": [{ "name": "pilot", "url": "https://pilot.example.org/" }] } });
        world.change::<WebhookRelay>("harbour", &url).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(world.children().await.len(), 8);
    })
    .await;
}

#[tokio::test]
async fn paused_resource_is_left_alone_until_it_is_not() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let paused = |value: serde_json::Value| json!({ "metadata": { "annotations": { "visnyk.dev/paused": value } } });
        // Controllers that begin have seen the annotation before they see what is missing; to running ones the two
        // come by different watches, in any order.
        world.stop().await;
        world.change::<WebhookRelay>("harbour", &paused(json!("true"))).await;
        world.api::<Service>().delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        world.start().await;
        let is_paused = |relay: Option<&WebhookRelay>| {
            let said = relay.and_then(|relay| relay.status.as_ref());
            said.is_some_and(|said| said.conditions.iter().any(|one| one.type_ == "Paused" && one.status == "True"))
        };
        wait_until(&world.api::<WebhookRelay>(), "harbour", is_paused).await;
        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 2 } })).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(world.children().await.len(), 7);
        let set = world.api::<StatefulSet>().get("harbour-relay").await.unwrap();
        assert_eq!(set.spec.replicas, Some(1));

        world.change::<WebhookRelay>("harbour", &paused(json!("yes"))).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Paused", "False", "Ignored").await;
        let ignored = "the annotation visnyk.dev/paused is \"yes\" and not \"true\": it is ignored";
        assert_eq!(message(&said, "Paused"), ignored);
        let begun = Instant::now();
        while world.children().await.len() != 8 {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn replicas_are_set_by_the_scale_subresource() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let selector = "app.kubernetes.io/name=visnyk-relay,app.kubernetes.io/instance=harbour";
        assert_eq!(said.selector.as_deref(), Some(selector));
        let relays = world.api::<WebhookRelay>();
        let patch = json!({ "spec": { "replicas": 3 } });
        let scale =
            relays.patch_scale("harbour", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        assert_eq!(scale.status.unwrap().selector.as_deref(), Some(selector));
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(3));
        wait_until(&world.api::<StatefulSet>(), "harbour-relay", scaled).await;
    })
    .await;
}

/// Returns a spec part that no schema of ours looks into, and the API server refuses in a workload.
fn refused() -> serde_json::Value {
    json!({
        "listener": { "tls": { "selfSigned": {} } },
        "destinations": [{ "name": "pilot", "url": "https://other.example.org/hook" }],
        "pod": { "tolerations": [{ "key": "spot", "operator": "Sometimes" }] },
    })
}

#[tokio::test]
async fn spec_whose_pods_are_refused_leaves_the_last_good_one_running() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({ "listener": { "tls": { "selfSigned": {} } } })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let claims = world.api::<PersistentVolumeClaim>();
        wait_until(&claims, "data-harbour-relay-0", |claim| claim.is_some()).await;
        let good = snapshot(&world, Part::Children).await;

        world.change::<WebhookRelay>("harbour", &json!({ "spec": refused() })).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        assert!(message(&said, "Accepted").contains("tolerations[0].operator"), "{said:?}");
        let lost = [
            resource::<StatefulSet>("harbour-relay"),
            resource::<ConfigMap>("harbour-relay-ca"),
            resource::<Secret>("harbour-relay-tls"),
        ];
        for (resource, name) in lost {
            let api: Api<DynamicObject> =
                Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
            api.delete(name, &DeleteParams::default()).await.unwrap();
            wait_for(&world, Part::Children, &good, DEADLINE, &format!("{} deleted", resource.kind)).await;
        }

        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "pod": null } })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let manifest = world.api::<ConfigMap>().get("harbour-relay").await.unwrap().data.unwrap();
        assert!(manifest["manifest.yaml"].contains("url: https://other.example.org/hook"), "{manifest:?}");
    })
    .await;
}

#[tokio::test]
async fn resource_whose_pods_were_never_taken_gets_no_children() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &refused()).await;
        let pod = json!({ "pod": refused()["pod"] });
        world.create_collector("logbook", &pod).await;
        let relay = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let collector =
            world.wait_for_condition::<Collector>("logbook", "Accepted", "False", "Refused").await;
        for said in [relay, collector] {
            assert!(message(&said, "Accepted").contains("tolerations[0].operator"), "{said:?}");
        }
        assert_eq!(world.children().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn refused_child_keeps_no_other_from_being_made() {
    in_world(async |mut world| {
        let line = Line::new(|request| {
            let path = request.uri().path();
            let is_refused = ["/networkpolicies/", "/statefulsets/"].iter().any(|kind| path.contains(kind))
                && request.method() == Method::PATCH
                // A quota may be used up between the question and the deed.
                && !is_read(request);
            if is_refused { Fate::Answered(StatusCode::FORBIDDEN) } else { Fate::Passes }
        });
        world.start_on(&line).await;
        world.create_relay("harbour", &json!({ "listener": { "tls": { "selfSigned": {} } } })).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let why = "the API server refuses to apply NetworkPolicy harbour-relay: made up by the test; the API server \
                   refuses to apply StatefulSet harbour-relay: made up by the test";
        assert_eq!(message(&said, "Accepted"), why);
        let others = [
            "ConfigMap harbour-relay",
            "ConfigMap harbour-relay-ca",
            "PodDisruptionBudget harbour-relay",
            "Secret harbour-relay-ca",
            "Secret harbour-relay-peers",
            "Secret harbour-relay-tls",
            "Service harbour-relay",
            "Service harbour-relay-pods",
            "ServiceAccount harbour-relay",
        ];
        assert_eq!(world.children().await, others);

        line.decide(|_| Fate::Passes);
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(world.children().await.len(), others.len() + 2);
    })
    .await;
}

#[tokio::test]
async fn error_that_repeats_is_told_and_the_last_good_spec_is_healed() {
    in_world(async |mut world| {
        let line = Line::sound();
        world.start_on(&line).await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let whole = world.children().await;
        // As an API server answers a workload that it cannot merge, or whose admission webhook is down.
        line.decide(|request| {
            let fails = request.method() == Method::PATCH && request.uri().path().contains("/statefulsets/");
            if fails { Fate::Answered(StatusCode::INTERNAL_SERVER_ERROR) } else { Fate::Passes }
        });
        let change = json!({ "spec": { "pod": { "labels": { "tide": "high" } } } });
        world.change::<WebhookRelay>("harbour", &change).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let why = "the API server fails again and again to apply StatefulSet harbour-relay: made up by the test (500)";
        assert_eq!(message(&said, "Accepted"), why);
        let events = world.api::<Event>();
        let is_told = |events: &ObjectList<Event>| {
            events.iter().any(|event| {
                event.type_.as_deref() == Some("Warning") && event.note.as_deref() == Some(why)
            })
        };
        eventually("an Event", async || events.list(&ListParams::default()).await.unwrap(), is_told).await;

        world.api::<Service>().delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        eventually("healed", async || world.children().await, |children| *children == whole).await;
        let said = world.api::<WebhookRelay>().get("harbour").await.unwrap().status.unwrap();
        assert_eq!(message(&said, "Accepted"), why);

        line.decide(|_| Fate::Passes);
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    })
    .await;
}

#[tokio::test]
async fn child_that_fails_for_good_keeps_no_other_from_being_made() {
    in_world(async |mut world| {
        let line = Line::new(|request| {
            let fails = request.uri().path().contains("/networkpolicies/");
            if fails { Fate::Answered(StatusCode::INTERNAL_SERVER_ERROR) } else { Fate::Passes }
        });
        world.start_on(&line).await;
        world.create_relay("harbour", &json!({})).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let why = "the API server fails again and again to read NetworkPolicy ";
        assert!(message(&said, "Accepted").starts_with(why), "{said:?}");
        assert_eq!(world.children().await.len(), 7);
    })
    .await;
}

fn resource<K: Resource<DynamicType = ()>>(name: &str) -> (ApiResource, &str) {
    (ApiResource::erase::<K>(&()), name)
}

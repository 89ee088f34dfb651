//! One resource after another under the same name, and what the operator hears of it late.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::json;
use tokio::time::sleep;
use visnyk_cluster_harness::{eventually, wait_until};
use visnyk_crds::WebhookRelay;

use crate::line::{Fate, Line};
use crate::world::{World, in_world};

/// Keeps an object from going.
fn held(finalizers: &[&str]) -> serde_json::Value {
    json!({ "metadata": { "finalizers": finalizers } })
}

fn owner(object: &DynamicObject) -> String {
    object.owner_references()[0].uid.clone()
}

async fn created(world: &World) -> WebhookRelay {
    world.create_relay("harbour", &json!({})).await;
    world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    world.api::<WebhookRelay>().get("harbour").await.unwrap()
}

#[tokio::test]
async fn resource_made_anew_takes_no_child_of_the_one_before() {
    in_world(async |mut world| {
        world.start().await;
        let first = created(&world).await;
        let (relays, services) = (world.api::<WebhookRelay>(), world.api::<Service>());
        world.change::<Service>("harbour-relay", &held(&["example.org/held"])).await;
        relays.delete("harbour", &DeleteParams::default()).await.unwrap();
        let second = world.create_relay("harbour", &json!({ "service": { "port": 8080 } })).await;
        assert_ne!(second.uid(), first.uid());

        let going =
            |service: Option<&Service>| service.is_some_and(|it| it.metadata.deletion_timestamp.is_some());
        let left = wait_until(&services, "harbour-relay", going).await.unwrap();
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "NameConflict").await;
        let is_alone = |children: &Vec<String>| *children == ["Service harbour-relay"];
        eventually("all but the first one's Service goes", || world.children(), is_alone).await;
        assert_eq!(services.get("harbour-relay").await.unwrap(), left, "it is the first one's");

        world.change::<Service>("harbour-relay", &held(&[])).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let owners: Vec<String> = world.objects().await.iter().map(owner).collect();
        assert_eq!(owners, vec![second.uid().unwrap(); 8]);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_made_for_a_resource_on_its_way_out() {
    in_world(async |mut world| {
        let line = Line::sound();
        world.start_on(&line).await;
        created(&world).await;
        world.change::<WebhookRelay>("harbour", &held(&["example.org/held"])).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::default()).await.unwrap();
        goes_unreplaced(&world, &line).await;
        world.change::<WebhookRelay>("harbour", &held(&[])).await;
    })
    .await;
}

#[tokio::test]
async fn operator_that_hears_late_makes_nothing_for_a_resource_that_is_gone() {
    in_world(async |mut world| {
        let line = deaf();
        world.install_kinds().await;
        world.create_relay("harbour", &json!({})).await;
        world.start_on(&line).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let relays = world.api::<WebhookRelay>();
        world.change::<WebhookRelay>("harbour", &held(&["example.org/held"])).await;
        relays.delete("harbour", &DeleteParams::default()).await.unwrap();
        goes_unreplaced(&world, &line).await;

        // Gone and made anew, it is another.
        world.change::<WebhookRelay>("harbour", &held(&[])).await;
        let second = world.create_relay("harbour", &json!({})).await;
        let before = line.writes();
        eventually("the first one's children go", || world.children(), Vec::is_empty).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!((line.writes(), world.children().await), (before, Vec::new()));

        world.stop().await;
        world.start().await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let owners: Vec<String> = world.objects().await.iter().map(owner).collect();
        assert_eq!(owners, vec![second.uid().unwrap(); 8]);
    })
    .await;
}

#[tokio::test]
async fn operator_that_hears_late_of_what_it_said_does_not_say_it_again() {
    in_world(async |mut world| {
        world.install_kinds().await;
        world.create_relay("harbour", &json!({})).await;
        world.start_on(&deaf()).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let (relays, services) = (world.api::<WebhookRelay>(), world.api::<Service>());
        // Of its pod it hears, and says so.
        let has_pod = |relay: Option<&WebhookRelay>| {
            relay.and_then(|relay| relay.status.as_ref()).is_some_and(|status| status.replicas == Some(1))
        };
        let said = wait_until(&relays, "harbour", has_pod).await.unwrap();
        // LastStatus again in another second, it would have another time.
        sleep(Duration::from_secs(2)).await;
        services.delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        wait_until(&services, "harbour-relay", |service| service.is_some()).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(relays.get("harbour").await.unwrap(), said);
    })
    .await;
}

/// Controllers that see which relays there are when they start, and then never hear of them again.
fn deaf() -> Line {
    Line::new(|request| {
        let is_deaf = request.uri().path().ends_with("/webhookrelays")
            && request.uri().query().is_some_and(|query| query.contains("watch=true"));
        if is_deaf { Fate::Silent } else { Fate::Passes }
    })
}

/// Deletes a child, which the controllers hear of, and sees that they do nothing about it.
async fn goes_unreplaced(world: &World, line: &Line) {
    sleep(Duration::from_secs(2)).await;
    let before = line.writes();
    world.api::<Service>().delete("harbour-relay", &DeleteParams::default()).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(!world.children().await.contains(&"Service harbour-relay".to_owned()));
    assert_eq!(line.writes(), before);
}

//! Volumes grow with the spool, those that a relay finds too, and nobody else's do.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::wait_until;
use visnyk_crds::WebhookRelay;

use crate::world::{World, bind_claims, growing_class, in_world, message};

const CLAIM: &str = "data-harbour-relay-0";

/// Sizes of the claims for a spool of 64Mi, and of 128Mi: an eighth and 32Mi more.
const SMALL: &str = "104Mi";
const LARGE: &str = "176Mi";

fn spool(world: &World, size: &str) -> Value {
    json!({ "spool": { "persistent": { "size": size, "storageClassName": world.namespace } } })
}

/// Creates a relay `harbour` with a volume of a class that can grow.
async fn with_volume(world: &mut World) -> Api<StorageClass> {
    world.start().await;
    let classes = growing_class(world).await;
    world.create_relay("harbour", &spool(world, "64Mi")).await;
    wait_until(&world.api::<PersistentVolumeClaim>(), CLAIM, |claim| claim.is_some()).await;
    bind_claims(world).await;
    classes
}

async fn enlarge(world: &World) {
    world.change::<WebhookRelay>("harbour", &json!({ "spec": spool(world, "128Mi") })).await;
}

fn asks_for(claim: &PersistentVolumeClaim, size: &str) -> bool {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    resources.and_then(|all| all.requests.as_ref()).is_some_and(|requests| requests["storage"].0 == size)
}

async fn claim_asks_for(world: &World, size: &str) {
    let is_so = |claim: Option<&PersistentVolumeClaim>| claim.is_some_and(|claim| asks_for(claim, size));
    wait_until(&world.api::<PersistentVolumeClaim>(), CLAIM, is_so).await;
}

/// Waits for a StatefulSet that is another than this, with claims of this size.
async fn renewed(world: &World, before: &StatefulSet, size: &str) -> StatefulSet {
    let is_so = |set: Option<&StatefulSet>| {
        set.is_some_and(|set| {
            let mut templates = set.spec.volume_claim_templates.iter().flatten();
            set.uid() != before.uid() && templates.all(|claim| asks_for(claim, size))
        })
    };
    wait_until(&world.api::<StatefulSet>(), "harbour-relay", is_so).await.unwrap()
}

async fn without(world: &World, classes: &Api<StorageClass>) {
    classes.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
}

async fn set(world: &World) -> StatefulSet {
    world.api::<StatefulSet>().get("harbour-relay").await.unwrap()
}

#[tokio::test]
async fn larger_spool_makes_its_claims_larger_and_leaves_the_pods_alone() {
    in_world(async |mut world| {
        let classes = with_volume(&mut world).await;
        let before = set(&world).await;
        enlarge(&world).await;
        claim_asks_for(&world, LARGE).await;
        renewed(&world, &before, LARGE).await;
        without(&world, &classes).await;
    })
    .await;
}

#[tokio::test]
async fn relay_that_finds_volumes_of_the_one_before_makes_them_larger() {
    in_world(async |mut world| {
        let classes = with_volume(&mut world).await;
        let before = set(&world).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::background()).await.unwrap();
        wait_until(&world.api::<StatefulSet>(), "harbour-relay", |set| set.is_none()).await;
        world.create_relay("harbour", &spool(&world, "128Mi")).await;
        claim_asks_for(&world, LARGE).await;
        renewed(&world, &before, LARGE).await;
        without(&world, &classes).await;
    })
    .await;
}

#[tokio::test]
async fn volume_that_somebody_made_larger_than_is_needed_stays_so() {
    in_world(async |mut world| {
        let classes = with_volume(&mut world).await;
        let before = set(&world).await;
        let more = json!({ "spec": { "resources": { "requests": { "storage": "1Gi" } } } });
        world.change::<PersistentVolumeClaim>(CLAIM, &more).await;
        enlarge(&world).await;
        renewed(&world, &before, LARGE).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        claim_asks_for(&world, "1Gi").await;
        without(&world, &classes).await;
    })
    .await;
}

#[tokio::test]
async fn claim_of_somebody_with_the_labels_of_ours_stays_his() {
    in_world(async |mut world| {
        let classes = with_volume(&mut world).await;
        let before = set(&world).await;
        let claims = world.api::<PersistentVolumeClaim>();
        let mut claim = claims.get(CLAIM).await.unwrap();
        let labels = claim.metadata.labels.take();
        claim.metadata = ObjectMeta { name: Some("archive".to_owned()), labels, ..ObjectMeta::default() };
        claims.create(&PostParams::default(), &claim).await.unwrap();
        bind_claims(&world).await;
        enlarge(&world).await;
        renewed(&world, &before, LARGE).await;
        assert!(asks_for(&claims.get("archive").await.unwrap(), SMALL));
        without(&world, &classes).await;
    })
    .await;
}

/// Creates a relay whose claim asks for a class that the cluster does not have.
async fn with_wrong_class(world: &mut World) -> StatefulSet {
    world.start().await;
    world.create_relay("harbour", &spool_of(Some("not-there"))).await;
    wait_until(&world.api::<PersistentVolumeClaim>(), CLAIM, |claim| has_class(claim, "not-there")).await;
    set(world).await
}

fn spool_of(class: Option<&str>) -> Value {
    json!({ "spool": { "persistent": { "size": "64Mi", "storageClassName": class } } })
}

fn has_class(claim: Option<&PersistentVolumeClaim>, class: &str) -> bool {
    let spec = claim.and_then(|claim| claim.spec.as_ref());
    spec.and_then(|spec| spec.storage_class_name.as_deref()) == Some(class)
}

async fn claim_has_class(world: &World, class: &str) {
    wait_until(&world.api::<PersistentVolumeClaim>(), CLAIM, |claim| has_class(claim, class)).await;
}

#[tokio::test]
async fn wrong_class_is_mended_by_another_while_no_volume_was_made_of_it() {
    in_world(async |mut world| {
        let before = with_wrong_class(&mut world).await;
        world.change::<WebhookRelay>("harbour", &json!({ "spec": spool_of(Some("fast")) })).await;
        claim_has_class(&world, "fast").await;
        renewed(&world, &before, SMALL).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    })
    .await;
}

#[tokio::test]
async fn relay_that_is_created_again_with_another_class_gets_claims_of_it() {
    in_world(async |mut world| {
        with_wrong_class(&mut world).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::background()).await.unwrap();
        wait_until(&world.api::<StatefulSet>(), "harbour-relay", |set| set.is_none()).await;
        world.create_relay("harbour", &spool_of(Some("fast"))).await;
        claim_has_class(&world, "fast").await;
    })
    .await;
}

#[tokio::test]
async fn size_that_no_volume_was_made_of_yet_can_be_smaller_in_the_next_relay() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &spool(&world, "128Mi")).await;
        claim_asks_for(&world, LARGE).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::background()).await.unwrap();
        wait_until(&world.api::<StatefulSet>(), "harbour-relay", |set| set.is_none()).await;
        world.create_relay("harbour", &spool(&world, "64Mi")).await;
        claim_asks_for(&world, SMALL).await;
    })
    .await;
}

#[tokio::test]
async fn class_of_a_bound_claim_stays_and_the_condition_says_what_to_delete() {
    in_world(async |mut world| {
        let before = with_wrong_class(&mut world).await;
        bind_claims(&world).await;
        let claims = world.api::<PersistentVolumeClaim>();
        let bound = claims.get(CLAIM).await.unwrap();
        let mut change = json!({ "spec": spool_of(Some("fast")) });
        change["spec"]["replicas"] = 2.into();
        world.change::<WebhookRelay>("harbour", &change).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let expected = "PersistentVolumeClaim data-harbour-relay-0 has a volume of StorageClass not-there and cannot \
                        change to fast: set storageClassName back, or delete the claim and then its pod \
                        harbour-relay-0, with all events that are in the volume";
        assert_eq!(message(&said, "Accepted"), expected);
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(2));
        let after = wait_until(&world.api::<StatefulSet>(), "harbour-relay", scaled).await.unwrap();
        assert_eq!((after.uid(), claims.get(CLAIM).await.unwrap().uid()), (before.uid(), bound.uid()));

        // What the condition says.
        claims.delete(CLAIM, &DeleteParams::default()).await.unwrap();
        world.api::<Pod>().delete("harbour-relay-0", &DeleteParams::default()).await.unwrap();
        renewed(&world, &before, SMALL).await;
        claim_has_class(&world, "fast").await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    })
    .await;
}

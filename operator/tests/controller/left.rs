//! Tests of the volumes that a relay leaves behind when it is scaled down or deleted, for each `onDelete`. No pod runs
//! here: the tests write a Job's result in its place.

use http::{Method, StatusCode};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{AuditLog, wait_until};
use visnyk_crds::WebhookRelay;

use crate::line::{Fate, Line};
use crate::world::{World, in_world, message, relay};

/// Beginning of the note about a volume that stays when its relay goes.
const KEPT: &str = "PersistentVolumeClaims kept with their undelivered events: data-harbour-relay-0; a relay of this \
                    name uses them again";

/// Creates a relay `harbour` with so many pods and their volumes.
async fn with_relay(world: &mut World, replicas: u32, spool: Value) {
    with_relay_on(&Line::sound(), world, replicas, spool).await;
}

/// Creates it with this line between the controllers and the API server.
async fn with_relay_on(line: &Line, world: &mut World, replicas: u32, spool: Value) {
    world.start_on(line).await;
    let mut spool = spool;
    spool["persistent"] = json!({ "size": "64Mi" });
    world.create_relay("harbour", &json!({ "replicas": replicas, "spool": spool })).await;
    for ordinal in 0..replicas {
        wait_until(&world.api::<PersistentVolumeClaim>(), &claim(ordinal), |claim| claim.is_some()).await;
        wait_until(&world.api::<Pod>(), &format!("harbour-relay-{ordinal}"), |pod| pod.is_some()).await;
    }
}

fn claim(ordinal: u32) -> String {
    format!("data-harbour-relay-{ordinal}")
}

fn job(ordinal: u32) -> String {
    format!("harbour-relay-drain-{ordinal}")
}

async fn scale(world: &World, replicas: u32) {
    world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": replicas } })).await;
}

async fn set_on_delete(world: &World, then: &str) {
    let spool = json!({ "spec": { "spool": { "onDelete": then } } });
    world.change::<WebhookRelay>("harbour", &spool).await;
}

async fn delete(world: &World) {
    world.api::<WebhookRelay>().delete("harbour", &DeleteParams::background()).await.unwrap();
}

async fn gone<K>(world: &World, name: &str)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    wait_until(&world.api::<K>(), name, |object| object.is_none()).await;
}

/// Returns the names of the claims that stay.
async fn claims(world: &World) -> Vec<String> {
    let list = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
    list.iter()
        .filter(|claim| claim.metadata.deletion_timestamp.is_none())
        .map(ResourceExt::name_any)
        .collect()
}

/// Lets the pod of a Job end with this code.
async fn end(world: &World, ordinal: u32, code: i32) {
    wait_until(&world.api::<Job>(), &job(ordinal), |job| job.is_some()).await;
    let of = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job(ordinal)));
    let pods = world.api::<Pod>();
    let pod = loop {
        if let Some(pod) = pods.list(&of).await.unwrap().items.pop() {
            break pod.name_any();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let ended = json!({ "terminated": { "exitCode": code } });
    let container = json!({
        "name": "relay", "image": "relay:test", "imageID": "", "ready": false, "restartCount": 0, "state": ended,
    });
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let status = json!({ "status": { "phase": phase, "containerStatuses": [container] } });
    pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

async fn is_told(world: &World, reason: &str) -> String {
    loop {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        let told = events.into_iter().find(|event| event.reason.as_deref() == Some(reason));
        if let Some(note) = told.and_then(|event| event.note) {
            return note;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn volume_of_a_scaled_down_relay_is_drained_and_goes() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Drain" })).await;
        scale(&world, 1).await;
        let said =
            world.wait_for_condition::<WebhookRelay>("harbour", "SpoolRetained", "True", "Draining").await;
        let draining = said.conditions.iter().find(|condition| condition.type_ == "SpoolRetained").unwrap();
        assert!(
            draining.message.starts_with("PersistentVolumeClaim data-harbour-relay-1 ("),
            "{}",
            draining.message
        );
        end(&world, 1, 0).await;
        gone::<PersistentVolumeClaim>(&world, &claim(1)).await;
        gone::<Job>(&world, &job(1)).await;
        let without = |relay: Option<&WebhookRelay>| {
            let conditions = &relay.unwrap().status.as_ref().unwrap().conditions;
            !conditions.iter().any(|condition| condition.type_ == "SpoolRetained")
        };
        wait_until(&world.api::<WebhookRelay>(), "harbour", without).await;
        assert_eq!(claims(&world).await, [claim(0)]);
        assert!(world.api::<Job>().get_opt(&job(0)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn undeliverable_volume_is_kept_and_tried_again_when_asked() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Drain" })).await;
        scale(&world, 1).await;
        end(&world, 1, 3).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "SpoolRetained", "True", "Undelivered").await;
        assert_eq!(claims(&world).await, [claim(0), claim(1)]);
        let jobs = world.api::<Job>();
        let first = jobs.get(&job(1)).await.unwrap();
        jobs.delete(&job(1), &DeleteParams::background()).await.unwrap();
        let another = |job: Option<&Job>| job.is_some_and(|job| job.uid() != first.uid());
        wait_until(&jobs, &job(1), another).await;
    })
    .await;
}

#[tokio::test]
async fn relay_that_is_scaled_up_again_takes_its_volume_back() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Drain" })).await;
        let before = world.api::<PersistentVolumeClaim>().get(&claim(1)).await.unwrap();
        scale(&world, 1).await;
        wait_until(&world.api::<Job>(), &job(1), |job| job.is_some()).await;
        scale(&world, 2).await;
        gone::<Job>(&world, &job(1)).await;
        wait_until(&world.api::<Pod>(), "harbour-relay-1", |pod| pod.is_some()).await;
        assert_eq!(world.api::<PersistentVolumeClaim>().get(&claim(1)).await.unwrap().uid(), before.uid());
    })
    .await;
}

/// Creates a relay of two that was scaled down to one, and the Job that drains the other.
async fn with_job(world: &mut World) -> (Api<Job>, Job) {
    with_relay(world, 2, json!({ "onDelete": "Drain" })).await;
    scale(world, 1).await;
    let jobs = world.api::<Job>();
    let made = wait_until(&jobs, &job(1), |job| job.is_some()).await.unwrap();
    (jobs, made)
}

#[tokio::test]
async fn job_that_is_deleted_before_it_is_done_is_made_anew() {
    in_world(async |mut world| {
        let (jobs, first) = with_job(&mut world).await;
        jobs.delete(&job(1), &DeleteParams::background()).await.unwrap();
        wait_until(&jobs, &job(1), |job| job.is_some_and(|job| job.uid() != first.uid())).await;
        assert_eq!(claims(&world).await, [claim(0), claim(1)]);
    })
    .await;
}

#[tokio::test]
async fn job_that_is_edited_by_hand_is_set_back() {
    in_world(async |mut world| {
        let (jobs, before) = with_job(&mut world).await;
        for edit in [
            json!({ "metadata": { "labels": {
                "app.kubernetes.io/managed-by": null, "app.kubernetes.io/instance": "another",
            } } }),
            json!({ "spec": { "suspend": true } }),
            json!({ "spec": { "parallelism": 0 } }),
            json!({ "spec": { "backoffLimit": 0 } }),
            json!({ "spec": { "activeDeadlineSeconds": 1_000_000 } }),
        ] {
            world.change::<Job>(&job(1), &edit).await;
            let is_as_before = |job: Option<&Job>| {
                job.is_some_and(|job| (job.labels(), &job.spec) == (before.labels(), &before.spec))
            };
            let after = wait_until(&jobs, &job(1), is_as_before).await.unwrap();
            assert_eq!(after.uid(), before.uid(), "{edit}");
        }
    })
    .await;
}

#[tokio::test]
async fn job_that_is_there_follows_its_relay_in_all_but_its_pods() {
    in_world(async |mut world| {
        let (jobs, before) = with_job(&mut world).await;
        let spec = json!({ "pod": { "labels": { "team": "net" } }, "spool": { "drainTimeout": "2h" } });
        world.change::<WebhookRelay>("harbour", &json!({ "spec": spec })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let after = jobs.get(&job(1)).await.unwrap();
        let mut expected = before.spec.clone().unwrap();
        expected.active_deadline_seconds = Some(7200);
        assert_eq!((after.uid(), after.spec), (before.uid(), Some(expected)));
    })
    .await;
}

#[tokio::test]
async fn deleted_relay_is_drained_and_only_jobs_are_created_meanwhile() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Drain" })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let log = AuditLog::from_now().unwrap();
        delete(&world).await;
        end(&world, 0, 0).await;
        assert!(world.api::<StatefulSet>().get_opt("harbour-relay").await.unwrap().is_none());
        let relay = world.api::<WebhookRelay>().get("harbour").await.unwrap();
        assert!(relay.metadata.deletion_timestamp.is_some());
        end(&world, 1, 0).await;
        gone::<WebhookRelay>(&world, "harbour").await;
        for ordinal in [0, 1] {
            gone::<PersistentVolumeClaim>(&world, &claim(ordinal)).await;
        }
        let created = log.writes_in(&world.namespace).unwrap().into_iter();
        let ours = created.filter(|event| event.user.username == "admin" && event.code() == 201);
        let mut what: Vec<String> = ours.map(|event| event.object_ref.unwrap().resource).collect();
        what.retain(|resource| resource != "events");
        assert_eq!(what, ["jobs", "jobs"]);
    })
    .await;
}

#[tokio::test]
async fn deleted_relay_whose_job_is_refused_says_so_and_waits() {
    in_world(async |mut world| {
        let line = Line::new(|request| {
            let is_job = request.method() == Method::PATCH && request.uri().path().contains("/jobs/");
            if is_job { Fate::Answered(StatusCode::FORBIDDEN) } else { Fate::Passes }
        });
        with_relay_on(&line, &mut world, 1, json!({ "onDelete": "Drain" })).await;
        delete(&world).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let why = "the API server refuses to apply Job harbour-relay-drain-0: made up by the test";
        assert_eq!(message(&said, "Accepted"), why);
        line.decide(|_| Fate::Passes);
        end(&world, 0, 0).await;
        gone::<WebhookRelay>(&world, "harbour").await;
    })
    .await;
}

#[tokio::test]
async fn relay_not_drained_in_time_goes_and_its_volumes_are_named() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain", "drainTimeout": "3s" })).await;
        delete(&world).await;
        gone::<WebhookRelay>(&world, "harbour").await;
        let note = is_told(&world, "SpoolRetained").await;
        assert_eq!(note, KEPT);
        assert_eq!(claims(&world).await, [claim(0)]);
        gone::<Job>(&world, &job(0)).await;
    })
    .await;
}

#[tokio::test]
async fn relay_whose_children_go_before_it_is_not_drained_and_its_volumes_stay() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain" })).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::foreground()).await.unwrap();
        gone::<WebhookRelay>(&world, "harbour").await;
        is_told(&world, "SpoolRetained").await;
        assert_eq!(claims(&world).await, [claim(0)]);
    })
    .await;
}

#[tokio::test]
async fn relay_goes_with_its_namespace() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain" })).await;
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
        gone::<WebhookRelay>(&world, "harbour").await;
    })
    .await;
}

#[tokio::test]
async fn only_who_drains_or_discards_needs_a_finalizer() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain" })).await;
        let relays = world.api::<WebhookRelay>();
        let held = |relay: Option<&WebhookRelay>| relay.unwrap().finalizers() == ["visnyk.dev/drain"];
        wait_until(&relays, "harbour", held).await;
        for then in ["Discard", "Drain"] {
            set_on_delete(&world, "Retain").await;
            wait_until(&relays, "harbour", |relay| relay.unwrap().finalizers().is_empty()).await;
            set_on_delete(&world, then).await;
            wait_until(&relays, "harbour", held).await;
        }
    })
    .await;
}

#[tokio::test]
async fn retained_volume_is_the_next_relays_of_that_name() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Retain" })).await;
        let before = world.api::<PersistentVolumeClaim>().get(&claim(0)).await.unwrap();
        delete(&world).await;
        gone::<WebhookRelay>(&world, "harbour").await;
        gone::<Pod>(&world, "harbour-relay-0").await;
        world.create_relay("harbour", &json!({})).await;
        wait_until(&world.api::<Pod>(), "harbour-relay-0", |pod| pod.is_some()).await;
        assert_eq!(world.api::<PersistentVolumeClaim>().get(&claim(0)).await.unwrap().uid(), before.uid());
    })
    .await;
}

#[tokio::test]
async fn draining_relay_keeps_its_name_and_leaves_its_volume_to_the_next() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain" })).await;
        let before = world.api::<PersistentVolumeClaim>().get(&claim(0)).await.unwrap();
        delete(&world).await;
        wait_until(&world.api::<Job>(), &job(0), |job| job.is_some()).await;
        let next = serde_json::from_value(relay("harbour", &json!({}))).unwrap();
        let created = world.api::<WebhookRelay>().create(&PostParams::default(), &next).await;
        assert!(matches!(&created, Err(kube::Error::Api(status)) if status.code == 409), "{created:?}");

        set_on_delete(&world, "Retain").await;
        gone::<WebhookRelay>(&world, "harbour").await;
        world.create_relay("harbour", &json!({})).await;
        wait_until(&world.api::<Pod>(), "harbour-relay-0", |pod| pod.is_some()).await;
        gone::<Job>(&world, &job(0)).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let after = world.api::<PersistentVolumeClaim>().get(&claim(0)).await.unwrap();
        assert_eq!((after.uid(), after.metadata.deletion_timestamp), (before.uid(), None));
    })
    .await;
}

#[tokio::test]
async fn relay_made_anew_at_once_gets_nothing_of_what_the_one_before_discarded() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Discard" })).await;
        let claims = world.api::<PersistentVolumeClaim>();
        let before = claims.get(&claim(0)).await.unwrap();
        delete(&world).await;
        gone::<WebhookRelay>(&world, "harbour").await;
        world.create_relay("harbour", &json!({})).await;
        let is_new =
            |claim: Option<&PersistentVolumeClaim>| claim.is_some_and(|claim| claim.uid() != before.uid());
        let after = wait_until(&claims, &claim(0), is_new).await.unwrap();
        wait_until(&world.api::<Pod>(), "harbour-relay-0", |pod| pod.is_some()).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(claims.get(&claim(0)).await.unwrap().uid(), after.uid());
    })
    .await;
}

#[tokio::test]
async fn discarded_volumes_go_with_their_pods() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Discard" })).await;
        scale(&world, 1).await;
        gone::<PersistentVolumeClaim>(&world, &claim(1)).await;
        assert_eq!(claims(&world).await, [claim(0)]);
        delete(&world).await;
        gone::<PersistentVolumeClaim>(&world, &claim(0)).await;
        assert!(world.api::<Job>().list(&ListParams::default()).await.unwrap().items.is_empty());
    })
    .await;
}

/// Returns the claims that stay, each with its uid.
async fn kept(world: &World) -> Vec<String> {
    let list = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
    let stays = list.iter().filter(|claim| claim.metadata.deletion_timestamp.is_none());
    stays.map(|claim| claim.uid().unwrap()).collect()
}

async fn pods_are_gone(world: &World) {
    gone::<Pod>(world, "harbour-relay-0").await;
    gone::<Pod>(world, "harbour-relay-1").await;
}

#[tokio::test]
async fn volumes_stay_when_a_user_scales_or_deletes_the_stateful_set() {
    in_world(async |mut world| {
        with_relay(&mut world, 2, json!({ "onDelete": "Discard" })).await;
        let before = kept(&world).await;
        let sets = world.api::<StatefulSet>();

        // With nobody there to restore it before its pods are gone.
        world.stop().await;
        world.change::<StatefulSet>("harbour-relay", &json!({ "spec": { "replicas": 0 } })).await;
        pods_are_gone(&world).await;
        world.start().await;
        wait_until(&world.api::<Pod>(), "harbour-relay-1", |pod| pod.is_some()).await;
        assert_eq!(kept(&world).await, before);

        world.stop().await;
        sets.delete("harbour-relay", &DeleteParams::background()).await.unwrap();
        pods_are_gone(&world).await;
        world.start().await;
        wait_until(&world.api::<Pod>(), "harbour-relay-1", |pod| pod.is_some()).await;
        assert_eq!(kept(&world).await, before);
    })
    .await;
}

#[tokio::test]
async fn relay_whose_children_go_before_it_discards_its_volumes_all_the_same() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Discard" })).await;
        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::foreground()).await.unwrap();
        gone::<WebhookRelay>(&world, "harbour").await;
        gone::<PersistentVolumeClaim>(&world, &claim(0)).await;
    })
    .await;
}

#[tokio::test]
async fn relay_that_leaves_its_pods_behind_leaves_them_their_volumes() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Discard" })).await;
        let orphan =
            DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        // Nobody sees the finalizer that says so, for it goes as soon as the children are left to themselves.
        world.stop().await;
        let relays = world.api::<WebhookRelay>();
        relays.delete("harbour", &orphan).await.unwrap();
        let left_alone = |relay: Option<&WebhookRelay>| relay.unwrap().finalizers() == ["visnyk.dev/drain"];
        wait_until(&relays, "harbour", left_alone).await;
        world.start().await;
        gone::<WebhookRelay>(&world, "harbour").await;
        let note = is_told(&world, "SpoolRetained").await;
        assert_eq!(note, KEPT);
        assert_eq!(claims(&world).await, [claim(0)]);
    })
    .await;
}

#[tokio::test]
async fn relay_with_an_invalid_spec_is_let_go_as_soon_as_that_retains() {
    in_world(async |mut world| {
        with_relay(&mut world, 1, json!({ "onDelete": "Drain" })).await;
        let invalid = json!([{ "name": "pilot", "url": "https://pilot.example.org:99999/" }]);
        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "destinations": invalid } })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;
        delete(&world).await;
        wait_until(&world.api::<Job>(), &job(0), |job| job.is_some()).await;
        set_on_delete(&world, "Retain").await;
        gone::<WebhookRelay>(&world, "harbour").await;
        assert_eq!(claims(&world).await, [claim(0)]);
    })
    .await;
}

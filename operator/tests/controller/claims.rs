//! Two operator installations that look after one namespace: one manages a resource, the other leaves it alone.

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Duration, sleep};
use visnyk_cluster_harness::{eventually, wait_until};
use visnyk_crds::WebhookRelay;
use visnyk_operator::process::installation::Installation;

use crate::line::{Fate, Line};
use crate::world::{World, in_world};

/// Time in which two operators that fight write dozens of times, on a busy machine too.
const QUIET: Duration = Duration::from_secs(3);

/// Makes an installation with a Lease in the namespace of the test that was renewed so long ago and has no holder, as
/// between two leaders.
async fn installation(world: &World, name: &str, renewed: SignedDuration) -> Installation {
    let at = Timestamp::now() - renewed;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name },
        "spec": { "renewTime": format!("{at:.6}") },
    });
    let parameters = PatchParams::apply("test").force();
    world.api::<Lease>().patch(name, &parameters, &Patch::Apply(&lease)).await.unwrap();
    Installation { namespace: world.namespace.clone(), lease: name.to_owned() }
}

async fn operator(world: &World) -> Option<String> {
    world.api::<WebhookRelay>().get("harbour").await.unwrap().status.and_then(|status| status.operator)
}

/// Returns the notes of the Events about a resource that another installation manages.
async fn told(world: &World) -> Vec<String> {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
    let elsewhere = events.into_iter().filter(|event| event.reason.as_deref() == Some("ManagedElsewhere"));
    elsewhere.filter_map(|event| event.note).collect()
}

async fn image(world: &World) -> Option<String> {
    let set = world.api::<StatefulSet>().get("harbour-relay").await.unwrap();
    set.spec.template.spec.unwrap().containers[0].image.clone()
}

#[tokio::test]
async fn one_of_two_operators_with_different_images_manages_a_relay() {
    in_world(async |mut first| {
        first.installation = installation(&first, "first", SignedDuration::ZERO).await;
        let mut second = first.with_another(installation(&first, "second", SignedDuration::ZERO).await);
        let lines = [Line::sound(), Line::sound()];
        first.start_on(&lines[0]).await;
        second.start_on(&lines[1]).await;
        first.create_relay("harbour", &json!({})).await;
        first.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let notes = eventually("the other tells so", || told(&first), |notes| notes.len() == 1).await;

        let holder = operator(&first).await.unwrap();
        let (other, managed_by) =
            if holder.ends_with("/first") { (1, "relay:test") } else { (0, "relay:second") };
        assert!(notes[0].contains(&format!("operator {holder} manages it")), "{notes:?}");
        // The other asked for what both saw unclaimed, if anything, and told one Event.
        let asks = |request: &str| request.ends_with("/harbour/status") || request.contains("/events");
        let written = || lines[other].requests().into_keys().filter(|request| !request.starts_with("GET "));
        assert!(written().all(|request| asks(&request)), "{:?}", written().collect::<Vec<_>>());
        let writes = lines[other].writes();

        first.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 2 } })).await;
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(2));
        let set = wait_until(&first.api::<StatefulSet>(), "harbour-relay", scaled).await.unwrap();
        sleep(QUIET).await;
        let after = first.api::<StatefulSet>().get("harbour-relay").await.unwrap();
        assert_eq!(after.metadata.generation, set.metadata.generation);
        assert_eq!(image(&first).await, Some(managed_by.to_owned()));
        assert_eq!(lines[other].writes(), writes, "{:?}", lines[other].requests());
    })
    .await;
}

#[tokio::test]
async fn claim_ends_with_the_lease_of_who_claims_and_not_before() {
    in_world(async |mut first| {
        first.installation = installation(&first, "first", SignedDuration::from_mins(14)).await;
        first.start().await;
        first.create_relay("harbour", &json!({})).await;
        first.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        first.stop().await;

        let mut second = first.with_another(installation(&first, "second", SignedDuration::ZERO).await);
        second.start().await;
        eventually("the second waits", || told(&first), |notes| notes.len() == 1).await;
        second.stop().await;
        assert_eq!(operator(&first).await, Some(first.installation.to_string()));

        // Uninstalled an hour ago.
        installation(&first, "first", SignedDuration::from_hours(1)).await;
        second.start().await;
        let takes_over = async || operator(&first).await;
        let second_has = Some(second.installation.to_string());
        eventually("the second takes over", takes_over, |operator| *operator == second_has).await;
        let renewed = async || image(&first).await;
        eventually("its image runs", renewed, |image| image.as_deref() == Some("relay:second")).await;
        second.stop().await;

        // Its namespace is gone.
        first.api::<Lease>().delete("second", &DeleteParams::default()).await.unwrap();
        installation(&first, "first", SignedDuration::ZERO).await;
        first.start().await;
        let first_has = Some(first.installation.to_string());
        let takes_over = async || operator(&first).await;
        eventually("the first takes over", takes_over, |operator| *operator == first_has).await;
    })
    .await;
}

#[tokio::test]
async fn claim_whose_lease_may_not_be_read_ends_by_the_command_that_is_told() {
    in_world(async |mut first| {
        first.start().await; // of an installation without a Lease
        first.create_relay("harbour", &json!({})).await;
        first.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        first.stop().await;

        let mut second = first.with_another(installation(&first, "second", SignedDuration::ZERO).await);
        let line = Line::new(|request| {
            let is_lease = request.method() == Method::GET && request.uri().path().contains("/leases/");
            if is_lease { Fate::Answered(StatusCode::FORBIDDEN) } else { Fate::Passes }
        });
        second.start_on(&line).await;
        let notes = eventually("the second waits", || told(&first), |notes| notes.len() == 1).await;
        assert_eq!(line.writes(), 1, "{:?}", line.requests());
        let command = "--subresource status --type merge --patch '{\"status\":{\"operator\":null}}'";
        assert!(notes[0].ends_with(command), "{notes:?}");

        let released = json!({ "status": { "operator": null } });
        let relays = first.api::<WebhookRelay>();
        relays.patch_status("harbour", &PatchParams::default(), &Patch::Merge(&released)).await.unwrap();
        let second_has = Some(second.installation.to_string());
        let takes_over = async || operator(&first).await;
        eventually("the second takes over", takes_over, |operator| *operator == second_has).await;
    })
    .await;
}

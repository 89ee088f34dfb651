//! Authorities and certificates: what is made, what follows, and what stays.

use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tokio::time::{Duration, Instant};
use visnyk_cluster_harness::{eventually, wait_until};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::{Fate, Line};
use crate::world::{World, in_world};

/// Without waiting for the next reconcile by the clock. On a machine with nothing else to do it is a second or two.
pub const SOON: Duration = Duration::from_secs(20);

/// Returns a file of a Secret, as text.
pub fn file(secret: Option<&Secret>, key: &str) -> Option<String> {
    let data = secret?.data.as_ref()?.get(key)?;
    Some(String::from_utf8(data.0.clone()).unwrap())
}

async fn with_relay_and_collector(world: &mut World, line: &Line) {
    world.start_on(line).await;
    let spec = json!({
        "listener": { "tls": { "selfSigned": { "dnsNames": ["harbour.example.org"] } } },
        "destinations": [{ "name": "quay", "collectorRef": { "name": "logbook" } }],
    });
    world.create_relay("harbour", &spec).await;
    world.create_collector("logbook", &json!({})).await;
    let key = format!("{}.logbook.ca.crt", world.namespace);
    wait_until(&world.api::<Secret>(), "harbour-relay-peers", |peers| file(peers, &key).is_some()).await;
}

#[tokio::test]
async fn relay_is_told_whom_to_trust_and_by_what_it_is_known() {
    in_world(async |mut world| {
        with_relay_and_collector(&mut world, &Line::sound()).await;
        let secrets = world.api::<Secret>();
        let peers = secrets.get("harbour-relay-peers").await.unwrap();
        let of = |suffix: &str| file(Some(&peers), &format!("{}.logbook.{suffix}", world.namespace));
        let published = world.api::<ConfigMap>().get("logbook-collector-ca").await.unwrap();
        assert_eq!(of("url"), Some(format!("https://logbook-collector.{}.svc/", world.namespace)));
        assert_eq!(of("ca.crt").as_ref(), published.data.unwrap().get("ca.crt"));
        assert!(of("tls.crt").unwrap().contains("BEGIN CERTIFICATE"));
        assert!(of("tls.key").unwrap().contains("PRIVATE KEY"));
        let server = secrets.get("harbour-relay-tls").await.unwrap();
        let keys: Vec<String> = server.data.unwrap().into_keys().collect();
        assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"]);
        world.wait_for_condition::<WebhookRelay>("harbour", "CertificateReady", "True", "Issued").await;
    })
    .await;
}

#[tokio::test]
async fn lost_authority_is_made_anew_told_of_and_followed_by_its_peers() {
    in_world(async |mut world| {
        let line = Line::sound();
        with_relay_and_collector(&mut world, &line).await;
        let (secrets, key) = (world.api::<Secret>(), format!("{}.logbook.ca.crt", world.namespace));
        let old = file(secrets.get_opt("harbour-relay-peers").await.unwrap().as_ref(), &key).unwrap();

        // Of the reconcile that makes it anew the next write fails: whoever reconciles then finds an authority.
        let mut fails = 1;
        line.decide(move |request| {
            let is_next = request.uri().path().ends_with("/configmaps/logbook-collector-ca")
                && request.method() == Method::PATCH;
            if is_next && fails > 0 {
                fails -= 1;
                return Fate::Answered(StatusCode::INTERNAL_SERVER_ERROR);
            }
            Fate::Passes
        });
        let begun = Instant::now();
        secrets.delete("logbook-collector-ca", &DeleteParams::default()).await.unwrap();
        let followed = |peers: Option<&Secret>| file(peers, &key).is_some_and(|bundle| bundle != old);
        let peers = wait_until(&secrets, "harbour-relay-peers", followed).await;
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        let published = |map: Option<&ConfigMap>| {
            map.is_some_and(|map| {
                map.data.as_ref().unwrap().get("ca.crt") == file(peers.as_ref(), &key).as_ref()
            })
        };
        wait_until(&world.api::<ConfigMap>(), "logbook-collector-ca", published).await;
        loop {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
            let is_told = |event: &Event| {
                event.reason.as_deref() == Some("AuthorityLost") && event.type_.as_deref() == Some("Warning")
            };
            if events.iter().any(is_told) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody is told");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn relay_follows_a_new_authority_that_its_collector_does_not_announce() {
    in_world(async |mut world| {
        let line = Line::sound();
        with_relay_and_collector(&mut world, &line).await;
        let (secrets, key) = (world.api::<Secret>(), format!("{}.logbook.ca.crt", world.namespace));
        let old = file(secrets.get_opt("harbour-relay-peers").await.unwrap().as_ref(), &key).unwrap();
        line.decide(|request| {
            let is_said = request.uri().path().ends_with("/collectors/logbook/status");
            if is_said { Fate::Answered(StatusCode::INTERNAL_SERVER_ERROR) } else { Fate::Passes }
        });
        let begun = Instant::now();
        secrets.delete("logbook-collector-ca", &DeleteParams::default()).await.unwrap();
        let followed = |peers: Option<&Secret>| file(peers, &key).is_some_and(|bundle| bundle != old);
        wait_until(&secrets, "harbour-relay-peers", followed).await;
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test]
async fn expiry_of_a_certificate_is_shown_until_its_resource_is_gone() {
    in_world(async |mut world| {
        with_relay_and_collector(&mut world, &Line::sound()).await;
        let shown = async |expected: &[&str]| {
            eventually("shown", async || world.certificates(), |shown| shown == expected).await;
        };
        shown(&["Collector logbook", "WebhookRelay harbour"]).await;
        // Its children go before it, and no change of them is a reason to look once more.
        let relays = world.api::<WebhookRelay>();
        relays.delete("harbour", &DeleteParams::foreground()).await.unwrap();
        shown(&["Collector logbook"]).await;
        world.api::<Collector>().delete("logbook", &DeleteParams::background()).await.unwrap();
        shown(&[]).await;
    })
    .await;
}

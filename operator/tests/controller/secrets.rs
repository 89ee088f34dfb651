//! A secret is in its Secret and nowhere else, however much the operator is told to log; and pods hear of a changed one
//! soon.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use visnyk_cluster_harness::{eventually, wait_until};
use visnyk_crds::{Collector, WebhookRelay, validate};
use visnyk_runtime::admin::health::{Health, HealthEndpoints};

use crate::process::{Operator, TOKEN};
use crate::world::{World, in_world};

/// Secret text of a user.
const CANARY: &str = "canary-of-a-user-3e8a5b";
/// Number of forms of both that are looked for.
const TOKENS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_are_in_no_log_metric_status_or_event() {
    in_world(async |world| {
        let token = json!({ "metadata": { "name": "front" }, "stringData": { "token": CANARY } });
        let token: Secret = serde_json::from_value(token).unwrap();
        world.api::<Secret>().create(&PostParams::default(), &token).await.unwrap();
        let (operator, young) = Operator::start(&world, "trace").await;
        young.learn().await;
        let spec = json!({
            "listener": { "tls": { "selfSigned": {} } },
            "sources": [{
                "name": "front", "path": "/",
                "verify": { "bearer": { "secretRefs": [{ "name": "front", "key": "token" }] } },
            }],
            "destinations": [{ "name": "quay", "collectorRef": { "name": "logbook" } }],
        });
        world.create_relay("harbour", &spec).await;
        world.create_collector("logbook", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "CertificateReady", "True", "Issued").await;
        // Of each kind its authority and what it shows, and by what the relay is known to the Collector.
        let has_all = |secrets: &Vec<String>| secrets.len() == TOKENS + 2 * 5;
        let secrets = eventually("all keys are there", async || secrets(&world).await, has_all).await;
        // A loss is told.
        world.api::<Secret>().delete("logbook-collector-ca", &DeleteParams::default()).await.unwrap();
        let is_lost =
            |events: &Vec<DynamicObject>| events.iter().any(|event| event.data["reason"] == "AuthorityLost");
        let events = ApiResource::erase::<Event>(&());
        let told = async || world.list(&events, &ListParams::default()).await;
        eventually("the loss is told", told, is_lost).await;

        let log = operator.log();
        assert!(log.contains(r#""level":"TRACE""#), "it logs at trace");
        let page = operator.ask("/metrics").unwrap();
        let kinds = [ApiResource::erase::<WebhookRelay>(&()), ApiResource::erase::<Collector>(&()), events];
        let objects = world.list_all(&kinds, &ListParams::default()).await;
        let objects = serde_json::to_string(&objects).unwrap();
        for secret in secrets {
            for (place, text) in [("the log", &log), ("a metric", &page), ("a status or an Event", &objects)]
            {
                assert!(!text.contains(&secret), "{secret} is in {place}");
            }
        }
    })
    .await;
}

/// Returns all that is secret, as it is and as the API server is sent it: of each key a line in its middle.
async fn secrets(world: &World) -> Vec<String> {
    let tokens: [_; TOKENS] = [TOKEN.to_owned(), CANARY.to_owned(), encoded(CANARY.as_bytes())];
    let mut all = tokens.to_vec();
    for secret in world.api::<Secret>().list(&ListParams::default()).await.unwrap() {
        for (name, content) in secret.data.into_iter().flatten() {
            if let Some((_, "key")) = name.rsplit_once('.') {
                let pem = String::from_utf8(content.0).unwrap();
                all.push(pem.lines().nth(1).unwrap().to_owned());
                all.push(encoded(pem.as_bytes()));
            }
        }
    }
    all
}

/// Returns bytes in base 64, as JSON has it.
fn encoded(bytes: &[u8]) -> String {
    serde_json::from_value(json!(ByteString(bytes.to_vec()))).unwrap()
}

/// A pod's process that runs the configuration of this hash.
struct Running(String);

impl HealthEndpoints for Running {
    fn live(&self) -> Vec<String> {
        Vec::new()
    }

    fn ready(&self) -> Vec<String> {
        Vec::new()
    }

    fn started(&self) -> Vec<String> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn status(&self) -> Value {
        json!({ "configurationHash": self.0 })
    }
}

/// Returns the time of the change of Secrets because of which a pod is made to sync.
fn synced_for(pod: Option<&Pod>) -> Option<Timestamp> {
    let value = pod?.annotations().get("visnyk.dev/sync")?;
    value.strip_prefix("secrets/")?.split_once(" since ")?.0.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_and_deleted_secrets_make_each_pod_sync_at_once() {
    in_world(async |mut world| {
        let (secrets, pods) = (world.api::<Secret>(), world.api::<Pod>());
        let token =
            |value: &str| json!({ "metadata": { "name": "front" }, "stringData": { "token": value } });
        let first: Secret = serde_json::from_value(token("first")).unwrap();
        secrets.create(&PostParams::default(), &first).await.unwrap();
        world.start().await;
        let refs = json!([{ "name": "front", "key": "token" }]);
        let source = json!({ "name": "front", "path": "/", "verify": { "bearer": { "secretRefs": refs } } });
        let relay = world.create_relay("harbour", &json!({ "sources": [source] })).await;
        wait_until(&pods, "harbour-relay-0", |pod| pod.is_some()).await;
        let [a, b, c]: [u8; 3] = rand::random();
        let address = Ipv4Addr::new(127, a.max(1), b, c.max(1));
        let hash = validate::relay(&relay).unwrap().identity.configuration_hash;
        let _health = Health::start((address, 8081).into(), Running(hash)).unwrap();
        let status =
            json!({ "status": { "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }] } });
        pods.patch_status("harbour-relay-0", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        world.wait_for_condition::<WebhookRelay>("harbour", "Programmed", "True", "Programmed").await;

        let changed = Timestamp::now();
        secrets.patch("front", &PatchParams::default(), &Patch::Merge(token("second"))).await.unwrap();
        wait_until(&pods, "harbour-relay-0", |pod| synced_for(pod) >= Some(changed)).await;
        let deleted = Timestamp::now();
        secrets.delete("front", &DeleteParams::default()).await.unwrap();
        wait_until(&pods, "harbour-relay-0", |pod| synced_for(pod) >= Some(deleted)).await;
    })
    .await;
}

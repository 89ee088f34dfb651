//! A secret is in its Secret and nowhere else, however much the operator is told to log.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use serde_json::json;
use visnyk_cluster_harness::eventually;
use visnyk_crds::{Collector, WebhookRelay};

use crate::process::{Operator, TOKEN};
use crate::world::{World, in_world};

/// Of a user.
const CANARY: &str = "canary-of-a-user-3e8a5b";
/// How many forms of both are looked for.
const TOKENS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_are_in_no_log_at_trace_no_metric_no_status_and_no_event() {
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

/// All that is secret, as it is and as the API server is sent it: of each key a line in its middle.
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

/// In base 64, as JSON has it.
fn encoded(bytes: &[u8]) -> String {
    serde_json::from_value(json!(ByteString(bytes.to_vec()))).unwrap()
}

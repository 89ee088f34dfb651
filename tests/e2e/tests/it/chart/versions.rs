//! Operator, definitions and workloads of different versions.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{eventually, with_temp_ns};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::chart::{self, CHART, RELEASE, SYSTEM};
use visnyk_e2e::kubectl::{root, run};
use visnyk_e2e::stage::{RELAY, Stage, relay, restarts, uids};
use visnyk_e2e::traffic::Traffic;

use super::FIRST;

/// Resources with every field of the first version.
const FULL: &str = "tests/e2e/tests/it/chart/full.yaml";
/// The definition of relays.
const DEFINITION: &str = "webhookrelays.visnyk.dev";
/// The schema of `spec` in a definition, as a JSON pointer.
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Returns the definition of relays, to be applied.
async fn definition(client: &Client) -> Value {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definition = definitions.get(DEFINITION).await.unwrap();
    definition.status = None;
    definition.metadata.managed_fields = None;
    definition.metadata.resource_version = None;
    serde_json::to_value(definition).unwrap()
}

/// Applies the definition as helm does, which refuses to change what is another's.
async fn define(client: &Client, definition: &Value) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let as_helm = PatchParams::apply("helm").force();
    definitions.patch(DEFINITION, &as_helm, &Patch::Apply(definition)).await.unwrap();
}

/// The definition knows a field that neither the operator nor its pods know: they are older.
#[tokio::test]
async fn pod_that_cannot_read_a_newer_field_runs_the_last_manifest() {
    with_temp_ns(async |client, namespace| {
        chart::install(CHART, &[]).await;
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let known = definition(&client).await;
        let mut newer = known.clone();
        newer.pointer_mut(SPEC).unwrap()["properties"]["tide"] = json!({ "type": "string" });
        define(&client, &newer).await;
        let mut spec = relay(1);
        spec["tide"] = json!("high");
        // A server knows a changed definition a moment later.
        let apply = || stage.apply::<WebhookRelay>(RELAY, spec.clone());
        eventually("the definition knows the field", apply, Result::is_ok).await.unwrap();

        // A watch that began before the definition changed does not show the field, and the object is not sent again
        // when it ends: each look changes the object, until the operator has been sent the field.
        let looks = AtomicUsize::new(0);
        let look = async || {
            let look = format!("example.org/look={}", looks.fetch_add(1, Ordering::Relaxed));
            let relay = format!("webhookrelay/{RELAY}");
            run("kubectl", &["annotate", "--namespace", &namespace, "--overwrite", &relay, &look]).await;
            stage.api::<WebhookRelay>().get(RELAY).await.unwrap()
        };
        let is_newer = |relay: &WebhookRelay| {
            let conditions = relay.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.reason == "NewerConfiguration")
        };
        eventually("the pod cannot read it", look, is_newer).await;
        let told = stage.condition::<WebhookRelay>(RELAY, "Programmed", "False").await;
        assert!(told.message.contains("spec.tide: unknown field"), "{told:?}");
        let accepted = stage.condition::<WebhookRelay>(RELAY, "Accepted", "True").await;
        assert!(accepted.message.contains("spec.tide: is not known to this version"), "{accepted:?}");

        let before = stage.relay_pods().await;
        stage.api::<Pod>().delete(&before[0].name_any(), &DeleteParams::default()).await.unwrap();
        stage.fresh_relay_pods(&before, 1).await;
        traffic.goes_on(20).await;
        assert_eq!(restarts(&stage.relay_pods().await[0]), 0, "it ran at once");

        stage.apply::<WebhookRelay>(RELAY, relay(1)).await.unwrap();
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
        define(&client, &known).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

/// Returns the specs of the resources in the namespace, by kind and name, as the API server has them.
async fn specs(namespace: &str) -> Vec<(String, Value)> {
    let kinds = "webhookrelays,collectors";
    let list = run("kubectl", &["get", kinds, "--namespace", namespace, "--output", "json"]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let named =
        |item: &Value| (format!("{} {}", item["kind"], item["metadata"]["name"]), item["spec"].clone());
    list["items"].as_array().unwrap().iter().map(named).collect()
}

/// Adds the paths of the fields that a value has, or that a schema describes, below `at`.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        found.insert(format!("{at}.{name}"));
        paths(inner, &format!("{at}.{name}"), found);
    }
    for item in value.as_array().into_iter().flatten() {
        paths(item, at, found);
    }
}

fn described(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{at}.{name}"));
        described(inner, &format!("{at}.{name}"), found);
        described(&inner["items"], &format!("{at}.{name}"), found);
    }
}

/// Checks that each field that the installed definitions know is set in one of these resources.
async fn assert_every_field_is_set(specs: &[(String, Value)]) {
    for (plural, kind) in [("webhookrelays", "WebhookRelay"), ("collectors", "Collector")] {
        let definition =
            run("kubectl", &["get", "crd", &format!("{plural}.visnyk.dev"), "--output", "json"]).await;
        let definition: Value = serde_json::from_str(&definition).unwrap();
        let (mut known, mut set) = (BTreeSet::new(), BTreeSet::new());
        described(definition.pointer(SPEC).unwrap(), kind, &mut known);
        for (name, spec) in specs.iter().filter(|(name, _)| name.contains(kind)) {
            assert!(name.contains("full-"), "{name}");
            paths(spec, kind, &mut set);
        }
        let missing: Vec<&String> = known.difference(&set).collect();
        assert!(missing.is_empty(), "{FULL} lacks {missing:?}");
    }
}

#[tokio::test]
async fn upgrade_and_rollback_keep_every_field_and_the_relay_goes_on() {
    with_temp_ns(async |client, namespace| {
        chart::uninstall().await;
        chart::install(FIRST, &[]).await;
        let file = root().join(FULL);
        run("kubectl", &["apply", "--namespace", &namespace, "--filename", file.to_str().unwrap()]).await;
        assert_every_field_is_set(&specs(&namespace).await).await;
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let before = (uids(&stage.relay_pods().await), specs(&namespace).await);
        let traffic = Traffic::start(&client, &namespace, RELAY).await;

        let settled = async || {
            stage.ready().await;
            traffic.goes_on(20).await;
            assert_eq!((uids(&stage.relay_pods().await), specs(&namespace).await), before);
        };
        chart::install(CHART, &[]).await;
        settled().await;
        run("helm", &["rollback", RELEASE, "--namespace", SYSTEM, "--wait", "--timeout", "3m"]).await;
        settled().await;
        chart::install(CHART, &[]).await;
        settled().await;
        assert_eq!(stage.relay_pods().await.iter().map(restarts).sum::<i32>(), 0);
        let ledger = traffic.end().await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

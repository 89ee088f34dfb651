//! Children that only some clusters know, children that are no longer wanted, and volumes that grow.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{eventually, wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::stage::{COLLECTOR, RELAY, Stage, relay};
use visnyk_e2e::traffic::Traffic;

/// Kinds that other projects define: group, version, kind and plural.
const OPTIONAL: [(&str, &str, &str, &str); 4] = [
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    ("gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "backendtlspolicies"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("cert-manager.io", "v1", "Certificate", "certificates"),
];

/// Kinds that every cluster knows.
const USUAL: [(&str, &str, &str, &str); 10] = [
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "Service", "services"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
];

fn resource((group, version, kind, plural): (&str, &str, &str, &str)) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

#[tokio::test]
async fn every_kind_of_child_is_made_where_known_and_goes_when_unwanted() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        let fleet = json!({
            "listener": {"tls": {"selfSigned": {}}},
            "spool": {"ephemeral": {}},
            "sources": [{"name": "everybody", "path": "/", "verify": {"none": {}}}],
            "destinations": [{"name": "nowhere", "url": "https://nowhere.example.org/"}],
            "autoscaling": {"maxReplicas": 2},
            "ingress": {"hosts": ["fleet.example.org"]},
            "httpRoute": {"parentRefs": [{"name": "gateway"}], "hostnames": ["fleet.example.org"]},
            "monitoring": {"labels": {"prometheus": "main"}},
        });
        let certified = json!({
            "listener": {"tls": {"certManager": {"issuerRef": {"name": "letters"}}}},
            "storage": {"ephemeral": {}}, "log": {}, "access": {},
        });
        stage.apply::<WebhookRelay>("fleet", fleet).await.unwrap();
        stage.apply::<WebhookRelay>(RELAY, relay(1)).await.unwrap();
        stage.apply::<Collector>(COLLECTOR, certified).await.unwrap();
        define_optional_kinds(&stage).await;
        // The operator looks for new kinds every minute.
        assert_made(&stage).await;

        for kind in USUAL.into_iter().chain(OPTIONAL).map(resource) {
            assert_copy_goes(&stage, &kind).await;
        }
    })
    .await;
}

async fn define_optional_kinds(stage: &Stage) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ));
    let definitions: Api<DynamicObject> = Api::all_with(stage.client.clone(), &kind);
    for (group, version, kind, plural) in OPTIONAL {
        let name = format!("{plural}.{group}");
        // Definitions in this group are protected: this one says by whose leave it is made.
        let approved = json!({"api-approved.kubernetes.io": "unapproved, for tests"});
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name, "annotations": approved},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{
                    "name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": anything},
                }],
            },
        });
        let definition: DynamicObject = serde_json::from_value(definition).unwrap();
        definitions
            .patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(definition))
            .await
            .unwrap();
    }
    let everything = ListParams::default();
    for kind in OPTIONAL.map(resource) {
        let (what, objects) = (format!("{} is served", kind.kind), stage.objects(&kind));
        eventually(&what, || objects.list(&everything), Result::is_ok).await.unwrap();
    }
}

/// Compares the objects of other projects' kinds with the expected ones.
async fn assert_made(stage: &Stage) {
    let spec = async |kind, name| {
        let objects = stage.objects(&resource(kind));
        wait_until(&objects, name, |object| object.is_some()).await.unwrap().data["spec"].clone()
    };
    let [route, policy, monitor, certificate] = OPTIONAL;
    let namespace = &stage.namespace;
    assert_eq!(
        spec(route, "fleet-relay").await,
        json!({
            "parentRefs": [{"name": "gateway"}],
            "hostnames": ["fleet.example.org"],
            "rules": [{"backendRefs": [{"name": "fleet-relay", "port": 443}]}],
        })
    );
    assert_eq!(
        spec(policy, "fleet-relay").await,
        json!({
            "targetRefs": [{"group": "", "kind": "Service", "name": "fleet-relay"}],
            "validation": {
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "fleet-relay-ca"}],
                "hostname": format!("fleet-relay.{namespace}.svc"),
            },
        })
    );
    assert_eq!(
        spec(monitor, "fleet-relay").await["endpoints"],
        json!([{"port": "health", "path": "/metrics", "interval": "30s"}])
    );
    let certificate = spec(certificate, "store-collector-certificate").await;
    assert_eq!(
        certificate["issuerRef"],
        json!({"name": "letters", "kind": "Issuer", "group": "cert-manager.io"})
    );
    assert_eq!(certificate["secretName"], "store-collector-certificate");
}

/// Copies a child under another name, with its owner, as `kubectl get --output yaml | sed | kubectl apply` does.
async fn assert_copy_goes(stage: &Stage, kind: &ApiResource) {
    let objects = stage.objects(kind);
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=visnyk-operator");
    let list = objects.list(&ours).await.unwrap();
    let child = list.items.into_iter().next().unwrap_or_else(|| panic!("there is no {}", kind.kind));
    let mut data = child.data.clone();
    data.as_object_mut().unwrap().remove("status");
    if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) {
        // An address is given once, and pods that are gone in a moment need not begin.
        spec.retain(|field, _| !matches!(&field[..], "clusterIP" | "clusterIPs"));
        spec.entry("replicas").and_modify(|replicas| *replicas = json!(0));
    }
    let metadata = ObjectMeta {
        name: Some("copied".to_owned()),
        labels: Some(child.labels().clone()),
        owner_references: Some(child.owner_references().to_vec()),
        ..ObjectMeta::default()
    };
    objects
        .create(&PostParams::default(), &DynamicObject { metadata, types: child.types, data })
        .await
        .unwrap();
    wait_until(&objects, "copied", |copy| copy.is_none()).await;
}

#[tokio::test]
async fn larger_spool_asks_for_larger_volumes_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let class = growing_class(&client, &namespace).await;
        let mut spec = relay(1);
        spec["spool"]["persistent"]["storageClassName"] = json!(class);
        let stage = Stage::set(&client, &namespace, spec.clone()).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let (sets, claims) = (stage.api::<StatefulSet>(), stage.api::<PersistentVolumeClaim>());
        let (set, pods) = (sets.get("front-relay").await.unwrap(), stage.relay_pods().await);

        spec["spool"]["persistent"]["size"] = json!("128Mi");
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        let asked =
            |claim: &PersistentVolumeClaim| claim.spec.clone()?.resources?.requests?.remove("storage");
        // An eighth and 32Mi more, for the file system.
        let is_larger = |claim: Option<&PersistentVolumeClaim>| {
            claim.and_then(asked).is_some_and(|size| size.0 == "176Mi")
        };
        wait_until(&claims, "data-front-relay-0", is_larger).await;
        wait_until(&sets, "front-relay", |now| now.is_some_and(|now| now.uid() != set.uid())).await;
        // A pod reads the size when it starts.
        stage.fresh_relay_pods(&pods, 1).await;
        stage.ready().await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
        Api::<StorageClass>::all(client).delete(&class, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

/// Creates a class like `standard` whose claims may ask for more. They do not get it here.
async fn growing_class(client: &Client, name: &str) -> String {
    let classes: Api<StorageClass> = Api::all(client.clone());
    let standard = classes.get("standard").await.unwrap();
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let class = StorageClass { metadata, allow_volume_expansion: Some(true), ..standard };
    classes.create(&PostParams::default(), &class).await.unwrap();
    name.to_owned()
}

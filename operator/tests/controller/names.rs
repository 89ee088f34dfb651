//! Tests of objects that belong to others: names that are taken, and Secrets.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::json;
use visnyk_cluster_harness::{DEADLINE, eventually, wait_until};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::{Fate, Line};
use crate::snapshot::{Part, snapshot, wait_for};
use crate::world::{World, in_world, message};

#[tokio::test]
async fn name_that_is_taken_is_a_condition_and_nothing_is_written() {
    in_world(async |mut world| {
        let taken: Service = serde_json::from_value(json!({
            "metadata": { "name": "harbour-relay", "labels": {
                "app.kubernetes.io/managed-by": "visnyk-operator", "app.kubernetes.io/name": "visnyk-relay",
            } },
            "spec": { "ports": [{ "port": 1 }] },
        }))
        .unwrap();
        let services = world.api::<Service>();
        let before = services.create(&PostParams::default(), &taken).await.unwrap();
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        let said =
            world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "NameConflict").await;
        assert!(
            message(&said, "Accepted").contains("children's names: Service harbour-relay: delete them"),
            "{said:?}"
        );
        assert_eq!(services.get("harbour-relay").await.unwrap(), before);
        assert_eq!(world.children().await, ["Service harbour-relay"]);

        services.delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    })
    .await;
}

#[tokio::test]
async fn what_another_made_since_it_was_looked_for_is_not_taken_over() {
    in_world(async |mut world| {
        let theirs = json!({ "metadata": { "name": "harbour-relay-peers" }, "data": {} });
        let theirs: Secret = serde_json::from_value(theirs).unwrap();
        let secrets = world.api::<Secret>();
        let before = secrets.create(&PostParams::default(), &theirs).await.unwrap();
        // So it is for whoever looked before the Secret was there, and writes after.
        let line = Line::new(|request| {
            let looks =
                request.method() == Method::GET && request.uri().path().ends_with("/harbour-relay-peers");
            if looks { Fate::Answered(StatusCode::NOT_FOUND) } else { Fate::Passes }
        });
        world.start_on(&line).await;
        world.create_relay("harbour", &json!({})).await;
        let path = format!("PATCH /api/v1/namespaces/{}/secrets/harbour-relay-peers", world.namespace);
        let tries = || async { line.requests().get(&path).copied().unwrap_or_default() };
        eventually("it tried to make one", tries, |tries| *tries > 1).await;
        line.decide(|_| Fate::Passes);
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "NameConflict").await;
        assert_eq!(secrets.get("harbour-relay-peers").await.unwrap(), before);
    })
    .await;
}

#[tokio::test]
async fn missing_secret_is_a_condition_until_it_is_there() {
    in_world(async |mut world| {
        world.start().await;
        let bearer = json!({ "bearer": { "secretRefs": [{ "name": "token", "key": "value" }] } });
        let sources = json!({ "sources": [{ "name": "closed", "path": "/", "verify": bearer }] });
        world.create_relay("harbour", &sources).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "SecretMissing").await;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": "token" }, "stringData": { "value": "sesame" },
        }))
        .unwrap();
        world.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        world.wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "Spreading").await;
    })
    .await;
}

/// Makes a Secret of the user's with these keys.
async fn make_secret(world: &World, name: &str, keys: &[&str]) {
    let data: BTreeMap<&str, &str> = keys.iter().map(|key| (*key, "sesame")).collect();
    let secret = json!({ "metadata": { "name": name }, "stringData": data });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    world.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
}

#[tokio::test]
async fn what_runs_stays_until_each_secret_of_the_new_spec_is_there() {
    in_world(async |mut world| {
        world.start().await;
        make_secret(&world, "bought", &["tls.crt", "tls.key"]).await;
        make_secret(&world, "half", &["tls.crt"]).await;
        let tls = |name: &str| json!({ "listener": { "tls": { "secretName": name } } });
        let created = world.create_relay("harbour", &tls("bought")).await;
        world.create_collector("logbook", &tls("bought")).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "CertificateReady", "True", "SecretFound").await;
        world.wait_for_condition::<Collector>("logbook", "CertificateReady", "True", "SecretFound").await;
        for claim in ["data-harbour-relay-0", "data-logbook-collector-0"] {
            wait_until(&world.api::<PersistentVolumeClaim>(), claim, |claim| claim.is_some()).await;
        }
        let before = snapshot(&world, Part::Children).await;

        let token = json!({ "bearer": { "secretRefs": [{ "name": "tokne", "key": "value" }] } });
        let sources = json!([{ "name": "open", "path": "/", "verify": token }]);
        let issuer = json!({ "secretName": null, "certManager": { "issuerRef": { "name": "nobody" } } });
        let bought = json!({ "listener": { "tls": { "secretName": "bought", "certManager": null } } });
        let open = json!({ "sources": created.spec.sources });
        let missing = |name: &str| format!("Secret {name} does not exist: create it");
        for (change, back, why) in [
            (tls("typo"), &bought, missing("typo")),
            (tls("half"), &bought, "Secret half has no key tls.key: add it".to_owned()),
            (json!({ "sources": sources }), &open, missing("tokne")),
            (json!({ "listener": { "tls": issuer } }), &bought, missing("harbour-relay-certificate")),
        ] {
            world.change::<WebhookRelay>("harbour", &json!({ "spec": change })).await;
            let said = world
                .wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "SecretMissing")
                .await;
            let held = format!("{why}; the pods keep the spec before this until then");
            assert!(message(&said, "Programmed").starts_with(&held), "{said:?}");
            wait_for(&world, Part::Children, &before, DEADLINE, &why).await;
            world.change::<WebhookRelay>("harbour", &json!({ "spec": back })).await;
            world.wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "Spreading").await;
        }

        world.change::<Collector>("logbook", &json!({ "spec": tls("typo") })).await;
        world.wait_for_condition::<Collector>("logbook", "Programmed", "False", "SecretMissing").await;
        wait_for(&world, Part::Children, &before, DEADLINE, "collector").await;

        // Once it is there, the new spec runs.
        make_secret(&world, "typo", &["tls.crt", "tls.key"]).await;
        let said = world.wait_for_condition::<Collector>("logbook", "Programmed", "False", "Spreading").await;
        assert_eq!(message(&said, "CertificateReady"), "the certificate is in Secret typo");
        let set = world.api::<StatefulSet>().get("logbook-collector").await.unwrap();
        assert!(serde_json::to_string(&set.spec).unwrap().contains("typo/tls.crt"));
    })
    .await;
}

/// As `kubectl delete --cascade=orphan` and a restore from a backup leave them.
#[tokio::test]
async fn orphans_are_adopted_as_they_are_by_a_resource_that_asks_for_it() {
    in_world(async |mut world| {
        world.start().await;
        let tls = json!({ "listener": { "tls": { "selfSigned": {} } } });
        let first = world.create_relay("harbour", &tls).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        wait_until(&world.api::<PersistentVolumeClaim>(), "data-harbour-relay-0", |claim| claim.is_some())
            .await;
        let uids = async || {
            let objects = world.objects().await.into_iter();
            objects.map(|object| (object.name_any(), object.uid())).collect::<BTreeSet<_>>()
        };
        let before = uids().await;
        let relays = world.api::<WebhookRelay>();
        relays
            .delete(
                "harbour",
                &DeleteParams {
                    propagation_policy: Some(PropagationPolicy::Orphan),
                    ..DeleteParams::default()
                },
            )
            .await
            .unwrap();
        wait_until(&relays, "harbour", |relay| relay.is_none()).await;

        let second = world.create_relay("harbour", &tls).await;
        let said =
            world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "NameConflict").await;
        let way = "annotate this one with visnyk.dev/adopt=true to adopt them";
        assert!(message(&said, "Accepted").ends_with(way), "{said:?}");
        let adopt = json!({ "metadata": { "annotations": { "visnyk.dev/adopt": "true" } } });
        world.change::<WebhookRelay>("harbour", &adopt).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(uids().await, before);
        let owner = |object: &DynamicObject| object.owner_references()[0].uid.clone();
        let owners: BTreeSet<String> = world.objects().await.iter().map(owner).collect();
        assert_ne!(first.uid(), second.uid());
        assert_eq!(owners, [second.uid().unwrap()].into());

        // One owner reference that is taken away comes back at once.
        let stripped = json!({ "metadata": { "ownerReferences": null } });
        let services = world.api::<Service>();
        services.patch("harbour-relay", &PatchParams::default(), &Patch::Merge(&stripped)).await.unwrap();
        let is_back = |service: Option<&Service>| service.is_some_and(|it| !it.owner_references().is_empty());
        wait_until(&services, "harbour-relay", is_back).await;
    })
    .await;
}

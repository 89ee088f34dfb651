//! Tests of missing rights: the resource that needs one says so, and goes on once the right is given.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use visnyk_cluster_harness::eventually;
use visnyk_crds::WebhookRelay;
use visnyk_crds::api::Status;

use crate::line::Line;
use crate::world::{World, in_world};

/// A right, by verb and resource.
type Right = (&'static str, &'static str);

const OPERATOR: &str = "operator";

/// Gives the account the rights that the chart gives it in a namespace, but for one.
async fn allow_all_but(world: &World, withheld: Option<Right>) {
    let mut rules = rules_of_the_chart();
    if let Some(right) = withheld {
        rules = rules.iter().flat_map(|rule| without(rule, right)).collect();
    }
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": OPERATOR }, "rules": rules,
    });
    let parameters = PatchParams::apply("test").force();
    world.api::<Role>().patch(OPERATOR, &parameters, &Patch::Apply(&role)).await.unwrap();
}

/// Names the account that the controllers have, and gives it its rights.
async fn act_by_rights(world: &mut World, withheld: Option<Right>) {
    allow_all_but(world, withheld).await;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": { "name": OPERATOR },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": OPERATOR },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR }],
    }))
    .unwrap();
    world.api::<RoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    world.account = Some(OPERATOR.to_owned());
    // The API server hears of a role and its binding a little later.
    comes_to_be(world, ("patch", "pods"), true).await;
}

/// Takes a right away; returns once the API server knows.
async fn withhold(world: &World, right: Right) {
    allow_all_but(world, Some(right)).await;
    comes_to_be(world, right, false).await;
}

/// Waits until the account has a right, or has it no more.
async fn comes_to_be(world: &World, (verb, resource): Right, is_allowed: bool) {
    let rules = rules_of_the_chart();
    let rule = rules.iter().find(|rule| names(rule, resource)).unwrap();
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review: SubjectAccessReview = serde_json::from_value(json!({ "spec": {
        "user": OPERATOR,
        "resourceAttributes": {
            "namespace": world.namespace, "verb": verb, "group": rule.api_groups.as_ref().unwrap()[0],
            "resource": plural, "subresource": subresource,
        },
    } }))
    .unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(world.client.clone());
    let ask = async || reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed;
    eventually(&format!("{verb} {resource}"), ask, |allowed| *allowed == is_allowed).await;
}

/// Returns the rules of the role in `charts/visnyk`.
fn rules_of_the_chart() -> Vec<PolicyRule> {
    let template = include_str!("../../../charts/visnyk/templates/rbac.yaml");
    let (_, rest) = template.split_once("{{- define \"visnyk.rules\" }}").unwrap();
    let (rules, _) = rest.split_once("{{- end }}").unwrap();
    serde_yaml::from_str(rules).unwrap()
}

fn names(rule: &PolicyRule, resource: &str) -> bool {
    rule.resources.iter().flatten().any(|one| one == resource)
}

/// Returns a rule in two: for other resources, and the remainder for this one.
fn without(rule: &PolicyRule, (verb, resource): Right) -> Vec<PolicyRule> {
    if !names(rule, resource) {
        return vec![rule.clone()];
    }
    let but = |all: &[String], one: &str| all.iter().filter(|it| *it != one).cloned().collect::<Vec<_>>();
    let others = but(rule.resources.as_deref().unwrap(), resource);
    let rest = but(&rule.verbs, verb);
    [(others, rule.verbs.clone()), (vec![resource.to_owned()], rest)]
        .into_iter()
        .filter(|(resources, verbs)| !resources.is_empty() && !verbs.is_empty())
        .map(|(resources, verbs)| PolicyRule { resources: Some(resources), verbs, ..rule.clone() })
        .collect()
}

/// Returns the end of the API server's words for a refusal of this right.
fn told((verb, resource): Right, world: &World) -> [String; 2] {
    [
        format!("User \"{OPERATOR}\" cannot {verb} resource \"{resource}\" in API group"),
        format!("in the namespace \"{}\"", world.namespace),
    ]
}

fn condition<'a>(said: &'a Status, about: &str) -> &'a Condition {
    said.conditions.iter().find(|one| one.type_ == about).unwrap()
}

async fn is_refused(world: &World, right: Right) -> Status {
    let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
    let message = &condition(&said, "Accepted").message;
    assert!(told(right, world).iter().all(|part| message.contains(part)), "{right:?}: {message}");
    let ready = condition(&said, "Ready");
    assert_eq!((&ready.status[..], &ready.reason[..]), ("False", "Refused"), "{right:?}");
    said
}

async fn is_accepted(world: &World) -> Status {
    world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await
}

fn relay() -> Value {
    let refs: Vec<Value> = SECRETS.iter().map(|name| json!({ "name": name, "key": "value" })).collect();
    json!({
        "listener": { "tls": { "selfSigned": {} } },
        "sources": [{ "name": "closed", "path": "/", "verify": { "bearer": { "secretRefs": refs } } }],
    })
}

const SECRETS: [&str; 3] = ["token", "token-before", "token-to-come"];

#[tokio::test]
async fn refused_right_is_a_condition_until_it_is_given() {
    in_world(async |mut world| {
        act_by_rights(&mut world, None).await;
        world.start().await;
        world.create_relay("harbour", &relay()).await;
        is_accepted(&world).await;
        let cases = [
            (("get", "secrets"), json!({ "listener": { "maxBodySize": "2Mi" } })),
            (("get", "configmaps"), json!({ "listener": { "maxBodySize": "1Mi" } })),
            (("get", "services"), json!({ "service": { "port": 8443 } })),
            (("patch", "services"), json!({ "service": { "port": 9443 } })),
            (("create", "horizontalpodautoscalers"), json!({ "autoscaling": { "maxReplicas": 3 } })),
            (("delete", "horizontalpodautoscalers"), json!({ "autoscaling": null })),
            (("patch", "webhookrelays"), json!({ "spool": { "onDelete": "Drain" } })),
            // A finalizer that nobody takes off would hold the namespace.
            (("patch", "webhookrelays"), json!({ "spool": { "onDelete": "Retain" } })),
            (("get", "webhookrelays"), json!({ "ingress": { "hosts": ["harbour.example.org"] } })),
        ];
        for (right, change) in cases {
            withhold(&world, right).await;
            world.change::<WebhookRelay>("harbour", &json!({ "spec": change })).await;
            is_refused(&world, right).await;
            // Nothing else happens that could make the operator look.
            allow_all_but(&world, None).await;
            is_accepted(&world).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_stays_refused_is_tried_again_and_not_written_again() {
    in_world(async |mut world| {
        act_by_rights(&mut world, None).await;
        let line = Line::sound();
        world.start_on(&line).await;
        for name in SECRETS {
            let secret: Secret = serde_json::from_value(
                json!({ "metadata": { "name": name }, "stringData": { "value": "sesame" } }),
            )
            .unwrap();
            world.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        }
        let mut resting = relay();
        resting["replicas"] = json!(0);
        world.create_relay("harbour", &resting).await;
        let before =
            world.wait_for_condition::<WebhookRelay>("harbour", "Available", "False", "ScaledToZero").await;
        withhold(&world, ("get", "secrets")).await;
        let status = format!(
            "PATCH /apis/visnyk.dev/v1alpha1/namespaces/{}/webhookrelays/harbour/status",
            world.namespace
        );
        // Whichever Secret is read first is refused first.
        let look = format!("GET /api/v1/namespaces/{}/secrets/", world.namespace);
        let count = |request: &str| {
            let requests = line.requests();
            requests
                .iter()
                .filter(|(seen, _)| seen.starts_with(request))
                .map(|(_, count)| count)
                .sum::<usize>()
        };
        world
            .change::<WebhookRelay>("harbour", &json!({ "spec": { "listener": { "maxBodySize": "2Mi" } } }))
            .await;
        let after = is_refused(&world, ("get", "secrets")).await;
        let tries = async |more: usize| {
            let before = count(&look);
            eventually("it is tried again", async || count(&look), |looks| *looks >= before + more).await;
        };
        // A reconcile that begins before what the last one wrote has come back says it once more.
        tries(2).await;
        let written = count(&status);
        tries(3).await;
        assert_eq!(count(&status), written);

        // What was known of the rest is known still.
        let rest = |said: &Status| said.conditions[2..].to_vec();
        assert_eq!(rest(&after), rest(&before));
        assert_eq!(after.url, before.url);
    })
    .await;
}

#[tokio::test]
async fn refused_watch_is_a_condition_and_nothing_is_made_blindly() {
    in_world(async |mut world| {
        let right = ("list", "secrets");
        act_by_rights(&mut world, Some(right)).await;
        world.start().await;
        world.create_relay("harbour", &relay()).await;
        let said = is_refused(&world, right).await;
        let all: Vec<(&str, &str)> =
            said.conditions.iter().map(|one| (&one.type_[..], &one.status[..])).collect();
        let unknown = ["Programmed", "Available", "CertificateReady", "Durable", "Delivering"];
        let expected: Vec<(&str, &str)> = [("Ready", "False"), ("Accepted", "False")]
            .into_iter()
            .chain(unknown.map(|about| (about, "Unknown")))
            .collect();
        assert_eq!(all, expected);
        assert_eq!(world.children().await, Vec::<String>::new());

        allow_all_but(&world, None).await;
        is_accepted(&world).await;
    })
    .await;
}

#[tokio::test]
async fn status_that_may_not_be_written_is_an_event() {
    in_world(async |mut world| {
        let right = ("patch", "webhookrelays/status");
        act_by_rights(&mut world, Some(right)).await;
        world.start().await;
        world.create_relay("harbour", &relay()).await;
        let events = world.api::<Event>();
        let notes = async || {
            let events = events.list(&ListParams::default()).await.unwrap().items.into_iter();
            let warned = events.filter(|event| event.reason.as_deref() == Some("Refused"));
            warned.filter_map(|event| event.note).collect::<Vec<String>>()
        };
        let parts = told(right, &world);
        let tells =
            |notes: &Vec<String>| notes.iter().any(|note| parts.iter().all(|part| note.contains(part)));
        eventually("an Event that names the right", notes, tells).await;
    })
    .await;
}

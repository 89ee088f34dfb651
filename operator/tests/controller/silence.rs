//! Nothing is written when nothing changed.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{advance, pause, resume, sleep};
use visnyk_cluster_harness::{AuditEvent, AuditLog, eventually};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::{Fate, Line};
use crate::world::{World, in_world};

/// Returns the writes of the controllers, without their reads: the cluster's own controllers have other names.
fn written(log: &AuditLog, world: &World) -> Vec<String> {
    let ours = |event: &AuditEvent| event.user.username == "admin" && !event.request_uri.contains("dryRun");
    let writes = log.writes_in(&world.namespace).unwrap();
    let told = |event: &AuditEvent| {
        let object = event.object_ref.clone().unwrap_or_default();
        format!("{} {}/{} {}: {}", event.verb, object.resource, object.subresource, object.name, event.code())
    };
    writes.iter().filter(|event| ours(event)).map(told).collect()
}

async fn settled(world: &World, line: &Line) {
    world.wait_for_condition::<WebhookRelay>("harbour", "Available", "False", "NoPodReady").await;
    world.wait_for_condition::<Collector>("logbook", "Available", "False", "NoPodReady").await;
    calm(line).await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes_nor_after_a_restart() {
    in_world(async |mut world| {
        let line = Line::sound();
        world.start_on(&line).await;
        let resources = json!({ "requests": { "cpu": "0.5", "memory": "1024Mi" } });
        let spec = json!({
            "pod": { "resources": resources, "tolerations": [{ "key": "spot", "operator": "Exists" }] },
            "autoscaling": { "maxReplicas": 3 }, "ingress": { "hosts": ["harbour.example.org"] },
            "listener": { "tls": { "selfSigned": {} } },
            "destinations": [{ "name": "quay", "collectorRef": { "name": "logbook" } }],
        });
        world.create_relay("harbour", &spec).await;
        world.create_collector("logbook", &json!({})).await;
        settled(&world, &line).await;

        let log = AuditLog::from_now().unwrap();
        // A reconcile for each, without a change of anything.
        let touch = json!({ "metadata": { "annotations": { "example.org/note": "look" } } });
        let patch = Patch::Merge(&touch);
        world.api::<WebhookRelay>().patch("harbour", &PatchParams::default(), &patch).await.unwrap();
        world.api::<Collector>().patch("logbook", &PatchParams::default(), &patch).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        let touches = ["patch webhookrelays/ harbour: 200", "patch collectors/ logbook: 200"];
        assert_eq!(written(&log, &world), touches);

        world.stop().await;
        let log = AuditLog::from_now().unwrap();
        world.start().await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(written(&log, &world), Vec::<String>::new());
    })
    .await;
}

/// Returns the number of resources: what a restart must not do would add up.
fn many() -> usize {
    if std::env::var_os("VISNYK_SOAK").is_some() { 200 } else { 40 }
}

#[tokio::test]
async fn restart_with_many_unchanged_resources_writes_nothing() {
    in_world(async |mut world| {
        let line = Line::sound();
        world.start_on(&line).await;
        let names: Vec<String> = (0..many()).map(|number| format!("harbour-{number}")).collect();
        // Without pods: the cluster's own controllers take longer for these than the operator for all the rest.
        let resting = json!({ "replicas": 0, "spool": { "ephemeral": {} } });
        join_all(names.iter().map(|name| world.create_relay(name, &resting))).await;
        let begun = Instant::now();
        eventually("each is at rest", || at_rest(&world), |count| *count == names.len()).await;
        calm(&line).await;
        println!("{} resources were at rest after {:.1} s", names.len(), begun.elapsed().as_secs_f32());
        world.stop().await;

        let (log, line) = (AuditLog::from_now().unwrap(), Line::sound());
        world.start_on(&line).await;
        let compared = |name: &&String| {
            let child = format!("/apis/apps/v1/namespaces/{}/deployments/{name}-relay", world.namespace);
            reads(&line, &child) > 0
        };
        let visited = async || names.iter().filter(compared).count();
        eventually("each is compared with what it should be", visited, |count| *count == names.len()).await;
        calm(&line).await;
        assert_eq!(written(&log, &world), Vec::<String>::new());
    })
    .await;
}

/// Returns the number of relays that have no pods, as they should.
async fn at_rest(world: &World) -> usize {
    let relays = world.api::<WebhookRelay>().list(&ListParams::default()).await.unwrap();
    let is_at_rest = |relay: &&WebhookRelay| {
        relay.status.iter().flat_map(|said| &said.conditions).any(|one| one.reason == "ScaledToZero")
    };
    relays.iter().filter(is_at_rest).count()
}

/// Returns once no answer is waited for, and nothing was written for longer than one takes on a busy machine.
async fn calm(line: &Line) {
    loop {
        let before = line.writes();
        sleep(Duration::from_secs(5)).await;
        if line.writes() == before && line.is_quiet() {
            return;
        }
    }
}

/// Step of time: less than anything of the controllers' own is late by.
const STEP: Duration = Duration::from_secs(5);

/// Lets that much time pass on the clocks of the controllers, and none while they wait for an answer.
async fn pass(time: Duration, line: &Line) {
    // A paused clock jumps to the next timer when tokio has nothing to do, and to wait for an API server is nothing
    // to it. What blocks holds it back.
    let (over, held) = mpsc::channel::<()>();
    let holding = spawn_blocking(move || held.recv());
    pause();
    for _ in 0..time.as_secs() / STEP.as_secs() {
        advance(STEP).await;
        let turn = || spawn_blocking(|| std::thread::sleep(Duration::from_millis(3)));
        turn().await.unwrap();
        while !line.is_quiet() {
            turn().await.unwrap();
        }
    }
    resume();
    drop(over);
    let _ = holding.await;
}

#[tokio::test]
async fn nothing_is_written_in_an_idle_hour() {
    in_world(async |mut world| {
        let line = Line::sound();
        world.start_on(&line).await;
        let spec = json!({ "destinations": [{ "name": "quay", "collectorRef": { "name": "logbook" } }] });
        world.create_relay("harbour", &spec).await;
        world.create_collector("logbook", &json!({})).await;
        settled(&world, &line).await;

        let (log, before) = (AuditLog::from_now().unwrap(), looks(&line, &world, "harbour"));
        pass(Duration::from_hours(1), &line).await;
        let visits = looks(&line, &world, "harbour") - before;
        // One a minute, and what a reconcile takes: the clock goes on between its requests.
        assert!((30..=61).contains(&visits), "{visits} visits in an hour");
        assert_eq!(written(&log, &world), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_nor_claimed_of_a_certificate_that_cannot_be_made() {
    in_world(async |mut world| {
        let line = Line::new(|request| {
            let is_refused =
                request.method() == Method::PATCH && request.uri().path().ends_with("/skiff-relay-tls");
            if is_refused { Fate::Answered(StatusCode::FORBIDDEN) } else { Fate::Passes }
        });
        let taken = json!({ "metadata": { "name": "harbour-relay" }, "spec": { "ports": [{ "port": 1 }] } });
        let taken: Service = serde_json::from_value(taken).unwrap();
        world.api::<Service>().create(&PostParams::default(), &taken).await.unwrap();
        world.start_on(&line).await;
        for (name, reason) in [("harbour", "NameConflict"), ("skiff", "Refused")] {
            world.create_relay(name, &json!({ "listener": { "tls": { "selfSigned": {} } } })).await;
            world.wait_for_condition::<WebhookRelay>(name, "Accepted", "False", reason).await;
            world.wait_for_condition::<WebhookRelay>(name, "CertificateReady", "False", "NotIssued").await;
        }
        calm(&line).await;

        let (log, before) = (AuditLog::from_now().unwrap(), looks(&line, &world, "harbour"));
        pass(Duration::from_mins(2), &line).await;
        let visits = looks(&line, &world, "harbour") - before;
        assert!(visits >= 5, "{visits} visits in two minutes");
        assert_eq!(written(&log, &world), Vec::<String>::new());
    })
    .await;
}

/// Returns the number of reconciles of this relay that began to read.
fn looks(line: &Line, world: &World, relay: &str) -> usize {
    reads(line, &format!("/api/v1/namespaces/{}/secrets/{relay}-relay-peers", world.namespace))
}

/// Returns the number of reads of an object.
fn reads(line: &Line, path: &str) -> usize {
    line.requests().get(&format!("GET {path}")).copied().unwrap_or_default()
}

//! Configuration without a restart: what changes is live in seconds, what is wrong changes nothing.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tokio::time::sleep;
use visnyk_cluster_harness::with_temp_ns;
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::stage::{RELAY, Stage, add_source, collector, relay, restarts, uids};
use visnyk_e2e::traffic::{self, Ledger, Traffic, assert_collected, collected};

/// Time within which a change is active on every replica.
const LIVE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn changed_source_is_live_on_three_replicas_in_five_seconds() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(3)).await;
        let before = stage.relay_pods().await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let (http, url) = traffic::sender(&client, &namespace, RELAY).await;
        let url = format!("{url}added");
        assert_eq!(http.post(&url).body("{}").send().await.unwrap().status(), 404);

        let mut spec = relay(3);
        add_source(&mut spec);
        let changed = Instant::now();
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        // A connection each, so that all three are asked: live is what so many in a row find.
        let mut in_a_row = 0;
        let mut live = changed;
        while in_a_row < 30 {
            let status = http.post(&url).body("{}").send().await.unwrap().status();
            in_a_row = if status == 200 { in_a_row + 1 } else { 0 };
            if in_a_row == 1 {
                live = Instant::now();
            }
            assert!(changed.elapsed() < LIVE * 6, "the new source is not live; the last answer was {status}");
            if status != 200 {
                sleep(Duration::from_millis(20)).await;
            }
        }
        eprintln!("a changed source was live on three replicas after {:?}", live - changed);
        assert!(live - changed < LIVE, "{:?}", live - changed);
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;

        let after = stage.relay_pods().await;
        assert_eq!(uids(&after), uids(&before));
        assert_eq!(after.iter().map(restarts).sum::<i32>(), 0);
        let ledger = traffic.end().await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn changed_destination_is_live_on_three_replicas_in_five_seconds() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(3)).await;
        stage.apply::<Collector>("annex", collector()).await.unwrap();
        stage.condition::<Collector>("annex", "Ready", "True").await;
        let before = stage.relay_pods().await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;

        let mut spec = relay(3);
        spec["destinations"][0]["service"]["name"] = json!("annex-collector");
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        sleep(LIVE).await;
        let until_then = traffic.ledger();
        traffic.goes_on(60).await;
        assert_eq!(uids(&stage.relay_pods().await), uids(&before));
        let ledger = traffic.end().await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);

        // What was under way when the change came went to the first; whatever is accepted once it is live does not.
        let annex = stage.pod_of_collector("annex").await;
        let accepted = ledger.accepted.difference(&until_then.accepted).copied().collect();
        assert_collected(&namespace, &annex, &Ledger { accepted, ..Ledger::default() }).await;
        let first = collected(&namespace, &stage.collector_pod().await).await;
        let second = collected(&namespace, &annex).await;
        let late: Vec<_> = first.difference(&until_then.accepted).collect();
        assert!(late.is_empty(), "{late:?} went where nothing goes any more");
        assert_eq!(ledger.accepted.difference(&(&first | &second)).next(), None, "nothing is lost");
    })
    .await;
}

#[tokio::test]
async fn programmed_is_true_only_once_every_pod_runs_the_new_configuration() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let mut spec = relay(2);
        add_source(&mut spec);
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
        // From then on no pod may answer by the old one.
        let (http, url) = traffic::sender(&client, &namespace, RELAY).await;
        let url = format!("{url}added");
        for _ in 0..30 {
            assert_eq!(http.post(&url).body("{}").send().await.unwrap().status(), 200);
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_spec_changes_nothing_and_the_last_good_one_survives_every_pod() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let mut spec = relay(1);
        // The schema takes it; only who compiles it sees that it cannot be.
        let wrong = json!({"name": "wrong", "url": "https://example.org:99999/"});
        spec["destinations"].as_array_mut().unwrap().push(wrong);
        stage.apply::<WebhookRelay>(RELAY, spec.clone()).await.expect("the schema takes it");
        let refused = stage.condition::<WebhookRelay>(RELAY, "Accepted", "False").await;
        assert!(refused.message.contains("destinations"), "{refused:?}");

        let pods = stage.api::<Pod>();
        let labels = format!("app.kubernetes.io/name=visnyk-relay,app.kubernetes.io/instance={RELAY}");
        let before = stage.relay_pods().await;
        pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels(&labels))
            .await
            .unwrap();
        spec["replicas"] = json!(2);
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        stage.fresh_relay_pods(&before, 2).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

//! The operator: a second one takes over when the first ends or hangs, and so does another installation.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::chart::{self, CHART, SYSTEM};
use visnyk_e2e::node;
use visnyk_e2e::stage::{RELAY, Stage, relay};

#[tokio::test]
async fn second_operator_takes_over_and_heals_when_the_first_hangs() {
    with_temp_ns(async |client, namespace| {
        chart::install(CHART, &["replicas=2"]).await;
        let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
        let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let first = holder(&leases).await;
        let leader = pods.get(&first).await.unwrap();
        node::signal(&leader, "visnyk-operator", Signal::STOP);
        let hung = Instant::now();
        let maps = stage.api::<ConfigMap>();
        maps.delete("front-relay", &DeleteParams::default()).await.unwrap();

        let another = |lease: Option<&Lease>| {
            let holder = lease.and_then(|lease| lease.spec.as_ref()?.holder_identity.as_ref());
            holder.is_some_and(|holder| *holder != first)
        };
        wait_until(&leases, "visnyk-operator", another).await;
        wait_until(&maps, "front-relay", |map| map.is_some()).await;
        let took = hung.elapsed();
        eprintln!("operator hung: another had healed after {took:?}");
        assert!(took < Duration::from_secs(30), "{took:?}");
        // The kubelet has ended the first by now, or does soon; it comes back and waits.
        let began = Instant::now();
        while node::process(&leader, "visnyk-operator").is_some() && began.elapsed() < Duration::from_mins(1)
        {
            if pods.get(&first).await.is_ok_and(|pod| visnyk_e2e::stage::restarts(&pod) > 0) {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        assert_ne!(holder(&leases).await, first);
    })
    .await;
}

#[tokio::test]
async fn claim_of_an_operator_that_is_gone_ends_by_itself() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let relays = stage.api::<WebhookRelay>();
        let claimed = json!({ "status": { "operator": "not-there/visnyk-operator" } });
        relays.patch_status(RELAY, &PatchParams::default(), &Patch::Merge(&claimed)).await.unwrap();
        let is_managed = |relay: Option<&WebhookRelay>| {
            let status = relay.and_then(|relay| relay.status.as_ref());
            status.and_then(|status| status.operator.as_deref()) == Some("visnyk-system/visnyk-operator")
        };
        wait_until(&relays, RELAY, is_managed).await;
    })
    .await;
}

async fn holder(leases: &Api<Lease>) -> String {
    let held = |lease: Option<&Lease>| {
        lease.is_some_and(|lease| lease.spec.as_ref().is_some_and(|spec| spec.holder_identity.is_some()))
    };
    let lease = wait_until(leases, "visnyk-operator", held).await;
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap()
}

//! Recovery without help: each process that ends or hangs is restarted, and no accepted event is lost.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use rustix::process::{Signal, kill_process};
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_e2e::node;
use visnyk_e2e::stage::{RELAY, Stage, is_ready, relay, restarts, uids};
use visnyk_e2e::traffic::{Traffic, assert_collected};

#[tokio::test]
async fn killed_process_is_started_again_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        node::signal(&pod, "visnyk-relay", Signal::KILL);
        let back = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1 && is_ready(pod));
        wait_until(&stage.api::<Pod>(), &pod.name_any(), back).await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        eprintln!("process killed: longest gap {:?}", ledger.longest_gap());
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn hung_process_is_restarted_within_the_probes_bound_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        let hung = Instant::now();
        node::signal(&pod, "visnyk-relay", Signal::STOP);
        let restarted = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1);
        wait_until(&stage.api::<Pod>(), &pod.name_any(), restarted).await;
        // Three probes in 15 s, each waited for 2 s, and 5 s to go.
        let took = hung.elapsed();
        eprintln!("process hung: restarted after {took:?}");
        assert!(took < Duration::from_secs(40), "{took:?}");
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

/// Hangs a loop by a file that names it. The file is root's, and the folder the relay's, so that the relay can remove
/// it.
#[tokio::test]
async fn process_with_a_hung_loop_is_restarted_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        let hung = Instant::now();
        node::stall(&pod, "visnyk-relay", "dispatcher archive");
        let restarted = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1);
        wait_until(&stage.api::<Pod>(), &pod.name_any(), restarted).await;
        // A loop may be silent for 25 s; then three probes in 15 s, each waited for 2 s, and 5 s to go.
        let took = hung.elapsed();
        eprintln!("loop hung: restarted after {took:?}");
        assert!(took > Duration::from_secs(25) && took < Duration::from_secs(65), "{took:?}");
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_pods_come_back_and_the_collector_gets_what_it_missed() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let collector = stage.collector_pod().await;
        let pods = stage.api::<Pod>();
        pods.delete(&collector.name_any(), &DeleteParams::default()).await.unwrap();
        traffic.goes_on(40).await;
        let relay = stage.relay_pods().await.remove(0);
        pods.delete(&relay.name_any(), &DeleteParams::default()).await.unwrap();
        wait_until(&pods, &relay.name_any(), |pod| {
            pod.is_some_and(|pod| pod.uid() != relay.uid() && is_ready(pod))
        })
        .await;
        traffic.goes_on(40).await;
        let ledger = traffic.end().await;
        let back = stage.collector_pod().await;
        assert_ne!(uids(std::slice::from_ref(&back)), uids(&[collector]));
        assert_collected(&namespace, &back, &ledger).await;
    })
    .await;
}

/// Shows that running pods continue, and that pods that fail meanwhile are restarted when the kubelet is back. The
/// kubelet may take a pod for not ready until it has probed it, and then no request gets through to an only replica.
#[tokio::test]
async fn restarted_kubelet_restarts_no_pod_and_goes_on_healing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let before = stage.relay_pods().await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let kubelet = node::kubelet().unwrap();
        kill_process(kubelet, Signal::KILL).unwrap();
        traffic.until("a new kubelet runs", |_| node::kubelet().is_some_and(|now| now != kubelet)).await;
        traffic.goes_on(100).await;
        eprintln!("kubelet restarted: longest gap {:?}", traffic.ledger().longest_gap());
        let after = stage.relay_pods().await;
        assert_eq!((uids(&after), after.iter().map(restarts).sum::<i32>()), (uids(&before), 0));

        node::signal(&before[0], "visnyk-relay", Signal::KILL);
        let back = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1 && is_ready(pod));
        wait_until(&stage.api::<Pod>(), &before[0].name_any(), back).await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

//! Features that the tier with a node gives a test: pods that a kubelet runs, Services with names, volumes with
//! limits.

mod web;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{EvictParams, ListParams, PostParams};
use serde_json::json;
use visnyk_cluster_harness::{image, restricted_container, restricted_pod, wait_until, with_temp_ns};
use web::Web;

#[tokio::test]
async fn a_container_that_falls_ill_is_restarted_by_the_kubelet() {
    with_temp_ns(async |client, namespace| {
        let web = Web::start(&client, &namespace, "16Mi").await;
        let pod = web.ready_pod().await;
        assert_eq!(web.restarts(&pod).await, 0);
        web.call("POST", "/break", "").await;

        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        wait_until(&pods, &pod, |pod| pod.is_some_and(|pod| web::restarts(pod) == 1 && web::is_ready(pod)))
            .await;
        assert_eq!(web.call("GET", "/healthz", "").await, "healthy");
        let events = Api::<Event>::namespaced(client, &namespace).list(&ListParams::default()).await.unwrap();
        let reasons: Vec<_> = events.iter().filter_map(|event| event.reason.as_deref()).collect();
        assert!(reasons.contains(&"Unhealthy") && reasons.contains(&"Killing"), "{reasons:?}");
    })
    .await;
}

#[tokio::test]
async fn a_file_on_a_volume_is_kept_when_its_pod_is_evicted_and_returns() {
    with_temp_ns(async |client, namespace| {
        let web = Web::start(&client, &namespace, "16Mi").await;
        let first = web.ready_pod().await;
        // Written as user 65532: only fsGroup lets it.
        web.call("POST", "/kept", "written before").await;

        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.evict(&first, &EvictParams::default()).await.unwrap();
        wait_until(&pods, &first, |pod| pod.is_none()).await;
        assert_ne!(web.ready_pod().await, first);
        assert_eq!(web.call("GET", "/kept", "").await, "written before");
    })
    .await;
}

#[tokio::test]
async fn a_volume_takes_what_was_asked_for_and_no_more() {
    with_temp_ns(async |client, namespace| {
        const MI: u64 = 1 << 20;
        let web = Web::start(&client, &namespace, "32Mi").await;
        web.ready_pod().await;
        let filled: u64 = web.call("POST", "/fill", "").await.parse().unwrap();
        assert!((20 * MI..32 * MI).contains(&filled), "{filled} bytes fit on a volume of 32Mi");
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_would_run_as_root_is_refused() {
    with_temp_ns(async |client, namespace| {
        let mut spec = restricted_pod(&restricted_container(&image("visnyk-test-workload"), &["serve"]));
        spec["securityContext"] = json!({"runAsUser": 0});
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "root"}, "spec": spec})).unwrap();
        let refused =
            Api::namespaced(client, &namespace).create(&PostParams::default(), &pod).await.unwrap_err();
        assert!(refused.to_string().contains("violates PodSecurity"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn what_a_pod_uses_is_measured_for_autoscalers() {
    with_temp_ns(async |client, namespace| {
        let web = Web::start(&client, &namespace, "16Mi").await;
        let pod = web.ready_pod().await;
        let resource = kube::core::ApiResource {
            plural: "pods".to_owned(),
            ..kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
                "metrics.k8s.io",
                "v1beta1",
                "PodMetrics",
            ))
        };
        let metrics: Api<kube::api::DynamicObject> = Api::namespaced_with(client, &namespace, &resource);
        // This API cannot be watched: it is asked until the second scrape has come.
        let measured = tokio::time::timeout(visnyk_cluster_harness::DEADLINE, async {
            loop {
                match metrics.get_opt(&pod).await.unwrap() {
                    Some(measured) => break measured,
                    None => tokio::time::sleep(std::time::Duration::from_millis(500)).await,
                }
            }
        });
        let usage = &measured.await.expect("the pod is measured").data["containers"][0]["usage"];
        assert!(usage["cpu"].is_string() && usage["memory"].is_string(), "{usage}");
    })
    .await;
}

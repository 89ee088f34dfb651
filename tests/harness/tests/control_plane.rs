//! Features that both tiers of the cluster give a test: an API server that answers, and a log of the requests to it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use visnyk_cluster_harness::{AuditLog, describe, with_temp_ns};

fn note(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": "kept value"}}))
        .expect("a ConfigMap as the API has it")
}

#[tokio::test]
async fn the_audit_log_tells_each_write_of_a_test_and_who_made_it() {
    with_temp_ns(async |client, namespace| {
        let log = AuditLog::from_now().unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.create(&PostParams::default(), &note("first")).await.unwrap();
        maps.create(&PostParams::default(), &note("first")).await.expect_err("it is there already");
        maps.get("first").await.unwrap();
        maps.delete("first", &DeleteParams::default()).await.unwrap();

        let mine = |event: &&visnyk_cluster_harness::AuditEvent| event.user.username == "admin";
        let writes = log.writes_in(&namespace).unwrap();
        let told: Vec<_> =
            writes.iter().filter(mine).map(|event| (event.verb.as_str(), event.code())).collect();
        assert_eq!(told, [("create", 201), ("create", 409), ("delete", 200)]);
        let reads = log.events(|event| event.verb == "get" && event.namespace() == namespace).unwrap();
        assert_eq!(reads.iter().filter(mine).count(), 1, "{reads:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_failed_test_is_explained_and_its_namespace_goes() {
    with_temp_ns(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        maps.create(&PostParams::default(), &note("evidence")).await.unwrap();
        let told = describe(&client, &namespace).await;
        assert!(told.contains("ConfigMap evidence") && told.contains("kept value"), "{told}");
    })
    .await;

    let (sender, receiver) = tokio::sync::oneshot::channel();
    let failed = tokio::spawn(with_temp_ns(async move |client, namespace| {
        sender.send((client, namespace)).map_err(|_| "nobody listens").unwrap();
        panic!("as planned");
    }));
    let (client, namespace) = receiver.await.unwrap();
    assert!(failed.await.unwrap_err().is_panic(), "the test's failure is the caller's");
    let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(client);
    let left = namespaces.get_opt(&namespace).await.unwrap();
    assert!(left.is_none_or(|left| left.metadata.deletion_timestamp.is_some()));
}

//! The chart: limited to some namespaces, uninstalled and installed again, and upgraded from its first version.

mod versions;

use kube::api::{Api, DeleteParams};
use serde_json::json;
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::chart::{self, CHART, RELEASE, SYSTEM};
use visnyk_e2e::kubectl::{run, shell, try_run};
use visnyk_e2e::stage::{RELAY, Stage, add_source, relay, restarts, uids};
use visnyk_e2e::traffic::{Traffic, assert_collected};

/// The chart as it was first packaged.
const FIRST: &str = "charts/fixtures/visnyk-0.1.0.tgz";

#[tokio::test]
async fn operator_of_some_namespaces_has_rights_there_and_nowhere_else() {
    with_temp_ns(async |client, namespace| {
        chart::install(CHART, &[&format!("watchNamespaces={{{namespace}}}")]).await;
        let role = try_run("kubectl", &["get", "clusterrole", "visnyk-operator"]).await;
        assert!(role.is_err_and(|said| said.contains("NotFound")));
        run("kubectl", &["get", "role", "visnyk-operator", "--namespace", &namespace]).await;
        let elsewhere = Stage { client: client.clone(), namespace: "default".to_owned() };
        elsewhere.apply::<Collector>("elsewhere", json!({
            "listener": {"tls": {"selfSigned": {}}}, "storage": {"ephemeral": {}}, "log": {}, "access": {},
        })).await.unwrap();

        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;

        let collectors: Api<Collector> = elsewhere.api();
        assert_eq!(collectors.get("elsewhere").await.unwrap().status, None);
        chart::install(CHART, &[]).await;
        elsewhere.condition::<Collector>("elsewhere", "Ready", "True").await;
        collectors.delete("elsewhere", &DeleteParams::default()).await.unwrap();
        wait_until(&collectors, "elsewhere", |collector| collector.is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn release_that_looks_after_a_namespace_of_another_is_refused() {
    with_temp_ns(async |_, namespace| {
        let other = |setting: String| {
            let args = ["install", "other", CHART, "--namespace", &namespace, "--dry-run=server", "--set"];
            let settings = format!("crds.install=false,{setting}");
            let args: Vec<String> = args.into_iter().map(str::to_owned).chain([settings]).collect();
            async move { try_run("helm", &args.iter().map(String::as_str).collect::<Vec<_>>()).await }
        };
        chart::install(CHART, &[&format!("watchNamespaces={{{namespace}}}")]).await;
        let told = format!("release {RELEASE} in namespace {SYSTEM} looks after {namespace}");
        for overlapping in [format!("watchNamespaces={{default,{namespace}}}"), "replicas=1".to_owned()] {
            let said = other(overlapping.clone()).await.expect_err(&overlapping);
            assert!(said.contains(&told), "{said}");
        }
        other("watchNamespaces={default}".to_owned()).await.unwrap();
        other("checkOverlap=false".to_owned()).await.unwrap();
        chart::install(CHART, &[]).await;
        let said = other("watchNamespaces={default}".to_owned()).await.expect_err("it looks after all");
        assert!(said.contains("looks after all namespaces"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn uninstall_keeps_what_runs_and_the_next_operator_takes_over() {
    with_temp_ns(async |client, namespace| {
        chart::install(CHART, &[]).await;
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let before = uids(&stage.relay_pods().await);
        let traffic = Traffic::start(&client, &namespace, RELAY).await;

        let manifest = format!("manifest=$(helm get manifest {RELEASE} --namespace {SYSTEM})");
        let uninstall = format!("helm uninstall {RELEASE} --namespace {SYSTEM} --wait >/dev/null");
        let left = "kubectl get --ignore-not-found --output name --filename - <<<$manifest";
        let definition = "customresourcedefinition.apiextensions.k8s.io";
        assert_eq!(
            shell(&format!("{manifest}; {uninstall}; {left}")).await.lines().collect::<Vec<_>>(),
            [format!("{definition}/collectors.visnyk.dev"), format!("{definition}/webhookrelays.visnyk.dev")],
        );
        run("kubectl", &["get", "lease", "visnyk-operator", "--namespace", SYSTEM]).await;
        traffic.goes_on(20).await;

        let mut spec = relay(1);
        add_source(&mut spec);
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        chart::install(CHART, &[]).await;
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
        let after = stage.relay_pods().await;
        assert_eq!((uids(&after), after.iter().map(restarts).sum::<i32>()), (before, 0));
        let ledger = traffic.end().await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn upgrade_from_the_first_version_restarts_no_pod_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        chart::uninstall().await;
        chart::install(FIRST, &[]).await;
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let before = uids(&stage.relay_pods().await);
        let collector = stage.collector_pod().await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;

        chart::install(CHART, &[]).await;
        let mut spec = relay(2);
        add_source(&mut spec);
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
        let after = stage.relay_pods().await;
        assert_eq!((uids(&after), after.iter().map(restarts).sum::<i32>()), (before, 0));
        let ledger = traffic.end().await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
        assert_eq!(uids(&[stage.collector_pod().await]), uids(std::slice::from_ref(&collector)));
        assert_collected(&namespace, &collector, &ledger).await;
    })
    .await;
}

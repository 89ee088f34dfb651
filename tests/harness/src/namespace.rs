//! A namespace for each test.

use std::collections::BTreeMap;
use std::future::Future;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};

use crate::{describe, wait_until};

/// Runs a test in a namespace of its own, named after it, which admits only pods
/// that meet the restricted Pod Security Standard.
///
/// A test that panics is explained on stderr, by every object, event and pod log
/// of its namespace, and then goes on to fail. The namespace is deleted either way.
///
/// # Panics
/// When the test does, or when there is no cluster to run it on.
pub async fn with_temp_ns<Test, Outcome>(test: Test)
where
    Test: FnOnce(Client, String) -> Outcome,
    Outcome: Future<Output = ()> + Send + 'static,
{
    let client = Client::try_default()
        .await
        .expect("no cluster: run by `make test-cluster`, through tests/cluster/enter, or set KUBECONFIG");
    let name = create(&client).await;
    // In a task of its own, so that its panic comes back as a value.
    let outcome = tokio::spawn(test(client.clone(), name.clone())).await;
    if outcome.is_err() {
        eprintln!("the test failed; what namespace {name} held:\n{}", describe(&client, &name).await);
    }
    let namespaces: Api<Namespace> = Api::all(client);
    // It goes by itself from here: no test uses that name again.
    if let Err(error) = namespaces.delete(&name, &DeleteParams::default()).await {
        eprintln!("delete namespace {name}: {error}");
    }
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed.into_panic());
    }
}

async fn create(client: &Client) -> String {
    let enforce = "pod-security.kubernetes.io/enforce".to_owned();
    let namespace = Namespace {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", test_name())),
            labels: Some(BTreeMap::from([(enforce, "restricted".to_owned())])),
            ..Default::default()
        },
        ..Default::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let created =
        namespaces.create(&PostParams::default(), &namespace).await.expect("create the test's namespace");
    let name = created.metadata.name.expect("the API server names what it creates");
    // Until it is there, no pod can be created.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
    wait_until(&accounts, "default", |account| account.is_some()).await;
    name
}

/// Returns the test's own name as a DNS label, short enough for a suffix.
fn test_name() -> String {
    let name = std::env::var("NEXTEST_TEST_NAME")
        .ok()
        .or_else(|| std::thread::current().name().map(str::to_owned))
        .unwrap_or_default();
    label(&name)
}

fn label(name: &str) -> String {
    let last = name.rsplit("::").next().unwrap_or_default();
    let label: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(50)
        .collect();
    match label.trim_matches('-') {
        "" => "test".to_owned(),
        label => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_test_name_becomes_a_dns_label() {
        assert_eq!(label("module::tests::keeps_its_File"), "keeps-its-file");
        assert_eq!(label("__"), "test");
        assert_eq!(label(&"a".repeat(80)).len(), 50);
    }
}

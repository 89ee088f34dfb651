//! The operator's rights, compared with all its requests since its installation: neither more nor less. It runs after
//! the tests that cause the requests.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::ListParams;
use kube::{Api, Client};
use visnyk_cluster_harness::{AuditEvent, AuditLog};
use visnyk_e2e::chart::{ACCOUNT, SYSTEM};

/// Rights that no request is made for: where a cluster has the admission plugin `OwnerReferencesPermissionEnforcement`,
/// it asks for them whenever a child is made.
const ASKED_BY_ADMISSION: [&str; 2] =
    ["update visnyk.dev/collectors/finalizers", "update visnyk.dev/webhookrelays/finalizers"];

#[tokio::test]
async fn nothing_was_denied_and_every_right_was_used() {
    let client = Client::try_default().await.unwrap();
    let asked = requests(&client).await;
    assert_eq!(refusals(&asked), Vec::<String>::new(), "were denied");

    let mut unused = granted(&client).await;
    assert!(unused.len() > 50, "these are not the rights of the operator: {unused:?}");
    for right in asked.iter().flat_map(rights_used).chain(ASKED_BY_ADMISSION.map(str::to_owned)) {
        unused.remove(&right);
    }
    assert_eq!(unused, BTreeSet::new(), "were never used");
}

/// Returns the requests of the installed release's account.
async fn requests(client: &Client) -> Vec<AuditEvent> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
    let account = accounts.get("visnyk-operator").await.unwrap();
    // An account of an earlier release had other rights.
    let since = account.metadata.creation_timestamp.unwrap().0;
    let log = AuditLog::whole().unwrap();
    log.events(|event| event.user.username == ACCOUNT && event.request_received_timestamp >= since).unwrap()
}

/// Returns the requests that rules or admission refused. Events in a namespace that is being deleted are left out,
/// because a test that has ended does not wait for the operator.
fn refusals(asked: &[AuditEvent]) -> Vec<String> {
    let is_going = |event: &AuditEvent| event.message().contains("because it is being terminated");
    let is_excused = |event: &AuditEvent| is_going(event) && !event.is_denied();
    let refused = asked.iter().filter(|event| event.code() == 403 && !is_excused(event));
    let lines = refused.map(|event| format!("{} {}: {}", event.verb, event.request_uri, event.message()));
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the rights that a request needed.
fn rights_used(event: &AuditEvent) -> Vec<String> {
    let Some(object) = &event.object_ref else { return Vec::new() };
    let resource = match &object.subresource[..] {
        "" => object.resource.clone(),
        subresource => format!("{}/{subresource}", object.resource),
    };
    // An object that is applied and not there yet is created, which takes that right too.
    let is_creation = event.verb == "patch" && event.code() == 201;
    let verbs = [&event.verb[..]].into_iter().chain(is_creation.then_some("create"));
    verbs.map(|verb| right(verb, &object.api_group, &resource)).collect()
}

/// Returns all rights that rules grant the account, in any namespace.
async fn granted(client: &Client) -> BTreeSet<String> {
    let everything = ListParams::default();
    let everywhere = Api::<ClusterRoleBinding>::all(client.clone()).list(&everything).await.unwrap();
    let somewhere = Api::<RoleBinding>::all(client.clone()).list(&everything).await.unwrap();
    let mut rights = BTreeSet::new();
    for binding in everywhere.items.into_iter().filter(|binding| is_ours(binding.subjects.as_deref())) {
        rights.extend(rules(client, None, &binding.role_ref).await.iter().flat_map(rights_of));
    }
    for binding in somewhere.items.into_iter().filter(|binding| is_ours(binding.subjects.as_deref())) {
        let namespace = binding.metadata.namespace.as_deref();
        rights.extend(rules(client, namespace, &binding.role_ref).await.iter().flat_map(rights_of));
    }
    rights
}

fn is_ours(subjects: Option<&[Subject]>) -> bool {
    let account = |subject: &Subject| {
        format!("system:serviceaccount:{}:{}", subject.namespace.as_deref().unwrap_or_default(), subject.name)
    };
    subjects.unwrap_or_default().iter().any(|subject| account(subject) == ACCOUNT)
}

async fn rules(client: &Client, namespace: Option<&str>, role: &RoleRef) -> Vec<PolicyRule> {
    let rules = match (&role.kind[..], namespace) {
        ("Role", Some(namespace)) => {
            Api::<Role>::namespaced(client.clone(), namespace).get(&role.name).await.unwrap().rules
        }
        _ => Api::<ClusterRole>::all(client.clone()).get(&role.name).await.unwrap().rules,
    };
    rules.unwrap_or_default()
}

fn rights_of(rule: &PolicyRule) -> Vec<String> {
    let (groups, resources) = (rule.api_groups.iter().flatten(), rule.resources.iter().flatten());
    let kinds = groups.flat_map(|group| resources.clone().map(move |resource| (group, resource)));
    kinds
        .flat_map(|(group, resource)| rule.verbs.iter().map(move |verb| right(verb, group, resource)))
        .collect()
}

fn right(verb: &str, group: &str, resource: &str) -> String {
    format!("{verb} {group}/{resource}")
}

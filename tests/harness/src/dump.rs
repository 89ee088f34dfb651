//! Objects, events and logs of a namespace, for people who have to find out why a test failed.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::discovery::verbs;
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client, ResourceExt};

/// Describes every object, event and pod log of a namespace, as text. An object that cannot be read is named and
/// passed over: this runs when something is wrong already.
pub async fn describe(client: &Client, namespace: &str) -> String {
    let mut text = String::new();
    objects(client, namespace, &mut text).await;
    events(client, namespace, &mut text).await;
    logs(client, namespace, &mut text).await;
    text
}

async fn objects(client: &Client, namespace: &str, text: &mut String) {
    let discovery = match Discovery::new(client.clone()).run().await {
        Ok(discovery) => discovery,
        Err(error) => return note(text, &format!("--- objects: {error}")),
    };
    for (resource, capabilities) in
        discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources)
    {
        // Secrets are not for logs; events come below, in the order they happened.
        let shown = !matches!(resource.kind.as_str(), "Secret" | "Event");
        if !shown || capabilities.scope != Scope::Namespaced || !capabilities.supports_operation(verbs::LIST)
        {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let Ok(list) = api.list(&ListParams::default()).await else { continue };
        for mut object in list.items {
            object.managed_fields_mut().clear();
            let body = serde_json::json!({"metadata": object.metadata, "object": object.data});
            note(text, &format!("--- {} {}\n{body:#}", resource.kind, object.name_any()));
        }
    }
}

async fn events(client: &Client, namespace: &str, text: &mut String) {
    note(text, "--- events");
    match Api::<Event>::namespaced(client.clone(), namespace).list(&ListParams::default()).await {
        Err(error) => note(text, &format!("{error}")),
        Ok(list) => {
            for event in list {
                let object = event.involved_object;
                note(
                    text,
                    &format!(
                        "{} {} {}: {}: {}",
                        event.type_.unwrap_or_default(),
                        object.kind.unwrap_or_default(),
                        object.name.unwrap_or_default(),
                        event.reason.unwrap_or_default(),
                        event.message.unwrap_or_default(),
                    ),
                );
            }
        }
    }
}

async fn logs(client: &Client, namespace: &str, text: &mut String) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let Ok(list) = pods.list(&ListParams::default()).await else { return };
    for pod in list {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        for container in containers {
            for previous in [true, false] {
                let which =
                    LogParams { container: Some(container.name.clone()), previous, ..Default::default() };
                // Most have no previous run, and one that never started has no log.
                if let Ok(log) = pods.logs(&pod.name_any(), &which).await {
                    let run = if previous { "log of the previous run" } else { "log" };
                    note(text, &format!("--- {run}: {} {}\n{log}", pod.name_any(), container.name));
                }
            }
        }
    }
}

fn note(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes all that is written to it");
}

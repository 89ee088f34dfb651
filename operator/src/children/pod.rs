//! The pod of both kinds: restricted, with probes in the place of restart scripts, and as the user overrides it.

use std::collections::{BTreeMap, BTreeSet};
use visnyk_crds::contract::flags::{self, argument};
use visnyk_crds::contract::{HEALTH_PORT, paths};

use serde_json::{Map, Value, json};
use visnyk_crds::api::Resources;
use visnyk_crds::valid::SecretRef;

use super::workload::quantity;
use super::{Data, Workload};
use crate::children::child::merged;
use crate::children::meta::NAME;

/// The user and group of our images.
const USER: u32 = 65532;
/// Seconds for which a pod still accepts after SIGTERM, because clients may still have its address.
const DRAIN_GRACE: u32 = 10;
/// Seconds after which a pod is killed: the drain grace, 20 for requests in flight, and some reserve.
const TERMINATION_GRACE: u32 = 60;
/// Annotation whose change restarts the pods: it has the values that a running pod cannot follow.
const RESTART: &str = "visnyk.dev/restart";

/// The label [`NAME`] of a pod that drains: no Service leads to it, no budget counts it.
const DRAINS: &str = "visnyk-relay-drain";

/// Purpose of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty<'a> {
    /// Accepts events, for as long as there is a resource.
    Serve,
    /// Delivers the content of this claim, and ends.
    Drain {
        /// Name of the claim.
        claim: &'a str,
    },
}

/// Returns the pod template.
pub(super) fn template(workload: &Workload<'_>, duty: Duty<'_>) -> Value {
    let (owner, pod) = (workload.owner, workload.pod);
    let affinity = match (&pod.affinity, duty) {
        (Some(affinity), _) => json!(affinity),
        (None, Duty::Serve) => apart(&owner.pods()),
        (None, Duty::Drain { .. }) => json!({}),
    };
    let mut spec = json!({
        "serviceAccountName": owner.base(),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": TERMINATION_GRACE,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container(workload, duty)],
        "volumes": volumes(workload, duty),
        "nodeSelector": pod.node_selector,
        "tolerations": pod.tolerations,
        "topologySpreadConstraints": pod.topology_spread_constraints,
        "imagePullSecrets": pod.image_pull_secrets,
        "affinity": affinity,
    });
    if let Some(class) = &pod.priority_class_name {
        spec["priorityClassName"] = class.0.clone().into();
    }
    let mut labels = merged(&json!(pod.labels), owner.labels());
    if let Duty::Drain { .. } = duty {
        spec["restartPolicy"] = "Never".into();
        labels[NAME] = DRAINS.into();
    }
    json!({
        "metadata": {
            "labels": labels,
            "annotations": merged(&json!(pod.annotations), json!({ RESTART: workload.restart })),
        },
        "spec": spec,
    })
}

fn container(workload: &Workload<'_>, duty: Duty<'_>) -> Value {
    let manifest = format!("{}/{}", paths::CONFIG_DIR, paths::MANIFEST);
    let mut args: Vec<String> = [
        "run".to_owned(),
        argument(flags::MANIFEST, &manifest),
        argument(flags::DATA_DIR, paths::DATA_DIR),
        argument(flags::HEALTH, format_args!("[::]:{HEALTH_PORT}")),
        argument(flags::DRAIN_GRACE, DRAIN_GRACE),
    ]
    .into();
    args.extend(workload.args.iter().cloned());
    let mut ports = vec![json!({ "name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP" })];
    if duty == Duty::Serve {
        let listener =
            json!({ "name": workload.scheme.name(), "containerPort": workload.port, "protocol": "TCP" });
        ports.insert(0, listener);
    }
    let mut container = json!({
        "name": workload.owner.role.suffix(),
        "image": workload.pod.image.as_deref().unwrap_or(workload.image),
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        // So that commands by `kubectl exec` find the running process.
        "env": [
            { "name": flags::DATA_DIR_VARIABLE, "value": paths::DATA_DIR },
            { "name": flags::MANIFEST_VARIABLE, "value": manifest },
        ],
        "ports": ports,
        // A spool is read through before the first event: up to five minutes on a slow disk.
        "startupProbe": probe(paths::STARTUPZ, json!({ "periodSeconds": 1, "failureThreshold": 300 })),
        // What hangs is not worth the long way out.
        "livenessProbe": probe(paths::LIVEZ, json!({
            "periodSeconds": 5, "failureThreshold": 3, "terminationGracePeriodSeconds": 5,
        })),
        "resources": resources(&workload.pod.resources),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": volume_mounts(workload),
    });
    if duty == Duty::Serve {
        container["readinessProbe"] =
            probe(paths::READYZ, json!({ "periodSeconds": 2, "failureThreshold": 2 }));
    }
    container
}

fn probe(path: &str, times: Value) -> Value {
    merged(&json!({ "httpGet": { "path": path, "port": "health" }, "timeoutSeconds": 2 }), times)
}

/// Returns the resources of a container. Where the user names a resource, no default is added: it could contradict the
/// user's value.
fn resources(wanted: &Resources) -> Value {
    let mut requests: BTreeMap<&str, &str> = BTreeMap::new();
    let mut limits: BTreeMap<&str, &str> = BTreeMap::new();
    let is_said = |name: &str| wanted.requests.contains_key(name) || wanted.limits.contains_key(name);
    if !is_said("cpu") {
        requests.insert("cpu", "50m");
    }
    if !is_said("memory") {
        requests.insert("memory", "64Mi");
        limits.insert("memory", "512Mi");
    }
    requests.extend(wanted.requests.iter().map(|(name, amount)| (&name[..], &amount.0[..])));
    limits.extend(wanted.limits.iter().map(|(name, amount)| (&name[..], &amount.0[..])));
    json!({ "requests": requests, "limits": limits })
}

/// Returns the constraint that spreads replicas over nodes, because those of one node would fail together.
fn apart(pods: &Value) -> Value {
    json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": { "matchLabels": pods },
        },
    }] } })
}

fn volume_mounts(workload: &Workload<'_>) -> Vec<Value> {
    let mut mounts = vec![
        json!({ "name": "data", "mountPath": paths::DATA_DIR }),
        json!({ "name": "config", "mountPath": paths::CONFIG_DIR, "readOnly": true }),
    ];
    if !workload.secrets.is_empty() {
        mounts.push(json!({ "name": "secrets", "mountPath": paths::SECRETS_DIR, "readOnly": true }));
    }
    let ours = workload.mounts.iter();
    mounts.extend(
        ours.map(|mount| json!({ "name": mount.volume, "mountPath": mount.folder, "readOnly": true })),
    );
    mounts
}

fn volumes(workload: &Workload<'_>, duty: Duty<'_>) -> Vec<Value> {
    let mut volumes = vec![json!({ "name": "config", "configMap": { "name": workload.owner.base() } })];
    if let Duty::Drain { claim } = duty {
        volumes.push(json!({ "name": "data", "persistentVolumeClaim": { "claimName": claim } }));
    }
    if let Data::Ephemeral { limit } = workload.data {
        let mut folder = Map::new();
        if let Some(limit) = limit {
            folder.insert("sizeLimit".into(), quantity(limit).into());
        }
        volumes.push(json!({ "name": "data", "emptyDir": folder }));
    }
    if !workload.secrets.is_empty() {
        volumes.push(json!({ "name": "secrets", "projected": { "sources": projected(&workload.secrets) } }));
    }
    volumes.extend(workload.mounts.iter().map(
        |mount| json!({ "name": mount.volume, "secret": { "secretName": mount.secret, "optional": true } }),
    ));
    volumes
}

/// Returns the projections of the keys that are referred to, each as `<secret>/<key>`. A missing one is a condition,
/// and no reason to hold up a pod.
fn projected(secrets: &BTreeSet<SecretRef>) -> Vec<Value> {
    let mut sources: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for SecretRef { name, key } in secrets {
        sources.entry(name).or_default().push(json!({ "key": key, "path": format!("{name}/{key}") }));
    }
    let each = sources.into_iter();
    each.map(|(name, items)| json!({ "secret": { "name": name, "items": items, "optional": true } }))
        .collect()
}

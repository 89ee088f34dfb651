//! Fields of a child that belong to the operator alone. In other fields others may add what they like; here one more
//! key turns what was applied into something else: a Service without pods, a policy for nobody, a peer that nobody
//! named, a Deployment that never rolls.

use serde_json::{Map, Value, json};

use crate::children::meta::MANAGER;

/// Fields that only the operator may set: selectors, and the content of files of pods.
const OURS: [&[&str]; 3] = [&["data"], &["spec", "selector"], &["spec", "podSelector"]];

/// Returns the merge patch that takes away what others have put there; nothing where there is nothing.
pub fn without_foreign_fields(live: &Value, wanted: &Value) -> Option<Value> {
    let mut patch = json!({});
    for path in OURS {
        let at = |object: &Value| object.pointer(&format!("/{}", path.join("/"))).cloned();
        let (Some(live), Some(wanted)) = (at(live), at(wanted)) else { continue };
        if let Some(part) = nulls(&live, &wanted) {
            add(path.iter().fold(&mut patch, |inner, field| &mut inner[*field]), part);
        }
    }
    if wanted["kind"] == "Deployment" || wanted["kind"] == "StatefulSet" {
        for part in set_by_others(live, &wanted["spec"]) {
            add(&mut patch["spec"], part);
        }
    }
    (patch != json!({})).then_some(patch)
}

/// Adds what a further merge patch does to one.
fn add(patch: &mut Value, further: Value) {
    match (patch, further) {
        (Value::Object(patch), Value::Object(further)) => {
            for (field, part) in further {
                add(patch.entry(field).or_insert(Value::Null), part);
            }
        }
        (patch, further) => *patch = further,
    }
}

/// Returns patches that take from the spec of a workload all that others have set: a pause, a partition, a sidecar, a
/// variable, the node's network. Defaults of the API server stay. Labels and annotations of pods stay, by which
/// `kubectl rollout restart` does its work.
fn set_by_others(live: &Value, wanted: &Value) -> Vec<Value> {
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    let others = entries.filter(|entry| entry["manager"] != MANAGER && entry["subresource"].is_null());
    let foreign = |entry: &Value| {
        let mut fields = entry["fieldsV1"]["f:spec"].clone();
        if let Some(template) = fields["f:template"].as_object_mut() {
            template.remove("f:metadata");
        }
        without(&fields, wanted)
    };
    others.filter_map(foreign).collect()
}

/// Returns the merge patch that takes away those `fields` that are not wanted, as the API server names them: `f:` and a
/// name, or `k:` and what tells an item of a list.
fn without(fields: &Value, wanted: &Value) -> Option<Value> {
    let named = fields.as_object().into_iter().flatten();
    let named = named.filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below)));
    let stranger = |(name, below): (&str, &Value)| {
        let part = match &wanted[name] {
            Value::Null => Value::Null,
            // A merge patch knows no items: the list is set as a whole.
            Value::Array(items) if has_strangers(below, items) => items.clone().into(),
            Value::Object(_) => without(below, &wanted[name])?,
            _ => return None,
        };
        Some((name.to_owned(), part))
    };
    let found: Map<String, Value> = named.filter_map(stranger).collect();
    (!found.is_empty()).then(|| found.into())
}

fn has_strangers(fields: &Value, wanted: &[Value]) -> bool {
    let told = fields.as_object().into_iter().flatten();
    let items = told.filter_map(|(key, below)| {
        let names: Map<String, Value> = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
        Some((names, below))
    });
    let is_stranger = |(names, below): (Map<String, Value>, &Value)| {
        let is_it = |item: &&Value| names.iter().all(|(name, value)| item[name] == *value);
        wanted.iter().find(is_it).is_none_or(|item| without(below, item).is_some())
    };
    items.into_iter().any(is_stranger)
}

/// Returns null for each field that only the first has.
fn nulls(live: &Value, wanted: &Value) -> Option<Value> {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else { return None };
    let stranger = |(name, live): (&String, &Value)| {
        let part = match wanted.get(name) {
            Some(wanted) => nulls(live, wanted)?,
            None => Value::Null,
        };
        Some((name.clone(), part))
    };
    let found: Map<String, Value> = live.iter().filter_map(stranger).collect();
    (!found.is_empty()).then(|| found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_in_selectors_and_data_go_and_all_else_stays() {
        let wanted = json!({
            "metadata": { "labels": { "a": "b" } }, "data": { "ours": "x" },
            "spec": { "podSelector": { "matchLabels": { "a": "b" } }, "selector": { "a": "b" } },
        });
        assert_eq!(without_foreign_fields(&wanted, &wanted), None);
        let live = json!({
            "metadata": { "labels": { "a": "b", "note": "theirs" } },
            "data": { "ours": "changed", "theirs": "y" },
            "spec": {
                "podSelector": { "matchLabels": { "a": "b", "c": "d" }, "matchExpressions": [] },
                "selector": { "c": "d" }, "clusterIP": "10.0.0.1",
            },
        });
        let expected = json!({
            "data": { "theirs": null },
            "spec": {
                "podSelector": { "matchLabels": { "c": null }, "matchExpressions": null },
                "selector": { "c": null },
            },
        });
        assert_eq!(without_foreign_fields(&live, &wanted), Some(expected));
    }

    #[test]
    fn foreign_fields_of_a_workload_go_except_metadata_of_pods() {
        let env = json!([{ "name": "OURS", "value": "x" }]);
        let ours = json!([{ "name": "relay", "image": "relay:1", "env": env }]);
        let wanted = json!({ "kind": "Deployment", "spec": {
            "replicas": 1, "strategy": { "type": "RollingUpdate" },
            "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": ours, "nodeSelector": {} } },
        } });
        let after = |manager: &str, spec: Value| {
            let mut live = wanted.clone();
            live["metadata"]["managedFields"] = json!([
                { "manager": MANAGER, "fieldsV1": { "f:spec": { "f:paused": {} } } },
                { "manager": "kube-controller-manager", "subresource": "status", "fieldsV1": { "f:spec": { "f:paused": {} } } },
                { "manager": manager, "fieldsV1": { "f:spec": spec } },
            ]);
            without_foreign_fields(&live, &wanted)
        };
        let in_pods = |fields: Value| json!({ "f:template": { "f:spec": fields } });
        let in_container =
            |fields: Value| in_pods(json!({ "f:containers": { r#"k:{"name":"relay"}"#: fields } }));
        let goes = |spec: Value| Some(json!({ "spec": spec }));
        let as_ours = goes(json!({ "template": { "spec": { "containers": ours } } }));
        for (set, expected) in [
            (json!({ "f:paused": {} }), goes(json!({ "paused": null }))),
            (
                json!({ "f:strategy": { "f:type": {}, "f:rollingUpdate": { "f:maxSurge": {} } } }),
                goes(json!({ "strategy": { "rollingUpdate": null } })),
            ),
            (
                in_pods(json!({ "f:hostNetwork": {}, "f:nodeSelector": { "f:disk": {} } })),
                goes(
                    json!({ "template": { "spec": { "hostNetwork": null, "nodeSelector": { "disk": null } } } }),
                ),
            ),
            (in_pods(json!({ "f:containers": { r#"k:{"name":"theirs"}"#: { ".": {} } } })), as_ours.clone()),
            (in_container(json!({ "f:env": { r#"k:{"name":"THEIRS"}"#: { ".": {} } } })), as_ours.clone()),
            (in_container(json!({ "f:tty": {} })), as_ours),
            // What we set ourselves is set again by an apply.
            (in_container(json!({ ".": {}, "f:image": {}, "f:name": {} })), None),
            (json!({ "f:replicas": {} }), None),
            (json!({ "f:template": { "f:metadata": { "f:annotations": { "f:restarted": {} } } } }), None),
        ] {
            assert_eq!(after("kubectl-edit", set.clone()), expected, "{set}");
            assert_eq!(after(MANAGER, set), None);
        }
    }

    #[test]
    fn what_several_others_set_in_a_workload_goes_at_once() {
        let wanted =
            json!({ "kind": "StatefulSet", "spec": { "template": { "spec": { "containers": [] } } } });
        let mut live = wanted.clone();
        let set = |manager: &str, field: &str| {
            let pods = json!({ "f:spec": { "f:template": { "f:spec": { field: {} } } } });
            json!({ "manager": manager, "fieldsV1": pods })
        };
        live["metadata"]["managedFields"] = json!([set("one", "f:hostPID"), set("another", "f:hostNetwork")]);
        let expected =
            json!({ "spec": { "template": { "spec": { "hostNetwork": null, "hostPID": null } } } });
        assert_eq!(without_foreign_fields(&live, &wanted), Some(expected));
    }

    #[test]
    fn what_we_do_not_speak_of_is_not_looked_into() {
        let live = json!({ "data": { "theirs": "y" }, "spec": { "selector": { "c": "d" } } });
        assert_eq!(without_foreign_fields(&live, &json!({ "spec": {} })), None);
    }
}

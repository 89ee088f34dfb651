//! Rules that need more than one field: those of the schema, and those that only the program checks.

use std::fmt::Write;

use serde_json::Value;

/// Rules that the schema does not contain: kind, section of `spec`, text.
const FURTHER: &[(&str, &str, &str)] = &[
    (
        "WebhookRelay",
        "sources",
        "`forwardHeaders.allow` must not contain a header that proves the sender by this source's `verify`.",
    ),
    (
        "WebhookRelay",
        "destinations",
        "`backlog.size` must not be larger than the spool's `size`: it would never be reached.",
    ),
    (
        "WebhookRelay",
        "destinations",
        "`headers[].name` must not be a header that `sign` or `authorization` sets, nor be used twice.",
    ),
    (
        "WebhookRelay",
        "destinations",
        "`collectorRef` needs a Collector with `listener.tls.selfSigned`. If it is in another namespace, its \
         `access.namespaces` must list the relay's namespace, or it must have `access.anonymousIngest`. Until then \
         a relay that runs keeps the spec before, and the events of a new relay wait.",
    ),
    (
        "WebhookRelay",
        "destinations",
        "A status in both `success` and `final` is reported as a warning; `success` wins.",
    ),
    (
        "WebhookRelay",
        "spool",
        "`size` must be large enough for `listener.maxBodySize`: at least 86Mi for 8Mi, 342Mi for 32Mi.",
    ),
    (
        "Collector",
        "log",
        "`rotate.size` x (`rotate.keep` + 1) larger than `storage` is reported as a warning.",
    ),
];

/// Returns the rules between the sections of a kind, as a list.
pub(super) fn of_kind(kind: &str, schema: &Value) -> String {
    let spec = &schema["properties"]["spec"];
    let mut list = String::new();
    for message in
        messages(schema).chain(messages(spec)).filter(|message| !message.starts_with("metadata.name"))
    {
        let _ = writeln!(list, "- {message}");
    }
    if kind == "WebhookRelay" {
        list.push_str(
            "- `replicas` above 1 and outside of `autoscaling.minReplicas` to `maxReplicas` is reported as a warning: the autoscaler overwrites it\n",
        );
    }
    format!("Rules between fields:\n\n{list}\n")
}

/// Returns the rules within a section of `spec`, as a list; empty if there are none.
pub(super) fn of_section(kind: &str, name: &str, field: &Value) -> String {
    let mut list = String::new();
    for message in messages(field).chain(messages(&field["items"])) {
        let _ = writeln!(list, "- {message}");
    }
    for (_, _, text) in FURTHER.iter().filter(|(of, section, _)| *of == kind && *section == name) {
        let _ = writeln!(list, "- {text}");
    }
    if list.is_empty() { list } else { format!("Rules:\n\n{list}\n") }
}

fn messages(schema: &Value) -> impl Iterator<Item = &str> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["message"].as_str())
}

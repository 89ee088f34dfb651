//! Rows of the properties that are tried, and the check that none is left out.

use std::collections::{BTreeMap, BTreeSet};

use kube::CustomResourceExt;
use serde::Deserialize;
use serde_json::Value;
use visnyk_crds::schema::spec_schema;
use visnyk_crds::{Collector, WebhookRelay};

/// Rows of a `Collector`.
pub const OF_COLLECTOR: &[&str] = &[include_str!("collector.yaml")];
/// Rows of a `WebhookRelay`.
pub const OF_RELAY: &[&str] =
    &[include_str!("relay.yaml"), include_str!("sources.yaml"), include_str!("destinations.yaml")];

/// Properties that are tried with the same beside them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Fields of the spec, beside those that every resource of these tests has.
    pub given: Value,
    /// Rows by path of the property.
    pub properties: BTreeMap<String, Row>,
}

/// Values that are tried of a property.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Row {
    /// Place at which the values are set; absent: at the property, which can change alone.
    pub at: Option<String>,
    /// Shows, and goes without a trace.
    pub valid: Vec<Value>,
    /// The same, but only of a resource that is new: no other can change to it.
    pub at_creation: Vec<Value>,
    /// The API server takes no such thing.
    pub invalid: Vec<Value>,
    /// Only the operator knows better, and says so.
    pub refused: Vec<Value>,
    /// The kinds of children that follow, besides the ConfigMap.
    pub shows: BTreeSet<String>,
}

impl Group {
    /// Returns all rows in a file.
    pub fn all_in(text: &str) -> Vec<Self> {
        let value: Value = serde_yaml::from_str(text).unwrap();
        serde_json::from_value(value).unwrap()
    }
}

/// The properties of a spec, such as `sources[].verify.hmac.header`.
#[derive(Debug, Default)]
struct Properties {
    /// Properties that hold no others.
    leaves: BTreeSet<String>,
    /// Properties that hold others.
    holders: BTreeSet<String>,
}

impl Properties {
    fn of<K: CustomResourceExt>() -> Self {
        let mut properties = Self::default();
        properties.collect("", spec_schema::<K>());
        properties
    }

    fn collect(&mut self, within: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{within}{name}");
            let (holder, step) = field.get("items").map_or((field, "."), |items| (items, "[]."));
            if holder.get("properties").is_none() {
                self.leaves.insert(path);
                continue;
            }
            self.collect(&format!("{path}{step}"), holder);
            self.holders.insert(path);
        }
    }
}

/// Holds the rows against the schema: nothing is left out, and nothing is there that says nothing.
fn expect_rows_for_all<K: CustomResourceExt>(texts: &[&str]) {
    let Properties { leaves, holders } = Properties::of::<K>();
    let rows: Vec<(String, Row)> =
        texts.iter().flat_map(|text| Group::all_in(text)).flat_map(|group| group.properties).collect();
    let paths: BTreeSet<&String> = rows.iter().map(|(path, _)| path).collect();
    let without_row = leaves.iter().filter(|path| !paths.contains(path));
    let without_property =
        paths.iter().copied().filter(|path| !leaves.contains(*path) && !holders.contains(*path));
    let say_nothing = rows
        .iter()
        .filter(|(_, row)| (row.valid.is_empty() && row.at_creation.is_empty()) || row.invalid.is_empty());
    let found = [
        without_row.collect::<Vec<_>>(),
        without_property.collect(),
        say_nothing.map(|(path, _)| path).collect(),
    ];
    assert_eq!(found, [Vec::<&String>::new(), vec![], vec![]], "without row, without property, say nothing");
}

#[test]
fn every_property_of_a_relay_has_a_row() {
    expect_rows_for_all::<WebhookRelay>(OF_RELAY);
}

#[test]
fn every_property_of_a_collector_has_a_row() {
    expect_rows_for_all::<Collector>(OF_COLLECTOR);
}

//! Every property of both kinds: what is valid shows in the children that it concerns and in no others, what is not is
//! refused, and taken back it leaves no trace. What is tried stands in `properties/`.

mod rows;
mod tried;

use std::collections::BTreeSet;

use kube::Resource;
use kube::core::ApiResource;
use serde_json::{Value, json};
use visnyk_crds::{Collector, WebhookRelay};

use self::rows::{Group, OF_COLLECTOR, OF_RELAY, Row};
use self::tried::{NAME, Tried};
use crate::world::{collector, in_world, relay};

/// A row on the resource that it is tried on.
struct Trial<'a> {
    tried: &'a Tried<'a>,
    path: &'a str,
    row: &'a Row,
}

impl Trial<'_> {
    async fn run(&self) {
        for value in &self.row.invalid {
            self.expect_invalid(value).await;
        }
        for value in &self.row.refused {
            self.expect_refused(value).await;
        }
        for value in &self.row.valid {
            self.expect_valid(value).await;
        }
        if !self.row.valid.is_empty() || !self.row.refused.is_empty() {
            self.go_back().await;
        }
        for value in &self.row.at_creation {
            self.expect_at_creation(value).await;
        }
    }

    /// Checks that the API server takes no such value, and says where it is.
    async fn expect_invalid(&self, value: &Value) {
        let refusal = self.tried.refusal(&self.with(value)).await;
        let refusal = refusal.unwrap_or_else(|| panic!("{} is taken", self.told(value)));
        assert!(refusal.contains(self.name()), "{}: {refusal}", self.told(value));
    }

    /// Checks that the operator takes no such value, says where it is, and changes nothing.
    async fn expect_refused(&self, value: &Value) {
        let when = self.told(value);
        self.tried.put(&self.with(value), &when).await;
        let resource_alone = BTreeSet::from([self.tried.kind.clone()]);
        let change = self.tried.comes_to("Invalid", &resource_alone, &when).await;
        assert!(change.message.contains(self.name()), "{when}: {change:?}");
    }

    /// Checks that the value shows where it should, and only there.
    async fn expect_valid(&self, value: &Value) {
        let when = self.told(value);
        self.tried.put(&self.with(value), &when).await;
        self.expect_shown(&when).await;
    }

    /// Checks that the resource cannot change to this value, but can be created with it.
    async fn expect_at_creation(&self, value: &Value) {
        self.expect_invalid(value).await;
        let when = format!("{}, created", self.told(value));
        self.tried.recreate(&self.with(value)).await;
        self.expect_shown(&when).await;
        self.tried.recreate(&self.tried.spec).await;
        self.tried.is_as_before(&format!("without {when}")).await;
    }

    async fn expect_shown(&self, when: &str) {
        let mut shows = self.row.shows.clone();
        shows.extend(["ConfigMap".to_owned(), self.tried.kind.clone()]);
        let change = self.tried.comes_to("Valid", &shows, when).await;
        assert_eq!(change.strays, Vec::<String>::new(), "{when}");
    }

    async fn go_back(&self) {
        let when = format!("without {}", self.path);
        self.tried.put(&self.tried.spec, &when).await;
        self.tried.is_as_before(&when).await;
    }

    /// Returns the spec with this value.
    fn with(&self, value: &Value) -> Value {
        let mut spec = self.tried.spec.clone();
        set(&mut spec, self.row.at.as_deref().unwrap_or(self.path), value);
        spec
    }

    /// Returns the last part of the path: the API server does not always name the others.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap().trim_end_matches("[]")
    }

    fn told(&self, value: &Value) -> String {
        format!("{}: {value}", self.path)
    }
}

/// Sets a property of a spec; of a list that of its first item.
fn set(spec: &mut Value, path: &str, value: &Value) {
    let mut at = spec;
    for step in path.split('.') {
        at = match step.strip_suffix("[]") {
            Some(list) => &mut at[list][0],
            None => &mut at[step],
        };
    }
    at.clone_from(value);
}

async fn try_all<K: Resource<DynamicType = ()>>(text: &'static str, build: fn(&str, &Value) -> Value) {
    in_world(async move |mut world| {
        world.start().await;
        let kind = ApiResource::erase::<K>(&());
        let mut tried = Tried::create(&world, &kind, build(NAME, &json!({}))).await;
        for group in Group::all_in(text) {
            tried.turn_to(&build(NAME, &group.given)["spec"]).await;
            for (path, row) in &group.properties {
                Trial { tried: &tried, path, row }.run().await;
            }
        }
        tried.end().await;
    })
    .await;
}

/// Returns a relay without pods, which would come and go with each change and cost time.
fn relay_without_pods(name: &str, spec: &Value) -> Value {
    let mut object = relay(name, spec);
    object["spec"]["replicas"] = 0.into();
    object
}

#[tokio::test]
async fn every_property_of_a_relay_shows_or_is_refused() {
    try_all::<WebhookRelay>(OF_RELAY[0], relay_without_pods).await;
}

#[tokio::test]
async fn every_property_of_a_source_shows_or_is_refused() {
    try_all::<WebhookRelay>(OF_RELAY[1], relay_without_pods).await;
}

#[tokio::test]
async fn every_property_of_a_destination_shows_or_is_refused() {
    try_all::<WebhookRelay>(OF_RELAY[2], relay_without_pods).await;
}

#[tokio::test]
async fn every_property_of_a_collector_shows_or_is_refused() {
    try_all::<Collector>(OF_COLLECTOR[0], collector).await;
}

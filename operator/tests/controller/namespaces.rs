//! Several namespaces that are looked after: who refers from one to another, and what they cost an API server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::Request;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use kube::client::Body;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};
use visnyk_cluster_harness::{eventually, wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};

use crate::line::{Fate, Line};
use crate::trust::{SOON, file};
use crate::world::{collector, in_world};

/// Time in which controllers would have begun another watch, on a busy machine too.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test]
async fn relay_hears_of_a_collector_in_another_namespace_that_is_looked_after() {
    in_world(async |mut world| {
        with_temp_ns(async move |client, elsewhere: String| {
            world.start_in(vec![world.namespace.clone(), elsewhere.clone()], &Line::sound()).await;
            let logbook = json!({ "name": "logbook", "namespace": elsewhere });
            let spec = json!({ "destinations": [{ "name": "quay", "collectorRef": logbook }] });
            world.create_relay("harbour", &spec).await;
            world
                .wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "CollectorUnusable")
                .await;

            let collectors: Api<Collector> = Api::namespaced(client, &elsewhere);
            let logbook = serde_json::from_value(collector("logbook", &json!({}))).unwrap();
            let begun = Instant::now();
            collectors.create(&PostParams::default(), &logbook).await.unwrap();
            let key = format!("{elsewhere}.logbook.ca.crt");
            let secrets = world.api::<Secret>();
            wait_until(&secrets, "harbour-relay-peers", |peers| file(peers, &key).is_some()).await;
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        })
        .await;
    })
    .await;
}

/// Number of watches of all objects of a kind, not only children, by namespace and kind.
type Watches = Arc<Mutex<BTreeMap<(String, String), usize>>>;

fn counting(watches: &Watches) -> Line {
    let watches = Arc::clone(watches);
    Line::new(move |request: &Request<Body>| {
        let query = request.uri().query().unwrap_or_default();
        let path: Vec<&str> = request.uri().path().split('/').collect();
        if let [.., "namespaces", namespace, kind] = path[..]
            && query.contains("watch=true")
            && !query.contains("labelSelector=")
        {
            let key = (namespace.to_owned(), kind.to_owned());
            *watches.lock().unwrap().entry(key).or_default() += 1;
        }
        Fate::Passes
    })
}

#[tokio::test]
async fn namespace_is_watched_as_often_whatever_others_there_are() {
    in_world(async |mut world| {
        let watches = Watches::default();
        let namespaces = [&world.namespace[..], "not-there", "not-there-either"].map(str::to_owned);
        world.start_in(namespaces.to_vec(), &counting(&watches)).await;
        // A Collector's spec is a matter of its own controller, and that it changed one of who refers to it.
        let kinds = [("collectors", 2), ("secrets", 1), ("services", 1), ("webhookrelays", 1)];
        let each =
            |namespace: &String| kinds.map(|(kind, count)| ((namespace.clone(), kind.to_owned()), count));
        let expected: BTreeMap<_, _> = namespaces.iter().flat_map(each).collect();
        let seen = async || watches.lock().unwrap().clone();
        eventually("all is watched", seen, |seen| *seen == expected).await;
        sleep(QUIET).await;
        assert_eq!(seen().await, expected);
    })
    .await;
}

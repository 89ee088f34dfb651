//! CloudEvents are taken in every mode, kept byte for byte, and known by their attributes.

use serde_json::json;
use visnyk_tests::{
    manifest::{self, destination},
    relay::Relay,
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn events_in_every_mode_are_delivered_and_a_broken_one_is_refused() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0]["deduplicate"] = json!({"window": "1h"});
    let relay = Relay::start(&manifest).await;
    let client = relay.client();
    let post = async |headers: &[(&str, &str)], body: &str| {
        let request = client.post(relay.url()).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    };
    let event = |id: u64| json!({"specversion": "1.0", "type": "a.b", "source": "/c", "id": id.to_string()});
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-type", "a.b"),
        ("ce-source", "/c"),
        ("ce-id", "1"),
        ("content-type", "text/plain"),
    ];
    let without_data = [&binary[..3], &[("ce-id", "6")]].concat();
    let of_bytes = [&binary[..3], &[("ce-id", "7"), ("content-type", "application/octet-stream")]].concat();
    let structured = [("content-type", "application/cloudevents+json")];
    let batch = [("content-type", "application/cloudevents-batch+json")];

    let mut delivered = 0;
    for (headers, body, status) in [
        (&binary[..], "link down".to_owned(), 200),
        (&without_data[..], String::new(), 200),
        (&of_bytes[..], "\0\u{1}".to_owned(), 200),
        (&structured[..], event(2).to_string(), 200),
        (&batch[..], json!([event(3), event(4)]).to_string(), 200),
        (&binary[..3], "link down".to_owned(), 400),
        (&structured[..], json!({"specversion": "1.0"}).to_string(), 400),
        (&batch[..], json!([event(5), {}]).to_string(), 400),
    ] {
        let answer = post(headers, &body).await;
        assert_eq!(answer.status(), status, "{body}");
        if status == 200 {
            let taken = sink.took(answer.headers()["visnyk-id"].to_str().unwrap()).await;
            assert_eq!(taken[0].body, body.as_bytes());
            for (name, value) in headers {
                assert_eq!(taken[0].headers[*name], *value);
            }
            delivered += 1;
        }
    }
    // The same event in another mode is the same event; of another source it is another.
    assert_eq!(post(&structured, &event(1).to_string()).await.status(), 200);
    let mut elsewhere = event(1);
    elsewhere["source"] = "/d".into();
    assert_eq!(post(&structured, &elsewhere.to_string()).await.status(), 200);
    sink.took_events(delivered + 1).await;
    assert_eq!(relay.probes.status().await["accepted"], delivered + 1);
}

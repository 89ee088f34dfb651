use super::*;

fn client() -> reqwest::Client {
    // Installed by whichever test of this process comes first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Posts an event, and returns the status, or none if the connection broke.
async fn post(sink: &Sink, id: &str) -> Option<u16> {
    let request = client().post(sink.url()).header("webhook-id", id.to_owned()).body("body");
    Some(request.send().await.ok()?.status().as_u16())
}

#[tokio::test]
async fn only_what_was_answered_with_success_is_in_the_ledger() {
    let sink = Sink::start(Behaviour::Ok).await;
    assert_eq!(post(&sink, "taken").await, Some(200));
    sink.set(Behaviour::Slow(Duration::from_millis(1)));
    assert_eq!(post(&sink, "late").await, Some(200));
    sink.set(Behaviour::Answer(429, None));
    assert_eq!(post(&sink, "refused").await, Some(429));
    sink.set(Behaviour::Reset);
    assert_eq!(post(&sink, "broken").await, None);
    sink.set(Behaviour::Hang);
    let waiting = post(&sink, "hanging");
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    let arrivals = sink.arrivals();
    assert_eq!(arrivals.len(), 5, "{arrivals:?}");
    assert_eq!(sink.ledger().into_keys().collect::<Vec<_>>(), ["late", "taken"]);
}

#[tokio::test]
async fn connection_that_was_open_before_is_broken_off_too() {
    let sink = Sink::start(Behaviour::Ok).await;
    let client = client();
    client.post(sink.url()).send().await.unwrap();
    sink.set(Behaviour::Reset);
    assert!(client.post(sink.url()).send().await.is_err());
}

#[tokio::test]
async fn flapping_sink_takes_every_second_event() {
    let sink = Sink::start(Behaviour::Flap).await;
    for (id, status) in [("a", 500), ("b", 200), ("c", 500), ("d", 200)] {
        assert_eq!(post(&sink, id).await, Some(status));
    }
}

//! One address with more requests at once than it may have.

use visnyk_tests::{
    manifest::{self, destination},
    relay::Relay,
    sender::{Outcome, Sender},
    sink::{Behaviour, Sink},
    wait::{TIMEOUT, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn address_with_too_many_requests_at_once_is_told_to_come_again() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let clients: Vec<_> = (0..12).map(|_| relay.client()).collect();
    // Bodies that never end hold their places, a hundred on each HTTP/2 connection.
    let holding: Vec<_> = (0..1_200)
        .map(|number| {
            let (client, url) = (clients[number % clients.len()].clone(), relay.url());
            let body =
                reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
            tokio::spawn(
                async move { client.post(url).body(body).send().await.map(|answer| answer.status()) },
            )
        })
        .collect();
    let held: Vec<_> = holding.iter().map(tokio::task::JoinHandle::abort_handle).collect();
    let told = futures::future::select_all(holding.into_iter().map(|request| {
        Box::pin(async move {
            match request.await {
                Ok(Ok(status)) if status == 429 => {}
                // Only a 429 is worth telling of.
                _ => std::future::pending().await,
            }
        })
    }));
    tokio::time::timeout(TIMEOUT, told).await.expect("one of them is answered 429");
    held.iter().for_each(tokio::task::AbortHandle::abort);
    drop(clients);
    relay.process.assert_running();
    let fresh = Sender::to(&relay);
    eventually(
        "places again",
        async || fresh.send_one().await,
        |outcome| matches!(outcome, Outcome::Accepted(_)),
    )
    .await;
}

//! A spool that is left behind, delivered by a relay that accepts nothing.

use serde_json::json;
use visnyk_tests::{
    manifest::{self, RELAY_PORT, destination},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn pending_events_are_delivered_by_schedule_and_then_it_ends() {
    let (well, away) = (Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Answer(500, None)).await);
    let destinations = [destination("well", &well.url()), destination("away", &away.url())];
    let mut relay = Relay::start(&manifest::relay(destinations)).await;
    let sender = Sender::to(&relay);
    sender.send(20, 4).await;
    well.took_events(20).await;
    relay.kill();

    relay.restart_to_deliver_only();
    relay.probes.started().await;
    let pending = relay.until("away", "still pending", |away| away["pending"] == 20).await;
    assert_eq!(pending["delivered"], 0);
    let unready = relay.probes.unready().await;
    assert!(unready.contains("listener: delivers only"), "{unready}");
    let nobody = tokio::net::TcpStream::connect(relay.address().port(RELAY_PORT)).await;
    assert_eq!(nobody.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    relay.process.assert_running();

    away.set(Behaviour::Ok);
    assert_eq!(relay.process.ended().await.code(), Some(0));
    let accepted: Vec<String> = sender.ledger().accepted.into_keys().collect();
    assert_eq!(away.ledger().into_keys().collect::<Vec<_>>(), accepted);

    // All of it is remembered: there is nothing left to do.
    let deliveries = (well.arrivals().len(), away.arrivals().len());
    relay.restart_to_deliver_only();
    assert_eq!(relay.process.ended().await.code(), Some(0));
    assert_eq!((well.arrivals().len(), away.arrivals().len()), deliveries);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_go_before_all_is_delivered_it_fails_and_keeps_the_rest() {
    let sink = Sink::start(Behaviour::Answer(500, None)).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    Sender::to(&relay).send(3, 1).await;
    assert_eq!(relay.terminate().await.code(), Some(0));

    relay.restart_to_deliver_only();
    relay.probes.started().await;
    relay.until("sink", "pending", |sink| sink["pending"] == 3).await;
    assert_eq!(relay.terminate().await.code(), Some(1));
    assert!(relay.process.said().contains("told to go with 3 deliveries still pending"));

    relay.restart().await;
    assert_eq!(relay.destination("sink").await["pending"], json!(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn spool_with_dead_letters_is_not_taken_for_empty() {
    let sink = Sink::start(Behaviour::Answer(500, None)).await;
    let mut once = destination("sink", &sink.url());
    once["retry"] = json!({ "schedule": ["0s"] });
    let mut relay = Relay::start(&manifest::relay([once])).await;
    Sender::to(&relay).send(3, 1).await;
    relay.until("sink", "given up", |sink| sink["deadLettered"] == 3).await;
    assert_eq!(relay.terminate().await.code(), Some(0));

    relay.restart_to_deliver_only();
    assert_eq!(relay.process.ended().await.code(), Some(3));
    assert!(relay.process.said().contains("left are 3 dead letters and 0 damaged deliveries"));
    relay.restart().await;
    assert_eq!(relay.destination("sink").await["deadLettered"], json!(3));
}

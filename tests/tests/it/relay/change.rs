//! Destinations that come, go, come back, change their name or their address while events are pending.

use std::time::Duration;

use serde_json::json;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination, with},
    relay::{Relay, find},
    sender::Sender,
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn added_destination_gets_what_comes_after_it() {
    let old = Sink::start(Behaviour::Ok).await;
    let new = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("old", &old.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(20, 4).await;
    let both = manifest::relay([destination("old", &old.url()), destination("new", &new.url())]);
    relay.apply(&both).await;
    let after = sender.send(20, 4).await;
    new.took_events(20).await;
    for id in &after {
        new.took(id).await;
    }
    let status = relay.until("new", "nothing pending", |new| new["pending"] == 0).await;
    assert_eq!((&status["accepted"], &status["delivered"]), (&json!(20), &json!(20)), "{status}");
    assert_eq!(new.ledger().len(), 20);
    assert_conserved(&mut relay, &sender, &[("old", &old)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_destination_keeps_its_events_and_goes_on_when_it_is_back() {
    let leaving = Sink::start(Behaviour::Hang).await;
    let staying = Sink::start(Behaviour::Ok).await;
    let both =
        manifest::relay([destination("leaving", &leaving.url()), destination("staying", &staying.url())]);
    let one = manifest::relay([destination("staying", &staying.url())]);
    for restarted in [false, true] {
        leaving.set(Behaviour::Hang);
        let mut relay = Relay::start(&both).await;
        let sender = Sender::to(&relay);
        let pending = sender.send(50, 4).await;
        relay.apply(&one).await;
        if restarted {
            relay.kill();
            relay.restart().await;
        }
        let removed = relay.until("leaving", "removed", |leaving| leaving["state"] == "Removed").await;
        assert_eq!((&removed["accepted"], &removed["pending"]), (&json!(50), &json!(50)), "{removed}");
        sender.send(10, 4).await;
        assert_adds_up(&relay.probes.status().await);

        leaving.set(Behaviour::Ok);
        relay.apply(&both).await;
        for id in &pending {
            leaving.took(id).await;
        }
        relay.until("leaving", "nothing pending", |leaving| leaving["pending"] == 0).await;
        assert_adds_up(&relay.probes.status().await);
        let fresh = sender.send_accepted().await;
        leaving.took(&fresh).await;
        staying.took(&fresh).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destination_that_is_back_while_requests_hang_gets_nothing_twice() {
    let hanging = Sink::start(Behaviour::Hang).await;
    let staying = Sink::start(Behaviour::Ok).await;
    let patient = with(destination("hanging", &hanging.url()), json!({"timeout": "10m", "concurrency": 4}));
    let limited =
        with(destination("staying", &staying.url()), json!({"rateLimit": {"events": 999, "per": "1s"}}));
    let one = manifest::relay([destination("staying", &staying.url())]);
    let both = manifest::relay([patient.clone(), destination("staying", &staying.url())]);
    let changed = manifest::relay([patient, limited]);
    let mut relay = Relay::start(&both).await;
    let sender = Sender::to(&relay);
    sender.send(10, 4).await;
    hanging.attempted(4).await;
    for manifest in [&one, &both, &changed, &one, &both] {
        relay.apply(manifest).await;
    }
    let discarded = relay.command(&["destination", "discard", "staying"]);
    assert!(discarded.status.success(), "{discarded:?}");
    staying.took(&sender.send_accepted().await).await;
    assert_eq!(hanging.arrivals().len(), 4);

    relay.kill();
    hanging.set(Behaviour::Ok);
    relay.restart().await;
    assert_conserved(&mut relay, &sender, &[("hanging", &hanging)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_destination_is_another_one() {
    let sink = Sink::start(Behaviour::Hang).await;
    let named = |name: &str| manifest::relay([destination(name, &sink.url())]);
    let mut relay = Relay::start(&named("before")).await;
    let sender = Sender::to(&relay);
    sender.send(30, 4).await;
    relay.kill();
    relay.restart_with(&named("after")).await;
    sink.set(Behaviour::Ok);
    let fresh = sender.send(30, 4).await;
    for id in &fresh {
        sink.took(id).await;
    }
    let status = relay.probes.until("nothing pending", |status| find(status, "after")["pending"] == 0).await;
    assert_adds_up(&status);
    let (before, after) = (find(&status, "before"), find(&status, "after"));
    // What is removed may come back, and then misses nothing: it goes on counting for as long as it is kept.
    assert_eq!((&before["pending"], &before["state"]), (&json!(60), &json!("Removed")), "{before}");
    assert_eq!((&after["accepted"], &after["delivered"]), (&json!(30), &json!(30)), "{after}");
    assert_eq!(sink.ledger().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn pointed_elsewhere_the_destination_goes_on_where_it_was() {
    for restarted in [false, true] {
        let first = Sink::start(Behaviour::Ok).await;
        let second = Sink::start(Behaviour::Ok).await;
        let at = |url: &str| manifest::relay([destination("moving", url)]);
        let mut relay = Relay::start(&at(&first.url())).await;
        let sender = Sender::to(&relay);
        sender.send(20, 4).await;
        relay.until("moving", "nothing pending", |moving| moving["pending"] == 0).await;
        first.set(Behaviour::Answer(500, None));
        sender.send(30, 4).await;
        if restarted {
            relay.kill();
            relay.restart_with(&at(&second.url())).await;
        } else {
            relay.apply(&at(&second.url())).await;
        }
        let status = relay.until("moving", "nothing pending", |moving| moving["pending"] == 0).await;
        assert_eq!((&status["accepted"], &status["delivered"]), (&json!(50), &json!(50)), "{status}");
        let (before, after) = (first.ledger(), second.ledger());
        let lost: Vec<_> = sender
            .ledger()
            .accepted
            .into_keys()
            .filter(|id| !before.contains_key(id) && !after.contains_key(id))
            .collect();
        assert_eq!(lost, Vec::<String>::new());
        let fresh = sender.send_accepted().await;
        second.took(&fresh).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_destination_gets_no_more_than_its_rate() {
    let sink = Sink::start(Behaviour::Ok).await;
    let said = |value: &str| {
        let headers = json!([{"name": "x-said", "value": value}]);
        let limited = json!({"rateLimit": {"events": 5, "per": "1h"}, "headers": headers});
        manifest::relay([with(destination("sink", &sink.url()), limited)])
    };
    let relay = Relay::start(&said("before")).await;
    let sender = Sender::to(&relay);
    sender.send(10, 2).await;
    sink.took_events(5).await;
    relay.apply(&said("after")).await;
    // As long as it may take until the change has reached who delivers.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sink.arrivals().len(), 5);
    assert_adds_up(&relay.probes.status().await);
}

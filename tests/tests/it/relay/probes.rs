//! Probes of a relay, and its shutdown.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use rustix::process::Signal;
use visnyk_tests::{
    conservation::assert_conserved,
    manifest::{self, destination},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn probes_metrics_and_status_are_shown() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(5, 1).await;
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(relay.probes.get(path).await.unwrap(), (http::StatusCode::OK, "ok\n".into()), "{path}");
    }
    let (_, page) = relay.probes.get("/metrics").await.unwrap();
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(page.contains("visnyk_build_info"), "{page}");
    let status = relay.until("sink", "delivered", |sink| sink["delivered"] == 5).await;
    assert_eq!(status["state"], "Active");
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_loses_nothing_repeats_nothing_and_exits_cleanly() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    let load = sender.begin(8);
    sink.took_events(200).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    load.end().await;
    relay.restart().await;
    // No kill is recorded, so that a single repeated delivery fails.
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

/// Sends SIGTERM at any moment of a start: also between two things that listen for signals.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_a_start_is_heard() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    relay.terminate().await;
    for delay in (0..200).step_by(5).map(Duration::from_millis) {
        relay.launch();
        tokio::time::sleep(delay).await;
        let status = relay.terminate().await;
        // Asked before it has begun to listen it is ended by the signal itself.
        assert!(
            status.success() || status.signal() == Some(Signal::TERM.as_raw()),
            "{status} after {delay:?}"
        );
    }
}

//! A loop that hangs while the rest of the process goes on: the watchdog sees it, and a restart loses nothing.

use visnyk_tests::{
    conservation::assert_adds_up,
    manifest::{self, destination},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

async fn hung_loops_are_noticed_and_a_restart_loses_nothing(names: &[&str]) {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start_stalling(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(20, 4).await;
    assert!(relay.probes.alive().await);

    for name in names {
        relay.stall(name).await;
    }
    relay.probes.notice_hung(names).await;

    relay.kill();
    relay.restart().await;
    sender.send(20, 4).await;
    relay.until("sink", "delivered", |sink| sink["pending"] == 0).await;
    assert_adds_up(&relay.probes.status().await);
    // What the state committer had not kept is delivered again, as after a kill: repeats, not loss.
    let accepted: Vec<String> = sender.ledger().accepted.into_keys().collect();
    assert_eq!(sink.ledger().into_keys().collect::<Vec<_>>(), accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_writer_that_hangs() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["journal writer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_committer_that_hangs() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["state committer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accept_loop_that_hangs() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["accept loop"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatcher_that_hangs() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["dispatcher sink"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_that_no_event_passes_and_that_hang() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["reload", "expiry", "heartbeat"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_reader_that_hangs() {
    hung_loops_are_noticed_and_a_restart_loses_nothing(&["event reader"]).await;
}

//! A full disk and a full spool: refused with 503, not ready, nothing accepted lost, over when there is room.

use bytes::Bytes;
use serde_json::json;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    files::write_manifest,
    manifest::{self, destination},
    mount::Mount,
    process::Process,
    relay::{RELAY, Relay},
    sender::{Sender, json_of},
    sink::{Behaviour, Sink},
    wait::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_and_loses_nothing() {
    let Some(disk) = Mount::ext4(128) else { return };
    let sink = Sink::start(Behaviour::Hang).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "96Mi"}});
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start_in(folder, disk.path().join("data"), &manifest).await;
    let sender = Sender::to(&relay);
    sender.send(100, 8).await;
    let filler = disk.fill();

    let accepted = fill_up(&relay).await;
    let why = relay.probes.unready().await;
    assert!(!why.is_empty());
    assert!(relay.probes.alive().await, "a full disk is nothing that a restart would mend");
    assert_adds_up(&relay.probes.status().await);

    std::fs::remove_file(filler).unwrap();
    sink.set(Behaviour::Ok);
    relay.probes.ready().await;
    relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    let taken = sink.ledger();
    for id in accepted.iter().chain(sender.ledger().accepted.keys()) {
        assert!(taken.contains_key(id), "event {id} was lost");
    }
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    let fresh = sender.send_accepted().await;
    sink.took(&fresh).await;
    relay.process.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn full_spool_refuses_and_survives_a_kill() {
    let sink = Sink::start(Behaviour::Hang).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "32Mi"}});
    let mut relay = Relay::start(&manifest).await;
    let accepted = fill_up(&relay).await;
    assert!(accepted.len() > 10, "only {} events fit in", accepted.len());
    relay.probes.unready().await;
    relay.kill();
    sink.set(Behaviour::Ok);
    relay.restart().await;
    relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    let taken = sink.ledger();
    for id in &accepted {
        assert!(taken.contains_key(id), "event {id} was lost");
    }
    assert_adds_up(&relay.probes.status().await);
    let fresh = Sender::to(&relay).send_accepted().await;
    sink.took(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_spool_names_the_destination_that_fills_it() {
    let healthy = Sink::start(Behaviour::Ok).await;
    let stuck = Sink::start(Behaviour::Hang).await;
    let destinations = [destination("healthy", &healthy.url()), destination("stuck", &stuck.url())];
    let mut manifest = manifest::relay(destinations);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "32Mi"}});
    let relay = Relay::start(&manifest).await;
    fill_up(&relay).await;
    let problem = r#"full: its oldest undelivered event is for destination "stuck""#;
    relay.probes.until("it says why", |status| status["storageProblem"] == problem).await;
    assert_eq!(relay.probes.unready().await, format!("journal: {problem}\n"));
    stuck.set(Behaviour::Ok);
    relay.probes.until("it says nothing", |status| status["storageProblem"].is_null()).await;
    relay.probes.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_backlog_drops_its_oldest_by_name_and_never_fills_the_spool() {
    let bounded = Sink::start(Behaviour::Hang).await;
    let healthy = Sink::start(Behaviour::Ok).await;
    let mut small = destination("bounded", &bounded.url());
    small["backlog"] = json!({"size": "1Mi", "then": "Drop"});
    // Longer than any wait: an attempt that hangs must not hold the journal until it times out.
    small["timeout"] = "10m".into();
    let mut manifest = manifest::relay([small, destination("healthy", &healthy.url())]);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "64Mi"}});
    let mut relay = Relay::start(&manifest).await;
    let body = large_body();
    for _ in 0..200 {
        // Segments are freed a commit later than their events end: a sender that is faster comes again.
        let send =
            async || relay.client().post(relay.url()).body(body.clone()).send().await.unwrap().status();
        eventually("accepted", send, |status| *status == 200).await;
    }
    // Two records of half a mebibyte are over it, so one is what stays.
    relay.until("bounded", "one pending", |bounded| bounded["pending"] == 1).await;
    relay.until("healthy", "all delivered", |healthy| healthy["delivered"] == 200).await;
    assert_adds_up(&relay.probes.status().await);
    let sender = Sender::to(&relay);
    let fresh = sender.send_accepted().await;
    healthy.took(&fresh).await;
    relay.process.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn second_process_on_a_spool_is_refused() {
    let sink = Sink::start(Behaviour::Ok).await;
    let manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&manifest).await;
    let path = relay.data_dir().parent().unwrap().join("manifest.yaml");
    let data = relay.data_dir().to_str().unwrap();
    let args = ["run", "--manifest", path.to_str().unwrap(), "--data-dir", data, "--address=127.0.0.1"];
    let second = Process::run(RELAY, args);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let sender = Sender::to(&relay);
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[test]
fn spool_too_small_for_its_bodies_is_a_mistake_of_the_manifest() {
    let mut manifest = manifest::relay([destination("sink", "http://127.0.0.1:9/")]);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "32Mi"}});
    manifest["spec"]["listener"]["maxBodySize"] = "16Mi".into();
    let folder = tempfile::tempdir().unwrap();
    write_manifest(folder.path(), &manifest.to_string());
    let (path, data) = (folder.path().join("manifest.yaml"), folder.path().join("data"));
    let args = ["run", "--manifest", path.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let ended = Process::run(RELAY, args);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(said.contains("spec.spool.persistent.size: must be at least 171Mi"), "{said}");
}

/// Returns half a mebibyte of JSON.
fn large_body() -> Bytes {
    Bytes::from(json_of(512 << 10))
}

/// Sends large events until one is refused with 503; returns the ids of those accepted.
async fn fill_up(relay: &Relay) -> Vec<String> {
    let (client, body, mut accepted) = (relay.client(), large_body(), Vec::new());
    loop {
        let answer = client.post(relay.url()).body(body.clone()).send().await.unwrap();
        if answer.status() == 503 {
            assert!(answer.headers().contains_key("retry-after"));
            return accepted;
        }
        assert_eq!(answer.status(), 200);
        accepted.push(answer.headers()["visnyk-id"].to_str().unwrap().to_owned());
        assert!(accepted.len() < 1_000, "the spool never fills up");
    }
}

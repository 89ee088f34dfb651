//! Changes without a restart; a bad change changes nothing.

use serde_json::{Value, json};
use visnyk_tests::{
    client::certificate,
    conservation::assert_conserved,
    files::write_secret,
    manifest::{self, RELAY_PORT, destination},
    relay::Relay,
    sender::{Sender, json_of},
    sink::{Behaviour, Sink},
    wait::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn bad_manifest_changes_nothing_and_is_told_of() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&manifest).await;
    let before = relay.probes.status().await;
    manifest["spec"]["destinations"][0]["url"] = "nowhere".into();
    relay.change_manifest(&manifest.to_string());
    let told = async || relay.process.said();
    eventually("told of", told, |said| said.contains("spec.destinations[0].url")).await;
    let after = relay.probes.status().await;
    assert_eq!(after["configurationHash"], before["configurationHash"]);
    let sender = Sender::to(&relay);
    sender.send(10, 2).await;
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_source_and_limit_apply_without_a_restart() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&manifest).await;
    manifest["metadata"]["generation"] = 3.into();
    manifest["spec"]["listener"]["maxBodySize"] = "1Ki".into();
    manifest["spec"]["sources"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "second", "path": "/second", "verify": {"none": {}}}));
    relay.apply(&manifest).await;
    assert_eq!(relay.probes.status().await["generation"], 3);
    let client = relay.client();
    let second = client.post(format!("{}second", relay.url())).body("{}").send().await.unwrap();
    assert_eq!(second.status(), 200);
    sink.took(second.headers()["visnyk-id"].to_str().unwrap()).await;
    let large = client.post(relay.url()).body(json_of(2_002)).send().await.unwrap();
    assert_eq!(large.status(), 413);
    relay.process.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_certificate_is_shown_and_an_unusable_one_is_reported() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["listener"]["tls"] = json!({"secretName": "front"});
    let folder = tempfile::tempdir().unwrap();
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let first = make();
    write_secret(folder.path(), "front", "tls.crt", &first.cert.pem());
    write_secret(folder.path(), "front", "tls.key", &first.signing_key.serialize_pem());
    let data_dir = folder.path().join("data");
    let relay = Relay::start_in(folder, data_dir, &manifest).await;
    let address = relay.address().port(RELAY_PORT);
    assert_eq!(certificate(address).await, first.cert.der().to_vec());

    let second = make();
    let secret = relay.secrets_dir().join("front");
    std::fs::write(secret.join("tls.crt"), second.cert.pem()).unwrap();
    std::fs::write(secret.join("tls.key"), second.signing_key.serialize_pem()).unwrap();
    let shown = async || certificate(address).await;
    eventually("new certificate", shown, |shown| *shown == second.cert.der().to_vec()).await;
    let problem = async || relay.probes.status().await["certificateProblem"].clone();
    eventually("no problem", problem, Value::is_null).await;

    std::fs::write(secret.join("tls.crt"), "no certificate").unwrap();
    let told = eventually("the problem is told of", problem, Value::is_string).await;
    assert!(told.as_str().unwrap().contains("tls.crt holds no certificate"), "{told}");
    assert_eq!(certificate(address).await, second.cert.der().to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_refers_to_a_new_secret_waits_for_its_file() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let relay = Relay::start(&manifest).await;
    let before = relay.probes.status().await["configurationHash"].clone();
    let send = async || relay.client().post(relay.url()).body("{}").send().await.unwrap().status();

    manifest["spec"]["sources"][0]["verify"] =
        json!({"bearer": {"secretRefs": [{"name": "front", "key": "token"}]}});
    relay.change_manifest(&manifest.to_string());
    let problem = async || relay.probes.status().await["manifestProblem"].clone();
    let told = "secret front/token is new and not there: it takes its file, or a restart";
    eventually("told of", problem, |problem| problem == told).await;
    assert_eq!(relay.probes.status().await["configurationHash"], before);
    assert_eq!(send().await, 200);

    write_secret(relay.secrets_dir().parent().unwrap(), "front", "token", "let me in");
    relay.probes.until_other_configuration(&before).await;
    assert_eq!(relay.probes.status().await["manifestProblem"], Value::Null);
    assert_eq!(send().await, 401);
}

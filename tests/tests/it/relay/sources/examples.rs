//! The example of each provider, as it is: it lets its provider in and nobody else.

use std::process::Output;

use data_encoding::BASE64;
use serde_json::Value;
use visnyk_tests::{
    authority::Authority,
    files::write_secret,
    manifest::{self, destination},
    process::Process,
    provider::{self, SECRET, sign, sign_at},
    relay::{RELAY, Relay},
    sink::{Behaviour, Sink},
};

use super::examples;
use crate::relay::secrets::holding;

/// Names and keys of all secrets that a manifest refers to.
fn secrets(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => match (&fields.get("name"), &fields.get("key")) {
            (Some(Value::String(name)), Some(Value::String(key))) => vec![(name.clone(), key.clone())],
            _ => fields.values().flat_map(secrets).collect(),
        },
        Value::Array(items) => items.iter().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_is_let_in_by_its_example_and_what_is_forged_is_not() {
    let sink = Sink::start(Behaviour::Ok).await;
    let folder = tempfile::tempdir().unwrap();
    let mut all = manifest::relay([destination("sink", &sink.url())]);
    let mut sources = Vec::new();
    for (_, example) in examples() {
        for (name, key) in secrets(&example["spec"]["sources"]) {
            write_secret(folder.path(), &name, &key, &format!("{SECRET}\n"));
        }
        if let Some(client_ca) = example.pointer("/spec/listener/tls/clientCa") {
            all["spec"]["listener"]["tls"]["clientCa"] = client_ca.clone();
        }
        sources.extend(example["spec"]["sources"].as_array().unwrap().clone());
    }
    assert!(sources.len() > 12, "{}", sources.len());
    all["spec"]["sources"] = sources.clone().into();
    let data_dir = folder.path().join("data");
    let mut relay = Relay::start_in(folder, data_dir, &all).await;
    relay.terminate().await;
    relay.restart_at_trace().await;
    let client = relay.client();

    let mut accepted = 0;
    // PayPal's proof takes PayPal: what it refuses is seen here, and the rest beside its code. A certificate is no
    // secret: see `certificates`.
    for source in
        sources.iter().filter(|source| source["name"] != "paypal" && source["name"] != "client-certificate")
    {
        let (name, path) = (source["name"].as_str().unwrap(), source["path"].as_str().unwrap());
        let url = format!("{}{}", relay.url(), &path[1..]);
        let body = format!("{{\"from\": \"{name}\", \"number\": {}}}", accepted + 1);
        let signed = sign(name, body.as_bytes());
        let answer = signed.send(&client, &url).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await.unwrap());
        let id = answer.headers()["visnyk-id"].to_str().unwrap().to_owned();
        let taken = sink.took(&id).await;
        assert_eq!(taken[0].body, body.as_bytes(), "{name}");
        accepted += 1;

        let proven = source["verify"].as_object().unwrap().keys().next().unwrap();
        let mut forged = signed.clone();
        if ["bearer", "basic", "telegram"].contains(&proven.as_str()) {
            forged.headers.retain(|(name, _)| *name == "content-type");
        } else {
            forged.body[2] ^= 1;
        }
        let answer = forged.send(&client, &url).await;
        assert_eq!(answer.status(), 401, "{name}, forged");
        let text = answer.text().await.unwrap();
        assert_eq!(text, "{\"error\":\"Not authorized\"}\n", "{name} was given a hint");
    }
    for name in ["stripe", "slack", "gitlab", "standard-webhooks", "hmac"] {
        let late = sign_at(name, b"{}", provider::now() - 310);
        let answer = late.send(&client, &format!("{}{name}", relay.url())).await;
        assert_eq!(answer.status(), 401, "{name}, late");
    }
    let unproven = client.post(format!("{}paypal", relay.url())).body("{}").send().await.unwrap();
    assert_eq!(unproven.status(), 401);
    assert_eq!(relay.probes.status().await["accepted"], accepted);
    sink.took_events(accepted).await;

    assert!(relay.process.said().contains("TRACE"), "nothing was logged at trace");
    // Every provider's secret is the same canary, and once it is half of a header in base64.
    let basic = BASE64.encode(format!("{SECRET}:{SECRET}").as_bytes());
    for canary in [SECRET, &SECRET["whsec_".len()..], &basic] {
        assert!(!relay.process.said().contains(canary), "a secret is in the log");
        for path in ["/metrics", "/status"] {
            assert!(!relay.probes.get(path).await.unwrap().1.contains(canary), "a secret is in {path}");
        }
        assert!(!format!("{:?}", sink.arrivals()).contains(canary), "a secret was delivered");
        assert_eq!(holding(relay.data_dir(), canary), Vec::<String>::new(), "a secret is in the data folder");
    }
}

#[test]
fn check_finds_every_unusable_secret_of_an_example() {
    let needs_secrets = |example: &Value| !secrets(&example["spec"]).is_empty();
    let bundle = Authority::new("partners").certificate;
    for (path, example) in examples().into_iter().filter(|(_, example)| needs_secrets(example)) {
        let folder = tempfile::tempdir().unwrap();
        let check = || -> Output {
            let secrets = folder.path().join("secrets");
            let (manifest, secrets) = (path.to_str().unwrap(), secrets.to_str().unwrap());
            Process::run(RELAY, ["check", "--manifest", manifest, "--secrets-dir", secrets])
        };
        let secrets = secrets(&example["spec"]);
        let write_secrets = |content: &str| {
            for (name, key) in &secrets {
                write_secret(folder.path(), name, key, content);
            }
        };
        for content in [None, Some("\n")] {
            if let Some(content) = content {
                write_secrets(content);
            }
            let refused = check();
            assert_eq!(refused.status.code(), Some(64), "{}: {refused:?}", path.display());
            let said = String::from_utf8(refused.stderr).unwrap();
            for (name, key) in &secrets {
                let line = format!("spec.sources[0].verify: secret {name}/{key} ");
                assert_eq!(said.matches(&line).count(), 1, "{line} in {said}");
            }
        }
        let is_bundle = secrets.iter().any(|(_, key)| key == "ca.crt");
        write_secrets(if is_bundle { &bundle } else { SECRET });
        let valid = check();
        assert_eq!(valid.status.code(), Some(0), "{}: {valid:?}", path.display());
    }
}

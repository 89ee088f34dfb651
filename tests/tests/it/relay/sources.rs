//! Nobody gets in who did not prove who it is, and whoever did is taken at its word.

mod bodies;
mod certificates;
mod cloud_events;
mod examples;
mod greetings;
mod refused;
mod repeats;

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use visnyk_tests::{files::write_secret, manifest, provider::SECRET, relay::Relay, sink::Sink};

/// Starts a relay with this `verify` at `/`, whose every secret is [`SECRET`].
async fn relay_with(verify: Value, sink: &Sink) -> Relay {
    let mut manifest = manifest::relay([manifest::destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0]["verify"] = verify;
    start(&manifest).await
}

async fn start(manifest: &Value) -> Relay {
    let folder = tempfile::tempdir().unwrap();
    for key in ["one", "two"] {
        write_secret(folder.path(), "hook", key, SECRET);
    }
    let data_dir = folder.path().join("data");
    Relay::start_in(folder, data_dir, manifest).await
}

/// Returns the field `secretRefs` with a secret that [`relay_with`] has.
fn secret_refs() -> Value {
    json!({"secretRefs": [{"name": "hook", "key": "one"}]})
}

/// Returns the manifest of every example of a source.
fn examples() -> Vec<(PathBuf, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/sources");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let parse = |path: PathBuf| {
        let manifest = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path, manifest)
    };
    paths.into_iter().map(parse).collect()
}

/// Returns the values of a metric of the relay, by its labels.
async fn metric(relay: &Relay, name: &str) -> Vec<String> {
    let (_, text) = relay.probes.get("/metrics").await.unwrap();
    let mut lines: Vec<String> =
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
    lines.sort();
    lines
}

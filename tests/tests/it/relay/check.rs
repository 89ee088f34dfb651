//! A bad manifest is refused before anything is touched, every mistake with its place.

use std::{fs, process::Output};

use serde_json::json;
use visnyk_tests::{
    manifest::{self, destination},
    process::Process,
    relay::RELAY,
};

fn check(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.yaml");
    fs::write(&path, text).unwrap();
    Process::run(RELAY, ["check", "--manifest", path.to_str().unwrap()])
}

#[test]
fn check_names_every_mistake_with_its_place() {
    let valid = check(&manifest::relay([destination("sink", "https://sink.example.org/hook")]).to_string());
    assert_eq!(valid.status.code(), Some(0), "{valid:?}");

    let mut wrong = manifest::relay([
        destination("sink", "https://sink.example.org/hook"),
        destination("sink", "ftp://sink.example.org/hook"),
    ]);
    wrong["spec"]["listener"]["port"] = 0.into();
    wrong["spec"]["sources"][0]["path"] = "no-slash".into();
    wrong["spec"]["heartbeat"] = json!({"every": "5m", "to": ["nobody"]});
    wrong["spec"]["surprise"] = true.into();
    let refused = check(&wrong.to_string());
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    for place in [
        "spec.destinations[1].name: ",
        "spec.destinations[1].url: ",
        "spec.heartbeat.to[0]: ",
        "spec.listener.port: ",
        "spec.sources[0].path: ",
        "spec.surprise: ",
    ] {
        assert_eq!(said.lines().filter(|line| line.contains(place)).count(), 1, "{place} in:\n{said}");
    }
}

#[test]
fn run_with_a_bad_manifest_ends_before_it_touches_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("manifest.yaml"), folder.path().join("data"));
    fs::write(&path, manifest::relay([destination("sink", "nowhere")]).to_string()).unwrap();
    let args = ["run", "--manifest", path.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let output = Process::run(RELAY, args);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(!data.exists());
}

#[test]
fn examples_are_valid() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let manifests = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    let manifests: Vec<_> =
        manifests.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    assert!(!manifests.is_empty());
    for manifest in manifests {
        for binary in [RELAY, visnyk_tests::collector::COLLECTOR] {
            let output = Process::run(binary, ["check", "--manifest", manifest.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(0), "{binary} {}: {output:?}", manifest.display());
        }
    }
}

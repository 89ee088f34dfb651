//! A bad manifest is refused before anything is touched, every mistake with its place.

use std::{fs, process::Output};

use serde_json::json;
use visnyk_tests::{
    collector::COLLECTOR,
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
fn check_refuses_a_spool_that_run_would_refuse() {
    let mut manifest = manifest::relay([destination("sink", "https://sink.example.org/hook")]);
    manifest["spec"]["spool"]["persistent"]["size"] = "64Mi".into();
    assert_eq!(check(&manifest.to_string()).status.code(), Some(0));
    manifest["spec"]["listener"]["maxBodySize"] = "8Mi".into();
    let refused = check(&manifest.to_string());
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("spec.spool.persistent.size: must be at least 86Mi"), "{said}");
}

#[test]
fn check_warns_of_what_can_never_take_effect() {
    let inside = destination("sink", "http://10.1.2.3/hook");
    let mut manifest = manifest::relay([inside]);
    manifest["spec"]["autoscaling"] = json!({"maxReplicas": 3});
    manifest["spec"]["replicas"] = 4.into();
    let valid = check(&manifest.to_string());
    assert_eq!(valid.status.code(), Some(0), "{valid:?}");
    let said = String::from_utf8(valid.stderr).unwrap();
    assert!(said.contains("warning: spec.replicas: the autoscaler replaces 4"), "{said}");
    assert!(said.contains("warning: spec.destinations[0].url: no connection is made: 10.1.2.3 is"), "{said}");
}

#[test]
fn check_misses_the_secrets_of_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.yaml");
    let mut relay = manifest::relay([destination("sink", "https://sink.example.org/hook")]);
    let mut collector = manifest::collector();
    for (binary, manifest) in [(RELAY, &mut relay), (COLLECTOR, &mut collector)] {
        manifest["spec"]["listener"]["tls"] = json!({"secretName": "front"});
        fs::write(&path, manifest.to_string()).unwrap();
        let args = ["check", "--manifest", path.to_str().unwrap(), "--secrets-dir", "/nonexistent"];
        let refused = Process::run(binary, args);
        assert_eq!(refused.status.code(), Some(64), "{refused:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("spec.listener.tls: secret front: "), "{said}");
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

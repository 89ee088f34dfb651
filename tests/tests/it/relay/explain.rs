//! The examples of rules: what is printed for each event is in the file beside it.

use std::{fs, path::Path};

use visnyk_tests::{process::Process, relay::RELAY};

#[test]
fn each_example_of_rules_is_decided_as_the_file_beside_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules");
    let manifest = folder.join("monitoring.yaml");
    let mut events = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let event = entry.unwrap().path();
        if event.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        events += 1;
        let arguments =
            ["explain", "--manifest", manifest.to_str().unwrap(), "--event", event.to_str().unwrap()];
        let explained = Process::run(RELAY, arguments);
        assert_eq!(explained.status.code(), Some(0), "{explained:?}");
        let expected = fs::read_to_string(event.with_extension("txt")).unwrap();
        assert_eq!(String::from_utf8(explained.stdout).unwrap(), expected, "{}", event.display());
    }
    assert!(events > 4, "{events} events in {}", folder.display());
}

#[test]
fn event_file_of_an_unknown_source_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    fs::write(&event, r#"{"source": "sea"}"#).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules/monitoring.yaml");
    let arguments = ["explain", "--manifest", manifest.to_str().unwrap(), "--event", event.to_str().unwrap()];
    let refused = Process::run(RELAY, arguments);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("names source \"sea\", which the manifest does not have; there are network, backup"),
        "{told}"
    );
}

//! The README's half on Kubernetes: its commands are taken from there, so that it stays true.

use std::fs;

use serde_json::Value;
use visnyk_cluster_harness::eventually;
use visnyk_e2e::chart;
use visnyk_e2e::kubectl::{root, run, shell};

#[tokio::test]
async fn commands_of_the_readme_install_receive_and_deliver() {
    let commands = commands("## On Kubernetes");
    let [install, apply, wait, get, send, tail] = &commands[..] else {
        panic!("not six commands: {commands:?}")
    };
    nothing_is_installed().await;

    shell(install).await;
    shell(apply).await;
    shell(wait).await;

    let [relays, collectors] = &tables(&shell(get).await)[..] else { panic!("two tables") };
    let url = "https://monitoring-relay.default.svc/";
    assert_eq!(relays[0], ["NAME", "READY", "REASON", "URL", "DELIVERING", "AGE"]);
    assert_eq!(relays[1][..5], ["webhookrelay.visnyk.dev/monitoring", "1/1", "AsWanted", url, "True"]);
    assert!(is_age(&relays[1][5]), "{relays:?}");
    let url = "https://archive-collector.default.svc/";
    assert_eq!(collectors[0], ["NAME", "READY", "REASON", "URL", "AGE"]);
    assert_eq!(collectors[1][..4], ["collector.visnyk.dev/archive", "1/1", "AsWanted", url]);
    assert!(is_age(&collectors[1][4]), "{collectors:?}");

    assert_eq!(shell(send).await, "{\"success\":\"Webhook handled\"}\n");
    let event = fs::read_to_string(root().join("examples/events/packet-loss.json")).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    let lines = || async {
        let log = shell(tail).await;
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    eventually("the collector has the event", lines, |lines| *lines == [event.clone()]).await;
    example_is_gone().await;
}

/// Returns the commands of a section's first block.
fn commands(section: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let from = readme.split_once(&format!("\n{section}\n")).expect("the section is in the README").1;
    let block = from.lines().skip_while(|line| !line.starts_with("    "));
    let block: Vec<&str> = block.take_while(|line| line.starts_with("    ")).map(str::trim).collect();
    block.join("\n").replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// Removes everything, as on a cluster that is new to us; every namespace of it is under the restricted Pod Security
/// Standard.
async fn nothing_is_installed() {
    chart::uninstall().await;
    example_is_gone().await;
    let namespace = format!("kubectl create namespace {} --dry-run=client --output yaml", chart::SYSTEM);
    shell(&format!("{namespace} | kubectl apply --server-side --filename -")).await;
    // It outlives an uninstall, and to make it takes a right of its own.
    run(
        "kubectl",
        &["delete", "--ignore-not-found", "lease", "visnyk-operator", "--namespace", chart::SYSTEM],
    )
    .await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    run("kubectl", &["label", "--overwrite", "namespace", "default", chart::SYSTEM, label]).await;
}

/// Waits until the example is gone with its volumes, so that the content of the log afterwards is new.
async fn example_is_gone() {
    // Where not even the kinds are known, none is there.
    shell("kubectl delete --ignore-not-found --filename examples/cluster.yaml 2>/dev/null || true").await;
    let ours = "--selector=app.kubernetes.io/managed-by=visnyk-operator";
    run("kubectl", &["wait", "--for=delete", "pods", ours, "--namespace=default", "--timeout=2m"]).await;
    run("kubectl", &["delete", "persistentvolumeclaims", ours, "--namespace=default"]).await;
}

/// Tables as kubectl prints them, each with its head, separated by an empty line.
fn tables(printed: &str) -> Vec<Vec<Vec<String>>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    printed.split("\n\n").map(|table| table.lines().map(words).collect()).collect()
}

/// Returns whether a word is an age such as `12s`.
fn is_age(word: &str) -> bool {
    word.ends_with(['s', 'm']) && word.starts_with(|first: char| first.is_ascii_digit())
}

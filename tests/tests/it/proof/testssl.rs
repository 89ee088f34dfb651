//! Findings of testssl.sh at a relay's listener, which a collector shares: nothing old, nothing weak.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;
use visnyk_tests::{
    manifest::{self, RELAY_PORT, destination},
    proof::{is_long, report},
    relay::Relay,
    tally::{Manner, Tally},
};

/// Protocols, every cipher, and who chooses among them.
const SHORT: &[&str] = &["-p", "-e", "-P"];
/// Beside them categories of ciphers, forward secrecy, certificate, and all that has a name as a vulnerability. Not what
/// headers of HTTP tell browsers: senders are none.
const LONG: &[&str] = &["-p", "-e", "-P", "-s", "-f", "-S", "-U"];

/// Finding that is allowed: the authority is the relay's own, and its clients get a new certificate long before a
/// list of those revoked would be read.
const EXCEPTED: &str = "cert_revocation";

#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    severity: String,
    #[serde(rename = "finding")]
    said: String,
}

fn examine(relay: &Relay, folder: &Path) -> Vec<Finding> {
    let address = relay.address().port(RELAY_PORT);
    let found = folder.join("found.json");
    let output = Command::new("testssl")
        .args([
            "--quiet",
            "--color=0",
            "--warnings=off",
            "--nodns=none",
            "--connect-timeout=10",
            "--openssl-timeout=10",
        ])
        .arg("--add-ca")
        .arg(relay.data_dir().join("tls/ca.crt"))
        .arg("--jsonfile")
        .arg(&found)
        .args(if is_long() { LONG } else { SHORT })
        .args(["--ip", &address.ip().to_string(), &format!("https://localhost:{}/", address.port())])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("testssl.sh is installed");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&fs::read(found).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_find_nothing_old_and_nothing_weak() {
    let sink = Tally::start(Manner::Takes).await;
    let relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let folder = tempfile::tempdir().unwrap();
    let findings = examine(&relay, folder.path());

    let protocols = ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3"];
    let of = |id: &str| findings.iter().find(|finding| finding.id == id).map(|found| found.said.as_str());
    let offered: Vec<_> = protocols.iter().filter(|id| of(id) != Some("not offered")).collect();
    assert_eq!(offered, [&"TLS1_2", &"TLS1_3"]);
    let ciphers = findings.iter().filter(|found| found.id.starts_with("cipher_x"));
    let ciphers: BTreeSet<_> = ciphers.filter_map(|found| found.said.split_whitespace().last()).collect();
    // Each AEAD, with forward secrecy.
    let wanted = BTreeSet::from([
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ]);
    assert_eq!(ciphers, wanted);
    let mut by_severity = BTreeMap::<_, usize>::new();
    for finding in &findings {
        *by_severity.entry(&finding.severity).or_default() += 1;
    }
    report("testssl.sh", &format!("{} ciphers, {} findings: {by_severity:?}", ciphers.len(), findings.len()));
    let harmless = |found: &&Finding| ["OK", "INFO", "LOW"].contains(&found.severity.as_str());
    let bad: Vec<_> = findings.iter().filter(|found| !harmless(found) && found.id != EXCEPTED).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

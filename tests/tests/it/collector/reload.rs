//! Changes without a restart: manifest and certificate. A bad new one changes nothing.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use visnyk_tests::{
    client::{certificate, trusting},
    collector::Collector,
    files::write_secret,
    manifest::{self, COLLECTOR_PORT},
    wait::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn changed_manifest_is_applied_without_a_restart() {
    let mut manifest = manifest::collector();
    let collector = Collector::start(&manifest).await;
    let client = collector.client();
    let post = async |body: String| client.post(collector.url()).body(body).send().await.unwrap().status();
    let before = collector.probes.status().await;
    assert_eq!(post("one".into()).await, 200);

    manifest["spec"]["log"]["path"] = "other.log".into();
    manifest["spec"]["listener"]["maxBodySize"] = "1Ki".into();
    manifest["metadata"]["generation"] = 2.into();
    collector.change_manifest(&manifest.to_string());
    let after = collector.probes.until_other_configuration(&before["configurationHash"]).await;
    assert_eq!(after["generation"], 2);
    assert_eq!(post("two".into()).await, 200);
    assert_eq!(post("x".repeat(1025)).await, 413);
    assert_eq!(collector.log(), "one\n");
    assert_eq!(fs::read_to_string(collector.data_dir().join("other.log")).unwrap(), "two\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_manifest_changes_nothing_and_is_told_of() {
    let mut manifest = manifest::collector();
    let collector = Collector::start(&manifest).await;
    let before = collector.probes.status().await;
    let good = manifest.to_string();
    manifest["spec"]["log"]["path"] = "../other.log".into();
    collector.change_manifest(&manifest.to_string());
    let told = collector.probes.until("told of", |status| status["manifestProblem"].is_string()).await;
    assert!(told["manifestProblem"].as_str().unwrap().starts_with("spec.log.path: "), "{told}");
    assert_eq!(told["configurationHash"], before["configurationHash"]);
    collector.client().post(collector.url()).body("still here").send().await.unwrap();
    assert_eq!(collector.log(), "still here\n");

    collector.change_manifest(&good);
    collector.probes.until("forgotten", |status| status["manifestProblem"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_certificate_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = new_certificate(&folder);
    let mut manifest = manifest::collector();
    manifest["spec"]["listener"]["tls"] = json!({"secretName": "front"});
    let data_dir = folder.path().join("data");
    let collector = Collector::start_in(folder, data_dir, &manifest);
    collector.probes.ready().await;
    let address = collector.address().port(COLLECTOR_PORT);
    assert_eq!(certificate(address).await, first);

    let folder = collector.secrets_dir();
    fs::write(folder.join("front/tls.crt"), "no certificate").unwrap();
    let problem = |status: &serde_json::Value| status["certificateProblem"].is_string();
    collector.probes.until("told of", problem).await;
    assert_eq!(certificate(address).await, first);
    let answer = trusting(address).post(collector.url()).body("still here").send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let second = write_certificate(&folder.join("front"));
    eventually("new certificate", async || certificate(address).await, |shown| *shown == second).await;
}

fn new_certificate(folder: &TempDir) -> Vec<u8> {
    write_secret(folder.path(), "front", "tls.crt", "");
    write_certificate(&folder.path().join("secrets/front"))
}

/// Makes a certificate and returns it in DER.
fn write_certificate(folder: &std::path::Path) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".into()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    certificate.der().to_vec()
}

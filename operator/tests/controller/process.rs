//! The operator as a process, on an API server that does not know its kinds yet: what it shows of itself, and what it
//! does once they are there.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use http::{Request, Response, Uri, header};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use visnyk_cluster_harness::{eventually, install};
use visnyk_crds::WebhookRelay;
use visnyk_runtime::observe::metrics::lint;

use crate::world::{World, in_world};

const OPERATOR: &str = env!("CARGO_BIN_EXE_visnyk-operator");

/// The API server, which does not know our group before it is told to. Clones are the same.
#[derive(Clone)]
pub struct Young {
    client: Client,
    knows: Arc<AtomicBool>,
}

impl Young {
    /// Serves at an address of its own.
    async fn serve(client: Client) -> (Self, SocketAddr) {
        let young = Self { client, knows: Arc::default() };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(pass_on).with_state(young.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (young, address)
    }

    /// Makes the API group known.
    pub async fn learn(&self) {
        for definition in printed() {
            install(&self.client, &definition).await.unwrap();
        }
        self.knows.store(true, Ordering::SeqCst);
    }
}

/// Passes a request on. As long as the group is unknown, another one stands for it, of which the API server itself says
/// that it is not there.
async fn pass_on(State(young): State<Young>, request: Request<axum::body::Body>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(header::HOST);
    assert_eq!(head.headers.remove(header::AUTHORIZATION).unwrap(), format!("Bearer {TOKEN}"));
    if !young.knows.load(Ordering::SeqCst) {
        let path = head.uri.to_string().replace("/visnyk.dev/", "/not.visnyk.dev/");
        head.uri = path.parse::<Uri>().unwrap();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    young.client.send(Request::from_parts(head, Body::from(body.to_vec()))).await.unwrap()
}

/// Token by which the operator is known to it.
pub const TOKEN: &str = "canary-of-its-own-71c09d";

/// An operator that runs in this process.
pub struct Operator {
    process: Child,
    health: SocketAddr,
    log: NamedTempFile,
    _kubeconfig: NamedTempFile,
}

impl Operator {
    /// Looks after one namespace of an API server that is young yet, and logs what passes this filter.
    pub async fn start(world: &World, filter: &str) -> (Self, Young) {
        let (young, address) = Young::serve(world.client.clone()).await;
        let (log, kubeconfig) = (NamedTempFile::new().unwrap(), kubeconfig(address));
        let [a, b, c]: [u8; 3] = rand::random();
        let health = SocketAddr::from((Ipv4Addr::new(127, a.max(1), b, c.max(1)), 8081));
        let namespace = &world.namespace;
        let process = Command::new(OPERATOR)
            .args(["run", "--relay-image=relay:test", "--collector-image=collector:test", "--identity=test"])
            .args([format!("--watch-namespaces={namespace}"), format!("--lease-namespace={namespace}")])
            .arg(format!("--health={health}"))
            .env("KUBECONFIG", kubeconfig.path())
            .env("RUST_LOG", filter)
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        (Self { process, health, log, _kubeconfig: kubeconfig }, young)
    }

    /// Returns the log of the operator.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Returns the answer of its endpoint, as its own binary asks for a pod: the page, or what is wrong.
    pub fn ask(&self, path: &str) -> Result<String, String> {
        let asked = Command::new(OPERATOR).args(["probe", &format!("http://{}{path}", self.health)]).output();
        let asked = asked.unwrap();
        if asked.status.success() { Ok(text(asked.stdout)) } else { Err(text(asked.stderr)) }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Leads to an API server.
fn kubeconfig(address: SocketAddr) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let cluster = json!({ "name": "young", "cluster": { "server": format!("http://{address}") } });
    let context = json!({ "name": "young", "context": { "cluster": "young", "user": "operator" } });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "young", "clusters": [cluster],
        "contexts": [context], "users": [{ "name": "operator", "user": { "token": TOKEN } }],
    });
    fs::write(&file, config.to_string()).unwrap();
    file
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Returns the definitions that the operator prints.
fn printed() -> Vec<CustomResourceDefinition> {
    let printed = text(Command::new(OPERATOR).arg("crds").output().unwrap().stdout);
    let documents = serde_yaml::Deserializer::from_str(&printed);
    documents.map(|document| CustomResourceDefinition::deserialize(document).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_names_the_kinds_that_it_waits_for_and_then_works() {
    in_world(async |world| {
        let (operator, young) = Operator::start(&world, "info").await;
        let waits = "answers 503 Service Unavailable: \
            collectors.visnyk.dev: custom resource definition is not installed\n\
            webhookrelays.visnyk.dev: custom resource definition is not installed\n\n";
        let is_waiting = |answer: &Result<String, String>| answer.as_ref().is_err_and(|why| why.ends_with(waits));
        eventually("it waits for both", async || operator.ask("/readyz"), is_waiting).await.unwrap_err();
        assert_eq!(operator.ask("/livez"), Ok("ok\n".into()));
        let page = operator.ask("/metrics").unwrap();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        assert!(page.contains("\nvisnyk_leading 0\n"), "{page}");

        young.learn().await;
        eventually("it is ready", async || operator.ask("/readyz"), Result::is_ok).await.unwrap();
        world.create_relay("harbour", &json!({ "listener": { "tls": { "selfSigned": {} } } })).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "CertificateReady", "True", "Issued").await;
        let expires = format!(
            r#"visnyk_certificate_expiry_timestamp_seconds{{kind="WebhookRelay",namespace="{}",name="harbour"}} "#,
            world.namespace,
        );
        let figures =
            ["visnyk_leading 1", r#"visnyk_reconciles_total{kind="WebhookRelay",outcome="success"} "#, &expires];
        let is_told = |page: &Result<String, String>| {
            page.as_ref().is_ok_and(|page| figures.iter().all(|figure| page.contains(&format!("\n{figure}"))))
        };
        let page = eventually("all is told", async || operator.ask("/metrics"), is_told).await.unwrap();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        assert_children_of_one_visit_share_its_trace(&operator.log(), &world.namespace);
    })
    .await;
}

/// Checks that all children of a new relay are made by one reconcile: their lines name the relay and one trace.
fn assert_children_of_one_visit_share_its_trace(log: &str, namespace: &str) {
    let mut traces = BTreeMap::<String, usize>::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["message"] == "applied" {
            let spans = line["spans"].as_array().unwrap();
            let said = |name: &str| spans.iter().find_map(|span| span[name].as_str()).unwrap();
            assert!(said("object.ref").contains(&format!("harbour.{namespace}")), "{line}");
            *traces.entry(said("trace_id").to_owned()).or_default() += 1;
        }
    }
    assert!(traces.keys().all(|trace| trace.len() == 32), "{traces:?}");
    assert!(traces.values().any(|lines| *lines >= 8), "{traces:?}");
}

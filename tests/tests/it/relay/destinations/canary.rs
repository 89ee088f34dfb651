//! Credentials of deliveries are in their headers and nowhere else, at any level of the log.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use visnyk_tests::{
    address::Address,
    authority::Authority,
    manifest::{self, destination, with},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

use super::start;

const TOKEN: &str = "canary-t0ken-5f1e";
/// Secrets that users write into a URL or a header instead of a Secret.
const WRITTEN: [&str; 4] =
    ["canary-path-5f1e", "canary-query-5f1e", "canary-login-5f1e", "canary-literal-5f1e"];

/// Starts an authorization server, and returns the requests that it gets.
async fn authorization_server(address: &Address) -> Arc<Mutex<Vec<String>>> {
    let socket = TcpListener::bind(address.port(8000)).await.unwrap();
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            let json = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":3600}}"#);
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", json.len());
            stream.write_all((head + &json).as_bytes()).await.unwrap();
        }
    });
    requests
}

/// Starts another relay, which speaks HTTP/2 and logs at every level.
async fn peer(sink: &Sink, token: &Value, secrets: &[(&str, &str)]) -> Relay {
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let verify = json!({"bearer": {"secretRefs": [token]}});
    manifest["spec"]["sources"][0] =
        json!({"name": "peer", "path": format!("/{}", WRITTEN[0]), "verify": verify});
    let mut peer = start(&manifest, secrets).await;
    peer.terminate().await;
    peer.restart_at_trace().await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_delivery_is_in_a_log_status_or_dead_letter() {
    let canaries = [
        ("hmac", "canary-hmac-5f1e"),
        ("standard", "whsec_Y2FuYXJ5LXN0YW5kYXJkLTVmMWU="),
        ("user", "canary-user-5f1e"),
        ("password", "canary-password-5f1e"),
        ("id", "canary-id-5f1e"),
        ("secret", "canary-secret-5f1e"),
        ("header", "canary-header-5f1e"),
    ];
    let secret = |key: &str| json!({"name": "proof", "key": key});
    let login = Address::take();
    let asked = authorization_server(&login).await;
    let (taking, refusing) =
        (Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Answer(401, None)).await);
    let [path, query, login_query, literal] = WRITTEN;
    let fields = |fields: Value| {
        let header = json!({"headers": [
            {"name": "X-Key", "secretRef": secret("header")},
            {"name": "X-Literal", "value": literal},
        ]});
        with(with(fields, header), json!({"retry": {"schedule": ["0s"]}}))
    };
    let to = |url: &str| format!("{url}/{path}?key={query}");
    let oauth = json!({
        "sign": {"standardWebhooks": {"secretRefs": [secret("standard")]}},
        "authorization": {"oauth2ClientCredentials": {
            "tokenUrl": format!("http://{}/token?key={login_query}", login.port(8000)),
            "clientIdRef": secret("id"), "clientSecretRef": secret("secret"),
        }},
    });
    let basic = json!({
        "sign": {"hmac": {"secretRefs": [secret("hmac")], "header": "X-Sig"}},
        "authorization": {"basic": {"usernameRef": secret("user"), "passwordRef": secret("password")}},
    });
    let elsewhere = Sink::start(Behaviour::Ok).await;
    let peer = peer(&elsewhere, &secret("secret"), &canaries).await;
    let over_tls = json!({
        "authorization": {"bearer": {"secretRef": secret("secret")}},
        "tls": {"caRef": {"name": "proof", "key": "ca.crt"}},
    });
    let ca = fs::read_to_string(peer.data_dir().join("tls/ca.crt")).unwrap();
    let away = json!({
        "authorization": {"bearer": {"secretRef": secret("secret")}},
        "tls": {"clientCertificateRef": {"name": "proof"}},
    });
    let destinations = [
        with(destination("encrypted", &to(peer.url().trim_end_matches('/'))), fields(over_tls)),
        with(destination("taking", &to(&taking.url())), fields(oauth.clone())),
        with(destination("refusing", &to(&refusing.url())), fields(oauth)),
        with(destination("plain", &to(&taking.url())), fields(basic)),
        // Nobody is there, and the error says so.
        with(destination("away", &to("https://127.0.0.1:1")), fields(away)),
    ];
    let identity = Authority::new("ours").client("relay", vec![]);
    let key_at = identity.find("-----BEGIN PRIVATE KEY").unwrap();
    let key_line = identity[key_at..].lines().nth(1).unwrap();
    let files = [("tls.crt", &identity[..key_at]), ("tls.key", &identity[key_at..]), ("ca.crt", &ca)];
    let mut relay = start(&manifest::relay(destinations), &[&canaries[..], &files].concat()).await;
    relay.terminate().await;
    relay.restart_at_trace().await;
    let id = Sender::to(&relay).send_accepted().await;
    for name in ["refusing", "away"] {
        relay.until(name, "a dead letter", |status| status["deadLettered"] == 1).await;
    }
    for name in ["encrypted", "taking", "plain"] {
        relay.until(name, "a delivery", |status| status["delivered"] == 1).await;
    }

    // They did go out, where they belong.
    let taken = taking.took(&id).await;
    let header = |name: &str| taken.iter().filter(|one| one.headers.contains_key(name)).count();
    assert_eq!(
        (header("authorization"), header("webhook-signature"), header("x-sig"), header("x-key")),
        (2, 1, 1, 2)
    );
    assert!(taken.iter().any(|one| {
        one.headers.get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"))
    }));
    let refused: Vec<_> = refusing.arrivals();
    assert_eq!(refused.len(), 2, "a refused token is replaced once");
    assert_eq!(asked.lock().unwrap().len(), 3);

    let said = relay.process.said();
    let peer_said = peer.process.said();
    for said in [&said, &peer_said] {
        assert!(said.contains("TRACE") && said.contains("h2::"), "nothing was logged at trace");
    }
    let (_, metrics) = relay.probes.get("/metrics").await.unwrap();
    let status = relay.probes.status().await.to_string();
    let dead = relay.command(&["dead-letters", "list", "--bodies"]);
    let dead = String::from_utf8(dead.stdout).unwrap();
    assert_eq!(dead.lines().count(), 2, "{dead}");
    let base64_of_basic = "Y2FuYXJ5LXVzZXItNWYxZTpjYW5hcnktcGFzc3dvcmQtNWYxZQ==";
    let base64_of_client = "Y2FuYXJ5LWlkLTVmMWU6Y2FuYXJ5LXNlY3JldC01ZjFl";
    let secrets = canaries.iter().map(|(_, text)| *text);
    let secrets = secrets.chain(WRITTEN).chain([TOKEN, base64_of_basic, base64_of_client, key_line]);
    let logs = [("log", &said), ("log of the other", &peer_said)];
    let pages = [("metrics", &metrics), ("status", &status), ("dead letters", &dead)];
    for (place, text) in logs.into_iter().chain(pages) {
        for secret in secrets.clone() {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret} is in the {place}");
        }
    }
}

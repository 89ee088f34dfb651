//! Clients that show a certificate, and a listener whose certificate others keep fresh.

use axum::{Extension, Router, routing::any};
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;

use super::*;
use crate::authority::{Authority, Issued, Purpose, SenderName};
use crate::serve::client_certificate::ClientCertificate;

/// Who the requests of a connection are said to be from.
async fn who(certificate: Option<Extension<ClientCertificate>>) -> String {
    let sender = certificate.and_then(|Extension(certificate)| certificate.sender(Timestamp::now()));
    sender.map_or_else(|| "nobody".to_owned(), |sender| sender.uri())
}

fn authority() -> Authority {
    Authority::make(Timestamp::now()).unwrap()
}

fn relay_of(authority: &Authority, namespace: &str) -> Issued {
    let sender = SenderName { namespace: namespace.into(), name: "quay".into() };
    authority.issue(&Purpose::Sender(sender), Timestamp::now()).unwrap()
}

/// A client that takes up its earlier session where the server lets it.
fn client(trusted: &str, identity: Option<&Issued>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Issued { certificate, key }) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(certificate)], key).unwrap()
        }
    };
    config.resumption = Resumption::in_memory_sessions(8);
    TlsConnector::from(Arc::new(config))
}

struct Gate {
    folder: tempfile::TempDir,
    readiness: Readiness,
    served: Served,
}

impl Gate {
    /// A listener that trusts this bundle.
    async fn open(ip: &str, bundle: Option<&str>) -> Self {
        let (folder, readiness) = (tempfile::tempdir().unwrap(), Readiness::default());
        let bundle_file = folder.path().join("ca.crt");
        if let Some(bundle) = bundle {
            fs::write(&bundle_file, bundle).unwrap();
        }
        let files = TlsFiles { client_ca: Some(bundle_file), ..files(folder.path(), ip) };
        let tls = Tls::start(files, self_signed(), &readiness);
        let app = Router::new().fallback(any(who));
        let served = serve_with(ip, Limits::default(), tls, app).await;
        Self { folder, readiness, served }
    }

    fn trust(&self, bundle: &str) {
        fs::write(self.folder.path().join("ca.crt"), bundle).unwrap();
    }

    fn server_ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/tls/ca.crt")).unwrap()
    }

    fn client(&self, identity: Option<&Issued>) -> TlsConnector {
        client(&self.server_ca(), identity)
    }

    /// Who the listener takes a client for; none where it refuses the handshake.
    async fn takes(&self, client: &TlsConnector) -> Option<(String, rustls::HandshakeKind)> {
        let mut stream = connect_tls(client, self.served.address, "localhost").await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        // A refusal comes after the client's half of the handshake, as an error of the first read.
        stream.read_to_string(&mut answer).await.ok()?;
        let kind = stream.get_ref().1.handshake_kind()?;
        Some((answer.split("\r\n\r\n").nth(1)?.to_owned(), kind))
    }

    async fn who(&self, client: &TlsConnector) -> Option<String> {
        self.takes(client).await.map(|(who, _)| who)
    }
}

fn pem(authority: &Authority) -> &str {
    &authority.pem().certificate
}

#[tokio::test]
async fn client_is_who_its_certificate_says_and_without_one_it_is_nobody() {
    let (ours, other) = (authority(), authority());
    let gate = Gate::open("127.34.1.1", Some(pem(&ours))).await;
    let who = async |identity: Option<&Issued>| gate.who(&gate.client(identity)).await;
    assert_eq!(who(Some(&relay_of(&ours, "ships"))).await.as_deref(), Some("visnyk://ships/quay"));
    assert_eq!(who(None).await.as_deref(), Some("nobody"));
    assert_eq!(who(Some(&relay_of(&other, "ships"))).await, None, "another authority's certificate");
    let server = Purpose::Server { names: vec!["quay".into()], addresses: vec![] };
    let server = ours.issue(&server, Timestamp::now()).unwrap();
    assert_eq!(who(Some(&server)).await, None, "a server's certificate");
}

#[tokio::test]
async fn renewed_bundle_lets_new_authorities_in_without_a_restart() {
    let (old, new) = (authority(), authority());
    let gate = Gate::open("127.34.1.2", Some(pem(&old))).await;
    let (of_old, of_new) = (gate.client(Some(&relay_of(&old, "ships"))), relay_of(&new, "ships"));
    assert_eq!(gate.who(&gate.client(Some(&of_new))).await, None);
    gate.trust(&format!("{}{}", pem(&old), pem(&new)));
    eventually("the new authority is trusted", async || {
        gate.who(&gate.client(Some(&of_new))).await.is_some()
    })
    .await;
    assert!(gate.who(&of_old).await.is_some());
}

#[tokio::test]
async fn session_is_resumed_but_never_past_the_removal_of_its_authority() {
    let (old, new) = (authority(), authority());
    let gate = Gate::open("127.34.1.3", Some(pem(&old))).await;
    let client = gate.client(Some(&relay_of(&old, "ships")));
    let expected = |kind| Some(("visnyk://ships/quay".to_owned(), kind));
    assert_eq!(gate.takes(&client).await, expected(rustls::HandshakeKind::Full));
    assert_eq!(gate.takes(&client).await, expected(rustls::HandshakeKind::Resumed));
    gate.trust(pem(&new));
    let of_new = gate.client(Some(&relay_of(&new, "ships")));
    eventually("the new authority is trusted", async || gate.who(&of_new).await.is_some()).await;
    assert_eq!(gate.takes(&client).await, None);
}

#[tokio::test]
async fn bad_bundle_changes_nothing_and_is_told_of() {
    let ours = authority();
    let gate = Gate::open("127.34.1.4", Some(pem(&ours))).await;
    for bad in ["", "no certificate"] {
        gate.trust(bad);
        let told = async || gate.served.tls.status().problem.is_some_and(|it| it.contains("ca.crt"));
        eventually("told of", told).await;
        assert!(gate.who(&gate.client(Some(&relay_of(&ours, "ships")))).await.is_some());
        assert_eq!(gate.readiness.unmet(), []);
        gate.trust(pem(&ours));
        eventually("forgotten", async || gate.served.tls.status().problem.is_none()).await;
    }
}

#[tokio::test]
async fn missing_bundle_is_waited_for_and_nobody_is_trusted_meanwhile() {
    let ours = authority();
    let gate = Gate::open("127.34.1.5", None).await;
    assert!(gate.readiness.unmet()[0].reason.contains("ca.crt cannot be read"));
    let client = gate.client(Some(&relay_of(&ours, "ships")));
    assert_eq!(gate.who(&client).await.as_deref(), Some("nobody"));
    gate.trust(pem(&ours));
    eventually("ready", async || gate.readiness.unmet().is_empty()).await;
    assert_eq!(gate.who(&client).await.as_deref(), Some("visnyk://ships/quay"));
}

#[tokio::test]
async fn certificate_of_two_relays_is_of_neither_and_one_that_expired_of_nobody() {
    let (ours, now) = (authority(), Timestamp::now());
    let issued = relay_of(&ours, "ships");
    let certificate = ClientCertificate::of(&[der(&issued.certificate)]).unwrap();
    assert_eq!(certificate.sender(now).unwrap().namespace, "ships");
    assert_eq!(certificate.sender(now + crate::authority::LEAF_LIFE * 2), None);

    let mut params = rcgen::CertificateParams::default();
    let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
    params.subject_alt_names = vec![uri("visnyk://ships/quay"), uri("visnyk://sea/quay")];
    let two = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    assert_eq!(ClientCertificate::of(&[two.der().clone()]).unwrap().sender(now), None);
}

#[tokio::test]
async fn certificate_that_others_keep_fresh_is_shown_and_no_authority_is_made() {
    let (folder, readiness) = (tempfile::tempdir().unwrap(), Readiness::default());
    let tls_dir = folder.path().join("tls-dir");
    let authority = authority();
    let put = |revision| {
        let purpose = Purpose::Server { names: vec!["localhost".into()], addresses: vec![] };
        let Issued { certificate, key } = authority.issue(&purpose, Timestamp::now()).unwrap();
        fs::create_dir_all(&tls_dir).unwrap();
        kubelet_writes(&tls_dir, revision, &[("tls.crt", &certificate), ("tls.key", &key)]);
        certificate
    };
    let first = put(1);
    let files = TlsFiles { tls_dir: Some(tls_dir.clone()), ..files(folder.path(), "127.34.1.6") };
    let tls = Tls::start(files, self_signed(), &readiness);
    let served = serve_with("127.34.1.6", Limits::default(), tls, app(Bodies::default())).await;
    let client = connector(&[pem(&authority)], "http/1.1");
    let shown = async || shown(&connect_tls(&client, served.address, "localhost").await.unwrap());
    assert_eq!(shown().await, der(&first));
    let second = put(2);
    eventually("the new certificate is shown", async || shown().await == der(&second)).await;
    assert!(!folder.path().join("data").exists(), "an authority was made");
    assert_eq!(readiness.unmet(), []);
}

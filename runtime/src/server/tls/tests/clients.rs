//! Clients that show a certificate, and a listener whose certificate others keep fresh.

use arc_swap::ArcSwapOption;
use axum::{Extension, Router, routing::any};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    sign::{CertifiedKey, SingleCertAndKey},
    version,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::pki::{Authority, CertificateAndKey, Distrust, Purpose, SenderName, Trust, pem::private_key};
use crate::server::client_certificate::ClientCertificate;

/// Answers with the sender that the requests of a connection are said to be from.
async fn who(certificate: Option<Extension<ClientCertificate>>) -> String {
    let sender = certificate.and_then(|Extension(certificate)| certificate.sender(Timestamp::now()));
    sender.map_or_else(|| "nobody".to_owned(), |sender| sender.uri())
}

fn authority() -> Authority {
    Authority::make(Timestamp::now()).unwrap()
}

fn relay_of(authority: &Authority, namespace: &str) -> CertificateAndKey {
    let sender = SenderName { namespace: namespace.into(), name: "quay".into() };
    authority.issue(&Purpose::Sender(sender), Timestamp::now()).unwrap()
}

fn roots(trusted: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).unwrap();
    roots
}

/// Makes a client that takes up its earlier session where the server lets it.
fn client(trusted: &str, identity: Option<&CertificateAndKey>) -> TlsConnector {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(trusted));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = private_key(identity.key().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(identity.certificate())], key).unwrap()
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
    /// Opens a listener that trusts this bundle, by the command line.
    async fn open(ip: &str, bundle: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle_file = folder.path().join("ca.crt");
        if let Some(bundle) = bundle {
            fs::write(&bundle_file, bundle).unwrap();
        }
        let files = TlsFiles { client_ca: Some(bundle_file), ..files(folder.path(), ip) };
        Self::serve(folder, ip, files, only(self_signed())).await
    }

    /// Opens a listener that trusts the bundle that its manifest names.
    async fn of_manifest(ip: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for secret in ["senders", "others"] {
            fs::create_dir_all(folder.path().join("secrets").join(secret)).unwrap();
        }
        let files = files(folder.path(), ip);
        Self::serve(folder, ip, files, naming("senders")).await
    }

    async fn serve(folder: tempfile::TempDir, ip: &str, files: TlsFiles, wanted: Wanted) -> Self {
        let readiness = Readiness::default();
        let tls = Tls::start(files, wanted, &readiness);
        let app = Router::new().fallback(any(who));
        let served = serve_with(ip, Limits::default(), tls, app).await;
        Self { folder, readiness, served }
    }

    fn trust(&self, bundle: &str) {
        fs::write(self.folder.path().join("ca.crt"), bundle).unwrap();
    }

    /// Writes the Secret's bundle.
    fn write_secret(&self, secret: &str, bundle: &str) {
        fs::write(self.folder.path().join("secrets").join(secret).join("ca.crt"), bundle).unwrap();
    }

    fn server_ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/tls/ca.crt")).unwrap()
    }

    fn client(&self, identity: Option<&CertificateAndKey>) -> TlsConnector {
        client(&self.server_ca(), identity)
    }

    async fn connect(&self, client: &TlsConnector) -> tokio_rustls::client::TlsStream<TcpStream> {
        connect_tls(client, self.served.address, "localhost").await.unwrap()
    }

    /// Returns the identity that the listener sees of a client, and the kind of the handshake.
    async fn takes(&self, client: &TlsConnector) -> (String, rustls::HandshakeKind) {
        let mut stream = self.connect(client).await;
        let who = asked(&mut stream).await;
        (who, stream.get_ref().1.handshake_kind().unwrap())
    }

    async fn who(&self, client: &TlsConnector) -> String {
        self.takes(client).await.0
    }

    async fn comes_to_take(&self, client: &TlsConnector, who: &str) {
        eventually(who, async || self.who(client).await == who).await;
    }
}

/// Returns the identity that the listener now sees of the client of a connection.
async fn asked(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) -> String {
    exchange(stream, GET).await.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

fn naming(secret: &str) -> Wanted {
    let client_ca = Some(SecretRef { name: secret.into(), key: "ca.crt".into() });
    Wanted { own: self_signed(), client_ca }
}

fn pem(authority: &Authority) -> &str {
    authority.pem().certificate()
}

const QUAY: &str = "visnyk://ships/quay";

#[tokio::test]
async fn client_is_who_its_certificate_says_and_without_one_it_is_nobody() {
    let (ours, other) = (authority(), authority());
    let gate = Gate::open("127.34.1.1", Some(pem(&ours))).await;
    let who = async |identity: Option<&CertificateAndKey>| gate.who(&gate.client(identity)).await;
    assert_eq!(who(Some(&relay_of(&ours, "ships"))).await, QUAY);
    assert_eq!(who(None).await, "nobody");
    assert_eq!(who(Some(&relay_of(&other, "ships"))).await, "nobody", "another authority's certificate");
    let server = Purpose::Server { names: vec!["quay".into()], addresses: vec![] };
    let server = ours.issue(&server, Timestamp::now()).unwrap();
    assert_eq!(who(Some(&server)).await, "nobody", "a server's certificate");
}

#[tokio::test]
async fn client_without_its_certificates_key_fails_in_the_handshake() {
    let ours = authority();
    let gate = Gate::open("127.34.1.7", Some(pem(&ours))).await;
    let (stolen, own) = (relay_of(&ours, "ships"), relay_of(&ours, "sea"));
    let key = private_key(own.key().as_bytes()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let pair = CertifiedKey::new(vec![der(stolen.certificate())], key);
    for version in [&version::TLS13, &version::TLS12] {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots(&gate.server_ca()))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.clone())));
        let client = TlsConnector::from(Arc::new(config));
        let connected = connect_tls(&client, gate.served.address, "localhost").await;
        // In TLS 1.3 the refusal comes after the client's half of the handshake, as an error of the first read.
        let Ok(mut stream) = connected else { continue };
        let _ = stream.write_all(GET.as_bytes()).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn renewed_bundle_lets_new_authorities_in_without_a_restart() {
    let (old, new) = (authority(), authority());
    let gate = Gate::open("127.34.1.2", Some(pem(&old))).await;
    let of_old = gate.client(Some(&relay_of(&old, "ships")));
    let of_new = gate.client(Some(&relay_of(&new, "ships")));
    assert_eq!(gate.who(&of_new).await, "nobody");
    gate.trust(&format!("{}{}", pem(&old), pem(&new)));
    gate.comes_to_take(&of_new, QUAY).await;
    assert_eq!(gate.who(&of_old).await, QUAY);
}

#[tokio::test]
async fn no_session_or_connection_outlives_the_trust_in_its_authority() {
    let (old, new) = (authority(), authority());
    let gate = Gate::open("127.34.1.3", Some(pem(&old))).await;
    let client = gate.client(Some(&relay_of(&old, "ships")));
    assert_eq!(gate.takes(&client).await, (QUAY.to_owned(), rustls::HandshakeKind::Full));
    assert_eq!(gate.takes(&client).await, (QUAY.to_owned(), rustls::HandshakeKind::Resumed));
    let mut open = gate.connect(&client).await;
    assert_eq!(asked(&mut open).await, QUAY);
    gate.trust(pem(&new));
    gate.comes_to_take(&gate.client(Some(&relay_of(&new, "ships"))), QUAY).await;
    assert_eq!(gate.takes(&client).await, ("nobody".to_owned(), rustls::HandshakeKind::Full));
    assert_eq!(asked(&mut open).await, "nobody");
}

#[tokio::test]
async fn bad_bundle_changes_nothing_and_is_told_of() {
    let ours = authority();
    let gate = Gate::open("127.34.1.4", Some(pem(&ours))).await;
    for bad in ["", "no certificate"] {
        gate.trust(bad);
        let told = async || gate.served.tls.status().problem.is_some_and(|it| it.contains("ca.crt"));
        eventually("told of", told).await;
        assert_eq!(gate.who(&gate.client(Some(&relay_of(&ours, "ships")))).await, QUAY);
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
    assert_eq!(gate.who(&client).await, "nobody");
    gate.trust(pem(&ours));
    eventually("ready", async || gate.readiness.unmet().is_empty()).await;
    assert_eq!(gate.who(&client).await, QUAY);
}

#[tokio::test]
async fn bundle_of_the_manifest_comes_changes_and_goes() {
    let (ours, other) = (authority(), authority());
    let gate = Gate::of_manifest("127.34.1.8").await;
    let client = gate.client(Some(&relay_of(&ours, "ships")));
    assert_eq!(gate.readiness.unmet(), [], "who shows no certificate is served");
    assert_eq!(gate.who(&client).await, "nobody");
    gate.write_secret("senders", pem(&ours));
    gate.comes_to_take(&client, QUAY).await;

    fs::remove_file(gate.folder.path().join("secrets/senders/ca.crt")).unwrap();
    gate.comes_to_take(&client, "nobody").await;
    gate.write_secret("senders", pem(&ours));
    gate.comes_to_take(&client, QUAY).await;

    // Another Secret: whoever the first one named is trusted no more, even while there is nothing in its place.
    gate.served.tls.configure(naming("others"));
    gate.comes_to_take(&client, "nobody").await;
    gate.write_secret("others", pem(&other));
    gate.comes_to_take(&gate.client(Some(&relay_of(&other, "ships"))), QUAY).await;
    assert_eq!(gate.who(&client).await, "nobody");

    gate.served.tls.configure(naming("senders"));
    gate.comes_to_take(&client, QUAY).await;
    gate.served.tls.configure(only(self_signed()));
    gate.comes_to_take(&client, "nobody").await;
    assert_eq!(gate.readiness.unmet(), []);
}

#[tokio::test]
async fn certificate_of_two_relays_is_of_neither_and_one_that_expired_of_nobody() {
    let (ours, now) = (authority(), Timestamp::now());
    let trusting =
        |bundle: &str| Arc::new(ArcSwapOption::from_pointee(Trust::in_bundle(bundle.as_bytes()).unwrap()));
    let issued = relay_of(&ours, "ships");
    let certificate = ClientCertificate::of(&[der(issued.certificate())], trusting(pem(&ours))).unwrap();
    assert_eq!(certificate.sender(now).unwrap().namespace, "ships");
    let later = now + crate::pki::LEAF_LIFE * 2;
    assert_eq!((certificate.sender(later), certificate.proven(later)), (None, Err(Distrust::Time)));
    // One that comes before its time, whoever is asked first.
    let early = ClientCertificate::of(&[der(issued.certificate())], trusting(pem(&ours))).unwrap();
    assert_eq!(early.proven(now - crate::pki::CLOCK_SKEW * 2), Err(Distrust::Time));

    let mut params = rcgen::CertificateParams::default();
    let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
    params.subject_alt_names = vec![uri("visnyk://ships/quay"), uri("visnyk://sea/quay")];
    let two = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let certificate = ClientCertificate::of(&[two.der().clone()], trusting(&two.pem())).unwrap();
    assert_eq!((certificate.proven(now).is_ok(), certificate.sender(now)), (true, None));
}

#[tokio::test]
async fn certificate_that_others_keep_fresh_is_shown_and_no_authority_is_made() {
    let (folder, readiness) = (tempfile::tempdir().unwrap(), Readiness::default());
    let tls_dir = folder.path().join("tls-dir");
    let authority = authority();
    let put = |revision| {
        let purpose = Purpose::Server { names: vec!["localhost".into()], addresses: vec![] };
        let issued = authority.issue(&purpose, Timestamp::now()).unwrap();
        fs::create_dir_all(&tls_dir).unwrap();
        kubelet_writes(&tls_dir, revision, &[("tls.crt", issued.certificate()), ("tls.key", issued.key())]);
        issued.certificate().to_owned()
    };
    let first = put(1);
    let files = TlsFiles { tls_dir: Some(tls_dir.clone()), ..files(folder.path(), "127.34.1.6") };
    let tls = Tls::start(files, only(self_signed()), &readiness);
    let served = serve_with("127.34.1.6", Limits::default(), tls, app(Bodies::default())).await;
    let client = connector(&[pem(&authority)], "http/1.1");
    let shown = async || shown(&connect_tls(&client, served.address, "localhost").await.unwrap());
    assert_eq!(shown().await, der(&first));
    let second = put(2);
    eventually("the new certificate is shown", async || shown().await == der(&second)).await;
    assert!(!folder.path().join("data").exists(), "an authority was made");
    assert_eq!(readiness.unmet(), []);
}

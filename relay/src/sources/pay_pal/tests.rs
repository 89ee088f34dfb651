//! A real TLS server with real certificates in PayPal's place, and servers that pretend to be it.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use jiff::tz::TimeZone;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_RSA_SHA256};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use visnyk_engine::deliver::channels::http::client::Outbound;
use visnyk_engine::deliver::channels::http::resolver::Resolver;
use visnyk_runtime::guard::Policy;

use super::certificates::PACE;
use super::*;
use crate::sources::mutations::texts;
use crate::sources::testing::Message;

const NAME: &str = "messageverificationcerts.paypal.com";
const TIME_TEXT: &str = "2026-11-24T12:00:00Z";
const BODY: &str =
    r#"{"id": "WH-1", "event_type": "PAYMENT.SALE.COMPLETED", "create_time": "2026-11-24T11:59:59Z"}"#;

/// A CA of a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The key that signs messages, and its certificate.
struct Signer {
    key: RsaKeyPair,
    pem: String,
}

/// Serves these documents over TLS, and counts connections.
struct Server {
    origin: String,
    connections: Arc<AtomicUsize>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Makes a CA whose certificate this one issues.
    fn subordinate(&self) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "between");
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    fn signer(&self, name: &str) -> Signer {
        self.signer_until(name, (2099, 1, 1))
    }

    /// Makes a signer whose certificate is valid until midnight, when this day begins.
    fn signer_until(&self, name: &str, (year, month, day): (i32, u8, u8)) -> Signer {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let pair = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8.as_ref()));
        let pair = KeyPair::from_der_and_sign_algo(&pair, &PKCS_RSA_SHA256).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, month, day);
        Signer { key, pem: params.signed_by(&pair, &self.0).unwrap().pem() }
    }
}

impl Signer {
    fn sign(&self, url: &str, body: &str) -> Message {
        let checksum = crc32fast::hash(body.as_bytes());
        let message = format!("b2384410|{TIME_TEXT}|4JH86294D6297924G|{checksum}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        Message::post(
            "/",
            &[
                ("paypal-transmission-id", "b2384410"),
                ("paypal-transmission-time", TIME_TEXT),
                ("paypal-transmission-sig", &BASE64.encode(&signature)),
                ("paypal-auth-algo", "SHA256withRSA"),
                ("paypal-cert-url", url),
            ],
            body,
        )
    }
}

impl Server {
    async fn start(authority: &Authority, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&pair, &authority.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = vec![0; 4096];
                    let read = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..read]).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let _ = stream.write_all(answer(path).as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { origin, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/v1/notifications/certs/{name}", self.origin)
    }
}

fn found(pem: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{pem}", pem.len())
}

fn pay_pal(authority: &Authority, origin: &str, policy: Policy) -> PayPal {
    let outbound = Outbound {
        resolver: Resolver::system().unwrap(),
        roots: authority.roots(),
        peers_dir: "/nonexistent".into(),
        secrets_dir: "/nonexistent".into(),
        time_zone: TimeZone::UTC,
    };
    let certificates = Certificates::of_test(&outbound, policy, authority.roots(), origin);
    PayPal::new("4JH86294D6297924G", Duration::from_mins(5), Arc::new(certificates))
}

fn loopback() -> Policy {
    Policy::Allow(vec!["127.0.0.0/8".parse().unwrap()])
}

/// Judges a message as the intake does.
async fn judge(pay_pal: &PayPal, message: &Message, after_ms: i64) -> Option<Result<(), Rejection>> {
    let now: Timestamp = TIME_TEXT.parse().unwrap();
    let now_ms = now.as_millisecond() + after_ms;
    let head = message.judged_at(now_ms, |request| request.head.clone())?;
    let request =
        Request { head: &head, body: &message.body, now: Timestamp::from_millisecond(now_ms).unwrap() };
    if let Some(preparing) = pay_pal.prepare(&Request { body: &[], ..request }) {
        preparing.await;
    }
    Some(pay_pal.verify(&request))
}

#[tokio::test]
async fn message_is_let_in_by_its_certificate_which_is_fetched_once() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let pem = signer.pem.clone();
    let server = Server::start(&authority, move |_| found(&pem)).await;
    let pay_pal = pay_pal(&authority, &server.origin, loopback());
    let message = signer.sign(&server.url("CERT-1"), BODY);
    let message = &message;
    let judgements = futures::future::join_all((0..20).map(|_| judge(&pay_pal, message, 0))).await;
    assert_eq!(judgements, vec![Some(Ok(())); 20]);
    assert_eq!(server.connections(), 1);
    let said = message.judged_at(0, |request| pay_pal.describe(request)).unwrap();
    let attributes = Attributes {
        kind: Some("PAYMENT.SALE.COMPLETED".into()),
        id: Some("WH-1".into()),
        origin: None,
        time_ms: Some(1_795_521_599_000),
    };
    assert_eq!(said, Classification::Event(attributes));

    for (after_ms, expected) in [
        (-300_001, Err(Rejection::Time)),
        (-300_000, Ok(())),
        (300_000, Ok(())),
        (300_001, Err(Rejection::Time)),
    ] {
        assert_eq!(judge(&pay_pal, message, after_ms).await, Some(expected), "after {after_ms} ms");
    }

    let mut count = 0;
    for name in
        ["paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig", "paypal-auth-algo"]
    {
        let mut mutants = vec![message.without(name)];
        mutants.extend(texts(message.header(name)).iter().map(|text| message.with(name, text)));
        let mut twice = message.clone();
        twice.headers.push((name.to_owned(), message.header(name).to_vec()));
        mutants.push(twice);
        for mutant in mutants.iter().filter(|mutant| mutant.header_or_nothing(name) != message.header(name)) {
            let judged = judge(&pay_pal, mutant, 0).await;
            assert_ne!(judged, Some(Ok(())), "{mutant:?}");
            count += usize::from(judged.is_some());
        }
    }
    for body in texts(&message.body) {
        let judged = judge(&pay_pal, &Message { body, ..message.clone() }, 0).await;
        assert_eq!(judged, Some(Err(Rejection::Wrong)));
        count += 1;
    }
    assert!(count > 10_000, "only {count}");
    assert_eq!(server.connections(), 1, "none of them led to a connection");
}

#[tokio::test]
async fn no_other_place_than_pay_pals_is_ever_connected_to() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let pem = signer.pem.clone();
    let trap = Server::start(&authority, move |_| found(&pem)).await;
    let real = PayPalCertificates::new(&Outbound {
        resolver: Resolver::system().unwrap(),
        roots: authority.roots(),
        peers_dir: "/nonexistent".into(),
        secrets_dir: "/nonexistent".into(),
        time_zone: TimeZone::UTC,
    });
    let certificates = real.unwrap().of(visnyk_crds::valid::PayPalEnvironment::Live);
    let pay_pal = PayPal::new("4JH86294D6297924G", Duration::from_mins(5), Arc::clone(&certificates));
    let address = trap.origin.strip_prefix("https://").unwrap();
    for url in [
        trap.url("CERT-1"),
        format!("http://{address}/v1/notifications/certs/CERT-1"),
        format!("https://api.paypal.com@{address}/v1/notifications/certs/CERT-1"),
        format!("https://{address}/https://api.paypal.com/v1/notifications/certs/CERT-1"),
        format!("https://{address}#https://api.paypal.com/v1/notifications/certs/CERT-1"),
        format!("https://api.paypal.com/v1/notifications/certs/@{address}/CERT-1"),
        "http://api.paypal.com/v1/notifications/certs/CERT-1".into(),
        "https://api.paypal.com.example.org/v1/notifications/certs/CERT-1".into(),
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1".into(),
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1".into(),
        "https://API.PAYPAL.COM/v1/notifications/certs/CERT-1".into(),
        "https://api.paypal.com/v1/notifications/certs/../CERT-1".into(),
        "https://api.paypal.com/v1/notifications/certs/CERT-1?next=https://example.org".into(),
        "https://api.paypal.com/v1/notifications/certs/CERT%2f1".into(),
        "https://api.paypal.com/v1/notifications/certs/".into(),
        "//api.paypal.com/v1/notifications/certs/CERT-1".into(),
        "file:///etc/passwd".into(),
        String::new(),
    ] {
        assert!(!certificates.may_be(&url), "{url}");
        let message = signer.sign(&url, BODY);
        assert_eq!(judge(&pay_pal, &message, 0).await, Some(Err(Rejection::Malformed)), "{url}");
    }
    assert_eq!(trap.connections(), 0);
    assert!(
        certificates.may_be("https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270")
    );
}

#[tokio::test]
async fn certificate_that_nobody_vouches_for_or_for_another_name_lets_nobody_in() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let signers =
        [stranger.signer(NAME), authority.signer("www.paypal.com"), authority.signer("example.org")];
    for signer in signers {
        let pem = signer.pem.clone();
        let server = Server::start(&authority, move |_| found(&pem)).await;
        let pay_pal = pay_pal(&authority, &server.origin, loopback());
        let message = signer.sign(&server.url("CERT-1"), BODY);
        for _ in 0..3 {
            assert_eq!(judge(&pay_pal, &message, 0).await, Some(Err(Rejection::NoCertificate)));
            tokio::time::sleep(PACE / 2).await; // another second would be another fetch
        }
        assert_eq!(server.connections(), 1, "it is not asked for again and again");
    }
}

#[tokio::test]
async fn intermediate_authority_may_come_with_the_certificate() {
    let authority = Authority::new();
    let between = authority.subordinate();
    let signer = between.signer(NAME);
    let (leaf, issuer) = (signer.pem.clone(), between.0.pem());
    for (served, expected) in [
        (format!("{leaf}{issuer}"), Ok(())),
        (format!("{leaf}{}{issuer}", authority.0.pem()), Ok(())),
        (leaf.clone(), Err(Rejection::NoCertificate)),
        (format!("{leaf}{leaf}"), Err(Rejection::NoCertificate)),
        (format!("{leaf}{}", authority.0.pem()), Err(Rejection::NoCertificate)),
        (format!("{issuer}{leaf}"), Err(Rejection::NoCertificate)),
    ] {
        let server = Server::start(&authority, move |_| found(&served)).await;
        let pay_pal = pay_pal(&authority, &server.origin, loopback());
        let message = signer.sign(&server.url("CERT-1"), BODY);
        assert_eq!(judge(&pay_pal, &message, 0).await, Some(expected));
    }
}

#[tokio::test]
async fn certificate_is_kept_until_it_ends_and_then_asked_for_again() {
    let authority = Authority::new();
    let signer = authority.signer_until(NAME, (2026, 11, 25));
    let pem = signer.pem.clone();
    let server = Server::start(&authority, move |_| found(&pem)).await;
    let tolerance = Duration::from_hours(24);
    let pay_pal = PayPal { tolerance, ..pay_pal(&authority, &server.origin, loopback()) };
    let message = signer.sign(&server.url("CERT-1"), BODY);
    let until_it_ends = 12 * 3_600_000;
    for after_ms in [0, until_it_ends - 1_000, until_it_ends] {
        assert_eq!(judge(&pay_pal, &message, after_ms).await, Some(Ok(())), "after {after_ms} ms");
    }
    assert_eq!(server.connections(), 1);
    tokio::time::sleep(PACE).await;
    let judged = judge(&pay_pal, &message, until_it_ends + 1_000).await;
    assert_eq!(judged, Some(Err(Rejection::NoCertificate)));
    assert_eq!(server.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_certificate_is_fetched_at_a_time_however_long_it_takes() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let pem = signer.pem.clone();
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let answered = Mutex::new(answered);
    let server = Server::start(&authority, move |_| {
        // Whoever waits on this thread goes on on another: a second connection would be seen.
        tokio::task::block_in_place(|| answered.lock().unwrap().recv().unwrap());
        found(&pem)
    })
    .await;
    let pay_pal = Arc::new(pay_pal(&authority, &server.origin, loopback()));
    let judging = |name: &str| {
        let (pay_pal, message) = (Arc::clone(&pay_pal), signer.sign(&server.url(name), BODY));
        tokio::spawn(async move { judge(&pay_pal, &message, 0).await })
    };
    let first = judging("CERT-1");
    while server.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(PACE).await; // another second is another fetch
    let second = judging("CERT-2");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.connections(), 1, "two at a time");
    answer.send(()).unwrap();
    answer.send(()).unwrap();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(Ok(())), Some(Ok(()))));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn answers_that_are_no_certificate_lead_nowhere() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let pem = signer.pem.clone();
    let trap = Server::start(&authority, move |_| found(&pem)).await;
    let elsewhere = trap.url("CERT-1");
    let answers = [
        format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{}", signer.pem.len(), signer.pem),
        found("no certificate"),
        found(&format!("{}{}", "\n".repeat(65 << 10), signer.pem)),
        String::new(),
    ];
    for answer in answers {
        let server = Server::start(&authority, move |_| answer.clone()).await;
        let pay_pal = pay_pal(&authority, &server.origin, loopback());
        let message = signer.sign(&server.url("CERT-1"), BODY);
        assert_eq!(judge(&pay_pal, &message, 0).await, Some(Err(Rejection::NoCertificate)));
    }
    assert_eq!(trap.connections(), 0, "a redirect was followed");
}

#[tokio::test]
async fn host_that_is_known_to_be_unreachable_is_not_waited_for() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let server = Server::start(&authority, |_| String::new()).await;
    let pay_pal = pay_pal(&authority, &server.origin, loopback());
    let refused = Some(Err(Rejection::NoCertificate));
    assert_eq!(judge(&pay_pal, &signer.sign(&server.url("CERT-1"), BODY), 0).await, refused);
    tokio::time::sleep(PACE).await; // another second could be another fetch
    let message = signer.sign(&server.url("CERT-2"), BODY);
    let waits = message.judged_at(TIME_TEXT.parse::<Timestamp>().unwrap().as_millisecond(), |request| {
        pay_pal.prepare(request).is_some()
    });
    assert_eq!((waits, server.connections()), (Some(false), 1));
}

#[tokio::test]
async fn no_more_than_a_few_requests_wait_for_a_certificate() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let server = Server::start(&authority, |_| String::new()).await;
    let pay_pal = pay_pal(&authority, &server.origin, loopback());
    let now: Timestamp = TIME_TEXT.parse().unwrap();
    let message = signer.sign(&server.url("CERT-1"), BODY);
    let waiting = message.judged_at(now.as_millisecond(), |request| {
        let waiting: Vec<_> = (0..100).filter_map(|_| pay_pal.prepare(request)).collect();
        waiting.len()
    });
    assert_eq!(waiting, Some(32));
}

#[tokio::test]
async fn pay_pals_place_on_a_private_address_is_not_connected_to() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let pem = signer.pem.clone();
    let server = Server::start(&authority, move |_| found(&pem)).await;
    let pay_pal = pay_pal(&authority, &server.origin, Policy::Public);
    let message = signer.sign(&server.url("CERT-1"), BODY);
    assert_eq!(judge(&pay_pal, &message, 0).await, Some(Err(Rejection::NoCertificate)));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn strangers_can_ask_for_no_more_than_a_certificate_a_second() {
    let authority = Authority::new();
    let signer = authority.signer(NAME);
    let server = Server::start(&authority, |_| found("no certificate")).await;
    let pay_pal = pay_pal(&authority, &server.origin, loopback());
    let messages: Vec<_> =
        (0..100).map(|number| signer.sign(&server.url(&format!("CERT-{number}")), BODY)).collect();
    let began = std::time::Instant::now();
    futures::future::join_all(messages.iter().map(|message| judge(&pay_pal, message, 0))).await;
    let most = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!((1..=most).contains(&server.connections()), "{} of {most}", server.connections());
}

mod clients;

use std::{collections::BTreeMap, fs};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::server::{body::Bodies, limits::Limits};
use crate::testing::{
    kubelet::kubelet_writes,
    server::{
        SHORT, SOON, Served, app, connect, connect_tls, connector, eventually, exchange, files, only,
        serve_with, until_closed,
    },
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// The client's half of an HTTP/2 beginning: preface and empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

struct Site {
    folder: tempfile::TempDir,
    readiness: Readiness,
    served: Served,
}

async fn site(ip: &str, limits: Limits, wanted: ListenerTls) -> Site {
    site_in(tempfile::tempdir().unwrap(), ip, limits, wanted).await
}

async fn site_in(folder: tempfile::TempDir, ip: &str, limits: Limits, wanted: ListenerTls) -> Site {
    let readiness = Readiness::default();
    let tls = Tls::start(files(folder.path(), ip), only(wanted), &readiness);
    let served = serve_with(ip, limits, tls, app(Bodies::default())).await;
    Site { folder, readiness, served }
}

fn self_signed() -> ListenerTls {
    ListenerTls::SelfSigned { dns_names: vec!["hooks.example.org".into()] }
}

impl Site {
    fn ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/tls/ca.crt")).unwrap()
    }

    async fn http2(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut stream =
            connect_tls(&connector(&[&self.ca()], "h2"), self.served.address, "localhost").await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream
    }
}

/// Makes a certificate for `localhost` and its key, as PEM.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn shown(stream: &tokio_rustls::client::TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn client_that_trusts_our_authority_is_served_by_every_name() {
    let site = site("127.34.0.1", Limits::default(), self_signed()).await;
    assert_eq!(site.readiness.unmet(), []);
    for name in ["hooks.example.org", "localhost", "127.0.0.1", "::1", "127.34.0.1"] {
        let connector = connector(&[&site.ca()], "http/1.1");
        let mut client = connect_tls(&connector, site.served.address, name).await.unwrap();
        let answer = exchange(&mut client, GET).await;
        assert!(answer.ends_with("127.0.0.1 sent 0"), "{answer}");
    }
}

#[tokio::test]
async fn http2_is_agreed_in_the_handshake_and_served() {
    let site = site("127.34.0.2", Limits::default(), self_signed()).await;
    let connector = connector(&[&site.ca()], "h2");
    let stream = connect_tls(&connector, site.served.address, "localhost").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://localhost/").body(Full::<Bytes>::from("hello")).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
}

#[tokio::test]
async fn unfinished_handshake_is_cut() {
    let limits = Limits { handshake: SHORT, ..Limits::default() };
    let site = site("127.34.0.3", limits, self_signed()).await;
    assert_eq!(until_closed(&mut connect(site.served.address).await).await, b"");
}

#[tokio::test]
async fn new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let ((old_crt, old_key), (new_crt, new_key)) = (pair(), pair());
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    kubelet_writes(&secrets, 1, &[("web/tls.crt", &old_crt), ("web/tls.key", &old_key)]);
    let wanted = ListenerTls::Secret { name: "web".into() };
    let site = site_in(folder, "127.34.0.4", Limits::default(), wanted).await;
    let connector = connector(&[&old_crt, &new_crt], "http/1.1");
    let connect = async || connect_tls(&connector, site.served.address, "localhost").await.unwrap();
    let mut open = connect().await;
    assert_eq!(shown(&open), der(&old_crt));

    kubelet_writes(&secrets, 2, &[("web/tls.crt", &new_crt), ("web/tls.key", &new_key)]);
    eventually("the new certificate is shown", async || shown(&connect().await) == der(&new_crt)).await;
    assert!(exchange(&mut open, GET).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(shown(&open), der(&old_crt));

    // The key of another certificate, then no certificate at all: the good pair stays, and it is said why.
    let mismatch = "tls.crt and tls.key do not belong together or are not supported";
    let bad = [(&*old_crt, &*new_key, mismatch), ("nothing", &*new_key, "tls.crt holds no certificate")];
    for ((crt, key, reason), revision) in bad.into_iter().zip(3..) {
        kubelet_writes(&secrets, revision, &[("web/tls.crt", crt), ("web/tls.key", key)]);
        eventually(reason, async || {
            site.served.tls.status().problem.is_some_and(|problem| problem.starts_with(reason))
        })
        .await;
        assert_eq!(shown(&connect().await), der(&new_crt));
        assert_eq!(site.readiness.unmet(), []);
    }

    kubelet_writes(&secrets, 5, &[("web/tls.crt", &old_crt), ("web/tls.key", &old_key)]);
    eventually("a good pair is taken again", async || shown(&connect().await) == der(&old_crt)).await;
    assert_eq!(site.served.tls.status().problem, None);
}

#[tokio::test]
async fn missing_certificate_is_waited_for() {
    let wanted = ListenerTls::Secret { name: "web".into() };
    let site = site("127.34.0.5", Limits::default(), wanted).await;
    let reason = &site.readiness.unmet()[0];
    assert!(reason.name == "certificate" && reason.reason.contains("secrets/web/tls.crt"), "{reason}");
    let (crt, key) = pair();
    let connector = connector(&[&crt], "http/1.1");
    connect_tls(&connector, site.served.address, "localhost").await.unwrap_err();
    let secret = site.folder.path().join("secrets/web");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("tls.key"), key).unwrap();
    fs::write(secret.join("tls.crt"), crt).unwrap();
    // The folder itself was missing, so that nothing could be watched: found by looking.
    let ready = async {
        while !site.readiness.unmet().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON * 2, ready).await.expect("ready once the secret is there");
    connect_tls(&connector, site.served.address, "localhost").await.unwrap();
}

#[tokio::test]
async fn listener_turns_to_what_the_manifest_says_now() {
    let site = site("127.34.0.6", Limits::default(), self_signed()).await;
    let other = ListenerTls::SelfSigned { dns_names: vec!["other.example.org".into()] };
    site.served.tls.configure(only(other));
    let connector = connector(&[&site.ca()], "http/1.1");
    eventually("the new name is served", async || {
        connect_tls(&connector, site.served.address, "other.example.org").await.is_ok()
    })
    .await;
    connect_tls(&connector, site.served.address, "hooks.example.org").await.unwrap_err();
    site.served.tls.configure(only(ListenerTls::None));
    eventually("plain HTTP", async || matches!(site.served.tls.mode(), TlsMode::Plain)).await;
    assert!(exchange(&mut connect(site.served.address).await, GET).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn http2_client_is_told_the_limits() {
    let site = site("127.34.0.7", Limits::default(), self_signed()).await;
    let mut stream = site.http2().await;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let settings: BTreeMap<_, _> =
        settings.chunks(6).map(|setting| (number(&setting[..2]), number(&setting[2..]))).collect();
    let (streams, window, header_list) = (settings.get(&3), settings.get(&4), settings.get(&6));
    assert_eq!((streams, window, header_list), (Some(&128), Some(&(128 * 1024)), Some(&(16 * 1024))));
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    let site = site("127.34.0.8", Limits::default(), self_signed()).await;
    let mut stream = site.http2().await;
    let mut attack = Vec::new();
    for id in (1u32..2000).step_by(2) {
        // HEADERS, whole and last: GET https / with authority "a"; then RST_STREAM, CANCEL.
        attack.extend([0, 0, 6, 1, 5]);
        attack.extend(id.to_be_bytes());
        attack.extend([0x82, 0x87, 0x84, 0x41, 1, b'a']);
        attack.extend([0, 0, 4, 3, 0]);
        attack.extend(id.to_be_bytes());
        attack.extend(8u32.to_be_bytes());
    }
    let _ = stream.write_all(&attack).await;
    let answer = until_closed(&mut stream).await;
    let calm_down = 11u32.to_be_bytes();
    assert!(answer.windows(4).any(|bytes| bytes == calm_down), "GOAWAY with ENHANCE_YOUR_CALM");
}

#[tokio::test]
async fn http2_peer_that_answers_no_ping_is_cut() {
    let limits = Limits { ping: SHORT, ..Limits::default() };
    let site = site("127.34.0.9", limits, self_signed()).await;
    until_closed(&mut site.http2().await).await;
}

#[tokio::test]
async fn http2_connection_without_requests_is_cut_however_lively() {
    let limits = Limits { header: SHORT, ..Limits::default() };
    let site = site("127.34.0.10", limits, self_signed()).await;
    let (mut reading, mut writing) = tokio::io::split(site.http2().await);
    let flood = async {
        // PING after PING.
        while writing.write_all(b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::select! {
        () = flood => {}
        _ = until_closed(&mut reading) => {}
    }
}

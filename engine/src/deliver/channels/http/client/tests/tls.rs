//! The servers that the channel trusts, and the identity that it proves.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::*;

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key, as PEM.
pub(super) fn leaf(authority: &Authority, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

pub(super) fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

/// A server of this name, which wants a certificate of `clients` if that is given.
pub(super) fn server(authority: &Authority, name: &str, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots(clients), provider).build().unwrap(),
        ),
    };
    let (certificate, key) = leaf(authority, name, ExtendedKeyUsagePurpose::ServerAuth);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
}

pub(super) async fn sink(tls: ServerConfig) -> Sink {
    Sink::with_tls(tls, Answer::status("200 OK")).await
}

fn collector() -> Destination {
    let target = Target::Collector { namespace: "apps".into(), name: "store".into() };
    Destination { target, allow: vec![], ..destination("http://unused/") }
}

fn write_peer(folder: &Path, url: &str, files: &[(&str, &str)]) {
    fs::write(folder.join("apps.store.url"), url).unwrap();
    for (suffix, content) in files {
        fs::write(folder.join(format!("apps.store.{suffix}")), content).unwrap();
    }
}

pub(super) async fn send_with(destination: &Destination, outbound: &Outbound) -> Result<u16, FailureKind> {
    let result = HttpChannel::new(destination, outbound).send(&event(&[], b"{}"), attempted_at()).await;
    result.map(|delivered| delivered.status).map_err(|failure| failure.kind)
}

#[tokio::test]
async fn authority_that_is_shown_as_a_destinations_own_certificate_is_named() {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own: Authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(own.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.key().serialize_pem().as_bytes()).unwrap();
    let sink = sink(builder.with_single_cert(chain, key).unwrap()).await;
    let trusting = Outbound { roots: roots(&own), ..outbound() };
    let channel = HttpChannel::new(&destination(&format!("https://{}/", sink.address)), &trusting);
    let failure = channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(
        failure.detail.ends_with("is marked as an authority's (CA:TRUE): issue one that is not"),
        "{failure}"
    );
}

#[tokio::test]
async fn destination_by_url_is_trusted_through_the_systems_authorities() {
    let ours = authority();
    let sink = sink(server(&ours, "127.0.0.1", None)).await;
    let destination = destination(&format!("https://{}/", sink.address));
    let trusting = Outbound { roots: roots(&ours), ..outbound() };
    assert_eq!(send_with(&destination, &trusting).await, Ok(200));
    let distrusting = Outbound { roots: roots(&authority()), ..outbound() };
    assert_eq!(send_with(&destination, &distrusting).await, Err(FailureKind::Tls));
}

#[tokio::test]
async fn certificate_for_another_name_is_not_trusted() {
    let ours = authority();
    let sink = sink(server(&ours, "127.0.0.3", None)).await;
    let outbound = Outbound { roots: roots(&ours), ..outbound() };
    let destination = destination(&format!("https://{}/", sink.address));
    assert_eq!(send_with(&destination, &outbound).await, Err(FailureKind::Tls));
    assert_eq!(sink.requests().len(), 0);
}

#[tokio::test]
async fn plain_text_where_tls_was_expected_is_no_trust() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let destination = Destination {
        timeout: Duration::from_millis(500),
        ..destination(&format!("https://{}/", sink.address))
    };
    // This sink waits for the end of a request that never looks like one.
    assert!(matches!(
        send_with(&destination, &outbound()).await,
        Err(FailureKind::Tls | FailureKind::Timeout)
    ));
}

#[tokio::test]
async fn peer_is_trusted_through_its_own_authority_alone() {
    let (systems, peers) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let outbound = Outbound { roots: roots(&systems), peers_dir: folder.path().to_owned(), ..outbound() };

    let imposter = sink(server(&systems, "127.0.0.1", None)).await;
    let ca = peers.pem();
    write_peer(folder.path(), &format!("https://{}/", imposter.address), &[("ca.crt", &ca)]);
    assert_eq!(send_with(&collector(), &outbound).await, Err(FailureKind::Tls));

    let peer = sink(server(&peers, "127.0.0.1", None)).await;
    write_peer(folder.path(), &format!("https://{}/", peer.address), &[]);
    assert_eq!(send_with(&collector(), &outbound).await, Ok(200));
}

#[tokio::test]
async fn peer_that_demands_a_certificate_gets_it() {
    let peers = authority();
    let folder = tempfile::tempdir().unwrap();
    let outbound = Outbound { peers_dir: folder.path().to_owned(), ..outbound() };
    let sink = sink(server(&peers, "127.0.0.1", Some(&peers))).await;
    let url = format!("https://{}/", sink.address);
    let ca = peers.pem();

    write_peer(folder.path(), &url, &[("ca.crt", &ca)]);
    assert_eq!(send_with(&collector(), &outbound).await, Err(FailureKind::Tls));

    let (certificate, key) = leaf(&peers, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    write_peer(folder.path(), &url, &[("tls.crt", &certificate), ("tls.key", &key)]);
    assert_eq!(send_with(&collector(), &outbound).await, Ok(200));

    let (stranger, key) = leaf(&authority(), "relay", ExtendedKeyUsagePurpose::ClientAuth);
    write_peer(folder.path(), &url, &[("tls.crt", &stranger), ("tls.key", &key)]);
    assert_eq!(send_with(&collector(), &outbound).await, Err(FailureKind::Tls));
}

/// Both protocols are offered; which one it is, is the server's choice.
#[tokio::test]
async fn server_that_speaks_http2_gets_it_over_one_connection() {
    let ours = authority();
    let mut tls = server(&ours, "127.0.0.1", None);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |request: Request<Incoming>| async move {
        let is_h2 = request.version() == http::Version::HTTP_2;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let status = if is_h2 && body == "{}" { 202 } else { 400 };
        Ok::<_, hyper::Error>(Response::builder().status(status).body(Full::new(Bytes::new())).unwrap())
    };
    tokio::spawn(async move {
        // One connection is all that is accepted.
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let service = hyper::service::service_fn(answer);
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await
    });

    let channel = HttpChannel::new(
        &destination(&format!("https://{address}/")),
        &Outbound { roots: roots(&ours), ..outbound() },
    );
    let event = event(&[("connection", "close")], b"{}");
    for _ in 0..3 {
        assert_eq!(channel.send(&event, attempted_at()).await, Ok(Delivered { status: 202 }));
    }
    let together = (0..50).map(|_| channel.send(&event, attempted_at()));
    for result in futures::future::join_all(together).await {
        assert_eq!(result, Ok(Delivered { status: 202 }));
    }
}

#[tokio::test]
async fn sender_is_refreshed_exactly_when_the_peers_files_change() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let folder = tempfile::tempdir().unwrap();
    let outbound = Outbound { peers_dir: folder.path().to_owned(), ..outbound() };

    let channel = HttpChannel::new(&collector(), &outbound);
    let failure = channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert_eq!(failure.detail, "peers folder has no apps.store.url");
    assert!(channel.refreshed().is_none());

    write_peer(folder.path(), &sink.url(), &[]);
    let channel = channel.refreshed().unwrap();
    assert!(channel.refreshed().is_none());
    assert_eq!(channel.send(&event(&[], b"{}"), attempted_at()).await, Ok(Delivered { status: 200 }));

    write_peer(folder.path(), "http://127.0.0.1:1/", &[]);
    assert!(channel.refreshed().is_some());
}

#[tokio::test]
async fn peers_files_that_do_not_fit_together_are_said_to_be_misconfigured() {
    let peers = authority();
    let ca = peers.pem();
    let (certificate, _) = leaf(&peers, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, key) = leaf(&peers, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    for files in [
        [("ca.crt", "not pem"), ("tls.crt", &certificate), ("tls.key", &key)],
        [("ca.crt", &ca), ("tls.crt", &certificate), ("tls.key", "not pem")],
        [("ca.crt", &ca), ("tls.crt", &certificate), ("tls.key", &key)],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let outbound = Outbound { peers_dir: folder.path().to_owned(), ..outbound() };
        write_peer(folder.path(), "https://127.0.0.1:1/", &files);
        assert_eq!(send_with(&collector(), &outbound).await, Err(FailureKind::Misconfigured));
    }
}

#[tokio::test]
async fn link_local_peer_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let outbound = Outbound { peers_dir: folder.path().to_owned(), ..outbound() };
    write_peer(folder.path(), "http://169.254.169.254/", &[]);
    assert_eq!(send_with(&collector(), &outbound).await, Err(FailureKind::Denied));
}

//! Identities that a destination by URL must prove, as its manifest says.

use std::{fs, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{ExtendedKeyUsagePurpose, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs as provider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use visnyk_crds::valid::{DestinationTls, SecretRef};

use super::tls::{Authority, authority, leaf, roots, send_with, server, sink};
use super::*;
use crate::deliver::channels::http::pins::Pin;

fn pin(key: &impl PublicKeyData) -> Pin {
    digest(&SHA256, &key.subject_public_key_info()).as_ref().try_into().unwrap()
}

fn server_with(certificate: &str, key: &str) -> ServerConfig {
    let provider = Arc::new(provider::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
        .unwrap()
}

fn to(sink: &Sink, tls: DestinationTls) -> Destination {
    Destination { tls, ..destination(&format!("https://{}/", sink.address)) }
}

fn secret(key: &str) -> SecretRef {
    SecretRef { name: "pilot".into(), key: key.into() }
}

fn write(folder: &Path, key: &str, text: &str) {
    fs::create_dir_all(folder.join("pilot")).unwrap();
    fs::write(folder.join("pilot").join(key), text).unwrap();
}

fn outbound_with(authority: &Authority, secrets: &Path) -> Outbound {
    Outbound { roots: roots(authority), secrets_dir: secrets.to_owned(), ..outbound() }
}

#[tokio::test]
async fn only_a_pinned_key_is_trusted_and_only_if_it_is_vouched_for() {
    let (ours, others) = (authority(), authority());
    let (certificate, key) = leaf(&ours, "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
    let sink = sink(server_with(&certificate, &key)).await;
    let current = pin(&rcgen::KeyPair::from_pem(&key).unwrap());
    let next = pin(&rcgen::KeyPair::generate().unwrap());
    let send = async |pins: Vec<Pin>, trusted: &Authority| {
        let destination = to(&sink, DestinationTls { pins, ..DestinationTls::default() });
        let outbound = Outbound { roots: roots(trusted), ..outbound() };
        let result = HttpChannel::new(&destination, &outbound).send(&event(&[], b"{}"), attempted_at()).await;
        result.map(|delivered| delivered.status).map_err(|failure| (failure.kind, failure.detail))
    };
    assert_eq!(send(vec![current], &ours).await, Ok(200));
    assert_eq!(send(vec![next, current], &ours).await, Ok(200));
    assert_eq!(sink.requests().len(), 2);

    let (kind, detail) = send(vec![next], &ours).await.unwrap_err();
    assert_eq!(kind, FailureKind::Tls);
    assert!(detail.contains("certificate's key is not one of those pinned"), "{detail}");
    let of_authority = pin(ours.key());
    assert_eq!(
        send(vec![of_authority], &ours).await.unwrap_err().0,
        FailureKind::Tls,
        "whoever signed it is not it"
    );
    assert_eq!(
        send(vec![current], &others).await.unwrap_err().0,
        FailureKind::Tls,
        "a pin alone vouches for nobody"
    );
    assert_eq!(sink.requests().len(), 2);
}

#[tokio::test]
async fn the_manifests_authorities_take_the_place_of_the_systems() {
    let (systems, private) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ca.crt", &private.pem());
    let outbound = outbound_with(&systems, folder.path());
    let tls = DestinationTls { authorities: Some(secret("ca.crt")), ..DestinationTls::default() };
    let of_private = sink(server(&private, "127.0.0.1", None)).await;
    let of_system = sink(server(&systems, "127.0.0.1", None)).await;
    assert_eq!(send_with(&to(&of_private, tls.clone()), &outbound).await, Ok(200));
    assert_eq!(send_with(&to(&of_system, tls), &outbound).await, Err(FailureKind::Tls));
}

#[tokio::test]
async fn another_name_can_be_demanded_and_a_certificate_shown() {
    let ours = authority();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = leaf(&ours, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    write(folder.path(), "tls.crt", &certificate);
    write(folder.path(), "tls.key", &key);
    let outbound = outbound_with(&ours, folder.path());
    let sink = sink(server(&ours, "inner.example.org", Some(&ours))).await;
    let tls = DestinationTls {
        identity: Some([secret("tls.crt"), secret("tls.key")]),
        server_name: Some("inner.example.org".into()),
        ..DestinationTls::default()
    };
    assert_eq!(send_with(&to(&sink, tls.clone()), &outbound).await, Ok(200));
    let anonymous = DestinationTls { identity: None, ..tls.clone() };
    assert_eq!(send_with(&to(&sink, anonymous), &outbound).await, Err(FailureKind::Tls));
    let elsewhere = DestinationTls { server_name: None, ..tls };
    assert_eq!(send_with(&to(&sink, elsewhere), &outbound).await, Err(FailureKind::Tls));
}

#[tokio::test]
async fn unusable_certificates_are_named_and_read_again_when_they_change() {
    let ours = authority();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = leaf(&ours, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, other) = leaf(&ours, "relay", ExtendedKeyUsagePurpose::ClientAuth);
    write(folder.path(), "tls.crt", &certificate);
    write(folder.path(), "tls.key", &other);
    let outbound = outbound_with(&ours, folder.path());
    let sink = sink(server(&ours, "127.0.0.1", Some(&ours))).await;
    let tls = DestinationTls {
        authorities: Some(secret("ca.crt")),
        identity: Some([secret("tls.crt"), secret("tls.key")]),
        ..DestinationTls::default()
    };
    let channel = HttpChannel::new(&to(&sink, tls), &outbound);
    let waits = channel.waits_for().unwrap();
    assert!(waits.contains("secret pilot/ca.crt cannot be read"), "{waits}");
    assert!(waits.contains("secret pilot/tls.crt certificates cannot be used"), "{waits}");
    assert!(channel.refreshed().is_none());
    assert_eq!(
        channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap_err().kind,
        FailureKind::Misconfigured
    );
    assert_eq!(sink.connections(), 0);

    write(folder.path(), "ca.crt", &ours.pem());
    write(folder.path(), "tls.key", &key);
    let channel = channel.refreshed().unwrap();
    assert_eq!(channel.waits_for(), None);
    assert_eq!(channel.send(&event(&[], b"{}"), attempted_at()).await, Ok(Delivered { status: 200 }));
}

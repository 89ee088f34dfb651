use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use super::*;
use crate::pki::{CA_LIFE, CLOCK_SKEW};

fn names(pair: &CertificateAndKey) -> BTreeSet<String> {
    let facts = pair.facts();
    facts.addresses.iter().map(ToString::to_string).chain(facts.dns_names.clone()).collect()
}

fn listing(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

#[test]
fn authority_is_made_once_and_its_key_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("tls");
    KeptAuthority::open(&folder).unwrap();
    let first = fs::read(folder.join("ca.crt")).unwrap();
    KeptAuthority::open(&folder).unwrap();
    assert_eq!(fs::read(folder.join("ca.crt")).unwrap(), first);
    assert_eq!(listing(&folder), ["ca.crt", "ca.key"]);
    assert_eq!(fs::metadata(folder.join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn leaf_is_for_its_names_and_the_ways_to_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeptAuthority::open(folder.path()).unwrap();
    let leaf = authority.leaf(&["hooks.example.org".into()], "127.33.5.1".parse().unwrap()).unwrap();
    let expected = ["127.0.0.1", "127.33.5.1", "::1", "hooks.example.org", "localhost"];
    assert_eq!(names(&leaf), expected.map(String::from).into());
    let anywhere = authority.leaf(&[], "::".parse().unwrap()).unwrap();
    assert_eq!(names(&anywhere), ["127.0.0.1", "::1", "localhost"].map(String::from).into());
    let days = (leaf.facts().not_after.as_second() - Timestamp::now().as_second()) / 86_400;
    assert!((89..=90).contains(&days), "{days}");
}

#[test]
fn damaged_authority_is_set_aside_by_name_and_replaced() {
    for (file, content) in [("ca.crt", "not a certificate"), ("ca.key", "not a key")] {
        let folder = tempfile::tempdir().unwrap();
        KeptAuthority::open(folder.path()).unwrap();
        fs::write(folder.path().join(file), content).unwrap();
        let authority = KeptAuthority::open(folder.path()).unwrap();
        authority.leaf(&[], IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let listing = listing(folder.path());
        assert_eq!(listing.len(), 4, "{listing:?}");
        let aside = listing.iter().find(|name| name.starts_with(&format!("{file}.unusable-"))).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(aside)).unwrap(), content);
    }
}

#[test]
fn key_of_another_authority_is_not_used() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    KeptAuthority::open(folder.path()).unwrap();
    KeptAuthority::open(other.path()).unwrap();
    let foreign = fs::read(other.path().join("ca.key")).unwrap();
    fs::write(folder.path().join("ca.key"), &foreign).unwrap();
    KeptAuthority::open(folder.path()).unwrap();
    assert_ne!(fs::read(folder.path().join("ca.key")).unwrap(), foreign);
}

#[test]
fn authority_that_expires_before_its_leaf_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let almost_over = Timestamp::now() - CA_LIFE + LEAF_LIFE - CLOCK_SKEW;
    let authority = Authority::make(almost_over).unwrap();
    let old = authority.pem().certificate();
    fs::write(folder.path().join("ca.crt"), old).unwrap();
    fs::write(folder.path().join("ca.key"), authority.pem().key()).unwrap();
    KeptAuthority::open(folder.path()).unwrap();
    assert_ne!(fs::read_to_string(folder.path().join("ca.crt")).unwrap(), *old);
}

#[test]
fn name_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeptAuthority::open(folder.path()).unwrap();
    let error = authority.leaf(&["приклад".into()], IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap_err();
    assert_eq!(error.to_string(), "certificate cannot be made");
}

#[test]
fn folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = KeptAuthority::open(&file).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}", file.display())), "{error}");
}

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{CustomExtension, DistinguishedName, DnValue, GeneralSubtree, NameConstraints};

use super::*;

fn now() -> Timestamp {
    "2031-05-06T07:08:09Z".parse().unwrap()
}

fn server() -> Purpose {
    Purpose::Server {
        names: vec!["quay.ships.svc".into(), "*.harbour.example.org".into()],
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
    }
}

fn sender() -> Purpose {
    Purpose::Sender(SenderName { namespace: "ships".into(), name: "quay".into() })
}

fn trust(authority: &Authority) -> Trust {
    Trust::in_bundle(authority.pem().certificate().as_bytes()).unwrap()
}

#[test]
fn certificate_says_what_it_was_issued_for() {
    let authority = Authority::make(now()).unwrap();
    let (start, end) = (now() - CLOCK_SKEW, now() + LEAF_LIFE);
    let none = Facts {
        not_before: start,
        not_after: end,
        subject: String::new(),
        is_authority: false,
        dns_names: [].into(),
        addresses: [].into(),
        uris: [].into(),
    };
    let facts = |purpose| Facts::of_pem(authority.issue(&purpose, now()).unwrap().certificate().as_bytes());
    let of_server = Facts {
        subject: "CN=quay.ships.svc".into(),
        dns_names: ["quay.ships.svc", "*.harbour.example.org"].map(String::from).into(),
        addresses: [IpAddr::V4(Ipv4Addr::LOCALHOST)].into(),
        ..none.clone()
    };
    assert_eq!(facts(server()), Some(of_server));
    let (subject, uris) = ("CN=Visnyk relay".into(), ["visnyk://ships/quay".to_owned()].into());
    let of_sender = Facts { subject, uris, ..none };
    assert_eq!(facts(sender()), Some(of_sender));
    assert!(authority.facts().is_authority);
    assert_eq!(authority.facts().not_after, now() + CA_LIFE);
}

#[test]
fn certificate_is_trusted_for_its_purpose_and_in_its_time_only() {
    let (authority, other) = (Authority::make(now()).unwrap(), Authority::make(now()).unwrap());
    for (purpose, wrong) in [(server(), sender()), (sender(), server())] {
        let issued = authority.issue(&purpose, now()).unwrap();
        let believes = |trust: Trust, purpose: &Purpose, at| {
            trust.believes(issued.certificate().as_bytes(), purpose, at)
        };
        assert!(believes(trust(&authority), &purpose, now()));
        assert!(!believes(trust(&authority), &wrong, now()), "{wrong:?}");
        assert!(!believes(trust(&other), &purpose, now()), "by another authority");
        assert!(!believes(trust(&authority), &purpose, now() - CLOCK_SKEW * 2), "too early");
        assert!(!believes(trust(&authority), &purpose, now() + LEAF_LIFE * 2), "too late");
    }
    let others_name = Purpose::Server { names: vec!["sea.ships.svc".into()], addresses: vec![] };
    let issued = authority.issue(&server(), now()).unwrap();
    assert!(!trust(&authority).believes(issued.certificate().as_bytes(), &others_name, now()));
}

#[test]
fn bundle_of_several_trusts_each_of_them() {
    let authorities = [(); 3].map(|()| Authority::make(now()).unwrap());
    let bundle = authorities.each_ref().map(|authority| authority.pem().certificate()).concat();
    let trust = Trust::in_bundle(bundle.as_bytes()).unwrap();
    for authority in &authorities {
        let issued = authority.issue(&sender(), now()).unwrap();
        assert!(trust.believes(issued.certificate().as_bytes(), &sender(), now()));
    }
}

#[test]
fn bundle_without_a_certificate_is_none() {
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"] {
        Trust::in_bundle(text.as_bytes()).unwrap_err();
    }
}

#[test]
fn authority_that_was_kept_issues_as_before() {
    let made = Authority::make(now()).unwrap();
    let (certificate, key) = (made.pem().certificate(), made.pem().key());
    let kept = Authority::parse(certificate.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(kept.facts(), made.facts());
    assert!(kept.pem() == made.pem());
    let noisy = Authority::parse(format!("noise\n{certificate}more").as_bytes(), key.as_bytes()).unwrap();
    assert!(noisy.pem() == made.pem());
    let issued = kept.issue(&server(), now()).unwrap();
    assert!(trust(&made).believes(issued.certificate().as_bytes(), &server(), now()));
}

#[test]
fn what_is_no_authority_is_not_taken_for_one() {
    let (one, other) = (Authority::make(now()).unwrap(), Authority::make(now()).unwrap());
    let leaf = one.issue(&server(), now()).unwrap();
    let parse = |certificate: &str, key: &str| Authority::parse(certificate.as_bytes(), key.as_bytes());
    assert!(parse(leaf.certificate(), leaf.key()).is_none(), "a leaf");
    assert!(parse(one.pem().certificate(), other.pem().key()).is_none(), "another's key");
    assert!(parse("", one.pem().key()).is_none());
    assert!(parse(one.pem().certificate(), "").is_none());
}

#[test]
fn no_bit_of_an_authority_can_turn_unseen() {
    let made = Authority::make(now()).unwrap();
    let (certificate, key) = (made.pem().certificate(), made.pem().key());
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    // One number can be written in two ways: a key that a bit makes no other is still that key.
    let is_the_same = |kept: &Authority| {
        kept.pem().certificate() == made.pem().certificate()
            && kept
                .issue(&server(), now())
                .is_ok_and(|issued| trust(&made).believes(issued.certificate().as_bytes(), &server(), now()))
    };
    let is_same_or_none = |certificate: &[u8], key: &[u8]| {
        Authority::parse(certificate, key).is_none_or(|kept| is_the_same(&kept))
    };
    for (turned, hurt) in with_one_bit_turned(certificate) {
        assert!(is_same_or_none(&hurt, key), "{turned} of the certificate turned");
    }
    for (turned, hurt) in with_one_bit_turned(key) {
        assert!(is_same_or_none(certificate, &hurt), "{turned} of the key turned");
    }
}

fn with_one_bit_turned(text: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..text.len() * 8).map(|bit| {
        let mut hurt = text.to_vec();
        hurt[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {} of byte {}", bit % 8, bit / 8), hurt)
    })
}

/// Parses an authority that is ours but for one change.
fn but_for(change: impl FnOnce(&mut CertificateParams)) -> Option<Authority> {
    let mut params = authority("Visnyk CA 1");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority::parse(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
}

#[test]
fn authority_of_anothers_making_is_not_taken_for_one() {
    let by_name = |parts: Vec<(DnType, DnValue)>| {
        but_for(|params| {
            params.distinguished_name = DistinguishedName::new();
            for (kind, value) in parts {
                params.distinguished_name.push(kind, value);
            }
        })
    };
    let name = || DnValue::Utf8String("Visnyk CA 1".into());
    let printable = DnValue::PrintableString("Visnyk CA 1".try_into().unwrap());
    assert!(but_for(|_| ()).is_some());
    assert!(by_name(vec![(DnType::CommonName, name())]).is_some());
    assert!(by_name(vec![]).is_none(), "no name");
    assert!(by_name(vec![(DnType::CommonName, "Harbour CA".into())]).is_none(), "another name");
    assert!(by_name(vec![(DnType::CommonName, printable)]).is_none(), "in another encoding");
    assert!(by_name(vec![(DnType::OrganizationName, name())]).is_none(), "of another kind");
    let two = vec![(DnType::OrganizationName, "Harbour".into()), (DnType::CommonName, name())];
    assert!(by_name(two).is_none(), "a second part");
    // Legal, and more than every library can write again.
    assert!(by_name(vec![(DnType::CustomDnType(vec![2, 999, 3]), name())]).is_none());
    let harbour = GeneralSubtree::DnsName("harbour.example.org".into());
    let limits = NameConstraints { permitted_subtrees: vec![harbour], excluded_subtrees: vec![] };
    assert!(but_for(|params| params.name_constraints = Some(limits)).is_none(), "for some names alone");
    let mut unknown = CustomExtension::from_oid_content(&[2, 999, 4], vec![5, 0]);
    unknown.set_criticality(true);
    assert!(but_for(|params| params.custom_extensions = vec![unknown]).is_none(), "trusted by nobody");
}

#[test]
fn key_is_found_among_other_things_and_kept_in_one_form() {
    let made = Authority::make(now()).unwrap();
    let (certificate, key) = (made.pem().certificate(), made.pem().key());
    let other = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let kept = Authority::parse(certificate.as_bytes(), format!("{other}{key}").as_bytes()).unwrap();
    assert!(kept.pem() == made.pem());
    // The same bytes under the name of another form are not that form.
    assert!(
        Authority::parse(certificate.as_bytes(), key.replace("PRIVATE", "EC PRIVATE").as_bytes()).is_none()
    );
}

#[test]
fn certificate_that_never_ends_is_read() {
    let mut params = CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(9999, 12, 31) + time::Duration::seconds(86_399);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert_eq!(Facts::of(certificate.der()).unwrap().not_after, Timestamp::MAX);
}

#[test]
fn name_that_nobody_can_be_asked_for_says_nothing() {
    let (authority, other) = (Authority::make(now()).unwrap(), Authority::make(now()).unwrap());
    let of = |names: &[&str]| Purpose::Server {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: vec![],
    };
    let odd = ["quay.2031", "*.harbour"];
    let purpose = of(&[odd.as_slice(), &["quay.2031.svc"]].concat());
    let issued = authority.issue(&purpose, now()).unwrap();
    let believes =
        |by: &Authority, purpose| trust(by).believes(issued.certificate().as_bytes(), purpose, now());
    assert!(believes(&authority, &purpose));
    assert!(!believes(&other, &purpose));
    assert!(!believes(&authority, &of(&odd)), "nothing was said");
}

#[test]
fn leaf_ends_no_later_than_its_authority() {
    let authority = Authority::make(now()).unwrap();
    let late = now() + CA_LIFE - LEAF_LIFE / 2;
    let issued = authority.issue(&server(), late).unwrap();
    let facts = Facts::of_pem(issued.certificate().as_bytes()).unwrap();
    assert_eq!(facts.not_after, authority.facts().not_after);
}

#[test]
fn name_too_long_to_be_common_is_still_a_name() {
    let name = format!("{}.{}.example.org", "a".repeat(60), "b".repeat(60));
    let purpose = Purpose::Server { names: vec![name], addresses: vec![] };
    let authority = Authority::make(now()).unwrap();
    let issued = authority.issue(&purpose, now()).unwrap();
    assert!(trust(&authority).believes(issued.certificate().as_bytes(), &purpose, now()));
}

#[test]
fn only_plain_uris_name_a_sender() {
    let quay = SenderName { namespace: "ships".into(), name: "quay".into() };
    assert_eq!(SenderName::parse(&quay.uri()), Some(quay));
    for uri in [
        "visnyk://ships",
        "visnyk:///quay",
        "visnyk://ships/",
        "https://ships/quay",
        "visnyk://ships/quay/2",
        "visnyk://a@ships/quay",
        "visnyk://ships:1/quay",
        "visnyk://ships/quay?a",
    ] {
        assert_eq!(SenderName::parse(uri), None, "{uri}");
    }
}

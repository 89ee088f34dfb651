use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
use rustls_pki_types::pem::PemObject;
use visnyk_crds::text::Subject;

use super::*;
use crate::pki::Facts;

fn subject(parts: &[(DnType, DnValue)]) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    let key = KeyPair::generate().unwrap();
    Facts::of(params.self_signed(&key).unwrap().der()).unwrap().subject
}

/// Made, and printed with `-nameopt RFC2253`, by OpenSSL 3.0; of every attribute that has a name, and of one that is
/// only known by its OID here.
#[test]
fn a_subject_is_written_as_openssl_prints_it() {
    let certificate =
        rustls_pki_types::CertificateDer::from_pem_slice(include_bytes!("openssl.pem")).unwrap();
    let written = Facts::of(&certificate).unwrap().subject;
    assert_eq!(
        written,
        "2.5.4.13=#0C0164,jurisdictionC=UA,jurisdictionST=S,jurisdictionL=L,organizationIdentifier=PSD,\
         businessCategory=B,postalCode=P,dnQualifier=Q,initials=I,name=nine\\09,title=T,GN=G,SN=S,\
         emailAddress=pump@example.org,UID=42+CN=pump\\+x+serialNumber=7,street=a#b,OU=\\D0\\A5\\D1\\83\\D0\\BA,\
         OU=\\#1 two=three,O=Example\\, Ltd. \\<\\\"x\\\"\\>\\;\\\\,L=\\ Pump\\ ,ST=Kyiv,C=UA,DC=org"
    );
    assert!(Subject::FORMAT.fits(&written), "no manifest could name it");
    for (_, name) in NAMES {
        assert!(written.contains(&format!("{name}=")), "{name} is not shown");
        assert!(Subject::FORMAT.fits(&format!("{name}=a")), "no manifest could name {name}");
    }
}

#[test]
fn no_two_names_are_written_alike() {
    let text = |text: &str| DnValue::Utf8String(text.into());
    let of = |name: &str| subject(&[(DnType::CommonName, text(name))]);
    let two = subject(&[(DnType::OrganizationName, text("b")), (DnType::CommonName, text("a"))]);
    assert_eq!(two, "CN=a,O=b");
    let names = ["a,O=b", "a\\,O=b", "a+O=b", "a\\2CO=b", "#0C0161", "a", " a", "a ", "A", "\u{0}a", "а"];
    let mut written: Vec<String> = names.map(of).into();
    let unlike = subject(&[(DnType::CommonName, DnValue::BmpString("a".try_into().unwrap()))]);
    assert_eq!(unlike, "CN=#1E020061");
    written.extend([two, unlike]);
    for (at, one) in written.iter().enumerate() {
        assert!(Subject::FORMAT.fits(one), "no manifest could name {one}");
        assert!(!written[..at].contains(one), "{one} is written twice");
    }
    // An empty name, which nobody can list.
    assert_eq!(subject(&[]), "");
    assert!(!Subject::FORMAT.fits(""));
}

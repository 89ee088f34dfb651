//! Check that a kept authority was made by Visnyk and is unchanged.

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use x509_parser::{
    asn1_rs::Tag, certificate::X509Certificate, oid_registry::OID_X509_COMMON_NAME, parse_x509_certificate,
    x509::X509Name,
};

/// Prefix of the common names of our authorities.
pub(super) const NAME: &str = "Visnyk CA";

/// Returns the common name of an authority of ours; none if its certificate is of another form, or differs in a bit
/// from the one that the authority signed, which verifiers do not check of a certificate that they are told to trust.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    RootCertStore::empty().add(certificate.clone()).ok()?;
    let (rest, certificate) = parse_x509_certificate(certificate).ok()?;
    if !rest.is_empty() || is_limited(&certificate) {
        return None;
    }
    certificate.verify_signature(None).ok()?;
    only_common_name(certificate.subject()).filter(|name| name.starts_with(NAME))
}

/// Returns whether name constraints would make a verifier reject some names.
fn is_limited(certificate: &X509Certificate<'_>) -> bool {
    !matches!(certificate.name_constraints(), Ok(None))
}

/// Returns the common name of a name that has nothing else and is encoded as ours are: the name of an issuer must be
/// equal to the bit.
fn only_common_name(name: &X509Name<'_>) -> Option<String> {
    let mut parts = name.iter_rdn();
    let mut attributes = parts.next()?.iter();
    let attribute = attributes.next()?;
    let is_alone = parts.next().is_none() && attributes.next().is_none();
    let is_ours = is_alone
        && *attribute.attr_type() == OID_X509_COMMON_NAME
        && attribute.attr_value().tag() == Tag::Utf8String;
    if !is_ours {
        return None;
    }
    attribute.as_str().ok().map(str::to_owned)
}

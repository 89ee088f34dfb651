//! Certificates: authorities of our own making and what they issue, as PEM (pure: files, Secrets and the clock are the
//! caller's), certificates with their keys ([`CertificateAndKey`]), and the authority that a process outside
//! a cluster keeps in its data folder ([`self_signed`]).

mod any_client;
mod certificate_and_key;
pub(crate) mod certificates;
mod facts;
mod ours;
pub mod pem;
pub mod self_signed;
mod sender;
mod subject;
mod trust;

use std::{fmt, net::IpAddr};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::PrivateKeyDer;
use time::OffsetDateTime;

pub use certificate_and_key::{CertificateAndKey, CertificateAndKeyError};
pub use facts::Facts;
pub use sender::SenderName;
pub use trust::{Distrust, Trust, TrustError};

/// Validity of a leaf, as long as public CAs allow. It is renewed at two thirds of it.
pub const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Validity of a CA, longer than an installation runs unattended.
pub const CA_LIFE: SignedDuration = SignedDuration::from_hours(3650 * 24);
/// Time before its making from which a certificate is valid, because clocks differ.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Maximum length of a common name in X.509.
const LONGEST_COMMON_NAME: usize = 64;

/// Use that a certificate is issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A server by these names and addresses.
    Server {
        /// DNS names in small letters; a wildcard may stand first.
        names: Vec<String>,
        /// IP addresses of the server.
        addresses: Vec<IpAddr>,
    },
    /// A relay that shows itself to a Collector.
    Sender(SenderName),
}

/// An authority that can issue certificates.
pub struct Authority {
    pem: CertificateAndKey,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority, valid for [`CA_LIFE`].
    pub fn make(now: Timestamp) -> Result<Self, Error> {
        // Random, so that a client may trust several of these and still find the right one.
        let params = authority(&format!("{} {:08x}", ours::NAME, rand::random::<u32>()));
        let params = valid_for(params, now, now + CA_LIFE)?;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = made(&pem::encode(certificate.der()), &key)?;
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Parses an authority that was made before; none if certificate and key are damaged, do not belong together, or
    /// are no authority of our making. Other text around them is left out.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Option<Self> {
        // Proves that they belong together, which the issuer takes on trust.
        let given =
            CertificateAndKey::parse(certificate, key).ok().filter(|given| given.facts().is_authority)?;
        let certificate = given.rustls().end_entity_cert().ok()?;
        let common_name = ours::common_name(certificate)?;
        let PrivateKeyDer::Pkcs8(key) = pem::private_key(key).ok()? else { return None };
        let key = KeyPair::try_from(&key).ok()?;
        let pem = made(&pem::encode(certificate), &key).ok()?;
        let issuer = Issuer::new(authority(&common_name), key);
        Some(Self { pem, issuer })
    }

    /// Returns certificate and key, as they are kept.
    pub fn pem(&self) -> &CertificateAndKey {
        &self.pem
    }

    /// Returns the content of its certificate.
    pub fn facts(&self) -> &Facts {
        self.pem.facts()
    }

    /// Issues a new certificate, valid for [`LEAF_LIFE`], and no longer than this authority.
    pub fn issue(&self, purpose: &Purpose, now: Timestamp) -> Result<CertificateAndKey, Error> {
        let until = (now + LEAF_LIFE).min(self.facts().not_after);
        let mut params = valid_for(purpose.params()?, now, until)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        made(&certificate.pem(), &key)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never its key.
        f.debug_struct("Authority").field("facts", self.facts()).finish_non_exhaustive()
    }
}

impl Purpose {
    fn params(&self) -> Result<CertificateParams, Error> {
        match self {
            Self::Server { names, addresses } => {
                let mut params = CertificateParams::new(names.clone())?;
                let short = names.iter().find(|name| name.len() <= LONGEST_COMMON_NAME);
                name(&mut params, short.map_or("Visnyk", String::as_str));
                params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                Ok(params)
            }
            Self::Sender(sender) => {
                let mut params = CertificateParams::default();
                name(&mut params, "Visnyk relay");
                params.subject_alt_names = vec![SanType::URI(sender.uri().try_into()?)];
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                Ok(params)
            }
        }
    }
}

/// Returns a certificate (PEM) that was just made, with its key.
fn made(certificate: &str, key: &KeyPair) -> Result<CertificateAndKey, Error> {
    let key = key.serialize_pem();
    CertificateAndKey::parse(certificate.as_bytes(), key.as_bytes())
        .map_err(|_| Error::CouldNotParseCertificate)
}

/// Returns the parameters that every authority of ours has, with this name.
fn authority(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    name(&mut params, common_name);
    params
}

fn name(params: &mut CertificateParams, common_name: impl Into<String>) {
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name.into());
}

fn valid_for(
    mut params: CertificateParams,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, Error> {
    let at = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| Error::Time);
    params.not_before = at(now - CLOCK_SKEW)?;
    params.not_after = at(until)?;
    Ok(params)
}

#[cfg(test)]
mod tests;

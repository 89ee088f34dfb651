//! Content of a certificate. [`super::Trust`] decides whether the certificate is trusted.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{pem::first_certificate, subject};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

/// Content of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Start of the certificate's validity.
    pub not_before: Timestamp,
    /// End of the certificate's validity. The end of one that never expires (RFC 5280, 4.1.2.5) is [`Timestamp::MAX`].
    pub not_after: Timestamp,
    /// Subject: a distinguished name as `openssl x509 -nameopt RFC2253` prints it, such as `CN=pump,O=Example`.
    pub subject: String,
    /// True for a certificate authority.
    pub is_authority: bool,
    /// The DNS names that it is for.
    pub dns_names: BTreeSet<String>,
    /// The addresses that it is for.
    pub addresses: BTreeSet<IpAddr>,
    /// The URIs that it is for.
    pub uris: BTreeSet<String>,
}

impl Facts {
    /// Reads a certificate in DER; none if it is not one.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(certificate).ok()?;
        let validity = certificate.validity();
        let mut facts = Self {
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX),
            subject: subject::written(certificate.subject()),
            is_authority: certificate.is_ca(),
            dns_names: BTreeSet::new(),
            addresses: BTreeSet::new(),
            uris: BTreeSet::new(),
        };
        facts.read_names(&certificate);
        Some(facts)
    }

    /// Reads the first certificate in a PEM text.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        Self::of(&first_certificate(pem).ok()?)
    }

    /// Returns the time at which two thirds of its life are over.
    pub fn renew_at(&self) -> Timestamp {
        let life = self.not_after.duration_since(self.not_before);
        self.not_after - SignedDuration::from_secs(life.as_secs() / 3)
    }

    fn read_names(&mut self, certificate: &X509Certificate<'_>) {
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return };
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => drop(self.dns_names.insert((*name).to_owned())),
                GeneralName::IPAddress(bytes) => drop(address(bytes).map(|it| self.addresses.insert(it))),
                GeneralName::URI(uri) => drop(self.uris.insert((*uri).to_owned())),
                _ => {}
            }
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()))
}

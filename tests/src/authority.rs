//! Plays the operator: an authority that signs what servers and relays show each other.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one; the name tells it from others.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes `tls.crt` and `tls.key` of a server named `localhost`.
    pub fn write_server(&self, folder: &Path) {
        let mut params = CertificateParams::new(["localhost".into()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write(&params, folder, "");
    }

    /// Writes what the relay whose peers folder this is shows to the collector `archive`.
    pub fn write_relay(&self, peers_dir: &Path, uri: &str) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write(&params, peers_dir, "default.archive.");
    }

    fn write(&self, params: &CertificateParams, folder: &Path, prefix: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{prefix}tls.key")), key.serialize_pem()).unwrap();
        fs::write(folder.join(format!("{prefix}tls.crt")), certificate.pem()).unwrap();
    }
}

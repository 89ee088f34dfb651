//! Certificate authority in the place of the operator's: it signs the certificates of servers and relays.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};

/// A certificate authority of a test.
#[derive(Debug)]
pub struct Authority {
    /// Certificate of the authority, as PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority; the name tells it from others.
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
        self.write(&localhost(), folder, "");
    }

    /// Writes the same, long expired.
    pub fn write_expired_server(&self, folder: &Path) {
        self.write(&expired(localhost()), folder, "");
    }

    /// Writes what the relay whose peers folder this is shows to the collector `archive`.
    pub fn write_relay(&self, peers_dir: &Path, uri: &str) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write(&params, peers_dir, "default.archive.");
    }

    /// Issues a certificate for a client, and returns it with its key, as PEM: of this common name, for these
    /// alternative names.
    pub fn client(&self, common_name: &str, names: Vec<SanType>) -> String {
        self.sign(&client(common_name, names))
    }

    /// Issues a certificate for a client that has expired.
    pub fn expired_client(&self, common_name: &str) -> String {
        self.sign(&expired(client(common_name, vec![])))
    }

    /// Issues a certificate that is for a server and names it as a client would be named, and returns it with its
    /// key, as PEM.
    pub fn server(&self, common_name: &str) -> String {
        let mut params = client(common_name, vec![]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        format!("{}{}", certificate.pem(), key.serialize_pem())
    }

    fn write(&self, params: &CertificateParams, folder: &Path, prefix: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{prefix}tls.key")), key.serialize_pem()).unwrap();
        fs::write(folder.join(format!("{prefix}tls.crt")), certificate.pem()).unwrap();
    }
}

fn localhost() -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".into()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    params
}

fn client(common_name: &str, names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = names;
    params
}

//! Certificates of our own making, for `tls: {selfSigned: {}}`: a CA that is made once and kept in the data
//! folder, so that clients can trust it for years, and a leaf made anew at each start, whose key is never
//! on disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::certificates::{Pair, PairError};

/// As long as public CAs allow nowadays; renewed at two thirds of it.
pub(super) const LEAF_LIFE: Duration = Duration::days(90);
/// Longer than an installation lives without anyone looking at it.
const CA_LIFE: Duration = Duration::days(3650);
/// Clocks differ: a certificate is valid from a little before it was made.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A CA in a folder: `ca.crt`, which clients trust, and `ca.key` (mode 0600).
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// A file of the CA cannot be read, set aside or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The CA or a certificate of it cannot be made, for example because a name is not a DNS name.
    #[error("certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// What was made cannot be used.
    #[error("certificate cannot be used")]
    Use(#[from] PairError),
}

impl Authority {
    /// The CA of this folder. If there is none, or its files are damaged, or it would expire before a leaf of
    /// it, one is made; files in its way are kept under another name.
    pub fn open(folder: &Path) -> Result<Self, SelfSignedError> {
        let (certificate, key) = (folder.join("ca.crt"), folder.join("ca.key"));
        if let (Some(pem), Some(key_pem)) = (read(&certificate)?, read(&key)?)
            && let Some(authority) = Self::parse(&pem, &key_pem)
        {
            return Ok(authority);
        }
        set_aside(&certificate)?;
        set_aside(&key)?;
        Self::make(folder, &certificate, &key)
    }

    fn parse(certificate: &str, key: &str) -> Option<Self> {
        let pair = Pair::parse(certificate.as_bytes(), key.as_bytes()).ok()?;
        let left = pair.not_after.as_second() - Timestamp::now().as_second();
        if left < LEAF_LIFE.whole_seconds() {
            return None;
        }
        let key = KeyPair::from_pem(key).ok()?;
        Some(Self { issuer: Issuer::from_ca_cert_pem(certificate, key).ok()? })
    }

    fn make(folder: &Path, certificate: &Path, key: &Path) -> Result<Self, SelfSignedError> {
        let mut params = CertificateParams::default();
        valid_for(&mut params, CA_LIFE);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Random, so that a client may trust several of these and still find the right one.
        params.distinguished_name.remove(DnType::CommonName);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Visnyk CA {:08x}", rand::random::<u32>()));
        let pair = KeyPair::generate()?;
        let made = params.self_signed(&pair)?;
        let in_folder = |result: io::Result<()>| {
            result.map_err(|source| SelfSignedError::File { path: folder.to_owned(), source })
        };
        in_folder(fs::create_dir_all(folder))?;
        in_folder(write(key, &pair.serialize_pem(), 0o600))?;
        in_folder(write(certificate, &made.pem(), 0o644))?;
        in_folder(File::open(folder).and_then(|folder| folder.sync_all()))?;
        tracing::info!(certificate = %certificate.display(), "made a certificate authority");
        Ok(Self { issuer: Issuer::new(params, pair) })
    }

    /// A new certificate for these names, for `localhost`, for the loopback addresses and for `address`.
    pub fn leaf(&self, dns_names: &[String], address: IpAddr) -> Result<Pair, SelfSignedError> {
        let mut names: Vec<String> = dns_names.to_vec();
        if !names.iter().any(|name| name == "localhost") {
            names.push("localhost".into());
        }
        let common_name = names[0].clone();
        let mut params = CertificateParams::new(names)?;
        valid_for(&mut params, LEAF_LIFE);
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        if !address.is_unspecified() && !addresses.contains(&address) {
            addresses.push(address);
        }
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair::parse(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?)
    }
}

fn valid_for(params: &mut CertificateParams, life: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + life;
}

fn read(path: &Path) -> Result<Option<String>, SelfSignedError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SelfSignedError::File { path: path.to_owned(), source }),
    }
}

fn set_aside(path: &Path) -> Result<(), SelfSignedError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".unusable-{}", Timestamp::now().as_millisecond()));
    match fs::rename(path, &aside) {
        Ok(()) => {
            tracing::warn!(file = %path.display(), kept_as = %aside.display(), "unusable file set aside");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SelfSignedError::File { path: path.to_owned(), source }),
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all.
fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    // One left by a crash may have another mode.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests;

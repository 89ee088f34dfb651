//! Certificates of our own making, for `tls: {selfSigned: {}}`: a CA that is made once and kept in the data
//! folder, so that clients can trust it for years, and a leaf made anew at each start, whose key is never
//! on disk.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::pki::{Authority, CertificateAndKey, LEAF_LIFE, Purpose};
use crate::whole_file;

/// A CA in a folder: `ca.crt`, which clients trust, and `ca.key` (mode 0600).
#[derive(Debug)]
pub struct KeptAuthority {
    authority: Authority,
}

/// Reason for which a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// A file of the CA cannot be read, set aside or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operation that failed.
        #[source]
        source: io::Error,
    },
    /// The CA or a certificate of it cannot be made, for example because a name is not a DNS name.
    #[error("certificate cannot be made")]
    Make(#[from] rcgen::Error),
}

impl KeptAuthority {
    /// Opens the CA of this folder. If there is none, or its files are damaged or not of our making, or it would
    /// expire before a leaf of it, one is made; files in its way are kept under another name.
    pub fn open(folder: &Path) -> Result<Self, SelfSignedError> {
        let (certificate, key) = (folder.join("ca.crt"), folder.join("ca.key"));
        if let (Some(pem), Some(key_pem)) = (read(&certificate)?, read(&key)?)
            && let Some(authority) = Authority::parse(&pem, &key_pem)
            && authority.facts().not_after.duration_since(Timestamp::now()) >= LEAF_LIFE
        {
            return Ok(Self { authority });
        }
        set_aside(&certificate)?;
        set_aside(&key)?;
        Self::make(folder, &certificate, &key)
    }

    fn make(folder: &Path, certificate: &Path, key: &Path) -> Result<Self, SelfSignedError> {
        let authority = Authority::make(Timestamp::now())?;
        let in_folder = |result: io::Result<()>| {
            result.map_err(|source| SelfSignedError::File { path: folder.to_owned(), source })
        };
        in_folder(fs::create_dir_all(folder))?;
        in_folder(whole_file::write(key, authority.pem().key(), 0o600))?;
        in_folder(whole_file::write(certificate, authority.pem().certificate(), 0o644))?;
        in_folder(File::open(folder).and_then(|folder| folder.sync_all()))?;
        tracing::info!(certificate = %certificate.display(), "made a certificate authority");
        Ok(Self { authority })
    }

    /// Issues a certificate for these names, for `localhost`, for the loopback addresses and for `address`.
    pub fn leaf(&self, dns_names: &[String], address: IpAddr) -> Result<CertificateAndKey, SelfSignedError> {
        let mut names: Vec<String> = dns_names.to_vec();
        if !names.iter().any(|name| name == "localhost") {
            names.push("localhost".into());
        }
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        if !address.is_unspecified() && !addresses.contains(&address) {
            addresses.push(address);
        }
        let purpose = Purpose::Server { names, addresses };
        Ok(self.authority.issue(&purpose, Timestamp::now())?)
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SelfSignedError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
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

#[cfg(test)]
mod tests;

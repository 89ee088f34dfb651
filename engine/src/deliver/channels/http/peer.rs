//! The files that say where a Collector is, whom to trust there, and who we are to it:
//! `<namespace>.<name>.url`, `.ca.crt`, `.tls.crt` and `.tls.key` in the peers folder; and which addresses
//! a Service has: `<namespace>.<name>.addresses`. In a cluster the operator writes them, at home a person or
//! the demo does.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use url::Url;
use visnyk_crds::contract::paths;
use visnyk_crds::contract::peers::{ADDRESSES, URL, prefix};
use visnyk_crds::valid::Target;

use super::tls::Identity;

/// Content of the peers folder for one Collector.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address: `http` or `https`.
    pub url: Url,
    /// The authorities that may vouch for it, as PEM; there whenever the URL is `https`.
    pub authorities: Option<Vec<u8>>,
    /// Certificate that the relay proves itself with.
    pub identity: Option<Identity>,
}

/// Content of the peers folder for one destination.
#[derive(Clone, PartialEq, Eq)]
pub enum PeerInfo {
    /// The content for a Collector.
    Collector(Peer),
    /// Addresses of a Service, at least one.
    Service(Vec<IpAddr>),
}

/// Reason for which the peers folder cannot be used for a destination.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// This file is required and missing.
    #[error("peers folder has no {0}")]
    Missing(String),
    /// This file exists and cannot be read.
    #[error("peers folder's {0} cannot be read")]
    Unreadable(String, #[source] io::Error),
    /// The file holds no URL that can be delivered to.
    #[error("peers folder's {0} holds no http or https url")]
    Url(String),
    /// The file does not hold addresses, one a line.
    #[error("peers folder's {0} holds no addresses")]
    Addresses(String),
    /// A certificate without its key, or a key without its certificate.
    #[error("peers folder has {0} without its other half")]
    Half(String),
}

/// Reads the content of the peers folder for a destination; `None` if the destination does not depend on it.
pub fn read(folder: &Path, target: &Target) -> Option<Result<PeerInfo, PeerError>> {
    match target {
        Target::Url(_) => None,
        Target::Collector { namespace, name } => {
            Some(read_collector(folder, namespace, name).map(PeerInfo::Collector))
        }
        Target::Service { namespace, name, .. } => {
            Some(read_service(folder, namespace, name).map(PeerInfo::Service))
        }
    }
}

fn read_service(folder: &Path, namespace: &str, name: &str) -> Result<Vec<IpAddr>, PeerError> {
    let files = Files { folder, prefix: prefix(namespace, name) };
    let file = files.name(ADDRESSES);
    let lines = files.read(ADDRESSES)?.ok_or_else(|| PeerError::Missing(file.clone()))?;
    let lines = String::from_utf8_lossy(&lines);
    match lines.lines().map(|line| line.trim().parse()).collect::<Result<Vec<IpAddr>, _>>() {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        _ => Err(PeerError::Addresses(file)),
    }
}

/// Reads the four files.
fn read_collector(folder: &Path, namespace: &str, name: &str) -> Result<Peer, PeerError> {
    let files = Files { folder, prefix: prefix(namespace, name) };
    let url_file = files.name(URL);
    let url = files.read(URL)?.ok_or_else(|| PeerError::Missing(url_file.clone()))?;
    let url = parse_url(&url).ok_or(PeerError::Url(url_file))?;
    let authorities = files.read(paths::AUTHORITIES)?;
    if url.scheme() == "https" && authorities.is_none() {
        return Err(PeerError::Missing(files.name(paths::AUTHORITIES)));
    }
    let identity = match (files.read(paths::CERTIFICATE)?, files.read(paths::KEY)?) {
        (Some(certificates), Some(key)) => Some(Identity { certificates, key }),
        (None, None) => None,
        (Some(_), None) => return Err(PeerError::Half(files.name(paths::CERTIFICATE))),
        (None, Some(_)) => return Err(PeerError::Half(files.name(paths::KEY))),
    };
    Ok(Peer { url, authorities, identity })
}

struct Files<'a> {
    folder: &'a Path,
    prefix: String,
}

impl Files<'_> {
    fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(self.name(suffix))
    }

    fn read(&self, suffix: &str) -> Result<Option<Vec<u8>>, PeerError> {
        match fs::read(self.path(suffix)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PeerError::Unreadable(self.name(suffix), error)),
        }
    }
}

/// Parses a URL, with the same rules as a manifest's.
fn parse_url(text: &[u8]) -> Option<Url> {
    let url = Url::parse(std::str::from_utf8(text).ok()?.trim()).ok()?;
    let is_usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    is_usable.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn error_of(files: &[(&str, &str)]) -> String {
        read_collector(folder(files).path(), "apps", "store").err().unwrap().to_string()
    }

    #[test]
    fn all_four_files_are_read() {
        let folder = folder(&[
            ("apps.store.url", "https://store.apps.svc:8443/in\n"),
            ("apps.store.ca.crt", "ca"),
            ("apps.store.tls.crt", "certificate"),
            ("apps.store.tls.key", "key"),
            ("apps.other.url", "http://other/"),
        ]);
        let expected = Peer {
            url: Url::parse("https://store.apps.svc:8443/in").unwrap(),
            authorities: Some(b"ca".to_vec()),
            identity: Some(Identity { certificates: b"certificate".to_vec(), key: b"key".to_vec() }),
        };
        assert!(read_collector(folder.path(), "apps", "store").is_ok_and(|peer| peer == expected));
    }

    #[test]
    fn what_is_missing_is_named() {
        let url = ("apps.store.url", "https://store/");
        let ca = ("apps.store.ca.crt", "ca");
        assert_eq!(error_of(&[]), "peers folder has no apps.store.url");
        assert_eq!(error_of(&[url]), "peers folder has no apps.store.ca.crt");
        let half = error_of(&[url, ca, ("apps.store.tls.key", "key")]);
        assert_eq!(half, "peers folder has apps.store.tls.key without its other half");
    }

    #[test]
    fn only_http_urls_without_user_are_taken() {
        for url in
            ["", "store", "ftp://store/", "https://user@store/", "https://:pw@store/", "http://store/#a"]
        {
            assert_eq!(
                error_of(&[("apps.store.url", url)]),
                "peers folder's apps.store.url holds no http or https url",
                "{url}"
            );
        }
    }

    #[test]
    fn addresses_of_a_service_are_read_line_by_line() {
        let addresses = |content: &str| {
            let folder = folder(&[("apps.desk.addresses", content)]);
            read_service(folder.path(), "apps", "desk").map_err(|error| error.to_string())
        };
        assert_eq!(
            addresses("10.96.0.7\nfd00::7\n"),
            Ok(vec!["10.96.0.7".parse().unwrap(), "fd00::7".parse().unwrap()])
        );
        for none in ["", "\n", "desk.example.org", "10.96.0.7\nanything"] {
            let says = Err("peers folder's apps.desk.addresses holds no addresses".to_owned());
            assert_eq!(addresses(none), says, "{none:?}");
        }
    }
}

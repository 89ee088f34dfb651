//! TLS of a listener: none, or with a certificate that a task keeps fresh. A certificate that cannot be used never
//! replaces one that can.

mod check;

use std::{
    error::Error,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::{sync::watch, task::AbortHandle};
use visnyk_crds::contract::paths;
use visnyk_crds::valid::{Listener, ListenerTls, SecretRef};

pub use self::check::check;
use super::{
    client_ca::{ClientCa, ClientCaError},
    client_certificate::Authorities,
    server_config::server_config,
};
use crate::blocking::run_blocking;
use crate::host::file_watch::FileWatch;
use crate::observe::causes::with_causes;
use crate::observe::readiness::{Condition, Readiness};
use crate::pki::{CertificateAndKey, LEAF_LIFE, certificates::Certificates, self_signed::KeptAuthority};

/// Protocol of one connection.
#[derive(Clone, Debug)]
pub enum TlsMode {
    /// HTTP/1 in the clear.
    Plain,
    /// TLS 1.2 or 1.3; HTTP/2 or HTTP/1, as agreed in the handshake.
    Tls(Handshakes),
}

/// Handshake configuration, and the authorities for the certificates of clients.
#[derive(Clone, Debug)]
pub struct Handshakes {
    pub(super) config: Arc<ServerConfig>,
    pub(super) authorities: Authorities,
}

/// TLS settings of a listener in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Certificate of the listener.
    pub own: ListenerTls,
    /// Secret with the CA certificates of clients. Absent: clients are asked for a certificate only with
    /// [`TlsFiles::client_ca`].
    pub client_ca: Option<SecretRef>,
}

impl From<&Listener> for Wanted {
    fn from(listener: &Listener) -> Self {
        Self { own: listener.tls.clone(), client_ca: listener.client_ca.clone() }
    }
}

/// Folders in which certificates are read and made.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Data folder. Self-signed certificates have their CA in its folder `tls`, unless there is a `tls_dir`.
    pub data_dir: PathBuf,
    /// Folder in which another program renews the self-signed certificate: `tls.crt` and `tls.key`.
    pub tls_dir: Option<PathBuf>,
    /// PEM bundle of the CA certificates of clients, without which the listener is not ready. Absent: the bundle that
    /// the manifest names, if any.
    pub client_ca: Option<PathBuf>,
    /// Folder of the Secrets, as files `<secret>/<key>`.
    pub secrets_dir: PathBuf,
    /// The address that the listener is bound to; a self-signed certificate is valid for it.
    pub address: IpAddr,
}

/// State of a listener's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsStatus {
    /// Start of the validity of the certificate in use; absent as `not_after` is.
    pub not_before: Option<Timestamp>,
    /// End of the validity of the certificate in use. Absent: none is loaded, or the listener uses plain HTTP.
    pub not_after: Option<Timestamp>,
    /// Reason for which the latest change was not applied; the configuration before it stays active.
    pub problem: Option<String>,
}

/// A listener's TLS. Clones share it; the task behind it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
    wanted: watch::Sender<Wanted>,
    _keeper: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct Shared {
    mode: ArcSwap<TlsMode>,
    /// Configuration of handshakes while the mode is TLS.
    config: ArcSwap<ServerConfig>,
    certificates: Arc<Certificates>,
    authorities: Authorities,
    client_ca: Mutex<ClientCa>,
    problem: Mutex<Option<String>>,
    condition: Condition,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Interval of the check of a self-signed certificate's age; also the wait after one could not be made.
const AGE_CHECK: Duration = Duration::from_mins(10);

impl Tls {
    /// Loads the wanted certificate and renews it. While there is none, handshakes fail, the condition `certificate` is
    /// not met, and loading is tried again.
    pub fn start(files: TlsFiles, wanted: Wanted, readiness: &Readiness) -> Self {
        let (certificates, authorities) = (Arc::new(Certificates::default()), Authorities::default());
        let config = server_config(certificates.clone(), None);
        let handshakes = Handshakes { config: config.clone(), authorities: authorities.clone() };
        let shared = Arc::new(Shared {
            mode: ArcSwap::from_pointee(TlsMode::Tls(handshakes)),
            config: ArcSwap::from(config),
            certificates,
            authorities,
            client_ca: Mutex::default(),
            problem: Mutex::default(),
            condition: readiness.condition("certificate", "not loaded yet"),
        });
        let (sender, receiver) = watch::channel(wanted.clone());
        let watch = watch_files(&files, &wanted);
        shared.load(&files, &wanted);
        let keeper = tokio::spawn(keep(shared.clone(), files, wanted, watch, receiver));
        Self { shared, wanted: sender, _keeper: Arc::new(AbortOnDrop(keeper.abort_handle())) }
    }

    /// Changes the wanted TLS settings. The change takes effect shortly after, for new connections.
    pub fn configure(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|current| {
            let differs = *current != wanted;
            *current = wanted;
            differs
        });
    }

    /// Returns the protocol for the next connection.
    pub fn mode(&self) -> TlsMode {
        TlsMode::clone(&self.shared.mode.load())
    }

    /// Returns the state of the certificate.
    pub fn status(&self) -> TlsStatus {
        let problem = self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match **self.shared.mode.load() {
            TlsMode::Plain => TlsStatus::default(),
            TlsMode::Tls(_) => {
                let certificates = &self.shared.certificates;
                TlsStatus {
                    not_before: certificates.not_before(),
                    not_after: certificates.not_after(),
                    problem,
                }
            }
        }
    }
}

async fn keep(
    shared: Arc<Shared>,
    files: TlsFiles,
    mut wanted: Wanted,
    mut watch: Option<FileWatch>,
    mut receiver: watch::Receiver<Wanted>,
) {
    loop {
        tokio::select! {
            changed = receiver.changed() => {
                if changed.is_err() {
                    return;
                }
                wanted = receiver.borrow_and_update().clone();
                // Watched before it is read, so that no change falls between.
                watch = run_blocking(|| watch_files(&files, &wanted));
                run_blocking(|| shared.load(&files, &wanted));
            }
            () = changed(&mut watch) => run_blocking(|| shared.load(&files, &wanted)),
            () = tokio::time::sleep(AGE_CHECK) => {
                if matches!(wanted.own, ListenerTls::SelfSigned { .. }) && shared.is_old() {
                    run_blocking(|| shared.load(&files, &wanted));
                }
            }
        }
    }
}

impl TlsFiles {
    /// Returns the path of the bundle with the authorities of clients.
    fn bundle(&self, wanted: &Wanted) -> Option<PathBuf> {
        let named = wanted.client_ca.as_ref();
        self.client_ca
            .clone()
            .or_else(|| named.map(|secret| self.secrets_dir.join(&secret.name).join(&secret.key)))
    }
}

fn watch_files(files: &TlsFiles, wanted: &Wanted) -> Option<FileWatch> {
    let folder = match &wanted.own {
        ListenerTls::None => return None,
        ListenerTls::Secret { name } => Some(files.secrets_dir.join(name)),
        ListenerTls::SelfSigned { .. } => files.tls_dir.clone(),
    };
    let pair =
        folder.into_iter().flat_map(|folder| [paths::CERTIFICATE, paths::KEY].map(|name| folder.join(name)));
    let paths: Vec<PathBuf> = pair.chain(files.bundle(wanted)).collect();
    (!paths.is_empty()).then(|| FileWatch::start(paths))
}

async fn changed(watch: &mut Option<FileWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

impl Shared {
    fn load(&self, files: &TlsFiles, wanted: &Wanted) {
        if wanted.own == ListenerTls::None {
            self.mode.store(Arc::new(TlsMode::Plain));
            self.condition.met();
            return self.note(None);
        }
        let clients = self.load_client_ca(files.bundle(wanted));
        let own = self.load_certificate(files, &wanted.own);
        let handshakes =
            Handshakes { config: self.config.load_full(), authorities: self.authorities.clone() };
        self.mode.store(Arc::new(TlsMode::Tls(handshakes)));
        let problem = own.and(clients.map_err(Into::into)).err().map(|error| with_causes(&*error));
        if let Some(problem) = &problem {
            tracing::warn!(%problem, "not all of tls was loaded; what was before it, if anything, stays in use");
        }
        match &problem {
            Some(problem) if !self.is_usable(files) => self.condition.unmet(problem.clone()),
            _ => self.condition.met(),
        }
        self.note(problem);
    }

    fn load_certificate(&self, files: &TlsFiles, wanted: &ListenerTls) -> Result<(), Box<dyn Error>> {
        let pair = match wanted {
            ListenerTls::None => return Ok(()),
            ListenerTls::Secret { name } => CertificateAndKey::read(&files.secrets_dir.join(name))?,
            ListenerTls::SelfSigned { dns_names } => match &files.tls_dir {
                Some(folder) => CertificateAndKey::read(folder)?,
                None => KeptAuthority::open(&files.data_dir.join("tls"))?.leaf(dns_names, files.address)?,
            },
        };
        let not_after = pair.facts().not_after;
        self.certificates.install(pair, Timestamp::now())?;
        tracing::info!(%not_after, "certificate loaded");
        Ok(())
    }

    fn load_client_ca(&self, path: Option<PathBuf>) -> Result<(), ClientCaError> {
        let mut current = self.client_ca.lock().unwrap_or_else(PoisonError::into_inner);
        let read = current.read(path);
        let (before, trust) = (self.authorities.load_full(), current.trust());
        if before.as_ref().map(Arc::as_ptr) != trust.as_ref().map(Arc::as_ptr) {
            tracing::info!(known = trust.is_some(), "authorities of clients changed");
            self.config.store(server_config(self.certificates.clone(), trust.as_deref()));
            self.authorities.store(trust);
        }
        read
    }

    /// Returns whether the listener has everything that it cannot work without.
    fn is_usable(&self, files: &TlsFiles) -> bool {
        let knows_clients = || self.authorities.load().is_some();
        self.certificates.not_after().is_some() && (files.client_ca.is_none() || knows_clients())
    }

    fn note(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Returns whether a self-signed certificate is missing or has lived two thirds of its life.
    fn is_old(&self) -> bool {
        self.certificates
            .not_after()
            .is_none_or(|not_after| not_after.duration_since(Timestamp::now()) < LEAF_LIFE / 3)
    }
}

#[cfg(test)]
mod tests;

//! How a listener meets its clients: plainly, or with a certificate that is kept fresh by a task of its own.
//! A pair that cannot be used never replaces one that can.

use std::{
    error::Error,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls::{ServerConfig, crypto::aws_lc_rs, version};
use tokio::{sync::watch, task::AbortHandle};
use visnyk_crds::valid::ListenerTls;

use super::{
    certificates::{Certificates, Pair},
    file_watch::FileWatch,
    self_signed::{self, Authority},
};
use crate::observe::readiness::{Condition, Readiness};

/// How one connection is met.
#[derive(Clone, Debug)]
pub enum TlsMode {
    /// HTTP/1 in the clear.
    Plain,
    /// TLS 1.2 or 1.3; HTTP/2 or HTTP/1, as agreed in the handshake.
    Tls(Arc<ServerConfig>),
}

/// Where certificates are found and made.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Self-signed certificates have their CA in `tls` here.
    pub data_dir: PathBuf,
    /// Secrets are folders here.
    pub secrets_dir: PathBuf,
    /// The address that the listener is bound to; a self-signed certificate is valid for it.
    pub address: IpAddr,
}

/// What is known about a listener's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsStatus {
    /// When the one in use expires; absent: none is loaded, or the listener speaks plainly.
    pub not_after: Option<Timestamp>,
    /// Why the latest change was not taken; the certificate before it stays in use.
    pub problem: Option<String>,
}

/// A listener's TLS. Clones share it; the task behind it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
    wanted: watch::Sender<ListenerTls>,
    _keeper: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct Shared {
    mode: ArcSwap<TlsMode>,
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
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

/// How often a self-signed certificate's age is looked at; also the wait after one could not be made.
const AGE_CHECK: Duration = Duration::from_mins(10);

impl Tls {
    /// Loads what is wanted and keeps it fresh. While there is no certificate to show, handshakes fail and
    /// the condition `certificate` is not met; it is looked for all the time.
    pub fn start(files: TlsFiles, wanted: ListenerTls, readiness: &Readiness) -> Self {
        let certificates = Arc::new(Certificates::default());
        let config = server_config(certificates.clone());
        let shared = Arc::new(Shared {
            mode: ArcSwap::from_pointee(TlsMode::Tls(config.clone())),
            config,
            certificates,
            problem: Mutex::default(),
            condition: readiness.condition("certificate", "not loaded yet"),
        });
        let (sender, receiver) = watch::channel(wanted.clone());
        let watch = watch_files(&files, &wanted);
        shared.load(&files, &wanted);
        let keeper = tokio::spawn(keep(shared.clone(), files, wanted, watch, receiver));
        Self { shared, wanted: sender, _keeper: Arc::new(AbortOnDrop(keeper.abort_handle())) }
    }

    /// Wants something else from now on; takes effect in a moment, for new connections.
    pub fn configure(&self, wanted: ListenerTls) {
        self.wanted.send_if_modified(|current| {
            let differs = *current != wanted;
            *current = wanted;
            differs
        });
    }

    /// How the next connection is met.
    pub fn mode(&self) -> TlsMode {
        TlsMode::clone(&self.shared.mode.load())
    }

    /// What is known about the certificate.
    pub fn status(&self) -> TlsStatus {
        let problem = self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match **self.shared.mode.load() {
            TlsMode::Plain => TlsStatus::default(),
            TlsMode::Tls(_) => TlsStatus { not_after: self.shared.certificates.not_after(), problem },
        }
    }
}

/// TLS 1.2 and 1.3 with the provider's suites, all of which are AEAD with forward secrecy.
fn server_config(certificates: Arc<Certificates>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Senders that come back resume without a signature; the state is with them and not in our memory.
    if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Arc::new(config)
}

async fn keep(
    shared: Arc<Shared>,
    files: TlsFiles,
    mut wanted: ListenerTls,
    mut watch: Option<FileWatch>,
    mut receiver: watch::Receiver<ListenerTls>,
) {
    loop {
        tokio::select! {
            changed = receiver.changed() => {
                if changed.is_err() {
                    return;
                }
                wanted = receiver.borrow_and_update().clone();
                // Watched before it is read, so that no change falls between.
                watch = watch_files(&files, &wanted);
                shared.load(&files, &wanted);
            }
            () = changed(&mut watch) => shared.load(&files, &wanted),
            () = tokio::time::sleep(AGE_CHECK) => {
                if matches!(wanted, ListenerTls::SelfSigned { .. }) && shared.is_old() {
                    shared.load(&files, &wanted);
                }
            }
        }
    }
}

fn watch_files(files: &TlsFiles, wanted: &ListenerTls) -> Option<FileWatch> {
    let ListenerTls::Secret { name } = wanted else { return None };
    let folder = files.secrets_dir.join(name);
    Some(FileWatch::start(vec![folder.join("tls.crt"), folder.join("tls.key")]))
}

async fn changed(watch: &mut Option<FileWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

impl Shared {
    fn load(&self, files: &TlsFiles, wanted: &ListenerTls) {
        let loaded: Result<Pair, Box<dyn Error>> = match wanted {
            ListenerTls::None => {
                self.mode.store(Arc::new(TlsMode::Plain));
                return self.settled(None);
            }
            ListenerTls::Secret { name } => Pair::read(&files.secrets_dir.join(name)).map_err(Into::into),
            ListenerTls::SelfSigned { dns_names } => Authority::open(&files.data_dir.join("tls"))
                .and_then(|authority| authority.leaf(dns_names, files.address))
                .map_err(Into::into),
        };
        self.mode.store(Arc::new(TlsMode::Tls(self.config.clone())));
        match loaded {
            Ok(pair) => {
                tracing::info!(not_after = %pair.not_after, "certificate loaded");
                self.certificates.install(pair);
                self.settled(None);
            }
            Err(error) => {
                let problem = chain(&*error);
                tracing::warn!(%problem, "certificate not loaded; the one before it, if any, stays in use");
                self.settled(Some(problem));
            }
        }
    }

    fn settled(&self, problem: Option<String>) {
        match &problem {
            Some(problem) if self.certificates.not_after().is_none() => self.condition.unmet(problem.clone()),
            _ => self.condition.met(),
        }
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Whether a self-signed certificate is missing or has lived two thirds of its life.
    fn is_old(&self) -> bool {
        let third = SignedDuration::from_secs(self_signed::LEAF_LIFE.whole_seconds() / 3);
        self.certificates
            .not_after()
            .is_none_or(|not_after| not_after.duration_since(Timestamp::now()) < third)
    }
}

/// An error and what is behind it, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;

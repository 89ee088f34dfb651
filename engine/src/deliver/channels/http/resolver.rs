//! Names to addresses, as the system is configured (`/etc/resolv.conf`, `/etc/hosts`, search domains),
//! but without the C library: a static binary asks the same way everywhere. The answers are for the
//! address guard to judge.

mod system;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use hickory_resolver::{
    TokioResolver,
    config::ResolveHosts,
    net::{NetError, runtime::TokioRuntimeProvider},
};
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::host::file_watch::FileWatch;

use self::system::{Contents, Files, Settings};

/// Maximum time for which an answer is cached, whatever its zone says. A destination that moves is found again within
/// it.
const MAX_CACHED: Duration = Duration::from_mins(5);
/// Maximum time for which the absence of a name is cached. A new name is found within it.
const MAX_CACHED_ABSENCE: Duration = Duration::from_secs(5);

/// The process's one resolver, with its cache. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    current: ArcSwap<TokioResolver>,
    files: Files,
    /// Contents of the files when they were last read.
    read: Mutex<Contents>,
}

/// The resolver cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("name resolution cannot be set up")]
pub struct SetUpError(#[source] NetError);

/// Error of a look-up that gave no address.
#[derive(Debug, thiserror::Error)]
#[error("name cannot be resolved")]
pub struct LookupError(#[source] NetError);

impl Resolver {
    /// Makes a resolver with the system's configuration. Without a usable `/etc/resolv.conf` it asks the name server of
    /// this machine, as the C library does. [`Resolver::follow`] keeps the configuration current.
    pub fn system() -> Result<Self, SetUpError> {
        Self::of(Files::default())
    }

    fn of(files: Files) -> Result<Self, SetUpError> {
        let read = files.read().map_err(|error| error.to_string());
        let settings = read.clone().and_then(|contents| contents.settings());
        let contents = read.unwrap_or_default();
        let settings = settings.unwrap_or_else(|reason| {
            tracing::warn!(reason, "no usable name server is configured: asking that of this machine");
            contents.settings_of_this_machine()
        });
        let current = ArcSwap::from_pointee(build(settings).map_err(SetUpError)?);
        Ok(Self(Arc::new(Inner { current, files, read: Mutex::new(contents) })))
    }

    /// Follows changes of the system's configuration, for as long as it is polled. A configuration that cannot be used
    /// changes nothing.
    pub async fn follow(self) {
        // Armed before the first look: what changes after it is noticed.
        let files = &self.0.files;
        let mut watch = FileWatch::start(vec![files.resolv_conf.clone(), files.hosts.clone()]);
        loop {
            match run_blocking(|| self.read_again()) {
                Ok(false) => {}
                Ok(true) => tracing::info!("changed configuration of name resolution applied"),
                Err(reason) => {
                    tracing::warn!(
                        reason,
                        "changed configuration of name resolution not applied, the one before it stays"
                    );
                }
            }
            watch.changed().await;
        }
    }

    /// Applies what the files hold if it is new. Returns whether it was.
    fn read_again(&self) -> Result<bool, String> {
        let contents = self.0.files.read().map_err(|error| error.to_string())?;
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == contents {
            return Ok(false);
        }
        let resolver = build(contents.settings()?).map_err(|error| error.to_string())?;
        self.0.current.store(Arc::new(resolver));
        *read = contents;
        Ok(true)
    }

    /// Looks up every address of the name, IPv6 and IPv4 in turn, in the order of RFC 8305.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let resolver = self.0.current.load_full();
        let answers = resolver.lookup_ip(name).await.map_err(LookupError)?;
        let (v6, v4): (Vec<_>, Vec<_>) = answers.iter().partition(IpAddr::is_ipv6);
        let turns = v6.len().max(v4.len());
        Ok((0..turns).flat_map(|turn| v6.get(turn).into_iter().chain(v4.get(turn))).copied().collect())
    }

    /// Asks this name server alone.
    #[cfg(test)]
    pub(in crate::deliver) fn of_name_server(address: std::net::SocketAddr) -> Self {
        use hickory_resolver::config::{NameServerConfig, ResolverConfig};

        let mut server = NameServerConfig::udp(address.ip());
        server.connections[0].port = address.port();
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let current = ArcSwap::from_pointee(builder.build().unwrap());
        Self(Arc::new(Inner { current, files: Files::default(), read: Mutex::default() }))
    }
}

fn build(settings: Settings) -> Result<TokioResolver, NetError> {
    for part in &settings.ignored {
        tracing::warn!(part, "part of the configuration of name resolution ignored");
    }
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(settings.config, provider);
    let options = builder.options_mut();
    *options = settings.options;
    options.positive_max_ttl = Some(MAX_CACHED);
    options.negative_max_ttl = Some(MAX_CACHED_ABSENCE);
    options.use_hosts_file = ResolveHosts::Never;
    let mut resolver = builder.build()?;
    resolver.set_hosts(Arc::new(settings.hosts));
    Ok(resolver)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn changed_files_are_read_again_and_the_last_good_ones_kept() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { resolv_conf: folder.path().join("resolv.conf"), hosts: folder.path().join("hosts") };
        // Nobody answers there: a name is found in the hosts alone, which have an address of either kind for it.
        let hosts = |address: &str| format!("{address} moving.test\nfd00::1 moving.test\n");
        fs::write(&files.resolv_conf, "nameserver 127.0.0.1\n").unwrap();
        fs::write(&files.hosts, hosts("10.1.1.1")).unwrap();
        let resolver = Resolver::of(files.clone()).unwrap();
        let found = async || resolver.lookup("moving.test").await.unwrap()[1].to_string();
        assert_eq!(found().await, "10.1.1.1");
        let following = tokio::spawn(resolver.clone().follow());

        fs::write(&files.hosts, hosts("10.2.2.2")).unwrap();
        let moved = async {
            while found().await != "10.2.2.2" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), moved).await.unwrap();
        following.abort();

        fs::write(&files.resolv_conf, "nothing of use\n").unwrap();
        fs::write(&files.hosts, hosts("10.3.3.3")).unwrap();
        assert!(resolver.read_again().unwrap_err().contains("no usable nameserver"));
        assert_eq!(found().await, "10.2.2.2");
        fs::remove_file(&files.resolv_conf).unwrap();
        assert!(resolver.read_again().unwrap_err().contains("resolv.conf"));
        fs::write(&files.resolv_conf, "nameserver 127.0.0.1\n").unwrap();
        assert_eq!(resolver.read_again(), Ok(true));
        assert_eq!(found().await, "10.3.3.3");
    }
}

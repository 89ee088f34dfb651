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
    Hosts, TokioResolver,
    config::ResolveHosts,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
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
    current: ArcSwap<Current>,
    files: Files,
    /// Contents of the files when they were last read.
    read: Mutex<Contents>,
}

/// The configuration that is used now.
struct Current {
    /// Names with fixed addresses.
    hosts: Arc<Hosts>,
    /// Resolver of all other names.
    resolver: TokioResolver,
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
        let current = build(contents.settings()?).map_err(|error| error.to_string())?;
        self.0.current.store(Arc::new(current));
        *read = contents;
        Ok(true)
    }

    /// Looks up every address of the name, IPv6 and IPv4 in turn, in the order of RFC 8305. As with the C library, no name
    /// server is asked for a name in the hosts file, even if that has addresses of one kind alone.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let current = self.0.current.load_full();
        let mut addresses = current.fixed_addresses(name);
        if addresses.is_empty() {
            addresses = current.resolver.lookup_ip(name).await.map_err(LookupError)?.iter().collect();
        }
        let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
        let turns = v6.len().max(v4.len());
        Ok((0..turns).flat_map(|turn| v6.get(turn).into_iter().chain(v4.get(turn))).copied().collect())
    }

    /// Asks this name server alone.
    #[cfg(test)]
    pub(in crate::deliver) fn of_name_server(address: std::net::SocketAddr) -> Self {
        let builder =
            TokioResolver::builder_with_config(tests::name_server(address), TokioRuntimeProvider::default());
        let current = Current { hosts: Arc::default(), resolver: builder.build().unwrap() };
        let current = ArcSwap::from_pointee(current);
        Self(Arc::new(Inner { current, files: Files::default(), read: Mutex::default() }))
    }
}

impl Current {
    /// Returns the addresses that the hosts file has for a name.
    fn fixed_addresses(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_str_relaxed(name) else { return Vec::new() };
        let of_kind = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)).into_iter();
        let lookups = of_kind(RecordType::AAAA).chain(of_kind(RecordType::A));
        lookups
            .flat_map(|found| found.answers().to_vec())
            .filter_map(|record| record.data.ip_addr())
            .collect()
    }
}

fn build(settings: Settings) -> Result<Current, NetError> {
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
    let hosts = Arc::new(settings.hosts);
    resolver.set_hosts(Arc::clone(&hosts));
    Ok(Current { hosts, resolver })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{SocketAddr, UdpSocket};

    use hickory_resolver::config::{NameServerConfig, ResolverConfig};

    use super::*;

    /// Returns a configuration with this name server alone.
    pub(super) fn name_server(address: SocketAddr) -> ResolverConfig {
        let mut server = NameServerConfig::udp(address.ip());
        server.connections[0].port = address.port();
        ResolverConfig::from_parts(None, vec![], vec![server])
    }

    #[tokio::test]
    async fn name_in_the_hosts_file_is_asked_of_no_name_server() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { resolv_conf: folder.path().join("resolv.conf"), hosts: folder.path().join("hosts") };
        fs::write(&files.resolv_conf, "nameserver 127.0.0.1\n").unwrap();
        fs::write(&files.hosts, "10.1.1.1 old.test\nfd00::1 new.test\n").unwrap();
        // It answers nothing: a question would wait for it.
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let mut settings = files.read().unwrap().settings().unwrap();
        settings.config = name_server(server.local_addr().unwrap());
        let current = ArcSwap::from_pointee(build(settings).unwrap());
        let resolver = Resolver(Arc::new(Inner { current, files, read: Mutex::default() }));
        for (name, address) in [("old.test", "10.1.1.1"), ("OLD.test.", "10.1.1.1"), ("new.test", "fd00::1")]
        {
            assert_eq!(resolver.lookup(name).await.unwrap(), [address.parse::<IpAddr>().unwrap()], "{name}");
        }
        let question = server.recv(&mut [0; 512]).unwrap_err();
        assert_eq!(question.kind(), std::io::ErrorKind::WouldBlock, "no name server was asked");
    }

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

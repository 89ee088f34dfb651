//! Names to addresses, as the system is configured (`/etc/resolv.conf`, `/etc/hosts`, search domains),
//! but without the C library: a static binary asks the same way everywhere. The answers are for the
//! address guard to judge.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};

/// A destination that moves is found again within this, whatever its zone says.
const LONGEST_CACHED: Duration = Duration::from_mins(5);
/// A name that has just been made is found within this.
const LONGEST_CACHED_ABSENCE: Duration = Duration::from_secs(5);

/// The process's one resolver, with its cache. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Arc<TokioResolver>);

/// The resolver cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("name resolution cannot be set up")]
pub struct SetUpError(#[source] NetError);

/// A name without addresses.
#[derive(Debug, thiserror::Error)]
#[error("name cannot be resolved")]
pub struct LookupError(#[source] NetError);

impl Resolver {
    /// As the system is configured; without a usable `/etc/resolv.conf`, the name server of this
    /// machine, as the C library has it.
    pub fn system() -> Result<Self, SetUpError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, vec![], vec![local]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.positive_max_ttl = Some(LONGEST_CACHED);
        options.negative_max_ttl = Some(LONGEST_CACHED_ABSENCE);
        builder.build().map(|resolver| Self(Arc::new(resolver))).map_err(SetUpError)
    }

    /// Every address of the name, IPv6 and IPv4 by turns as RFC 8305 wants them tried.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let answers = self.0.lookup_ip(name).await.map_err(LookupError)?;
        let (v6, v4): (Vec<_>, Vec<_>) = answers.iter().partition(IpAddr::is_ipv6);
        let turns = v6.len().max(v4.len());
        Ok((0..turns).flat_map(|turn| v6.get(turn).into_iter().chain(v4.get(turn))).copied().collect())
    }

    /// Asks this name server alone.
    #[cfg(test)]
    pub(super) fn of_name_server(address: std::net::SocketAddr) -> Self {
        let mut server = NameServerConfig::udp(address.ip());
        server.connections[0].port = address.port();
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Self(Arc::new(builder.build().unwrap()))
    }
}

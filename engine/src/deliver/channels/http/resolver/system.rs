//! The system's own configuration of name resolution, read as tolerantly as the C library reads it: one odd line costs
//! that line.

use std::{fs, io, net::Ipv4Addr, path::PathBuf, time::Duration};

use hickory_resolver::{
    Hosts,
    config::{NameServerConfig, ResolverConfig, ResolverOpts},
    proto::rr::Name,
};
use resolv_conf::ParseError;

/// The files that configure name resolution.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Name servers, search domains and options.
    pub(super) resolv_conf: PathBuf,
    /// Names with fixed addresses. It may be missing.
    pub(super) hosts: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() }
    }
}

/// The contents of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    resolv_conf: Vec<u8>,
    hosts: Vec<u8>,
}

/// Resolver settings of the system's files.
pub(super) struct Settings {
    pub(super) config: ResolverConfig,
    pub(super) options: ResolverOpts,
    pub(super) hosts: Hosts,
    /// Parts of the files that say nothing usable, each with its place and the reason.
    pub(super) ignored: Vec<String>,
}

impl Files {
    /// Reads both.
    ///
    /// # Errors
    /// `/etc/resolv.conf` cannot be read, or `/etc/hosts` is there and cannot.
    pub(super) fn read(&self) -> io::Result<Contents> {
        let named = |path: &PathBuf, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        let hosts = match fs::read(&self.hosts) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| named(&self.hosts, error))?,
        };
        let resolv_conf = fs::read(&self.resolv_conf).map_err(|error| named(&self.resolv_conf, error))?;
        Ok(Contents { resolv_conf, hosts })
    }
}

impl Contents {
    /// Reads what the files say.
    ///
    /// # Errors
    /// They name no name server; the reason.
    pub(super) fn settings(&self) -> Result<Settings, String> {
        let (parsed, errors) = resolv_conf::Config::parse_with_errors(&self.resolv_conf);
        let mut ignored: Vec<String> = errors.iter().map(|error| self.odd_line(error)).collect();
        let servers: Vec<_> =
            parsed.nameservers.iter().map(|address| NameServerConfig::udp_and_tcp(address.into())).collect();
        if servers.is_empty() {
            ignored.insert(0, "resolv.conf: holds no usable nameserver".to_owned());
            return Err(ignored.join("; "));
        }
        let mut search = Vec::new();
        for domain in parsed.get_last_search_or_domain() {
            match Name::from_str_relaxed(domain) {
                Ok(domain) => search.push(domain),
                Err(error) => ignored.push(format!("resolv.conf: search domain {domain:?}: {error}")),
            }
        }
        let mut options = ResolverOpts::default();
        options.ndots = usize::try_from(parsed.ndots).unwrap_or(usize::MAX);
        // As the C library does: no wait at all would mean no answer at all.
        options.timeout = Duration::from_secs(parsed.timeout.max(1).into());
        options.attempts = usize::try_from(parsed.attempts).unwrap_or(usize::MAX);
        options.edns0 = parsed.edns0;
        let domain = parsed.get_system_domain().and_then(|domain| domain.parse().ok());
        let config = ResolverConfig::from_parts(domain, search, servers);
        Ok(Settings { config, options, hosts: hosts(&self.hosts, &mut ignored), ignored })
    }

    fn odd_line(&self, error: &ParseError) -> String {
        let (ParseError::InvalidUtf8(index, _)
        | ParseError::InvalidValue(index)
        | ParseError::InvalidOptionValue(index)
        | ParseError::InvalidOption(index)
        | ParseError::InvalidDirective(index)
        | ParseError::InvalidIp(index, _)
        | ParseError::ExtraData(index)) = error;
        let line = self.resolv_conf.split(|&byte| byte == b'\n').nth(*index).unwrap_or_default();
        format!("resolv.conf: line {}: {:?} is not understood", index + 1, String::from_utf8_lossy(line))
    }

    /// Returns what holds without a usable `/etc/resolv.conf`: the name server of this machine, as the C library has it.
    pub(super) fn settings_of_this_machine(&self) -> Settings {
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let mut ignored = Vec::new();
        let hosts = hosts(&self.hosts, &mut ignored);
        Settings { config, options: ResolverOpts::default(), hosts, ignored }
    }
}

/// Reads `/etc/hosts`, a line at a time.
fn hosts(text: &[u8], ignored: &mut Vec<String>) -> Hosts {
    let mut hosts = Hosts::default();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if let Err(error) = hosts.read_hosts_conf(line) {
            ignored.push(format!("hosts: line {}: {error}", index + 1));
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(resolv_conf: &[u8], hosts: &[u8]) -> Contents {
        Contents { resolv_conf: resolv_conf.into(), hosts: hosts.into() }
    }

    fn servers(settings: &Settings) -> Vec<String> {
        settings.config.name_servers().iter().map(|server| server.ip.to_string()).collect()
    }

    #[test]
    fn odd_line_costs_that_line_alone_and_is_told_of() {
        let text =
            b"nameserver 10.0.0.53\nnonsense\nnameserver nowhere\nsearch good.example b\xc3\xa4d..name lan\n\
                     options timeout:0 surprise ndots:5\nnameserver 10.0.0.54\n";
        let settings = contents(text, b"\xff\xff bad\n10.1.2.3 fine.test\n").settings().unwrap();
        assert_eq!(servers(&settings), ["10.0.0.53", "10.0.0.54"]);
        let search: Vec<String> = settings.config.search().iter().map(ToString::to_string).collect();
        assert_eq!(search, ["good.example", "lan"]);
        assert_eq!((settings.options.timeout, settings.options.ndots), (Duration::from_secs(1), 5));
        let odd =
            ["line 2: \"nonsense\"", "line 3: \"nameserver nowhere\"", "search domain", "hosts: line 1"];
        for place in odd {
            assert!(
                settings.ignored.iter().any(|one| one.contains(place)),
                "{place}: {:?}",
                settings.ignored
            );
        }
    }

    #[test]
    fn file_without_a_usable_name_server_is_refused_with_the_reason() {
        for (text, reason) in [("", "no usable nameserver"), ("nameserver somewhere\n", "line 1")] {
            let refused = contents(text.as_bytes(), b"").settings().err().unwrap();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}

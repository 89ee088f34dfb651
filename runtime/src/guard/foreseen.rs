//! Targets that the guard refuses whatever a name server answers, known from the manifest alone.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use url::{Host, Url};
use visnyk_crds::valid::{Authorization, Destination, Target};

use super::{NEVER_V4, NEVER_V6, Policy};

/// Returns a line for each part of these destinations that can never take effect, with its place in the manifest.
pub fn warnings(destinations: &[Destination]) -> Vec<String> {
    let each = destinations.iter().enumerate();
    each.flat_map(|(index, destination)| of(destination, &format!("spec.destinations[{index}]"))).collect()
}

fn of(destination: &Destination, place: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, range) in destination.allow.iter().enumerate().filter(|(_, range)| stays_closed(range)) {
        lines.push(format!(
            "{place}.network.allow[{index}]: {range} stays closed: no connection is made to link-local and metadata addresses"
        ));
    }
    let policy = Policy::Allow(destination.allow.clone());
    let url = match &destination.target {
        Target::Url(url) => Some((url, "url")),
        Target::Service { .. } | Target::Collector { .. } => None,
    };
    let token_url = match &destination.authorization {
        Some(Authorization::ClientCredentials(client)) => {
            Some((&client.token_url, "authorization.oauth2ClientCredentials.tokenUrl"))
        }
        _ => None,
    };
    for (url, field) in url.into_iter().chain(token_url) {
        if let Some(denied) = literal(url).and_then(|address| policy.check(address).err()) {
            lines.push(format!("{place}.{field}: no connection is made: {denied}; see network.allow"));
        }
    }
    lines
}

/// Returns the address that a URL names without a name server.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Host::Domain(_) => None,
    }
}

/// Returns whether no connection is ever made to an address of the range.
fn stays_closed(range: &IpNet) -> bool {
    match range {
        IpNet::V4(range) => NEVER_V4.iter().any(|never| never.contains(range)),
        IpNet::V6(range) => NEVER_V6.iter().any(|never| never.contains(range)),
    }
}

#[cfg(test)]
mod tests {
    use visnyk_crds::manifest::load_relay;

    use super::*;

    fn destination(url: &str, allow: &[&str]) -> Destination {
        let manifest = serde_json::json!({
            "apiVersion": "visnyk.dev/v1alpha1",
            "kind": "WebhookRelay",
            "metadata": { "name": "harbour" },
            "spec": {
                "listener": { "tls": { "none": {} } },
                "spool": { "ephemeral": {} },
                "sources": [{ "name": "all", "path": "/", "verify": { "none": {} } }],
                "destinations": [{ "name": "quay", "url": url, "network": { "allow": allow } }],
            },
        });
        load_relay(&manifest.to_string(), None).unwrap().destinations.remove(0)
    }

    #[test]
    fn address_that_is_always_refused_is_foreseen_and_no_other() {
        let foreseen = |url: &str, allow: &[&str]| warnings(&[destination(url, allow)]);
        let closed =
            foreseen("http://169.254.169.254/latest", &["169.254.0.0/16", "10.0.0.0/8", "fe80::/64"]);
        let told = [
            "spec.destinations[0].network.allow[0]: 169.254.0.0/16 stays closed",
            "spec.destinations[0].network.allow[2]: fe80::/64 stays closed",
            "spec.destinations[0].url: no connection is made: 169.254.169.254 is a link-local or metadata address",
        ];
        assert_eq!(closed.len(), told.len(), "{closed:?}");
        for (line, told) in closed.iter().zip(told) {
            assert!(line.starts_with(told), "{line}");
        }
        for url in ["http://10.1.2.3/", "http://localhost:8080/", "http://[::1]/", "http://2130706433/"] {
            assert_eq!(foreseen(url, &[]).len(), 1, "{url}");
            assert_eq!(foreseen(url, &["0.0.0.0/0", "::/0"]), Vec::<String>::new(), "{url}");
        }
        assert_eq!(foreseen("https://example.org/", &[]), Vec::<String>::new());
    }
}

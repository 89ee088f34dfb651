//! Where a destination's requests go and with what: everything that its manifest, its peer's files and its Secrets
//! say, put together once, so that an attempt has just to be made.

use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use url::Url;
use visnyk_crds::valid::{self, Destination, Target};
use visnyk_runtime::guard::Policy;

use super::{
    authorization::Authorization,
    client::Outbound,
    connect::{ConnectError, Connector},
    connections::{Connections, Reuse},
    credentials::Credentials,
    exchange::misconfigured,
    headers::ExtraHeaders,
    peer::{Peer, PeerError, PeerInfo},
    pins::Pin,
    sign::Signer,
    tls::{self, Identity},
    tokens::{TokenRequest, Tokens},
};
use crate::deliver::failure::{Failure, FailureKind};

/// Connections, credentials and headers of the attempts at one destination.
pub struct Route {
    /// Address of the requests.
    pub uri: Uri,
    /// Connections to its server.
    pub connections: Connections,
    /// Facts that these connections depend on.
    reach: Reach,
    /// The same facts of the connections to the token endpoint; `None` if no tokens are fetched.
    token_reach: Option<Reach>,
    /// Signer of each request; `None`: requests are not signed.
    pub signer: Option<Signer>,
    /// Credentials of each request.
    pub authorization: Option<Authorization>,
    /// Further headers of each request.
    pub headers: ExtraHeaders,
}

/// Facts that connections depend on: the server, the addresses that are open, the CA certificates, and the client
/// certificate. Connections of an equal reach can be used again.
#[derive(PartialEq)]
struct Reach {
    server: (Option<Scheme>, Option<Authority>),
    policy: Policy,
    trust: Trust,
    server_name: Option<ServerName<'static>>,
}

/// CA certificates for the server, and the relay's client certificate.
struct Trust {
    roots: Arc<RootCertStore>,
    pins: Vec<Pin>,
    identity: Option<Identity>,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.roots.roots == other.roots.roots && self.pins == other.pins && self.identity == other.identity
    }
}

impl Route {
    /// Puts a route together. What `before`, the destination's route until now, has in common with it is kept:
    /// connections, and the token.
    ///
    /// # Errors
    /// What is missing or cannot be used; no attempt makes sense before it is mended.
    pub fn of(
        destination: &Destination,
        info: Option<&Result<PeerInfo, PeerError>>,
        outbound: &Outbound,
        before: Option<&Self>,
    ) -> Result<Self, Failure> {
        let info = info.map(|info| info.as_ref().map_err(misconfigured)).transpose()?;
        let Credentials { signer, fixed, tokens, headers, authorities, identity } =
            Credentials::read(destination, &outbound.secrets_dir).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Failure::new(FailureKind::Misconfigured, &problems.join(", "))
            })?;
        let (url, policy, trust) = match (&destination.target, info) {
            (Target::Url(url), _) => {
                let roots = authorities.unwrap_or_else(|| Arc::clone(&outbound.roots));
                let trust = Trust { roots, pins: destination.tls.pins.clone(), identity };
                (url, public(destination), trust)
            }
            (Target::Service { url, .. }, Some(PeerInfo::Service(addresses))) => {
                (url, Policy::Exactly(addresses.clone()), Trust::nobody())
            }
            (Target::Collector { .. }, Some(PeerInfo::Collector(peer))) => {
                (&peer.url, Policy::Peer, Trust::of_peer(peer).map_err(|error| misconfigured(&error))?)
            }
            (Target::Collector { .. } | Target::Service { .. }, _) => {
                unreachable!("the peers folder says of each target what it is to say")
            }
        };
        let uri = uri(url)?;
        let reach = Reach::of(&uri, policy, trust, server_name(destination)?);
        let connections = match before {
            Some(before) if before.reach == reach => before.connections.clone(),
            _ => reach.connections(&uri, outbound)?,
        };
        let (authorization, token_reach) = match tokens {
            Some((request, authorities)) => {
                let roots = authorities.unwrap_or_else(|| Arc::clone(&outbound.roots));
                let trust = Trust { roots, ..Trust::nobody() };
                let reach = Reach::of(request.uri(), public(destination), trust, None);
                let kept = before.and_then(|before| before.tokens(&request, &reach));
                let tokens = match kept {
                    Some(tokens) => tokens,
                    None => Arc::new(Tokens::new(reach.connections(request.uri(), outbound)?, request)),
                };
                (Some(Authorization::Tokens(tokens)), Some(reach))
            }
            None => (fixed.map(Authorization::Fixed), None),
        };
        Ok(Self { uri, connections, reach, token_reach, signer, authorization, headers })
    }

    /// Returns its tokens, if they are fetched by this request over such connections.
    fn tokens(&self, request: &TokenRequest, reach: &Reach) -> Option<Arc<Tokens>> {
        let Some(Authorization::Tokens(tokens)) = &self.authorization else { return None };
        let is_same = self.token_reach.as_ref() == Some(reach) && tokens.are_asked_for_by(request);
        is_same.then(|| Arc::clone(tokens))
    }
}

impl Reach {
    fn of(uri: &Uri, policy: Policy, trust: Trust, server_name: Option<ServerName<'static>>) -> Self {
        Self { server: (uri.scheme().cloned(), uri.authority().cloned()), policy, trust, server_name }
    }

    fn connections(&self, url: &Uri, outbound: &Outbound) -> Result<Connections, Failure> {
        let Trust { roots, pins, identity } = &self.trust;
        let tls = tls::client(Arc::clone(roots), pins, identity.as_ref());
        let connector = Connector {
            policy: self.policy.clone().into(),
            resolver: outbound.resolver.clone(),
            tls: tls.map_err(|error| misconfigured(&error))?,
            server_name: self.server_name.clone(),
        };
        Connections::new(connector, url, Reuse::All).map_err(|error| misconfigured(&error))
    }
}

impl Trust {
    /// Returns the trust of plain HTTP, which uses no TLS and trusts no certificate.
    fn nobody() -> Self {
        Self { roots: Arc::new(RootCertStore::empty()), pins: Vec::new(), identity: None }
    }

    fn of_peer(peer: &Peer) -> Result<Self, tls::TlsError> {
        Ok(match &peer.authorities {
            Some(pem) => {
                Self { roots: tls::authorities(pem)?, pins: Vec::new(), identity: peer.identity.clone() }
            }
            None => Self::nobody(),
        })
    }
}

fn public(destination: &Destination) -> Policy {
    if destination.allow.is_empty() { Policy::Public } else { Policy::Allow(destination.allow.clone()) }
}

fn server_name(destination: &Destination) -> Result<Option<ServerName<'static>>, Failure> {
    let valid::DestinationTls { server_name, .. } = &destination.tls;
    let parse = |name: &String| ServerName::try_from(name.clone());
    server_name.as_ref().map(parse).transpose().map_err(|_| misconfigured(&ConnectError::Host))
}

fn uri(url: &Url) -> Result<Uri, Failure> {
    url.as_str().parse().map_err(|error| misconfigured::<http::uri::InvalidUri>(&error))
}

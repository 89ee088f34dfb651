//! Where a destination's requests go and with what: everything that its manifest, its peer's files and its Secrets
//! say, put together once, so that an attempt has just to be made.

use std::{net::IpAddr, sync::Arc};

use http::Uri;
use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::Url;
use visnyk_crds::valid::{self, Destination, Target};

use super::{
    authorization::Authorization,
    client::Outbound,
    connect::{ConnectError, Connector},
    credentials::Credentials,
    exchange::{self, HttpClient, misconfigured},
    failure::{Failure, Kind},
    headers::ExtraHeaders,
    peer::{Peer, PeerError, Said},
    sign::Signer,
    tls,
    tokens::{TokenRequest, Tokens},
};
use visnyk_runtime::guard::Policy;

/// What attempts are made with.
pub struct Route {
    /// Where to.
    pub uri: Uri,
    /// Over which connections.
    pub client: HttpClient,
    /// What signs each request.
    pub signer: Option<Signer>,
    /// What lets it in.
    pub authorization: Option<Authorization>,
    /// What stands beside it.
    pub headers: ExtraHeaders,
}

impl Route {
    /// # Errors
    /// What is missing or cannot be used; no attempt makes sense before it is mended.
    pub fn of(
        destination: &Destination,
        said: Option<&Result<Said, PeerError>>,
        outbound: &Outbound,
    ) -> Result<Self, Failure> {
        let said = said.map(|said| said.as_ref().map_err(misconfigured)).transpose()?;
        let Credentials { signer, fixed, tokens, headers, authorities, identity } =
            Credentials::read(destination, &outbound.secrets_dir).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Failure::new(Kind::Misconfigured, &problems.join(", "))
            })?;
        let (url, policy, tls) = match (&destination.target, said) {
            (Target::Url(url), _) => {
                let roots = authorities.unwrap_or_else(|| Arc::clone(&outbound.roots));
                let tls = tls::client(roots, &destination.tls.pins, identity.as_ref());
                (url, public(destination), tls)
            }
            (Target::Service { url, .. }, Some(Said::Service(addresses))) => {
                (url, of_service(addresses), no_tls())
            }
            (Target::Collector { .. }, Some(Said::Collector(peer))) => {
                (&peer.url, Policy::Peer, to_peer(peer))
            }
            (Target::Collector { .. } | Target::Service { .. }, _) => {
                unreachable!("the peers folder says of each target what it is to say")
            }
        };
        let connector = Connector {
            policy: policy.into(),
            resolver: outbound.resolver.clone(),
            tls: tls.map_err(|error| misconfigured(&error))?,
            server_name: server_name(destination)?,
        };
        let tokens = tokens.map(|(request, authorities)| {
            let roots = authorities.unwrap_or_else(|| Arc::clone(&outbound.roots));
            to_tokens(request, roots, destination, outbound)
        });
        Ok(Self {
            uri: uri(url)?,
            client: exchange::client(connector, destination.concurrency),
            signer,
            authorization: match tokens.transpose()? {
                Some(tokens) => Some(Authorization::Tokens(Box::new(tokens))),
                None => fixed.map(Authorization::Fixed),
            },
            headers,
        })
    }
}

fn to_tokens(
    request: TokenRequest,
    roots: Arc<RootCertStore>,
    destination: &Destination,
    outbound: &Outbound,
) -> Result<Tokens, Failure> {
    let connector = Connector {
        policy: public(destination).into(),
        resolver: outbound.resolver.clone(),
        tls: tls::client_of_public(roots).map_err(|error| misconfigured(&error))?,
        server_name: None,
    };
    Ok(Tokens::new(exchange::client(connector, 1), request))
}

fn public(destination: &Destination) -> Policy {
    if destination.allow.is_empty() { Policy::Public } else { Policy::Allow(destination.allow.clone()) }
}

fn of_service(addresses: &[IpAddr]) -> Policy {
    Policy::Exactly(addresses.to_vec())
}

fn to_peer(peer: &Peer) -> Result<TlsConnector, tls::TlsError> {
    match &peer.authorities {
        Some(authorities) => tls::client_of_peer(authorities, peer.identity.as_ref()),
        None => no_tls(),
    }
}

/// For plain HTTP: no TLS will be spoken, and nobody would be trusted if it were.
fn no_tls() -> Result<TlsConnector, tls::TlsError> {
    tls::client_of_public(Arc::new(RootCertStore::empty()))
}

fn server_name(destination: &Destination) -> Result<Option<ServerName<'static>>, Failure> {
    let valid::DestinationTls { server_name, .. } = &destination.tls;
    let parse = |name: &String| ServerName::try_from(name.clone());
    server_name.as_ref().map(parse).transpose().map_err(|_| misconfigured(&ConnectError::Host))
}

fn uri(url: &Url) -> Result<Uri, Failure> {
    url.as_str().parse().map_err(|error| misconfigured::<http::uri::InvalidUri>(&error))
}

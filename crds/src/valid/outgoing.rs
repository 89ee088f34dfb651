//! Signature, trust, headers and statuses of a delivery, after validation.

use http::HeaderName;
use std::ops::RangeInclusive;

use url::Url;

use super::{Destination, SecretRef, SignedHeader};
pub use crate::api::{CloudEventsMode, Method};

/// Signature of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Header `webhook-signature`, with a signature by each of these secrets. Never empty.
    StandardWebhooks {
        /// Secrets `whsec_...` and private keys `whsk_...`.
        secrets: Vec<SecretRef>,
    },
    /// An HMAC in a header.
    Hmac {
        /// Secret with the key of the HMAC.
        secret: SecretRef,
        /// Header and content of the signature.
        signature: SignedHeader,
    },
}

/// Credentials sent with each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A user name and a password.
    Basic {
        /// Secret with the user name.
        username: SecretRef,
        /// Secret with the password.
        password: SecretRef,
    },
    /// A token that does not change.
    Bearer {
        /// Secret with the token.
        token: SecretRef,
    },
    /// A token that the relay fetches.
    ClientCredentials(ClientCredentials),
}

/// The token endpoint and the client's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// URL with `http` or `https`, without user information or fragment.
    pub token_url: Url,
    /// Secret with the client id.
    pub client_id: SecretRef,
    /// Secret with the client's secret.
    pub client_secret: SecretRef,
    /// Scopes, separated by spaces; empty: none is requested.
    pub scope: String,
    /// Audience of the token.
    pub audience: Option<String>,
    /// CA certificates to verify the token endpoint; `None`: the system's.
    pub authorities: Option<SecretRef>,
}

/// TLS settings of the connection to a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationTls {
    /// CA certificates to verify the destination; `None`: the system's.
    pub authorities: Option<SecretRef>,
    /// SHA-256 hashes of the public keys that its certificate may have; empty: any.
    pub pins: Vec<[u8; 32]>,
    /// Chain and key that the relay presents.
    pub identity: Option<[SecretRef; 2]>,
    /// Name for which the certificate must be valid; `None`: the URL's host.
    pub server_name: Option<String>,
}

/// A header of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name of the header.
    pub name: HeaderName,
    /// Value of the header.
    pub value: HeaderContent,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderContent {
    /// Parts that are joined.
    Template(Vec<TemplatePart>),
    /// Value of a secret.
    Secret(SecretRef),
}

/// A part of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text that does not change.
    Text(String),
    /// The value of the event's `webhook-id`.
    Id,
    /// Name of the event's source.
    Source,
    /// Type of the event, as its sender names it.
    Type,
    /// Time at which the event was received.
    Received,
}

/// Ranges of statuses of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Returns whether it shares a status with this range.
    pub fn overlaps(&self, range: &RangeInclusive<u16>) -> bool {
        self.0.iter().any(|one| one.start() <= range.end() && range.start() <= one.end())
    }

    /// Returns whether it contains this status.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Destination {
    /// Returns every secret that its deliveries need.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets = match &self.sign {
            None => Vec::new(),
            Some(Sign::StandardWebhooks { secrets }) => secrets.iter().collect(),
            Some(Sign::Hmac { secret, .. }) => vec![secret],
        };
        match &self.authorization {
            None => {}
            Some(Authorization::Basic { username, password }) => secrets.extend([username, password]),
            Some(Authorization::Bearer { token }) => secrets.push(token),
            Some(Authorization::ClientCredentials(client)) => {
                secrets.extend([&client.client_id, &client.client_secret]);
                secrets.extend(&client.authorities);
            }
        }
        secrets.extend(&self.tls.authorities);
        secrets.extend(self.tls.identity.iter().flatten());
        secrets.extend(self.headers.iter().filter_map(|header| match &header.value {
            HeaderContent::Template(_) => None,
            HeaderContent::Secret(secret) => Some(secret),
        }));
        secrets
    }
}

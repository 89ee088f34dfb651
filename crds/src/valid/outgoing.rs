//! How a delivery proves who sent it, whom it trusts, what it carries beside the body and what its answers mean,
//! checked.

use std::ops::RangeInclusive;

use url::Url;

use super::{Destination, SecretRef, SignedHeader};
pub use crate::api::{CloudEventsMode, Method};

/// How a delivery proves who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `webhook-signature`, a signature by each of these secrets. Never empty.
    StandardWebhooks {
        /// Secrets `whsec_...` and private keys `whsk_...`.
        secrets: Vec<SecretRef>,
    },
    /// Any header with an HMAC.
    Hmac {
        /// The secret.
        secret: SecretRef,
        /// Where the signature is, and of what.
        signature: SignedHeader,
    },
}

/// What a destination lets the relay in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A user name and a password.
    Basic {
        /// The user name.
        username: SecretRef,
        /// The password.
        password: SecretRef,
    },
    /// A token.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A token that is fetched.
    ClientCredentials(ClientCredentials),
}

/// Where a token is fetched, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// `http` or `https`, without user information or fragment.
    pub token_url: Url,
    /// The client's name.
    pub client_id: SecretRef,
    /// The client's secret.
    pub client_secret: SecretRef,
    /// What is asked for, by spaces apart; empty: what the server gives.
    pub scope: String,
    /// For whom the token is to be.
    pub audience: Option<String>,
    /// The authorities that may vouch for the server; absent: the system's.
    pub authorities: Option<SecretRef>,
}

/// Whom a destination has to prove to be, and who the relay proves to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationTls {
    /// The authorities that may vouch for it; absent: the system's.
    pub authorities: Option<SecretRef>,
    /// SHA-256 of the public keys that its certificate may have; empty: any.
    pub pins: Vec<[u8; 32]>,
    /// What the relay shows: chain and key.
    pub identity: Option<[SecretRef; 2]>,
    /// The name that the certificate has to be for; absent: the URL's host.
    pub server_name: Option<String>,
}

/// A header of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name in small letters.
    pub name: String,
    /// Its value.
    pub value: HeaderContent,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderContent {
    /// These parts, one behind the other.
    Template(Vec<TemplatePart>),
    /// A secret.
    Secret(SecretRef),
}

/// A part of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// This text.
    Text(String),
    /// The event's `webhook-id`.
    Id,
    /// The source that took it.
    Source,
    /// What its sender says it is.
    Type,
    /// When it was received.
    Received,
}

/// Statuses of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether it shares a status with this range.
    pub fn overlaps(&self, range: &RangeInclusive<u16>) -> bool {
        self.0.iter().any(|one| one.start() <= range.end() && range.start() <= one.end())
    }

    /// Whether it is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Destination {
    /// Every secret that its deliveries need.
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

//! Everything that a destination's Secrets hold, read and parsed: all of it or nothing, since a request without the
//! half of its proof is not to be sent.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;
use rustls::RootCertStore;
use visnyk_crds::valid::{self, Destination, DestinationTls, SecretRef};
use visnyk_runtime::host::secrets::{SecretProblem, Secrets};

use super::authorization;
use super::headers::ExtraHeaders;
use super::sign::Signer;
use super::tls::{self, Identity};
use super::tokens::TokenRequest;

/// Credentials and certificates of the requests to one destination.
pub struct Credentials {
    /// Signer of the requests.
    pub signer: Option<Signer>,
    /// Fixed credentials; `None`: there are none, or tokens are fetched.
    pub fixed: Option<HeaderValue>,
    /// Request for tokens, and the CA certificates of the token endpoint; `None`: those of the system.
    pub tokens: Option<(TokenRequest, Option<Arc<RootCertStore>>)>,
    /// Headers that the manifest adds.
    pub headers: ExtraHeaders,
    /// CA certificates of the destination; `None`: those of the system.
    pub authorities: Option<Arc<RootCertStore>>,
    /// Client certificate of the relay.
    pub identity: Option<Identity>,
}

impl Credentials {
    /// Reads the credentials of a destination from this folder.
    ///
    /// # Errors
    /// Every secret that cannot be used.
    pub fn read(destination: &Destination, secrets_dir: &Path) -> Result<Self, Vec<SecretProblem>> {
        let mut secrets = Secrets::of(secrets_dir);
        let read = read(destination, &mut secrets);
        let problems = secrets.into_problems();
        match read {
            Ok(read) if problems.is_empty() => Ok(read),
            _ => Err(problems),
        }
    }
}

/// Something is wanted and cannot be had; what is wrong has been noted.
struct Unusable;

fn wanted<W, T>(wanted: Option<W>, read: impl FnOnce(W) -> Option<T>) -> Result<Option<T>, Unusable> {
    wanted.map(|one| read(one).ok_or(Unusable)).transpose()
}

/// Reads on after what cannot be used, so that every problem is found.
fn read(destination: &Destination, secrets: &mut Secrets<'_>) -> Result<Credentials, Unusable> {
    let signer = wanted(destination.sign.as_ref(), |sign| Signer::read(sign, secrets));
    let fixed = destination.authorization.as_ref().and_then(|one| authorization::fixed(one, secrets));
    let tokens = match &destination.authorization {
        Some(valid::Authorization::ClientCredentials(client)) => tokens(client, secrets).map(Some),
        _ => Ok(None),
    };
    let headers = ExtraHeaders::read(&destination.headers, secrets);
    let DestinationTls { authorities: refs, identity, .. } = &destination.tls;
    let authorities = authorities(refs.as_ref(), secrets);
    let identity = wanted(identity.as_ref(), |pair| self::identity(pair, secrets));
    Ok(Credentials {
        signer: signer?,
        fixed,
        tokens: tokens?,
        headers: headers.ok_or(Unusable)?,
        authorities: authorities?,
        identity: identity?,
    })
}

type OfTokens = (TokenRequest, Option<Arc<RootCertStore>>);

fn tokens(client: &valid::ClientCredentials, secrets: &mut Secrets<'_>) -> Result<OfTokens, Unusable> {
    let request = TokenRequest::read(client, secrets);
    let authorities = authorities(client.authorities.as_ref(), secrets);
    Ok((request.ok_or(Unusable)?, authorities?))
}

fn authorities(
    secret: Option<&SecretRef>,
    secrets: &mut Secrets<'_>,
) -> Result<Option<Arc<RootCertStore>>, Unusable> {
    wanted(secret, |secret| secrets.read_as(secret, |pem: Vec<u8>| tls::authorities(&pem)))
}

fn identity([chain, key]: &[SecretRef; 2], secrets: &mut Secrets<'_>) -> Option<Identity> {
    let certificates = secrets.read(chain);
    let key = secrets.read(key)?;
    let identity = Identity { certificates: certificates?, key };
    secrets.read_as(chain, |_| identity.check().map(|()| identity))
}

/// Reads the bytes of every file, to compare them later; `None` for a file that cannot be read.
pub fn contents(destination: &Destination, secrets_dir: &Path) -> Vec<Option<Vec<u8>>> {
    let path = |secret: &SecretRef| secrets_dir.join(&secret.name).join(&secret.key);
    destination.secrets().into_iter().map(|secret| fs::read(path(secret)).ok()).collect()
}

/// Returns the mistakes in the secrets of these destinations: a line each, with its place in the manifest.
pub fn check(destinations: &[Destination], secrets_dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, destination) in destinations.iter().enumerate() {
        let problems = Credentials::read(destination, secrets_dir).err().unwrap_or_default();
        lines.extend(problems.iter().map(|problem| format!("spec.destinations[{index}]: {problem}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::marker::PhantomData;

    use super::*;
    use crate::deliver::channels::http::authorization::Authorization;
    use crate::deliver::channels::http::headers::secret_value;
    use crate::deliver::channels::http::peer::{Peer, PeerInfo};
    use crate::deliver::channels::http::tokens::{Token, Tokens};

    struct Kind<T>(PhantomData<T>);

    /// The constant of every type that has no inherent constant of that name.
    trait Unshown {
        const IS_SHOWN: bool = false;
    }

    impl<T> Unshown for Kind<T> {}

    impl<T: Debug> Kind<T> {
        const IS_SHOWN: bool = true;
    }

    macro_rules! shown {
        ($($kind:ty),+ $(,)?) => {
            [$((stringify!($kind), Kind::<$kind>::IS_SHOWN)),+]
                .into_iter()
                .filter_map(|(name, is_shown)| is_shown.then_some(name))
                .collect::<Vec<_>>()
        };
    }

    #[test]
    fn nothing_that_holds_a_secret_can_be_put_into_a_log_or_a_panic() {
        let shown = shown![
            Credentials,
            Signer,
            Authorization,
            TokenRequest,
            Token,
            Tokens,
            ExtraHeaders,
            Identity,
            Peer,
            PeerInfo,
            Secrets<'static>,
            HeaderValue,
        ];
        assert_eq!(shown, ["HeaderValue"]);
        let header = secret_value("canary").unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
    }
}

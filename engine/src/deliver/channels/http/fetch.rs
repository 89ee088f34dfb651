//! Small documents from elsewhere, such as a certificate: through the same address guard as deliveries, without
//! redirects and proxies, and no larger than asked for.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::timeout;
use visnyk_runtime::guard::Policy;

use super::client::Outbound;
use super::connect::Connector;
use super::connections::{Connections, OpenError, Reuse};
use super::exchange::{self, BodyError, ExchangeError};
use super::tls::{self, TlsError};

/// A client that gets documents.
#[derive(Clone)]
pub struct Fetch {
    connector: Connector,
}

/// Reason for which a document cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The document did not arrive within this time.
    #[error("no complete answer within {0:?}")]
    Late(Duration),
    /// A connection cannot be made, or there was no answer.
    #[error("request failed")]
    Request(#[source] ExchangeError),
    /// The connection ended before the answer was complete.
    #[error("answer broke off")]
    Body(#[source] hyper::Error),
    /// The answer was not 200.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The document is larger than the given limit.
    #[error("answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Fetch {
    /// Makes a client that connects to the addresses that this policy allows.
    pub fn new(outbound: &Outbound, policy: Policy) -> Result<Self, TlsError> {
        let tls = tls::client_of_public(outbound.roots.clone())?;
        let connector =
            Connector { policy: policy.into(), resolver: outbound.resolver.clone(), tls, server_name: None };
        Ok(Self { connector })
    }

    /// Gets the document at this address.
    ///
    /// # Cancel safety
    /// Dropped, it gives up.
    pub async fn get(&self, uri: Uri, max_bytes: usize, limit: Duration) -> Result<Bytes, FetchError> {
        timeout(limit, self.document(uri, max_bytes)).await.map_err(|_| FetchError::Late(limit))?
    }

    async fn document(&self, uri: Uri, max_bytes: usize) -> Result<Bytes, FetchError> {
        let connections = Connections::new(self.connector.clone(), &uri, Reuse::None)
            .map_err(|error| FetchError::Request(OpenError::from(error).into()))?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        let answer = exchange::request(&connections, request).await.map_err(FetchError::Request)?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status));
        }
        answer.read(max_bytes).await.map_err(|error| match error {
            BodyError::Broken(error) => FetchError::Body(error),
            BodyError::TooLarge => FetchError::TooLarge(max_bytes),
        })
    }
}

#[cfg(test)]
mod tests;

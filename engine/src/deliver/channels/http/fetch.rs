//! Small documents from elsewhere, such as a certificate: through the same address guard as deliveries, without
//! redirects and proxies, and no larger than asked for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use tokio::time::timeout;
use visnyk_runtime::guard::Policy;

use super::client::Outbound;
use super::connect::Connector;
use super::exchange::{self, HttpClient, Reuse};

use super::tls::{self, TlsError};

/// A client that gets documents.
#[derive(Clone)]
pub struct Fetch {
    client: HttpClient,
}

/// Reason for which a document cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The document did not arrive within this time.
    #[error("no complete answer within {0:?}")]
    Late(Duration),
    /// A connection cannot be made, or there was no answer.
    #[error("request failed")]
    Request(#[source] legacy::Error),
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
        Ok(Self { client: exchange::client(connector, Reuse::None) })
    }

    /// Gets the document at this address.
    ///
    /// # Cancel safety
    /// Dropped, it gives up.
    pub async fn get(&self, uri: Uri, max_bytes: usize, limit: Duration) -> Result<Bytes, FetchError> {
        timeout(limit, self.document(uri, max_bytes)).await.map_err(|_| FetchError::Late(limit))?
    }

    async fn document(&self, uri: Uri, max_bytes: usize) -> Result<Bytes, FetchError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        let response = exchange::request(&self.client, request).await.map_err(FetchError::Request)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let (mut body, mut document) = (response.into_body(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(FetchError::Body)?.into_data() {
                document.extend_from_slice(&data);
            }
            if document.len() > max_bytes {
                return Err(FetchError::TooLarge(max_bytes));
            }
        }
        Ok(document.freeze())
    }
}

#[cfg(test)]
mod tests;

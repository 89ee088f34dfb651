//! Sends one request, for a pod that has only this binary: `helm test`.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// Reason for which the probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The operator did not answer.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// URL of the request.
        url: Uri,
        /// Error of the request.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// The connection ended before the answer was complete.
    #[error("answer of {url} broke off")]
    Broken {
        /// URL of the request.
        url: Uri,
        /// Error of the request.
        #[source]
        source: hyper::Error,
    },
    /// The answer took too long.
    #[error("{0} does not answer")]
    Silent(Uri),
    /// The status of the answer is not 200.
    #[error("{url} answers {status}: {body}")]
    Refused {
        /// URL of the request.
        url: Uri,
        /// Status of the answer.
        status: StatusCode,
        /// Body of the answer.
        body: String,
    },
}

/// Maximum time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Prints what `url` answers, over plain HTTP.
pub async fn probe(url: &Uri) -> Result<(), ProbeError> {
    let (status, body) =
        timeout(TIMEOUT, get(url)).await.map_err(|_| ProbeError::Silent(url.clone())).flatten()?;
    if status != StatusCode::OK {
        return Err(ProbeError::Refused { url: url.clone(), status, body });
    }
    print!("{body}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the command line names the address")]
async fn get(url: &Uri) -> Result<(StatusCode, String), ProbeError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let unreachable = |source| ProbeError::Unreachable { url: url.clone(), source };
    let answer = client.get(url.clone()).await.map_err(unreachable)?;
    let status = answer.status();
    let broken = |source| ProbeError::Broken { url: url.clone(), source };
    let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

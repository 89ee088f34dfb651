//! HTTP over the guarded way out: what deliveries and the requests for their tokens have in common.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};

use tokio::time::{Instant, sleep, timeout_at};

use visnyk_runtime::observe::causes::{causes, with_causes};

use super::connect::{ConnectError, Connector};
use crate::deliver::failure::{Failure, FailureKind};

/// Bytes of an answer's body that are read at most: enough for the connection to be used again after any reasonable
/// answer, and harmless if the answer is not reasonable.
pub const MAX_ANSWER: usize = 64 * 1024;
/// Maximum time to wait for an answer's body. The outcome depends on the status only.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of an answer's headers, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
const MAX_HEADERS: usize = 128;
/// Below what most servers wait before they close an idle connection, so that few requests meet one
/// that is just being closed. The pool looks once in this time, and so gives it back within twice as long.
const IDLE: Duration = Duration::from_secs(15);
/// An HTTP/2 connection is shared by all requests: a dead one must not fail more than these seconds' worth.
const PING_EVERY: Duration = Duration::from_secs(10);

/// Maximum number of attempts at a request that the server says it did not process.
const MAX_TRIES: u32 = 200;
/// Wait before such an attempt, multiplied by the number of attempts so far. The end of a connection is known by then.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// Maximum of that wait. Most often the attempt's own timeout ends it first.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Makes requests, and keeps connections. It follows no redirect and knows no proxy.
pub type HttpClient = Client<Connector, Full<Bytes>>;

/// The requests that a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Many, for a while: as many connections are kept as there were requests at once.
    All,
    /// Never: each request is made to an address that was judged for it.
    None,
}

/// Returns a client that connects by `connector` and keeps connections as `reuse` says.
pub fn client(connector: Connector, reuse: Reuse) -> HttpClient {
    let idle = match reuse {
        Reuse::All => usize::MAX,
        Reuse::None => 0,
    };
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle)
        .http1_max_buf_size(MAX_HEAD as usize)
        .http1_max_headers(MAX_HEADERS)
        // The status decides: how a header line is written makes no difference to whoever reads none of them.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http2_max_header_list_size(MAX_HEAD)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_EVERY)
        .build(connector)
}

/// Makes a request. One that the server certainly did not process, as it closes the HTTP/2 connection or refuses the
/// stream (RFC 9113, 6.8 and 8.7), is made again at once, on another connection where that one ends.
///
/// # Errors
/// The server may have processed it, or refuses it for ever.
///
/// # Cancel safety
/// Dropped, it gives up; the server may have got the request.
pub async fn request(
    client: &HttpClient,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, legacy::Error> {
    let mut tries = 0;
    loop {
        match client.request(request.clone()).await {
            Err(error) if tries < MAX_TRIES && is_unprocessed(&error) => {
                tries += 1;
                sleep((AGAIN_AFTER * tries).min(MAX_WAIT)).await;
            }
            ended => return ended,
        }
    }
}

fn is_unprocessed(error: &legacy::Error) -> bool {
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_remote()
                && (error.is_go_away() && error.reason() == Some(Reason::NO_ERROR)
                    || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM));
        }
        // It never left: the connection had ended by then.
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
    })
}

/// Reads the body and throws it away, so that the connection can be used again. How it ends makes no difference, and
/// no more is read of it than is worth a new connection.
pub async fn throw_away(mut body: Incoming, deadline: Instant) {
    let reading = async {
        let mut read = 0;
        while read < MAX_ANSWER && !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else { break };
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    let _ = timeout_at(deadline.min(Instant::now() + BODY_TIMEOUT), reading).await;
}

/// Returns the failure that an error of an exchange means. It is known if the connection was not made, and is looked
/// for among the causes if the connection broke. No error of ours or of the libraries contains a query string or a
/// header.
pub fn failed_exchange<E: Error + 'static>(error: &E) -> Failure {
    let mut kind = FailureKind::Reset;
    for error in causes(error) {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return Failure::new(error.kind(), &with_causes(error));
        }
        if error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
            kind = FailureKind::Connect;
        }
        // A server that refuses a client's certificate says so only after the handshake (TLS 1.3).
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && inner.is::<rustls::Error>()
        {
            kind = FailureKind::Tls;
        }
    }
    Failure::new(kind, &with_causes(error))
}

/// Returns the failure of a destination whose manifest refers to something that cannot be used.
pub fn misconfigured<E: Error + 'static>(error: &E) -> Failure {
    Failure::new(FailureKind::Misconfigured, &with_causes(error))
}

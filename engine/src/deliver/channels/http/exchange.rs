//! HTTP over the guarded way out: what deliveries and the requests for their tokens have in common.

use std::{error::Error, io, time::Duration};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::{Instant, sleep, timeout_at};
use visnyk_runtime::observe::causes::{causes, with_causes};

use super::connections::{Body, Connections, Http1, Occupied, OpenError, Place, Unsent, as_http1};
use crate::deliver::failure::{Failure, FailureKind};

/// Bytes of an answer's body that are read at most: enough for the connection to be used again after any reasonable
/// answer, and harmless if the answer is not reasonable.
pub const MAX_ANSWER: usize = 64 * 1024;
/// Maximum time to wait for an answer's body. The outcome depends on the status only.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of attempts at a request that the server says it did not process.
const MAX_TRIES: u32 = 200;
/// Wait before such an attempt, multiplied by the number of attempts so far. The end of a connection is known by then.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// Maximum of that wait. Most often the attempt's own timeout ends it first.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// There is no connection.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The connection ended, or what came over it was not HTTP.
    #[error("request failed")]
    Request(#[source] hyper::Error),
}

/// The body of an answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The answer broke off.
    #[error("answer broke off")]
    Broken(#[source] hyper::Error),
    /// It is larger than asked for.
    #[error("answer is too large")]
    TooLarge,
}

/// An answer, of which the body is still to be read.
pub struct Answer {
    /// Status of the answer.
    pub status: StatusCode,
    /// Headers of the answer.
    pub headers: HeaderMap,
    body: Incoming,
    over: Over,
}

/// The connection that an answer comes over.
enum Over {
    Http1(Connections, Box<Http1>),
    Http2 { _stream: Occupied },
}

/// Makes a request to a URL of the server. One that the server certainly did not process, as it closes the connection or
/// refuses the stream (RFC 9113, 6.8 and 8.7), is made again at once, on another connection where that one ends.
///
/// # Errors
/// The server may have processed it, or refuses it for ever.
///
/// # Cancel safety
/// Dropped, it gives up; the server may have got the request.
pub async fn request(connections: &Connections, mut request: Request<Body>) -> Result<Answer, ExchangeError> {
    let mut tries = 0;
    loop {
        let error = match connections.place().await? {
            Place::Http1(mut connection, is_used) => {
                let url = as_http1(&mut request, connections.host());
                let error = match connection.send(request).await {
                    Ok(response) => {
                        return Ok(Answer::of(response, Over::Http1(connections.clone(), connection)));
                    }
                    Err(error) => error,
                };
                // It never left: the connection had ended by then.
                let Unsent { request: Some(unsent), error } = error else {
                    return Err(ExchangeError::Request(error.error));
                };
                request = unsent;
                *request.uri_mut() = url;
                if is_used {
                    continue;
                }
                error
            }
            Place::Http2(mut sender, stream) => match sender.send_request(request.clone()).await {
                Ok(response) => return Ok(Answer::of(response, Over::Http2 { _stream: stream })),
                Err(error) => match Unprocessed::of(&error) {
                    None => return Err(ExchangeError::Request(error)),
                    Some(Unprocessed::Stream) => error,
                    Some(Unprocessed::Connection) => {
                        connections.leave(&stream);
                        error
                    }
                },
            },
        };
        if tries >= MAX_TRIES {
            return Err(ExchangeError::Request(error));
        }
        tries += 1;
        sleep((AGAIN_AFTER * tries).min(MAX_WAIT)).await;
    }
}

/// The reason for which a request over HTTP/2 was certainly not processed.
enum Unprocessed {
    /// The connection ends.
    Connection,
    /// The server refused this stream.
    Stream,
}

impl Unprocessed {
    fn of(error: &hyper::Error) -> Option<Self> {
        let ours = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
        match ours {
            Some(error) if !error.is_remote() => None,
            Some(error) if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) => {
                Some(Self::Connection)
            }
            Some(error) if error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM) => {
                Some(Self::Stream)
            }
            Some(_) => None,
            // It never left: the connection had ended by then.
            None => error.is_canceled().then_some(Self::Connection),
        }
    }
}

impl Answer {
    fn of(response: Response<Incoming>, over: Over) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body, over }
    }

    /// Reads the body and throws it away, so that the connection can be used again. How it ends makes no difference, and
    /// no more is read of it than is worth a new connection.
    pub async fn throw_away(mut self, deadline: Instant) {
        let reading = async {
            let mut read = 0;
            while read < MAX_ANSWER {
                match self.frame().await {
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        };
        if timeout_at(deadline.min(Instant::now() + BODY_TIMEOUT), reading).await == Ok(true) {
            self.keep_connection().await;
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// It broke off, or has more than `max_bytes`.
    pub async fn read(mut self, max_bytes: usize) -> Result<Bytes, BodyError> {
        let mut body = BytesMut::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
                body.extend_from_slice(&data);
            }
            if body.len() > max_bytes {
                return Err(BodyError::TooLarge);
            }
        }
        self.keep_connection().await;
        Ok(body.freeze())
    }

    async fn frame(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        if self.body.is_end_stream() {
            return None;
        }
        match &mut self.over {
            Over::Http1(_, connection) => connection.drive(self.body.frame()).await,
            Over::Http2 { .. } => self.body.frame().await,
        }
    }

    /// Gives the connection back once the body is over.
    async fn keep_connection(self) {
        if let Over::Http1(connections, connection) = self.over {
            connections.keep(connection).await;
        }
    }
}

/// Returns the failure that an error of an exchange means. It is known if the connection was not made, and is looked
/// for among the causes if the connection broke. No error of ours or of the libraries contains a query string or a
/// header.
pub fn failed_exchange(error: &ExchangeError) -> Failure {
    if let ExchangeError::Open(OpenError::Connect(error)) = error {
        return Failure::new(error.kind(), &with_causes(error));
    }
    // A server that refuses a client's certificate says so only after the handshake (TLS 1.3).
    let is_tls = |cause: &(dyn Error + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
    };
    let kind = if causes(error).any(is_tls) { FailureKind::Tls } else { FailureKind::Reset };
    Failure::new(kind, &with_causes(error))
}

/// Returns the failure of a destination whose manifest refers to something that cannot be used.
pub fn misconfigured<E: Error + 'static>(error: &E) -> Failure {
    Failure::new(FailureKind::Misconfigured, &with_causes(error))
}

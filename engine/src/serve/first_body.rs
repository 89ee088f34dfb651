//! The body of a connection's first requests: once it has been read, its client has spoken, and keeps its place.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::pace::Pace;

pin_project_lite::pin_project! {
    struct FirstBody {
        #[pin]
        body: Incoming,
        pace: Arc<Pace>,
    }
}

/// The body as the application gets it.
pub(super) fn heard(body: Incoming, pace: &Arc<Pace>) -> Body {
    if body.is_end_stream() {
        pace.spoke();
    }
    if pace.has_spoken() { Body::new(body) } else { Body::new(FirstBody { body, pace: pace.clone() }) }
}

impl HttpBody for FirstBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if frame.is_none() || this.body.is_end_stream() {
            this.pace.spoke();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

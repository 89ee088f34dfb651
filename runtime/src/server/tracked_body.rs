//! A request's body that is recorded in its connection's activity: once a whole body has been read, the client has
//! completed a request; before, the connection waits for its client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection_activity::{Awaited, ConnectionActivity};

pin_project_lite::pin_project! {
    struct TrackedBody {
        #[pin]
        body: Incoming,
        activity: Arc<ConnectionActivity>,
        // Until the body's end.
        awaited: Option<Awaited>,
    }
}

/// Returns the body as the application gets it.
pub(super) fn track_body(body: Incoming, activity: &Arc<ConnectionActivity>) -> Body {
    if body.is_end_stream() {
        activity.completed_request();
        return Body::new(body);
    }
    let awaited = Some(Awaited::begin(activity.clone()));
    Body::new(TrackedBody { body, activity: activity.clone(), awaited })
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if frame.is_none() || this.body.is_end_stream() {
            this.activity.completed_request();
            this.awaited.take();
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

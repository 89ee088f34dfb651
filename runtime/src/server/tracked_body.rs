//! A request's body that is recorded in its connection's activity: once a whole body has been read, the client has
//! completed a request; before, the connection waits for its client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection_activity::{Awaited, ConnectionActivity};

pin_project_lite::pin_project! {
    /// The body of a request, as the application gets it.
    pub struct TrackedBody {
        #[pin]
        body: Incoming,
        activity: Arc<ConnectionActivity>,
        // Until the body's end.
        awaited: Option<Awaited>,
    }
}

impl TrackedBody {
    /// Returns the body of a request on the connection with this activity.
    pub(super) fn of(body: Incoming, activity: &Arc<ConnectionActivity>) -> Self {
        let is_complete = body.is_end_stream();
        if is_complete {
            activity.completed_request();
        }
        let awaited = (!is_complete).then(|| Awaited::begin(activity.clone()));
        Self { body, activity: activity.clone(), awaited }
    }
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

//! `format: Original`: the body as it came, with the headers that came with it.

use http::header;
use jiff::Timestamp;
use visnyk_crds::headers::is_never_kept;

use super::{Message, headers};
use crate::event::Event;

pub(super) fn message(event: &Event, attempted_at: Timestamp) -> Message {
    let mut headers = headers::of_attempt(event.envelope.id, attempted_at);
    for (name, value) in &event.envelope.headers {
        // What the sender said of these, ours says better. The rest was left out when the event was
        // stored; an older record may know less about what is never kept.
        let is_ours = name == headers::WEBHOOK_ID.as_str()
            || name == headers::WEBHOOK_TIMESTAMP.as_str()
            || name == header::USER_AGENT.as_str();
        if !is_ours && !is_never_kept(name) {
            headers::append(&mut headers, name, value);
        }
    }
    Message { headers, body: event.body.clone() }
}

//! The event as rules see it, and what is read out of it at most once.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::budget::{Budget, Exhausted};
use crate::priority::Priority;
use crate::value::body::{self, Body};

/// An accepted event, borrowed from its record.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Name of the source that accepted it.
    pub source: &'a str,
    /// Time at which the whole request had been read, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// Path and query of the request, as sent.
    pub target: &'a str,
    /// Headers that were kept, in their order, names in lowercase.
    pub headers: &'a [(String, Vec<u8>)],
    /// Statements of the sender about the event.
    pub attributes: Attributes<'a>,
    /// The body as it came.
    pub body: &'a [u8],
    /// Priority of its source, which it has unless a rule sets another.
    pub priority: Priority,
}

/// Statements of a sender about its event, in the words of CloudEvents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// Type of the event: `attributes.type`.
    pub kind: Option<&'a str>,
    /// Id of the event: `attributes.id`.
    pub id: Option<&'a str>,
    /// Origin of the event: `attributes.source`.
    pub origin: Option<&'a str>,
    /// `attributes.time`, in milliseconds since the Unix epoch.
    pub time_ms: Option<i64>,
}

/// An event with its parsed parts and its cost. Nothing is parsed before an expression asks for it.
pub(crate) struct Facts<'a> {
    pub(crate) event: Event<'a>,
    pub(crate) budget: Budget,
    body: OnceCell<Body<'a>>,
    query: OnceCell<Vec<(Cow<'a, str>, Cow<'a, str>)>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(event: Event<'a>) -> Self {
        Self { event, budget: Budget::default(), body: OnceCell::new(), query: OnceCell::new() }
    }

    /// Returns the body. The first call parses it and charges its bytes.
    pub(crate) fn body(&self) -> Result<&Body<'a>, Exhausted> {
        if let Some(body) = self.body.get() {
            return Ok(body);
        }
        let bytes = self.event.body;
        if bytes.len() <= body::MAX_PARSED {
            self.budget.read(bytes.len())?;
        }
        Ok(self.body.get_or_init(|| Body::parse(self.header_bytes("content-type"), bytes)))
    }

    /// Returns the body if an expression asked for it.
    pub(crate) fn parsed_body(&self) -> Option<&Body<'a>> {
        self.body.get()
    }

    /// Returns the values of a header that are text, joined as HTTP joins repeated headers; `None` without any.
    pub(crate) fn header(&self, name: &str) -> Result<Option<Cow<'a, str>>, Exhausted> {
        let mut joined: Option<Cow<'a, str>> = None;
        for (key, value) in self.event.headers {
            self.budget.read(1 + key.len().min(name.len()))?;
            if key != name {
                continue;
            }
            self.budget.read(value.len())?;
            let Ok(text) = std::str::from_utf8(value) else { continue };
            joined = Some(match joined {
                None => Cow::Borrowed(text),
                Some(before) => Cow::Owned(format!("{before}, {text}")),
            });
        }
        Ok(joined)
    }

    /// Returns the first value of a field of the query.
    pub(crate) fn query(&self, name: &str) -> Result<Option<&str>, Exhausted> {
        let query = self.event.target.split_once('?').map_or("", |(_, query)| query);
        self.budget.read(query.len())?;
        let fields = self.query.get_or_init(|| form_urlencoded::parse(query.as_bytes()).collect::<Vec<_>>());
        Ok(fields.iter().find(|(key, _)| key == name).map(|(_, value)| &**value))
    }

    fn header_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.event.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..])
    }
}

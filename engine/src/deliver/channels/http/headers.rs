//! The headers that the manifest adds to every request of a destination.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
use visnyk_crds::valid::{Header, HeaderContent, TemplatePart};
use visnyk_runtime::host::secrets::Secrets;

use crate::event::Event;

/// The headers of one destination.
pub struct ExtraHeaders(Vec<(HeaderName, Value)>);

enum Value {
    Template(Vec<TemplatePart>),
    Secret(HeaderValue),
}

impl ExtraHeaders {
    /// Reads the headers; `None` if one of the secrets cannot be used.
    pub fn read(headers: &[Header], secrets: &mut Secrets<'_>) -> Option<Self> {
        let read: Vec<_> = headers
            .iter()
            .map(|header| {
                let value = match &header.value {
                    HeaderContent::Template(parts) => Value::Template(parts.clone()),
                    HeaderContent::Secret(secret) => Value::Secret(secrets.read_as(secret, secret_value)?),
                };
                Some((header.name.clone(), value))
            })
            .collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }

    /// Sets them; where there is no event, its attributes are empty. One of which nothing comes is left out.
    pub fn set(&self, headers: &mut HeaderMap, event: Option<&Event>) {
        for (name, value) in &self.0 {
            let value = match value {
                Value::Secret(value) => Some(value.clone()),
                Value::Template(parts) => filled(parts, event),
            };
            match value {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }
}

/// Makes a header's value of a secret. No log shows it.
pub(super) fn secret_value(bytes: impl AsRef<[u8]>) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_bytes(bytes.as_ref()).map_err(|_| "is no value of a header")?;
    value.set_sensitive(true);
    Ok(value)
}

fn filled(parts: &[TemplatePart], event: Option<&Event>) -> Option<HeaderValue> {
    let mut text = String::new();
    for part in parts {
        match (part, event) {
            (TemplatePart::Text(fixed), _) => text.push_str(fixed),
            (_, None) => {}
            (TemplatePart::Id, Some(event)) => text.push_str(&event.envelope.id.to_string()),
            (TemplatePart::Source, Some(event)) => text.push_str(&event.envelope.source),
            (TemplatePart::Type, Some(event)) => {
                // In the sender's words: whatever could end the header stays out of it.
                let kind = event.envelope.attributes.kind.as_deref().unwrap_or_default();
                text.extend(kind.chars().filter(|char| !char.is_control()));
            }
            (TemplatePart::Received, Some(event)) => drop(write!(text, "{:.3}", event.received_at())),
        }
    }
    let trimmed = text.trim();
    if trimmed.is_empty() { None } else { HeaderValue::from_bytes(trimmed.as_bytes()).ok() }
}

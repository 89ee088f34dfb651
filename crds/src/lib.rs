//! The API of Visnyk: `WebhookRelay` and `Collector`, their defaults and their validation.

pub mod valid;

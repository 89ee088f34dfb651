//! The API of Visnyk: `WebhookRelay` and `Collector`, their defaults and their validation. A custom resource *is* the
//! configuration file, so everything that runs starts here:
//!
//! manifest text -> [`manifest`] -> [`api`] types -> [`mod@validate`] -> [`valid`] -> relay, collector, operator
//!
//! The schema of the types is enforced by an API server, and by [`schema::check`] on a file. Limits are declared once
//! ([`bounds`]) and become both a CEL rule and a check here. The names and shapes that the operator and its
//! processes share are in [`contract`].

pub mod api;
pub mod bounds;
pub mod contract;
pub mod generate;
mod hash;
pub mod headers;
pub mod manifest;
pub mod problem;
pub mod schema;
pub mod spool_layout;
pub mod text;
pub mod valid;
pub mod validate;
mod yaml;

pub use api::{Collector, WebhookRelay};
pub use problem::Problem;

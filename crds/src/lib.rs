//! The API of Visnyk: `WebhookRelay` and `Collector`, their defaults and their validation.
//! A custom resource *is* the configuration file, so everything that runs starts here:
//!
//! manifest text -> [`manifest`] -> [`api`] types -> [`mod@validate`] -> [`valid`] -> relay, collector, operator
//!
//! One truth for all: the types' schema is what an API server enforces and what [`schema::check`] enforces
//! on a file; limits are declared once ([`bounds`]) and become both a CEL rule and a check here. What the operator and
//! the processes that it runs say to each other is in [`contract`].

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

//! The schema of both kinds: an API server enforces it on objects, and [`check()`] on a file.

mod check;
mod definition;
#[cfg(test)]
mod descriptions;
mod repair;
#[cfg(test)]
mod tests;
mod unknown;

pub use check::check;
pub use definition::{definition, spec_schema, spec_schema_with_defaults};
pub use repair::{Repaired, repair};
pub use unknown::unknown;

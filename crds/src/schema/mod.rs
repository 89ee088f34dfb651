//! The schema of both kinds: what an API server is given, and what is held against a file.

mod check;
mod definition;
#[cfg(test)]
mod descriptions;
mod repair;
#[cfg(test)]
mod tests;

pub use check::check;
pub use definition::{definition, spec_schema};
pub use repair::{Repaired, repair};

//! The observed state of the cluster. Reads only.

pub mod fetch;
pub mod pods;
pub mod present;
pub mod references;
pub mod refusals;
pub mod secret_changes;
pub mod sighting;
pub mod unmade;
pub mod watched;

//! The status of a resource: conditions, their reasons, and the write.

pub mod conditions;
pub mod events;
pub mod failure;
pub mod outcome;
pub mod reasons;
pub mod report;

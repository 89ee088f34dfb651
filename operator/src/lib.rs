//! The operator: from custom resource to running workloads. On the way of a resource: `fetch` what it refers
//! to, `validate`, `build` its children, `apply` them, `report`: a folder for each kind, driven by [`controller`].
//! Around it: the command line ([`args`]), what a process needs ([`run`]), who leads ([`leader`], [`fence`]) and
//! what is shown ([`face`], [`metrics`], [`events`]).

mod apply;
pub mod args;
mod build;
mod certificates;
mod child;
pub mod claim;
mod collector;
mod conditions;
mod context;
pub mod controller;
mod covers;
pub mod definitions;
mod discovery;
mod error;
pub mod events;
mod exclusive;
pub mod face;
pub mod fence;
mod fetch;
mod finalizer;
mod grow;
pub mod leader;
mod meta;
pub mod metrics;
mod pods;
mod present;
pub mod probe;
mod reasons;
mod references;
mod refusals;
mod relay;
mod report;
pub mod run;
mod runnable;
mod secret_changes;
mod sighting;
#[cfg(test)]
mod testing;
mod trust;
mod unmade;
mod visit;
mod watched;

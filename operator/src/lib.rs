//! The operator: from custom resource to running workloads. On the way of a resource: `fetch` what it refers
//! to, `validate`, `build` its children, `apply` them, `report`. Around it: the command line ([`args`]), what a
//! process needs ([`run`]), who leads ([`leader`], [`fence`]) and what is shown ([`face`], [`metrics`], [`events`]).

pub mod args;
pub mod definitions;
pub mod events;
pub mod face;
pub mod fence;
pub mod leader;
pub mod metrics;
pub mod probe;
pub mod run;

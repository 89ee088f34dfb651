//! The operator: from custom resource to running workloads. A reconcile ([`controller`], with a folder for each kind)
//! observes (`cluster`), decides (`children`, `certificates`), applies (`apply`) and reports (`status`). None of these
//! imports one that comes after it, in the order children, process and cluster, apply, certificates, status, relay and
//! collector. Around it is the process ([`process`]): command line, election, health endpoints and metrics.

mod apply;
mod certificates;
mod children;
mod cluster;
mod collector;
mod context;
pub mod controller;
mod error;
pub mod process;
mod relay;
mod status;
#[cfg(test)]
mod testing;

//! Tests against a real Kubernetes.
//!
//! [`with_temp_ns`] gives a test a namespace of its own and, if the test fails,
//! says what was in it before it goes. [`wait_until`] waits for a condition,
//! never for luck. [`AuditLog`] tells what the API server was asked meanwhile.
//!
//! Which cluster: the one `KUBECONFIG` names. `tests/cluster/enter` sets it to
//! the project's own; set by hand, it is any other (docs/development.md).

mod audit;
mod dump;
mod image;
mod kind;
mod namespace;
mod pod;
mod wait;

pub use audit::{AuditEvent, AuditLog};
pub use dump::describe;
pub use image::image;
pub use kind::install;
pub use namespace::with_temp_ns;
pub use pod::{restricted_container, restricted_pod, run_pod};
pub use wait::{DEADLINE, eventually, wait_for, wait_until, within};

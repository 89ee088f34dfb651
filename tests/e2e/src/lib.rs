//! Support for the tests of the installed operator: the resources as users have them ([`stage`]), events that are
//! sent and counted ([`traffic`]), the chart ([`chart`]), the node that pods run on ([`node`]) and the command line
//! ([`kubectl`]).
//!
//! `tests/e2e/run` installs the chart and then runs the tests, inside the network of the cluster. Everything here
//! panics when the world is not as it should be: it is the test that fails then.

#![allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")]

pub mod chart;
pub mod kubectl;
pub mod node;
pub mod stage;
pub mod traffic;

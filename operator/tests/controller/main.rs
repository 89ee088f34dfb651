//! The controllers on a real API server, where there are no nodes: what is written, what is restored, and what is
//! left alone.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod children;
mod claims;
mod crash;
mod events;
mod evolution;
mod growth;
mod left;
mod life;
mod line;
mod names;
mod namespaces;
mod process;
mod properties;
mod references;
mod refusing;
mod rights;
mod secrets;
mod silence;
mod snapshot;
mod specs;
mod storm;
mod trust;
mod twins;
mod unreadable;
mod world;

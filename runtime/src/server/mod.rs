//! The HTTPS server that events arrive at: sockets, TLS, limits, error answers and drain. The handlers of paths
//! (sources, the collector's log) belong to the binaries.

pub mod app;
pub mod bind;
pub mod body;
mod client_ca;
pub mod client_certificate;
pub mod client_network;
pub(crate) mod connection;
pub(crate) mod connection_activity;
pub(crate) mod connections;
pub mod drain;
pub mod limits;
pub mod listener;
pub mod problem;
mod server_config;
pub mod tls;
mod tracked_body;

//! Where an event comes in: sockets, TLS, limits, error answers, probes and drain.
//! What is behind a path (sources, the collector's log) belongs to the binaries.

pub mod admin;
pub mod bind;
pub mod body;
pub mod certificates;
mod client_ca;
pub mod client_certificate;
pub mod client_network;
mod connection;
mod connections;
pub mod data_dir;
pub mod drain;
pub mod file_watch;
pub mod folder_lock;
pub mod health;
mod heard_body;
pub mod limits;
pub mod listener;
mod pace;
pub mod problem;
pub mod self_signed;
mod server_config;
#[cfg(test)]
mod test_support;
pub mod tls;

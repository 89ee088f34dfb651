//! The parts that every process of Visnyk needs: cryptography of webhooks ([`crypto`]), certificates ([`pki`]), the
//! addresses that connections may go to ([`guard`]), logs, metrics and watchdogs ([`observe`]), files of the host
//! ([`host`]), the HTTPS server ([`server`]), the endpoints for probes and commands ([`admin`]), the handling of
//! large bodies beside other work ([`blocking`]), and files that are there whole or not at all ([`whole_file`]).

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")
)]

pub mod admin;
pub mod blocking;
pub mod crypto;
pub mod guard;
pub mod host;
pub mod observe;
pub mod pki;
pub mod server;
#[cfg(test)]
mod testing;
pub mod whole_file;

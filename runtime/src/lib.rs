//! What every process of Visnyk needs, whether it carries events or makes the pods that do: [`crypto`] and certificates
//! ([`authority`]), logs, metrics and watchdogs ([`observe`]), files of the host, and the HTTP servers ([`serve`]).

pub mod authority;
pub mod configuration;
pub mod crypto;
pub mod exit;
pub mod file_identity;
pub mod lengthy;
pub mod observe;
pub mod secrets;
pub mod serve;

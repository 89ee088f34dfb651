//! Flags and environment variables of `run`: the processes declare them, the operator's pods set them.

/// The manifest, a file.
pub const MANIFEST: &str = "manifest";
/// Folder for all that the process stores.
pub const DATA_DIR: &str = "data-dir";
/// Folder with users' Secrets, see [`super::paths::SECRETS_DIR`].
pub const SECRETS_DIR: &str = "secrets-dir";
/// Folder with the addresses of Collectors and Services, see [`super::peers`].
pub const PEERS_DIR: &str = "peers-dir";
/// Folder with the certificate of `selfSigned`, see [`super::paths::TLS_DIR`].
pub const TLS_DIR: &str = "tls-dir";
/// PEM bundle of the authorities that sign relays' certificates.
pub const CLIENT_CA: &str = "client-ca";
/// Address of probes, metrics and status: `IP:PORT`.
pub const HEALTH: &str = "health";
/// Seconds for which a process keeps accepting after SIGTERM.
pub const DRAIN_GRACE: &str = "drain-grace";
/// Accept nothing, deliver what is pending, and end.
pub const DELIVER_ONLY: &str = "deliver-only";

/// Environment variable with the value of [`MANIFEST`].
pub const MANIFEST_VARIABLE: &str = "VISNYK_MANIFEST";
/// Environment variable with the value of [`DATA_DIR`].
pub const DATA_DIR_VARIABLE: &str = "VISNYK_DATA_DIR";

/// Returns the argument that gives a flag its value.
pub fn argument(flag: &str, value: impl std::fmt::Display) -> String {
    format!("--{flag}={value}")
}

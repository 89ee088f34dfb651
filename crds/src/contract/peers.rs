//! Names of the files in the peers folder. They say where Collectors and Services are. The operator writes them into a
//! Secret that every relay's pod mounts; outside a cluster a person writes them.
//!
//! | file | content |
//! |---|---|
//! | `<namespace>.<name>.url` | URL of a Collector |
//! | `<namespace>.<name>.ca.crt` | authorities that sign its certificate, PEM |
//! | `<namespace>.<name>.tls.crt` | certificate that the relay shows it, PEM |
//! | `<namespace>.<name>.tls.key` | private key of that certificate, PEM |
//! | `<namespace>.<name>.addresses` | addresses of a Service, one a line |
//!
//! A name is [`prefix`] and one of [`URL`], [`ADDRESSES`], [`super::paths::AUTHORITIES`], [`super::paths::CERTIFICATE`] and
//! [`super::paths::KEY`].

/// End of the name of the file with a Collector's URL: `http` or `https`.
pub const URL: &str = "url";
/// End of the name of the file with a Service's addresses.
pub const ADDRESSES: &str = "addresses";

/// Returns the beginning that the names of all files about a Collector or Service share. Neither part contains a full
/// stop, so it is unambiguous.
pub fn prefix(namespace: &str, name: &str) -> String {
    format!("{namespace}.{name}.")
}

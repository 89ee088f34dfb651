//! Annotations of the manifest that the operator writes into a ConfigMap. A manifest without them is a user's own.

/// Version of the operator that wrote the manifest. It found the manifest valid: a process that cannot read it is of
/// another version.
pub const OPERATOR_VERSION: &str = "visnyk.dev/operator-version";
/// Hash that a process reports as its `configurationHash` once it runs the manifest. The process may have other defaults
/// than the operator, and so cannot always compute the same hash itself.
pub const CONFIGURATION_HASH: &str = "visnyk.dev/configuration-hash";

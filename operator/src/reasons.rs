//! Reasons of conditions that more than one place names.

/// `Available`: no pod is made, and something says why.
pub const FAILED_CREATE: &str = "FailedCreate";
/// `CertificateReady`: a pod cannot use the certificate that it was given.
pub const CERTIFICATE_UNUSABLE: &str = "CertificateUnusable";
/// `CertificateReady`: the certificate has expired.
pub const EXPIRED: &str = "Expired";
/// `CertificateReady`: the certificate expires soon, and nothing has renewed it.
pub const EXPIRES_SOON: &str = "ExpiresSoon";
/// `Durable`: a pod found its state file lost or damaged.
pub const STATE_LOST: &str = "StateLost";
/// The condition of a resource whose annotation `visnyk.dev/paused` was looked at.
pub const PAUSED: &str = "Paused";
/// `Paused`: the operator leaves the resource alone.
pub const ANNOTATED: &str = "Annotated";
/// `Paused`: the annotation has a value that means nothing.
pub const IGNORED: &str = "Ignored";
/// `Programmed`: a pod cannot use the configuration that it was given.
pub const MANIFEST_PROBLEM: &str = "ManifestProblem";

/// Reasons for a Warning although the condition is met.
pub const WARNINGS: &[&str] = &[EXPIRES_SOON];

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

/// `Programmed`: pods have yet to take up the configuration.
pub const SPREADING: &str = "Spreading";
/// `Available`: no pod is ready.
pub const NO_POD_READY: &str = "NoPodReady";
/// `Available`: the spec asks for no pods.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
/// `CertificateReady`, `Programmed`: a certificate is needed and has yet to be issued.
pub const NOT_ISSUED: &str = "NotIssued";
/// All conditions of a resource that has no valid spec, but `Accepted`, which says why.
pub const NOTHING_VALID: &str = "NothingValid";
/// `Durable`: the spec asks for no volumes.
pub const EPHEMERAL: &str = "Ephemeral";
/// `Ready`: the resource is being deleted.
pub const LEAVING: &str = "Leaving";
/// `SpoolRetained`: a drained volume still has events that could not be delivered.
pub const UNDELIVERED: &str = "Undelivered";
/// `SpoolRetained`: a volume was not drained in time.
pub const DRAIN_TIMED_OUT: &str = "DrainTimedOut";

/// Reasons for a Warning although the condition is met.
pub const WARNINGS: &[&str] = &[EXPIRES_SOON, UNDELIVERED, DRAIN_TIMED_OUT];
/// Reasons why a condition is not met that are no fault: the spec says so, or pods take up a change.
pub const INTENDED: &[&str] = &[EPHEMERAL, LEAVING, SCALED_TO_ZERO, SPREADING];
/// Reasons why a condition is not met that are a fault only where it was met before: at the start they are progress.
pub const STARTING: &[&str] = &[NO_POD_READY, NOT_ISSUED, NOTHING_VALID];

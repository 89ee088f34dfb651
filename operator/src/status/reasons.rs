//! Types and reasons of conditions. They are part of the API: tools and people match on them.

/// Condition: the spec is applied, and pods accept events. Sums up the others.
pub const READY: &str = "Ready";
/// Condition: the spec is valid, and its children could be made.
pub const ACCEPTED: &str = "Accepted";
/// Condition: the listener has a certificate that clients accept.
pub const CERTIFICATE_READY: &str = "CertificateReady";
/// Condition: every pod runs the configuration, and all that it refers to is there.
pub const PROGRAMMED: &str = "Programmed";
/// Condition: events can be accepted.
pub const AVAILABLE: &str = "Available";
/// Condition: data outlive a pod.
pub const DURABLE: &str = "Durable";
/// Condition of a relay: every destination gets its events about as fast as they come.
pub const DELIVERING: &str = "Delivering";
/// Condition of a relay that has volumes which no replica uses. Also the reason of the Event that names those kept.
pub const SPOOL_RETAINED: &str = "SpoolRetained";
/// Condition of a resource with the annotation `visnyk.dev/paused`.
pub const PAUSED: &str = "Paused";

/// `Ready`: all conditions that it sums up hold.
pub const AS_WANTED: &str = "AsWanted";
/// `Ready`: the resource is being deleted.
pub const LEAVING: &str = "Leaving";

/// `Accepted`: the spec is valid.
pub const VALID: &str = "Valid";
/// `Accepted`: the spec is not valid.
pub const INVALID: &str = "Invalid";
/// `Accepted`: the API server refuses what the spec needs. Also the reason of the Event where no condition can say so.
pub const REFUSED: &str = "Refused";
/// `Accepted`: objects of others have the names of children.
pub const NAME_CONFLICT: &str = "NameConflict";
/// `Accepted`: the resource is not as its type has it.
pub const UNREADABLE: &str = "Unreadable";
/// `Accepted`: the operator cannot write an object.
pub const INTERNAL: &str = "Internal";
/// All conditions of a resource that has no valid spec, but `Accepted`, which says why.
pub const NOTHING_VALID: &str = "NothingValid";

/// `CertificateReady`: the listener speaks plain HTTP, as the spec asks for.
pub const PLAIN_HTTP: &str = "PlainHttp";
/// `CertificateReady`: the Secret with the certificate exists.
pub const SECRET_FOUND: &str = "SecretFound";
/// `CertificateReady`: the operator issued the certificate.
pub const ISSUED: &str = "Issued";
/// `CertificateReady`, `Programmed`: a Secret that the spec refers to does not exist, or lacks the key.
pub const SECRET_MISSING: &str = "SecretMissing";
/// `CertificateReady`, `Programmed`: a certificate is needed and has yet to be issued.
pub const NOT_ISSUED: &str = "NotIssued";
/// `CertificateReady`: a pod cannot use the certificate that it was given.
pub const CERTIFICATE_UNUSABLE: &str = "CertificateUnusable";
/// `CertificateReady`: the certificate has expired.
pub const EXPIRED: &str = "Expired";
/// `CertificateReady`: the certificate expires soon, and nothing has renewed it.
pub const EXPIRES_SOON: &str = "ExpiresSoon";

/// `Programmed`: a pod cannot use the configuration that it was given.
pub const MANIFEST_PROBLEM: &str = "ManifestProblem";
/// `Programmed`: a pod is of another version than the operator and cannot read the configuration that it was given.
pub use visnyk_crds::contract::status::NEWER_CONFIGURATION;
/// `Programmed`: pods have yet to take up the configuration.
pub const SPREADING: &str = "Spreading";
/// `Programmed`: pods wait for files that the configuration refers to.
pub const WAITING: &str = "Waiting";
/// `Programmed`: a relay cannot refer to a Collector.
pub const COLLECTOR_UNUSABLE: &str = "CollectorUnusable";
/// `Programmed`: a relay cannot deliver to a Service.
pub const SERVICE_UNUSABLE: &str = "ServiceUnusable";
/// `Programmed`: the cluster does not have a kind that the spec needs.
pub const API_MISSING: &str = "ApiMissing";

/// `Available`: every pod is ready.
pub const ALL_READY: &str = "AllReady";
/// `Available`: some pods are ready.
pub const SOME_READY: &str = "SomeReady";
/// `Available`: no pod is ready.
pub const NO_POD_READY: &str = "NoPodReady";
/// `Available`: no pod is made, and something says why.
pub const FAILED_CREATE: &str = "FailedCreate";
/// `Available`: the spec asks for no pods.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";

/// `Durable`: each pod keeps its data on a volume.
pub const PERSISTENT: &str = "Persistent";
/// `Durable`: the spec asks for no volumes.
pub const EPHEMERAL: &str = "Ephemeral";
/// `Durable`: a pod found its state file lost or damaged.
pub const STATE_LOST: &str = "StateLost";

/// `Delivering`: no event waits for long.
pub const KEEPING_UP: &str = "KeepingUp";
/// `Delivering`: events wait for long.
pub const BEHIND: &str = "Behind";
/// `Delivering`: a destination is disabled.
pub const DISABLED: &str = "Disabled";
/// `Delivering`: no pod answers.
pub const NO_ANSWER: &str = "NoAnswer";

/// `SpoolRetained`: a drained volume still has events that could not be delivered.
pub const UNDELIVERED: &str = "Undelivered";
/// `SpoolRetained`: a volume was not drained in time.
pub const DRAIN_TIMED_OUT: &str = "DrainTimedOut";
/// `SpoolRetained`: a volume stays until its replica runs again.
pub const SCALED_DOWN: &str = "ScaledDown";
/// `SpoolRetained`: a Job delivers what is in a volume.
pub const DRAINING: &str = "Draining";
/// `SpoolRetained`: a volume is being deleted with its events.
pub const DISCARDING: &str = "Discarding";
/// `SpoolRetained`: the pod of a volume still runs.
pub const IN_USE: &str = "InUse";

/// `Paused`: the operator leaves the resource alone.
pub const ANNOTATED: &str = "Annotated";
/// `Paused`: the annotation has a value that means nothing.
pub const IGNORED: &str = "Ignored";

/// Reasons for a Warning although the condition is met.
pub const WARNINGS: &[&str] = &[EXPIRES_SOON, UNDELIVERED, DRAIN_TIMED_OUT];
/// Reasons why a condition is not met that are no fault: the spec says so, or pods take up a change.
pub const INTENDED: &[&str] = &[EPHEMERAL, LEAVING, SCALED_TO_ZERO, SPREADING];
/// Reasons why a condition is not met that are a fault only where it was met before: at the start they are progress.
pub const STARTING: &[&str] = &[NO_POD_READY, NOT_ISSUED, NOTHING_VALID];

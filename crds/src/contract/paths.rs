//! Folders and files of a pod, and the paths of its HTTP endpoints.

/// Folder for all that a process stores: its volume.
pub const DATA_DIR: &str = "/var/lib/visnyk";
/// Folder with the manifest. A folder, since the kubelet never updates single files of a ConfigMap.
pub const CONFIG_DIR: &str = "/etc/visnyk/config";
/// The manifest in [`CONFIG_DIR`], and the ConfigMap's key.
pub const MANIFEST: &str = "manifest.yaml";
/// Folder with the referenced keys of users' Secrets, as `<secret>/<key>`.
pub const SECRETS_DIR: &str = "/etc/visnyk/secrets";
/// Folder with the addresses of Collectors and Services, see [`super::peers`].
pub const PEERS_DIR: &str = "/etc/visnyk/peers";
/// Folder with the certificate that the operator issues for a listener, and the authorities of its clients.
pub const TLS_DIR: &str = "/etc/visnyk/tls";

/// A certificate chain in PEM, as in Secrets of type `kubernetes.io/tls`.
pub const CERTIFICATE: &str = "tls.crt";
/// The private key of [`CERTIFICATE`] in PEM.
pub const KEY: &str = "tls.key";
/// Certificates of authorities in PEM.
pub const AUTHORITIES: &str = "ca.crt";

/// Endpoint that answers 200 while every loop of the process runs.
pub const LIVEZ: &str = "/livez";
/// Endpoint that answers 200 while the process can accept events durably.
pub const READYZ: &str = "/readyz";
/// Endpoint that answers 200 once the process has started.
pub const STARTUPZ: &str = "/startupz";
/// Endpoint with metrics in the `OpenMetrics` text format.
pub const METRICS: &str = "/metrics";
/// Endpoint with the status, see [`super::status`].
pub const STATUS: &str = "/status";

//! Requests to the API server: one line of its audit log for each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;

/// The audit log of the project's own cluster, from a moment on.
pub struct AuditLog {
    path: PathBuf,
    start: u64,
}

/// One request and its answer. Long-running requests (watches) come twice: when
/// they begin and when they end.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// The same for each stage of a request.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// `ResponseStarted`, `ResponseComplete` or `Panic`.
    pub stage: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Path and query of the request.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// User agent of the client.
    #[serde(default)]
    pub user_agent: String,
    /// Account of the client.
    pub user: AuditUser,
    /// Object of the request; absent for requests without a resource.
    pub object_ref: Option<AuditObject>,
    /// Outcome; absent until the request has ended.
    pub response_status: Option<AuditStatus>,
    /// Time at which the request arrived.
    pub request_received_timestamp: Timestamp,
    /// Annotations of authorisation and admission.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct AuditUser {
    #[serde(default)]
    pub username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    pub api_group: String,
    pub api_version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditStatus {
    pub code: u16,
    pub reason: String,
    pub message: String,
}

impl AuditLog {
    /// Opens the log with everything that the cluster's API server was ever asked.
    ///
    /// # Errors
    /// As [`from_now`](Self::from_now).
    pub fn whole() -> anyhow::Result<Self> {
        Ok(Self { start: 0, ..Self::from_now()? })
    }

    /// Begins to listen: [`events`](Self::events) will return what comes after this.
    ///
    /// # Errors
    /// Without `VISNYK_AUDIT_LOG`, which `tests/cluster/enter` sets: the log of a
    /// cluster that is not the project's own cannot be read.
    pub fn from_now() -> anyhow::Result<Self> {
        let path = std::env::var_os("VISNYK_AUDIT_LOG")
            .context("VISNYK_AUDIT_LOG is not set: only the project's own cluster, through tests/cluster/enter, has an audit log to read")?;
        let path = PathBuf::from(path);
        let start =
            path.metadata().with_context(|| format!("look at the audit log {}", path.display()))?.len();
        Ok(Self { path, start })
    }

    /// Returns every event since [`from_now`](Self::from_now) that the filter lets through.
    ///
    /// # Errors
    /// When the log cannot be read, or holds what is no audit event.
    pub fn events(&self, keep: impl Fn(&AuditEvent) -> bool) -> anyhow::Result<Vec<AuditEvent>> {
        let reading = || format!("read the audit log {}", self.path.display());
        let mut file = File::open(&self.path).with_context(reading)?;
        file.seek(SeekFrom::Start(self.start)).with_context(reading)?;
        let mut lines = BufReader::new(file);
        let mut events = Vec::new();
        let mut line = String::new();
        // A line without its end is still being written.
        while lines.read_line(&mut line).with_context(reading)? > 0 && line.ends_with('\n') {
            let event: AuditEvent = serde_json::from_str(&line).with_context(reading)?;
            if keep(&event) {
                events.push(event);
            }
            line.clear();
        }
        Ok(events)
    }

    /// Returns the finished writes to objects of a namespace.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn writes_in(&self, namespace: &str) -> anyhow::Result<Vec<AuditEvent>> {
        self.events(|event| event.is_finished() && event.is_write() && event.namespace() == namespace)
    }
}

impl AuditEvent {
    /// Returns whether the request asked for a change, granted or not.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Returns whether it has been answered completely: each request is finished once.
    pub fn is_finished(&self) -> bool {
        self.stage != "ResponseStarted"
    }

    /// Returns the namespace of the object, or nothing.
    pub fn namespace(&self) -> &str {
        self.object_ref.as_ref().map_or("", |object| &object.namespace)
    }

    /// Returns whether no rule gives the account this right. Admission, which comes later, refuses with 403 too.
    pub fn is_denied(&self) -> bool {
        self.annotations.get("authorization.k8s.io/decision").is_some_and(|decision| decision == "forbid")
    }

    /// Returns the text of a refusal.
    pub fn message(&self) -> &str {
        self.response_status.as_ref().map_or("", |status| &status.message)
    }

    /// Returns the answer's HTTP status.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

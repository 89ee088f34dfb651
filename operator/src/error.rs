//! Errors of a reconcile, which is tried again.

use visnyk_runtime::observe::causes::with_causes;

/// Reason for which a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error("cannot {doing}")]
    Api {
        /// Request to the API server, as a verb and an object.
        doing: String,
        /// Answer of the API server.
        #[source]
        source: Box<kube::Error>,
    },
    /// The resource was deleted, or replaced by another of its name, and the watch has not reported it yet.
    #[error("nothing is made for {0}, which is gone or on its way out")]
    Gone(String),
    /// The API server refuses to list or watch objects of a kind.
    #[error("{0}")]
    Unseen(String),
    /// The cluster lacks something that a user has to change first.
    #[error("{0}")]
    Unmet(String),
    /// An object cannot be serialized as JSON or YAML.
    #[error("cannot write {what}")]
    Write {
        /// Object that cannot be written.
        what: &'static str,
        /// Error of the failed operation.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Returns a function for `map_err` that adds the request.
    pub fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    /// Returns the category in metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) if status.code == 409 => "Conflict",
                kube::Error::Api(status) if status.code == 429 => "Throttled",
                kube::Error::Api(status) if status.code < 500 => "Refused",
                _ => "Unavailable",
            },
            Self::Unseen(_) | Self::Unmet(_) => "Refused",
            Self::Gone(_) => "Gone",
            Self::Write { .. } => "Internal",
        }
    }

    /// Returns the API server's answer, where it will be the same as long as nothing changes.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { doing, source } => refused(doing, source),
            Self::Unseen(refusal) | Self::Unmet(refusal) => Some(refusal.clone()),
            Self::Gone(_) | Self::Write { .. } => None,
        }
    }

    /// Returns the message of an error: of a refusal at once, and of any other error once it has repeated and `is_over`
    /// is true. Absent for a conflict with another writer, and for a resource that is gone.
    pub fn told(&self, is_over: bool) -> Option<String> {
        if let Some(refusal) = self.refusal() {
            return Some(refusal);
        }
        let Self::Api { doing, source } = self else { return None };
        let why = match &**source {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => return None,
            kube::Error::Api(status) => format!("{} ({})", words(&status.message), status.code),
            other => with_causes(other),
        };
        is_over.then(|| format!("the API server fails again and again to {doing}: {why}"))
    }
}

/// Returns the API server's answer to what was asked, where it is one that stays. Of rights it names verb, resource and
/// namespace.
pub fn refused(doing: &str, answer: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = answer else { return None };
    let stays = match status.code {
        400 | 403 | 405 | 413 | 422 => true,
        // An object that has gone is named; a kind that is not served is not.
        404 => status.details.as_ref().is_none_or(|details| details.name.is_empty()),
        _ => false,
    };
    stays.then(|| format!("the API server refuses to {doing}: {}", words(&status.message)))
}

/// Returns the API server's message on one line. Of a field that cannot change it goes on with a dump of both objects,
/// line by line, which is left out.
fn words(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    lines.take_while(|line| !line.ends_with('{')).collect::<Vec<_>>().join(" ")
}

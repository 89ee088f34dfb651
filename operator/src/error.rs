//! Why a reconcile did not come to its end, to be tried again.

/// A reconcile did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do what was asked.
    #[error("cannot {doing}")]
    Api {
        /// What was asked.
        doing: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The resource went, or became another of its name, and the watch has not told yet.
    #[error("nothing is made for {0}, which is gone or on its way out")]
    Gone(String),
    /// Something of ours makes no JSON or YAML.
    #[error("cannot write {what}")]
    Write {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// For `map_err`, with what was asked.
    pub fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    /// For metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) if status.code == 409 => "Conflict",
                kube::Error::Api(status) if status.code == 429 => "Throttled",
                kube::Error::Api(status) if status.code < 500 => "Refused",
                _ => "Unavailable",
            },
            Self::Gone(_) => "Gone",
            Self::Write { .. } => "Internal",
        }
    }

    /// What the API server said, where the answer will be the same as long as nothing changes.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { doing, source } => match &**source {
                kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => {
                    Some(format!("the API server refuses to {doing}: {}", status.message))
                }
                _ => None,
            },
            Self::Gone(_) | Self::Write { .. } => None,
        }
    }
}

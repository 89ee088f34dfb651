//! Why a reconcile did not come to its end, to be tried again.

use visnyk_engine::observe::causes::with_causes;

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
    /// The API server does not show what there is.
    #[error("{0}")]
    Unseen(String),
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
            Self::Unseen(_) => "Refused",
            Self::Gone(_) => "Gone",
            Self::Write { .. } => "Internal",
        }
    }

    /// What the API server said, where the answer will be the same as long as nothing changes.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { doing, source } => refused(doing, source),
            Self::Unseen(refusal) => Some(refusal.clone()),
            Self::Gone(_) | Self::Write { .. } => None,
        }
    }

    /// Why another try will fail like this one, in a word and for people; nothing where it may not.
    pub fn lasting(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Write { .. } => Some(("Internal", with_causes(self))),
            Self::Api { .. } | Self::Unseen(_) | Self::Gone(_) => Some(("Refused", self.refusal()?)),
        }
    }
}

/// The API server's answer to what was asked, where it is one that stays. Of rights it names verb, resource and namespace.
pub fn refused(doing: &str, answer: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = answer else { return None };
    let stays = match status.code {
        400 | 403 | 405 | 413 | 422 => true,
        // An object that has gone is named; a kind that is not served is not.
        404 => status.details.as_ref().is_none_or(|details| details.name.is_empty()),
        _ => false,
    };
    stays.then(|| format!("the API server refuses to {doing}: {}", status.message))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn answered(status: Status) -> Option<(&'static str, String)> {
        Error::api("apply Service quay")(kube::Error::Api(status.boxed())).lasting()
    }

    #[test]
    fn what_another_try_would_meet_again_lasts() {
        let refused = Some(("Refused", "the API server refuses to apply Service quay: no".to_owned()));
        for (code, lasts) in [
            (400, true),
            (403, true),
            (405, true),
            (413, true),
            (422, true),
            (401, false),
            (409, false),
            (410, false),
            (429, false),
            (500, false),
            (504, false),
        ] {
            let wanted = refused.clone().filter(|_| lasts);
            assert_eq!(answered(Status::failure("no", "").with_code(code)), wanted, "{code}");
        }
        assert_eq!(Error::Gone("quay".into()).lasting(), None);
        let unwritable = Error::Write { what: "a certificate", source: "no key".into() };
        assert_eq!(unwritable.lasting(), Some(("Internal", "cannot write a certificate: no key".to_owned())));
    }

    /// An object that has gone is made again, or needed no longer; a kind that is not served stays so.
    #[test]
    fn missing_kind_lasts_and_a_missing_object_does_not() {
        let answer = |details| {
            serde_json::from_value(json!({ "code": 404, "message": "not found", "details": details }))
        };
        assert_eq!(answered(answer(json!({ "name": "quay", "kind": "services" })).unwrap()), None);
        assert!(answered(answer(json!({})).unwrap()).is_some());
    }
}

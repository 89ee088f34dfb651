//! Why a reconcile did not come to its end, to be tried again.

use visnyk_runtime::observe::causes::with_causes;

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
    /// The cluster is as it is, and somebody has to change that first.
    #[error("{0}")]
    Unmet(String),
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
            Self::Unseen(_) | Self::Unmet(_) => "Refused",
            Self::Gone(_) => "Gone",
            Self::Write { .. } => "Internal",
        }
    }

    /// What the API server said, where the answer will be the same as long as nothing changes.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { doing, source } => refused(doing, source),
            Self::Unseen(refusal) | Self::Unmet(refusal) => Some(refusal.clone()),
            Self::Gone(_) | Self::Write { .. } => None,
        }
    }

    /// What is told of an error: a refusal at once, and any other once it has repeated for so long that patience
    /// `is_over`. Whoever changes or deletes an object at the same time is another matter, and so is a resource that went.
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

    /// Why another try will fail like this one, in a word and for people; nothing where it may not. Patience `is_over`
    /// with an error that has repeated.
    pub fn lasting(&self, is_over: bool) -> Option<(&'static str, String)> {
        match self {
            Self::Write { .. } => Some(("Internal", with_causes(self))),
            Self::Api { .. } | Self::Unseen(_) | Self::Unmet(_) | Self::Gone(_) => {
                Some(("Refused", self.told(is_over)?))
            }
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
    stays.then(|| format!("the API server refuses to {doing}: {}", words(&status.message)))
}

/// What an API server says in words, on one line. Of a field that cannot change it goes on with a dump of both objects,
/// line by line.
fn words(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    lines.take_while(|line| !line.ends_with('{')).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn answered(status: Status) -> Option<(&'static str, String)> {
        Error::api("apply Service quay")(kube::Error::Api(status.boxed())).lasting(false)
    }

    #[test]
    fn answer_that_may_pass_is_told_once_it_has_repeated() {
        let answered = |code, is_over| {
            let status = Status::failure("no", "").with_code(code);
            let error = Error::api("apply Service quay")(kube::Error::Api(status.boxed()));
            error.lasting(is_over).map(|(reason, why)| format!("{reason}: {why}"))
        };
        let told = "Refused: the API server fails again and again to apply Service quay: no";
        for code in [429, 500, 503, 504] {
            assert_eq!(answered(code, false), None, "{code}");
            assert_eq!(answered(code, true), Some(format!("{told} ({code})")));
        }
        assert_eq!(answered(409, true), None);
        assert_eq!(answered(403, true), answered(403, false));
        let silent = Error::api("apply Service quay")(kube::Error::LinesCodecMaxLineLengthExceeded);
        assert_eq!((silent.told(false), silent.told(true).is_some()), (None, true));
        assert_eq!(Error::Gone("quay".into()).told(true), None);
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
        assert_eq!(Error::Gone("quay".into()).lasting(false), None);
        let unwritable = Error::Write { what: "a certificate", source: "no key".into() };
        assert_eq!(
            unwritable.lasting(false),
            Some(("Internal", "cannot write a certificate: no key".to_owned()))
        );
    }

    #[test]
    fn refusal_is_told_in_words_and_without_a_dump_of_objects() {
        let said = "claim is invalid: spec: Forbidden: spec is immutable\n  core.PersistentVolumeClaimSpec{\n\
                    \t... // 2 identical fields\n- \tVolumeName: \"a\",\n  }\n";
        let (_, told) = answered(Status::failure(said, "").with_code(422)).unwrap();
        let expected = "the API server refuses to apply Service quay: claim is invalid: spec: Forbidden: spec is immutable";
        assert_eq!(told, expected);
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

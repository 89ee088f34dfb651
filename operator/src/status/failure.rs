//! The failures that a condition tells.

use visnyk_runtime::observe::causes::with_causes;

use crate::error::Error;
use crate::status::reasons::{INTERNAL, REFUSED};

/// Returns why another try will fail like this one: a reason, and a message. Absent where it may not fail. Backoff
/// `is_over` with an error that has repeated.
pub fn lasting(error: &Error, is_over: bool) -> Option<(&'static str, String)> {
    match error {
        Error::Write { .. } => Some((INTERNAL, with_causes(error))),
        Error::Api { .. } | Error::Unseen(_) | Error::Unmet(_) | Error::Gone(_) => {
            Some((REFUSED, error.told(is_over)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn answered(status: Status) -> Option<(&'static str, String)> {
        lasting(&Error::api("apply Service quay")(kube::Error::Api(status.boxed())), false)
    }

    #[test]
    fn answer_that_may_pass_is_told_once_it_has_repeated() {
        let answered = |code, is_over| {
            let status = Status::failure("no", "").with_code(code);
            let error = Error::api("apply Service quay")(kube::Error::Api(status.boxed()));
            lasting(&error, is_over).map(|(reason, why)| format!("{reason}: {why}"))
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
        assert_eq!(lasting(&Error::Gone("quay".into()), false), None);
        let unwritable = Error::Write { what: "a certificate", source: "no key".into() };
        assert_eq!(
            lasting(&unwritable, false),
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

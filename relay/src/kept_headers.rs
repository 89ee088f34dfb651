//! Selects the headers of a request that are stored with its event, and so shown and forwarded with it.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};
use visnyk_crds::headers::{About, about};
use visnyk_crds::valid::{ForwardHeaders, Source};
use visnyk_engine::cloud_event_header;

/// The selection of headers that a source keeps.
pub struct KeptHeaders {
    /// Headers that prove the source's sender: a receiver of a delivery must not be able to send the request again.
    proofs: Vec<HeaderName>,
    /// Set if attributes of CloudEvents are kept. Other senders do not sign them.
    cloud_events: bool,
    exceptions: ForwardHeaders,
}

impl KeptHeaders {
    /// Returns the selection of this source.
    pub fn of(source: &Source) -> Self {
        Self {
            proofs: source.verify.proof_headers(),
            cloud_events: source.verify.speaks_cloud_events(),
            exceptions: source.forward_headers.clone(),
        }
    }

    /// Returns names and values in their order.
    pub fn of_request<'a>(&self, headers: &'a HeaderMap) -> Vec<(&'a str, &'a [u8])> {
        let nominated = nominated(headers);
        headers
            .iter()
            .filter(|(name, _)| self.keeps(name) && !nominated.contains(name))
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect()
    }

    fn keeps(&self, name: &HeaderName) -> bool {
        let is_known = self.cloud_events || !name.as_str().starts_with(cloud_event_header::PREFIX);
        match about(name.as_str()) {
            _ if self.proofs.contains(name) || self.exceptions.deny.contains(name) => false,
            About::Connection | About::Proof => false,
            About::Event => is_known,
            _ => self.exceptions.allow.contains(name),
        }
    }
}

/// Returns the headers that `Connection` names as of this connection only (RFC 9110, section 7.6.1).
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use visnyk_crds::valid::{Priority, Verify};

    use super::*;
    use crate::sources::testing::cases;

    /// Returns the names that a source with this proof keeps of a request with these headers.
    fn kept<'a>(verify: &Verify, names: &[&'a str]) -> Vec<&'a str> {
        kept_except(verify, ForwardHeaders::default(), names)
    }

    fn kept_except<'a>(verify: &Verify, forward_headers: ForwardHeaders, names: &[&'a str]) -> Vec<&'a str> {
        let source = Source {
            name: "hook".into(),
            path: "/".into(),
            verify: verify.clone(),
            allow_from: Vec::new(),
            deduplicate: None,
            priority: Priority::Minor,
            forward_headers,
        };
        let header = |name: &&str| (HeaderName::from_bytes(name.as_bytes()).unwrap(), "1".parse().unwrap());
        let headers: HeaderMap = names.iter().map(header).collect();
        let kept = KeptHeaders::of(&source).of_request(&headers);
        let is_kept = |name: &&&str| kept.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        names.iter().filter(is_kept).copied().collect()
    }

    #[test]
    fn headers_that_prove_a_sender_are_those_that_the_manifest_names() {
        for case in cases() {
            // Of a proof all that is not the signature says what was signed: time and id.
            let signatures = case.verify.proof_headers();
            for name in &signatures {
                assert_eq!(
                    kept(&case.verify, &[name.as_str(), "content-type"]),
                    ["content-type"],
                    "{}",
                    case.name
                );
            }
            assert!(
                case.proof
                    .iter()
                    .any(|name| signatures.iter().any(|one| one.as_str().eq_ignore_ascii_case(name)))
            );
        }
        let mut case = cases().into_iter().find(|case| matches!(case.verify, Verify::Hmac { .. })).unwrap();
        let Verify::Hmac { signature, .. } = &mut case.verify else { unreachable!() };
        signature.header = "X-Seal".parse().unwrap();
        assert_eq!(kept(&case.verify, &["x-seal", "x-event"]), ["x-event"]);
        assert_eq!(kept(&Verify::None, &["x-seal", "x-event"]), ["x-seal", "x-event"]);
    }
    #[test]
    fn attributes_of_cloud_events_are_kept_of_senders_that_speak_them_alone() {
        let names = ["ce-specversion", "ce-subject", "content-type"];
        let case = |name: &str| cases().into_iter().find(|case| case.name.starts_with(name)).unwrap();
        for name in ["hmac", "bearer", "standard webhooks"] {
            assert_eq!(kept(&case(name).verify, &names), names, "{name}");
        }
        assert_eq!(kept(&case("github").verify, &names), ["content-type"]);
    }
    #[test]
    fn manifest_allows_what_is_left_out_by_default_and_denies_what_is_kept() {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        let exceptions = ForwardHeaders {
            allow: names(&["x-real-ip", "x-auth-token", "cookie", "via"]),
            deny: names(&["x-event", "via"]),
        };
        let sent = ["x-real-ip", "x-auth-token", "via", "cookie", "x-event", "x-forwarded-for", "x-other"];
        assert_eq!(kept_except(&Verify::None, exceptions, &sent), ["x-real-ip", "x-auth-token", "x-other"]);
        assert_eq!(kept(&Verify::None, &sent), ["x-event", "x-other"]);
    }

    #[test]
    fn headers_that_the_connection_nominates_are_not_kept() {
        let header = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let headers = HeaderMap::from_iter([
            header("connection", "close, X-Hop"),
            header("connection", " x-other-hop ,, x-last"),
            header("x-hop", "1"),
            header("x-other-hop", "1"),
            header("x-last", "1"),
            header("x-event", "push"),
        ]);
        let case = cases().into_iter().find(|case| case.name.starts_with("github")).unwrap();
        let source = Source {
            name: "hook".into(),
            path: "/".into(),
            verify: case.verify,
            allow_from: Vec::new(),
            deduplicate: None,
            priority: Priority::Minor,
            forward_headers: ForwardHeaders::default(),
        };
        assert_eq!(KeptHeaders::of(&source).of_request(&headers), [("x-event", &b"push"[..])]);
    }
}

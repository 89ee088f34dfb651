//! Failures of attempts, in the terms that the breaker, the metrics and the waiting room need.

use std::time::Duration;

/// Maximum length of [`Failure::detail`], in bytes.
const MAX_DETAIL: usize = 200;

/// An attempt that did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// Delay that the destination asked for with `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// Text for people: short, one line, without query strings, headers or anything of a body.
    pub detail: String,
}

/// Kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The destination answered with this status, which is not a success.
    Status(u16),
    /// A token for the request cannot be fetched.
    Token,
    /// A connection cannot be made.
    Connect,
    /// The host name has no address.
    Dns,
    /// The TLS handshake failed, such as for a certificate that is not trusted.
    Tls,
    /// The attempt took longer than the destination's timeout.
    Timeout,
    /// The connection ended, or what came was not HTTP, before the answer was complete.
    Reset,
    /// The address guard let none of the addresses through.
    Denied,
    /// Something that the manifest refers to is missing or unusable.
    Misconfigured,
}

impl FailureKind {
    /// Returns whether it says something about the destination as a whole, and counts for the breaker. An answer below
    /// 500 shows that the destination works.
    pub fn is_outage(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::Token
            | Self::Connect
            | Self::Dns
            | Self::Tls
            | Self::Timeout
            | Self::Reset
            | Self::Denied
            | Self::Misconfigured => true,
        }
    }

    /// Returns whether the destination is gone for good (410).
    pub fn is_gone(self) -> bool {
        self == Self::Status(410)
    }

    /// Returns the value of a metric's label. There are few of them.
    pub fn label(self) -> &'static str {
        match self {
            Self::Status(300..400) => "redirect",
            Self::Status(429) => "too_many_requests",
            Self::Status(400..500) => "client_error",
            Self::Status(500..600) => "server_error",
            Self::Status(_) => "other_status",
            Self::Token => "token",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Denied => "denied",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl Failure {
    /// Bounds the detail and keeps it on one line.
    pub(super) fn new(kind: FailureKind, detail: &str) -> Self {
        let detail = detail.chars().filter(|char| !char.is_control());
        let mut bounded = String::new();
        for char in detail {
            if bounded.len() + char.len_utf8() > MAX_DETAIL {
                break;
            }
            bounded.push(char);
        }
        Self { kind, retry_after: None, detail: bounded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::testing::WITHOUT_ANSWER;

    #[test]
    fn only_what_concerns_the_whole_destination_is_an_outage() {
        for kind in [500, 503, 599].map(FailureKind::Status).into_iter().chain(WITHOUT_ANSWER) {
            assert!(kind.is_outage(), "{kind:?}");
        }
        for status in [101, 301, 400, 404, 410, 422, 429, 499] {
            assert!(!FailureKind::Status(status).is_outage(), "{status}");
        }
    }

    #[test]
    fn detail_is_short_and_on_one_line() {
        let failure = Failure::new(FailureKind::Reset, &"\n\u{1b}ї".repeat(1000));
        assert_eq!(failure.detail, "ї".repeat(MAX_DETAIL / 2));
    }
}

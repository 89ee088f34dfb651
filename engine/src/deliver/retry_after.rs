//! The value of `Retry-After`, in both of its forms (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest that one event waits because its destination said so.
pub const MAX_FOR_EVENT: Duration = Duration::from_hours(24);
/// The longest that a whole destination is left alone because it said so.
pub const MAX_FOR_DESTINATION: Duration = Duration::from_hours(1);

/// Parses the wait of a header's value, at most [`MAX_FOR_EVENT`]. A date in the past is no wait. Anything that is
/// neither number nor date is ignored.
pub fn parse(value: &[u8], now: SystemTime) -> Option<Duration> {
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number is still a number, and a long wait.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_FOR_EVENT))
}

/// Returns the duration for which nothing is sent to the whole destination. Only these two statuses mean more than the
/// one event.
pub fn for_destination(status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    matches!(status, 429 | 503).then_some(retry_after?.min(MAX_FOR_DESTINATION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn seconds(value: &str) -> Option<u64> {
        parse(value.as_bytes(), now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun Nov  6 08:50:37 1994"), Some(60));
    }

    #[test]
    fn date_in_the_past_is_no_wait() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    }

    #[test]
    fn more_than_a_day_is_a_day() {
        assert_eq!(seconds("86401"), Some(86_400));
        assert_eq!(seconds("99999999999999999999999999"), Some(86_400));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(86_400));
    }

    #[test]
    fn garbage_is_ignored() {
        for value in ["", " ", "-1", "+1", "1.5", "1s", "soon", "0x10", "1 2", "\u{661}", "Sun, 99 Nov 1994"]
        {
            assert_eq!(seconds(value), None, "{value:?}");
        }
        assert_eq!(parse(b"\xff\xfe", now()), None);
    }

    #[test]
    fn only_429_and_503_speak_for_the_destination_and_for_an_hour_at_most() {
        let day = Some(MAX_FOR_EVENT);
        assert_eq!(for_destination(429, day), Some(MAX_FOR_DESTINATION));
        assert_eq!(for_destination(503, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(for_destination(503, None), None);
        for status in [200, 301, 400, 404, 408, 425, 500, 502, 504] {
            assert_eq!(for_destination(status, day), None, "{status}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_wait_more_than_a_day(value in any::<Vec<u8>>()) {
            prop_assert!(parse(&value, now()).unwrap_or_default() <= MAX_FOR_EVENT);
        }
    }
}

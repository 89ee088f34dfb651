//! The outcome of each way in which a destination can answer, or fail to.

use super::*;
use crate::deliver::testing::Sink;

#[tokio::test]
async fn every_2xx_delivers_and_every_other_status_fails_as_itself() {
    for status in (200..=599).chain([999]) {
        let expected = if status < 300 { Ok(status) } else { Err(FailureKind::Status(status)) };
        assert_eq!(outcome(Answer::status(&format!("{status} x"))).await, expected);
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Sink::new(Answer::status("200 OK")).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    assert_eq!(outcome(Answer::with_headers("301 Moved", &location)).await, Err(FailureKind::Status(301)));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn retry_after_comes_with_the_failure_in_both_forms() {
    for (value, seconds) in [("120", Some(120)), ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)), ("soon", None)]
    {
        let answer = Answer::with_headers("429 Too Many", &format!("Retry-After: {value}\r\n"));
        let sink = Sink::new(answer).await;
        let failure = send_to(&destination(&sink.url())).await.unwrap_err();
        let expected = Failure {
            kind: FailureKind::Status(429),
            retry_after: seconds.map(Duration::from_secs),
            detail: "answered 429".into(),
        };
        assert_eq!(failure, expected);
    }
}

#[tokio::test]
async fn silence_is_a_timeout_wherever_it_begins() {
    for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let ended = outcome_within(Duration::from_millis(500), Answer::ThenHang(begun.into())).await;
        assert_eq!(ended, Err(FailureKind::Timeout), "{begun:?}");
    }
}

#[tokio::test]
async fn connection_that_ends_early_is_a_reset() {
    for begun in ["", "HTTP/1.1 200"].map(String::from) {
        assert_eq!(
            outcome(Answer::ThenReset(begun.clone())).await,
            Err(FailureKind::Reset),
            "reset after {begun:?}"
        );
        assert_eq!(
            outcome(Answer::ThenClose(begun.clone())).await,
            Err(FailureKind::Reset),
            "closed after {begun:?}"
        );
    }
}

#[tokio::test]
async fn status_counts_however_its_body_ends() {
    for (status, expected) in [("200 OK", Ok(200)), ("410 Gone", Err(FailureKind::Status(410)))] {
        for length in ["content-length: 5", "transfer-encoding: chunked"] {
            let begun = format!("HTTP/1.1 {status}\r\n{length}\r\n\r\n3\r\n");
            for answer in
                [Answer::ThenReset(begun.clone()), Answer::ThenClose(begun.clone()), Answer::ThenHang(begun)]
            {
                let said = format!("{answer:?}");
                let ended = outcome_within(Duration::from_millis(500), answer).await;
                assert_eq!(ended, expected, "{said}");
            }
        }
    }
}

#[tokio::test]
async fn status_counts_however_its_headers_are_written() {
    for header in ["x-said: one\r\n two", "x-said : one", "x-said:\tone", "x said: one", "x-said"] {
        let answer = Answer::with_headers("200 OK", &format!("{header}\r\n"));
        assert_eq!(outcome(answer).await, Ok(200), "{header:?}");
    }
}

#[tokio::test]
async fn endless_body_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\n\r\n".into();
    assert_eq!(outcome(Answer::ThenForever(head, "x".repeat(10_000))).await, Ok(200));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into();
    assert_eq!(outcome(Answer::ThenForever(head, "5\r\nhello\r\n".repeat(1000))).await, Ok(200));
}

#[tokio::test]
async fn answer_with_too_large_a_head_is_not_read() {
    let head = String::from("HTTP/1.1 200 OK\r\n");
    let endless_header = Answer::ThenForever(format!("{head}a: "), "x".repeat(10_000));
    assert_eq!(outcome(endless_header).await, Err(FailureKind::Reset));
    let endless_headers = Answer::ThenForever(head, "a: b\r\n".repeat(1000));
    assert_eq!(outcome(endless_headers).await, Err(FailureKind::Reset));
}

#[tokio::test]
async fn what_is_not_http_is_a_reset() {
    for answer in ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "\u{0}\u{0}\u{0}", "hello\r\n\r\n"] {
        assert_eq!(outcome(Answer::ThenClose(answer.into())).await, Err(FailureKind::Reset), "{answer:?}");
    }
}

#[tokio::test]
async fn closed_port_is_no_connection() {
    // Port 1 of this machine: nothing of a test run listens there.
    let failure = send_to(&destination("http://127.0.0.1:1/in?token=canary")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(failure.detail.starts_with("connection to 127.0.0.1:1 failed"), "{failure}");
    assert!(!failure.detail.contains("canary"), "{failure}");
}

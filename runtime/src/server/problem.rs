//! Answers that are no success: a status, and `{"error":"..."}` with the reason.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;

/// Answer to a refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status of the answer.
    pub status: StatusCode,
    /// Reason for the administrator of the sender. It contains no secret and no part of the body.
    pub reason: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// Makes a 400: the request cannot be understood.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// Makes a 401: the sender did not prove its identity. The challenge says how it could: a scheme and its
    /// parameters.
    pub fn unauthorized(reason: impl Into<Cow<'static, str>>, challenge: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// Makes a 403: the sender is known and has no access.
    pub fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason)
    }

    /// Makes a 404: nothing listens on this path.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing at this path")
    }

    /// Makes a 405: the path takes other methods, which `allow` lists with a comma between.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("Only {allow} here"))
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Makes a 408: the body came too slowly.
    pub fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Body came too slowly")
    }

    /// Makes a 413: the body has more than `limit` bytes.
    pub fn too_large(limit: u64) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Body has more than {limit} bytes"))
    }

    /// Makes a 415: the body has a content coding, and only bodies without one can be read here (RFC 9110, section
    /// 12.5.3).
    pub fn unsupported_coding() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "JSON must not be compressed")
            .with(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// Makes a 429: this sender has to slow down.
    pub fn too_many_requests(reason: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, reason).retry_after(retry_after)
    }

    /// Makes a 503: the request cannot be served now; `retry_after` says when to try again.
    pub fn unavailable(reason: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason).retry_after(retry_after)
    }

    fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), header: None }
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// Sets Retry-After in whole seconds, rounded up: never sooner than meant, and never 0.
    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response().map(Body::new)
    }
}

impl Problem {
    /// Returns the answer that says it.
    pub fn response(self) -> http::Response<Full<Bytes>> {
        // serde_json escapes the reason; the rest are the bytes that the old receiver sent.
        let reason = serde_json::Value::from(&*self.reason);
        let mut response = http::Response::new(Full::from(format!("{{\"error\":{reason}}}\n")));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.header);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn answer(problem: Problem) -> (u16, Vec<(String, String)>, String) {
        let (parts, body) = problem.into_response().into_parts();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn headers(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let json = ("content-type", "application/json");
        [json].iter().chain(extra).map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[tokio::test]
    async fn old_answer_to_what_is_not_json_is_kept_byte_for_byte() {
        let expected = (400, headers(&[]), "{\"error\":\"Invalid JSON\"}\n".to_owned());
        assert_eq!(answer(Problem::bad_request("Invalid JSON")).await, expected);
    }

    #[tokio::test]
    async fn every_problem_says_what_the_sender_can_do() {
        let wait = Duration::from_millis(1500);
        let (status, head, _) = answer(Problem::unavailable("Spool is full", wait)).await;
        assert_eq!((status, head), (503, headers(&[("retry-after", "2")])));
        let (status, head, _) = answer(Problem::too_many_requests("Slow down", Duration::ZERO)).await;
        assert_eq!((status, head), (429, headers(&[("retry-after", "1")])));
        let (status, head, _) = answer(Problem::method_not_allowed("POST")).await;
        assert_eq!((status, head), (405, headers(&[("allow", "POST")])));
        let (status, head, _) = answer(Problem::unauthorized("Wrong", "Basic realm=\"a\"")).await;
        assert_eq!((status, head), (401, headers(&[("www-authenticate", "Basic realm=\"a\"")])));
        let (status, head, _) = answer(Problem::unsupported_coding()).await;
        assert_eq!((status, head), (415, headers(&[("accept-encoding", "identity")])));
        assert_eq!(answer(Problem::forbidden("Not yours")).await.0, 403);
        assert_eq!(answer(Problem::not_found()).await.0, 404);
        assert_eq!(answer(Problem::timeout()).await.0, 408);
        assert_eq!(answer(Problem::too_large(7)).await.2, "{\"error\":\"Body has more than 7 bytes\"}\n");
    }

    #[tokio::test]
    async fn reason_is_escaped() {
        let (_, _, body) = answer(Problem::bad_request("a \"quoted\"\nline")).await;
        assert_eq!(body, "{\"error\":\"a \\\"quoted\\\"\\nline\"}\n");
    }
}

//! Tokens of an OAuth 2.0 authorization server (RFC 6749 section 4.4): one fetch at a time, through the same
//! address guard as the deliveries; kept till shortly before they end; fetched anew once when they are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;
use visnyk_crds::valid::ClientCredentials;
use visnyk_runtime::host::secrets::Secrets;

use super::authorization::{basic, bearer};
use super::connections::Connections;
use super::exchange::{self, MAX_ANSWER, failed_exchange};
use crate::deliver::failure::{Failure, FailureKind};

/// Time for which a token is used if its server does not say.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);
/// A token is not used for the last of its life, at most this much of it: the destination's clock may be ahead.
const LAST_OF_LIFE: Duration = Duration::from_secs(30);
/// Time for which the failure of a fetch counts: a request that waited for it fails with it, instead of fetching again.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// The tokens of one destination.
pub struct Tokens {
    connections: Connections,
    request: TokenRequest,
    /// Locked while a token is fetched.
    state: Mutex<State>,
}

/// Request to the authorization server.
#[derive(PartialEq)]
pub struct TokenRequest {
    uri: Uri,
    authorization: HeaderValue,
    form: Bytes,
}

/// A token, good for now.
pub struct Token {
    /// Value of the header.
    pub header: HeaderValue,
    until: Instant,
    /// It took the place of one that was refused, and nothing was taken with it yet: if it is refused too, the
    /// token is not to blame.
    is_second: AtomicBool,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Set if the destination refused the last token.
    is_second: bool,
    failed: Option<(Instant, Failure)>,
}

impl TokenRequest {
    /// Reads the request; `None` if the secrets cannot be used.
    pub fn read(client: &ClientCredentials, secrets: &mut Secrets<'_>) -> Option<Self> {
        // As section 2.3.1 has it: both are form-encoded first.
        let encode = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
        let id = secrets.read(&client.client_id).map(|id| encode(&id));
        let secret = secrets.read(&client.client_secret).map(|secret| encode(&secret));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !client.scope.is_empty() {
            form.append_pair("scope", &client.scope);
        }
        if let Some(audience) = &client.audience {
            form.append_pair("audience", audience);
        }
        Some(Self {
            uri: client.token_url.as_str().parse().ok()?,
            authorization: basic(id?.as_bytes(), secret?.as_bytes()).ok()?,
            form: form.finish().into(),
        })
    }
}

impl TokenRequest {
    /// Returns the address of the token endpoint.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl Tokens {
    /// Returns whether these tokens are the ones that `request` gets.
    pub fn are_asked_for_by(&self, request: &TokenRequest) -> bool {
        self.request == *request
    }

    /// Makes tokens without one yet; the first request that needs a token fetches it.
    pub fn new(connections: Connections, request: TokenRequest) -> Self {
        Self { connections, request, state: Mutex::default() }
    }

    /// Returns the token, and fetches one if none is valid now.
    pub async fn get(&self, deadline: Instant) -> Result<Arc<Token>, Failure> {
        timeout_at(deadline, self.cached_or_fetched())
            .await
            .unwrap_or_else(|_| Err(failed("no complete answer in time")))
    }

    /// Records that the destination refused the token. Returns whether to try with another one.
    pub async fn refused(&self, token: &Arc<Token>) -> bool {
        let mut state = self.state.lock().await;
        let is_current = state.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token));
        if !is_current {
            return true; // fetched anew meanwhile
        }
        if token.is_second.load(Ordering::Relaxed) {
            return false;
        }
        state.token = None;
        state.is_second = true;
        true
    }

    async fn cached_or_fetched(&self) -> Result<Arc<Token>, Failure> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.until) {
            return Ok(Arc::clone(token));
        }
        if let Some((at, failure)) = &state.failed
            && now.duration_since(*at) < FAILED_FOR
        {
            return Err(failure.clone());
        }
        match self.fetch().await {
            Ok((header, life)) => {
                let until = now + life.saturating_sub(LAST_OF_LIFE.min(life / 5));
                let is_second = AtomicBool::new(std::mem::take(&mut state.is_second));
                let token = Arc::new(Token { header, until, is_second });
                state.failed = None;
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn fetch(&self) -> Result<(HeaderValue, Duration), Failure> {
        let mut request = Request::new(Full::new(self.request.form.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.request.uri.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(AUTHORIZATION, self.request.authorization.clone());
        let of_exchange = |failure: Failure| failed(&failure.detail);
        let answer = exchange::request(&self.connections, request)
            .await
            .map_err(|error| of_exchange(failed_exchange(&error)))?;
        let status = answer.status;
        let body = answer.read(MAX_ANSWER).await.map_err(|_| failed("no complete answer"))?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let code = error_code(&answer).map(|code| format!(" ({code})")).unwrap_or_default();
            return Err(failed(&format!("answered {}{code}", status.as_u16())));
        }
        token_of(&answer).ok_or_else(|| failed("the answer holds no bearer token"))
    }
}

impl Token {
    /// Records that the destination accepted the token.
    pub fn accepted(&self) {
        self.is_second.store(false, Ordering::Relaxed);
    }
}

fn failed(detail: &str) -> Failure {
    Failure::new(FailureKind::Token, &format!("token request: {detail}"))
}

/// Returns one of the codes of section 5.2. Anything else in the answer does not belong in a log.
fn error_code(answer: &Value) -> Option<&str> {
    const CODES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    answer["error"].as_str().filter(|code| CODES.contains(code))
}

fn token_of(answer: &Value) -> Option<(HeaderValue, Duration)> {
    let is_bearer = answer["token_type"].as_str().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let token = answer["access_token"].as_str().filter(|token| is_bearer && !token.is_empty())?;
    // Some servers write the number as text.
    let seconds = &answer["expires_in"];
    let seconds = seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok());
    // More than a year is as good as a year, and fits every clock.
    let life = seconds.map_or(UNKNOWN_LIFE, |seconds| Duration::from_secs(seconds.min(365 * 24 * 3600)));
    Some((bearer(token.as_bytes()).ok()?, life))
}

//! Credentials in the `Authorization` header: a fixed value, or a token that is fetched.

use std::sync::Arc;

use data_encoding::BASE64;
use http::HeaderValue;
use visnyk_crds::valid;
use visnyk_runtime::host::secrets::Secrets;

use super::headers::secret_value;
use super::tokens::Tokens;

/// The header `Authorization` of one destination's requests.
pub enum Authorization {
    /// The same value for each request.
    Fixed(HeaderValue),
    /// Tokens that are fetched, and fetched again before they end.
    Tokens(Arc<Tokens>),
}

/// Returns fixed credentials; `None` if their secrets cannot be used, or if the credentials are not fixed.
pub fn fixed(authorization: &valid::Authorization, secrets: &mut Secrets<'_>) -> Option<HeaderValue> {
    match authorization {
        valid::Authorization::Bearer { token } => secrets.read_as(token, |token| bearer(&token)),
        valid::Authorization::Basic { username, password } => {
            let username = secrets.read_as(username, without_colon);
            let password = secrets.read(password);
            basic(&username?, &password?).ok()
        }
        valid::Authorization::ClientCredentials(_) => None,
    }
}

/// Makes the header's value of a bearer token (RFC 6750 section 2.1).
pub(super) fn bearer(token: &[u8]) -> Result<HeaderValue, &'static str> {
    secret_value([b"Bearer ", token].concat())
}

/// Makes the header's value of a name and a password (RFC 7617).
pub(super) fn basic(username: &[u8], password: &[u8]) -> Result<HeaderValue, &'static str> {
    let both = [username, password].join(&b':');
    secret_value(format!("Basic {}", BASE64.encode(&both)))
}

fn without_colon(name: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if name.contains(&b':') { Err("has a colon") } else { Ok(name) }
}

//! Requests of providers: each provider signs in its own way, with the secret of the account.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, HEXLOWER};
use reqwest::{Client, Response};

/// Secret of every provider here; a Standard Webhooks secret, since some take nothing else.
pub const SECRET: &str = "whsec_Y2FuYXJ5LTNlOGE1Yi1jYW5hcnktM2U4YTVi";

/// A request that is signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Query of the URL with its question mark, or empty.
    pub query: String,
    /// The proof, and the provider's other headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body that was signed.
    pub body: Vec<u8>,
}

/// Signs a body as a source of this name expects it, now.
pub fn sign(provider: &str, body: &[u8]) -> Signed {
    sign_at(provider, body, now())
}

/// Signs a body at another time, in seconds since the Unix epoch.
pub fn sign_at(provider: &str, body: &[u8], now: u64) -> Signed {
    let secret = SECRET.as_bytes();
    let json = ("content-type", "application/json".to_owned());
    let body_hex = || HEXLOWER.encode(&sha256(secret, &[body]));
    let body_base64 = || BASE64.encode(&sha256(secret, &[body]));
    let time = now.to_string();
    let standard = |prefix: [&'static str; 3]| {
        let key = BASE64.decode(&secret["whsec_".len()..]).unwrap();
        let id = format!("msg_{now}");
        let signature = sha256(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
        let signature = format!("v1,{}", BASE64.encode(&signature));
        prefix.into_iter().zip([id, time.clone(), signature]).collect::<Vec<_>>()
    };
    let mut query = String::new();
    let mut headers = match provider {
        "bearer" => vec![("authorization", format!("Bearer {SECRET}"))],
        "basic" => {
            let both = format!("{SECRET}:{SECRET}");
            vec![("authorization", format!("Basic {}", BASE64.encode(both.as_bytes())))]
        }
        "github" => vec![
            ("x-hub-signature-256", format!("sha256={}", body_hex())),
            ("x-github-event", "push".into()),
            ("x-github-delivery", format!("delivery-{now}")),
        ],
        "meta" => vec![("x-hub-signature-256", format!("sha256={}", body_hex()))],
        "gitlab" | "standard-webhooks" => standard(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        "svix" => standard(["svix-id", "svix-timestamp", "svix-signature"]),
        "stripe" => {
            let signature = HEXLOWER.encode(&sha256(secret, &[time.as_bytes(), b".", body]));
            vec![("stripe-signature", format!("t={time},v1={signature},v0={}", "0".repeat(64)))]
        }
        "slack" => {
            let signature = HEXLOWER.encode(&sha256(secret, &[b"v0:", time.as_bytes(), b":", body]));
            vec![("x-slack-request-timestamp", time), ("x-slack-signature", format!("v0={signature}"))]
        }
        "shopify" => vec![("x-shopify-hmac-sha256", body_base64())],
        "woocommerce" => vec![("x-wc-webhook-signature", body_base64())],
        "telegram" => vec![("x-telegram-bot-api-secret-token", SECRET.to_owned())],
        "twilio" => {
            query =
                format!("?bodySHA256={}", HEXLOWER.encode(digest::digest(&digest::SHA256, body).as_ref()));
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
            let url = format!("https://hooks.example.org/twilio{query}");
            vec![("x-twilio-signature", BASE64.encode(hmac::sign(&key, url.as_bytes()).as_ref()))]
        }
        "hmac" => {
            let signature = HEXLOWER.encode(&sha256(secret, &[time.as_bytes(), b".", body]));
            vec![("x-time", time), ("x-sig", format!("sha256={signature}"))]
        }
        other => panic!("nobody knows how {other} signs"),
    };
    headers.push(json);
    Signed { query, headers, body: body.to_vec() }
}

impl Signed {
    /// Sends it to a URL without a query.
    pub async fn send(&self, client: &Client, url: &str) -> Response {
        let request = client.post(format!("{url}{}", self.query)).body(self.body.clone());
        let request =
            self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.send().await.unwrap()
    }

    /// Returns the same with this header set.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Returns the time in seconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sha256(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &parts.concat()).as_ref().to_vec()
}

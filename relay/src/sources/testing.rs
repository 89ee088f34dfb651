//! Messages as providers sign them, for the tests of every provider: the published ones where there are any, and
//! for the rest signatures computed by Python's `hmac` and `cryptography`.

use std::fs;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use visnyk_crds::valid::{HmacAlgorithm, Part, SecretRef, SignatureEncoding, SignedHeader, Verify};

use super::pay_pal::PayPalCertificates;
use super::providers::provider;
use super::secrets::Secrets;
use super::{Provider, Rejection, Request};

/// A request of a test.
#[derive(Clone, Debug)]
pub struct Message {
    pub method: Method,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// A request that a provider signed.
pub struct Case {
    pub name: &'static str,
    pub verify: Verify,
    pub secret: &'static str,
    pub message: Message,
    /// The headers that prove it.
    pub proof: &'static [&'static str],
    /// Time of the request in seconds since the Unix epoch: the signed time if there is one.
    pub now: i64,
    pub is_timed: bool,
}

impl Message {
    pub fn post(target: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Self { method: Method::POST, target: target.to_owned(), headers, body: body.as_bytes().to_vec() }
    }

    /// Hands the request over as the listener would; `None` if no listener would take it.
    pub fn judged_at<T>(&self, now_ms: i64, judge: impl FnOnce(&Request<'_>) -> T) -> Option<T> {
        let mut request = http::Request::builder().method(self.method.clone()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request = request.header(name, HeaderValue::from_bytes(value).ok()?);
        }
        let (head, ()) = request.body(()).ok()?.into_parts();
        let now = Timestamp::from_millisecond(now_ms).unwrap();
        Some(judge(&Request { head: &head, body: &self.body, now }))
    }

    pub fn header(&self, name: &str) -> &[u8] {
        &self.headers.iter().find(|(other, _)| other == name).unwrap().1
    }

    pub fn header_or_nothing(&self, name: &str) -> &[u8] {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => value,
            _ => b"",
        }
    }

    #[must_use]
    pub fn with(&self, name: &str, value: &[u8]) -> Self {
        let mut message = self.clone();
        message
            .headers
            .iter_mut()
            .filter(|(other, _)| other == name)
            .for_each(|(_, old)| *old = value.to_vec());
        message
    }

    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut message = self.clone();
        message.headers.retain(|(other, _)| other != name);
        message
    }
}

impl Case {
    /// The provider with these secrets in the place of its own.
    pub fn provider_with(&self, secrets: &[&str]) -> Box<dyn Provider> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("hook")).unwrap();
        for (index, secret) in secrets.iter().enumerate() {
            fs::write(folder.path().join("hook").join(format!("k{index}")), secret).unwrap();
        }
        provider(&self.verify, &mut Secrets::of(folder.path()), &PayPalCertificates::none())
    }

    pub fn provider(&self) -> Box<dyn Provider> {
        self.provider_with(&[self.secret])
    }

    /// Verifies this with its provider, a while after it was signed.
    pub fn judge(
        &self,
        provider: &dyn Provider,
        message: &Message,
        after_ms: i64,
    ) -> Option<Result<(), Rejection>> {
        message.judged_at(self.now * 1000 + after_ms, |request| provider.verify(request))
    }
}

/// Two places for secrets, so that every provider can be seen to rotate.
pub fn secrets() -> Vec<SecretRef> {
    [0, 1].map(|index| SecretRef { name: "hook".into(), key: format!("k{index}") }).into()
}

const TOLERANCE: Duration = Duration::from_mins(5);
const TWILIO_BODY: &str =
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&\
    channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
    response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
    trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

#[allow(clippy::too_many_lines)] // a table
pub fn cases() -> Vec<Case> {
    let untimed = |name, verify, secret, message, proof| Case {
        name,
        verify,
        secret,
        message,
        proof,
        now: 1_700_000_000,
        is_timed: false,
    };
    let timed = |name, verify, secret, now, message, proof| Case {
        name,
        verify,
        secret,
        message,
        proof,
        now,
        is_timed: true,
    };
    let standard = |names: [&str; 3], signature: &str| {
        let headers = [(names[0], STANDARD_ID), (names[1], "1614265330"), (names[2], signature)];
        Message::post("/", &headers, "{\"test\": 2432232314}")
    };
    let webhook = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let svix = ["svix-id", "svix-timestamp", "svix-signature"];
    let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let v1a = "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==";
    vec![
        untimed(
            "github, as published",
            Verify::GitHub { secrets: secrets() },
            "It's a Secret to Everybody",
            Message::post(
                "/",
                &[(
                    "x-hub-signature-256",
                    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
                )],
                "Hello, World!",
            ),
            &["x-hub-signature-256"],
        ),
        timed(
            "slack, as published",
            Verify::Slack { secrets: secrets(), tolerance: TOLERANCE },
            "8f742231b10e8888abcd99yyyzzz85a5",
            1_531_420_618,
            Message::post(
                "/",
                &[
                    ("x-slack-request-timestamp", "1531420618"),
                    (
                        "x-slack-signature",
                        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                    ),
                ],
                SLACK_BODY,
            ),
            &["x-slack-request-timestamp", "x-slack-signature"],
        ),
        untimed(
            "twilio's form, as published",
            twilio(),
            "12345",
            Message::post(
                "/twilio?foo=1&bar=2",
                &[
                    ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                    ("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
                ],
                TWILIO_BODY,
            ),
            &["x-twilio-signature"],
        ),
        untimed(
            "twilio's JSON, as published",
            twilio(),
            "12345",
            Message::post(
                "/twilio?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
                &[
                    ("content-type", "application/json"),
                    ("x-twilio-signature", "a9nBmqA0ju/hNViExpshrM61xv4="),
                ],
                "{\"property\": \"value\", \"boolean\": true}",
            ),
            &["x-twilio-signature"],
        ),
        timed(
            "standard webhooks v1, as published",
            standard_webhooks(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            1_614_265_330,
            standard(webhook, v1),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
        ),
        timed(
            "svix, as published",
            standard_webhooks(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            1_614_265_330,
            standard(svix, v1),
            &["svix-id", "svix-timestamp", "svix-signature"],
        ),
        timed(
            "standard webhooks v1a",
            standard_webhooks(),
            "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            1_614_265_330,
            standard(webhook, v1a),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
        ),
        timed(
            "gitlab, signed",
            Verify::GitLab { secrets: secrets(), tolerance: TOLERANCE },
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            1_614_265_330,
            standard(webhook, v1),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
        ),
        untimed(
            "gitlab, by token",
            Verify::GitLab { secrets: secrets(), tolerance: TOLERANCE },
            "a long token",
            Message::post("/", &[("x-gitlab-token", "a long token")], "{}"),
            &["x-gitlab-token"],
        ),
        timed(
            "stripe",
            Verify::Stripe { secrets: secrets(), tolerance: TOLERANCE },
            "whsec_test_secret",
            1_700_000_000,
            Message::post(
                "/",
                &[(
                    "stripe-signature",
                    "t=1700000000,v1=7b751e678ac3cd60693af15ba1ae1fc39e6a12beb59795ff4ba46a1caa2d7ad8",
                )],
                "{\"id\": \"evt_1\", \"type\": \"invoice.paid\", \"created\": 1699999999}",
            ),
            &["stripe-signature"],
        ),
        untimed(
            "shopify",
            Verify::Shopify { secrets: secrets() },
            "hush",
            Message::post(
                "/",
                &[("x-shopify-hmac-sha256", "uGGfOb+XoECYuM+RY9Y3WocU+ijbVAGZNvXJ58KRFBA=")],
                "{\"id\": 820982911946154508}",
            ),
            &["x-shopify-hmac-sha256"],
        ),
        untimed(
            "woocommerce",
            Verify::WooCommerce { secrets: secrets() },
            "hush",
            Message::post(
                "/",
                &[("x-wc-webhook-signature", "S4bKgrpUopcr+9uZftdRID7J1w99dH+Ffp+o2WMu4kI=")],
                "{\"id\": 723}",
            ),
            &["x-wc-webhook-signature"],
        ),
        untimed(
            "meta",
            Verify::Meta { secrets: secrets(), verify_token: secrets().remove(0) },
            "appsecret",
            Message::post(
                "/",
                &[(
                    "x-hub-signature-256",
                    "sha256=4e1082e3603b072db4c36dcd35c19419ad95ad21f44d22ee401dd7d64ffe4a7c",
                )],
                "{\"object\": \"page\", \"entry\": []}",
            ),
            &["x-hub-signature-256"],
        ),
        untimed(
            "telegram",
            Verify::Telegram { secrets: secrets() },
            "A-long_token",
            Message::post("/", &[("x-telegram-bot-api-secret-token", "A-long_token")], "{}"),
            &["x-telegram-bot-api-secret-token"],
        ),
        timed(
            "hmac with everything",
            Verify::Hmac {
                secrets: secrets(),
                signature: SignedHeader {
                    header: "x-sig".parse().unwrap(),
                    algorithm: HmacAlgorithm::SHA512,
                    encoding: SignatureEncoding::Base64,
                    prefix: "sig: ".into(),
                    payload: vec![
                        Part::Text("v1|".into()),
                        Part::Timestamp,
                        Part::Text("|".into()),
                        Part::Body,
                    ],
                    timestamp_header: Some("x-time".parse().unwrap()),
                },
                tolerance: TOLERANCE,
            },
            "hush",
            1_700_000_000,
            Message::post(
                "/",
                &[
                    ("x-time", "1700000000"),
                    (
                        "x-sig",
                        "sig: pxcpd3GbdtM3Lg/4388r5rlNfR52GtH0YnmEwZFUpmJ+UQvAAnK5mWX6t+UD6pQ7ZxghkQ306wbMyEYM9EcPsA==",
                    ),
                ],
                "<a/>",
            ),
            &["x-time", "x-sig"],
        ),
        untimed(
            "bearer",
            Verify::Bearer { secrets: secrets() },
            "a-long-token",
            Message::post("/", &[("authorization", "Bearer a-long-token")], "{}"),
            &["authorization"],
        ),
        untimed(
            "basic",
            Verify::Basic { username: secrets().remove(0), password: secrets().remove(0) },
            "olena",
            Message::post("/", &[("authorization", "Basic b2xlbmE6b2xlbmE=")], "{}"),
            &["authorization"],
        ),
    ]
}

fn twilio() -> Verify {
    Verify::Twilio { secrets: secrets(), public_url: "https://mycompany.com/myapp.php".into() }
}

fn standard_webhooks() -> Verify {
    Verify::StandardWebhooks { secrets: secrets(), tolerance: TOLERANCE }
}

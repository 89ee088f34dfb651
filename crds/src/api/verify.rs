//! How a sender proves who it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signed_header::time_is_signed;
use super::{Aloud, SecretRef, SignedHeader, exactly_one};
use crate::bounds;
use crate::text::{GoDuration, PublicUrl, Subject, WebhookId};

/// The objects of which [`Verify`] holds exactly one.
pub(crate) const WAYS: &[&str] = &[
    "none",
    "basic",
    "bearer",
    "clientCertificate",
    "github",
    "gitlab",
    "hmac",
    "meta",
    "payPal",
    "shopify",
    "slack",
    "standardWebhooks",
    "stripe",
    "telegram",
    "twilio",
    "wooCommerce",
];

/// How a sender proves who it is: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Verify {
    /// Not at all: anyone who can reach the port may send. It has to be said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Aloud>,
    /// By the header `Authorization: Basic`, with a user name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// By the header `Authorization: Bearer`, with one of these tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secrets>,
    /// By a certificate that the sender shows when it connects; `spec.listener.tls.clientCa` says who vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// GitHub: `X-Hub-Signature-256`. Its ping is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<Secrets>,
    /// GitLab: `X-Gitlab-Token`; a secret that begins with `whsec_` demands GitLab's signature instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<TimedSecrets>,
    /// Any sender that signs with HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Hmac>,
    /// Meta (Facebook, Instagram, WhatsApp): `X-Hub-Signature-256`, and the challenge when it is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    /// PayPal: `Paypal-Transmission-Sig`, by a certificate that is fetched from PayPal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_pal: Option<PayPal>,
    /// Shopify: `X-Shopify-Hmac-Sha256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopify: Option<Secrets>,
    /// Slack: `X-Slack-Signature` of version v0. Its `url_verification` is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<TimedSecrets>,
    /// Standard Webhooks: `webhook-signature` or `svix-signature`, v1 with a secret `whsec_...`, v1a with a public
    /// key `whpk_...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_webhooks: Option<TimedSecrets>,
    /// Stripe: `Stripe-Signature` of version v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe: Option<TimedSecrets>,
    /// Telegram: `X-Telegram-Bot-Api-Secret-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram: Option<Secrets>,
    /// Twilio: `X-Twilio-Signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twilio: Option<Twilio>,
    /// WooCommerce: `X-WC-Webhook-Signature`. The unsigned ping when a webhook is saved is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woo_commerce: Option<Secrets>,
}

/// Whose certificate proves the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCertificate {
    /// The subjects that may send: a whole distinguished name as `openssl x509 -noout -subject -nameopt RFC2253`
    /// prints it (`CN=pump,O=Example`), or one of the certificate's alternative names (`DNS:pump.example.org`,
    /// `URI:spiffe://example.org/pump`). They are compared as they are, without wildcards.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub subjects: Vec<Subject>,
}

/// Secrets, any of which proves the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Secrets {
    /// The secrets that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
}

/// Secrets of a signature that covers the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct TimedSecrets {
    /// The secrets that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// How far the signed time may be from now, either way.
    #[serde(default = "tolerance")]
    #[schemars(extend("x-kubernetes-validations" = bounds::TOLERANCE.rules()))]
    pub tolerance: GoDuration,
}

/// A user name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Basic {
    /// The user name, without a colon.
    pub username_ref: SecretRef,
    /// The password.
    pub password_ref: SecretRef,
}

/// Meta's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Meta {
    /// The app secrets that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// The verify token that was given to Meta with the callback URL.
    pub verify_token: SecretRef,
}

/// What Twilio signs with, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Twilio {
    /// The auth tokens that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// The URL that was given to Twilio, without its query: it is signed, and a relay cannot know how it is reached.
    pub public_url: PublicUrl,
}

/// Whose events PayPal signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PayPal {
    /// The id that PayPal gave to the webhook; it is signed.
    pub webhook_id: WebhookId,
    /// Which of PayPal's hosts may name its certificate.
    #[serde(default)]
    pub environment: PayPalEnvironment,
    /// How far the signed time may be from now, either way. PayPal tries for three days.
    #[serde(default = "three_days_and_more")]
    #[schemars(extend("x-kubernetes-validations" = bounds::PAYPAL_TOLERANCE.rules()))]
    pub tolerance: GoDuration,
}

/// Which PayPal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum PayPalEnvironment {
    /// `api.paypal.com`.
    #[default]
    Live,
    /// `api.sandbox.paypal.com`.
    Sandbox,
}

/// An HMAC in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = time_is_signed()))]
pub struct Hmac {
    /// The secrets that are accepted; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// What is signed, and where the signature stands.
    #[serde(flatten)]
    pub signature: SignedHeader,
    /// How far that time may be from now, either way.
    #[serde(default = "tolerance")]
    #[schemars(extend("x-kubernetes-validations" = bounds::TOLERANCE.rules()))]
    pub tolerance: GoDuration,
}

fn tolerance() -> GoDuration {
    GoDuration::from("5m")
}

fn three_days_and_more() -> GoDuration {
    GoDuration::from("96h")
}

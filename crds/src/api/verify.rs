//! Proofs that a sender can give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signed_header::time_is_signed;
use super::{Explicit, SecretRef, SignedHeader, exactly_one};
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

/// Proof that a sender must give: exactly one of these fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Verify {
    /// No proof: anyone who can reach the port may send. Must be set explicitly, as `none: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Explicit>,
    /// User name and password in the header `Authorization: Basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A token in the header `Authorization: Bearer`, equal to one of `secretRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secrets>,
    /// A client certificate in the TLS handshake, signed by a CA of `spec.listener.tls.clientCa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// GitHub's signature in `X-Hub-Signature-256`. GitHub's ping is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<Secrets>,
    /// GitLab's token in `X-Gitlab-Token`. If a secret begins with `whsec_`, GitLab's signature in
    /// `webhook-signature` is required instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<TimedSecrets>,
    /// An HMAC in any header, for senders that have no entry of their own here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Hmac>,
    /// The signature of Meta (Facebook, Instagram, `WhatsApp`) in `X-Hub-Signature-256`. The challenge that Meta
    /// sends at setup is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    /// PayPal's signature in `Paypal-Transmission-Sig`, verified with a certificate that the relay downloads from
    /// PayPal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_pal: Option<PayPal>,
    /// Shopify's signature in `X-Shopify-Hmac-Sha256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopify: Option<Secrets>,
    /// Slack's signature in `X-Slack-Signature`, version v0. Slack's `url_verification` is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<TimedSecrets>,
    /// A Standard Webhooks signature in `webhook-signature` or `svix-signature`: v1 with a secret `whsec_...`, or v1a
    /// with a public key `whpk_...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_webhooks: Option<TimedSecrets>,
    /// Stripe's signature in `Stripe-Signature`, version v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe: Option<TimedSecrets>,
    /// Telegram's token in `X-Telegram-Bot-Api-Secret-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram: Option<Secrets>,
    /// Twilio's signature in `X-Twilio-Signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twilio: Option<Twilio>,
    /// WooCommerce's signature in `X-WC-Webhook-Signature`. The unsigned ping that it sends when a webhook is saved
    /// is answered and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woo_commerce: Option<Secrets>,
}

/// Subjects of the client certificates that are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCertificate {
    /// Subjects that may send. Each is a whole distinguished name as `openssl x509 -noout -subject -nameopt RFC2253`
    /// prints it (`CN=pump,O=Example`), or an alternative name of the certificate (`DNS:pump.example.org`,
    /// `URI:spiffe://example.org/pump`). Compared exactly, without wildcards.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub subjects: Vec<Subject>,
}

/// Secrets, each of which proves the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Secrets {
    /// Keys of Secrets that hold the accepted secrets. Each one is accepted; list two while you replace one.
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
    /// Keys of Secrets that hold the accepted secrets. Each one is accepted; list two while you replace one.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// Maximum difference between the signed time and now, in both directions; it limits how long a recorded request
    /// can be sent again. Default 5m.
    #[serde(default = "tolerance")]
    #[schemars(extend("x-kubernetes-validations" = bounds::TOLERANCE.rules()))]
    pub tolerance: GoDuration,
}

/// A user name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Basic {
    /// Key of a Secret that holds the user name, which must not contain a colon.
    pub username_ref: SecretRef,
    /// Key of a Secret that holds the password.
    pub password_ref: SecretRef,
}

/// Secrets of a Meta app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Meta {
    /// Keys of Secrets that hold the accepted app secrets. Each one is accepted; list two while you replace one.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// Key of a Secret that holds the verify token that you enter at Meta together with the callback URL.
    pub verify_token: SecretRef,
}

/// Auth tokens of Twilio, and the URL that it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Twilio {
    /// Keys of Secrets that hold the accepted auth tokens. Each one is accepted; list two while you replace one.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// URL that you gave to Twilio, without its query, for example `https://relay.example.org/twilio`. Twilio signs
    /// it, and the relay cannot know by which URL it is reached.
    pub public_url: PublicUrl,
}

/// The webhook whose events PayPal signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PayPal {
    /// Id that PayPal gave to the webhook, as its dashboard shows it. It is part of the signature.
    pub webhook_id: WebhookId,
    /// PayPal host from which the certificate is downloaded: `Live` is `api.paypal.com`, `Sandbox` is
    /// `api.sandbox.paypal.com`. Default `Live`.
    #[serde(default)]
    pub environment: PayPalEnvironment,
    /// Maximum difference between the signed time and now, in both directions. Default 96h, because PayPal retries
    /// for three days.
    #[serde(default = "three_days_and_more")]
    #[schemars(extend("x-kubernetes-validations" = bounds::PAYPAL_TOLERANCE.rules()))]
    pub tolerance: GoDuration,
}

/// An environment of PayPal.
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
    /// Keys of Secrets that hold the accepted secrets. Each one is accepted; list two while you replace one.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// Header and content of the signature.
    #[serde(flatten)]
    pub signature: SignedHeader,
    /// Maximum difference between the time in `timestampHeader` and now, in both directions. Default 5m. Without
    /// `timestampHeader` it has no effect.
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

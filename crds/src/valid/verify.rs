//! The proof that a sender must give, after validation.

use http::HeaderName;
use std::time::Duration;

use super::{SecretRef, SignedHeader};
pub use crate::api::PayPalEnvironment;

/// Proof that a sender must give. Lists of secrets are never empty; each secret is accepted, so that one can be
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// No proof, which the manifest sets explicitly.
    None,
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        username: SecretRef,
        /// The password.
        password: SecretRef,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// The tokens.
        secrets: Vec<SecretRef>,
    },
    /// A client certificate from the TLS handshake.
    ClientCertificate {
        /// Distinguished names, and alternative names that begin with `DNS:` or `URI:`.
        subjects: Vec<String>,
        /// PEM bundle of the CAs of client certificates.
        authorities: SecretRef,
    },
    /// `X-Hub-Signature-256`.
    GitHub {
        /// The secrets.
        secrets: Vec<SecretRef>,
    },
    /// `X-Gitlab-Token`, or a signature by a secret that begins with `whsec_`.
    GitLab {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// An HMAC in any header.
    Hmac {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// Header and content of the signature.
        signature: SignedHeader,
        /// Maximum difference between the signed time and now, where a time is signed.
        tolerance: Duration,
    },
    /// `X-Hub-Signature-256` and Meta's challenge.
    Meta {
        /// The app secrets.
        secrets: Vec<SecretRef>,
        /// Token that comes with the challenge.
        verify_token: SecretRef,
    },
    /// `Paypal-Transmission-Sig`.
    PayPal {
        /// The signed id of the webhook.
        webhook_id: String,
        /// PayPal host whose certificates are accepted.
        environment: PayPalEnvironment,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// `X-Shopify-Hmac-Sha256`.
    Shopify {
        /// The secrets.
        secrets: Vec<SecretRef>,
    },
    /// `X-Slack-Signature`.
    Slack {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// `webhook-signature` or `svix-signature`.
    StandardWebhooks {
        /// Secrets and public keys.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// `Stripe-Signature`.
    Stripe {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// `X-Telegram-Bot-Api-Secret-Token`.
    Telegram {
        /// The tokens.
        secrets: Vec<SecretRef>,
    },
    /// `X-Twilio-Signature`.
    Twilio {
        /// The auth tokens.
        secrets: Vec<SecretRef>,
        /// The signed URL, without its query.
        public_url: String,
    },
    /// `X-WC-Webhook-Signature`.
    WooCommerce {
        /// The secrets.
        secrets: Vec<SecretRef>,
    },
}

impl Verify {
    /// Returns every secret that is needed.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::None | Self::PayPal { .. } => Vec::new(),
            Self::Basic { username, password } => vec![username, password],
            Self::ClientCertificate { authorities, .. } => vec![authorities],
            Self::Meta { secrets, verify_token } => secrets.iter().chain([verify_token]).collect(),
            Self::Hmac { secrets, .. }
            | Self::Bearer { secrets }
            | Self::GitHub { secrets }
            | Self::GitLab { secrets, .. }
            | Self::Shopify { secrets }
            | Self::Slack { secrets, .. }
            | Self::StandardWebhooks { secrets, .. }
            | Self::Stripe { secrets, .. }
            | Self::Telegram { secrets }
            | Self::Twilio { secrets, .. }
            | Self::WooCommerce { secrets } => secrets.iter().collect(),
        }
    }
    /// Returns the names of the headers that prove the sender. Each is as good as a secret:
    /// anyone who has one can send the request again.
    pub fn proof_headers(&self) -> Vec<HeaderName> {
        let names: &[&str] = match self {
            Self::Hmac { signature, .. } => return vec![signature.header.clone()],
            Self::None | Self::ClientCertificate { .. } => &[],
            Self::Basic { .. } | Self::Bearer { .. } => &["authorization"],
            Self::GitHub { .. } | Self::Meta { .. } => &["x-hub-signature-256", "x-hub-signature"],
            Self::GitLab { .. } => &["x-gitlab-token", "webhook-signature"],
            Self::PayPal { .. } => &["paypal-transmission-sig"],
            Self::Shopify { .. } => &["x-shopify-hmac-sha256"],
            Self::Slack { .. } => &["x-slack-signature"],
            Self::StandardWebhooks { .. } => &["webhook-signature", "svix-signature"],
            Self::Stripe { .. } => &["stripe-signature"],
            Self::Telegram { .. } => &["x-telegram-bot-api-secret-token"],
            Self::Twilio { .. } => &["x-twilio-signature"],
            Self::WooCommerce { .. } => &["x-wc-webhook-signature"],
        };
        names.iter().map(|name| HeaderName::from_static(name)).collect()
    }

    /// Returns whether headers of its senders may describe a CloudEvents event. All other senders have headers of
    /// their own, and do not sign CloudEvents headers.
    pub fn speaks_cloud_events(&self) -> bool {
        match self {
            Self::None
            | Self::Basic { .. }
            | Self::Bearer { .. }
            | Self::ClientCertificate { .. }
            | Self::Hmac { .. }
            | Self::StandardWebhooks { .. } => true,
            Self::GitHub { .. }
            | Self::GitLab { .. }
            | Self::Meta { .. }
            | Self::PayPal { .. }
            | Self::Shopify { .. }
            | Self::Slack { .. }
            | Self::Stripe { .. }
            | Self::Telegram { .. }
            | Self::Twilio { .. }
            | Self::WooCommerce { .. } => false,
        }
    }
}

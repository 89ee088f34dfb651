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
    /// User name and password in `Authorization: Basic`.
    Basic {
        /// Secret with the user name.
        username: SecretRef,
        /// Secret with the password.
        password: SecretRef,
    },
    /// Token in `Authorization: Bearer`.
    Bearer {
        /// Secrets with the accepted tokens.
        secrets: Vec<SecretRef>,
    },
    /// A client certificate from the TLS handshake.
    ClientCertificate {
        /// Distinguished names, and alternative names that begin with `DNS:` or `URI:`.
        subjects: Vec<String>,
        /// PEM bundle of the CAs of client certificates.
        authorities: SecretRef,
    },
    /// GitHub: signature in the header `X-Hub-Signature-256`.
    GitHub {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
    },
    /// `X-Gitlab-Token`, or a signature by a secret that begins with `whsec_`.
    GitLab {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// An HMAC in any header.
    Hmac {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
        /// Header and content of the signature.
        signature: SignedHeader,
        /// Maximum difference between the signed time and now, where a time is signed.
        tolerance: Duration,
    },
    /// `X-Hub-Signature-256` and Meta's challenge.
    Meta {
        /// Secrets with the accepted app secrets.
        secrets: Vec<SecretRef>,
        /// Token that comes with the challenge.
        verify_token: SecretRef,
    },
    /// PayPal: signature in the header `Paypal-Transmission-Sig`.
    PayPal {
        /// The signed id of the webhook.
        webhook_id: String,
        /// PayPal host whose certificates are accepted.
        environment: PayPalEnvironment,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// Shopify: signature in the header `X-Shopify-Hmac-Sha256`.
    Shopify {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
    },
    /// Slack: signature in the header `X-Slack-Signature`.
    Slack {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// Signature in `webhook-signature` or `svix-signature`.
    StandardWebhooks {
        /// Secrets and public keys.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// Stripe: signature in the header `Stripe-Signature`.
    Stripe {
        /// Secrets with the accepted keys.
        secrets: Vec<SecretRef>,
        /// Maximum difference between the signed time and now.
        tolerance: Duration,
    },
    /// Telegram: token in the header `X-Telegram-Bot-Api-Secret-Token`.
    Telegram {
        /// Secrets with the accepted tokens.
        secrets: Vec<SecretRef>,
    },
    /// Twilio: signature in the header `X-Twilio-Signature`.
    Twilio {
        /// Secrets with the accepted auth tokens.
        secrets: Vec<SecretRef>,
        /// The signed URL, without its query.
        public_url: String,
    },
    /// WooCommerce: signature in the header `X-WC-Webhook-Signature`.
    WooCommerce {
        /// Secrets with the accepted keys.
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

//! How a sender proves who it is, checked.

use std::time::Duration;

use super::{SecretRef, SignedHeader};
pub use crate::api::PayPalEnvironment;

/// How a sender proves who it is. Lists of secrets are never empty: any of them will do, so that one can rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Not at all, because the manifest says so aloud.
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
    /// A certificate, shown when the sender connected.
    ClientCertificate {
        /// Whose: distinguished names, and alternative names that begin with `DNS:` or `URI:`.
        subjects: Vec<String>,
        /// The PEM bundle of those who vouch for it.
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
        /// How far the signed time may be from now.
        tolerance: Duration,
    },
    /// Any header with an HMAC.
    Hmac {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// Where the signature is, and of what.
        signature: SignedHeader,
        /// How far the signed time may be from now, where there is one.
        tolerance: Duration,
    },
    /// `X-Hub-Signature-256` and Meta's challenge.
    Meta {
        /// The app secrets.
        secrets: Vec<SecretRef>,
        /// What the challenge comes with.
        verify_token: SecretRef,
    },
    /// `Paypal-Transmission-Sig`.
    PayPal {
        /// The signed id of the webhook.
        webhook_id: String,
        /// Whose certificates.
        environment: PayPalEnvironment,
        /// How far the signed time may be from now.
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
        /// How far the signed time may be from now.
        tolerance: Duration,
    },
    /// `webhook-signature` or `svix-signature`.
    StandardWebhooks {
        /// Secrets and public keys.
        secrets: Vec<SecretRef>,
        /// How far the signed time may be from now.
        tolerance: Duration,
    },
    /// `Stripe-Signature`.
    Stripe {
        /// The secrets.
        secrets: Vec<SecretRef>,
        /// How far the signed time may be from now.
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
    /// Every secret that is needed.
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
    /// Names of the headers that prove the sender, in any case of letters. Each is as good as a secret: whoever has one can
    /// send the request again.
    pub fn proof_headers(&self) -> Vec<&str> {
        match self {
            Self::None | Self::ClientCertificate { .. } => Vec::new(),
            Self::Basic { .. } | Self::Bearer { .. } => vec!["authorization"],
            Self::GitHub { .. } | Self::Meta { .. } => vec!["x-hub-signature-256", "x-hub-signature"],
            Self::GitLab { .. } => vec!["x-gitlab-token", "webhook-signature"],
            Self::Hmac { signature, .. } => vec![&signature.header],
            Self::PayPal { .. } => vec!["paypal-transmission-sig"],
            Self::Shopify { .. } => vec!["x-shopify-hmac-sha256"],
            Self::Slack { .. } => vec!["x-slack-signature"],
            Self::StandardWebhooks { .. } => vec!["webhook-signature", "svix-signature"],
            Self::Stripe { .. } => vec!["stripe-signature"],
            Self::Telegram { .. } => vec!["x-telegram-bot-api-secret-token"],
            Self::Twilio { .. } => vec!["x-twilio-signature"],
            Self::WooCommerce { .. } => vec!["x-wc-webhook-signature"],
        }
    }
    /// Whether its senders may say in headers that theirs is a CloudEvents event. All others have words of their own, and
    /// nothing that they sign covers such headers.
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

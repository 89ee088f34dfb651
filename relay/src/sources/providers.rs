//! The provider of each `verify` of a manifest.

use visnyk_crds::valid::{SignatureEncoding::Base64, SignatureEncoding::Hex, Verify};

use super::generic::{Basic, Bearer, Hmac, Open};
use super::secrets::Secrets;
use super::signature::{Signature, of_body};
use super::{
    Provider, client_certificate::ClientCertificate, github::GitHub, gitlab::GitLab, meta::Meta,
    pay_pal::PayPal, pay_pal::PayPalCertificates, shopify::Shopify, slack::Slack,
    standard_webhooks::StandardWebhooks, stripe::Stripe, telegram::Telegram, twilio::Twilio,
    woo_commerce::WooCommerce,
};

/// Knows the sender that the manifest means; with what is wrong with its secrets noted beside them.
pub fn provider(
    verify: &Verify,
    secrets: &mut Secrets<'_>,
    certificates: &PayPalCertificates,
) -> Box<dyn Provider> {
    match verify {
        Verify::None => Box::new(Open),
        Verify::Basic { username, password } => Box::new(Basic::new(username, password, secrets)),
        Verify::Bearer { secrets: refs } => Box::new(Bearer(secrets.tokens(refs))),
        Verify::ClientCertificate { subjects, authorities } => {
            Box::new(ClientCertificate::new(subjects, authorities, secrets))
        }
        Verify::GitHub { secrets: refs } => {
            let shape = of_body("x-hub-signature-256", Hex, "sha256=");
            Box::new(GitHub(Signature::new(&shape, refs, secrets)))
        }
        Verify::GitLab { secrets: refs, tolerance } => Box::new(GitLab::new(refs, *tolerance, secrets)),
        Verify::Hmac { secrets: refs, signature, tolerance } => {
            Box::new(Hmac(Signature::new(signature, refs, secrets).with_tolerance(*tolerance)))
        }
        Verify::Meta { secrets: refs, verify_token } => Box::new(Meta::new(refs, verify_token, secrets)),
        Verify::PayPal { webhook_id, environment, tolerance } => {
            Box::new(PayPal::new(webhook_id, *tolerance, certificates.of(*environment)))
        }
        Verify::Shopify { secrets: refs } => {
            let shape = of_body("x-shopify-hmac-sha256", Base64, "");
            Box::new(Shopify(Signature::new(&shape, refs, secrets)))
        }
        Verify::Slack { secrets: refs, tolerance } => Box::new(Slack::new(refs, *tolerance, secrets)),
        Verify::StandardWebhooks { secrets: refs, tolerance } => {
            Box::new(StandardWebhooks::new(refs, *tolerance, secrets))
        }
        Verify::Stripe { secrets: refs, tolerance } => Box::new(Stripe::new(refs, *tolerance, secrets)),
        Verify::Telegram { secrets: refs } => Box::new(Telegram(secrets.tokens(refs))),
        Verify::Twilio { secrets: refs, public_url } => Box::new(Twilio::new(refs, public_url, secrets)),
        Verify::WooCommerce { secrets: refs } => {
            let shape = of_body("x-wc-webhook-signature", Base64, "");
            Box::new(WooCommerce(Signature::new(&shape, refs, secrets)))
        }
    }
}

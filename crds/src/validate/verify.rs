//! Validates the proof that a sender must give.

use std::time::Duration;

use super::exactly_one;
use super::signed_header::signed_header;
use super::source::{secret_ref, secret_refs};
use crate::api;
use crate::bounds::{self, Spans};
use crate::problem::{FieldPath, Problems};
use crate::text::GoDuration;
use crate::valid::{SecretRef, Verify};

pub(super) fn verify(
    verify: &api::Verify,
    client_ca: Option<&SecretRef>,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Verify> {
    let mut secrets_and_tolerance = |name: &str, timed: &api::TimedSecrets| {
        let tolerance = self::tolerance(&timed.tolerance, bounds::TOLERANCE, &place.field(name), problems);
        (secret_refs(&timed.secret_refs), tolerance)
    };
    let api::Verify {
        none,
        basic,
        bearer,
        client_certificate,
        github,
        gitlab,
        hmac,
        meta,
        pay_pal,
        shopify,
        slack,
        standard_webhooks,
        stripe,
        telegram,
        twilio,
        woo_commerce,
    } = verify;
    let gitlab = gitlab.as_ref().map(|gitlab| secrets_and_tolerance("gitlab", gitlab));
    let slack = slack.as_ref().map(|slack| secrets_and_tolerance("slack", slack));
    let standard = standard_webhooks.as_ref().map(|one| secrets_and_tolerance("standardWebhooks", one));
    let stripe = stripe.as_ref().map(|stripe| secrets_and_tolerance("stripe", stripe));
    let pay_pal = pay_pal.as_ref().map(|pay_pal| Verify::PayPal {
        webhook_id: pay_pal.webhook_id.to_string(),
        environment: pay_pal.environment,
        tolerance: tolerance(&pay_pal.tolerance, bounds::PAYPAL_TOLERANCE, &place.field("payPal"), problems),
    });
    let hmac = hmac.as_ref().map(|hmac| self::hmac(hmac, &place.field("hmac"), problems));
    if client_certificate.is_some() && client_ca.is_none() {
        problems.add(place.field("clientCertificate"), api::NO_CLIENT_CA);
        return None;
    }
    let secrets = |secrets: &api::Secrets| secret_refs(&secrets.secret_refs);
    let ways = [
        none.as_ref().map(|_| Verify::None),
        basic.as_ref().map(|basic| Verify::Basic {
            username: secret_ref(&basic.username_ref),
            password: secret_ref(&basic.password_ref),
        }),
        bearer.as_ref().map(|bearer| Verify::Bearer { secrets: secrets(bearer) }),
        client_certificate.as_ref().zip(client_ca).map(|(one, client_ca)| Verify::ClientCertificate {
            subjects: one.subjects.iter().map(ToString::to_string).collect(),
            authorities: client_ca.clone(),
        }),
        github.as_ref().map(|github| Verify::GitHub { secrets: secrets(github) }),
        gitlab.map(|(secrets, tolerance)| Verify::GitLab { secrets, tolerance }),
        hmac,
        meta.as_ref().map(|meta| Verify::Meta {
            secrets: secret_refs(&meta.secret_refs),
            verify_token: secret_ref(&meta.verify_token),
        }),
        pay_pal,
        shopify.as_ref().map(|shopify| Verify::Shopify { secrets: secrets(shopify) }),
        slack.map(|(secrets, tolerance)| Verify::Slack { secrets, tolerance }),
        standard.map(|(secrets, tolerance)| Verify::StandardWebhooks { secrets, tolerance }),
        stripe.map(|(secrets, tolerance)| Verify::Stripe { secrets, tolerance }),
        telegram.as_ref().map(|telegram| Verify::Telegram { secrets: secrets(telegram) }),
        twilio.as_ref().map(|twilio| Verify::Twilio {
            secrets: secret_refs(&twilio.secret_refs),
            public_url: twilio.public_url.to_string(),
        }),
        woo_commerce.as_ref().map(|one| Verify::WooCommerce { secrets: secrets(one) }),
    ];
    exactly_one(api::VERIFY_WAYS, ways, place, problems)
}

/// Returns the duration; any duration where the given one is refused.
fn tolerance(given: &GoDuration, spans: Spans, place: &FieldPath, problems: &mut Problems) -> Duration {
    problems.note(place.field("tolerance"), spans.check(given)).unwrap_or_default()
}

fn hmac(hmac: &api::Hmac, place: &FieldPath, problems: &mut Problems) -> Verify {
    Verify::Hmac {
        secrets: secret_refs(&hmac.secret_refs),
        signature: signed_header(&hmac.signature, place, problems),
        tolerance: tolerance(&hmac.tolerance, bounds::TOLERANCE, place, problems),
    }
}

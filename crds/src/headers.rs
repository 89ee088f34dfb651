//! The rule by which request headers are kept with an event, and so are shown and forwarded: all that describe the
//! event. `docs/sources.md` has it as a table.

/// Subject of a header, judged by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The event, as far as the name tells.
    Event,
    /// One connection, or one message on it (RFC 9110, section 7.6.1).
    Connection,
    /// Proof of the sender. It can be stolen, and is useless to a destination.
    Proof,
    /// A credential of the sender, by a name that is common for tokens and passwords.
    Credential,
    /// The path of the request to the relay, or the sender as a proxy saw it. A destination that trusts the relay
    /// would believe it.
    Way,
    /// Handling of this one request: another method or address, a condition, a part of the body.
    Handling,
}

const CONNECTION: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const PROOFS: &[&str] = &[
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-gitlab-token",
    "x-telegram-bot-api-secret-token",
    "paypal-transmission-sig",
];

/// Words between hyphens that make a header a credential.
const CREDENTIAL_WORDS: &[&str] = &[
    "apikey",
    "auth",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "passwd",
    "password",
    "secret",
    "sig",
    "token",
];
/// Words that make a header a credential when `key` follows.
const KINDS_OF_KEYS: &[&str] =
    &["access", "api", "auth", "functions", "license", "private", "secret", "shared", "subscription"];

/// Whole names, or beginnings of names that end with a hyphen here.
const WAY: &[&str] = &[
    "cdn-loop",
    "cf-",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-",
    "forwarded",
    "forwarded-for",
    "remote-user",
    "ssl-client-",
    "true-client-ip",
    "via",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-client-cert",
    "x-client-dn",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-",
    "x-forwarded",
    "x-forwarded-",
    "x-original-forwarded-for",
    "x-original-host",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-real-port",
    "x-remote-",
    "x-scheme",
    "x-ssl-",
    "x-user-ip",
    "x-webauth-",
];

/// Names in the same form as in [`WAY`].
const HANDLING: &[&str] = &[
    "if-",
    "max-forwards",
    "range",
    "x-accel-",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-middleware-",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-override-",
    "x-rewrite-",
    "x-sendfile",
    "x-sendfile-",
];

/// Ids that are called tokens: they identify the event.
const IDS: &[&str] = &["i-twilio-idempotency-token"];

/// Returns the subject of a header of this lowercase name.
pub fn about(name: &str) -> About {
    if is_of_connection(name) {
        About::Connection
    } else if is_proof(name) {
        About::Proof
    } else if is_listed(WAY, name) {
        About::Way
    } else if is_listed(HANDLING, name) {
        About::Handling
    } else if is_credential(name) {
        About::Credential
    } else {
        About::Event
    }
}

/// Returns whether no manifest can allow a header of this lowercase name: it is secret, or breaks the connection to a
/// destination.
pub fn is_never_kept(name: &str) -> bool {
    is_of_connection(name) || is_proof(name)
}

fn is_of_connection(name: &str) -> bool {
    CONNECTION.contains(&name)
}

fn is_proof(name: &str) -> bool {
    PROOFS.contains(&name) || name.contains("signature") || name.contains("hmac")
}

/// Returns the CEL expression that is true of the names, in `self`, that a manifest may allow.
pub(crate) fn may_be_allowed() -> String {
    let names: Vec<_> = CONNECTION.iter().chain(PROOFS).map(|name| format!("'{name}'")).collect();
    let name = "self.lowerAscii()";
    format!(
        "!({name} in [{}]) && !{name}.contains('signature') && !{name}.contains('hmac')",
        names.join(", ")
    )
}

fn is_listed(list: &[&str], name: &str) -> bool {
    list.iter().any(|one| if one.ends_with('-') { name.starts_with(one) } else { name == *one })
}

fn is_credential(name: &str) -> bool {
    if IDS.contains(&name) {
        return false;
    }
    let words: Vec<&str> = name.split(['-', '_']).collect();
    let is_key = |pair: &[&str]| pair[1] == "key" && KINDS_OF_KEYS.contains(&pair[0]);
    words.iter().any(|word| CREDENTIAL_WORDS.contains(word)) || words.windows(2).any(is_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_says_of_its_event_is_kept() {
        for name in [
            "content-type",
            "content-encoding",
            "content-digest",
            "traceparent",
            "tracestate",
            "baggage",
            "x-request-id",
            "idempotency-key",
            "i-twilio-idempotency-token",
            "webhook-id",
            "webhook-timestamp",
            "svix-id",
            "ce-id",
            "ce-subject",
            "x-github-event",
            "x-github-hook-installation-target-id",
            "x-gitlab-event-uuid",
            "x-shopify-triggered-at",
            "x-slack-retry-num",
            "x-wc-webhook-topic",
            "x-event-key",
            "x-routing-key",
            "paypal-transmission-id",
            "user-agent",
        ] {
            assert_eq!(about(name), About::Event, "{name}");
        }
    }

    #[test]
    fn nothing_of_the_connection_the_proof_the_way_or_the_handling_is_kept() {
        for (expected, names) in [
            (About::Connection, &["connection", "http2-settings", "te", "upgrade", "host"][..]),
            (About::Proof, &["authorization", "cookie", "x-hub-signature-256", "x-shopify-hmac-sha256"]),
            (
                About::Credential,
                &["x-auth-token", "api-key", "private-token", "x_api_key", "ocp-apim-subscription-key"],
            ),
            (
                About::Way,
                &[
                    "forwarded",
                    "x-forwarded-for",
                    "x-forwarded-client-cert",
                    "x-real-ip",
                    "via",
                    "cf-connecting-ip",
                ],
            ),
            (
                About::Handling,
                &["x-http-method-override", "x-original-url", "if-none-match", "if-match", "range"],
            ),
        ] {
            for name in names {
                assert_eq!(about(name), expected, "{name}");
            }
        }
    }
}

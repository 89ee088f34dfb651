//! The keys of Standard Webhooks, and what they sign. v1 is HMAC-SHA256 with a shared secret; v1a is Ed25519.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use data_encoding::{BASE64, BASE64_NOPAD};
use visnyk_crds::valid::HmacAlgorithm;

use super::mac::{MacKey, Tag};

/// Prefix of a shared secret, before its base64.
pub const SECRET_PREFIX: &str = "whsec_";
/// Prefix of a public key, before its base64.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";
/// Prefix of a private key, before its base64.
pub const PRIVATE_KEY_PREFIX: &str = "whsk_";
/// Length of an Ed25519 public key, in bytes.
const PUBLIC_KEY_BYTES: usize = 32;
/// Length of an Ed25519 private key, in bytes. Its public key may follow.
const SEED_BYTES: usize = 32;

/// Key that a message is verified with.
pub enum VerifyingKey {
    /// Shared secret of version v1 (HMAC-SHA256).
    Secret(Box<MacKey>),
    /// Public key of version v1a (Ed25519).
    Public(UnparsedPublicKey<Vec<u8>>),
}

/// Key that a message is signed with.
pub enum SigningKey {
    /// Shared secret of version v1 (HMAC-SHA256).
    Secret(Box<MacKey>),
    /// Private key of version v1a (Ed25519).
    Private(Ed25519KeyPair),
}

/// Error of a malformed secret or key. It does not contain the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text after the prefix is not base64.
    #[error("is not base64")]
    Base64,
    /// The length is wrong. An Ed25519 key has 32 bytes, a private key may be followed by its public key, and a secret
    /// has at least one byte.
    #[error("has the wrong length")]
    Length,
    /// The public key that follows a private key does not belong to it.
    #[error("is no pair of keys")]
    Pair,
}

/// Returns the parts that are signed, in their order.
pub fn signed<'a>(id: &'a [u8], timestamp: &'a [u8], body: &'a [u8]) -> [&'a [u8]; 5] {
    [id, b".", timestamp, b".", body]
}

/// Returns whether a text is a shared secret by its beginning: `whsec_`, or `v1,whsec_` as some senders show it.
pub fn is_secret(text: &[u8]) -> bool {
    without_version(text).starts_with(SECRET_PREFIX.as_bytes())
}

/// Reads the key of a text `whsec_<base64>`, which `v1,` may stand before, or of the base64 alone, which older senders give.
pub fn secret(text: &[u8]) -> Result<MacKey, KeyError> {
    let text = without_version(text);
    let secret = decoded(text.strip_prefix(SECRET_PREFIX.as_bytes()).unwrap_or(text))?;
    if secret.is_empty() { Err(KeyError::Length) } else { Ok(MacKey::new(HmacAlgorithm::SHA256, &secret)) }
}

impl VerifyingKey {
    /// Parses a text `whpk_<base64>`, or a [`secret`].
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let Some(public) = text.strip_prefix(PUBLIC_KEY_PREFIX.as_bytes()) else {
            return secret(text).map(Box::new).map(Self::Secret);
        };
        let public = decoded(public)?;
        if public.len() != PUBLIC_KEY_BYTES {
            return Err(KeyError::Length);
        }
        Ok(Self::Public(UnparsedPublicKey::new(&ED25519, public)))
    }

    /// Returns the HMAC of a message by the secret; none for a public key.
    pub fn tag(&self, signed: &[&[u8]]) -> Option<Tag> {
        match self {
            Self::Secret(key) => Some(key.tag(signed)),
            Self::Public(_) => None,
        }
    }

    /// Returns whether the private key of this public key signed the message.
    pub fn has_signed(&self, signed: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Self::Secret(_) => false,
            Self::Public(key) => key.verify(&signed.concat(), signature).is_ok(),
        }
    }
}

impl SigningKey {
    /// Parses a text `whsk_<base64>`, or a [`secret`].
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let Some(private) = text.strip_prefix(PRIVATE_KEY_PREFIX.as_bytes()) else {
            return secret(text).map(|key| Self::Secret(Box::new(key)));
        };
        let private = decoded(private)?;
        let pair = match private.split_at_checked(SEED_BYTES) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) if public.len() == PUBLIC_KEY_BYTES => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            _ => return Err(KeyError::Length),
        };
        pair.map(Self::Private).map_err(|_| KeyError::Pair)
    }

    /// Signs a message, and returns the signature in the form of the header: its version, a comma, base64.
    pub fn sign(&self, signed: &[&[u8]]) -> String {
        match self {
            Self::Secret(key) => format!("v1,{}", BASE64.encode(key.tag(signed).as_ref())),
            Self::Private(key) => format!("v1a,{}", BASE64.encode(key.sign(&signed.concat()).as_ref())),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Private(_) => "Private",
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Public(_) => "Public",
        })
    }
}

fn without_version(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"v1,").unwrap_or(text)
}

/// Decodes base64, with or without its padding.
fn decoded(base64: &[u8]) -> Result<Vec<u8>, KeyError> {
    let decoded = BASE64.decode(base64).or_else(|_| BASE64_NOPAD.decode(base64));
    decoded.map_err(|_| KeyError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let key = secret(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let tag = key.tag(&signed(b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", body));
        assert_eq!(BASE64.encode(tag.as_ref()), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secret_is_the_same_in_each_way_that_it_is_written() {
        let tag = |text: &str| BASE64.encode(secret(text.as_bytes()).unwrap().tag(&[b"a"]).as_ref());
        let expected = tag("whsec_AAECAwQFBgcICQoLDA0ODxA=");
        for text in
            ["v1,whsec_AAECAwQFBgcICQoLDA0ODxA=", "whsec_AAECAwQFBgcICQoLDA0ODxA", "AAECAwQFBgcICQoLDA0ODxA="]
        {
            assert_eq!(tag(text), expected, "{text}");
        }
        assert!(is_secret(b"v1,whsec_AA==") && is_secret(b"whsec_AA==") && !is_secret(b"v1,AA=="));
    }

    #[test]
    fn what_is_signed_here_is_what_is_published_there() {
        let key = SigningKey::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign(&signed(b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", body));
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 8032 section 7.1, test 3.
    #[test]
    fn ed25519_signatures_are_those_of_the_rfc() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let seed = hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
        let public = hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let signature = hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
        for private in [seed.clone(), [&seed[..], &public[..]].concat()] {
            let text = format!("whsk_{}", BASE64.encode(&private));
            let key = SigningKey::parse(text.as_bytes()).unwrap();
            assert_eq!(key.sign(&[&[0xaf], &[0x82]]), format!("v1a,{}", BASE64.encode(&signature)));
        }
        let text = format!("whpk_{}", BASE64.encode(&public));
        assert!(VerifyingKey::parse(text.as_bytes()).unwrap().has_signed(&[&[0xaf, 0x82]], &signature));
        let other = format!("whsk_{}", BASE64.encode(&[&seed[..], &seed[..]].concat()));
        assert_eq!(SigningKey::parse(other.as_bytes()).unwrap_err(), KeyError::Pair);
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let private = b"whsk_xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc=";
        let public = b"whpk_/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=";
        let signing = [secret.as_slice(), private].map(|key| SigningKey::parse(key).unwrap());
        let verifying = [secret.as_slice(), public].map(|key| VerifyingKey::parse(key).unwrap());
        assert_eq!(format!("{signing:?} {verifying:?}"), "[Secret, Private] [Secret, Public]");
    }

    #[test]
    fn keys_that_are_none_are_told_apart_without_a_word_of_them() {
        let error = |text: &str| VerifyingKey::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("whsec_not base64"), KeyError::Base64);
        assert_eq!(error("whsec_"), KeyError::Length);
        assert_eq!(error("whpk_AAAA"), KeyError::Length);
        let error = |text: &str| SigningKey::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("whsk_AAAA"), KeyError::Length);
        assert_eq!(error("whsk_not base64"), KeyError::Base64);
        assert_eq!(error("whsec_"), KeyError::Length);
        assert!(matches!(
            VerifyingKey::parse(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            Ok(VerifyingKey::Secret(_))
        ));
    }
}

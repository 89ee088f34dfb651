//! HMACs and tokens, which are compared in constant time.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use subtle::{Choice, ConstantTimeEq};
use visnyk_crds::valid::HmacAlgorithm;

/// A secret that signs with HMAC.
pub struct MacKey(hmac::Key);

/// An HMAC that was computed by a [`MacKey`].
#[derive(Clone, Copy)]
pub struct Tag(hmac::Tag);

impl MacKey {
    /// Makes a key of the bytes of a secret.
    pub fn new(algorithm: HmacAlgorithm, secret: &[u8]) -> Self {
        let algorithm = match algorithm {
            HmacAlgorithm::SHA1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            HmacAlgorithm::SHA256 => hmac::HMAC_SHA256,
            HmacAlgorithm::SHA384 => hmac::HMAC_SHA384,
            HmacAlgorithm::SHA512 => hmac::HMAC_SHA512,
        };
        Self(hmac::Key::new(algorithm, secret))
    }

    /// Computes the HMAC of these parts, one behind the other.
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        Tag(context.sign())
    }
}

impl Tag {
    /// Compares the presented bytes with it. The time does not depend on where the two differ first.
    pub fn is(&self, presented: &[u8]) -> Choice {
        self.0.as_ref().ct_eq(presented)
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag")
    }
}

/// A secret that is presented as it is. Only its hash is kept and compared, so that not even its length shows.
pub struct Token(digest::Digest);

impl Token {
    /// Makes a token of the bytes of a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(digest::digest(&digest::SHA256, secret))
    }

    /// Returns whether any of these is presented. The time does not depend on which it is.
    pub fn is_any(tokens: &[Self], presented: &[u8]) -> bool {
        let presented = digest::digest(&digest::SHA256, presented);
        let is_one = |any, token: &Self| any | token.0.as_ref().ct_eq(presented.as_ref());
        tokens.iter().fold(Choice::from(0), is_one).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    /// RFC 2202 section 3 and RFC 4231 section 4.3: test case 2 of each.
    #[test]
    fn hmacs_are_those_of_the_rfcs() {
        let hex = |algorithm| {
            let key = MacKey::new(algorithm, b"Jefe");
            HEXLOWER.encode(key.tag(&[b"what do ya want ", b"for nothing?"]).as_ref())
        };
        assert_eq!(hex(HmacAlgorithm::SHA1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            hex(HmacAlgorithm::SHA256),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(HmacAlgorithm::SHA384),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
        );
        assert_eq!(
            hex(HmacAlgorithm::SHA512),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
    }

    #[test]
    fn each_token_is_one_of_several_and_nothing_else_is() {
        let tokens = [Token::new(b"one"), Token::new(b"two")];
        for (presented, is_one) in
            [("one", true), ("two", true), ("on", false), ("", false), ("one\n", false)]
        {
            assert_eq!(Token::is_any(&tokens, presented.as_bytes()), is_one, "{presented:?}");
        }
        assert!(!Token::is_any(&[], b""));
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let key = MacKey::new(HmacAlgorithm::SHA256, b"canary");
        let shown = format!("{key:?} {:?} {:?}", key.tag(&[b"message"]), Token::new(b"canary"));
        assert_eq!(shown, "MacKey Tag Token");
    }
}
